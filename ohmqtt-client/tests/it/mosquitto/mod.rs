//! Interoperability with a real Mosquitto 2. Each test starts one of its own.

mod exchange;

use ohmqtt_client::{Client, Message, Qos, Subscription};

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

/// The next message.
async fn next(subscription: &mut Subscription) -> Message {
    soon(subscription.recv()).await.expect("an open client")
}
