//! What becomes of what was granted, queued or retained when a right is withdrawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ohmqtt_broker::{Action, Authorize, Broker, Durability, Principal};
use ohmqtt_codec::{Ack, Packet, Publish, Qos, ReasonCode};

use super::{Denied, builder};
use crate::client::{Client, connect, resuming, topic};
use crate::disk::Disk;

const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;

async fn start() -> (Broker, Denied) {
    let denied = Denied::default();
    let broker = builder().authorize(denied.clone()).start().await.unwrap();
    (broker, denied)
}

async fn publish_each(broker: &Broker, topics: &[&str]) {
    let mut publisher = Client::connect(broker, "publisher").await;
    for topic in topics {
        publisher.publish(topic, "x", Qos::AtLeastOnce).await;
    }
}

/// The topic of the next message, which is acknowledged then.
async fn next(client: &mut Client) -> String {
    topic(&client.receive_message().await).to_owned()
}

#[tokio::test]
async fn what_waits_for_a_client_that_is_away_is_dropped() {
    let (broker, denied) = start().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("#", Qos::ExactlyOnce).await;
    client.disconnect(GONE).await;
    publish_each(&broker, &["secret", "a", "secret", "b"]).await;
    denied.deny("c deliver secret");
    broker.reload_access().await.unwrap();
    let (mut client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    assert_eq!(next(&mut client).await, "a");
    assert_eq!(next(&mut client).await, "b");
    client.expect_nothing().await;
}

#[tokio::test]
async fn what_waits_behind_a_full_window_of_a_client_that_is_there_is_dropped() {
    let (broker, denied) = start().await;
    let mut connect = connect("c");
    connect
        .properties
        .set_receive_maximum(1.try_into().unwrap());
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.subscribe("#", Qos::AtLeastOnce).await;
    publish_each(&broker, &["a", "secret", "b"]).await;
    let first: Publish = client.receive_publish().await;
    denied.deny("c deliver secret");
    broker.reload_access().await.unwrap();
    let packet_id = first.delivery.packet_id().unwrap();
    client.send(Packet::PubAck(Ack::new(packet_id))).await;
    assert_eq!(next(&mut client).await, "b");
    client.expect_nothing().await;
}

/// Of those far from their turn the broker knows nothing but where they lie.
#[tokio::test]
async fn what_waits_in_a_store_is_dropped_when_it_comes_from_there() {
    const MESSAGES: usize = 400;
    let disk = Disk::default();
    let denied = Denied::default();
    let broker = builder().authorize(denied.clone());
    let broker = broker.store(disk.clone(), Durability::Safe).start().await;
    let broker = broker.unwrap();
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("#", Qos::AtLeastOnce).await;
    client.disconnect(GONE).await;
    let topics: Vec<_> = (0..MESSAGES).map(|n| ["secret", "a"][n % 2]).collect();
    publish_each(&broker, &topics).await;
    denied.deny("c deliver secret");
    broker.reload_access().await.unwrap();
    let (mut client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    for n in 0..MESSAGES / 2 {
        assert_eq!(next(&mut client).await, "a", "{n}");
    }
    publish_each(&broker, &["secret", "last"]).await;
    assert_eq!(next(&mut client).await, "last");
    client.expect_nothing().await;
    broker.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_waited_is_dropped_when_the_right_went_between_two_brokers() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("#", Qos::AtLeastOnce).await;
    client.disconnect(GONE).await;
    publish_each(&broker, &["secret", "a"]).await;
    broker.shutdown(Duration::from_secs(5)).await;
    let denied = Denied::default();
    denied.deny("c deliver secret");
    let broker = builder().authorize(denied);
    let after = disk.after_crash();
    let broker = broker.store(after, Durability::Safe).start().await.unwrap();
    let (mut client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    assert_eq!(next(&mut client).await, "a");
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_subscription_stays_and_delivers_what_is_still_allowed() {
    let (broker, denied) = start().await;
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("+", Qos::AtLeastOnce).await;
    for what in ["c subscribe +", "c deliver secret"] {
        denied.deny(what);
    }
    broker.reload_access().await.unwrap();
    publish_each(&broker, &["secret", "a"]).await;
    assert_eq!(next(&mut client).await, "a");
    client.expect_nothing().await;
    let again = client.subscribe("+", Qos::AtLeastOnce).await;
    assert_eq!(again, ReasonCode::NotAuthorized);
}

#[tokio::test]
async fn a_member_of_a_group_gets_no_more_and_the_others_get_all() {
    let (broker, denied) = start().await;
    let mut members = Vec::new();
    for id in ["c", "d"] {
        let mut client = Client::connect(&broker, id).await;
        client.subscribe("$share/g/t", Qos::AtLeastOnce).await;
        members.push(client);
    }
    publish_each(&broker, &["t", "t"]).await;
    for member in &mut members {
        assert_eq!(next(member).await, "t");
    }
    denied.deny("c deliver t");
    broker.reload_access().await.unwrap();
    publish_each(&broker, &["t", "t", "t"]).await;
    for _ in 0..3 {
        assert_eq!(next(&mut members[1]).await, "t");
    }
    for member in &mut members {
        member.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_retained_message_that_waits_is_dropped_and_comes_no_more() {
    let (broker, denied) = start().await;
    let mut publisher = Client::connect(&broker, "p").await;
    for topic in ["a", "secret"] {
        publisher.publish_retained(topic, "x").await;
    }
    let mut connect = resuming("c", 100);
    connect
        .properties
        .set_receive_maximum(1.try_into().unwrap());
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.subscribe("a", Qos::AtLeastOnce).await;
    // It takes the whole window.
    let first: Publish = client.receive_publish().await;
    let granted = client.subscribe("secret", Qos::AtLeastOnce).await;
    assert_eq!(granted, ReasonCode::GrantedQos1);
    denied.deny("c deliver secret");
    broker.reload_access().await.unwrap();
    let packet_id = first.delivery.packet_id().unwrap();
    client.send(Packet::PubAck(Ack::new(packet_id))).await;
    client.expect_nothing().await;
    client.subscribe("secret", Qos::AtLeastOnce).await;
    client.expect_nothing().await;
}

/// Allows a filter the first time it is asked, and never again.
#[derive(Clone, Default)]
struct Once(Arc<AtomicUsize>);

impl Authorize for Once {
    fn allows(&self, _: &Principal<'_>, action: &Action<'_>) -> bool {
        match action {
            Action::Subscribe { .. } => self.0.fetch_add(1, Ordering::SeqCst) == 0,
            _ => true,
        }
    }
}

/// Else what the client is told and what is stored were different when rights change meanwhile.
#[tokio::test]
async fn a_filter_is_asked_about_once_whatever_the_store_does() {
    let disk = Disk::default();
    let broker = builder().authorize(Once::default());
    let broker = broker.store(disk.clone(), Durability::Safe).start().await;
    let broker = broker.unwrap();
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    let first = client.subscribe("a", Qos::AtLeastOnce).await;
    assert_eq!(first, ReasonCode::GrantedQos1);
    let second = client.subscribe("b", Qos::AtLeastOnce).await;
    assert_eq!(second, ReasonCode::NotAuthorized);
    let broker = disk.after_crash().broker().await;
    let (mut client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    publish_each(&broker, &["b", "a"]).await;
    assert_eq!(next(&mut client).await, "a");
    client.expect_nothing().await;
}
