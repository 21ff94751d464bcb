//! The broker stopped and started in the middle of things, with its persistence and without.
//!
//! The clients run on a thread of their own, and so go on while a test waits for Mosquitto.

use std::sync::Arc;
use std::time::Duration;

use ohmqtt_client::{
    Client, ConnectionState, LostMessage, Publication, PublishError, Qos, ReasonCode, SessionLoss,
};
use tokio::sync::Semaphore;

use super::{next, publish, quiet, subscribe, text};
use crate::support::mosquitto::Mosquitto;
use crate::support::{accepted, soon};

/// A connected client whose session Mosquitto saves: it saves none that began with a clean start, whatever its expiry.
async fn connect(broker: &Mosquitto, id: &str) -> Client {
    soon(broker.client(id).clean_start(false).connect())
        .await
        .unwrap()
}

/// How many messages Mosquitto lets be under way: its `max_inflight_messages`, which it gives as Receive Maximum.
const IN_FLIGHT: usize = 20;

/// Messages in a stream.
const STREAM: usize = 2_000;

/// How far a stream may be ahead of what has arrived, so that each restart is in the middle of it.
const AHEAD: usize = 200;

/// Publishes the numbers from 0 in order, and restarts the broker at each quarter of what arrives. Returns what arrived, and the
/// broker, for its log.
async fn stream_over_restarts(qos: Qos) -> (Vec<usize>, Mosquitto) {
    // Of messages in flight beyond this bound Mosquitto 2.0.11 forgets, as it saves them, whether they were released, and sends
    // them a second time.
    let mut broker = Mosquitto::with(&[&format!("max_inflight_messages {STREAM}")]);
    let publisher = connect(&broker, "publisher").await;
    let subscriber = connect(&broker, "subscriber").await;
    let mut inbox = subscribe(&subscriber, "stream").await;
    let room = Arc::new(Semaphore::new(AHEAD));
    let more = Arc::clone(&room);
    let sending = tokio::spawn(async move {
        let mut sent = Vec::new();
        for n in 0..STREAM {
            room.acquire().await.unwrap().forget();
            let message = publisher.publish("stream", n.to_string()).qos(qos);
            sent.push(message.await.unwrap());
        }
        for publication in sent {
            assert!(!publication.acked().await.unwrap().reason.is_error());
        }
        publisher.close(Duration::from_secs(30)).await
    });
    let mut arrived: Vec<usize> = Vec::new();
    let mut restarts = 0;
    while arrived.last() != Some(&(STREAM - 1)) {
        arrived.push(text(&next(&mut inbox).await).parse().unwrap());
        more.add_permits(1);
        if arrived.len() >= (restarts + 1) * STREAM / 4 && restarts < 3 {
            broker.restart();
            restarts += 1;
        }
    }
    assert_eq!(soon(sending).await.unwrap().unacknowledged, 0);
    // What comes twice comes before the answer to this.
    let fence = subscribe(&subscriber, "fence").await;
    while let Some(message) = inbox.try_recv() {
        arrived.push(text(&message).parse().unwrap());
    }
    drop(fence);
    assert_eq!(restarts, 3);
    assert!(subscriber.metrics().connections > 3);
    (arrived, broker)
}

/// [MQTT-4.4.0-1] [MQTT-4.3.3-10] [MQTT-4.6.0-1] Sent again with the same identifiers, and delivered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_qos_2_stream_over_restarts_of_the_broker_arrives_once_and_in_order() {
    let (arrived, _broker) = stream_over_restarts(Qos::ExactlyOnce).await;
    let all: Vec<_> = (0..STREAM).collect();
    assert!(arrived == all, "{:?}", differences(&arrived));
}

/// [MQTT-4.4.0-1] [MQTT-4.6.0-1] Sent again, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_qos_1_stream_over_restarts_of_the_broker_loses_nothing_and_keeps_its_order() {
    let (arrived, _broker) = stream_over_restarts(Qos::AtLeastOnce).await;
    let mut firsts = Vec::new();
    for n in &arrived {
        if !firsts.contains(n) {
            firsts.push(*n);
        }
    }
    let all: Vec<_> = (0..STREAM).collect();
    assert!(firsts == all, "{:?}", differences(&firsts));
}

/// Where a number is not one more than that before it.
fn differences(arrived: &[usize]) -> Vec<(usize, usize)> {
    let pairs = arrived.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(a, b)| a + 1 != *b).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_waits_in_the_broker_for_an_absent_client_outlives_a_restart() {
    let mut broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let subscriber = connect(&broker, "subscriber").await;
    let inbox = subscribe(&subscriber, "news").await;
    soon(subscriber.close(Duration::from_secs(30))).await;
    drop((subscriber, inbox));
    let qos = |n: usize| [Qos::AtLeastOnce, Qos::ExactlyOnce][n % 2];
    for n in 0..50 {
        publish(&publisher, "news", n.to_string(), qos(n)).await;
    }
    broker.restart();
    // Declared before it connects, so that the stream is there when the messages come.
    let resumed = broker
        .client("subscriber")
        .clean_start(false)
        .start()
        .unwrap();
    let mut inbox = resumed.subscribe("news").send().unwrap();
    for n in 0..50 {
        let message = next(&mut inbox).await;
        assert_eq!(
            (text(&message), message.qos),
            (n.to_string().as_str(), qos(n))
        );
    }
    quiet(&resumed, &mut inbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_the_application_holds_over_a_restart_comes_again_at_qos_1_and_not_at_qos_2() {
    let mut broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let subscriber = connect(&broker, "subscriber").await;
    let mut inbox = soon(subscriber.subscribe("held").manual_ack())
        .await
        .unwrap();
    publish(&publisher, "held", "one", Qos::AtLeastOnce).await;
    publish(&publisher, "held", "two", Qos::ExactlyOnce).await;
    let (one, two) = (next(&mut inbox).await, next(&mut inbox).await);
    assert_eq!((text(&one), text(&two)), ("one", "two"));
    broker.restart();
    let again = next(&mut inbox).await;
    assert_eq!(text(&again), "one");
    quiet(&subscriber, &mut inbox).await;
    // The word on a message of the old connection does nothing at QoS 1 and is kept at QoS 2.
    one.ack();
    two.ack();
    again.ack();
    broker.wait_for("Received PUBACK from subscriber");
    broker.wait_for("Received PUBCOMP from subscriber");
    broker.restart();
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(subscriber.wait_for(connected)).await;
    quiet(&subscriber, &mut inbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_published_while_the_broker_is_away_arrives_when_it_is_back() {
    let mut broker = Mosquitto::start();
    let client = connect(&broker, "client").await;
    let mut inbox = subscribe(&client, "away").await;
    broker.stop();
    let away = |state: &ConnectionState| matches!(state, ConnectionState::Connecting { .. });
    soon(client.wait_for(away)).await;
    let dropped = client.publish("away", "0 dropped").send();
    let kept = client
        .publish("away", "0 kept")
        .keep_offline(true)
        .send()
        .unwrap();
    let one = accepted(&client, "away", "1", Qos::AtLeastOnce);
    let two = accepted(&client, "away", "2", Qos::ExactlyOnce);
    let lost = soon(dropped.unwrap().acked()).await;
    assert_eq!(lost.unwrap_err(), LostMessage::Offline);
    broker.run();
    for publication in [kept, one, two] {
        let ack = soon(publication.acked()).await.unwrap();
        assert_eq!(ack.reason, ReasonCode::Success);
    }
    for want in ["0 kept", "1", "2"] {
        assert_eq!(text(&next(&mut inbox).await), want);
    }
    quiet(&client, &mut inbox).await;
}

/// Publishes 30 messages to a broker that holds still, lets it crash and come back without its sessions.
async fn lose_the_session(policy: SessionLoss, qos: Qos) -> Vec<Result<ReasonCode, LostMessage>> {
    let mut broker = Mosquitto::start();
    let subscriber = connect(&broker, "subscriber").await;
    let mut inbox = subscribe(&subscriber, "lost/+").await;
    let publisher = broker.client("publisher").session_loss(policy);
    let publisher = soon(publisher.connect()).await.unwrap();
    publish(&publisher, "lost/before", "x", qos).await;
    assert_eq!(next(&mut inbox).await.topic.as_str(), "lost/before");
    broker.pause();
    let sent: Vec<Publication> = (0..30)
        .map(|n| {
            publisher
                .publish("lost/then", n.to_string())
                .qos(qos)
                .send()
        })
        .collect::<Result<_, PublishError>>()
        .unwrap();
    soon(sent[IN_FLIGHT - 1].sent()).await.unwrap();
    broker.crash();
    broker.run();
    let mut ends = Vec::new();
    for publication in sent {
        ends.push(soon(publication.acked()).await.map(|ack| ack.reason));
    }
    // Both go on: the subscription is made again by itself.
    let new = |state: &ConnectionState| {
        matches!(
            state,
            ConnectionState::Connected {
                session_present: false
            }
        )
    };
    broker.wait_for("Sending SUBACK to subscriber");
    soon(subscriber.wait_for(new)).await;
    publish(&publisher, "lost/after", "x", qos).await;
    while next(&mut inbox).await.topic.as_str() != "lost/after" {}
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_session_fails_what_was_sent_and_sends_the_rest() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let ends = lose_the_session(SessionLoss::Fail, qos).await;
        let (sent, unsent) = ends.split_at(IN_FLIGHT);
        let lost = Err(LostMessage::SessionLost);
        assert!(sent.iter().all(|end| *end == lost), "{sent:?}");
        assert!(unsent.iter().all(Result::is_ok), "{unsent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_session_resends_all_or_clears_all_if_so_chosen() {
    let ends = lose_the_session(SessionLoss::Resend, Qos::ExactlyOnce).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    let ends = lose_the_session(SessionLoss::Clear, Qos::AtLeastOnce).await;
    let lost = Err(LostMessage::SessionLost);
    assert!(ends.iter().all(|end| *end == lost), "{ends:?}");
}
