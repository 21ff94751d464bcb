//! Peers that send more than they take: memory stays bounded, and two of ours never wait for each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{MqttString, Packet, Qos, RetainHandling, SubscriptionOptions};
use ohmqtt_driver::{Cell, Clock, Handle};
use ohmqtt_session::{
    ClientConfig, ClientEvent, ClientSession, PublishError, PublishOptions, Routed, ServerConfig,
    ServerEvent, ServerSession, Subscription, Ticket,
};
use tokio::io::{AsyncWriteExt, duplex};

use crate::support::{Raw, Side, bytes_of, connect, message, pair, settle, within};

/// What a driver may hold beside what its session does: both directions.
const DRIVER_HOLDS: usize = 1024 * 1024;

fn subscription() -> Subscription {
    Subscription {
        options: SubscriptionOptions {
            retain_handling: RetainHandling::SendAtSubscribe,
            ..SubscriptionOptions::new(Qos::ExactlyOnce)
        },
        identifier: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_fills_the_outbox_and_nothing_else() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    // A mebibyte at a time, until the outbox is full: what went past it is in the driver.
    let payload = bytes::Bytes::from(vec![0; 1024 * 1024 - 100]);
    let mut taken = 0;
    loop {
        let message = message(Qos::AtMostOnce, payload.clone());
        let published = client
            .handle
            .with(|session, now| session.publish(now, message, PublishOptions::default()));
        settle().await;
        match published {
            Ok(()) => taken += 1,
            Err(rejected) => {
                assert!(matches!(rejected.error, PublishError::Full { .. }));
                break;
            }
        }
    }
    let (messages, bytes) = client.handle.read(ClientSession::queued);
    assert!(bytes <= 64 * 1024 * 1024);
    assert!(taken - messages <= 2, "{} in the driver", taken - messages);
    // And everything goes on when it reads.
    for _ in 0..taken {
        assert!(matches!(raw.next().await, Some(Packet::Publish(_))));
    }
    assert_eq!(client.handle.read(ClientSession::queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_is_held_back() {
    let (near, far) = duplex(1024);
    let _server = Side::server(far);
    let mut raw = Raw::new(near);
    raw.send(connect()).await;
    assert!(matches!(raw.next().await, Some(Packet::ConnAck(_))));
    let flood = bytes_of(&Packet::PingReq).repeat(512);
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(1), raw.stream.write_all(&flood))
        .await
        .is_ok()
    {
        sent += flood.len();
        assert!(sent < DRIVER_HOLDS, "nothing holds the peer back");
    }
    // What was taken is answered once the peer reads.
    for _ in 0..sent / 2 {
        assert_eq!(raw.next().await, Some(Packet::PingResp));
    }
}

#[tokio::test]
async fn a_flood_of_pings_is_read_no_faster_than_it_is_answered() {
    let flood = Flood::default();
    let counts = Arc::clone(&flood.counts);
    let server = Side::server(flood);
    within(async {
        while counts.lock().unwrap().read < 16 * 1024 * 1024 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    server.run.abort();
    let counts = counts.lock().unwrap();
    assert!(counts.most < DRIVER_HOLDS, "{} bytes behind", counts.most);
}

/// A stream that always has more PINGREQs and takes everything.
#[derive(Debug, Default)]
struct Flood {
    counts: Arc<std::sync::Mutex<Counts>>,
    greeted: bool,
    turns: usize,
}

#[derive(Debug, Default)]
struct Counts {
    read: usize,
    written: usize,
    /// The most that was read and not answered.
    most: usize,
}

impl tokio::io::AsyncRead for Flood {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.turns += 1;
        if self.turns.is_multiple_of(16) {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        if self.greeted {
            let pings = [0xC0, 0x00].repeat(buf.remaining() / 2);
            buf.put_slice(&pings);
            let mut counts = self.counts.lock().unwrap();
            counts.read += pings.len();
            counts.most = counts.most.max(counts.read.saturating_sub(counts.written));
        } else {
            self.greeted = true;
            buf.put_slice(&bytes_of(&connect()));
        }
        std::task::Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Flood {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.counts.lock().unwrap().written += buf.len();
        std::task::Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// Each side's stream is full of what the other does not read because its own is full: one of them has to read.
#[tokio::test(start_paused = true)]
async fn two_sides_that_flood_each_other_go_on() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let handle = {
        let clock = Clock::new();
        let session = ServerSession::new(clock.now(), ServerConfig::default());
        Handle::new(session, clock)
    };
    // A server that sends everything back.
    let mut server = Side::spawn(handle, None, far, |handle, event| match event {
        ServerEvent::Connect(_) => {
            handle.with(|session, now| session.accept(now, ohmqtt_session::Accept::default()));
        }
        ServerEvent::Message { message, receipt } => handle.with(|session, now| {
            let options = PublishOptions::default();
            let _ = session.deliver(now, message, &[subscription()], Routed::Own, options);
            if let Some(receipt) = receipt {
                session.acknowledge(*receipt, ohmqtt_codec::ReasonCode::Success);
            }
        }),
        _ => {}
    });
    client.connected().await;
    for n in 1..=400 {
        client.publish(Qos::AtMostOnce, n, vec![0; 16 * 1024]);
        client.publish(Qos::AtLeastOnce, 1000 + n, vec![0; 16 * 1024]);
    }
    client.acked(1400).await;
    assert!(server.events().len() >= 800);
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_while_the_peer_reads_slowly() {
    let (mut client, server) = pair(512).await;
    // Both directions at once, over a stream that is always full.
    for n in 1..=200 {
        client.publish(Qos::ExactlyOnce, n, vec![0; 4096]);
        let back = message(Qos::ExactlyOnce, vec![0; 4096]);
        server
            .handle
            .with(|session, now| {
                session.deliver(
                    now,
                    &back,
                    &[subscription()],
                    Routed::Published,
                    PublishOptions::default(),
                )
            })
            .unwrap();
    }
    client.acked(200).await;
    settle().await;
    within(async {
        while server.handle.read(ServerSession::queued).0 > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// No call goes unheard, whatever the driver is about at that moment: each thread waits for its message before it sends the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_from_many_threads_are_all_heard() {
    let (near, far) = duplex(256);
    let waiting = Arc::new(Cell::new(HashSet::new()));
    let session = ClientSession::new(ClientConfig::new(MqttString::default()));
    let handle = Handle::new(session, Clock::new());
    let acked = Arc::clone(&waiting);
    let mut client = Side::spawn(handle, None, near, move |_, event| {
        if let ClientEvent::Acked { ticket, .. } = event {
            acked.update(|acked| acked.insert(ticket.0));
        }
    });
    let _server = Side::server(far);
    client.connected().await;
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (handle, acked) = (client.handle.clone(), Arc::clone(&waiting));
            std::thread::spawn(move || {
                for n in 0..500 {
                    let ticket = 1 + thread * 500 + n;
                    let options = PublishOptions {
                        ticket: Ticket(ticket),
                        ..PublishOptions::default()
                    };
                    let message = message(Qos::AtLeastOnce, vec![0; 50]);
                    handle
                        .with(|session, now| session.publish(now, message, options))
                        .unwrap();
                    let was_acked = acked.until_blocking(Some(Duration::from_secs(20)), |acked| {
                        acked.remove(&ticket).then_some(())
                    });
                    was_acked.expect("a call went unheard");
                }
            })
        })
        .collect();
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap();
    }
}
