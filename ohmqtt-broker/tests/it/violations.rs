//! What a client must not send: its connection ends, and nobody else's.

use ohmqtt_codec::{
    Ack, Auth, AuthProperties, ConnAck, ConnAckProperties, Delivery, Disconnect, Filters, Packet,
    PacketId, Qos, ReasonCode, ReasonCodes, SubAck, SubAckProperties, Subscribe,
    SubscribeProperties, SubscriptionId, SubscriptionOptions, TopicAlias, TopicFilter, Unsubscribe,
    UnsubscribeFilters, UnsubscribeProperties,
};

use crate::client::{Client, broker, broker_with, connect, publish};

fn id() -> PacketId {
    PacketId::new(1).unwrap()
}

fn suback() -> SubAck {
    SubAck {
        packet_id: id(),
        properties: SubAckProperties::default(),
        codes: ReasonCodes::new(ReasonCode::Success),
    }
}

/// What only a server sends.
fn of_servers() -> Vec<Packet> {
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: ConnAckProperties::default(),
    };
    vec![
        Packet::ConnAck(connack.into()),
        Packet::SubAck(suback()),
        Packet::UnsubAck(suback()),
        Packet::PingResp,
    ]
}

/// What a client sends, but for CONNECT.
fn of_clients() -> Vec<Packet> {
    let filter = TopicFilter::new("a").unwrap();
    vec![
        Packet::Publish(publish("a", "x")),
        Packet::PubAck(Ack::new(id())),
        Packet::PubRec(Ack::new(id())),
        Packet::PubRel(Ack::new(id())),
        Packet::PubComp(Ack::new(id())),
        Packet::Subscribe(Subscribe {
            packet_id: id(),
            properties: SubscribeProperties::default(),
            filters: Filters::new(&filter, SubscriptionOptions::default()).unwrap(),
        }),
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(),
            properties: UnsubscribeProperties::default(),
            filters: UnsubscribeFilters::new(&filter),
        }),
        Packet::PingReq,
        Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)),
        Packet::Auth(Auth {
            reason: ReasonCode::Success,
            properties: AuthProperties::default(),
        }),
    ]
}

/// [MQTT-3.1.4-1] [MQTT-3.14.0-1] Nothing but CONNECT is the first packet, and no DISCONNECT comes before a CONNACK.
#[tokio::test]
async fn any_other_packet_than_connect_as_the_first_ends_the_connection() {
    let broker = broker().await;
    for packet in of_clients().into_iter().chain(of_servers()) {
        let mut client = Client::open(&broker).await;
        client.send(packet).await;
        client.expect_end().await;
    }
}

/// [MQTT-3.1.0-2] A second CONNECT is a protocol error, [MQTT-4.13.1-1] as are the packets of a server.
#[tokio::test]
async fn a_second_connect_and_a_servers_packets_end_the_connection() {
    let broker = broker().await;
    let second = Packet::Connect(connect("c").into());
    for packet in of_servers().into_iter().chain([second]) {
        let mut client = Client::connect(&broker, "c").await;
        client.send(packet).await;
        client.expect_disconnect(ReasonCode::ProtocolError).await;
    }
}

/// [MQTT-4.13.1-1] [MQTT-4.13.2-1] The one who sends it is told and cut off, and others see nothing of it.
#[tokio::test]
async fn a_malformed_packet_ends_only_its_own_connection() {
    let broker = broker().await;
    let mut other = Client::connect(&broker, "other").await;
    other.subscribe("#", Qos::AtMostOnce).await;
    let malformed: [&[u8]; 6] = [
        // Type 0; a length of five bytes; QoS 3; reserved flags; ill-formed UTF-8 in the topic; an empty SUBSCRIBE.
        &[0x00, 0x00],
        &[0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[0x36, 0x04, 0x00, 0x01, b'a', 0x00],
        &[0x60, 0x02, 0x00, 0x01],
        &[0x30, 0x05, 0x00, 0x02, 0xC3, 0x28, 0x00],
        &[0x80, 0x02, 0x00, 0x01],
    ];
    for bytes in malformed {
        let mut client = Client::connect(&broker, "c").await;
        client.send_bytes(bytes).await;
        match client.receive().await {
            Packet::Disconnect(disconnect) => assert!(
                matches!(
                    disconnect.reason,
                    ReasonCode::MalformedPacket | ReasonCode::ProtocolError
                ),
                "{disconnect:?}"
            ),
            other => panic!("{other:?}"),
        }
        client.expect_end().await;
    }
    other.expect_nothing().await;
    let mut again = Client::connect(&broker, "c").await;
    again.publish("a", "x", Qos::AtMostOnce).await;
    assert_eq!(other.receive_message().await.payload, "x");
}

/// [MQTT-3.1.2-1] [MQTT-3.1.2-2] A client of MQTT 3.1.1 is told that its version is not supported.
#[tokio::test]
async fn a_client_of_another_version_is_told_so() {
    let broker = broker().await;
    let mut client = Client::open(&broker).await;
    client
        .send_bytes(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c")
        .await;
    match client.receive().await {
        Packet::ConnAck(connack) => {
            assert_eq!(connack.reason, ReasonCode::UnsupportedProtocolVersion);
        }
        other => panic!("{other:?}"),
    }
    client.expect_end().await;
}

#[tokio::test]
async fn a_packet_above_the_limit_is_refused_from_its_header() {
    let broker = broker_with(|limits| limits.packet_size = 100.try_into().unwrap()).await;
    let mut client = Client::connect(&broker, "c").await;
    client.send_bytes(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    client.expect_disconnect(ReasonCode::PacketTooLarge).await;
    let mut client = Client::open(&broker).await;
    client.send_bytes(&[0x10, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    client.expect_end().await;
}

#[tokio::test]
async fn more_unacknowledged_messages_than_the_receive_maximum_end_the_connection() {
    let broker = broker_with(|limits| limits.receive_maximum = 2.try_into().unwrap()).await;
    let mut client = Client::connect(&broker, "c").await;
    for _ in 0..3 {
        let mut message = publish("a", "x");
        let packet_id = client.next_id();
        message.delivery = Delivery::ExactlyOnce {
            packet_id,
            dup: false,
        };
        client.send(Packet::Publish(message)).await;
    }
    loop {
        match client.receive().await {
            Packet::PubRec(_) => {}
            Packet::Disconnect(disconnect) => {
                assert_eq!(disconnect.reason, ReasonCode::ReceiveMaximumExceeded);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    client.expect_end().await;
}

/// [MQTT-3.3.2-12] [MQTT-3.3.2-7] An alias above the maximum, one that names nothing, and one of an earlier connection.
#[tokio::test]
async fn a_topic_alias_that_names_nothing_ends_the_connection() {
    let broker = broker().await;
    let aliased = |alias: u16, topic: Option<&str>| {
        let alias = TopicAlias::new(alias).unwrap();
        let mut message = publish(topic.unwrap_or("x"), "x");
        message.properties.set_topic_alias(alias);
        if topic.is_none() {
            message.topic = ohmqtt_codec::PublishTopic::Alias(alias);
        }
        Packet::Publish(message)
    };
    let mut client = Client::connect(&broker, "c").await;
    client.send(aliased(17, Some("a"))).await;
    client
        .expect_disconnect(ReasonCode::TopicAliasInvalid)
        .await;
    for _ in 0..2 {
        let mut client = Client::connect(&broker, "c").await;
        client.send(aliased(16, None)).await;
        client.expect_disconnect(ReasonCode::ProtocolError).await;
        let mut client = Client::connect(&broker, "c").await;
        client.send(aliased(16, Some("a"))).await;
        client.send(aliased(16, None)).await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_subscription_identifier_from_a_client_ends_the_connection() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let mut message = publish("a", "x");
    let id = SubscriptionId::new(1).unwrap();
    message.properties.add_subscription_identifier(id);
    client.send(Packet::Publish(message)).await;
    client.expect_disconnect(ReasonCode::ProtocolError).await;
}

/// Fault class: a topic of 65,000 levels overflows a stack.
#[tokio::test]
async fn a_topic_too_deep_is_refused_and_harms_nobody() {
    let broker = broker().await;
    let deep = "/".repeat(65_000);
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("#", Qos::AtMostOnce).await;
    let reason = client.publish(&deep, "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::TopicNameInvalid);
    assert_eq!(
        client.publish_retained(&deep, "x").await,
        ReasonCode::TopicNameInvalid
    );
    let reason = client.subscribe(&deep, Qos::AtMostOnce).await;
    assert_eq!(reason, ReasonCode::TopicFilterInvalid);
    assert_eq!(
        client.unsubscribe(&deep).await,
        ReasonCode::NoSubscriptionExisted
    );
    client.publish(&deep, "x", Qos::AtMostOnce).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn the_brokers_own_topics_are_not_for_clients() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let reason = client.publish("$SYS/x", "x", qos).await;
        assert_eq!(reason, ReasonCode::NotAuthorized);
    }
}
