//! The end of a connection: what was said before it arrives, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ohmqtt_codec::{Disconnect, Packet, Qos, ReasonCode};
use ohmqtt_session::{ClientEvent, ClientSession, DisconnectCause, ServerEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::Instant;

use crate::support::{Faults, Faulty, Raw, Side, pair, settle};

fn goodbye() -> Disconnect {
    Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
}

/// [MQTT-3.14.4-1] [MQTT-3.14.4-2] DISCONNECT is the last packet, and the stream ends behind it.
#[tokio::test]
async fn a_disconnect_leaves_behind_what_was_published_and_ends_the_stream() {
    for room in [1, 7, 64 * 1024] {
        let (mut client, mut server) = pair(room).await;
        client.publish(Qos::AtMostOnce, 1, vec![0; 10_000]);
        server.message().await;
        client
            .handle
            .with(|session, _| session.disconnect(goodbye()));
        client.end().await.unwrap();
        server.end().await.unwrap();
        let cause = |event: &ServerEvent| match event {
            ServerEvent::Disconnected { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        assert_eq!(
            server.events().iter().find_map(cause),
            Some(DisconnectCause::ByPeer(goodbye().into()))
        );
        assert_eq!(
            client.events().pop(),
            Some(ClientEvent::Disconnected(DisconnectCause::Requested))
        );
    }
}

#[tokio::test]
async fn two_sides_that_end_at_the_same_time_both_end() {
    let (mut client, mut server) = pair(64).await;
    client
        .handle
        .with(|session, _| session.disconnect(goodbye()));
    let shutting_down = Disconnect::new(ReasonCode::ServerShuttingDown);
    server
        .handle
        .with(|session, _| session.disconnect(shutting_down));
    client.end().await.unwrap();
    server.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_holds_up_the_end_for_two_seconds() {
    for payload in [0, 10_000, 1024 * 1024] {
        let (near, far) = duplex(64);
        let mut client = Side::client(near);
        let mut raw = Raw::new(far);
        raw.accept().await;
        client.connected().await;
        client.publish(Qos::AtLeastOnce, 1, vec![0; payload]);
        client.publish(Qos::AtLeastOnce, 2, vec![0; payload]);
        settle().await;
        let before = Instant::now();
        client
            .handle
            .with(|session, _| session.disconnect(goodbye()));
        let _ = client.end().await;
        assert!(before.elapsed() <= Duration::from_secs(3), "{payload}");
        assert_eq!(
            client.events().pop(),
            Some(ClientEvent::Disconnected(DisconnectCause::Requested))
        );
        assert_eq!(client.handle.read(ClientSession::queued).0, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_its_side_holds_up_nobody_but_the_stream() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    let before = Instant::now();
    client
        .handle
        .with(|session, _| session.disconnect(goodbye()));
    client
        .until(|event| matches!(event, ClientEvent::Disconnected(_)).then_some(()))
        .await;
    assert!(before.elapsed() < Duration::from_millis(10));
    assert!(matches!(raw.next().await, Some(Packet::Disconnect(_))));
    assert_eq!(raw.next().await, None);
    client.end().await.unwrap();
    assert!(before.elapsed() <= Duration::from_secs(3));
}

/// A peer that writes while it is told goodbye, and reads only when that is done.
#[tokio::test(start_paused = true)]
async fn a_peer_that_writes_first_and_reads_later_still_gets_the_disconnect() {
    let (near, far) = duplex(64);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    client.publish(Qos::AtMostOnce, 1, vec![0; 1000]);
    settle().await;
    client
        .handle
        .with(|session, _| session.disconnect(goodbye()));
    settle().await;
    let before = Instant::now();
    for _ in 0..100 {
        raw.send(Packet::PingResp).await;
    }
    let got = raw.next().await;
    assert!(matches!(got, Some(Packet::Publish(_))), "{got:?}");
    let got = raw.next().await;
    assert!(matches!(got, Some(Packet::Disconnect(_))), "{got:?}");
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_was_sent_last_is_not_taken_back_by_what_was_not_read() {
    // TCP takes back what it has sent when a socket is dropped with bytes unread.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let near = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let mut client = Side::client(near);
    far.write_all(&crate::support::bytes_of(&crate::support::connack()))
        .await
        .unwrap();
    client.connected().await;
    client
        .handle
        .with(|session, _| session.disconnect(goodbye()));
    // Late packets cross the DISCONNECT.
    for _ in 0..100 {
        far.write_all(&[0xD0, 0x00]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all[all.len() - 2..], [0xE0, 0x00]);
    drop(far);
    client.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_said_goodbye_gets_an_orderly_end_and_is_not_waited_for() {
    let (near, far) = duplex(1024);
    let near = Faulty::new(near, Faults::default());
    let seen = Arc::clone(&near.seen);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    let shutting_down = Disconnect::new(ReasonCode::ServerShuttingDown);
    let before = Instant::now();
    raw.send(Packet::Disconnect(shutting_down)).await;
    client.end().await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(10));
    assert!(seen.ended.load(Ordering::SeqCst));
    assert_eq!(raw.next().await, None);
}
