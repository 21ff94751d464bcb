//! What a client keeps in its store, and what the next one on the same store makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, ConfigError, Durability, LostMessage, MemoryStore, Overflow,
    PublishError, Qos, RedbStore, Store, StoreError,
};
use ohmqtt_codec::{PublishTopic, TopicName};
use ohmqtt_store::{Batch, Visit};
use tokio::runtime::{Builder, Runtime};

use crate::support::script::Script;
use crate::support::{accepted, broker, eventually, next, soon, text};

const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime that can be ended as a process is.
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn keeping(builder: ClientBuilder, store: &MemoryStore) -> ClientBuilder {
    builder.store(store.clone(), Durability::Safe)
}

#[tokio::test]
async fn what_was_accepted_is_delivered_by_the_next_client_on_the_same_store() {
    let store = MemoryStore::default();
    let process = runtime();
    let nowhere = Script::start().await.client();
    let client = {
        let _inside = process.enter();
        keeping(nowhere, &store).start().unwrap()
    };
    for n in 0..10 {
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        soon(publish).await.unwrap();
    }
    // Nobody gets to say goodbye.
    process.shutdown_background();

    let script = Script::start().await;
    let client = keeping(script.client(), &store).start().unwrap();
    assert_eq!(client.metrics().queued_messages, 10);
    let mut conn = script.accept().await;
    for n in 0..10 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
    }
    let (closed, _) = tokio::join!(soon(client.close(PATIENCE)), async {
        let goodbye = conn.goodbye().await;
        drop(conn);
        goodbye
    });
    assert_eq!(closed.unacknowledged, 0);
    assert_eq!(store.used(), 0);
}

#[tokio::test]
async fn what_was_sent_and_not_acknowledged_goes_again_as_a_duplicate() {
    let script = Script::start().await;
    let store = MemoryStore::default();
    let process = runtime();
    let client = {
        let _inside = process.enter();
        keeping(script.client(), &store).start().unwrap()
    };
    let mut conn = script.accept().await;
    soon(client.publish("t", "x").qos(Qos::ExactlyOnce))
        .await
        .unwrap();
    let first = conn.publish().await;
    process.shutdown_background();
    drop(conn);

    let _client = keeping(script.client(), &store).start().unwrap();
    let mut conn = script.resume().await;
    let again = conn.publish().await;
    assert!(again.delivery.dup());
    assert_eq!(again.delivery.packet_id(), first.delivery.packet_id());
    conn.ack(&again).await;
}

#[tokio::test]
async fn close_keeps_what_it_could_not_deliver() {
    let script = Script::start().await;
    let store = MemoryStore::default();
    let client = keeping(script.client(), &store).start().unwrap();
    // Neither waited for nor accepted yet when the client closes.
    for n in 0..100 {
        accepted(&client, "t", n.to_string(), Qos::AtLeastOnce);
    }
    let closed = soon(client.close(Duration::ZERO)).await;
    assert_eq!(closed.unacknowledged, 100);
    let client = keeping(script.client(), &store).start().unwrap();
    assert_eq!(client.metrics().queued_messages, 100);
}

#[tokio::test]
async fn a_backlog_that_was_read_back_makes_room_and_lets_the_client_close() {
    let broker = broker().await;
    let store = MemoryStore::default();
    let builder = || {
        Client::builder(broker.url())
            .client_id("c")
            .outbox(5, 10_000)
    };
    let nowhere = Script::start().await;
    let first = nowhere.client().client_id("c");
    let client = keeping(first, &store).start().unwrap();
    for n in 0..5 {
        soon(client.publish("t", n.to_string()).qos(Qos::AtLeastOnce))
            .await
            .unwrap();
    }
    soon(client.close(Duration::ZERO)).await;
    drop(nowhere);

    let reader = soon(Client::connect(broker.url())).await.unwrap();
    let mut inbox = soon(reader.subscribe("t")).await.unwrap();
    // The outbox is full of what another client has published: its end makes room too.
    let client = keeping(builder(), &store).start().unwrap();
    let publish = client.publish("t", "5").qos(Qos::AtLeastOnce);
    soon(publish).await.unwrap();
    for n in 0..=5 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    assert_eq!(soon(client.close(PATIENCE)).await.unacknowledged, 0);

    // And nothing but a backlog is closed on as soon as that is delivered.
    let client = keeping(builder(), &store).start().unwrap();
    accepted(&client, "t", "6", Qos::AtLeastOnce);
    soon(client.close(Duration::ZERO)).await;
    let client = keeping(builder(), &store).start().unwrap();
    assert_eq!(
        soon(client.close(Duration::from_secs(3600)))
            .await
            .unacknowledged,
        0
    );
    assert_eq!(text(&next(&mut inbox).await), "6");
}

#[tokio::test]
async fn a_message_taken_by_the_application_does_not_come_again_after_a_crash() {
    let script = Script::start().await;
    let store = MemoryStore::default();
    let process = runtime();
    let client = {
        let _inside = process.enter();
        keeping(script.client(), &store).start().unwrap()
    };
    let mut inbox = client.subscribe("t").send().unwrap();
    let mut conn = script.accept().await;
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "x", Qos::ExactlyOnce, 1).await;
    next(&mut inbox).await;
    conn.recv().await; // PUBREC: it is in the store
    process.shutdown_background();
    drop(conn);

    let client = keeping(script.client(), &store).start().unwrap();
    let mut inbox = client.subscribe("t").send().unwrap();
    let mut conn = script.resume().await;
    conn.deliver("t", "x", Qos::ExactlyOnce, 1).await;
    conn.deliver("t", "y", Qos::ExactlyOnce, 2).await;
    assert_eq!(text(&next(&mut inbox).await), "y");
}

#[tokio::test]
async fn a_store_needs_a_client_identifier() {
    let script = Script::start().await;
    let builder = script.client().client_id("");
    let error = keeping(builder, &MemoryStore::default())
        .start()
        .unwrap_err();
    assert!(matches!(error, ConfigError::StoreNeedsClientId));
}

/// A store that fails when told.
#[derive(Clone, Default)]
struct Failing {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
}

impl Failing {
    fn check(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            let (needed, limit) = (2, 1);
            return Err(StoreError::Full { needed, limit });
        }
        Ok(())
    }
}

impl Store for Failing {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.check()?;
        self.inner.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.check()?;
        self.inner.apply(batch, durability)
    }
}

#[tokio::test]
async fn a_store_that_fails_fails_the_publish_and_recovers() {
    let script = Script::start().await;
    let store = Failing::default();
    let builder = script.client().store(store.clone(), Durability::Safe);
    let (client, mut conn) = script.pair_of(builder).await;
    store.fails.store(true, Ordering::SeqCst);
    let error = soon(client.publish("t", "1").qos(Qos::AtLeastOnce))
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Store(StoreError::Full { .. })),
        "{error:?}"
    );
    assert!(matches!(
        client.store_error(),
        Some(StoreError::Full { .. })
    ));
    let health = client.health().to_string();
    assert!(health.contains("the store failed: "), "{health}");
    assert_eq!(client.metrics().queued_messages, 0);
    assert_eq!(client.metrics().outbox.store_failed, 1);
    store.fails.store(false, Ordering::SeqCst);
    let publication = soon(client.publish("t", "2").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    let publish = conn.publish().await;
    assert_eq!(publish.payload, "2");
    conn.ack(&publish).await;
    soon(publication.acked()).await.unwrap();
    eventually(|| store.inner.used() == 0).await;
    assert!(client.store_error().is_none());
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_told_before_anything_is_tried() {
    let script = Script::start().await;
    let store = Failing::default();
    store.fails.store(true, Ordering::SeqCst);
    let builder = script.client().store(store, Durability::Safe);
    let error = builder.start().unwrap_err();
    assert!(
        matches!(error, ConfigError::Store(StoreError::Full { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("store"), "{error}");
}

#[tokio::test]
async fn a_backlog_beyond_the_window_is_delivered_in_order_after_a_restart() {
    let store = MemoryStore::default();
    let nowhere = Script::start().await;
    let small = |builder: ClientBuilder| keeping(builder, &store).window(10, 100_000);
    let client = small(nowhere.client()).start().unwrap();
    for n in 0..100 {
        let publish = client.publish("t", n.to_string()).qos(Qos::ExactlyOnce);
        soon(publish).await.unwrap();
    }
    assert_eq!(soon(client.close(Duration::ZERO)).await.unacknowledged, 100);

    let broker = broker().await;
    let reader = soon(Client::connect(broker.url())).await.unwrap();
    let inbox = reader.subscribe("t").qos(Qos::ExactlyOnce);
    let mut inbox = soon(inbox).await.unwrap();
    let client = small(Client::builder(broker.url()).client_id("c"))
        .start()
        .unwrap();
    for n in 0..100 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    assert_eq!(soon(client.close(PATIENCE)).await.unacknowledged, 0);
    assert_eq!(store.used(), 0);
}

#[tokio::test]
async fn the_handles_of_a_backlog_hear_of_its_end() {
    let store = MemoryStore::default();
    let script = Script::start().await;
    let client = keeping(script.client(), &store).window(2, 100_000).start();
    let client = client.unwrap();
    let mut publications = Vec::new();
    for n in 0..20 {
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        publications.push(soon(publish).await.unwrap());
    }
    // Nobody asks about every other one.
    let mut number = 0;
    publications.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    let mut conn = script.accept().await;
    for n in 0..20 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
    }
    for publication in publications {
        soon(publication.acked()).await.unwrap();
    }
    assert_eq!(client.metrics().outbox.delivered, 20);
}

#[tokio::test]
async fn a_full_outbox_drops_the_oldest_or_keeps_the_newest_when_told() {
    let store = MemoryStore::default();
    let nowhere = Script::start().await;
    let client = keeping(nowhere.client(), &store)
        .outbox(3, 100_000)
        .overflow(Overflow::DropOldest);
    let client = client.start().unwrap();
    let mut publications = Vec::new();
    for n in 0..5 {
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        publications.push(soon(publish).await.unwrap());
    }
    for publication in &publications[..2] {
        let lost = soon(publication.acked()).await.unwrap_err();
        assert_eq!(lost, LostMessage::Dropped);
    }
    assert_eq!(client.metrics().outbox.dropped, 2);
    soon(client.close(Duration::ZERO)).await;

    // The same store, and another choice.
    let script = Script::start().await;
    let client = keeping(script.client(), &store)
        .outbox(3, 100_000)
        .overflow(Overflow::KeepNewest);
    let client = client.start().unwrap();
    soon(client.publish("u", "x").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    soon(client.publish("t", "5").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    assert_eq!(client.metrics().outbox.replaced, 2);
    let mut conn = script.accept().await;
    for (topic, payload) in [("t", "4"), ("u", "x"), ("t", "5")] {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, payload);
        assert_eq!(
            publish.topic,
            PublishTopic::Name(TopicName::new(topic).unwrap())
        );
        conn.ack(&publish).await;
    }
}

#[tokio::test]
async fn a_deadline_is_told_when_it_passes_and_not_when_the_message_is_looked_at() {
    let store = MemoryStore::default();
    let script = Script::start().await;
    let client = keeping(script.client(), &store).window(1, 100_000).start();
    let client = client.unwrap();
    for n in 0..5 {
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        soon(publish).await.unwrap();
    }
    let soon_over = client
        .publish("t", "late")
        .qos(Qos::AtLeastOnce)
        .deadline(Duration::from_millis(50));
    let publication = soon(soon_over).await.unwrap();
    let lost = soon(publication.acked()).await.unwrap_err();
    assert_eq!(lost, LostMessage::DeadlinePassed);
    assert_eq!(client.metrics().queued_messages, 5);
}

#[tokio::test]
async fn a_file_is_released_when_the_client_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let nowhere = Script::start().await;
    for n in 1..=3 {
        let store = RedbStore::open(&path).unwrap();
        let builder = nowhere.client().store(store, Durability::Safe);
        let client = builder.start().unwrap();
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        soon(publish).await.unwrap();
        let in_use = RedbStore::open(&path).unwrap_err().to_string();
        assert!(in_use.contains("outbox.redb"), "{in_use}");
        assert_eq!(soon(client.close(Duration::ZERO)).await.unacknowledged, n);
    }
}
