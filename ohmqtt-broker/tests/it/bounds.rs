//! Many clients, slow clients, and clients that flood: each hurts itself at most.

use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_codec::{Ack, Packet, Qos, ReasonCode};
use tokio::time::timeout;

use crate::client::{Client, broker, broker_with, connect, topic};

/// [MQTT-4.5.0-1] Every client that matches gets every message.
#[tokio::test]
async fn a_hundred_clients_hear_from_each_other() {
    let broker = broker().await;
    let mut clients = Vec::new();
    for n in 0..100 {
        let mut client = Client::connect(&broker, &format!("c{n}")).await;
        client.subscribe(&format!("to/{n}"), Qos::AtLeastOnce).await;
        client.subscribe("to/all", Qos::AtMostOnce).await;
        clients.push(client);
    }
    for n in 0..100 {
        let next = (n + 1) % 100;
        let reason = clients[n]
            .publish(&format!("to/{next}"), "x", Qos::ExactlyOnce)
            .await;
        assert_eq!(reason, ReasonCode::Success);
        let message = clients[next].receive_message().await;
        assert_eq!(topic(&message), format!("to/{next}"));
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("to/all", "x", Qos::AtLeastOnce).await;
    for client in &mut clients {
        assert_eq!(topic(&client.receive_message().await), "to/all");
    }
}

/// A client that does not acknowledge fills its own queue, and what does not fit is dropped for it alone.
#[tokio::test]
async fn the_queue_of_a_slow_client_is_bounded_in_messages() {
    let broker = broker_with(|limits| limits.session_queue = 10).await;
    let mut slow = connect("slow");
    slow.properties.set_receive_maximum(NonZeroU16::MIN);
    let (mut slow, _) = Client::connect_with(&broker, slow).await;
    let mut quick = Client::connect(&broker, "quick").await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for client in [&mut slow, &mut quick] {
        client.subscribe("t", Qos::AtLeastOnce).await;
    }
    for n in 0..50 {
        let reason = publisher
            .publish("t", &n.to_string(), Qos::AtLeastOnce)
            .await;
        assert_eq!(reason, ReasonCode::Success);
        assert_eq!(quick.receive_message().await.payload, n.to_string());
    }
    for n in 0..10 {
        assert_eq!(slow.receive_message().await.payload, n.to_string());
    }
    slow.expect_nothing().await;
    publisher.publish("t", "room again", Qos::AtLeastOnce).await;
    assert_eq!(slow.receive_message().await.payload, "room again");
}

#[tokio::test]
async fn the_queue_of_an_absent_client_is_bounded_in_bytes() {
    let broker = broker_with(|limits| limits.session_queue_bytes = 10_000).await;
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    absent.subscribe("t", Qos::AtLeastOnce).await;
    absent.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for n in 0..20 {
        publisher
            .publish("t", &format!("{n:04000}"), Qos::AtLeastOnce)
            .await;
    }
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    for n in 0..2 {
        assert_eq!(absent.receive_message().await.payload, format!("{n:04000}"));
    }
    absent.expect_nothing().await;
}

/// Fault class: one client that stops reading holds back the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_back_nobody() {
    let broker = broker_with(|limits| limits.session_queue_bytes = 1 << 20).await;
    let mut stuck = Client::connect(&broker, "stuck").await;
    stuck.subscribe("t", Qos::AtMostOnce).await;
    let mut reader = Client::connect(&broker, "reader").await;
    reader.subscribe("t", Qos::AtMostOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let payload = "x".repeat(64 * 1024);
    for _ in 0..400 {
        let all = async {
            publisher.publish("t", &payload, Qos::AtLeastOnce).await;
            reader.receive_message().await
        };
        timeout(Duration::from_secs(60), all).await.unwrap();
    }
    // When it reads again it finds what its queue has held.
    let mut found = 0;
    stuck.send(Packet::PingReq).await;
    while let Packet::Publish(_) = stuck.receive().await {
        found += 1;
    }
    assert!(found < 400);
    publisher.publish("t", "again", Qos::AtMostOnce).await;
    loop {
        if stuck.receive_message().await.payload == "again" {
            break;
        }
    }
}

/// Fault class: connections that say nothing keep good clients out.
#[tokio::test]
async fn a_flood_of_half_open_connections_keeps_nobody_out() {
    let broker = broker_with(|limits| {
        limits.half_open = 50;
        // Time alone makes no room.
        limits.connect_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(Client::open(&broker).await);
    }
    let good = async {
        let mut client = Client::connect(&broker, "good").await;
        client.publish("t", "x", Qos::AtLeastOnce).await
    };
    let reason = timeout(Duration::from_secs(60), good).await.unwrap();
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
}

/// Fault class: a client that pings and never reads grows the broker.
#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_held_back() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let pings = [0xC0, 0x00].repeat(32 * 1024);
    let mut sent = 0;
    // The broker stops reading when its answers are not taken.
    while timeout(Duration::from_millis(500), client.send_bytes(&pings))
        .await
        .is_ok()
    {
        sent += pings.len();
        assert!(sent < 1 << 30);
    }
    let mut other = Client::connect(&broker, "other").await;
    other.expect_nothing().await;
}

/// Fault class: identifiers of QoS 2 that come again and again leak.
#[tokio::test]
async fn the_same_identifier_again_and_again_is_one_message_each_time() {
    let broker = broker_with(|limits| limits.receive_maximum = NonZeroU16::MIN).await;
    let mut client = Client::connect(&broker, "c").await;
    let packet_id = client.next_id();
    for _ in 0..300 {
        let mut message = crate::client::publish("t", "x");
        message.delivery = ohmqtt_codec::Delivery::ExactlyOnce {
            packet_id,
            dup: false,
        };
        client.send(Packet::Publish(message)).await;
        match client.receive().await {
            Packet::PubRec(ack) => assert_eq!(ack.reason, ReasonCode::NoMatchingSubscribers),
            other => panic!("{other:?}"),
        }
        client.send(Packet::PubRel(Ack::new(packet_id))).await;
        assert_eq!(client.receive().await, Packet::PubComp(Ack::new(packet_id)));
    }
}
