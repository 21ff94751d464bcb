//! Retained messages.

use std::time::Duration;

use ohmqtt_codec::{Qos, ReasonCode, RetainHandling, SubscriptionOptions};

use crate::client::{Client, broker, broker_with, identifiers, publish, topic};

/// The topics and payloads of the retained messages that a filter brings, sorted.
async fn retained(broker: &ohmqtt_broker::Broker, filter: &str) -> Vec<(String, String)> {
    let mut client = Client::connect(broker, "reader").await;
    client.subscribe(filter, Qos::AtMostOnce).await;
    client.send(ohmqtt_codec::Packet::PingReq).await;
    let mut found = Vec::new();
    while let ohmqtt_codec::Packet::Publish(message) = client.receive().await {
        assert!(message.retain);
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        found.push((topic(&message).to_owned(), payload));
    }
    found.sort();
    found
}

fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

/// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8] The last one published with the flag, until one is empty.
#[tokio::test]
async fn a_retained_message_is_set_replaced_and_deleted() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    assert_eq!(retained(&broker, "a").await, []);
    publisher.publish_retained("a", "1").await;
    publisher
        .publish("a", "not retained", Qos::AtLeastOnce)
        .await;
    publisher.publish("a", "", Qos::AtLeastOnce).await;
    assert_eq!(retained(&broker, "a").await, [pair("a", "1")]);
    publisher.publish_retained("a", "2").await;
    publisher.publish_retained("b", "3").await;
    assert_eq!(
        retained(&broker, "#").await,
        [pair("a", "2"), pair("b", "3")]
    );
    publisher.publish_retained("a", "").await;
    publisher.publish_retained("never", "").await;
    assert_eq!(retained(&broker, "#").await, [pair("b", "3")]);
}

/// [MQTT-3.3.1-7] The empty message itself is routed, as any other.
#[tokio::test]
async fn a_message_that_deletes_is_delivered() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("a", Qos::AtMostOnce).await;
    let mut message = publish("a", "");
    message.retain = true;
    client.publish_packet(message, Qos::AtMostOnce).await;
    let message = client.receive_message().await;
    assert!(message.payload.is_empty() && !message.retain);
}

#[tokio::test]
async fn wildcards_bring_all_that_they_match() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for topic in ["a", "a/b", "a/b/c", "$a/b", "/"] {
        publisher.publish_retained(topic, "x").await;
    }
    let x = |topics: &[&str]| {
        topics
            .iter()
            .map(|topic| pair(topic, "x"))
            .collect::<Vec<_>>()
    };
    assert_eq!(retained(&broker, "a/#").await, x(&["a", "a/b", "a/b/c"]));
    assert_eq!(retained(&broker, "+/b").await, x(&["a/b"]));
    assert_eq!(retained(&broker, "#").await, x(&["/", "a", "a/b", "a/b/c"]));
    assert_eq!(retained(&broker, "$a/+").await, x(&["$a/b"]));
}

/// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4] At every SUBSCRIBE, at the first, at none.
#[tokio::test]
async fn retain_handling_decides_when_retained_messages_come() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.publish_retained("t", "x").await;
    for (handling, first, second) in [
        (RetainHandling::SendAtSubscribe, true, true),
        (RetainHandling::SendIfNew, true, false),
        (RetainHandling::DoNotSend, false, false),
    ] {
        let mut options = SubscriptionOptions::new(Qos::AtLeastOnce);
        options.retain_handling = handling;
        for comes in [first, second] {
            client.subscribe_with("t", options, Some(7)).await;
            if comes {
                let message = client.receive_message().await;
                assert!(message.retain);
                assert_eq!(message.delivery.qos(), Qos::AtLeastOnce);
                assert_eq!(identifiers(&message), [7]);
            }
            client.expect_nothing().await;
        }
        client.unsubscribe("t").await;
    }
}

#[tokio::test]
async fn thousands_of_retained_messages_come_to_one_subscription() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for n in 0..2000 {
        let mut message = publish(&format!("t/{n}"), "x");
        message.retain = true;
        publisher.publish_packet(message, Qos::AtMostOnce).await;
    }
    publisher.expect_nothing().await;
    assert_eq!(retained(&broker, "t/#").await.len(), 2000);
}

#[tokio::test]
async fn a_retained_message_expires() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let mut message = publish("t", "x");
    message.retain = true;
    message.properties.set_message_expiry_interval(1);
    // On a busy machine its second may be over before anybody has looked.
    loop {
        let message = message.clone();
        client.publish_packet(message, Qos::AtLeastOnce).await;
        if retained(&broker, "t").await == [pair("t", "x")] {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(retained(&broker, "t").await, []);
}

#[tokio::test]
async fn one_retained_message_more_than_there_may_be_is_refused() {
    let broker = broker_with(|limits| limits.retained = 1).await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("b", Qos::AtMostOnce).await;
    client.publish_retained("a", "1").await;
    assert_eq!(
        client.publish_retained("b", "2").await,
        ReasonCode::QuotaExceeded
    );
    client.expect_nothing().await;
    assert_ne!(
        client.publish_retained("a", "3").await,
        ReasonCode::QuotaExceeded
    );
    client.publish_retained("a", "").await;
    let mut message = publish("b", "4");
    message.retain = true;
    client.publish_packet(message, Qos::AtMostOnce).await;
    assert_eq!(client.receive_message().await.payload, "4");
    assert_eq!(retained(&broker, "#").await, [pair("b", "4")]);
}
