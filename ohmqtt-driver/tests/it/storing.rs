//! The session and its store: nothing leaves before its record is kept, and a store that fails is told of.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ohmqtt_codec::{Ack, Delivery, Limits, MqttString, Packet, PacketId, Qos, ReasonCode};
use ohmqtt_driver::{Clock, Driver, Events, Handle, StoreLink};
use ohmqtt_session::{
    ClientConfig, ClientEvent, ClientSession, LostMessage, PublishError, PublishOptions, Ticket,
};
use ohmqtt_store::{Batch, Durability, MemoryStore, Prefix, Store, StoreError, Visit, Writer};
use tokio::io::duplex;

use crate::support::{Raw, Side, message, settle, within};

fn config() -> ClientConfig {
    let mut config = ClientConfig::new("c".try_into().unwrap());
    config.durable = true;
    config
}

fn link(store: impl Store) -> StoreLink {
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    StoreLink::new(writer, Prefix::session(&MqttString::try_from("c").unwrap()))
}

/// A store in memory with a gate, a switch that makes it fail, and a count of what was asked of it.
#[derive(Clone, Debug, Default)]
struct Switched {
    inner: MemoryStore,
    gate: Arc<(Mutex<bool>, Condvar)>,
    fails: Arc<AtomicBool>,
    applied: Arc<AtomicUsize>,
}

impl Switched {
    fn shut(&self) {
        *self.gate.0.lock().unwrap() = true;
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap() = false;
        self.gate.1.notify_all();
    }

    fn check(&self) -> Result<(), StoreError> {
        let shut = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(shut, |shut| *shut).unwrap());
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Full {
                needed: 2,
                limit: 1,
            });
        }
        Ok(())
    }
}

impl Store for Switched {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.check()?;
        self.inner.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        self.inner.apply(batch, durability)
    }
}

fn is_accepted(event: &ClientEvent, ticket: u64) -> Option<()> {
    let wanted = ClientEvent::Accepted {
        ticket: Ticket(ticket),
    };
    (*event == wanted).then_some(())
}

/// A connected client with a store, and what it speaks to.
async fn connected(store: &Switched) -> (Side<ClientSession>, Raw, StoreLink) {
    let (near, far) = duplex(64 * 1024);
    let link = link(store.clone());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    let mut client = Side::spawn(handle, Some(link.clone()), near, |handle, event| {
        if let ClientEvent::Message {
            receipt: Some(receipt),
            ..
        } = event
        {
            let receipt = *receipt;
            handle.with(|session, _| session.acknowledge(receipt, ReasonCode::Success));
        }
    });
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    (client, raw, link)
}

fn incoming(qos: Qos, id: u16) -> Packet {
    let (packet_id, dup) = (PacketId::new(id).unwrap(), false);
    let delivery = match qos {
        Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        _ => Delivery::ExactlyOnce { packet_id, dup },
    };
    Packet::Publish(message(qos, "in").to_publish(delivery))
}

/// Waits until the store was asked for so many commits.
async fn applied(store: &Switched, count: usize) {
    within(async {
        while store.applied.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_is_accepted_and_leaves_once_its_record_is_committed() {
    let store = Switched::default();
    let (mut client, mut raw, _) = connected(&store).await;
    store.shut();
    client.publish(Qos::AtLeastOnce, 1, "kept");
    applied(&store, 1).await;
    // What needs no record is answered meanwhile, and comes first.
    raw.send(incoming(Qos::AtLeastOnce, 9)).await;
    assert!(matches!(raw.next().await, Some(Packet::PubAck(_))));
    assert!(
        client
            .events()
            .iter()
            .all(|event| is_accepted(event, 1).is_none())
    );
    store.open();
    client.until(|event| is_accepted(event, 1)).await;
    let Some(Packet::Publish(publish)) = raw.next().await else {
        panic!("no PUBLISH");
    };
    assert_eq!(publish.payload, "kept");
}

#[tokio::test]
async fn a_store_that_fails_fails_the_message_and_recovers() {
    let store = Switched::default();
    let (mut client, mut raw, link) = connected(&store).await;
    store.fails.store(true, Ordering::SeqCst);
    client.publish(Qos::ExactlyOnce, 1, "lost");
    let lost = ClientEvent::Lost {
        ticket: Ticket(1),
        why: LostMessage::StoreFailed,
    };
    client.until(|event| (*event == lost).then_some(())).await;
    assert!(matches!(
        link.health().error(),
        Some(StoreError::Full { .. })
    ));
    assert_eq!(client.handle.read(ClientSession::queued), (0, 0));
    store.fails.store(false, Ordering::SeqCst);
    client.publish(Qos::AtLeastOnce, 2, "kept");
    client.until(|event| is_accepted(event, 2)).await;
    assert!(link.health().error().is_none());
    let Some(Packet::Publish(publish)) = raw.next().await else {
        panic!("no PUBLISH");
    };
    assert_eq!(publish.payload, "kept");
}

#[tokio::test]
async fn a_protocol_record_that_fails_holds_its_flow_and_is_tried_again_at_leisure() {
    let store = Switched::default();
    let (_client, mut raw, _) = connected(&store).await;
    store.fails.store(true, Ordering::SeqCst);
    let before = tokio::time::Instant::now();
    raw.send(incoming(Qos::ExactlyOnce, 1)).await;
    applied(&store, 4).await;
    // PUBREC waits for its record; four attempts have three pauses between them.
    assert!(before.elapsed() > Duration::from_millis(600));
    raw.send(incoming(Qos::AtLeastOnce, 2)).await;
    assert!(matches!(raw.next().await, Some(Packet::PubAck(_))));
    store.fails.store(false, Ordering::SeqCst);
    assert!(matches!(raw.next().await, Some(Packet::PubRec(_))));
}

#[tokio::test]
async fn what_was_accepted_is_sent_by_the_next_session_on_the_same_store() {
    let store = Switched::default();
    let (mut client, mut raw, link) = connected(&store).await;
    for ticket in 1..=3 {
        client.publish(Qos::AtLeastOnce, ticket, ticket.to_string());
    }
    client.until(|event| is_accepted(event, 3)).await;
    raw.send(incoming(Qos::ExactlyOnce, 7)).await;
    while !matches!(raw.next().await, Some(Packet::PubRec(_))) {}
    // The process ends.
    client.run.abort();
    let _ = (&mut client.run).await;
    drop((client, raw, link));

    let link = self::link(store);
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    assert_eq!(handle.read(ClientSession::queued).0, 3);
    let (near, far) = duplex(64 * 1024);
    let _client = Side::spawn(handle, Some(link), near, |_, _| {});
    let mut raw = Raw::new(far);
    let Some(Packet::Connect(connect)) = raw.next().await else {
        panic!("no CONNECT");
    };
    assert!(!connect.clean_start);
    raw.send(resumed()).await;
    for n in 1..=3 {
        let Some(Packet::Publish(publish)) = raw.next().await else {
            panic!("no PUBLISH");
        };
        assert!(publish.delivery.dup());
        assert_eq!(publish.payload, n.to_string());
    }
    // What the application has taken is known too: it does not come a second time.
    raw.send(incoming(Qos::ExactlyOnce, 7)).await;
    assert!(matches!(raw.next().await, Some(Packet::PubRec(_))));
}

fn resumed() -> Packet {
    let mut packet = crate::support::connack();
    if let Packet::ConnAck(connack) = &mut packet {
        connack.session_present = true;
    }
    packet
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_told_of_at_once() {
    let store = Switched::default();
    store.fails.store(true, Ordering::SeqCst);
    let link = link(store);
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    let error = link.restore(&handle).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }));
}

#[tokio::test]
async fn more_records_than_one_stretch_are_all_read_back() {
    let store = Switched::default();
    let first = link(store.clone());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    first.restore(&handle).unwrap();
    let mut accepted = offline(handle.clone(), first);
    for ticket in 1..=3000 {
        publish(&handle, ticket);
    }
    while within(accepted.recv()).await != Some(3000) {}
    drop(accepted);

    let again = link(store);
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    again.restore(&handle).unwrap();
    assert_eq!(handle.read(ClientSession::queued).0, 3000);
}

/// Runs a driver without a stream, and tells which messages were accepted.
fn offline(
    handle: Handle<ClientSession>,
    link: StoreLink,
) -> tokio::sync::mpsc::UnboundedReceiver<u64> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let closed = sender.clone();
    let on_events = move |events: Events<'_, ClientEvent>| {
        for event in events {
            if let ClientEvent::Accepted { ticket } = event {
                let _ = sender.send(ticket.0);
            }
        }
    };
    let mut driver = Driver::new(handle, Some(link), Limits::default(), on_events);
    tokio::spawn(async move {
        tokio::select! {
            never = driver.idle() => match never {},
            () = closed.closed() => {}
        }
    });
    receiver
}

fn publish(handle: &Handle<ClientSession>, ticket: u64) {
    let options = PublishOptions {
        ticket: Ticket(ticket),
        ..PublishOptions::default()
    };
    handle
        .with(|session, now| session.publish(now, message(Qos::AtLeastOnce, "x"), options))
        .unwrap();
}

#[tokio::test]
async fn messages_are_accepted_without_a_stream() {
    let link = link(MemoryStore::default());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    let mut accepted = offline(handle.clone(), link);
    for ticket in 1..=100 {
        publish(&handle, ticket);
    }
    for ticket in 1..=100 {
        assert_eq!(within(accepted.recv()).await, Some(ticket));
    }
}

#[tokio::test]
async fn a_store_that_hangs_holds_back_the_caller_and_what_was_taken_is_accepted_in_order() {
    let store = Switched::default();
    let link = link(store.clone());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    let mut accepted = offline(handle.clone(), link.clone());
    store.shut();
    let payload = bytes::Bytes::from(vec![0; 1024 * 1024]);
    let publish = |ticket| {
        let options = PublishOptions {
            ticket: Ticket(ticket),
            ..PublishOptions::default()
        };
        let message = message(Qos::AtLeastOnce, payload.clone());
        handle.with(|session, now| session.publish(now, message, options))
    };
    let mut count = 0;
    let refused = loop {
        match publish(count + 1) {
            Ok(()) => count += 1,
            Err(rejected) => break rejected.error,
        }
        settle().await;
    };
    let held = format!("{link:?}");
    let bytes = held.split("unanswered_bytes: ").nth(1).unwrap();
    let bytes: usize = bytes.split([',', ' ']).next().unwrap().parse().unwrap();
    // Opened before anything is checked: a failure is not to hang.
    store.open();
    assert!(matches!(refused, PublishError::StoreBehind), "{refused:?}");
    assert!(count >= 8, "{count}");
    assert!(bytes < Writer::LIMIT + 2 * payload.len(), "{bytes}");
    for ticket in 1..=count {
        assert_eq!(within(accepted.recv()).await, Some(ticket));
    }
    publish(count + 1).unwrap();
    assert_eq!(within(accepted.recv()).await, Some(count + 1));
}

/// One for the call, one for the store's word, one for the acknowledgement.
#[tokio::test]
async fn a_durable_publish_costs_three_wake_ups() {
    let store = Switched::default();
    let (mut client, mut raw, _) = connected(&store).await;
    settle().await;
    client.polls();
    client.publish(Qos::AtLeastOnce, 1, "x");
    let Some(Packet::Publish(publish)) = raw.next().await else {
        panic!("no PUBLISH");
    };
    let id = publish.delivery.packet_id().unwrap();
    raw.send(Packet::PubAck(Ack::new(id))).await;
    client.acked(1).await;
    assert!(client.polls() <= 3);
}

#[tokio::test]
async fn settling_gives_the_store_everything_and_waits_for_it() {
    let store = Switched::default();
    let link = link(store.clone());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let on_events = move |events: Events<'_, ClientEvent>| {
        let counted = events.filter(|event| matches!(event, ClientEvent::Accepted { .. }));
        count.fetch_add(counted.count(), Ordering::SeqCst);
    };
    let mut driver = Driver::new(handle.clone(), Some(link), Limits::default(), on_events);
    for ticket in 1..=100 {
        publish(&handle, ticket);
    }
    within(driver.settle()).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 100);
    assert!(store.inner.used() > 0);
    within(driver.settle()).await;
}

#[tokio::test]
async fn settling_with_a_store_that_fails_ends_and_says_what_is_lost() {
    let store = Switched::default();
    let link = link(store.clone());
    let handle = Handle::new(ClientSession::new(config()), Clock::new());
    link.restore(&handle).unwrap();
    store.fails.store(true, Ordering::SeqCst);
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    let on_events = move |events: Events<'_, ClientEvent>| {
        let counted = events.filter(|event| matches!(event, ClientEvent::Lost { .. }));
        count.fetch_add(counted.count(), Ordering::SeqCst);
    };
    let mut driver = Driver::new(handle.clone(), Some(link), Limits::default(), on_events);
    for ticket in 1..=100 {
        publish(&handle, ticket);
    }
    within(driver.settle()).await;
    assert_eq!(lost.load(Ordering::SeqCst), 100);
}
