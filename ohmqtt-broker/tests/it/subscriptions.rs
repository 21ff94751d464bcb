//! SUBSCRIBE and UNSUBSCRIBE: what they are answered with, and what they change.

use ohmqtt_codec::{
    Ack, Filters, Packet, Qos, ReasonCode, Subscribe, SubscribeProperties, SubscriptionOptions,
    TopicFilter, Unsubscribe, UnsubscribeFilters, UnsubscribeProperties,
};

use crate::client::{Client, broker, broker_with, identifiers, publish, topic};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

/// [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] One SUBACK, with a code for each filter in order.
#[tokio::test]
async fn one_suback_answers_all_filters_in_their_order() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let packet_id = client.next_id();
    let mut filters =
        Filters::new(&filter("a"), SubscriptionOptions::new(Qos::ExactlyOnce)).unwrap();
    for (text, qos) in [
        ("b/+", Qos::AtMostOnce),
        (&"/".repeat(128), Qos::AtMostOnce),
        ("$share/g/c", Qos::AtLeastOnce),
    ] {
        filters
            .push(&filter(text), SubscriptionOptions::new(qos))
            .unwrap();
    }
    let properties = SubscribeProperties::default();
    client
        .send(Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            filters,
        }))
        .await;
    match client.receive().await {
        Packet::SubAck(suback) => {
            assert_eq!(suback.packet_id, packet_id);
            let codes: Vec<_> = suback.codes.iter().map(u8::from).collect();
            assert_eq!(codes, [2, 0, 0x8F, 1]);
        }
        other => panic!("{other:?}"),
    }
}

/// [MQTT-3.8.4-7] [MQTT-3.2.2-9] [MQTT-3.2.2-10] Every QoS is granted as it was asked for.
#[tokio::test]
async fn every_qos_is_granted() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for (qos, code) in [
        (Qos::AtMostOnce, ReasonCode::GRANTED_QOS_0),
        (Qos::AtLeastOnce, ReasonCode::GrantedQos1),
        (Qos::ExactlyOnce, ReasonCode::GrantedQos2),
    ] {
        assert_eq!(client.subscribe("t", qos).await, code);
    }
}

/// [MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] One UNSUBACK, with a code for each filter in order.
#[tokio::test]
async fn one_unsuback_answers_all_filters_in_their_order() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("a/+", Qos::AtMostOnce).await;
    client.subscribe("$share/g/a", Qos::AtMostOnce).await;
    let packet_id = client.next_id();
    let mut filters = UnsubscribeFilters::new(&filter("a/b"));
    for text in ["a/+", "A/+", "$share/g/a", "a/+", "$share/g/a"] {
        filters.push(&filter(text));
    }
    let properties = UnsubscribeProperties::default();
    client
        .send(Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties,
            filters,
        }))
        .await;
    match client.receive().await {
        Packet::UnsubAck(unsuback) => {
            assert_eq!(unsuback.packet_id, packet_id);
            let codes: Vec<_> = unsuback.codes.iter().map(u8::from).collect();
            assert_eq!(codes, [0x11, 0, 0x11, 0, 0x11, 0x11]);
        }
        other => panic!("{other:?}"),
    }
}

/// [MQTT-3.10.4-2] [MQTT-3.10.4-3] Nothing new comes, and what was on its way is finished.
#[tokio::test]
async fn unsubscribing_stops_new_messages_and_finishes_those_under_way() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    client.subscribe("t", Qos::ExactlyOnce).await;
    publisher.publish("t", "begun", Qos::ExactlyOnce).await;
    let begun = client.receive_publish().await.delivery.packet_id().unwrap();
    assert_eq!(client.unsubscribe("t").await, ReasonCode::Success);
    let reason = publisher.publish("t", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    client.send(Packet::PubRec(Ack::new(begun))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(begun)));
    client.send(Packet::PubComp(Ack::new(begun))).await;
    client.expect_nothing().await;
}

/// [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] One copy, with the highest QoS granted and the identifiers of all that match.
#[tokio::test]
async fn overlapping_subscriptions_give_one_message_with_all_identifiers() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for (text, qos, identifier) in [
        ("a/#", Qos::AtMostOnce, Some(1)),
        ("a/+", Qos::ExactlyOnce, Some(268_435_455)),
        ("+/b", Qos::AtLeastOnce, None),
        ("a/c", Qos::AtLeastOnce, Some(4)),
    ] {
        let options = SubscriptionOptions::new(qos);
        client.subscribe_with(text, options, identifier).await;
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("a/b", "x", Qos::ExactlyOnce).await;
    let message = client.receive_message().await;
    assert_eq!(message.delivery.qos(), Qos::ExactlyOnce);
    assert_eq!(identifiers(&message), [1, 268_435_455]);
    client.expect_nothing().await;
}

/// [MQTT-3.8.4-3] The last options and the last identifier count.
#[tokio::test]
async fn the_same_filter_again_replaces_the_subscription() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for (qos, identifier) in [
        (Qos::ExactlyOnce, Some(1)),
        (Qos::AtMostOnce, Some(2)),
        (Qos::AtLeastOnce, None),
    ] {
        let options = SubscriptionOptions::new(qos);
        client.subscribe_with("t", options, identifier).await;
        publisher.publish("t", "x", Qos::ExactlyOnce).await;
        let message = client.receive_message().await;
        assert_eq!(message.delivery.qos(), qos);
        assert!(identifiers(&message).into_iter().eq(identifier));
        client.expect_nothing().await;
    }
}

/// [MQTT-3.8.3-3] What the client published itself does not come back, also when it is another connection of it.
#[tokio::test]
async fn no_local_keeps_a_clients_own_messages_from_it() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    let mut other = Client::connect(&broker, "other").await;
    let mut options = SubscriptionOptions::new(Qos::AtLeastOnce);
    options.no_local = true;
    client.subscribe_with("t", options, None).await;
    client.publish("t", "own", Qos::AtMostOnce).await;
    client.expect_nothing().await;
    other.publish("t", "other's", Qos::AtLeastOnce).await;
    assert_eq!(client.receive_message().await.payload, "other's");
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.publish("t", "own", Qos::AtMostOnce).await;
    client.expect_nothing().await;
    // A subscription without it brings them.
    client.subscribe("+", Qos::AtMostOnce).await;
    client.publish("t", "own", Qos::AtMostOnce).await;
    assert_eq!(client.receive_message().await.payload, "own");
}

/// [MQTT-3.3.1-12] [MQTT-3.3.1-13] The retain flag comes as it was published only where it was asked for.
#[tokio::test]
async fn retain_as_published_decides_on_the_flag() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for (asked, published) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut client = Client::connect(&broker, "c").await;
        let mut options = SubscriptionOptions::new(Qos::AtMostOnce);
        options.retain_as_published = asked;
        client.subscribe_with("t", options, None).await;
        let mut message = publish("t", "x");
        message.retain = published;
        publisher.publish_packet(message, Qos::AtLeastOnce).await;
        assert_eq!(client.receive_message().await.retain, asked && published);
        publisher.publish_retained("t", "").await;
    }
}

/// [MQTT-4.7.2-1] A filter that begins with a wildcard is not for topics that begin with `$`.
#[tokio::test]
async fn wildcards_at_the_start_do_not_match_dollar_topics() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for text in ["#", "+/x", "+"] {
        client.subscribe(text, Qos::AtMostOnce).await;
    }
    for topic in ["$a/x", "$a", "$share/g/x"] {
        client.publish(topic, "x", Qos::AtMostOnce).await;
    }
    client.expect_nothing().await;
    client.subscribe("$a/#", Qos::AtMostOnce).await;
    client.publish("$a/x", "x", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "$a/x");
}

#[tokio::test]
async fn one_subscription_more_than_there_may_be_is_refused() {
    let broker = broker_with(|limits| limits.subscriptions = 2).await;
    let mut client = Client::connect(&broker, "c").await;
    for text in ["a", "b", "a"] {
        client.subscribe(text, Qos::AtMostOnce).await;
    }
    let reason = client.subscribe("c", Qos::AtMostOnce).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    client.unsubscribe("a").await;
    let reason = client.subscribe("c", Qos::AtMostOnce).await;
    assert_eq!(reason, ReasonCode::GRANTED_QOS_0);
    client.publish("a", "x", Qos::AtMostOnce).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn subscriptions_are_bounded_in_bytes_too() {
    let broker = broker_with(|limits| limits.subscription_bytes = 1000).await;
    let mut client = Client::connect(&broker, "c").await;
    let long = "x".repeat(800);
    let ok = ReasonCode::GRANTED_QOS_0;
    assert_eq!(client.subscribe(&long, Qos::AtMostOnce).await, ok);
    let reason = client.subscribe("a", Qos::AtMostOnce).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    client.unsubscribe(&long).await;
    assert_eq!(client.subscribe("a", Qos::AtMostOnce).await, ok);
}
