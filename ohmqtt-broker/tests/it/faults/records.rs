//! What clients sent.

use ohmqtt_broker::faults::{Packet, PacketType};
use ohmqtt_client::Qos;

use super::{client, faulty, payloads, publish, soon};
use crate::client::broker;

#[tokio::test]
async fn what_each_client_sent_is_told_in_order() {
    let (broker, faults) = faulty().await;
    let (one, two) = (client(&broker, "one").await, client(&broker, "two").await);
    for (client, payload) in [(&one, "a"), (&two, "b"), (&one, "c")] {
        soon(publish(client, payload, Qos::ExactlyOnce).await.acked())
            .await
            .unwrap();
    }
    let kinds: Vec<_> = faults
        .sent_by("two")
        .iter()
        .map(Packet::packet_type)
        .collect();
    assert_eq!(
        kinds,
        [PacketType::Connect, PacketType::Publish, PacketType::PubRel]
    );
    assert_eq!(payloads(&faults.sent_by("one")), ["a", "c"]);
    assert_eq!(faults.sent_by("three"), []);
    faults.clear_sent("one");
    assert_eq!(faults.sent_by("one"), []);
}

#[tokio::test]
async fn a_packet_is_waited_for_whether_it_was_sent_or_will_be() {
    let (broker, faults) = faulty().await;
    let is_publish = |packet: &Packet| matches!(packet, Packet::Publish(_));
    let sending = async {
        let client = client(&broker, "c").await;
        soon(publish(&client, "x", Qos::AtLeastOnce).await.acked())
            .await
            .unwrap();
    };
    let (waited, ()) = tokio::join!(soon(faults.wait_for("c", is_publish)), sending);
    assert_eq!(waited, soon(faults.wait_for("c", is_publish)).await);
}

#[tokio::test]
async fn packets_are_waited_for_one_after_the_other() {
    let (broker, faults) = faulty().await;
    let sending = async {
        let (one, two) = (client(&broker, "one").await, client(&broker, "two").await);
        for (client, payload) in [(&one, "a"), (&two, "b"), (&one, "c")] {
            soon(publish(client, payload, Qos::AtMostOnce).await.acked())
                .await
                .unwrap();
        }
    };
    let watching = async {
        let (mut number, mut seen) = (0, Vec::new());
        while seen.len() < 3 {
            let (next, packet) = soon(faults.wait_for_next("one", number)).await;
            assert!(next > number);
            number = next;
            seen.push(packet);
        }
        seen
    };
    let (seen, ()) = tokio::join!(watching, sending);
    assert_eq!(seen[0].packet_type(), PacketType::Connect);
    assert_eq!(payloads(&seen), ["a", "c"]);
}

#[tokio::test]
async fn a_client_without_an_identifier_goes_by_the_one_it_is_given() {
    let (broker, faults) = faulty().await;
    let client = client(&broker, "").await;
    let sent = faults.sent_by(&client.client_id());
    assert!(matches!(&sent[..], [Packet::Connect(connect)] if connect.client_id.is_empty()));
}

#[tokio::test]
async fn connections_from_before_the_switches_are_beyond_their_reach() {
    let broker = broker().await;
    let client = client(&broker, "early").await;
    let faults = broker.faults();
    let mut events = client.events();
    faults.all().cut();
    faults.all().withhold(PacketType::PubAck);
    soon(publish(&client, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    assert!(events.try_recv().is_none());
    assert_eq!(faults.sent_by("early"), []);
}
