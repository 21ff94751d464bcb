//! What a client keeps in its store, and what the next one on the same store makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, ConfigError, Durability, LostMessage, MemoryStore, PublishError, Qos,
    Store, StoreError,
};
use ohmqtt_store::{Batch, Visit};
use tokio::runtime::{Builder, Runtime};

use crate::support::script::Script;
use crate::support::{broker, eventually, next, soon, text};

const PATIENCE: Duration = Duration::from_secs(10);

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
        client
            .publish("t", n.to_string())
            .qos(Qos::AtLeastOnce)
            .send()
            .unwrap();
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
    client
        .publish("t", "6")
        .qos(Qos::AtLeastOnce)
        .send()
        .unwrap();
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
        matches!(error, PublishError::Lost(LostMessage::StoreFailed)),
        "{error:?}"
    );
    assert_eq!(client.metrics().queued_messages, 0);
    store.fails.store(false, Ordering::SeqCst);
    let publication = soon(client.publish("t", "2").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    let publish = conn.publish().await;
    assert_eq!(publish.payload, "2");
    conn.ack(&publish).await;
    soon(publication.acked()).await.unwrap();
    eventually(|| store.inner.used() == 0).await;
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
