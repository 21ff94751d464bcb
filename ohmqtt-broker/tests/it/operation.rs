//! What those who run a broker tell it and ask it: `$SYS`, metrics, bounds of queues, Keep Alive, sending clients away.

use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_broker::{Broker, Limits, WhenFull};
use ohmqtt_codec::{Packet, Qos, ReasonCode};

use crate::client::{Client, broker, broker_with, connect, topic, will};

/// [MQTT-3.1.2-28] Response Information is for those who ask.
#[tokio::test]
async fn response_information_is_told_to_who_asks() {
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let broker = builder
        .response_information("replies/")
        .start()
        .await
        .unwrap();
    for (asks, told) in [
        (None, None),
        (Some(false), None),
        (Some(true), Some("replies/")),
    ] {
        let mut connect = connect("c");
        if let Some(asks) = asks {
            connect.properties.set_request_response_information(asks);
        }
        let (_client, connack) = Client::connect_with(&broker, connect).await;
        assert_eq!(connack.properties.response_information(), told, "{asks:?}");
    }
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let error = builder
        .response_information("\0")
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("null"), "{error}");
}

/// [MQTT-3.2.2-21] [MQTT-3.2.2-22] [MQTT-3.1.2-22] A longer Keep Alive than there may be is replaced, and the one that was told counts.
#[tokio::test]
async fn a_keep_alive_is_no_longer_than_the_broker_allows() {
    let broker = broker_with(|limits| limits.keep_alive = NonZeroU16::new(1)).await;
    for asked in [0, 2, u16::MAX] {
        let mut connect = connect("c");
        connect.keep_alive = asked;
        let (_client, connack) = Client::connect_with(&broker, connect).await;
        assert_eq!(connack.properties.server_keep_alive(), Some(1));
    }
    let mut connect = connect("c");
    connect.keep_alive = 1;
    let (mut client, connack) = Client::connect_with(&broker, connect).await;
    assert_eq!(connack.properties.server_keep_alive(), None);
    client.expect_disconnect(ReasonCode::KeepAliveTimeout).await;
}

#[tokio::test]
async fn a_broker_sends_clients_to_another_one() {
    let broker = broker().await;
    let mut there = Client::connect(&broker, "there").await;
    assert!(!broker.redirect("a\0b"));
    assert!(broker.redirect("elsewhere:1883"));
    let (mut refused, connack) = Client::connect_with(&broker, connect("new")).await;
    assert_eq!(connack.reason, ReasonCode::UseAnotherServer);
    assert_eq!(
        connack.properties.server_reference(),
        Some("elsewhere:1883")
    );
    refused.expect_end().await;
    assert!(broker.redirect(""));
    Client::connect(&broker, "new").await;
    there.expect_nothing().await;
    assert!(broker.redirect("elsewhere:1883"));
    let ending = tokio::spawn(broker.shutdown(Duration::from_secs(5)));
    match there.receive().await {
        Packet::Disconnect(disconnect) => {
            assert_eq!(disconnect.reason, ReasonCode::UseAnotherServer);
            let server = disconnect.properties.server_reference();
            assert_eq!(server, Some("elsewhere:1883"));
        }
        other => panic!("{other:?}"),
    }
    drop(there);
    ending.await.unwrap();
}

#[tokio::test]
async fn a_client_is_disconnected_by_who_runs_the_broker() {
    let broker = broker().await;
    let mut watcher = Client::connect(&broker, "watcher").await;
    watcher.subscribe("will", Qos::AtMostOnce).await;
    let mut connect = connect("c");
    connect.will = Some(will("will", "gone"));
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    assert!(!broker.disconnect("another"));
    assert!(broker.disconnect("c"));
    client
        .expect_disconnect(ReasonCode::AdministrativeAction)
        .await;
    drop(client);
    assert_eq!(watcher.receive_message().await.payload, "gone");
    assert!(!broker.disconnect("c"));
}

/// Sends ten messages to a client with room for three that takes one at a time; gives that client.
async fn overflown(when_full: WhenFull) -> (Broker, Client) {
    let broker = broker_with(|limits| {
        limits.session_queue = 3;
        limits.when_full = when_full;
    })
    .await;
    let mut slow = connect("slow");
    slow.properties.set_receive_maximum(NonZeroU16::MIN);
    let (mut slow, _) = Client::connect_with(&broker, slow).await;
    slow.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for n in 0..10 {
        let payload = n.to_string();
        publisher.publish("t", &payload, Qos::AtLeastOnce).await;
        if n == 0 {
            // It is under way before the others come.
            assert_eq!(slow.receive_publish().await.payload, "0");
        }
    }
    (broker, slow)
}

#[tokio::test]
async fn a_full_queue_keeps_the_oldest_messages_or_the_newest() {
    for (when_full, want) in [
        (WhenFull::DropNewest, ["1", "2"]),
        (WhenFull::DropOldest, ["8", "9"]),
    ] {
        let (broker, mut slow) = overflown(when_full).await;
        assert_eq!(broker.metrics().dropped, 7, "{when_full:?}");
        assert_eq!(broker.metrics().queued, 3);
        let first = ohmqtt_codec::PacketId::new(1).unwrap();
        slow.send(Packet::PubAck(ohmqtt_codec::Ack::new(first)))
            .await;
        for payload in want {
            assert_eq!(slow.receive_message().await.payload, payload);
        }
        slow.expect_nothing().await;
        assert_eq!(broker.metrics().delivered, 3);
    }
}

#[tokio::test]
async fn a_full_queue_ends_the_connection_where_that_is_chosen() {
    let (broker, mut slow) = overflown(WhenFull::Disconnect).await;
    slow.expect_disconnect(ReasonCode::QuotaExceeded).await;
    assert!(broker.metrics().dropped > 0);
}

#[tokio::test]
async fn the_brokers_figures_are_on_topics_of_its_own() {
    let broker = broker_with(|limits| {
        limits.sys_interval = Some(Duration::from_millis(20));
        // They take nobody's room.
        limits.retained = 1;
    })
    .await;
    let mut client = Client::connect(&broker, "c").await;
    client.publish_retained("kept", "x").await;
    client.subscribe("#", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "kept");
    client
        .subscribe("$SYS/broker/clients/+", Qos::AtMostOnce)
        .await;
    let await_connected = async |client: &mut Client, count: &str| loop {
        let message = client.receive_message().await;
        if topic(&message) == "$SYS/broker/clients/connected" && message.payload == count {
            return message;
        }
    };
    await_connected(&mut client, "1").await;
    let other = Client::connect(&broker, "other").await;
    // What is new is published, and not as retained.
    assert!(!await_connected(&mut client, "2").await.retain);
    other.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    await_connected(&mut client, "1").await;
    // And who comes later finds it.
    let mut late = Client::connect(&broker, "late").await;
    late.subscribe("$SYS/broker/version", Qos::AtMostOnce).await;
    let version = late.receive_message().await;
    assert!(version.retain);
    assert!(version.payload.starts_with(b"ohmqtt version "));
    late.subscribe("$SYS/broker/retained messages/count", Qos::AtMostOnce)
        .await;
    assert_eq!(late.receive_message().await.payload, "1");
}

#[tokio::test]
async fn a_broker_without_the_figures_has_none() {
    let broker = broker_with(|limits| limits.sys_interval = None).await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("$SYS/#", Qos::AtMostOnce).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn metrics_count_what_has_happened() {
    let broker = Broker::builder().listen("mqtt://127.0.0.1:0");
    let broker = broker.limits(Limits::default()).start().await.unwrap();
    let before = broker.metrics();
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    client.subscribe("u/+", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t", "x", Qos::AtLeastOnce).await;
    client.receive_message().await;
    client.expect_nothing().await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    publisher.publish("t", "waits", Qos::AtLeastOnce).await;
    publisher.publish_retained("r", "kept").await;
    let after = broker.metrics();
    assert_eq!(
        (after.connected, after.most_connected, after.sessions),
        (1, 2, 2)
    );
    assert_eq!((after.published, after.delivered, after.dropped), (3, 1, 0));
    assert_eq!(
        (after.queued, after.retained, after.subscriptions),
        (1, 1, 2)
    );
    assert!(after.queued_bytes > 5 && after.retained_bytes > 4);
    assert!(after.bytes_received > before.bytes_received + 40);
    assert!(after.bytes_sent > before.bytes_sent + 30);
    assert!(after.uptime > before.uptime);
}
