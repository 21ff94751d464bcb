//! When the driver sleeps, and what wakes it. The runtime has one thread and a clock that only the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ohmqtt_codec::{Delivery, Limits, MqttString, Packet, Qos};
use ohmqtt_driver::{Clock, Driver, Events, Handle};
use ohmqtt_session::{ClientConfig, ClientEvent, ClientSession};
use tokio::io::duplex;

use crate::support::{Counted, Raw, Side, message, pair, settle};

#[tokio::test(start_paused = true)]
async fn a_call_wakes_a_driver_that_sleeps_once() {
    let (client, _server) = pair(64 * 1024).await;
    settle().await;
    client.polls();
    client.handle.with(|_, _| ());
    settle().await;
    assert_eq!(client.polls(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_calls_wake_a_driver_that_sleeps_once() {
    let (client, _server) = pair(64 * 1024).await;
    settle().await;
    client.polls();
    for _ in 0..100 {
        client.handle.with(|_, _| ());
    }
    settle().await;
    assert_eq!(client.polls(), 1);
}

#[tokio::test(start_paused = true)]
async fn to_look_at_the_session_wakes_nobody() {
    let (client, _server) = pair(64 * 1024).await;
    settle().await;
    client.polls();
    client.handle.read(ClientSession::queued);
    settle().await;
    assert_eq!(client.polls(), 0);
}

/// The acknowledgement of a message is called for while the driver passes the message on: it leaves in the same turn.
#[tokio::test(start_paused = true)]
async fn a_call_out_of_an_event_is_heard_without_a_wake_up() {
    let (near, far) = duplex(64 * 1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    settle().await;
    client.polls();
    let delivery = Delivery::AtLeastOnce {
        packet_id: ohmqtt_codec::PacketId::new(1).unwrap(),
        dup: false,
    };
    raw.send(Packet::Publish(
        message(Qos::AtLeastOnce, "x").to_publish(delivery),
    ))
    .await;
    settle().await;
    assert!(matches!(raw.next().await, Some(Packet::PubAck(_))));
    assert_eq!(client.polls(), 1);
}

/// Two wake-ups carry a message of QoS 1 out and its acknowledgement in.
#[tokio::test(start_paused = true)]
async fn a_publish_costs_two_wake_ups() {
    let (mut client, _server) = pair(64 * 1024).await;
    settle().await;
    client.polls();
    client.publish(Qos::AtLeastOnce, 1, "x");
    client.acked(1).await;
    settle().await;
    assert_eq!(client.polls(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_keep_alive_an_hour_of_silence_costs_nothing() {
    let (near, far) = duplex(1024);
    let mut config = ClientConfig::new(MqttString::default());
    config.connect.keep_alive = 0;
    let mut client = Side::client_of(config, None, near);
    let server = Side::server(far);
    client.connected().await;
    // The deadlines of the handshake are the last.
    tokio::time::sleep(Duration::from_secs(60)).await;
    settle().await;
    client.polls();
    server.polls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    settle().await;
    assert_eq!((client.polls(), server.polls()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn with_keep_alive_an_hour_of_silence_costs_a_few_polls_a_minute() {
    let (client, server) = pair(1024).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    settle().await;
    client.polls();
    server.polls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    settle().await;
    let (near, far) = (client.polls(), server.polls());
    // PINGREQ and PINGRESP each minute, and the timer that was set before them.
    assert!((120..=240).contains(&near), "{near}");
    assert!((60..=240).contains(&far), "{far}");
    assert!(client.handle.read(ClientSession::is_connected));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_costs_no_polls() {
    let (near, far) = duplex(1024);
    let mut config = ClientConfig::new(MqttString::default());
    config.connect.keep_alive = 0;
    let mut client = Side::client_of(config, None, near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    for n in 0..100 {
        client.publish(Qos::AtMostOnce, n, vec![0; 64 * 1024]);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    settle().await;
    client.polls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    settle().await;
    assert_eq!(client.polls(), 0);
    // And it goes on as soon as it reads.
    for _ in 0..100 {
        let Some(Packet::Publish(publish)) = raw.next().await else {
            panic!("no PUBLISH");
        };
        assert_eq!(publish.payload.len(), 64 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_the_driver_sleeps_until_it_is_called() {
    let session = ClientSession::new(ClientConfig::new(MqttString::default()));
    let handle = Handle::new(session, Clock::new());
    let events = Arc::new(AtomicUsize::new(0));
    let on_events = {
        let events = Arc::clone(&events);
        move |all: Events<'_, ClientEvent>| {
            events.fetch_add(all.count(), Ordering::SeqCst);
        }
    };
    let mut driver = Driver::new(handle.clone(), None, Limits::default(), on_events);
    let polls = Arc::new(AtomicUsize::new(0));
    let idle = tokio::spawn(Counted {
        future: Box::pin(async move { driver.idle().await }),
        polls: Arc::clone(&polls),
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(polls.swap(0, Ordering::SeqCst), 1);
    // Lost at once: there is no connection.
    let lost = message(Qos::AtMostOnce, "x");
    handle
        .with(|session, now| session.publish(now, lost, ohmqtt_session::PublishOptions::default()))
        .unwrap();
    settle().await;
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    assert_eq!(events.load(Ordering::SeqCst), 1);
    idle.abort();
}
