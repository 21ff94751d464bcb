//! Starting and stopping a broker.

use std::time::Duration;

use ohmqtt_broker::{Broker, StartError};
use ohmqtt_codec::{Packet, ReasonCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, broker, connect, resuming, will};

async fn check_refused(url: &str, message: &str) {
    let error = Broker::builder().listen(url).start().await.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn a_broker_listens_at_all_its_addresses() {
    let builder = Broker::builder()
        .listen("mqtt://127.0.0.1:0")
        .listen("mqtt://[::1]:0")
        .listen("localhost:0");
    let broker = builder.start().await.unwrap();
    assert_eq!(broker.urls().len(), 3);
    for url in broker.urls() {
        assert!(!url.ends_with(":0"));
        TcpStream::connect(url.strip_prefix("mqtt://").unwrap())
            .await
            .unwrap();
    }
    assert_eq!(broker.url(), broker.urls()[0]);
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused_with_what_to_do() {
    check_refused("http://127.0.0.1", "http").await;
    // What it lacks is a certificate, or the feature.
    let lacking = if cfg!(feature = "tls-no-provider") {
        "certificate"
    } else {
        "tls"
    };
    check_refused("mqtts://127.0.0.1:0", lacking).await;
    let taken = broker().await;
    check_refused(taken.url(), "address in use").await;
    let error = Broker::builder().start().await.unwrap_err();
    assert!(matches!(error, StartError::NoAddress));
}

#[tokio::test]
async fn addresses_beyond_loopback_need_a_loud_word() {
    for url in [
        "mqtt://0.0.0.0:0",
        "mqtt://[::]:0",
        "mqtt://192.0.2.1:0",
        "mqtt://broker.example:0",
    ] {
        check_refused(url, "insecure_allow_anonymous").await;
    }
    let builder = Broker::builder()
        .listen("mqtt://0.0.0.0:0")
        .insecure_allow_anonymous();
    let broker = builder.start().await.unwrap();
    let port = broker.url().rsplit(':').next().unwrap();
    TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
}

#[test]
fn a_broker_without_a_runtime_says_what_it_needs() {
    let start = Broker::builder().listen("mqtt://127.0.0.1:0").start();
    let mut start = std::pin::pin!(start);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match start.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(Err(StartError::NoRuntime)) => {}
        other => panic!("{other:?}"),
    }
}

/// [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.14.2-2] Clients are told, then cut off; wills are not published.
#[tokio::test]
async fn shutdown_tells_the_clients_and_ends() {
    let broker = broker().await;
    let mut with_will = connect("c");
    with_will.will = Some(will("t", "gone"));
    let (mut client, _) = Client::connect_with(&broker, with_will).await;
    client.subscribe("#", ohmqtt_codec::Qos::AtMostOnce).await;
    let mut half_open = Client::open(&broker).await;
    let address = broker.url().strip_prefix("mqtt://").unwrap().to_owned();
    let told = async {
        match client.receive().await {
            Packet::Disconnect(disconnect) => {
                assert_eq!(disconnect.reason, ReasonCode::ServerShuttingDown);
                assert!(disconnect.properties.is_empty());
            }
            other => panic!("{other:?}"),
        }
        client.expect_end().await;
        drop(client);
    };
    // Not at its deadline.
    let stopped = async {
        let stopping = broker.shutdown(Duration::from_secs(3600));
        timeout(Duration::from_secs(60), stopping).await.unwrap();
    };
    tokio::join!(stopped, told);
    half_open.expect_end().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_with_its_deadline() {
    // Whom it waits for it gives two seconds. On a busy machine it may be late once, and not each time.
    let mut is_cut = false;
    for _ in 0..20 {
        let broker = broker().await;
        // It neither reads nor goes.
        let _stuck = Client::connect(&broker, "stuck").await;
        let stopping = broker.shutdown(Duration::from_millis(100));
        is_cut |= timeout(Duration::from_secs(1), stopping).await.is_ok();
        if is_cut {
            break;
        }
    }
    assert!(is_cut);
}

#[tokio::test]
async fn a_dropped_handle_stops_the_broker_in_order() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "c").await;
    drop(broker);
    client
        .expect_disconnect(ReasonCode::ServerShuttingDown)
        .await;
}

#[tokio::test]
async fn two_brokers_know_nothing_of_each_other() {
    let (one, two) = (broker().await, broker().await);
    let (_first, _) = Client::connect_with(&one, resuming("c", 100)).await;
    let (_second, connack) = Client::connect_with(&two, resuming("c", 100)).await;
    assert!(!connack.session_present);
}
