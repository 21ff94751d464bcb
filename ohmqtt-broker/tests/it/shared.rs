//! Shared subscriptions: each message is for one member of the group.

use std::collections::BTreeSet;

use ohmqtt_codec::{Ack, Packet, Qos, ReasonCode, SubscriptionOptions};

use crate::client::{Client, broker, connect, identifiers, topic};

#[tokio::test]
async fn the_members_of_a_group_take_turns() {
    let broker = broker().await;
    let mut members = Vec::new();
    for id in ["a", "b", "c"] {
        let mut member = Client::connect(&broker, id).await;
        member.subscribe("$share/g/t/+", Qos::AtLeastOnce).await;
        members.push(member);
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    for round in 0..4 {
        for n in 0..3 {
            let payload = (3 * round + n).to_string();
            publisher.publish("t/x", &payload, Qos::AtLeastOnce).await;
        }
        let mut payloads = BTreeSet::new();
        for member in &mut members {
            payloads.insert(member.receive_message().await.payload);
            member.expect_nothing().await;
        }
        assert_eq!(payloads.len(), 3);
    }
    // A member that leaves gets nothing more.
    members[0].unsubscribe("$share/g/t/+").await;
    members
        .pop()
        .unwrap()
        .disconnect(ReasonCode::NORMAL_DISCONNECTION)
        .await;
    for n in 0..3 {
        publisher
            .publish("t/x", &n.to_string(), Qos::AtLeastOnce)
            .await;
    }
    members[0].expect_nothing().await;
    for n in 0..3 {
        assert_eq!(members[1].receive_message().await.payload, n.to_string());
    }
}

/// [MQTT-3.3.4-5] Each group and the client's own subscription give a copy, each with its own identifier.
#[tokio::test]
async fn every_group_gets_a_copy() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    for (text, identifier) in [
        ("$share/g/t", 1),
        ("$share/h/t", 2),
        ("$share/g/+", 3),
        ("t", 4),
    ] {
        let options = SubscriptionOptions::new(Qos::AtMostOnce);
        client.subscribe_with(text, options, Some(identifier)).await;
    }
    client.publish("t", "x", Qos::AtMostOnce).await;
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(identifiers(&client.receive_message().await));
    }
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4]);
    client.expect_nothing().await;
}

/// [MQTT-4.8.2-3] The lower of the published QoS and the granted one.
#[tokio::test]
async fn a_shared_subscription_keeps_to_its_qos() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    client.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        publisher.publish("t", "x", qos).await;
        let message = client.receive_message().await;
        assert_eq!(message.delivery.qos(), qos.min(Qos::AtLeastOnce));
    }
}

#[tokio::test]
async fn a_group_prefers_the_members_that_are_there() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    absent.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    absent.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut there = Client::connect(&broker, "there").await;
    there.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    // The broker has seen the end of the first connection when it answers a second.
    let (again, _) = Client::resume(&broker, "absent", 100).await;
    again.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut taken = 0;
    for n in 0..20 {
        publisher
            .publish("t", &n.to_string(), Qos::AtLeastOnce)
            .await;
    }
    there.send(Packet::PingReq).await;
    while let Packet::Publish(message) = there.receive().await {
        taken += 1;
        let packet_id = message.delivery.packet_id().unwrap();
        there.send(Packet::PubAck(Ack::new(packet_id))).await;
    }
    // Until the broker had seen the end of the second connection, that one had its turns.
    assert!(taken >= 10);
    there.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    publisher
        .publish("t", "for whom it may concern", Qos::AtLeastOnce)
        .await;
    let (mut absent, _) = Client::resume(&broker, "absent", 100).await;
    for _ in taken..20 {
        absent.receive_message().await;
    }
    assert_eq!(
        absent.receive_message().await.payload,
        "for whom it may concern"
    );
}

/// [MQTT-4.8.2-4] [MQTT-4.8.2-5] What was begun with a member is finished with it, and is lost with its session.
#[tokio::test]
async fn a_qos_2_message_stays_with_its_member() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let (mut chosen, _) = Client::resume(&broker, "chosen", 100).await;
    chosen.subscribe("$share/g/t", Qos::ExactlyOnce).await;
    publisher.publish("t", "kept", Qos::ExactlyOnce).await;
    let begun = chosen.receive_publish().await;
    let mut other = Client::connect(&broker, "other").await;
    other.subscribe("$share/g/t", Qos::ExactlyOnce).await;
    drop(chosen);
    let (mut chosen, _) = Client::resume(&broker, "chosen", 100).await;
    let again = chosen.receive_publish().await;
    assert_eq!(again.delivery, begun.delivery.with_dup(true));
    let (_anew, _) = Client::connect_with(&broker, connect("chosen")).await;
    other.expect_nothing().await;
}

/// [MQTT-4.8.2-6] A member that refuses a message has had it.
#[tokio::test]
async fn a_message_that_a_member_refuses_goes_to_nobody_else() {
    let broker = broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let mut first = Client::connect(&broker, "first").await;
    first.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    publisher.publish("t", "x", Qos::AtLeastOnce).await;
    let mut second = Client::connect(&broker, "second").await;
    second.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    let packet_id = first.receive_publish().await.delivery.packet_id().unwrap();
    let refusal = Ack::with_reason(packet_id, ReasonCode::QuotaExceeded);
    first.send(Packet::PubAck(refusal)).await;
    first.expect_nothing().await;
    second.expect_nothing().await;
}

#[tokio::test]
async fn retained_messages_do_not_come_to_a_group() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    client.publish_retained("t", "x").await;
    client.subscribe("$share/g/t", Qos::AtLeastOnce).await;
    client.expect_nothing().await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    assert_eq!(topic(&client.receive_message().await), "t");
}
