//! What is counted on `$SYS/broker`, under the names that Mosquitto gave it: packets of any type, and messages published and delivered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ohmqtt_broker::Broker;
use ohmqtt_codec::{Qos, ReasonCode};

use crate::client::{Client, broker_with, connect, topic};

const NAMES: [&str; 5] = [
    "messages/received",
    "messages/sent",
    "publish/messages/received",
    "publish/messages/sent",
    "publish/messages/dropped",
];

/// Room for what is published below `$SYS/broker`, and then some.
const QUEUE: u64 = 200;

/// A broker that publishes its figures often.
async fn broker() -> Broker {
    broker_with(|limits| {
        limits.sys_interval = Some(Duration::from_millis(50));
        limits.session_queue = usize::try_from(QUEUE).unwrap();
    })
    .await
}

/// The packets received and sent so far.
fn packets(broker: &Broker) -> (u64, u64) {
    let metrics = broker.metrics();
    (metrics.packets_received, metrics.packets_sent)
}

/// The broker's packets since then.
fn since(broker: &Broker, before: (u64, u64)) -> (u64, u64) {
    let now = packets(broker);
    (now.0 - before.0, now.1 - before.1)
}

#[tokio::test]
async fn packets_of_every_type_are_counted_both_ways() {
    let broker = broker().await;
    assert_eq!(packets(&broker), (0, 0));
    // CONNECT and CONNACK.
    let mut client = Client::connect(&broker, "c").await;
    assert_eq!(packets(&broker), (1, 1));
    let check = |before, want, what| assert_eq!(since(&broker, before), want, "{what}");

    let before = packets(&broker);
    client.subscribe("t", Qos::ExactlyOnce).await;
    check(before, (1, 1), "SUBSCRIBE, SUBACK");
    let before = packets(&broker);
    client.expect_nothing().await;
    check(before, (1, 1), "PINGREQ, PINGRESP");
    let before = packets(&broker);
    client.publish("other", "x", Qos::AtMostOnce).await;
    client.expect_nothing().await;
    check(before, (2, 1), "PUBLISH; PINGREQ, PINGRESP");

    let mut publisher = Client::connect(&broker, "publisher").await;
    let before = packets(&broker);
    publisher.publish("t", "x", Qos::ExactlyOnce).await;
    client.receive_message().await;
    client.expect_nothing().await;
    let flows = "PUBLISH, PUBREC, PUBREL, PUBCOMP; the same to the client; PINGREQ, PINGRESP";
    check(before, (2 + 2 + 1, 2 + 2 + 1), flows);

    let before = packets(&broker);
    client.unsubscribe("t").await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    check(before, (2, 1), "UNSUBSCRIBE, UNSUBACK; DISCONNECT");

    // What is no packet is none.
    let before = packets(&broker);
    publisher.send_bytes(&[0x00, 0x00]).await;
    publisher
        .expect_disconnect(ReasonCode::MalformedPacket)
        .await;
    check(before, (0, 1), "DISCONNECT");
}

#[tokio::test]
async fn what_was_received_sent_and_dropped_is_on_the_topics_of_mosquitto() {
    let broker = broker().await;
    let mut slow = connect("slow");
    slow.properties
        .set_receive_maximum(std::num::NonZeroU16::MIN);
    let (mut slow, _) = Client::connect_with(&broker, slow).await;
    slow.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for _ in 0..QUEUE + 3 {
        publisher.publish("t", "x", Qos::AtLeastOnce).await;
    }
    // One is under way.
    slow.receive_publish().await;
    let mut watcher = Client::connect(&broker, "watcher").await;
    watcher.subscribe("$SYS/broker/#", Qos::AtMostOnce).await;
    // Three CONNECTs, two SUBSCRIBEs, and what was published.
    let received = 3 + 2 + QUEUE + 3;
    // CONNACK, SUBACK, PUBACK, one message under way; and what goes to who watches is sent, too.
    let sent = 3 + 1 + QUEUE + 3 + 1;
    let start = Instant::now();
    let mut found = BTreeMap::new();
    // The figures of one moment come one after the other, and what is retained may be older than what was counted since: until the last
    // of them is there, some are too small.
    while found.len() < NAMES.len()
        || found["messages/received"] < received
        || found["messages/sent"] <= sent
        || found["publish/messages/received"] < QUEUE + 3
        || found["publish/messages/sent"] == 0
        || found["publish/messages/dropped"] < 3
    {
        let message = watcher.receive_message().await;
        assert!(start.elapsed() < Duration::from_secs(60), "{found:?}");
        let name = topic(&message).strip_prefix("$SYS/broker/").unwrap();
        if NAMES.contains(&name) {
            let value = std::str::from_utf8(&message.payload).unwrap();
            found.insert(name.to_owned(), value.parse::<u64>().unwrap());
        }
    }
    assert_eq!(found["messages/received"], received);
    assert_eq!(found["publish/messages/received"], QUEUE + 3);
    assert_eq!(found["publish/messages/dropped"], 3);
}
