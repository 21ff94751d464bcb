//! What each fault switch does to our own client.

mod answers;
mod cutting;
mod records;
mod refusing;
mod sessions;
mod told;

use std::future::IntoFuture;
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_broker::faults::{Faults, Packet};
use ohmqtt_client::{Client, ClientBuilder, ConnectionState, Event, Events, Publication, Qos};

use crate::client::broker;

/// What is awaited comes within this time, or never.
const SOON: Duration = Duration::from_secs(60);

async fn soon<F: IntoFuture>(awaited: F) -> F::Output {
    let output = tokio::time::timeout(SOON, awaited.into_future()).await;
    output.unwrap_or_else(|_| panic!("not within {SOON:?}"))
}

/// A broker with its switches.
async fn faulty() -> (Broker, Faults) {
    let broker = broker().await;
    let faults = broker.faults();
    (broker, faults)
}

/// A client that comes back at once.
fn builder(broker: &Broker, id: &str) -> ClientBuilder {
    let quick = Duration::from_millis(1);
    Client::builder(broker.url())
        .client_id(id)
        .backoff(quick, quick)
}

async fn client(broker: &Broker, id: &str) -> Client {
    let client = builder(broker, id).start().unwrap();
    connected(&client).await;
    client
}

async fn connected(client: &Client) {
    let is_connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(is_connected)).await;
}

/// Publishes with this payload.
async fn publish(client: &Client, payload: &str, qos: Qos) -> Publication {
    let publishing = client.publish("t", payload.to_owned()).qos(qos);
    soon(publishing).await.unwrap()
}

/// Waits for an event of which this tells something.
async fn event<R>(events: &mut Events, mut tell: impl FnMut(Event) -> Option<R>) -> R {
    soon(async {
        loop {
            if let Some(told) = tell(events.recv().await.expect("an open client")) {
                return told;
            }
        }
    })
    .await
}

/// Waits for the end of a connection that stood.
async fn disconnected(events: &mut Events) {
    let is_end = |event| matches!(event, Event::Disconnected { .. }).then_some(());
    event(events, is_end).await;
}

/// The payloads of the messages among these packets.
fn payloads(packets: &[Packet]) -> Vec<String> {
    let payload = |packet: &Packet| match packet {
        Packet::Publish(publish) => String::from_utf8(publish.payload.to_vec()).ok(),
        _ => None,
    };
    packets.iter().filter_map(payload).collect()
}
