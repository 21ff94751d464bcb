//! What is under way when a broker is told to stop.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use ohmqtt_broker::Broker;
use ohmqtt_codec::{Packet, Qos, ReasonCode};

use crate::client::{Client, broker, connect};

/// A client that has one message under way and two that wait behind it.
async fn owed(broker: &Broker) -> Client {
    let mut slow = connect("slow");
    slow.properties.set_receive_maximum(NonZeroU16::MIN);
    let (mut slow, _) = Client::connect_with(broker, slow).await;
    slow.subscribe("t", Qos::ExactlyOnce).await;
    let mut publisher = Client::connect(broker, "publisher").await;
    for payload in ["0", "1", "2"] {
        let reason = publisher.publish("t", payload, Qos::ExactlyOnce).await;
        assert_eq!(reason, ReasonCode::Success);
    }
    publisher.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    slow
}

/// [MQTT-3.14.4-1] It is told to go when it has acknowledged them all, and nothing comes behind that.
#[tokio::test]
async fn a_client_is_told_of_the_shutdown_behind_what_is_queued_for_it() {
    let broker = broker().await;
    let mut slow = owed(&broker).await;
    let taking = async {
        for payload in ["0", "1", "2"] {
            assert_eq!(slow.receive_message().await.payload, payload);
        }
        slow.expect_disconnect(ReasonCode::ServerShuttingDown).await;
        drop(slow);
    };
    tokio::join!(broker.shutdown(Duration::from_secs(20)), taking);
}

/// Others go meanwhile.
#[tokio::test]
async fn a_client_that_acknowledges_nothing_keeps_no_other_one() {
    let broker = broker().await;
    let mut slow = owed(&broker).await;
    let mut quick = Client::connect(&broker, "quick").await;
    tokio::spawn(broker.shutdown(Duration::from_secs(3600)));
    quick
        .expect_disconnect(ReasonCode::ServerShuttingDown)
        .await;
    // This one is still there: what it asks is answered, behind the message that it leaves unacknowledged.
    assert_eq!(slow.receive_publish().await.payload, "0");
    slow.expect_nothing().await;
}

/// In the end it is told as well.
#[tokio::test]
async fn a_client_that_acknowledges_nothing_is_told_when_half_of_the_time_is_over() {
    let broker = broker().await;
    let mut slow = owed(&broker).await;
    assert_eq!(slow.receive_publish().await.payload, "0");
    let start = Instant::now();
    let stopping = tokio::spawn(broker.shutdown(Duration::from_secs(2)));
    match slow.receive().await {
        Packet::Disconnect(disconnect) => {
            assert_eq!(disconnect.reason, ReasonCode::ServerShuttingDown);
        }
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    drop(slow);
    stopping.await.unwrap();
}
