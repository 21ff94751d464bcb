//! What a client costs beside the least that a client can do: publishing with a handle for each message, and receiving into a stream.
//!
//! The server is a null broker: in this process, so that instructions and allocations repeat, or behind a socket. Everything is on one
//! thread. The cases of the session are two sessions joined in memory, without bytes.

mod floor;
pub mod null;
pub mod real;
mod session;
pub mod tcp;
pub mod times;
pub mod wire;

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{Client, Publication, Qos, Subscription};
use ohmqtt_codec::TopicName;
use tokio::runtime::{Builder, Runtime};

use self::null::{PAYLOAD, TOPIC};
use self::wire::Wire;
use crate::{Case, Run};

/// What setting up returns.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// All cases: what a client does at each QoS, and the floor below it.
pub const CASES: &[Case] = &[
    Case::new("publish/0", || publishing(Wire::new(), Qos::AtMostOnce)),
    Case::new("publish/1", || publishing(Wire::new(), Qos::AtLeastOnce)),
    Case::new("publish/2", || publishing(Wire::new(), Qos::ExactlyOnce)),
    Case::new("receive/0", || receiving(0)),
    Case::new("receive/1", || receiving(1)),
    Case::new("session/0", session::publishing::<0>),
    Case::new("session/1", session::publishing::<1>),
    Case::new("session/2", session::publishing::<2>),
    Case::new("floor/publish/0", floor::publishing::<0>),
    Case::new("floor/publish/1", floor::publishing::<1>),
    Case::new("floor/publish/2", floor::publishing::<2>),
    Case::new("floor/receive/0", floor::receiving::<0>),
    Case::new("floor/receive/1", floor::receiving::<1>),
];

/// How many publications are held as a rule; then the oldest is waited for.
const RING: usize = 100;
/// How many messages are asked for at once: they fit into a subscription's queue.
const BATCH: u64 = 500;

fn batches(n: u64, at_once: u64) -> impl Iterator<Item = u64> {
    let whole = (0..n / at_once).map(move |_| at_once);
    whole.chain((!n.is_multiple_of(at_once)).then_some(n % at_once))
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

async fn connected(wire: Wire) -> Client {
    let builder = Client::builder("mqtt://in.memory").client_id("bench");
    builder.connector(wire).connect().await.expect("a client")
}

fn publishing(wire: Wire, qos: Qos) -> Run {
    let runtime = runtime();
    let mut publisher = Publisher::new(runtime.block_on(connected(wire)), qos, RING);
    Box::new(move |n| runtime.block_on(publisher.publish(n)))
}

/// Publishes, with a handle for each message.
struct Publisher {
    client: Client,
    qos: Qos,
    window: usize,
    topic: TopicName,
    payload: Bytes,
    ring: VecDeque<Publication>,
}

impl Publisher {
    /// `window` handles are held at most.
    fn new(client: Client, qos: Qos, window: usize) -> Self {
        Self {
            client,
            qos,
            window,
            topic: TopicName::new(TOPIC).expect("a topic"),
            payload: vec![b'x'; PAYLOAD].into(),
            ring: VecDeque::with_capacity(window),
        }
    }

    /// Publishes so many messages and waits until all are done.
    async fn publish(&mut self, n: u64) {
        for _ in 0..n {
            if self.ring.len() == self.window
                && let Some(oldest) = self.ring.pop_front()
            {
                done(oldest).await;
            }
            let publish = self
                .client
                .publish(self.topic.clone(), self.payload.clone())
                .qos(self.qos);
            self.ring.push_back(publish.send().expect("room"));
        }
        for publication in self.ring.drain(..) {
            done(publication).await;
        }
    }
}

async fn done(publication: Publication) {
    black_box(publication.acked().await.expect("an acknowledgement"));
}

fn receiving(qos: u8) -> Run {
    let runtime = runtime();
    let wire = Wire::new();
    let client = runtime.block_on(connected(wire.clone()));
    let mut stream = runtime.block_on(subscribed(&client, TOPIC));
    Box::new(move |n| {
        runtime.block_on(async {
            for count in batches(n, BATCH) {
                wire.null_broker_sends(count, qos);
                for _ in 0..count {
                    black_box(stream.recv().await.expect("a message"));
                }
            }
        });
        assert_eq!(client.metrics().dropped, 0);
    })
}

async fn subscribed(client: &Client, filter: &str) -> Subscription {
    client.subscribe(filter).await.expect("a subscription")
}

/// What can be done over TCP: the case, the QoS, and whether the client receives.
const OVER_TCP: &[(&str, Qos, bool)] = &[
    ("publish/0", Qos::AtMostOnce, false),
    ("publish/1", Qos::AtLeastOnce, false),
    ("publish/2", Qos::ExactlyOnce, false),
    ("receive/1", Qos::AtLeastOnce, true),
];

/// Does a case by its name so many times against a null broker in a process of its own, for who counts system calls.
pub fn over_tcp(case: &str, n: u64) -> Result<()> {
    let Some(&(_, qos, receives)) = OVER_TCP.iter().find(|(name, ..)| *name == case) else {
        return Err(format!("there is no {case} over TCP").into());
    };
    let broker = tcp::Process::start(qos.into())?;
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    runtime().block_on(async {
        let client = Client::builder(&url).client_id("bench").connect().await?;
        if receives {
            receive(subscribed(&client, TOPIC).await, n).await;
        } else {
            Publisher::new(client.clone(), qos, RING).publish(n).await;
        }
        client.close(Duration::from_secs(1)).await;
        Ok(())
    })
}

async fn receive(mut stream: Subscription, n: u64) {
    for _ in 0..n {
        black_box(stream.recv().await.expect("a message"));
    }
}

/// Connects so many clients, each to a broker of its own, and gives them once they are connected.
pub async fn idle(count: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(connected(Wire::new()).await);
    }
    clients
}
