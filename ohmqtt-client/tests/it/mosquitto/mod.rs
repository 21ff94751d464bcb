//! Interoperability with a real Mosquitto 2. Each test starts one of its own.

mod commands;
mod exchange;
mod limits;
mod restart;
mod sessions;
mod subscriptions;
#[cfg(all(feature = "tls", feature = "unix", feature = "ws"))]
mod transports;

use bytes::Bytes;
use ohmqtt_client::{Client, Message, Qos, ReasonCode, Subscription};

use crate::support::mosquitto::Mosquitto;
use crate::support::soon;

const ALL_QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// A connected client.
async fn connect(broker: &Mosquitto, id: &str) -> Client {
    soon(broker.client(id).connect()).await.unwrap()
}

/// A subscription the server has granted.
async fn subscribe(client: &Client, filter: &str) -> Subscription {
    soon(client.subscribe(filter)).await.unwrap()
}

/// Publishes and waits for the acknowledgement.
async fn publish(client: &Client, topic: &str, payload: impl Into<Bytes>, qos: Qos) -> ReasonCode {
    let publication = soon(client.publish(topic, payload).qos(qos)).await.unwrap();
    soon(publication.acked()).await.unwrap().reason
}

/// The next message.
async fn next(inbox: &mut Subscription) -> Message {
    soon(inbox.recv()).await.expect("an open client")
}

/// The payload as text.
fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

/// Nothing waits in the stream, and nothing was under way to it: what the server had sent before it answered this has come.
async fn quiet(client: &Client, inbox: &mut Subscription) {
    let fence = subscribe(client, "fence").await;
    let message = inbox.try_recv();
    assert!(message.is_none(), "{message:?}");
    drop(fence);
}
