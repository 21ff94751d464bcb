//! Many messages at once: one lock, one commit, one order, and what becomes of those that find no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ohmqtt_client::{
    Client, Durability, MemoryStore, Publication, Publish, PublishAllError, PublishError, Qos,
    Store, StoreError,
};
use ohmqtt_store::{Batch, Visit};

use crate::support::script::{Conn, Script};
use crate::support::{broker, client, eventually, next, soon, text};

/// Messages of QoS 1 with these numbers.
fn numbered(
    client: &Client,
    numbers: impl IntoIterator<Item = u32>,
) -> impl Iterator<Item = Publish<'_>> {
    let message = |n: u32| client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
    numbers.into_iter().map(message)
}

/// A session that is full with two messages: one is sent and not acknowledged, the other waits.
async fn full(script: &Script) -> (Client, Conn) {
    let builder = script.client().outbox(2, 10_000);
    let (client, conn) = script.pair_of(builder).await;
    client.publish_all(numbered(&client, 0..2)).send().unwrap();
    (client, conn)
}

fn stopped(result: Result<Vec<Publication>, PublishAllError>) -> PublishAllError {
    result.expect_err("more than there is room for")
}

/// A store that counts what is written to it.
#[derive(Clone, Default)]
struct Counting {
    inner: MemoryStore,
    commits: Arc<AtomicUsize>,
}

impl Store for Counting {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.apply(batch, durability)
    }
}

#[tokio::test]
async fn all_arrive_in_order_at_each_qos() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let messages = (0..500).map(|n| client.publish("t", n.to_string()).qos(qos));
        let published = soon(client.publish_all(messages)).await.unwrap();
        assert_eq!(published.len(), 500);
        for n in 0..500 {
            assert_eq!(text(&next(&mut inbox).await), n.to_string());
        }
        for publication in published {
            soon(publication.acked()).await.unwrap();
        }
    }
}

/// On a runtime of one thread nothing else runs between two calls: each message of its own would be a commit of its own if each woke
/// the driver and waited.
#[tokio::test]
async fn many_messages_are_one_commit() {
    let store = Counting::default();
    let builder = Client::builder("nowhere").client_id("c");
    let builder = builder.store(store.clone(), Durability::Safe);
    let client = builder.connector(Nowhere).start().unwrap();
    let before = store.commits.load(Ordering::SeqCst);
    let published = soon(client.publish_all(numbered(&client, 0..1000))).await;
    assert_eq!(published.unwrap().len(), 1000);
    assert_eq!(store.commits.load(Ordering::SeqCst) - before, 1);
    assert_eq!(client.metrics().queued_messages, 1000);
}

#[tokio::test]
async fn send_stops_at_the_first_without_room_and_gives_the_rest_back() {
    let script = Script::start().await;
    let (client, _conn) = script.pair_of(script.client().outbox(3, 10_000)).await;
    let stopped = stopped(client.publish_all(numbered(&client, 0..6)).send());
    assert_eq!(stopped.published.len(), 3);
    assert!(matches!(&stopped.error, PublishError::Full(_)));
    assert!(
        stopped
            .to_string()
            .ends_with("of the messages, 3 were taken before, and 2 not tried")
    );
    let back = stopped.error.into_message().into_iter().chain(stopped.rest);
    let payloads: Vec<_> = back.map(|message| message.payload).collect();
    assert_eq!(payloads, ["3", "4", "5"]);
    assert_eq!(client.metrics().queued_messages, 3);
}

#[tokio::test]
async fn awaiting_puts_in_what_fits_as_there_is_room() {
    let script = Script::start().await;
    let (client, mut conn) = full(&script).await;
    let all = tokio::spawn({
        let client = client.clone();
        async move { client.publish_all(numbered(&client, 2..100)).await }
    });
    for n in 0..100 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        assert!(client.metrics().queued_messages <= 2);
        conn.ack(&publish).await;
    }
    assert_eq!(soon(all).await.unwrap().unwrap().len(), 98);
}

#[tokio::test]
async fn those_that_wait_are_served_in_order_single_or_many() {
    let script = Script::start().await;
    let (client, mut conn) = full(&script).await;
    let mut tasks = Vec::new();
    for first in [2, 5, 8] {
        let many = client.clone();
        tasks.push(tokio::spawn(async move {
            let published = many.publish_all(numbered(&many, first..first + 2)).await;
            published.map(drop).map_err(|stopped| stopped.error)
        }));
        // Each has asked for its turn before the next one does.
        tokio::task::yield_now().await;
        let single = client.clone();
        tasks.push(tokio::spawn(async move {
            let single = single.publish("t", (first + 2).to_string());
            single.qos(Qos::AtLeastOnce).await.map(drop)
        }));
        tokio::task::yield_now().await;
    }
    for n in 0..11 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
    }
    for task in tasks {
        soon(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_dropped_future_leaves_what_was_put_in_and_nothing_else() {
    let script = Script::start().await;
    let (client, mut conn) = full(&script).await;
    let all = tokio::spawn({
        let client = client.clone();
        async move { client.publish_all(numbered(&client, 2..100)).await }
    });
    let first = conn.publish().await;
    conn.ack(&first).await;
    // Message 2 has taken the place of message 0 once the session is full again.
    eventually(|| client.metrics().outbox.accepted == 3).await;
    all.abort();
    assert!(soon(all).await.unwrap_err().is_cancelled());
    for n in 1..3 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
    }
    soon(client.publish("t", "mark")).await.unwrap();
    assert_eq!(conn.publish().await.payload, "mark");
}

#[tokio::test]
async fn a_message_that_is_none_is_told_before_any_is_taken() {
    let broker = broker().await;
    let client = client(&broker).await;
    let topics = ["a", "b/#", "c", "d/+"];
    let messages = topics.map(|topic| client.publish(topic, "x").qos(Qos::AtLeastOnce));
    let stopped = stopped(soon(client.publish_all(messages)).await);
    assert!(matches!(&stopped.error, PublishError::Topic(_)));
    assert!(stopped.to_string().contains("b/#"), "{stopped}");
    assert!(stopped.published.is_empty());
    let rest: Vec<_> = stopped.rest.iter().map(|m| m.topic.as_str()).collect();
    assert_eq!(rest, ["a", "c"]);
    assert_eq!(client.metrics().queued_messages, 0);
}

#[tokio::test]
async fn a_closed_client_takes_none_and_no_messages_are_none() {
    let broker = broker().await;
    let client = client(&broker).await;
    assert_eq!(soon(client.publish_all([])).await.unwrap().len(), 0);
    client.close(Duration::from_secs(5)).await;
    let stopped = stopped(soon(client.publish_all(numbered(&client, 0..3))).await);
    assert!(matches!(&stopped.error, PublishError::Closed(message) if message.payload == "0"));
    assert_eq!(stopped.rest.len(), 2);
}

#[test]
fn the_blocking_client_publishes_many_at_once() {
    use ohmqtt_client::blocking::Client;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(broker());
    let client = Client::connect(broker.url()).unwrap();
    let messages =
        || (0..10).map(|n: u32| client.publish("t", n.to_string()).qos(Qos::AtLeastOnce));
    assert_eq!(client.publish_all(messages()).send().unwrap().len(), 10);
    for publication in client.publish_all(messages()).try_send().unwrap() {
        publication.wait_acked(Duration::from_secs(60)).unwrap();
    }
    client.close(Duration::from_secs(5));
    assert!(client.publish_all(messages()).try_send().is_err());
}

/// Where nothing is reached.
struct Nowhere;

impl ohmqtt_client::Connect for Nowhere {
    fn connect<'a>(
        &'a self,
        _: &'a ohmqtt_client::Endpoint,
    ) -> ohmqtt_client::BoxFuture<
        'a,
        Result<Box<dyn ohmqtt_client::Transport>, ohmqtt_client::TransportError>,
    > {
        Box::pin(std::future::pending())
    }
}
