//! What a member of a group was given and had not finished when its session ended: it goes on to another member.

use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_codec::{Qos, ReasonCode, SubscriptionOptions};

use crate::client::{Client, broker, connect, identifiers};
use crate::disk::Disk;

const GROUP: &str = "$share/g/t";
const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;
/// Seconds after which a session ends, long enough for what is to be done before that on a busy machine.
const BRIEF: u32 = 5;

async fn publish(broker: &Broker, qos: Qos, payloads: impl IntoIterator<Item = u32>) {
    let mut publisher = Client::connect(broker, "publisher").await;
    for n in payloads {
        let reason = publisher.publish("t", &n.to_string(), qos).await;
        assert_eq!(reason, ReasonCode::Success);
    }
}

/// A member of the group that is there.
async fn member(broker: &Broker, id: &str) -> Client {
    let mut client = Client::connect(broker, id).await;
    client.subscribe(GROUP, Qos::ExactlyOnce).await;
    client
}

/// A member of the group with a session that is kept for so long, and that is gone.
async fn absent(broker: &Broker, id: &str, interval: u32) {
    let (mut client, _) = Client::resume(broker, id, interval).await;
    client.subscribe(GROUP, Qos::ExactlyOnce).await;
    client.disconnect(GONE).await;
    // The broker has seen the end of that connection when the client has had another.
    let (client, present) = Client::resume(broker, id, interval).await;
    assert!(present);
    client.disconnect(GONE).await;
}

async fn expect(client: &mut Client, payloads: impl IntoIterator<Item = u32>) {
    for n in payloads {
        assert_eq!(client.receive_message().await.payload, n.to_string());
    }
}

/// Begins anew as this client.
async fn begin_anew(broker: &Broker, id: &str) -> Client {
    let (client, connack) = Client::connect_with(broker, connect(id)).await;
    assert_eq!(connack.reason, ReasonCode::Success);
    client
}

#[tokio::test]
async fn what_was_sent_at_qos_1_and_not_acknowledged_goes_to_another_member_in_its_order() {
    let broker = broker().await;
    for ends in ["connection", "DISCONNECT", "clean start"] {
        let mut leaving = Client::connect(&broker, "leaving").await;
        let options = SubscriptionOptions::new(Qos::AtLeastOnce);
        leaving.subscribe_with(GROUP, options, Some(1)).await;
        publish(&broker, Qos::AtLeastOnce, 0..4).await;
        expect(&mut leaving, 0..1).await;
        for _ in 1..4 {
            leaving.receive_publish().await;
        }
        let mut other = Client::connect(&broker, "other").await;
        other.subscribe_with(GROUP, options, Some(2)).await;
        match ends {
            "connection" => drop(leaving),
            "DISCONNECT" => leaving.disconnect(GONE).await,
            _ => drop(begin_anew(&broker, "leaving").await),
        }
        for n in 1..4 {
            let message = other.receive_message().await;
            assert_eq!(message.payload, n.to_string(), "{ends}");
            assert_eq!(identifiers(&message), [2]);
            assert!(!message.delivery.dup());
        }
        other.expect_nothing().await;
        other.unsubscribe(GROUP).await;
    }
    assert_eq!(broker.metrics().dropped, 0);
}

#[tokio::test]
async fn what_waited_for_an_absent_member_goes_to_another_when_its_session_expires() {
    let broker = broker().await;
    absent(&broker, "leaving", BRIEF).await;
    publish(&broker, Qos::AtLeastOnce, 0..2).await;
    publish(&broker, Qos::ExactlyOnce, 2..4).await;
    let mut other = member(&broker, "other").await;
    expect(&mut other, 0..4).await;
    other.expect_nothing().await;
}

#[tokio::test]
async fn a_subscription_that_was_given_up_takes_nothing_back_before_the_session_ends() {
    let broker = broker().await;
    let mut leaving = member(&broker, "leaving").await;
    publish(&broker, Qos::AtLeastOnce, 0..1).await;
    leaving.receive_publish().await;
    let mut other = member(&broker, "other").await;
    leaving.unsubscribe(GROUP).await;
    other.expect_nothing().await;
    drop(leaving);
    expect(&mut other, 0..1).await;
}

/// [MQTT-4.8.2-5] One that was sent at QoS 2 goes to nobody else; one that was not does.
#[tokio::test]
async fn of_qos_2_what_was_never_sent_goes_to_another_member() {
    let broker = broker().await;
    let mut connect = connect("leaving");
    connect.properties.set_receive_maximum(NonZeroU16::MIN);
    let (mut leaving, _) = Client::connect_with(&broker, connect).await;
    leaving.subscribe(GROUP, Qos::ExactlyOnce).await;
    publish(&broker, Qos::ExactlyOnce, 0..3).await;
    assert_eq!(leaving.receive_publish().await.payload, "0");
    let mut other = member(&broker, "other").await;
    drop(leaving);
    expect(&mut other, 1..3).await;
    other.expect_nothing().await;
}

#[tokio::test]
async fn what_nobody_is_left_for_is_dropped_and_counted() {
    let broker = broker().await;
    absent(&broker, "leaving", 100).await;
    publish(&broker, Qos::AtLeastOnce, 0..3).await;
    begin_anew(&broker, "leaving").await;
    assert_eq!(broker.metrics().dropped, 3);
    assert_eq!(broker.metrics().queued, 0);
}

/// The client that begins anew is accepted, and nothing of what was is left to it.
#[tokio::test]
async fn what_the_store_has_of_a_member_goes_to_another_and_survives_a_crash() {
    // More than a window holds.
    const MESSAGES: u32 = 700;
    let disk = Disk::default();
    let broker = disk.broker().await;
    absent(&broker, "leaving", 1000).await;
    publish(&broker, Qos::AtLeastOnce, 0..MESSAGES).await;
    publish(&broker, Qos::ExactlyOnce, MESSAGES..MESSAGES + 5).await;

    let disk = disk.after_crash();
    let broker = disk.broker().await;
    absent(&broker, "other", 1000).await;
    let mut anew = crate::client::resuming("leaving", 1000);
    anew.clean_start = true;
    let (mut leaving, connack) = Client::connect_with(&broker, anew).await;
    assert!(!connack.session_present);
    leaving.subscribe("own", Qos::AtLeastOnce).await;
    leaving.disconnect(GONE).await;

    let broker = disk.after_crash().broker().await;
    let (mut leaving, present) = Client::resume(&broker, "leaving", 1000).await;
    assert!(present);
    leaving.expect_nothing().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    let reason = publisher.publish("own", "own", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::Success);
    assert_eq!(leaving.receive_message().await.payload, "own");
    let (mut other, _) = Client::resume(&broker, "other", 1000).await;
    let mut last = None;
    while last != Some(MESSAGES + 4) {
        let message = other.receive_message().await;
        let n: u32 = std::str::from_utf8(&message.payload)
            .unwrap()
            .parse()
            .unwrap();
        // All of them, in their order, once.
        assert_eq!(n, last.map_or(0, |last| last + 1));
        last = Some(n);
    }
    other.expect_nothing().await;
}

#[tokio::test]
async fn a_session_that_expires_while_the_broker_is_away_leaves_its_messages_to_another_member() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    absent(&broker, "leaving", BRIEF).await;
    publish(&broker, Qos::AtLeastOnce, 0..2).await;
    // This one keeps its subscription over the crash, and takes what the others do not.
    absent(&broker, "other", 1000).await;
    let crashed = disk.after_crash();
    let mut there = member(&broker, "there").await;
    expect(&mut there, 0..2).await;
    broker.shutdown(Duration::from_secs(5)).await;

    let broker = crashed.broker().await;
    let (mut other, present) = Client::resume(&broker, "other", 1000).await;
    assert!(present);
    expect(&mut other, 0..2).await;
    other.expect_nothing().await;
}
