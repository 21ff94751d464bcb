//! Sessions that outlive their connections, and connections that take them over.

use std::time::Duration;

use ohmqtt_codec::{Ack, Delivery, Disconnect, DisconnectProperties, Packet, Qos, ReasonCode};

use crate::client::{Client, broker, broker_with, connect, publish, resuming, will};

/// [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.2-23] [MQTT-3.2.2-3] A session is begun, kept and resumed, and Session Present tells which.
#[tokio::test]
async fn messages_wait_for_an_absent_client_and_come_in_order() {
    let broker = broker().await;
    let (mut subscriber, present) = Client::resume(&broker, "subscriber", 100).await;
    assert!(!present);
    subscriber.subscribe("t/+", Qos::ExactlyOnce).await;
    subscriber
        .disconnect(ReasonCode::NORMAL_DISCONNECTION)
        .await;

    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t/0", "lost", Qos::AtMostOnce).await;
    for n in 0..20 {
        let qos = if n % 2 == 0 {
            Qos::AtLeastOnce
        } else {
            Qos::ExactlyOnce
        };
        let reason = publisher.publish("t/x", &n.to_string(), qos).await;
        assert_eq!(reason, ReasonCode::Success);
    }
    let (mut subscriber, present) = Client::resume(&broker, "subscriber", 100).await;
    assert!(present);
    for n in 0..20 {
        let message = subscriber.receive_message().await;
        assert_eq!(message.payload, n.to_string());
        assert!(!message.delivery.dup());
    }
    subscriber.expect_nothing().await;
    publisher
        .publish("t/y", "still subscribed", Qos::AtMostOnce)
        .await;
    assert_eq!(
        subscriber.receive_message().await.payload,
        "still subscribed"
    );
}

/// [MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2] Clean Start: nothing is left of the old session.
#[tokio::test]
async fn a_clean_start_discards_the_session() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t", "queued", Qos::AtLeastOnce).await;

    let (mut client, connack) = Client::connect_with(&broker, connect("c")).await;
    assert!(!connack.session_present);
    let reason = publisher.publish("t", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_session_without_an_expiry_interval_ends_with_its_connection() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 0).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let (mut client, present) = Client::resume(&broker, "c", 0).await;
    assert!(!present);
    assert_eq!(
        client.unsubscribe("t").await,
        ReasonCode::NoSubscriptionExisted
    );
}

/// [MQTT-4.1.0-2] [MQTT-3.1.2-8] The session goes with its interval, and a will that was to come later comes then.
#[tokio::test]
async fn a_session_ends_when_its_interval_has_passed() {
    let broker = broker().await;
    let mut watcher = Client::connect(&broker, "watcher").await;
    watcher.subscribe("will", Qos::AtMostOnce).await;
    let mut connect = resuming("c", 1);
    let mut ends = will("will", "the session ended");
    ends.properties.set_will_delay_interval(100);
    connect.will = Some(ends);
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    let start = std::time::Instant::now();
    drop(client);
    assert_eq!(watcher.receive_message().await.payload, "the session ended");
    assert!(start.elapsed() >= Duration::from_secs(1));
    let reason = watcher.publish("t", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    let (_client, present) = Client::resume(&broker, "c", 1).await;
    assert!(!present);
}

/// [MQTT-4.1.0-1] The interval does not run while the client is there.
#[tokio::test]
async fn a_session_does_not_end_while_its_client_is_connected() {
    let broker = broker().await;
    let (mut client, mut present) = Client::resume(&broker, "c", 1).await;
    // On a busy machine the interval may be over before it is back.
    while !present {
        drop(client);
        (client, present) = Client::resume(&broker, "c", 1).await;
    }
    client.subscribe("t", Qos::AtLeastOnce).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.publish("t", "still there", Qos::AtMostOnce).await;
    assert_eq!(client.receive_message().await.payload, "still there");
}

#[tokio::test]
async fn disconnect_changes_how_long_a_session_is_kept() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    let mut properties = DisconnectProperties::default();
    properties.set_session_expiry_interval(0);
    let disconnect = Disconnect {
        reason: ReasonCode::NORMAL_DISCONNECTION,
        properties,
    };
    client.send(Packet::Disconnect(disconnect)).await;
    client.expect_end().await;
    // The stream still stands on this side, and the broker has not seen its end.
    let (_again, present) = Client::resume(&broker, "c", 100).await;
    assert!(!present);
}

#[tokio::test]
async fn a_session_is_not_kept_longer_than_the_broker_allows() {
    let longest = Duration::from_secs(60);
    let broker = broker_with(|limits| limits.session_expiry = Some(longest)).await;
    for (asked, told) in [(59, None), (60, None), (61, Some(60)), (u32::MAX, Some(60))] {
        let (_client, connack) = Client::connect_with(&broker, resuming("c", asked)).await;
        assert_eq!(connack.properties.session_expiry_interval(), told);
    }
}

/// [MQTT-3.1.4-3] [MQTT-3.1.3-2] The same identifier is the same client: the old connection is told and closed.
#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let (mut old, _) = Client::resume(&broker, "c", 100).await;
    old.subscribe("t", Qos::AtLeastOnce).await;
    publisher
        .publish("t", "unacknowledged", Qos::AtLeastOnce)
        .await;
    let first = old.receive_publish().await;
    assert!(!first.delivery.dup());

    let (mut new, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    old.expect_disconnect(ReasonCode::SessionTakenOver).await;
    let again = new.receive_message().await;
    assert_eq!(again.delivery, first.delivery.with_dup(true));
    publisher.publish("t", "next", Qos::AtLeastOnce).await;
    assert_eq!(new.receive_message().await.payload, "next");
    // The end of the old connection has changed nothing.
    drop(old);
    new.expect_nothing().await;
    publisher.publish("t", "last", Qos::AtLeastOnce).await;
    assert_eq!(new.receive_message().await.payload, "last");
}

#[tokio::test]
async fn a_take_over_with_a_clean_start_begins_anew() {
    let broker = broker().await;
    let (mut old, _) = Client::resume(&broker, "c", 100).await;
    old.subscribe("t", Qos::AtLeastOnce).await;
    let (mut new, connack) = Client::connect_with(&broker, connect("c")).await;
    assert!(!connack.session_present);
    old.expect_disconnect(ReasonCode::SessionTakenOver).await;
    assert_eq!(
        new.unsubscribe("t").await,
        ReasonCode::NoSubscriptionExisted
    );
}

#[tokio::test]
async fn a_session_that_was_to_end_with_its_connection_is_not_taken_over() {
    let broker = broker().await;
    let (mut old, _) = Client::resume(&broker, "c", 0).await;
    old.subscribe("t", Qos::AtLeastOnce).await;
    let (mut new, present) = Client::resume(&broker, "c", 100).await;
    assert!(!present);
    old.expect_disconnect(ReasonCode::SessionTakenOver).await;
    assert_eq!(
        new.unsubscribe("t").await,
        ReasonCode::NoSubscriptionExisted
    );
}

/// [MQTT-4.4.0-1] [MQTT-4.3.3-6] [MQTT-3.3.1-1] After PUBREC only PUBREL goes again, before it the PUBLISH with DUP, each with the
/// identifier it had.
#[tokio::test]
async fn a_resumed_session_goes_on_in_the_middle_of_qos_2() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("t", Qos::ExactlyOnce).await;
    for payload in ["released", "published"] {
        publisher.publish("t", payload, Qos::ExactlyOnce).await;
    }
    let released = client.receive_publish().await.delivery.packet_id().unwrap();
    let sent = client.receive_publish().await;
    client.send(Packet::PubRec(Ack::new(released))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(released)));
    drop(client);

    let (mut client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(released)));
    client.send(Packet::PubComp(Ack::new(released))).await;
    let again = client.receive_message().await;
    assert_eq!(again.delivery, sent.delivery.with_dup(true));
    assert_eq!(again.payload, "published");
    client.expect_nothing().await;
}

/// [MQTT-4.3.3-10] What was taken before the connection broke is not routed again after it.
#[tokio::test]
async fn a_qos_2_publish_that_is_sent_again_after_a_break_is_routed_once() {
    let broker = broker().await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", Qos::AtMostOnce).await;
    let (mut publisher, _) = Client::resume(&broker, "publisher", 100).await;
    let packet_id = publisher.next_id();
    let mut message = publish("t", "once");
    message.delivery = Delivery::ExactlyOnce {
        packet_id,
        dup: false,
    };
    publisher.send(Packet::Publish(message.clone())).await;
    assert_eq!(subscriber.receive_message().await.payload, "once");
    drop(publisher);

    let (mut publisher, present) = Client::resume(&broker, "publisher", 100).await;
    assert!(present);
    message.delivery = message.delivery.with_dup(true);
    publisher.send(Packet::Publish(message)).await;
    assert_eq!(
        publisher.receive().await,
        Packet::PubRec(Ack::new(packet_id))
    );
    publisher.send(Packet::PubRel(Ack::new(packet_id))).await;
    assert_eq!(
        publisher.receive().await,
        Packet::PubComp(Ack::new(packet_id))
    );
    subscriber.expect_nothing().await;
}

/// The take-over comes while messages of the old connection are still on their way through the broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_2_messages_survive_any_number_of_take_overs() {
    let broker = broker().await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", Qos::AtMostOnce).await;
    let (mut publisher, _) = Client::resume(&broker, "publisher", 100).await;
    for n in 0..50 {
        let packet_id = publisher.next_id();
        let mut message = publish("t", &n.to_string());
        message.delivery = Delivery::ExactlyOnce {
            packet_id,
            dup: false,
        };
        publisher.send(Packet::Publish(message.clone())).await;
        let (mut next, present) = Client::resume(&broker, "publisher", 100).await;
        assert!(present);
        message.delivery = message.delivery.with_dup(true);
        next.send(Packet::Publish(message)).await;
        assert_eq!(next.receive().await, Packet::PubRec(Ack::new(packet_id)));
        next.send(Packet::PubRel(Ack::new(packet_id))).await;
        assert_eq!(next.receive().await, Packet::PubComp(Ack::new(packet_id)));
        for _ in 0..=n {
            next.next_id();
        }
        publisher = next;
    }
    for n in 0..50 {
        assert_eq!(subscriber.receive_message().await.payload, n.to_string());
    }
    subscriber.expect_nothing().await;
}
