//! What is published by itself: at an interval, and when a value changes. The clock is the test's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ohmqtt_client::{
    AutomationError, Client, ClientBuilder, Event, LostMessage, PublishError, Qos, ReasonCode,
};
use ohmqtt_codec::{Ack, Delivery, Packet, Publish};
use tokio::time::{Instant, sleep};

use crate::support::script::{Conn, Wire};
use crate::support::soon;

const SECOND: Duration = Duration::from_secs(1);

/// A client over a stream in memory, and the server's end of it.
async fn pair_of(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, Conn) {
    let (wire, mut ends) = Wire::new();
    let builder = Client::builder("nowhere").client_id("c").connector(wire);
    let client = set(builder).start().unwrap();
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    conn.connack(false).await;
    let connected = |state: &_| matches!(state, ohmqtt_client::ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
    (client, conn)
}

async fn pair() -> (Client, Conn) {
    pair_of(|builder| builder).await
}

/// Counts from 1.
fn counting() -> impl FnMut() -> String + Send + 'static {
    let mut n = 0;
    move || {
        n += 1;
        n.to_string()
    }
}

fn payload(publish: &Publish) -> &str {
    std::str::from_utf8(&publish.payload).unwrap()
}

/// The next message, acknowledged at once.
async fn taken(conn: &mut Conn) -> String {
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    payload(&publish).to_owned()
}

#[tokio::test(start_paused = true)]
async fn messages_go_out_at_once_and_at_each_interval() {
    let (client, mut conn) = pair().await;
    let began = Instant::now();
    let every = client.every(SECOND).qos(Qos::AtLeastOnce).retain(true);
    let every = every.properties(|properties| properties.set_message_expiry_interval(7));
    let automation = every.publish("t", counting()).unwrap();
    for n in 0..5 {
        let publish = conn.publish().await;
        conn.ack(&publish).await;
        assert!(publish.retain);
        assert_eq!(publish.properties.message_expiry_interval(), Some(7));
        assert_eq!(payload(&publish), (n + 1).to_string());
        assert_eq!(began.elapsed().as_secs(), n);
    }
    assert_eq!((automation.published(), automation.skipped()), (5, 0));
    assert_eq!(automation.failed(), 0);
    assert!(automation.last_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_one_is_not_acknowledged_is_skipped() {
    let (client, mut conn) = pair().await;
    let every = client.every(SECOND).qos(Qos::AtLeastOnce);
    let automation = every.publish("t", counting()).unwrap();
    let first = conn.publish().await;
    sleep(Duration::from_millis(10_500)).await;
    assert_eq!((automation.published(), automation.skipped()), (1, 10));
    assert_eq!(client.metrics().queued_messages, 1);
    let acknowledged = Instant::now();
    conn.ack(&first).await;
    // One is due half a second later, and no burst before it; nobody asked for what was skipped.
    assert_eq!(taken(&mut conn).await, "2");
    assert_eq!(acknowledged.elapsed().as_millis() / 100, 5);
    sleep(SECOND / 4).await;
    assert_eq!((automation.published(), automation.skipped()), (2, 10));
}

#[tokio::test(start_paused = true)]
async fn a_suspension_is_not_made_up_for() {
    let (client, mut conn) = pair_of(|builder| builder.keep_alive(Duration::ZERO)).await;
    let automation = client.every(SECOND).publish("t", counting()).unwrap();
    assert_eq!(taken(&mut conn).await, "1");
    // Nothing runs meanwhile, as on a machine that sleeps.
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(taken(&mut conn).await, "2");
    let began = Instant::now();
    assert_eq!(taken(&mut conn).await, "3");
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(automation.published(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_skipped() {
    let (client, mut conn) = pair_of(|builder| builder.outbox(1, 1000)).await;
    let other = client.publish("o", "x").qos(Qos::AtLeastOnce);
    soon(other).await.unwrap();
    let other = conn.publish().await;
    let every = client.every(SECOND).qos(Qos::AtLeastOnce);
    let automation = every.publish("t", counting()).unwrap();
    sleep(Duration::from_millis(2500)).await;
    assert_eq!((automation.published(), automation.skipped()), (0, 3));
    conn.ack(&other).await;
    assert_eq!(taken(&mut conn).await, "4");
    assert_eq!((automation.published(), automation.failed()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn only_changes_are_published_when_asked() {
    let (client, mut conn) = pair().await;
    let value = Arc::new(Mutex::new("a"));
    let every = client.every(SECOND).qos(Qos::AtLeastOnce).only_changes();
    let read = Arc::clone(&value);
    let automation = every.publish("t", move || *read.lock().unwrap()).unwrap();
    assert_eq!(taken(&mut conn).await, "a");
    for next in ["b", "a"] {
        sleep(Duration::from_secs(10)).await;
        *value.lock().unwrap() = next;
        assert_eq!(taken(&mut conn).await, next);
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!((automation.published(), automation.skipped()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_payload_is_published_again_when_the_last_one_failed() {
    let (client, mut conn) = pair().await;
    let every = client.every(SECOND).qos(Qos::AtLeastOnce).only_changes();
    let automation = every.publish("t", || "same").unwrap();
    let Delivery::AtLeastOnce { packet_id, .. } = conn.publish().await.delivery else {
        panic!("QoS 1");
    };
    let mut ack = Ack::new(packet_id);
    ack.reason = ReasonCode::QuotaExceeded;
    conn.send(Packet::PubAck(ack)).await;
    assert_eq!(taken(&mut conn).await, "same");
    sleep(10 * SECOND).await;
    assert_eq!((automation.published(), automation.failed()), (2, 1));
    assert!(matches!(
        automation.last_error(),
        Some(AutomationError::Refused(ReasonCode::QuotaExceeded))
    ));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_guard_ends_it_and_the_client_with_it() {
    let (client, mut conn) = pair().await;
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let payload = move || counted.fetch_add(1, Ordering::SeqCst).to_string();
    let stopped = client.every(SECOND).publish("t", payload).unwrap();
    let kept = client.every(SECOND).publish("u", counting()).unwrap();
    conn.publish().await;
    conn.publish().await;
    stopped.stop();
    drop(client);
    // The other one keeps the client alive.
    for _ in 0..3 {
        let publish = conn.publish().await;
        assert!(format!("{:?}", publish.topic).contains('u'));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(kept);
    conn.goodbye().await;
    // Nobody holds the closure any more.
    assert_eq!(Arc::strong_count(&calls), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_and_the_next_call_is_made() {
    let (client, mut conn) = pair().await;
    let mut events = client.events();
    let mut calls = 0;
    let payload = move || {
        calls += 1;
        assert!(calls != 2, "the second call");
        calls.to_string()
    };
    let automation = client.every(SECOND).publish("t", payload).unwrap();
    assert_eq!(taken(&mut conn).await, "1");
    assert_eq!(taken(&mut conn).await, "3");
    let Some(Event::AutomationPanicked { topic, panic }) = soon(events.recv()).await else {
        panic!("another event");
    };
    assert_eq!((topic.as_str(), panic.as_str()), ("t", "the second call"));
    assert_eq!((automation.published(), automation.failed()), (2, 1));
    let error = automation.last_error().unwrap();
    assert!(matches!(&error, AutomationError::Panicked(said) if said == "the second call"));
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_qos_0_is_lost_and_qos_1_waits_alone() {
    let (client, conn) = pair().await;
    drop(conn);
    soon(
        client.wait_for(|state| matches!(state, ohmqtt_client::ConnectionState::Connecting { .. })),
    )
    .await;
    let lost = client.every(SECOND).publish("t", counting()).unwrap();
    let waits = client.every(SECOND).qos(Qos::AtLeastOnce);
    let waits = waits.publish("t", counting()).unwrap();
    sleep(Duration::from_millis(4500)).await;
    assert_eq!((lost.published(), lost.failed(), lost.skipped()), (5, 5, 0));
    assert!(matches!(
        lost.last_error(),
        Some(AutomationError::Lost(LostMessage::Offline))
    ));
    assert_eq!(
        (waits.published(), waits.failed(), waits.skipped()),
        (1, 0, 4)
    );
}

#[tokio::test(start_paused = true)]
async fn closing_the_client_ends_it() {
    let (client, mut conn) = pair().await;
    let automation = client.every(SECOND).publish("t", counting()).unwrap();
    let value = client.on_change(SECOND).publish("v").unwrap();
    conn.publish().await;
    tokio::join!(client.close(SECOND), conn.goodbye());
    value.set("x");
    sleep(Duration::from_secs(10)).await;
    for automation in [&automation, value.automation()] {
        assert_eq!(automation.failed(), 1);
        let error = automation.last_error().unwrap();
        assert!(
            error.to_string().contains("the client is closed"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_told_at_once() {
    let (client, _conn) = pair().await;
    let wrong = |error| match error {
        PublishError::Topic(_) => "topic",
        PublishError::Value { field, .. } => field,
        other => panic!("{other}"),
    };
    let zero = Duration::ZERO;
    let errors = [
        client.every(SECOND).publish("t/#", || "x").map(drop),
        client.every(zero).publish("t", || "x").map(drop),
        client.on_change(SECOND).publish("t/#").map(drop),
        client.on_change(zero).publish("t").map(drop),
    ];
    let errors = errors.map(|result| wrong(result.unwrap_err()));
    assert_eq!(errors, ["topic", "interval", "topic", "min_interval"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_goes_out_at_once_and_the_newest_of_more_when_it_may() {
    let (client, mut conn) = pair().await;
    let value = client.on_change(SECOND).qos(Qos::AtLeastOnce).retain(true);
    let value = value.publish("t").unwrap();
    sleep(5 * SECOND).await;
    let began = Instant::now();
    value.set("a");
    assert_eq!(taken(&mut conn).await, "a");
    assert_eq!(began.elapsed().as_millis() / 100, 0);
    for newer in ["b", "c", "d"] {
        sleep(SECOND / 5).await;
        value.set(newer);
    }
    assert_eq!(taken(&mut conn).await, "d");
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(
        (value.automation().published(), value.automation().skipped()),
        (2, 2)
    );
    // Long after the last, the next goes out at once again.
    sleep(5 * SECOND).await;
    let began = Instant::now();
    value.set("e");
    assert_eq!(taken(&mut conn).await, "e");
    assert_eq!(began.elapsed().as_millis() / 100, 0);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_as_it_was_is_not_published() {
    let (client, mut conn) = pair().await;
    let value = client.on_change(SECOND).qos(Qos::AtLeastOnce);
    let value = value.publish("t").unwrap();
    value.set("a");
    assert_eq!(taken(&mut conn).await, "a");
    // It changes, and changes back, before it may be told.
    value.set("b");
    value.set("a");
    sleep(10 * SECOND).await;
    assert_eq!(value.automation().published(), 1);
    value.set("b");
    assert_eq!(taken(&mut conn).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_for_the_acknowledgement_and_for_room() {
    let (client, mut conn) = pair_of(|builder| builder.outbox(1, 1000)).await;
    let other = client.publish("o", "other").qos(Qos::AtLeastOnce);
    soon(other).await.unwrap();
    let other = conn.publish().await;
    let value = client.on_change(SECOND).qos(Qos::AtLeastOnce);
    let value = value.publish("t").unwrap();
    for newer in ["a", "b"] {
        value.set(newer);
        sleep(10 * SECOND).await;
        assert_eq!(value.automation().published(), 0);
    }
    conn.ack(&other).await;
    let publish = conn.publish().await;
    assert_eq!(payload(&publish), "b");
    for newer in ["c", "d"] {
        value.set(newer);
        sleep(10 * SECOND).await;
        assert_eq!(value.automation().published(), 1);
    }
    conn.ack(&publish).await;
    assert_eq!(taken(&mut conn).await, "d");
    let automation = value.automation();
    assert_eq!((automation.skipped(), automation.failed()), (2, 0));
}

#[test]
fn the_blocking_client_publishes_by_itself_until_the_guard_is_dropped() {
    use ohmqtt_client::blocking::Client;
    let patience = Duration::from_secs(60);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(crate::support::broker());
    let mut inbox = {
        let reader = Client::connect(broker.url()).unwrap();
        reader.subscribe("+").qos(Qos::AtLeastOnce).send().unwrap()
    };
    let client = Client::connect(broker.url()).unwrap();
    let every = client.every(Duration::from_millis(1)).qos(Qos::AtLeastOnce);
    let automation = every.publish("t", counting()).unwrap();
    let value = client
        .on_change(Duration::from_millis(1))
        .qos(Qos::AtLeastOnce);
    let value = value.publish("v").unwrap();
    drop(client);
    for n in 1..=3 {
        assert_eq!(inbox.recv_timeout(patience).unwrap().payload, n.to_string());
    }
    automation.stop();
    value.set("last");
    let is_last = |message: &ohmqtt_client::Message| message.payload == "last";
    assert!(std::iter::from_fn(|| inbox.recv_timeout(patience)).any(|message| is_last(&message)));
}
