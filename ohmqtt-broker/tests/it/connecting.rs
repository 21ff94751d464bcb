//! CONNECT, its answers and its refusals.

use std::time::Duration;

use ohmqtt_codec::{MqttString, Packet, Qos, ReasonCode};

use crate::client::{Client, broker, broker_with, connect, resuming, will};

/// [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2] CONNECT is answered by one CONNACK with Success. [MQTT-4.12.0-6] It names no
/// authentication method, [MQTT-3.1.2-28] and holds no Response Information.
#[tokio::test]
async fn connect_is_answered_with_the_limits_of_the_broker() {
    let broker = broker().await;
    let (mut client, connack) = Client::connect_with(&broker, connect("c")).await;
    client.expect_nothing().await;
    assert_eq!(connack.reason, ReasonCode::Success);
    assert!(!connack.session_present);
    let properties = connack.properties;
    assert_eq!(properties.maximum_packet_size().unwrap().get(), 2 << 20);
    assert_eq!(properties.receive_maximum().unwrap().get(), 1024);
    assert_eq!(properties.topic_alias_maximum(), Some(16));
    assert_eq!(properties.assigned_client_identifier(), None);
    assert_eq!(properties.session_expiry_interval(), None);
    assert_eq!(properties.maximum_qos(), None);
    assert_eq!(properties.authentication_method(), None);
    assert_eq!(properties.response_information(), None);
}

/// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] Each gets an identifier of its own, and its session is kept under it.
#[tokio::test]
async fn a_client_without_an_identifier_is_given_one() {
    let broker = broker().await;
    let mut given = Vec::new();
    for _ in 0..2 {
        let (client, connack) = Client::connect_with(&broker, resuming("", 100)).await;
        assert!(!connack.session_present);
        let id = connack.properties.assigned_client_identifier().unwrap();
        given.push(id.to_owned());
        client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    }
    assert_ne!(given[0], given[1]);
    let (_client, present) = Client::resume(&broker, &given[0], 0).await;
    assert!(present);
}

/// [MQTT-3.1.3-5] Letters and digits, to 23 of them and further, and any other characters too.
#[tokio::test]
async fn identifiers_of_any_characters_are_accepted() {
    let broker = broker().await;
    let long = "x".repeat(1024);
    for id in [
        "0",
        "abcdefghijklmnopqrstuvw",
        "ABCXYZ0123456789",
        "#/+ Ω",
        &long,
    ] {
        Client::connect(&broker, id).await;
    }
}

/// [MQTT-3.1.3-8] [MQTT-3.2.2-7] CONNACK tells why, and the connection is closed.
#[tokio::test]
async fn an_identifier_that_is_too_long_is_refused() {
    let broker = broker().await;
    check_refused(
        &broker,
        connect(&"x".repeat(1025)),
        ReasonCode::ClientIdentifierNotValid,
    )
    .await;
}

/// [MQTT-4.12.0-1] [MQTT-4.12.0-4] [MQTT-3.1.4-2] There is no method, so any is refused.
#[tokio::test]
async fn an_authentication_method_is_refused() {
    let broker = broker().await;
    let mut connect = connect("c");
    let method = MqttString::try_from("SCRAM-SHA-1").unwrap();
    connect.properties.set_authentication(&method, None);
    check_refused(&broker, connect, ReasonCode::BadAuthenticationMethod).await;
}

#[tokio::test]
async fn a_will_that_could_not_be_published_is_refused() {
    let broker = broker().await;
    for (topic, reason) in [
        ("$SYS/x", ReasonCode::NotAuthorized),
        (&"/".repeat(128), ReasonCode::TopicNameInvalid),
    ] {
        let mut connect = connect("c");
        connect.will = Some(will(topic, "x"));
        check_refused(&broker, connect, reason).await;
    }
}

async fn check_refused(
    broker: &ohmqtt_broker::Broker,
    connect: ohmqtt_codec::Connect,
    reason: ReasonCode,
) {
    let (mut client, connack) = Client::connect_with(broker, connect).await;
    assert_eq!(connack.reason, reason);
    assert!(!connack.session_present);
    client.expect_end().await;
}

/// [MQTT-3.2.2-6] Session Present is 0 also for a client that has a session.
#[tokio::test]
async fn one_client_more_than_there_may_be_is_refused_until_another_has_gone() {
    let broker = broker_with(|limits| limits.connections = 2).await;
    let (kept, _) = Client::resume(&broker, "kept", 100).await;
    kept.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let _first = Client::connect(&broker, "first").await;
    let mut second = Client::connect(&broker, "second").await;
    check_refused(&broker, connect("third"), ReasonCode::ServerBusy).await;
    check_refused(&broker, resuming("kept", 100), ReasonCode::ServerBusy).await;
    // One that replaces its own connection is not one more.
    let again = Client::connect(&broker, "second").await;
    second.expect_disconnect(ReasonCode::SessionTakenOver).await;
    again.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    loop {
        // The broker takes note of the end when it has seen the stream's.
        let (_client, connack) = Client::connect_with(&broker, connect("third")).await;
        if connack.reason == ReasonCode::Success {
            break;
        }
    }
}

#[tokio::test]
async fn one_session_more_than_there_may_be_is_refused() {
    let broker = broker_with(|limits| limits.sessions = 2).await;
    for id in ["a", "b"] {
        let (client, _) = Client::resume(&broker, id, 100).await;
        client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    }
    check_refused(&broker, connect("c"), ReasonCode::QuotaExceeded).await;
    let (_client, present) = Client::resume(&broker, "a", 0).await;
    assert!(present);
}

#[tokio::test]
async fn a_connection_without_connect_ends_in_time() {
    let broker = broker_with(|limits| limits.connect_timeout = Duration::from_millis(100)).await;
    let mut silent = Client::open(&broker).await;
    silent.expect_end().await;
    let mut half = Client::open(&broker).await;
    half.send_bytes(&[0x10, 0x20, 0x00]).await;
    half.expect_end().await;
}

#[tokio::test]
async fn one_half_open_connection_too_many_ends_the_oldest() {
    let broker = broker_with(|limits| limits.half_open = 2).await;
    let client = Client::connect(&broker, "client").await;
    let mut first = Client::open(&broker).await;
    let mut second = Client::open(&broker).await;
    let mut third = Client::open(&broker).await;
    first.expect_end().await;
    second.send(Packet::Connect(connect("second").into())).await;
    assert!(matches!(second.receive().await, Packet::ConnAck(_)));
    third.send(Packet::Connect(connect("third").into())).await;
    assert!(matches!(third.receive().await, Packet::ConnAck(_)));
    for mut client in [client, second, third] {
        client.expect_nothing().await;
    }
}

/// [MQTT-3.1.2-22] [MQTT-3.2.2-22] Silence for 1.5 times the client's Keep Alive ends its connection.
#[tokio::test]
async fn a_client_that_is_silent_for_too_long_is_disconnected() {
    let broker = broker().await;
    let mut connect = connect("c");
    connect.keep_alive = 1;
    let start = std::time::Instant::now();
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.expect_disconnect(ReasonCode::KeepAliveTimeout).await;
    assert!(start.elapsed() >= Duration::from_millis(1500));
}

/// [MQTT-3.12.4-1] PINGRESP for each PINGREQ.
#[tokio::test]
async fn pings_are_answered_each() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for _ in 0..3 {
        client.send(Packet::PingReq).await;
    }
    for _ in 0..3 {
        assert_eq!(client.receive().await, Packet::PingResp);
    }
}

/// [MQTT-3.2.2-12] [MQTT-3.2.2-13] There is no QoS and no retain flag that this broker could not serve.
#[tokio::test]
async fn wills_of_every_kind_are_accepted() {
    let broker = broker().await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        for retain in [false, true] {
            let mut connect = connect("c");
            let mut will = will("t", "x");
            (will.qos, will.retain) = (qos, retain);
            connect.will = Some(will);
            let (_client, connack) = Client::connect_with(&broker, connect).await;
            assert_eq!(connack.reason, ReasonCode::Success);
        }
    }
}

/// [MQTT-3.1.4-6] What comes in one piece with a CONNECT that is refused is not looked at.
#[tokio::test]
async fn nothing_behind_a_refused_connect_is_processed() {
    let broker = broker().await;
    let mut subscriber = Client::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", Qos::AtMostOnce).await;
    let mut client = Client::open(&broker).await;
    let mut out = ohmqtt_codec::EncodeBuf::new();
    let refused = Packet::Connect(connect(&"x".repeat(1025)).into());
    refused.encode(&mut out).unwrap();
    let message = crate::client::publish("t", "x");
    Packet::Publish(message).encode(&mut out).unwrap();
    client.send_bytes(&out.into_bytes()).await;
    assert!(matches!(client.receive().await, Packet::ConnAck(_)));
    client.expect_end().await;
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn what_comes_in_one_piece_with_connect_is_served() {
    let broker = broker().await;
    let mut client = Client::open(&broker).await;
    let mut out = ohmqtt_codec::EncodeBuf::new();
    Packet::Connect(connect("c").into())
        .encode(&mut out)
        .unwrap();
    Packet::PingReq.encode(&mut out).unwrap();
    client.send_bytes(&out.into_bytes()).await;
    assert!(matches!(client.receive().await, Packet::ConnAck(_)));
    assert_eq!(client.receive().await, Packet::PingResp);
    assert_eq!(
        client.subscribe("t", Qos::AtMostOnce).await,
        ReasonCode::Success
    );
}
