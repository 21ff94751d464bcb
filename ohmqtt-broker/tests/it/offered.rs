//! What a broker may be told not to offer: CONNACK says it, and who uses it all the same is told so.

use ohmqtt_broker::{Broker, Limits};
use ohmqtt_codec::{
    Delivery, Filters, Packet, PacketId, Qos, ReasonCode, Subscribe, SubscribeProperties,
    SubscriptionId, SubscriptionOptions, TopicFilter,
};

use crate::client::{Client, broker, broker_with, connect, publish, resuming, will};

/// What takes from a broker's limits.
type Take = fn(&mut Limits);

const NO_QOS2: Take = |limits| limits.maximum_qos = Qos::AtLeastOnce;
const NO_RETAIN: Take = |limits| limits.retain_available = false;
const NO_WILDCARDS: Take = |limits| limits.wildcard_subscription_available = false;
const NO_SHARED: Take = |limits| limits.shared_subscription_available = false;
const NO_IDENTIFIERS: Take = |limits| limits.subscription_identifier_available = false;

fn message(qos: Qos, retain: bool) -> Packet {
    let mut publish = publish("t", "x");
    let packet_id = PacketId::new(1).unwrap();
    let dup = false;
    publish.retain = retain;
    publish.delivery = match qos {
        Qos::AtMostOnce => Delivery::AtMostOnce,
        Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    };
    Packet::Publish(publish)
}

fn subscribe(filter: &str, identifier: Option<u32>) -> Packet {
    let mut properties = SubscribeProperties::default();
    if let Some(id) = identifier {
        properties.set_subscription_identifier(SubscriptionId::new(id).unwrap());
    }
    let filter = TopicFilter::new(filter).unwrap();
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).unwrap(),
        properties,
        filters: Filters::new(&filter, SubscriptionOptions::default()).unwrap(),
    })
}

/// [MQTT-3.2.2-9] What there is none of is told, and only that.
#[tokio::test]
async fn connack_tells_what_is_not_offered() {
    for (take, want) in [
        (NO_QOS2, "Some(AtLeastOnce) None None None None"),
        (NO_RETAIN, "None Some(false) None None None"),
        (NO_WILDCARDS, "None None Some(false) None None"),
        (NO_SHARED, "None None None Some(false) None"),
        (NO_IDENTIFIERS, "None None None None Some(false)"),
        (|_| {}, "None None None None None"),
    ] {
        let broker = broker_with(take).await;
        let (_client, connack) = Client::connect_with(&broker, connect("c")).await;
        let told = connack.properties;
        let got = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            told.maximum_qos(),
            told.retain_available(),
            told.wildcard_subscription_available(),
            told.shared_subscription_available(),
            told.subscription_identifier_available()
        );
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn who_uses_what_is_not_offered_is_disconnected_and_told_why() {
    let nothing: Take = |limits| limits.maximum_qos = Qos::AtMostOnce;
    for (take, packet, reason) in [
        (
            NO_QOS2,
            message(Qos::ExactlyOnce, false),
            ReasonCode::QosNotSupported,
        ),
        (
            nothing,
            message(Qos::AtLeastOnce, false),
            ReasonCode::QosNotSupported,
        ),
        (
            NO_RETAIN,
            message(Qos::AtMostOnce, true),
            ReasonCode::RetainNotSupported,
        ),
        (
            NO_WILDCARDS,
            subscribe("a/+", None),
            ReasonCode::WildcardSubscriptionsNotSupported,
        ),
        (
            NO_SHARED,
            subscribe("$share/g/a", None),
            ReasonCode::SharedSubscriptionsNotSupported,
        ),
        (
            NO_IDENTIFIERS,
            subscribe("a", Some(1)),
            ReasonCode::SubscriptionIdentifiersNotSupported,
        ),
    ] {
        // Where it is offered it is taken.
        let offering = broker().await;
        let mut client = Client::connect(&offering, "c").await;
        client.send(packet.clone()).await;
        client.send(Packet::PingReq).await;
        while client.receive().await != Packet::PingResp {}

        let broker = broker_with(take).await;
        let mut client = Client::connect(&broker, "c").await;
        let mut other = Client::connect(&broker, "other").await;
        client.send(packet).await;
        client.expect_disconnect(reason).await;
        other.expect_nothing().await;
    }
}

/// [MQTT-3.2.2-12] [MQTT-3.2.2-13] CONNACK says why, and the client's session is as it was.
#[tokio::test]
async fn a_will_of_what_is_not_offered_is_refused() {
    for (take, qos, retain, reason) in [
        (
            NO_QOS2,
            Qos::ExactlyOnce,
            false,
            ReasonCode::QosNotSupported,
        ),
        (NO_QOS2, Qos::AtLeastOnce, true, ReasonCode::Success),
        (
            NO_RETAIN,
            Qos::AtMostOnce,
            true,
            ReasonCode::RetainNotSupported,
        ),
        (NO_RETAIN, Qos::ExactlyOnce, false, ReasonCode::Success),
    ] {
        let broker = broker_with(take).await;
        let (mut before, _) = Client::resume(&broker, "c", 100).await;
        let mut connect = resuming("c", 100);
        let mut will = will("w", "x");
        (will.qos, will.retain) = (qos, retain);
        connect.will = Some(will);
        let (mut client, connack) = Client::connect_with(&broker, connect).await;
        assert_eq!(connack.reason, reason, "{qos:?} {retain}");
        if reason == ReasonCode::Success {
            client.expect_nothing().await;
            before.expect_disconnect(ReasonCode::SessionTakenOver).await;
        } else {
            client.expect_end().await;
            before.expect_nothing().await;
        }
    }
}

/// [MQTT-3.2.2-10] [MQTT-3.8.4-7] Any QoS may be asked for.
#[tokio::test]
async fn a_subscription_is_granted_no_more_than_the_maximum_qos() {
    let codes = [
        ReasonCode::GRANTED_QOS_0,
        ReasonCode::GrantedQos1,
        ReasonCode::GrantedQos2,
    ];
    let all = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];
    for maximum in all {
        let broker = broker_with(|limits| limits.maximum_qos = maximum).await;
        let mut client = Client::connect(&broker, "c").await;
        for asked in all {
            let granted = codes[usize::from(u8::from(asked.min(maximum)))];
            assert_eq!(client.subscribe("t", asked).await, granted);
        }
        let mut publisher = Client::connect(&broker, "publisher").await;
        publisher.publish("t", "x", maximum).await;
        assert_eq!(client.receive_message().await.delivery.qos(), maximum);
    }
}

/// What an earlier broker has retained in the store is left alone.
#[tokio::test]
async fn a_broker_that_does_not_retain_delivers_nothing_that_was() {
    let store = ohmqtt_broker::MemoryStore::default();
    for (retains, want) in [(true, 1), (false, 0), (true, 1)] {
        let mut limits = Limits::default();
        limits.retain_available = retains;
        let builder = Broker::builder()
            .listen("mqtt://127.0.0.1:0")
            .limits(limits);
        let builder = builder.store(store.clone(), ohmqtt_broker::Durability::Safe);
        let broker = builder.start().await.unwrap();
        let mut client = Client::connect(&broker, "c").await;
        if retains {
            client.publish_retained("t", "kept").await;
        }
        client.subscribe("t", Qos::AtMostOnce).await;
        for _ in 0..want {
            assert_eq!(client.receive_message().await.payload, "kept");
        }
        client.expect_nothing().await;
        drop(client);
        broker.shutdown(std::time::Duration::from_secs(1)).await;
    }
}
