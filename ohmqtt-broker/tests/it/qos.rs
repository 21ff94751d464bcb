//! Messages at every QoS, to subscriptions of every QoS.

use ohmqtt_codec::{Ack, Delivery, Packet, Qos, ReasonCode};

use crate::client::{Client, broker, publish};

const ALL: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// [MQTT-3.8.4-8] The lower of the published QoS and the granted one. [MQTT-3.3.4-1] [MQTT-2.2.1-5] Each is answered as its QoS asks,
/// with its identifier. [MQTT-4.3.2-4] [MQTT-4.3.3-8]
#[tokio::test]
async fn a_message_comes_with_the_lower_qos_of_publisher_and_subscription() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for granted in ALL {
        let mut subscriber = Client::connect(&broker, "subscriber").await;
        let code = subscriber.subscribe("a/b", granted).await;
        assert_eq!(u8::from(code), u8::from(granted));
        for qos in ALL {
            let reason = publisher.publish("a/b", "hello", qos).await;
            assert_eq!(reason, ReasonCode::Success);
            let message = subscriber.receive_message().await;
            assert_eq!(message.delivery.qos(), qos.min(granted));
            assert_eq!(message.payload, "hello");
            assert!(!message.delivery.dup() && !message.retain);
        }
        subscriber.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_message_without_subscribers_is_acknowledged_so() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let reason = client.publish("nobody", "", qos).await;
        assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    }
}

/// [MQTT-4.3.3-10] [MQTT-4.3.3-12] The same identifier is the same message until PUBREL, and another one after it.
#[tokio::test]
async fn a_qos_2_publish_that_comes_twice_is_routed_once() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t", Qos::AtMostOnce).await;
    let packet_id = client.next_id();
    let mut message = publish("t", "once");
    let mut messages = 0;
    for dup in [false, true] {
        message.delivery = Delivery::ExactlyOnce { packet_id, dup };
        client.send(Packet::Publish(message.clone())).await;
        loop {
            match client.receive().await {
                Packet::PubRec(ack) => break assert_eq!(ack, Ack::new(packet_id)),
                Packet::Publish(_) => messages += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    client.send(Packet::PubRel(Ack::new(packet_id))).await;
    loop {
        match client.receive().await {
            Packet::PubComp(_) => break,
            Packet::Publish(_) => messages += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 1);
    client.expect_nothing().await;
}

/// [MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT-4.6.0-2] Messages on one topic come in the order in which they were published.
#[tokio::test]
async fn messages_come_in_the_order_of_publishing() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", Qos::AtLeastOnce).await;
    let mut packets = Vec::new();
    for n in 0..500 {
        let mut message = publish("t", &n.to_string());
        let packet_id = publisher.next_id();
        message.delivery = Delivery::AtLeastOnce {
            packet_id,
            dup: false,
        };
        packets.push(Packet::Publish(message));
    }
    for packet in packets {
        publisher.send(packet).await;
    }
    for n in 0..500 {
        assert_eq!(subscriber.receive_message().await.payload, n.to_string());
    }
    // So do the acknowledgements.
    for n in 1..=500 {
        match publisher.receive().await {
            Packet::PubAck(ack) => assert_eq!(ack.packet_id.get(), n),
            other => panic!("{other:?}"),
        }
    }
}

/// [MQTT-4.3.2-5] After PUBACK the same identifier means a new message, whatever DUP says.
#[tokio::test]
async fn an_identifier_of_qos_1_is_free_after_its_puback() {
    let broker = broker().await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", Qos::AtMostOnce).await;
    let mut client = Client::connect(&broker, "c").await;
    let packet_id = client.next_id();
    for dup in [false, true, false] {
        let mut message = publish("t", "x");
        message.delivery = Delivery::AtLeastOnce { packet_id, dup };
        client.send(Packet::Publish(message)).await;
        assert_eq!(client.receive().await, Packet::PubAck(Ack::new(packet_id)));
        subscriber.receive_message().await;
    }
    subscriber.expect_nothing().await;
}

/// [MQTT-4.3.3-13] [MQTT-4.3.3-11] The handshake goes on when the message has expired.
#[tokio::test]
async fn an_expired_qos_2_message_is_acknowledged_to_the_end() {
    let broker = broker().await;
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    absent.subscribe("t", Qos::ExactlyOnce).await;
    absent.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut client = Client::connect(&broker, "c").await;
    let mut message = publish("t", "x");
    message.properties.set_message_expiry_interval(0);
    let reason = client.publish_packet(message, Qos::ExactlyOnce).await;
    assert_eq!(reason, ReasonCode::Success);
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    absent.expect_nothing().await;
}

#[tokio::test]
async fn a_message_of_a_megabyte_arrives_whole() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t", Qos::ExactlyOnce).await;
    let payload = "x".repeat(1 << 20);
    let reason = client.publish("t", &payload, Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::Success);
    assert_eq!(client.receive_message().await.payload, payload);
}
