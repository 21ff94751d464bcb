//! Frames: what is sent, what is taken, what is refused.

use std::io;

use ohmqtt_transport::{
    Connector, ListenOptions, Transport, TransportErrorKind, WsOptions, listen_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::{CloseFrame, Message};

use super::{listen_at, mqtt, with_client, with_server};
use crate::contract::in_time;

fn part(data: Data, payload: &'static [u8], is_final: bool) -> Message {
    Message::Frame(Frame::message(payload, OpCode::Data(data), is_final))
}

async fn read_to_end(stream: &mut dyn Transport) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let result = in_time(stream.read_to_end(&mut bytes)).await;
    (bytes, result.map(drop))
}

/// [MQTT-6.0.0-2] Packets over several frames, several in one, over fragments; with a ping in between, which is answered.
#[tokio::test]
async fn bytes_are_the_same_however_they_are_framed() {
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let (client, server) = with_client(
        &mut *listener,
        |_| {},
        |mut socket| {
            socket.send(Message::binary(&b"sev"[..])).unwrap();
            socket.send(Message::binary(&b""[..])).unwrap();
            socket
                .send(Message::binary(&b"eral packets in one"[..]))
                .unwrap();
            socket.send(part(Data::Binary, b" and", false)).unwrap();
            socket.send(Message::Ping((&b"42"[..]).into())).unwrap();
            socket.send(part(Data::Continue, b" one", false)).unwrap();
            socket.send(part(Data::Continue, b"", false)).unwrap();
            socket
                .send(part(Data::Continue, b" in several", true))
                .unwrap();
            socket
                .send(Message::Pong((&b"not asked for"[..]).into()))
                .unwrap();
            let pong = socket.read().unwrap();
            socket.close(None).unwrap();
            let end = loop {
                match socket.read() {
                    Ok(message) => assert!(message.is_close(), "{message}"),
                    Err(error) => break error,
                }
            };
            (pong, end)
        },
    )
    .await;
    let (mut stream, _) = server.unwrap();
    let (bytes, end) = read_to_end(&mut *stream).await;
    end.unwrap();
    assert_eq!(bytes, b"several packets in one and one in several");
    stream.shutdown().await.unwrap();
    let (pong, end) = client.join().unwrap().unwrap();
    assert_eq!(pong, Message::Pong((&b"42"[..]).into()));
    assert!(matches!(end, tungstenite::Error::ConnectionClosed), "{end}");
}

/// [MQTT-6.0.0-1] What goes out is binary, from either end, and ends with a close.
#[tokio::test]
async fn only_binary_frames_are_sent() {
    fn received(mut socket: tungstenite::WebSocket<std::net::TcpStream>) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match socket.read().unwrap() {
                Message::Binary(payload) => bytes.extend_from_slice(&payload),
                Message::Close(Some(reason)) => {
                    assert_eq!(reason.code, CloseCode::Normal);
                    return bytes;
                }
                other => panic!("{other}"),
            }
        }
    }
    async fn send(mut stream: Box<dyn Transport>) {
        for _ in 0..3 {
            stream.write_all(&[7; 1000]).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let closed = stream.write(b"more").await.unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
        // The peer answers the close by itself.
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
    }
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let (client, server) = with_client(&mut *listener, |_| {}, received).await;
    in_time(send(server.unwrap().0)).await;
    assert_eq!(client.join().unwrap().unwrap(), [7; 3000]);

    let answer = |_: &_, response| Ok(mqtt(response));
    let (server, client) = with_server(&Connector::new(), "/", answer, received).await;
    in_time(send(client.unwrap())).await;
    assert_eq!(server.join().unwrap().unwrap(), [7; 3000]);
}

/// Reads the close code that the peer sends, then the end of the connection.
fn code_at_the_end(mut socket: tungstenite::WebSocket<std::net::TcpStream>) -> u16 {
    let mut code = None;
    loop {
        match socket.read() {
            Ok(Message::Close(Some(reason))) => code = Some(reason.code.into()),
            Ok(other) => panic!("{other}"),
            Err(_) => return code.unwrap(),
        }
    }
}

/// What the holder of a stream gets whose peer broke the rules: bytes before, then an error, again and again.
async fn check_refused(mut stream: Box<dyn Transport>, before: &[u8], words: &str) {
    let (bytes, end) = read_to_end(&mut *stream).await;
    assert_eq!(bytes, before);
    let error = end.unwrap_err();
    assert_eq!(
        TransportErrorKind::of(&error),
        TransportErrorKind::WebSocket
    );
    assert!(error.to_string().contains(words), "{error}");
    assert!(!TransportErrorKind::of(&error).is_retryable());
    let (bytes, end) = read_to_end(&mut *stream).await;
    assert!(bytes.is_empty() && end.is_err());
    stream.write_all(b"more").await.unwrap_err();
}

/// [MQTT-6.0.0-1] The stream fails, and the peer is told and cut off.
#[tokio::test]
async fn text_frame_closes_the_connection() {
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let (client, server) = with_client(
        &mut *listener,
        |_| {},
        |mut socket| {
            socket.send(Message::binary(&b"fine"[..])).unwrap();
            socket.send(Message::text("CONNECT")).unwrap();
            code_at_the_end(socket)
        },
    )
    .await;
    check_refused(server.unwrap().0, b"fine", "text frame").await;
    assert_eq!(client.join().unwrap().unwrap(), 1003);

    let answer = |_: &_, response| Ok(mqtt(response));
    let (server, client) = with_server(&Connector::new(), "/", answer, |mut socket| {
        socket.send(Message::binary(&b"fine"[..])).unwrap();
        socket.send(Message::text("CONNACK")).unwrap();
        code_at_the_end(socket)
    })
    .await;
    check_refused(client.unwrap(), b"fine", "text frame").await;
    assert_eq!(server.join().unwrap().unwrap(), 1003);
}

#[tokio::test]
async fn message_over_the_limit_closes_the_connection() {
    let options = ListenOptions::new().websocket(WsOptions::new().message_limit(10));
    let at = "ws://127.0.0.1:0".parse().unwrap();
    let mut listener = listen_with(&at, options).await.unwrap();
    let (client, server) = with_client(
        &mut *listener,
        |_| {},
        |mut socket| {
            socket.send(Message::binary(&b"ten bytes."[..])).unwrap();
            socket.send(part(Data::Binary, b"five.", false)).unwrap();
            socket.send(part(Data::Continue, b"and six", true)).unwrap();
            code_at_the_end(socket)
        },
    )
    .await;
    check_refused(
        server.unwrap().0,
        b"ten bytes.five.",
        "longer than 10 bytes",
    )
    .await;
    assert_eq!(client.join().unwrap().unwrap(), 1009);
}

#[tokio::test]
async fn reason_of_the_peers_close_is_told() {
    let table = [
        (CloseCode::Normal, None),
        (CloseCode::Away, None),
        (
            CloseCode::Unsupported,
            Some((TransportErrorKind::WebSocket, "code 1003: no way")),
        ),
        (
            CloseCode::Restart,
            Some((TransportErrorKind::Reset, "code 1012: no way")),
        ),
    ];
    for (code, want) in table {
        let answer = |_: &_, response| Ok(mqtt(response));
        let (server, client) = with_server(&Connector::new(), "/", answer, move |mut socket| {
            let reason = "no way".into();
            socket.close(Some(CloseFrame { code, reason })).unwrap();
            while socket.read().is_ok() {}
        })
        .await;
        let mut client = client.unwrap();
        let (_, end) = read_to_end(&mut *client).await;
        match (end, want) {
            (Ok(()), None) => {}
            (Err(error), Some((kind, words))) => {
                assert_eq!(TransportErrorKind::of(&error), kind);
                assert!(error.to_string().contains(words), "{error}");
            }
            (end, _) => panic!("{code}: {end:?}"),
        }
        client.shutdown().await.unwrap();
        drop(client);
        server.join().unwrap().unwrap();
    }
}

/// A connection that breaks in the middle of a frame has lost something; one that breaks between two has not.
#[tokio::test]
async fn end_in_the_middle_of_a_frame_is_an_error() {
    for (sent, cut) in [
        (&b"\x82\x04whole"[..6], false),
        (b"\x82\x05cut", true),
        (b"\x82", true),
    ] {
        let answer = |_: &_, response| Ok(mqtt(response));
        let (server, client) = with_server(&Connector::new(), "/", answer, move |socket| {
            io::Write::write_all(&mut socket.get_ref(), sent).unwrap();
        })
        .await;
        let (_, end) = read_to_end(&mut *client.unwrap()).await;
        match end {
            Ok(()) => assert!(!cut),
            Err(error) => {
                assert!(cut, "{error}");
                assert_eq!(TransportErrorKind::of(&error), TransportErrorKind::Reset);
            }
        }
        server.join().unwrap().unwrap();
    }
}

#[tokio::test]
async fn pings_of_a_peer_that_does_not_read_hold_up_nothing() {
    const PINGS: u32 = 200_000;
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let (client, server) = with_client(
        &mut *listener,
        |_| {},
        |socket| {
            let mut ping = vec![0x89, 0xfd, 0, 0, 0, 0];
            ping.extend([b'x'; 125]);
            let pings = ping.repeat(1000);
            let mut stream = socket.get_ref();
            for _ in 0..PINGS / 1000 {
                io::Write::write_all(&mut stream, &pings).unwrap();
            }
            io::Write::write_all(&mut stream, b"\x82\x84\0\0\0\0done").unwrap();
            socket
        },
    )
    .await;
    let mut stream = server.unwrap().0;
    let mut done = [0; 4];
    in_time(stream.read_exact(&mut done)).await.unwrap();
    assert_eq!(&done, b"done");
    client.join().unwrap().unwrap();
}

/// Reader and writer in tasks of their own: that one answers pings does not take the other's place in the socket's queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_do_not_hold_up_a_writer_in_another_task() {
    const TOTAL: usize = 8 << 20;
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let (client, server) = with_client(
        &mut *listener,
        |_| {},
        |mut socket| {
            let mut stream = socket.get_ref().try_clone().unwrap();
            let pings = std::thread::spawn(move || {
                for _ in 0..20_000 {
                    io::Write::write_all(&mut stream, b"\x89\x81\0\0\0\0x").unwrap();
                }
                io::Write::write_all(&mut stream, b"\x88\x80\0\0\0\0").unwrap();
            });
            let (mut received, mut is_answered) = (0, false);
            while received < TOTAL || !is_answered {
                match socket.read().unwrap() {
                    Message::Binary(payload) => received += payload.len(),
                    other => {
                        assert!(other.is_pong(), "{other}");
                        is_answered = true;
                    }
                }
            }
            pings.join().unwrap();
            // A socket that is dropped with answers unread would end the connection before all of it is read at the other end.
            socket
        },
    )
    .await;
    let (mut reader, mut writer) = tokio::io::split(server.unwrap().0);
    let reader = tokio::spawn(async move { reader.read(&mut [0]).await.unwrap() });
    let writer = tokio::spawn(async move {
        let chunk = vec![7; 1 << 20];
        for _ in 0..8 {
            writer.write_all(&chunk).await.unwrap();
        }
        writer.flush().await.unwrap();
        writer
    });
    in_time(writer).await.unwrap();
    assert_eq!(in_time(reader).await.unwrap(), 0);
    client.join().unwrap().unwrap();
}
