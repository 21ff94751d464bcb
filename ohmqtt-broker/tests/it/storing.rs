//! What clients are told waits for the store, and a store that fails is told of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ohmqtt_broker::{Broker, Durability, MemoryStore, Store, StoreError};
use ohmqtt_codec::{Ack, Delivery, Packet, Qos, ReasonCode};
use ohmqtt_store::{Batch, Visit};

use crate::client::{Client, publish, resuming};
use crate::disk::Disk;

const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;

/// A broker on this disk with a session that is subscribed to `t` and whose client is gone.
async fn broker_with_session(disk: &Disk) -> Broker {
    let broker = disk.broker().await;
    let (mut subscriber, _) = Client::resume(&broker, "subscriber", 1000).await;
    subscriber.subscribe("t", Qos::ExactlyOnce).await;
    subscriber.disconnect(GONE).await;
    broker
}

/// [MQTT-4.3.2-4] [MQTT-4.3.3-8] The broker owns a message when the store has it, and not before.
#[tokio::test]
async fn puback_and_pubrec_wait_for_the_store() {
    let disk = Disk::default();
    let broker = broker_with_session(&disk).await;
    for interval in [0, 1000] {
        let (mut publisher, _) = Client::resume(&broker, "publisher", interval).await;
        disk.shut();
        let ids = [publisher.next_id(), publisher.next_id()];
        for (packet_id, qos) in ids.into_iter().zip([Qos::AtLeastOnce, Qos::ExactlyOnce]) {
            let mut message = publish("t", "x");
            let dup = false;
            message.delivery = match qos {
                Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
                _ => Delivery::AtLeastOnce { packet_id, dup },
            };
            publisher.send(Packet::Publish(message)).await;
        }
        publisher.expect_nothing().await;
        // What needs no store goes on.
        assert_eq!(
            publisher.publish("nobody", "x", Qos::AtMostOnce).await,
            ReasonCode::Success
        );
        publisher.expect_nothing().await;
        disk.open();
        assert_eq!(publisher.receive().await, Packet::PubAck(Ack::new(ids[0])));
        assert_eq!(publisher.receive().await, Packet::PubRec(Ack::new(ids[1])));
        publisher.disconnect(GONE).await;
    }
}

#[tokio::test]
async fn a_subscription_and_a_new_session_wait_for_the_store() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 1000).await;
    let mut other = Client::connect(&broker, "other").await;
    disk.shut();
    let mut subscribing = tokio::spawn(async move {
        let code = client.subscribe("t", Qos::AtLeastOnce).await;
        (client, code)
    });
    let mut beginning = Client::open(&broker).await;
    let begin = Packet::Connect(resuming("new", 1000).into());
    beginning.send(begin).await;
    // Who has nothing stored is served meanwhile.
    other.subscribe("t", Qos::AtLeastOnce).await;
    other.publish("t", "x", Qos::AtLeastOnce).await;
    assert!(!subscribing.is_finished());
    disk.open();
    let (mut client, code) = (&mut subscribing).await.unwrap();
    assert_eq!(code, ReasonCode::GrantedQos1);
    assert!(matches!(beginning.receive().await, Packet::ConnAck(_)));
    client.expect_nothing().await;
}

/// [MQTT-4.3.3-9] What cannot be stored is refused, and routed to nobody who is to have it from the store.
#[tokio::test]
async fn a_store_that_fails_refuses_and_recovers() {
    let disk = Disk::default();
    let broker = broker_with_session(&disk).await;
    let (mut publisher, _) = Client::resume(&broker, "publisher", 1000).await;
    disk.fail(true);
    for (qos, reason) in [
        (Qos::AtLeastOnce, ReasonCode::QuotaExceeded),
        (Qos::ExactlyOnce, ReasonCode::ImplementationSpecificError),
    ] {
        assert_eq!(publisher.publish("t", "refused", qos).await, reason);
    }
    let reason = publisher.publish_retained("r", "refused").await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    let code = publisher.subscribe("u", Qos::AtLeastOnce).await;
    assert_eq!(code, ReasonCode::QuotaExceeded);
    let (_, connack) = Client::connect_with(&broker, resuming("new", 1000)).await;
    assert_eq!(connack.reason, ReasonCode::ServerUnavailable);
    // Who needs nothing stored is served.
    let mut other = Client::connect(&broker, "other").await;
    other.subscribe("r", Qos::AtLeastOnce).await;
    other.expect_nothing().await;
    let reason = other.publish("u", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);

    disk.fail(false);
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let reason = publisher.publish("t", "taken", qos).await;
        assert_eq!(reason, ReasonCode::Success);
    }
    let (_, present) = Client::resume(&broker, "new", 1000).await;
    assert!(!present);
    let again = disk.after_crash().broker().await;
    for broker in [&broker, &again] {
        let (mut subscriber, present) = Client::resume(broker, "subscriber", 1000).await;
        assert!(present);
        for _ in 0..2 {
            assert_eq!(subscriber.receive_publish().await.payload, "taken");
        }
        let mut other = Client::connect(broker, "other").await;
        other.publish("t", "new", Qos::AtLeastOnce).await;
        assert_eq!(subscriber.receive_publish().await.payload, "new");
    }
}

#[tokio::test]
async fn a_session_that_could_not_be_removed_is_removed_later() {
    let disk = Disk::default();
    let broker = broker_with_session(&disk).await;
    disk.fail(true);
    let (mut client, connack) =
        Client::connect_with(&broker, crate::client::connect("subscriber")).await;
    assert_eq!(connack.reason, ReasonCode::ServerUnavailable);
    client.expect_end().await;
    disk.fail(false);
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish_retained("any", "change").await;
    broker.shutdown(Duration::from_secs(5)).await;
    assert_eq!(disk.keys(b"s"), [[0; 0]; 0]);
}

#[tokio::test]
async fn a_publisher_that_is_gone_when_its_message_is_stored_hurts_nobody() {
    let disk = Disk::default();
    let broker = broker_with_session(&disk).await;
    let (mut publisher, _) = Client::resume(&broker, "publisher", 1000).await;
    disk.shut();
    let packet_id = publisher.next_id();
    let mut message = publish("t", "x");
    message.delivery = Delivery::ExactlyOnce {
        packet_id,
        dup: false,
    };
    publisher.send(Packet::Publish(message.clone())).await;
    publisher.expect_nothing().await;
    drop(publisher);
    // It comes back while the disk is still busy, and sends again.
    let (mut publisher, present) = Client::resume(&broker, "publisher", 1000).await;
    assert!(present);
    message.delivery = Delivery::ExactlyOnce {
        packet_id,
        dup: true,
    };
    publisher.send(Packet::Publish(message)).await;
    publisher.expect_nothing().await;
    disk.open();
    assert_eq!(
        publisher.receive().await,
        Packet::PubRec(Ack::new(packet_id))
    );
    let (mut subscriber, _) = Client::resume(&broker, "subscriber", 1000).await;
    assert_eq!(subscriber.receive_publish().await.payload, "x");
    let mut other = Client::connect(&broker, "other").await;
    other.publish("t", "new", Qos::AtLeastOnce).await;
    assert_eq!(subscriber.receive_publish().await.payload, "new");
}

/// A flood that the disk does not take waits in its clients' streams, and others are served.
#[tokio::test]
async fn publishers_are_held_back_while_the_store_is_behind() {
    const MESSAGES: usize = 64;
    let disk = Disk::default();
    let broker = broker_with_session(&disk).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    disk.shut();
    let payload = "x".repeat(1024 * 1024);
    let flood = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            let packet_id = publisher.next_id();
            let mut message = publish("t", &payload);
            message.delivery = Delivery::AtLeastOnce {
                packet_id,
                dup: false,
            };
            publisher.send(Packet::Publish(message)).await;
        }
        publisher
    });
    let mut other = Client::connect(&broker, "other").await;
    other.subscribe("u", Qos::AtMostOnce).await;
    for _ in 0..20 {
        other.publish("u", "x", Qos::AtMostOnce).await;
        assert_eq!(other.receive_message().await.payload, "x");
    }
    disk.open();
    let mut publisher = flood.await.unwrap();
    for _ in 0..MESSAGES {
        match publisher.receive().await {
            Packet::PubAck(ack) => assert!(
                matches!(ack.reason, ReasonCode::Success | ReasonCode::QuotaExceeded),
                "{ack:?}"
            ),
            other => panic!("{other:?}"),
        }
    }
}

/// Says when it is closed.
struct Closing(MemoryStore, Arc<AtomicBool>);

impl Store for Closing {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.0.apply(batch, durability)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_store_is_closed_when_shutdown_returns() {
    let closed = Arc::new(AtomicBool::new(false));
    let store = Closing(MemoryStore::default(), Arc::clone(&closed));
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let broker = builder
        .store(store, Durability::Fast)
        .start()
        .await
        .unwrap();
    let (mut client, _) = Client::resume(&broker, "c", 1000).await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t", "x", Qos::AtLeastOnce).await;
    drop((client, publisher));
    broker.shutdown(Duration::from_secs(5)).await;
    assert!(closed.load(Ordering::SeqCst));
}
