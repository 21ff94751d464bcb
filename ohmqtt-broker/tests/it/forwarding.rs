//! What of a message is forwarded as it came, what is changed on the way, and what the receiving client's limits do.

use std::num::{NonZeroU16, NonZeroU32};

use ohmqtt_codec::{
    Ack, Binary, Delivery, MqttString, Packet, PublishTopic, Qos, ReasonCode, TopicAlias, TopicName,
};

use crate::client::{Client, broker, connect, publish, topic};

/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-18] [MQTT-3.3.2-20] Every property as it was published.
#[tokio::test]
async fn properties_are_forwarded_unchanged() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t", Qos::AtMostOnce).await;
    let text = |text: &str| MqttString::try_from(text).unwrap();
    let mut message = publish("t", "x");
    let properties = &mut message.properties;
    properties.set_payload_format_indicator(true);
    properties.set_content_type(&text("text/plain"));
    properties.set_response_topic(&TopicName::new("answers").unwrap());
    properties.set_correlation_data(&Binary::try_from(&b"\x00\xFF"[..]).unwrap());
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "0")] {
        properties.add_user_property(&text(name), &text(value));
    }
    client
        .publish_packet(message.clone(), Qos::AtMostOnce)
        .await;
    assert_eq!(client.receive_message().await, message);
}

/// [MQTT-3.3.2-11] [MQTT-3.1.2-26] A client that takes aliases is spared the topic from the second message on; no alias is above its maximum.
#[tokio::test]
async fn a_topic_is_named_once_to_a_client_that_takes_aliases() {
    let broker = broker().await;
    let mut asks = connect("c");
    asks.properties.set_topic_alias_maximum(1);
    let (mut client, _) = Client::connect_with(&broker, asks).await;
    client.subscribe("t/#", Qos::AtMostOnce).await;
    for (name, named) in [("t/1", true), ("t/1", false), ("t/2", true), ("t/2", false)] {
        client.publish(name, "x", Qos::AtMostOnce).await;
        let forwarded = client.receive_message().await;
        let alias = TopicAlias::new(1).unwrap();
        assert_eq!(forwarded.properties.topic_alias(), Some(alias));
        let want = if named {
            PublishTopic::Name(TopicName::new(name).unwrap())
        } else {
            PublishTopic::Alias(alias)
        };
        assert_eq!(forwarded.topic, want);
    }
}

/// [MQTT-3.3.2-17] [MQTT-3.3.2-3] User properties, and the topic that the filter matched.
#[tokio::test]
async fn a_queued_message_is_forwarded_unchanged() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("t/#", Qos::AtLeastOnce).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let text = |text: &str| MqttString::try_from(text).unwrap();
    let mut message = publish("t/Ω/", "x");
    message.properties.add_user_property(&text("a"), &text(""));
    message.properties.add_user_property(&text("a"), &text("Ω"));
    publisher
        .publish_packet(message.clone(), Qos::AtLeastOnce)
        .await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    let forwarded = client.receive_message().await;
    assert_eq!(topic(&forwarded), "t/Ω/");
    assert_eq!(forwarded.properties, message.properties);
}

/// [MQTT-3.3.2-5] [MQTT-3.3.2-6] What waits for too long is not delivered, the rest says how long it has left.
#[tokio::test]
async fn the_expiry_interval_counts_down_while_a_message_waits() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for interval in [1, 1000] {
        let mut message = publish("t", "x");
        message.properties.set_message_expiry_interval(interval);
        publisher.publish_packet(message, Qos::AtLeastOnce).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    let left = client
        .receive_message()
        .await
        .properties
        .message_expiry_interval();
    assert!((900..=999).contains(&left.unwrap()));
    client.expect_nothing().await;
}

/// [MQTT-3.3.2-12] [MQTT-3.1.2-27] Aliases stand for their topics on the way in, and are not passed on.
#[tokio::test]
async fn an_alias_stands_for_its_topic() {
    let broker = broker().await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("#", Qos::AtMostOnce).await;
    let mut client = Client::connect(&broker, "c").await;
    let alias = |number| TopicAlias::new(number).unwrap();
    for (name, number) in [
        (Some("a"), 1),
        (Some("b"), 16),
        (None, 1),
        (None, 16),
        (Some("c"), 1),
        (None, 1),
    ] {
        let mut message = publish(name.unwrap_or("x"), "x");
        if name.is_none() {
            message.topic = PublishTopic::Alias(alias(number));
        }
        message.properties.set_topic_alias(alias(number));
        client.send(Packet::Publish(message)).await;
    }
    for want in ["a", "b", "a", "b", "c", "c"] {
        let message = subscriber.receive_message().await;
        assert_eq!(topic(&message), want);
        assert_eq!(message.properties.topic_alias(), None);
    }
}

/// [MQTT-3.1.2-24] [MQTT-3.1.2-25] What is too large for one client is dropped for that one, and counts as delivered.
#[tokio::test]
async fn a_message_too_large_for_one_client_reaches_the_others() {
    let broker = broker().await;
    let mut small = connect("small");
    small
        .properties
        .set_maximum_packet_size(NonZeroU32::new(50).unwrap());
    small.properties.set_receive_maximum(NonZeroU16::MIN);
    let (mut small, _) = Client::connect_with(&broker, small).await;
    let mut large = Client::connect(&broker, "large").await;
    for client in [&mut small, &mut large] {
        client.subscribe("t", Qos::AtLeastOnce).await;
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    let long = "x".repeat(50);
    for payload in [&long, "short", &long, "short"] {
        publisher.publish("t", payload, Qos::AtLeastOnce).await;
        assert_eq!(large.receive_message().await.payload, payload);
    }
    for _ in 0..2 {
        assert_eq!(small.receive_message().await.payload, "short");
    }
    small.expect_nothing().await;
}

/// [MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-2] [MQTT-4.9.0-3] No more than the client's Receive Maximum; QoS 0 and all else go on.
#[tokio::test]
async fn a_full_window_holds_back_qos_1_and_2_only() {
    let broker = broker().await;
    let mut connect = connect("c");
    connect
        .properties
        .set_receive_maximum(NonZeroU16::new(2).unwrap());
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.subscribe("t", Qos::ExactlyOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for payload in ["1", "2", "3"] {
        publisher.publish("t", payload, Qos::AtLeastOnce).await;
    }
    publisher.publish("t", "0", Qos::AtMostOnce).await;
    let first = client.receive_publish().await;
    assert_eq!(client.receive_publish().await.payload, "2");
    assert_eq!(client.receive_publish().await.payload, "0");
    client.expect_nothing().await;
    client.subscribe("other", Qos::AtMostOnce).await;
    let packet_id = first.delivery.packet_id().unwrap();
    client.send(Packet::PubAck(Ack::new(packet_id))).await;
    assert_eq!(client.receive_publish().await.payload, "3");
}

/// [MQTT-3.3.1-3] DUP of the publisher's transmission is not passed on.
#[tokio::test]
async fn dup_is_not_forwarded() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let mut message = publish("t", "x");
    let packet_id = publisher.next_id();
    message.delivery = Delivery::AtLeastOnce {
        packet_id,
        dup: true,
    };
    publisher.send(Packet::Publish(message)).await;
    assert_eq!(
        publisher.receive().await,
        Packet::PubAck(Ack::new(packet_id))
    );
    assert!(!client.receive_message().await.delivery.dup());
}
