//! What tests share: waits with a deadline, and brokers of their own.

#[cfg(feature = "tls")]
pub(crate) mod certs;
pub(crate) mod log;
#[cfg(unix)]
pub(crate) mod mosquitto;
#[cfg(all(feature = "http-proxy", feature = "socks5"))]
pub(crate) mod proxy;
pub(crate) mod script;
pub(crate) mod shown;

use std::future::IntoFuture;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_broker::Broker;
use ohmqtt_client::{Client, Message, Publication, Qos, Subscription};

/// What is awaited in a test comes within this time, or never.
const SOON: Duration = Duration::from_secs(60);

/// Waits for something that comes soon.
pub(crate) async fn soon<F: IntoFuture>(awaited: F) -> F::Output {
    let output = tokio::time::timeout(SOON, awaited.into_future()).await;
    output.unwrap_or_else(|_| panic!("not within {SOON:?}"))
}

/// An embedded broker.
pub(crate) async fn broker() -> Broker {
    let broker = Broker::builder().listen("mqtt://127.0.0.1:0");
    broker.start().await.unwrap()
}

/// A port nobody listens on. It is below those the system gives to outgoing connections and to who asks for any: one of these would keep
/// a broker that is started again from its port.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 600).unwrap() * 20;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A connected client of it.
pub(crate) async fn client(broker: &Broker) -> Client {
    soon(Client::connect(broker.url())).await.unwrap()
}

/// A message that it has accepted.
pub(crate) fn accepted(
    client: &Client,
    topic: &str,
    payload: impl Into<Bytes>,
    qos: Qos,
) -> Publication {
    client.publish(topic, payload).qos(qos).send().unwrap()
}

/// The next message of a subscription.
pub(crate) async fn next(inbox: &mut Subscription) -> Message {
    soon(inbox.recv()).await.expect("an open client")
}

/// The payload of a message, as text.
pub(crate) fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

/// Waits until something is so that no event tells of. The last resort.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
