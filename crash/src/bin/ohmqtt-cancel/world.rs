//! The world of one point: a broker, a peer that reads along, the link of the client that is looked at, and its store.

use std::future::{Future, IntoFuture};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ohmqtt_broker::Broker;
use ohmqtt_client::{Acknowledgement, Client, ClientBuilder, Message, Qos, Subscription};
use tokio::time::{sleep, timeout};

use crate::Check;
use crate::circumstance::Circumstance;
use crate::link::Link;
use crate::pipes::{NOWHERE, Pipes, pipes};
use crate::slow::Slow;

/// What is awaited comes within this time, or never.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) link: Link,
    pub(crate) store: Slow,
    broker: Broker,
    circumstance: Circumstance,
    seed: u64,
    /// Goes on past the link.
    peer: Client,
    /// The payloads of what came to the peer below `t/`, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) async fn new(circumstance: Circumstance, seed: u64) -> Check<Self> {
        let (pipes, ends) = pipes().map_err(|error| error.to_string())?;
        let broker = Broker::builder()
            .listen("mqtt://127.0.0.1:0")
            .listener(ends);
        let broker = broker.start().await.map_err(|error| error.to_string())?;
        let peer = peer(&pipes).await?;
        let inbox = peer.subscribe("t/#").into_future();
        let inbox = soon("the peer subscribes", inbox).await?;
        let inbox = inbox.map_err(|error| error.to_string())?;
        let payloads = Arc::default();
        tokio::spawn(note(inbox, Arc::clone(&payloads)));
        Ok(Self {
            link: Link::new(pipes, circumstance.receive_maximum()),
            store: Slow::default(),
            broker,
            circumstance,
            seed,
            peer,
            seen: payloads,
        })
    }

    /// The same random numbers each time it is asked.
    pub(crate) fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    /// The client that is looked at, or the next with its name.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let builder = Client::builder(NOWHERE)
            .client_id("subject")
            .clean_start(false)
            .connector(self.link.clone())
            .seed(self.seed)
            .backoff(Duration::from_millis(1), Duration::from_millis(4));
        self.circumstance.build(self, builder)
    }

    pub(crate) async fn connect(&self) -> Check<Client> {
        let connected = soon("the client connects", self.builder().connect()).await?;
        connected.map_err(|error| error.to_string())
    }

    /// Where the broker can be reached without link.
    pub(crate) fn url(&self) -> String {
        self.broker.url().to_owned()
    }

    /// The peer publishes something, and returns when the broker has it.
    pub(crate) async fn tell(&self, topic: &str, text: &str) -> Check<Acknowledgement> {
        let publish = self.peer.publish(topic, text.to_owned());
        let publish = publish.qos(Qos::ExactlyOnce).send();
        let publication = publish.map_err(|error| error.to_string())?;
        let acked = soon("the peer's message is acknowledged", publication.acked()).await?;
        acked.map_err(|error| error.to_string())
    }

    /// The payloads that the peer has seen once this one is among them.
    pub(crate) async fn seen_with(&self, last: &str) -> Check<Vec<String>> {
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let has_come = || seen().iter().any(|text| text == last);
        eventually("the last message comes to the peer", has_come).await?;
        Ok(seen().clone())
    }
}

async fn peer(pipes: &Pipes) -> Check<Client> {
    let peer = Client::builder(NOWHERE)
        .client_id("peer")
        .connector(pipes.clone());
    let connected = soon("the peer connects", peer.connect()).await?;
    connected.map_err(|error| error.to_string())
}

async fn note(mut inbox: Subscription, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(message) = inbox.recv().await {
        let text = text(&message);
        if message.properties.response_topic().is_some() {
            // What cannot be answered shows at whoever asked.
            let _ = message.reply(format!("re: {text}")).send();
        }
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

/// Waits for what comes soon.
pub(crate) async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> Check<T> {
    let come = timeout(SOON, awaited).await;
    come.map_err(|_| format!("never: {what}"))
}

/// Waits for what no event tells of.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Check {
    let come = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, come).await
}
