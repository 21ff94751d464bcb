//! Limits that are told in CONNACK, and obeyed by our client.

use std::num::{NonZeroU16, NonZeroU32};

use ohmqtt_broker::Broker;
use ohmqtt_broker::faults::{Faults, Packet, Told};
use ohmqtt_client::{AliasPolicy, Client, Obstacle, Qos};

use super::{client, faulty, payloads, publish, soon};

/// A client that is told this.
async fn told(tell: impl FnOnce(&mut Told)) -> (Broker, Faults, Client) {
    let (broker, faults) = faulty().await;
    let mut told = Told::default();
    tell(&mut told);
    faults.all().tell(told);
    let client = client(&broker, "c").await;
    (broker, faults, client)
}

/// Whether a message with these is refused by the client itself, which sends another one.
async fn check_publish(tell: impl FnOnce(&mut Told), payload: &str, qos: Qos, retain: bool) {
    let (_broker, faults, client) = told(tell).await;
    let refused = client
        .publish("t", payload.to_owned())
        .qos(qos)
        .retain(retain);
    assert!(refused.send().is_err(), "{payload} {qos:?} {retain}");
    soon(publish(&client, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    assert_eq!(payloads(&faults.sent_by("c")), ["x"]);
}

#[tokio::test]
async fn a_client_publishes_nothing_beyond_what_it_is_told() {
    let long = "x".repeat(100);
    let size = NonZeroU32::new(50);
    check_publish(
        |told| told.maximum_packet_size = size,
        &long,
        Qos::AtLeastOnce,
        false,
    )
    .await;
    let qos = Some(Qos::AtLeastOnce);
    check_publish(|told| told.maximum_qos = qos, "y", Qos::ExactlyOnce, false).await;
    check_publish(
        |told| told.retain_available = Some(false),
        "y",
        Qos::AtLeastOnce,
        true,
    )
    .await;
}

#[tokio::test]
async fn a_client_keeps_to_the_receive_maximum_it_is_told() {
    let (_broker, faults, client) = told(|told| told.receive_maximum = NonZeroU16::new(2)).await;
    faults
        .all()
        .withhold(ohmqtt_broker::faults::PacketType::PubAck);
    let mut last = None;
    for payload in ["a", "b", "c"] {
        last = Some(publish(&client, payload, Qos::AtLeastOnce).await);
    }
    let is_b = |packet: &Packet| payloads(std::slice::from_ref(packet)) == ["b"];
    soon(faults.wait_for("c", is_b)).await;
    let obstacles = client.health().obstacles;
    assert!(
        matches!(obstacles[..], [Obstacle::QuotaFull { in_flight: 2, .. }]),
        "{obstacles:?}"
    );
    assert_eq!(payloads(&faults.sent_by("c")), ["a", "b"]);
    faults.all().mend();
    soon(last.unwrap().acked()).await.unwrap();
}

#[tokio::test]
async fn a_client_uses_no_more_aliases_than_it_is_told() {
    let (_broker, faults, client) = told(|told| told.topic_alias_maximum = Some(1)).await;
    let send = |topic| client.publish(topic, "x").alias(AliasPolicy::Always).send();
    send("a").unwrap();
    send("a").unwrap();
    assert!(send("b").is_err());
    soon(publish(&client, "end", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    assert_eq!(payloads(&faults.sent_by("c")), ["x", "x", "end"]);
}

#[tokio::test]
async fn a_client_asks_for_no_subscription_it_is_told_there_is_none_of() {
    let (_broker, faults, client) = told(|told| {
        told.wildcard_subscription_available = Some(false);
        told.shared_subscription_available = Some(false);
        told.subscription_identifier_available = Some(false);
    })
    .await;
    for filter in ["t/#", "$share/g/t"] {
        assert!(soon(client.subscribe(filter)).await.is_err(), "{filter}");
    }
    soon(client.subscribe("t")).await.unwrap();
    let is_subscribe = |packet: &Packet| matches!(packet, Packet::Subscribe(_));
    let Packet::Subscribe(subscribe) = soon(faults.wait_for("c", is_subscribe)).await else {
        unreachable!()
    };
    let filters: Vec<_> = subscribe
        .filters
        .iter()
        .map(|(filter, _)| filter.to_string())
        .collect();
    assert_eq!(filters, ["t"]);
    assert_eq!(subscribe.properties.subscription_identifier(), None);
}

#[tokio::test]
async fn a_client_keeps_itself_alive_as_it_is_told() {
    let (_broker, faults, _client) = told(|told| told.server_keep_alive = Some(1)).await;
    let is_ping = |packet: &Packet| matches!(packet, Packet::PingReq);
    soon(faults.wait_for("c", is_ping)).await;
}
