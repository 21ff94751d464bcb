//! Bounds of `Limits` that other tests do not reach.

use ohmqtt_codec::{Packet, Qos, ReasonCode};

use super::{connect, publish, text, user_properties};
use crate::client::{Client, broker_with, topic};

/// Sends a packet that is a PUBLISH of QoS 1, and gives the reason of its PUBACK.
async fn reason_of(client: &mut Client, publish: &[u8]) -> ReasonCode {
    client.send_bytes(publish).await;
    match client.receive().await {
        Packet::PubAck(ack) => ack.reason,
        other => panic!("{other:?}"),
    }
}

/// The reason of the CONNACK, if there is one.
async fn answer(broker: &ohmqtt_broker::Broker, connect: &[u8]) -> Option<ReasonCode> {
    let mut client = Client::open(broker).await;
    client.send_bytes(connect).await;
    match client.next().await? {
        Packet::ConnAck(connack) => Some(connack.reason),
        other => panic!("{other:?}"),
    }
}

fn will(properties: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    super::length(&mut rest, properties.len());
    rest.extend(properties);
    rest.extend(text(b"t"));
    rest.extend(text(b"x"));
    connect(b"c", 0x04, &rest)
}

/// Who has not said who it is gets less room than a client.
#[tokio::test]
async fn a_connect_above_its_own_limit_is_refused_from_its_header() {
    let broker = broker_with(|limits| limits.connect_packet_size = 100.try_into().unwrap()).await;
    let sized = |size: usize| connect(&vec![b'c'; size - connect(b"", 0, &[]).len()], 0, &[]);
    assert_eq!(
        answer(&broker, &sized(100)).await,
        Some(ReasonCode::Success)
    );
    // The body never comes.
    assert_eq!(answer(&broker, &sized(101)[..2]).await, None);
    // A client sends what the larger limit allows.
    let mut client = Client::connect(&broker, "c").await;
    let payload = "x".repeat(100_000);
    let reason = client.publish("t", &payload, Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
}

#[tokio::test]
async fn a_connect_is_at_most_as_large_as_any_packet() {
    let broker = broker_with(|limits| limits.packet_size = 100.try_into().unwrap()).await;
    let large = connect(&[b'c'; 100], 0, &[]);
    assert_eq!(answer(&broker, &large[..2]).await, None);
}

#[tokio::test]
async fn a_message_has_no_more_user_properties_than_it_may() {
    let broker = broker_with(|limits| limits.user_properties = 3).await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t", Qos::AtMostOnce).await;
    let (most, more) = (user_properties(15), user_properties(20));
    let reason = reason_of(&mut client, &publish(b"u", &most)).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    let reason = reason_of(&mut client, &publish(b"t", &more)).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    client.expect_nothing().await;
    // Other properties of any size are none of these.
    let content_type = [b"\x03", &text(&[b'x'; 100])[..]].concat();
    let reason = reason_of(&mut client, &publish(b"u", &content_type)).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    assert_eq!(
        answer(&broker, &will(&most)).await,
        Some(ReasonCode::Success)
    );
    let refused = answer(&broker, &will(&more)).await;
    assert_eq!(refused, Some(ReasonCode::QuotaExceeded));
}

#[tokio::test]
async fn the_properties_of_a_message_have_no_more_bytes_than_they_may() {
    let broker = broker_with(|limits| limits.property_bytes = 100).await;
    let mut client = Client::connect(&broker, "c").await;
    let (most, more) = (user_properties(100), user_properties(105));
    let reason = reason_of(&mut client, &publish(b"t", &most)).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    let reason = reason_of(&mut client, &publish(b"t", &more)).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    assert_eq!(
        answer(&broker, &will(&most)).await,
        Some(ReasonCode::Success)
    );
    let refused = answer(&broker, &will(&more)).await;
    assert_eq!(refused, Some(ReasonCode::QuotaExceeded));
}

#[tokio::test]
async fn topics_and_filters_have_no_more_levels_than_they_may() {
    let broker = broker_with(|limits| limits.topic_levels = 3).await;
    let mut client = Client::connect(&broker, "c").await;
    let granted = client.subscribe("+/b/#", Qos::AtLeastOnce).await;
    assert_eq!(granted, ReasonCode::GrantedQos1);
    // The share name is no level of it.
    let granted = client.subscribe("$share/g/a/b/c", Qos::AtMostOnce).await;
    assert_eq!(granted, ReasonCode::GRANTED_QOS_0);
    let refused = client.subscribe("a/b/c/#", Qos::AtMostOnce).await;
    assert_eq!(refused, ReasonCode::TopicFilterInvalid);
    let reason = client.publish("a/b/c/d", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::TopicNameInvalid);
    client.expect_nothing().await;
}

#[tokio::test]
async fn retained_messages_take_no_more_bytes_than_they_may() {
    let broker = broker_with(|limits| limits.retained_bytes = 2000).await;
    let mut client = Client::connect(&broker, "c").await;
    let payload = "x".repeat(1000);
    let reason = client.publish_retained("a", &payload).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    let reason = client.publish_retained("b", &payload).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    client.subscribe("#", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "a");
    client.expect_nothing().await;
}
