//! The contract suite: what every transport does alike, tested through the traits alone. [`contract!`] stamps one test
//! for each function here; a new transport is a [`Subject`] and a line.

use std::io::{self, IoSlice};
use std::sync::LazyLock;
use std::time::Duration;

use ohmqtt_transport::{BoxFuture, Connect, Endpoint, Listen, Peer, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A transport under test.
pub(crate) trait Subject: Sync {
    /// A listener on a free address of this machine.
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>>;

    /// A connector that reaches and trusts it.
    fn connector(&self) -> Box<dyn Connect>;

    /// A raw connection to it whose owner never sends a byte, so that no handshake gets anywhere.
    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>>;
}

/// Stamps the suite for a subject: `contract!(tcp, Tcp)`.
macro_rules! contract {
    ($module:ident, $subject:expr) => {
        mod $module {
            use super::*;

            $crate::contract::contract!(@tests $subject;
                hundred_megabytes_both_ways_arrive_intact
                single_byte_writes_arrive_intact
                vectored_writes_arrive_intact
                half_close_leaves_the_other_direction_open
                abrupt_close_ends_reads_and_writes_of_the_peer
                slow_reader_holds_back_a_fast_writer
                hundred_connections_are_served_at_once
                mute_peer_delays_no_other
                close_after_the_last_write_loses_nothing
                answers_are_read_to_the_end_after_shutdown
                dropped_accept_loses_no_connection
                dropped_listener_leaves_its_streams_alive
            );

            /// In a clock that jumps whenever nothing else happens.
            #[tokio::test(start_paused = true)]
            async fn silence_ends_nothing() {
                $crate::contract::silence_ends_nothing(&$subject).await;
            }
        }
    };
    (@tests $subject:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::contract::in_time($crate::contract::$name(&$subject)).await;
            }
        )*
    };
}
pub(crate) use contract;

/// Far beyond what any test here takes: it turns a hang into a failure.
pub(crate) async fn in_time<T>(test: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(240), test)
        .await
        .expect("the test hangs")
}

/// Both ends of one connection.
async fn pair(subject: &dyn Subject) -> (Box<dyn Transport>, Box<dyn Transport>) {
    let mut listener = subject.listen().await;
    let (client, (server, _)) = join(subject, &mut *listener).await;
    (client, server)
}

/// The client speaks first, as in MQTT: before it has, a QUIC connection has no stream.
async fn join(
    subject: &dyn Subject,
    listener: &mut dyn Listen,
) -> (Box<dyn Transport>, (Box<dyn Transport>, Peer)) {
    const HELLO: u8 = 0x10;
    let (connector, local) = (subject.connector(), listener.local());
    let client = async {
        let mut stream = connector.connect(&local).await.unwrap();
        stream.write_u8(HELLO).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let server = async {
        let accepted = listener.accept().await.unwrap();
        let (mut stream, peer) = accepted.handshake.await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), HELLO);
        (stream, peer)
    };
    tokio::join!(client, server)
}

const CHUNK: usize = 64 * 1024;
/// A prime, so that no power of two lost or repeated goes unseen.
const PERIOD: usize = 65_537;

/// The bytes that tests send: position `p` of a stream holds `PATTERN[p % PERIOD]`.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x2545_f491_u32;
    let period: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(PERIOD)
    .collect();
    [&period[..], &period[..CHUNK]].concat()
});

/// The `len` bytes, at most [`CHUNK`], that stand at `position`.
fn piece(position: usize, len: usize) -> &'static [u8] {
    &PATTERN[position % PERIOD..][..len]
}

/// Sends `total` bytes of the pattern in writes of at most `CHUNK`.
async fn send(stream: &mut (impl AsyncWriteExt + Unpin + ?Sized), total: usize) -> io::Result<()> {
    let mut sent = 0;
    while sent < total {
        let len = CHUNK.min(total - sent);
        stream.write_all(piece(sent, len)).await?;
        sent += len;
    }
    stream.flush().await
}

/// Reads `total` bytes and checks that they are the pattern.
async fn expect(stream: &mut (impl AsyncReadExt + Unpin + ?Sized), total: usize) {
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    while received < total {
        let room = CHUNK.min(total - received);
        let len = stream.read(&mut buffer[..room]).await.unwrap();
        assert_ne!(len, 0, "the stream ends after {received} of {total} bytes");
        assert!(
            buffer[..len] == *piece(received, len),
            "wrong bytes after {received}"
        );
        received += len;
    }
}

/// Reads `total` bytes of the pattern and then the end.
async fn expect_all(stream: &mut (impl AsyncReadExt + Unpin + ?Sized), total: usize) {
    expect(stream, total).await;
    assert_eq!(
        stream.read(&mut [0; 16]).await.unwrap(),
        0,
        "more than {total} bytes came"
    );
}

pub(crate) async fn hundred_megabytes_both_ways_arrive_intact(subject: &dyn Subject) {
    const TOTAL: usize = 100_000_000;
    let (client, server) = pair(subject).await;
    let ends = [client, server].map(|stream| {
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let send = async {
                send(&mut writer, TOTAL).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            tokio::join!(send, expect_all(&mut reader, TOTAL));
        })
    });
    for end in ends {
        end.await.unwrap();
    }
}

pub(crate) async fn single_byte_writes_arrive_intact(subject: &dyn Subject) {
    let (mut client, mut server) = pair(subject).await;
    let writer = tokio::spawn(async move {
        for position in 0..CHUNK {
            client.write_all(piece(position, 1)).await.unwrap();
        }
        client.flush().await.unwrap();
        client
    });
    expect(&mut server, CHUNK).await;
    writer.await.unwrap();
}

pub(crate) async fn vectored_writes_arrive_intact(subject: &dyn Subject) {
    const TOTAL: usize = 4 << 20;
    let (mut client, mut server) = pair(subject).await;
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        while sent < TOTAL {
            // Empty slices, tiny ones and long ones, as headers and payloads give them.
            let mut end = sent;
            let slices: Vec<_> = [2, 0, 5000, 7, 1, 40_000, 0, 3]
                .map(|len: usize| {
                    let len = len.min(TOTAL - end);
                    end += len;
                    IoSlice::new(piece(end - len, len))
                })
                .into();
            let written = client.write_vectored(&slices).await.unwrap();
            assert!((1..=end - sent).contains(&written));
            sent += written;
        }
        client.shutdown().await.unwrap();
        client
    });
    expect_all(&mut server, TOTAL).await;
    writer.await.unwrap();
}

pub(crate) async fn half_close_leaves_the_other_direction_open(subject: &dyn Subject) {
    let (mut client, mut server) = pair(subject).await;
    send(&mut client, 1000).await.unwrap();
    client.shutdown().await.unwrap();
    expect_all(&mut server, 1000).await;

    let writer = tokio::spawn(async move {
        send(&mut server, 1 << 20).await.unwrap();
        server.shutdown().await.unwrap();
        server
    });
    expect_all(&mut client, 1 << 20).await;
    writer.await.unwrap();
}

pub(crate) async fn abrupt_close_ends_reads_and_writes_of_the_peer(subject: &dyn Subject) {
    // A reader sees the end or an error, never silence.
    let (mut client, server) = pair(subject).await;
    drop(server);
    let end = client.read(&mut [0; 16]).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");

    // A writer in full flow gets an error, though the peer had read nothing.
    let (mut client, mut server) = pair(subject).await;
    let writer = tokio::spawn(async move { send(&mut client, usize::MAX).await });
    expect(&mut server, 1000).await;
    drop(server);
    writer.await.unwrap().unwrap_err();
}

pub(crate) async fn slow_reader_holds_back_a_fast_writer(subject: &dyn Subject) {
    // More than any system buffers for one connection.
    const TOTAL: usize = 64 << 20;
    let (mut client, mut server) = pair(subject).await;
    let mut writer = tokio::spawn(async move {
        send(&mut client, TOTAL).await.unwrap();
        client.shutdown().await.unwrap();
        client
    });
    let early = timeout(Duration::from_millis(200), &mut writer).await;
    assert!(early.is_err(), "64 MiB were written and nobody read");
    expect_all(&mut server, TOTAL).await;
    writer.await.unwrap();
}

pub(crate) async fn hundred_connections_are_served_at_once(subject: &dyn Subject) {
    const COUNT: usize = 100;
    let mut listener = subject.listen().await;
    let local = listener.local();
    let server = tokio::spawn(async move {
        // All stay open together: none is answered before all have sent.
        let mut streams = Vec::new();
        for _ in 0..COUNT {
            let handshake = listener.accept().await.unwrap().handshake;
            streams.push(tokio::spawn(async move {
                let (mut stream, _) = handshake.await.unwrap();
                let number = stream.read_u32().await.unwrap();
                (stream, number)
            }));
        }
        let mut ready = Vec::new();
        for stream in streams {
            ready.push(stream.await.unwrap());
        }
        for (stream, number) in &mut ready {
            stream.write_u32(*number + 1).await.unwrap();
            stream.flush().await.unwrap();
        }
        ready
    });
    let clients: Vec<_> = (0..COUNT)
        .map(|number| {
            let (connector, local) = (subject.connector(), local.clone());
            tokio::spawn(async move {
                let number = u32::try_from(number).unwrap();
                let mut stream = connector.connect(&local).await.unwrap();
                stream.write_u32(number).await.unwrap();
                stream.flush().await.unwrap();
                assert_eq!(stream.read_u32().await.unwrap(), number + 1);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.await.unwrap();
}

pub(crate) async fn mute_peer_delays_no_other(subject: &dyn Subject) {
    let mut listener = subject.listen().await;
    let local = listener.local();
    let _mute = subject.mute(&local).await;
    // Its handshake, if there is one, hangs in a task of its own.
    let mute = tokio::spawn(listener.accept().await.unwrap().handshake);
    for _ in 0..3 {
        let (mut client, (mut server, _)) = join(subject, &mut *listener).await;
        send(&mut client, 1000).await.unwrap();
        expect(&mut server, 1000).await;
    }
    mute.abort();
}

pub(crate) async fn close_after_the_last_write_loses_nothing(subject: &dyn Subject) {
    for total in [1, 4, 1000, CHUNK, 1 << 20] {
        let (mut client, mut server) = pair(subject).await;
        // As after CONNACK: the client has read what the server has sent so far, what TLS adds to it included.
        send(&mut server, 4).await.unwrap();
        expect(&mut client, 4).await;
        let writer = tokio::spawn(async move {
            send(&mut client, total).await.unwrap();
            client.shutdown().await.unwrap();
            drop(client);
        });
        if total <= 1000 {
            // Read only when the writer is gone.
            writer.await.unwrap();
            expect_all(&mut server, total).await;
        } else {
            expect_all(&mut server, total).await;
            writer.await.unwrap();
        }
    }
}

pub(crate) async fn answers_are_read_to_the_end_after_shutdown(subject: &dyn Subject) {
    // Both sides write and shut down at once, then read to the end, as `Transport` tells to: neither loses a byte.
    let (client, server) = pair(subject).await;
    let ends = [client, server].map(|mut stream| {
        tokio::spawn(async move {
            send(&mut stream, CHUNK / 4).await.unwrap();
            stream.shutdown().await.unwrap();
            expect_all(&mut stream, CHUNK / 4).await;
        })
    });
    for end in ends {
        end.await.unwrap();
    }
}

pub(crate) async fn silence_ends_nothing(subject: &dyn Subject) {
    // Longer than any keep alive of MQTT, and than the patience of anything below.
    let (mut client, mut server) = pair(subject).await;
    tokio::time::sleep(Duration::from_secs(20 * 60 * 60)).await;
    send(&mut client, 1000).await.unwrap();
    expect(&mut server, 1000).await;
    send(&mut server, 1000).await.unwrap();
    expect(&mut client, 1000).await;
}

pub(crate) async fn dropped_accept_loses_no_connection(subject: &dyn Subject) {
    let mut listener = subject.listen().await;
    let (connector, local) = (subject.connector(), listener.local());
    let client = tokio::spawn(async move {
        let mut stream = connector.connect(&local).await.unwrap();
        send(&mut stream, 1000).await.unwrap();
        stream
    });
    let accepted = loop {
        // Polled once and dropped, again and again, while the connection comes in.
        tokio::select! {
            biased;
            accepted = listener.accept() => break accepted.unwrap(),
            () = tokio::task::yield_now() => {}
        }
    };
    let (mut server, _) = accepted.handshake.await.unwrap();
    expect(&mut server, 1000).await;
    client.await.unwrap();
}

pub(crate) async fn dropped_listener_leaves_its_streams_alive(subject: &dyn Subject) {
    let mut listener = subject.listen().await;
    let local = listener.local();
    let (mut client, (mut server, _)) = join(subject, &mut *listener).await;
    drop(listener);
    assert!(
        subject.connector().connect(&local).await.is_err(),
        "nobody listens any more"
    );
    send(&mut client, 1000).await.unwrap();
    expect(&mut server, 1000).await;
}
