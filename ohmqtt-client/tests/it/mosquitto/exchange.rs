//! Messages there and back: QoS, sizes, properties, retained ones, kinds of subscriptions.

use std::time::Duration;

use ohmqtt_client::ReasonCode;

use super::{ALL_QOS, connect, next, subscribe};
use crate::support::mosquitto::Mosquitto;
use crate::support::soon;

#[tokio::test]
async fn each_qos_is_delivered_at_the_lower_of_publication_and_subscription() {
    let broker = Mosquitto::start();
    let (publisher, subscriber) = (
        connect(&broker, "publisher").await,
        connect(&broker, "subscriber").await,
    );
    for granted in ALL_QOS {
        let filter = format!("to/{}", u8::from(granted));
        let mut inbox = soon(subscriber.subscribe(&filter).qos(granted))
            .await
            .unwrap();
        assert_eq!(
            u8::from(soon(inbox.granted()).await.unwrap()[0]),
            u8::from(granted)
        );
        for qos in ALL_QOS {
            let text = format!("{qos:?} to {granted:?}");
            let sent = soon(publisher.publish(filter.as_str(), text.clone()).qos(qos))
                .await
                .unwrap();
            let message = next(&mut inbox).await;
            assert_eq!(message.payload, text);
            assert_eq!(message.qos, qos.min(granted));
            assert_eq!(
                soon(sent.acked()).await.unwrap().reason,
                ReasonCode::Success
            );
        }
    }
}

#[tokio::test]
async fn payloads_of_the_sizes_at_which_lengths_grow_arrive_whole() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "sizes").await;
    let mut inbox = subscribe(&client, "sizes").await;
    for size in [0, 1, 127, 128, 16_383, 16_384, 1 << 20] {
        for qos in ALL_QOS {
            let payload: Vec<u8> = (0..size).map(|i: usize| i.to_le_bytes()[i % 3]).collect();
            let sent = soon(client.publish("sizes", payload.clone()).qos(qos))
                .await
                .unwrap();
            let message = next(&mut inbox).await;
            assert!(message.payload == payload, "{size} bytes at {qos:?}");
            assert!(!soon(sent.acked()).await.unwrap().reason.is_error());
        }
    }
}

#[tokio::test]
async fn every_property_of_a_message_arrives_as_it_was_set() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "properties").await;
    let mut inbox = subscribe(&client, "properties").await;
    for qos in ALL_QOS {
        let message = client
            .publish("properties", "{}")
            .qos(qos)
            .expiry(Duration::from_secs(3600))
            .content_type("application/json")
            .response_topic("answers/to/me")
            .correlation_data(&b"\x00\xff7"[..])
            .user_property("key", "value")
            .user_property("größe", "")
            .user_property("key", "again")
            .properties(|properties| properties.set_payload_format_indicator(true));
        soon(message).await.unwrap();
        let properties = next(&mut inbox).await.properties;
        assert_eq!(properties.payload_format_indicator(), Some(true));
        assert_eq!(properties.content_type(), Some("application/json"));
        assert_eq!(properties.response_topic(), Some("answers/to/me"));
        assert_eq!(properties.correlation_data(), Some(&b"\x00\xff7"[..]));
        let pairs: Vec<_> = properties.user_properties().collect();
        assert_eq!(pairs, [("key", "value"), ("größe", ""), ("key", "again")]);
        // The broker takes off the seconds it held the message.
        let expiry = properties.message_expiry_interval().unwrap();
        assert!((3500..=3600).contains(&expiry), "{expiry}");
        assert_eq!(properties.subscription_identifiers().next(), None);
        assert_eq!(properties.topic_alias(), None);
    }
}
