//! When the driver rests. The clock stands still as long as any task has something to do, so that a rest is all that moves it.

use std::time::Duration;

use ohmqtt_codec::{Ack, AckProperties, Packet, PacketId, Qos, ReasonCode};
use ohmqtt_session::{ClientEvent, ClientSession, Session};
use tokio::io::duplex;
use tokio::time::Instant;

use crate::support::{Raw, Side, pair, settle};

/// More than are heard one by one before the first rest.
const SOME: u16 = 40;
/// What a rest cannot last.
const LONG: Duration = Duration::from_millis(5);

/// A client with so many messages under way, and the server that has them.
async fn under_way(messages: u16) -> (Side<ClientSession>, Raw) {
    let (near, far) = duplex(1024 * 1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    for n in 1..=messages {
        client.publish(Qos::AtLeastOnce, n.into(), "x");
    }
    for _ in 1..=messages {
        assert!(matches!(raw.next().await, Some(Packet::Publish(_))));
    }
    settle().await;
    (client, raw)
}

async fn acknowledge(raw: &mut Raw, id: u16) {
    raw.send(Packet::PubAck(Ack {
        packet_id: PacketId::new(id).unwrap(),
        reason: ReasonCode::Success,
        properties: AckProperties::default(),
    }))
    .await;
    settle().await;
}

fn awaited(client: &Side<ClientSession>) -> u16 {
    u16::try_from(client.handle.read(Session::awaited)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_gather_while_many_are_due_and_come_one_by_one() {
    let (client, mut raw) = under_way(1_000).await;
    client.polls();
    for id in 1..=SOME {
        acknowledge(&mut raw, id).await;
    }
    // The last ones stand unread: the driver was not even asked.
    assert!(awaited(&client) > 1_000 - SOME);
    assert!(client.polls() < usize::from(SOME));
    let before = Instant::now();
    while awaited(&client) > 1_000 - SOME {
        tokio::time::sleep(Duration::from_millis(1)).await;
        settle().await;
    }
    assert!(before.elapsed() < LONG);
}

#[tokio::test(start_paused = true)]
async fn answers_do_not_gather_while_few_are_due() {
    let (client, mut raw) = under_way(SOME).await;
    let before = Instant::now();
    for id in 1..=SOME {
        acknowledge(&mut raw, id).await;
        assert_eq!(awaited(&client), SOME - id);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_each_answer_never_meets_a_rest() {
    let (mut client, _server) = pair(64 * 1024).await;
    let before = Instant::now();
    for n in 1..=1_000 {
        client.publish(Qos::AtLeastOnce, n, "x");
        client.acked(n).await;
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn calls_that_each_had_a_write_are_gathered() {
    let (client, mut server) = pair(1024 * 1024).await;
    client.polls();
    for n in 0..1_000 {
        client.publish(Qos::AtMostOnce, n, "x");
        settle().await;
    }
    // Some had one each, of the others every 65th.
    assert!(client.polls() < 100);
    let before = Instant::now();
    for _ in 0..1_000 {
        server.message().await;
    }
    assert!(before.elapsed() < LONG);
}

#[tokio::test(start_paused = true)]
async fn a_rest_ends_with_the_stream() {
    let (mut client, mut raw) = under_way(1_000).await;
    for id in 1..=SOME {
        acknowledge(&mut raw, id).await;
    }
    let before = Instant::now();
    drop(raw);
    client.end().await.unwrap();
    assert!(before.elapsed() < LONG);
    // And what came before the end was heard.
    let events = client.events();
    let acked = events
        .iter()
        .filter(|event| matches!(event, ClientEvent::Acked { .. }));
    assert_eq!(acked.count(), usize::from(SOME));
}
