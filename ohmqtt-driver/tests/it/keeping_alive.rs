//! Keep alive, by a clock that stands still until everybody sleeps.

use std::time::Duration;

use ohmqtt_codec::{MqttString, Packet, Qos, ReasonCode};
use ohmqtt_session::{ClientConfig, ClientEvent, DisconnectCause, ServerEvent};
use tokio::io::duplex;
use tokio::time::Instant;

use crate::support::{Raw, Side, connect};

fn cause(events: Vec<ClientEvent>) -> Option<DisconnectCause> {
    events.into_iter().find_map(|event| match event {
        ClientEvent::Disconnected(cause) => Some(cause),
        _ => None,
    })
}

/// [MQTT-3.1.2-20] PINGREQ is sent when nothing else was for the Keep Alive.
#[tokio::test(start_paused = true)]
async fn a_silent_client_pings_once_a_keep_alive() {
    let (near, far) = duplex(1024);
    let _client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    for _ in 0..3 {
        let before = Instant::now();
        assert_eq!(raw.next().await, Some(Packet::PingReq));
        let silence = before.elapsed().as_millis();
        assert!((60_000..60_010).contains(&silence), "{silence}");
        raw.send(Packet::PingResp).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_a_ping_is_left_with_the_reason() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    assert_eq!(raw.next().await, Some(Packet::PingReq));
    assert!(matches!(raw.next().await, Some(Packet::Disconnect(_))));
    client.end().await.unwrap();
    assert_eq!(
        cause(client.events()),
        Some(DisconnectCause::KeepAliveTimeout)
    );
}

/// [MQTT-3.1.2-22] Silence of one and a half times the Keep Alive ends the connection at the server.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_for_too_long_is_left_by_the_server() {
    let (near, far) = duplex(1024);
    let mut server = Side::server(far);
    let mut raw = Raw::new(near);
    raw.send(connect()).await;
    assert!(matches!(raw.next().await, Some(Packet::ConnAck(_))));
    let before = Instant::now();
    let Some(Packet::Disconnect(disconnect)) = raw.next().await else {
        panic!("no DISCONNECT");
    };
    assert_eq!(disconnect.reason, ReasonCode::KeepAliveTimeout);
    let silence = before.elapsed().as_millis();
    assert!((90_000..90_010).contains(&silence), "{silence}");
    server
        .until(|event| match event {
            ServerEvent::Disconnected { cause, .. } => {
                assert_eq!(*cause, DisconnectCause::KeepAliveTimeout);
                Some(())
            }
            _ => None,
        })
        .await;
}

/// The link is dead, and more waits to be written than it will ever take: the DISCONNECT stands behind all that.
#[tokio::test(start_paused = true)]
async fn a_dead_link_is_noticed_though_it_is_full() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    for n in 0..100 {
        client.publish(Qos::AtLeastOnce, n, vec![0; 64 * 1024]);
    }
    let before = Instant::now();
    client.end().await.unwrap_err();
    assert_eq!(
        cause(client.events()),
        Some(DisconnectCause::KeepAliveTimeout)
    );
    // A Keep Alive, the time for an answer, and the time for the end.
    assert!(before.elapsed() < Duration::from_secs(60 + 15 + 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_connack_is_left_in_time() {
    let (near, _far) = duplex(1024);
    let mut client = Side::client(near);
    let before = Instant::now();
    let _ = client.end().await;
    assert_eq!(
        cause(client.events()),
        Some(DisconnectCause::ConnectTimeout)
    );
    assert!(before.elapsed() < Duration::from_secs(30 + 5));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_connect_is_left_in_time() {
    let (_near, far) = duplex(1024);
    let mut server = Side::server(far);
    let before = Instant::now();
    let _ = server.end().await;
    assert!(before.elapsed() < Duration::from_secs(10 + 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_busy_with_sending_is_not_taken_for_dead() {
    let (near, far) = duplex(16);
    let mut config = ClientConfig::new(MqttString::default());
    config.connect.keep_alive = 2;
    let mut client = Side::client_of(config, None, near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    // Each byte is a sign of life only when a packet is whole.
    for _ in 0..30 {
        raw.send(Packet::Publish(
            crate::support::message(Qos::AtMostOnce, "x")
                .to_publish(ohmqtt_codec::Delivery::AtMostOnce),
        ))
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!client.run.is_finished());
}
