//! Floods while a good client goes on: its PUBACKs keep coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_codec::{Qos, ReasonCode};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{connect, packet, publish, text};
use crate::client::{Client, broker_with, topic};

/// How many messages the good client publishes while the flood is on.
const MESSAGES: usize = 50;

/// A client that sends the same packets again and again, as fast as the broker takes them, until it is aborted.
struct Flood {
    task: JoinHandle<()>,
    sent: Arc<AtomicUsize>,
}

impl Flood {
    async fn of(mut client: Client, packets: Vec<u8>) -> Self {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            loop {
                client.send_bytes(&packets).await;
                count.fetch_add(1, Ordering::Relaxed);
                // The kernel may take all of it at once, for long.
                tokio::task::yield_now().await;
            }
        });
        let flood = Self { task, sent };
        while flood.sent() < 2 {
            tokio::task::yield_now().await;
        }
        flood
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A good client publishes and another receives, each message acknowledged and delivered while the floods go on.
async fn check_served(broker: &Broker, floods: &[Flood]) {
    let mut reader = Client::connect(broker, "reader").await;
    reader.subscribe("good", Qos::AtLeastOnce).await;
    let mut good = Client::connect(broker, "good").await;
    for n in 0..MESSAGES {
        let reason = good.publish("good", &n.to_string(), Qos::AtLeastOnce).await;
        assert_eq!(reason, ReasonCode::Success);
        let message = reader.receive_message().await;
        assert_eq!(
            (topic(&message), &message.payload[..]),
            ("good", n.to_string().as_bytes())
        );
    }
    for flood in floods {
        assert!(!flood.task.is_finished());
    }
}

/// So many QoS 0 messages in one piece.
fn messages(topic: &[u8], count: usize, payload: usize) -> Vec<u8> {
    let body = [text(topic), vec![0], vec![b'x'; payload]].concat();
    packet(0x30, &body).repeat(count)
}

/// Fault class: one publisher that never pauses starves the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flooding_publishers_leave_others_their_acknowledgements() {
    let broker = broker_with(|limits| limits.session_queue_bytes = 1 << 20).await;
    // Somebody hears the flood and is flooded with it: its queue is full all the time.
    let mut deaf = Client::connect(&broker, "deaf").await;
    deaf.subscribe("flood", Qos::AtMostOnce).await;
    let mut floods = Vec::new();
    for n in 0..4 {
        let client = Client::connect(&broker, &format!("flooder{n}")).await;
        floods.push(Flood::of(client, messages(b"flood", 1000, 16)).await);
    }
    // They are flooding all the time.
    for _ in 0..10 {
        let before: usize = floods.iter().map(Flood::sent).sum();
        check_served(&broker, &floods).await;
        let goes_on = async {
            while floods.iter().map(Flood::sent).sum::<usize>() == before {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), goes_on).await.unwrap();
    }
}

/// Fault class: a client that asks for more acknowledgements than it reads holds what others wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_reads_no_acknowledgement_holds_back_itself() {
    let broker = broker_with(|_| {}).await;
    let mut floods = Vec::new();
    for n in 0..4 {
        let client = Client::connect(&broker, &format!("flooder{n}")).await;
        floods.push(Flood::of(client, publish(b"flood", &[]).repeat(1000)).await);
    }
    check_served(&broker, &floods).await;
}

/// Fault class: subscribing and unsubscribing without end, to what matches everything, starves the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flooding_subscribers_leave_others_their_acknowledgements() {
    let broker = broker_with(|limits| {
        limits.subscriptions = 100;
        limits.session_queue_bytes = 1 << 20;
    })
    .await;
    let asks: Vec<u8> = (0..200)
        .flat_map(|n| {
            let filter = text(format!("{n}/#").as_bytes());
            let subscribe = [b"\x00\x01\x00", &filter[..], b"\x00"].concat();
            let unsubscribe = [b"\x00\x02\x00", &filter[..]].concat();
            let everything = [b"\x00\x03\x00", &text(b"#")[..], b"\x02"].concat();
            [
                packet(0x82, &subscribe),
                packet(0xA2, &unsubscribe),
                packet(0x82, &everything),
            ]
            .concat()
        })
        .collect();
    let mut floods = Vec::new();
    for n in 0..4 {
        let client = Client::connect(&broker, &format!("flooder{n}")).await;
        floods.push(Flood::of(client, asks.clone()).await);
    }
    check_served(&broker, &floods).await;
}

/// Fault class: connecting again and again, each time in place of oneself, starves the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_connect_without_end_leave_others_their_acknowledgements() {
    let broker = Arc::new(broker_with(|limits| limits.half_open = 16).await);
    let came = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (broker, came) = (Arc::clone(&broker), Arc::clone(&came));
            tokio::spawn(async move {
                loop {
                    let mut client = Client::open(&broker).await;
                    client.send_bytes(&connect(b"again", 0, &[])).await;
                    came.fetch_add(1, Ordering::Relaxed);
                    // Whether it is accepted, or has had to make room.
                    client.next().await;
                }
            })
        })
        .collect();
    while came.load(Ordering::Relaxed) < 50 {
        tokio::task::yield_now().await;
    }
    check_served(&broker, &[]).await;
    assert!(tasks.iter().all(|task| !task.is_finished()));
    tasks.iter().for_each(JoinHandle::abort);
}
