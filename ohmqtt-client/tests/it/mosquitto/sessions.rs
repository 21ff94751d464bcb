//! Sessions that are left and gone on with, and wills.

use std::time::{Duration, Instant};

use ohmqtt_client::{
    Binary, Client, ConnectionState, MqttString, Qos, TopicName, Will, WillProperties,
};
use tokio::runtime::Runtime;

use super::{ALL_QOS, connect, next, publish, quiet, subscribe, text};
use crate::support::mosquitto::Mosquitto;
use crate::support::soon;

const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the server went on with an old session.
fn session_present(client: &Client) -> bool {
    match client.state() {
        ConnectionState::Connected { session_present } => session_present,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_resumes_gets_what_waited_for_it_in_order() {
    let broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let client = connect(&broker, "reader").await;
    assert!(!session_present(&client));
    let inbox = subscribe(&client, "news").await;
    assert_eq!(soon(client.close(PATIENCE)).await.unacknowledged, 0);
    drop((client, inbox));
    for (text, qos) in [
        ("1", Qos::AtLeastOnce),
        ("2", Qos::ExactlyOnce),
        ("3", Qos::AtLeastOnce),
    ] {
        publish(&publisher, "news", text, qos).await;
    }

    let client = soon(broker.client("reader").clean_start(false).connect())
        .await
        .unwrap();
    assert!(session_present(&client));
    // The server knows the subscription; the stream for it is made now.
    let mut inbox = subscribe(&client, "news").await;
    for (n, qos) in [("1", 1), ("2", 2), ("3", 1)] {
        let message = next(&mut inbox).await;
        assert_eq!((text(&message), u8::from(message.qos)), (n, qos));
    }
    quiet(&client, &mut inbox).await;
}

#[tokio::test]
async fn a_session_that_is_not_declared_anew_is_read_from_the_unclaimed() {
    let broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let client = connect(&broker, "reader").await;
    let inbox = subscribe(&client, "news").await;
    soon(client.close(PATIENCE)).await;
    drop((client, inbox));
    publish(&publisher, "news", "waited", Qos::ExactlyOnce).await;

    let resumed = broker.client("reader").clean_start(false);
    let client = soon(resumed.connect()).await.unwrap();
    let message = soon(client.unclaimed().recv()).await.unwrap();
    assert_eq!(text(&message), "waited");
}

#[tokio::test]
async fn a_clean_start_leaves_nothing_of_the_session() {
    let broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let client = connect(&broker, "reader").await;
    let inbox = subscribe(&client, "news").await;
    soon(client.close(PATIENCE)).await;
    drop((client, inbox));
    publish(&publisher, "news", "waited", Qos::ExactlyOnce).await;

    let client = connect(&broker, "reader").await;
    assert!(!session_present(&client));
    let mut inbox = subscribe(&client, "news").await;
    quiet(&client, &mut inbox).await;
    publish(&publisher, "news", "new", Qos::ExactlyOnce).await;
    assert_eq!(text(&next(&mut inbox).await), "new");
}

#[tokio::test]
async fn the_server_names_a_client_without_a_name() {
    let broker = Mosquitto::start();
    let client = soon(Client::connect(broker.url())).await.unwrap();
    assert!(
        client.client_id().starts_with("auto-"),
        "{}",
        client.client_id()
    );
}

fn will(qos: Qos, delay: u32) -> Will {
    let mut properties = WillProperties::default();
    properties.set_content_type(&MqttString::try_from("text/plain").unwrap());
    if delay > 0 {
        properties.set_will_delay_interval(delay);
    }
    Will {
        topic: TopicName::new("wills").unwrap(),
        payload: Binary::try_from(&b"gone"[..]).unwrap(),
        qos,
        retain: false,
        properties,
    }
}

/// A client with a will, on a runtime of its own: shut down, it is gone without a word.
fn mortal(broker: &Mosquitto, will: Will) -> (Runtime, Client) {
    let runtime = Runtime::new().unwrap();
    let builder = broker.client("mortal").will(will);
    let handle = runtime.handle().clone();
    let connected = std::thread::spawn(move || handle.block_on(soon(builder.connect())).unwrap());
    let client = connected.join().unwrap();
    (runtime, client)
}

#[tokio::test]
async fn a_will_is_published_when_the_client_ends_abruptly() {
    let broker = Mosquitto::start();
    let watcher = connect(&broker, "watcher").await;
    let mut wills = subscribe(&watcher, "wills").await;
    for qos in ALL_QOS {
        let (runtime, _client) = mortal(&broker, will(qos, 0));
        runtime.shutdown_background();
        let message = next(&mut wills).await;
        assert_eq!((text(&message), message.qos), ("gone", qos));
        assert_eq!(message.properties.content_type(), Some("text/plain"));
    }
}

#[tokio::test]
async fn a_will_is_dropped_when_the_client_closes_in_order() {
    let mut broker = Mosquitto::start();
    let watcher = connect(&broker, "watcher").await;
    let mut wills = subscribe(&watcher, "wills").await;
    let mortal = broker.client("mortal").will(will(Qos::AtLeastOnce, 0));
    let client = soon(mortal.connect()).await.unwrap();
    soon(client.close(PATIENCE)).await;
    broker.wait_for("Client mortal disconnected");
    quiet(&watcher, &mut wills).await;
}

#[tokio::test]
async fn a_will_waits_for_its_delay_and_a_client_that_comes_back_in_time_takes_it_back() {
    let mut broker = Mosquitto::start();
    let watcher = connect(&broker, "watcher").await;
    let mut wills = subscribe(&watcher, "wills").await;
    let (runtime, _client) = mortal(&broker, will(Qos::AtLeastOnce, 5));
    runtime.shutdown_background();
    broker.wait_for("Client mortal closed its connection");
    // Back within the delay, which is long enough for a busy machine, with another will that comes after it.
    let (runtime, _client) = mortal(&broker, will(Qos::ExactlyOnce, 6));
    let gone = Instant::now();
    runtime.shutdown_background();
    let message = next(&mut wills).await;
    assert_eq!(message.qos, Qos::ExactlyOnce);
    // Mosquitto counts in seconds of the clock on the wall, so that one of them may be short.
    assert!(gone.elapsed() > Duration::from_secs(5));
}
