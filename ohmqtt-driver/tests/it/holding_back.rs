//! A server that sends more than the client's Receive Maximum, and an application that takes its time.

use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_codec::{Delivery, Disconnect, MqttString, Packet, PacketId, Qos, ReasonCode};
use ohmqtt_driver::{Clock, Handle};
use ohmqtt_session::{ClientConfig, ClientEvent, ClientSession, Receipt};
use tokio::io::duplex;
use tokio::time::Instant;

use crate::support::{Raw, Side, message, settle};

/// A client that accepts two messages, and acknowledges none by itself.
fn client(stream: tokio::io::DuplexStream) -> Side<ClientSession> {
    let mut config = ClientConfig::new(MqttString::default());
    let properties = &mut config.connect.properties;
    properties.set_receive_maximum(NonZeroU16::new(2).unwrap());
    let handle = Handle::new(ClientSession::new(config), Clock::new());
    Side::spawn(handle, None, stream, |_, _| {})
}

fn publish(n: u16) -> Packet {
    let delivery = Delivery::AtLeastOnce {
        packet_id: PacketId::new(n).unwrap(),
        dup: false,
    };
    let message = message(Qos::AtLeastOnce, n.to_string());
    Packet::Publish(message.to_publish(delivery))
}

/// A client that has been sent so many messages, and its server.
async fn flooded(messages: u16) -> (Side<ClientSession>, Raw) {
    let (near, far) = duplex(64 * 1024);
    let mut client = client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    for n in 1..=messages {
        raw.send(publish(n)).await;
    }
    settle().await;
    (client, raw)
}

/// The messages that came, by what they are acknowledged with.
fn receipts(client: &mut Side<ClientSession>) -> Vec<Receipt> {
    let events = client.events().into_iter();
    events
        .filter_map(|event| match event {
            ClientEvent::Message { receipt, .. } => receipt,
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_read_as_the_application_acknowledges() {
    let (mut client, mut raw) = flooded(50).await;
    let mut held = receipts(&mut client);
    assert_eq!(held.len(), 3);
    let mut acknowledged = 0;
    while let Some(receipt) = held.pop() {
        // Nobody wakes the driver but this.
        client
            .handle
            .with(|session, _| session.acknowledge(receipt, ReasonCode::Success));
        acknowledged += 1;
        settle().await;
        held.extend(receipts(&mut client));
        assert!(held.len() <= 3);
    }
    assert_eq!(acknowledged, 50);
    for n in 1..=50 {
        let want = ohmqtt_codec::Ack::new(PacketId::new(n).unwrap());
        assert_eq!(raw.next().await, Some(Packet::PubAck(want)));
    }
    assert!(!client.run.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_held_back_stays_as_long_as_it_takes() {
    let (mut client, mut raw) = flooded(50).await;
    for _ in 0..20 {
        assert_eq!(raw.next().await, Some(Packet::PingReq));
        raw.send(Packet::PingResp).await;
    }
    assert!(!client.run.is_finished());
    // From here on it listens, and hears that its server is there.
    for receipt in receipts(&mut client) {
        client
            .handle
            .with(|session, _| session.acknowledge(receipt, ReasonCode::Success));
    }
    settle().await;
    assert_eq!(receipts(&mut client).len(), 3);
    assert!(!client.run.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_held_back_disconnects_at_once() {
    let (mut client, mut raw) = flooded(50).await;
    let before = Instant::now();
    client.handle.with(|session, _| {
        session.disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    });
    assert!(matches!(raw.next().await, Some(Packet::Disconnect(_))));
    assert_eq!(raw.next().await, None);
    drop(raw);
    client.end().await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
}

/// Nothing is read, so the end of the stream is not: it shows with what is written.
#[tokio::test(start_paused = true)]
async fn a_server_that_has_gone_is_noticed_with_the_next_packet_to_it() {
    let (mut client, raw) = flooded(50).await;
    drop(raw);
    let before = Instant::now();
    client.end().await.unwrap_err();
    assert!(before.elapsed() <= Duration::from_secs(61));
    let (mut client, raw) = flooded(50).await;
    let held = receipts(&mut client);
    drop(raw);
    let before = Instant::now();
    client
        .handle
        .with(|session, _| session.acknowledge(held[0], ReasonCode::Success));
    client.end().await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_link_is_noticed_once_the_application_has_acknowledged() {
    let (mut client, _raw) = flooded(50).await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert!(!client.run.is_finished());
    let before = Instant::now();
    while !client.run.is_finished() {
        for receipt in receipts(&mut client) {
            client
                .handle
                .with(|session, _| session.acknowledge(receipt, ReasonCode::Success));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // A Keep Alive, the time for an answer, and the time for the end.
        assert!(before.elapsed() < Duration::from_secs(60 + 15 + 5));
    }
}
