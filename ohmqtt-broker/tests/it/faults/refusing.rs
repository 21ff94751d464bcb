//! CONNECT that is refused, sent elsewhere, or not answered.

use std::time::Duration;

use ohmqtt_broker::faults::{Packet, ReasonCode};
use ohmqtt_client::{ConnectErrorKind, DisconnectCause, Event, Qos};

use super::{builder, client, connected, event, faulty, publish, soon};

/// Waits for an attempt to fail, and tells with what reason.
async fn refused(events: &mut ohmqtt_client::Events) -> ReasonCode {
    let reason = |event| match event {
        Event::ConnectFailed { error, .. } => match error.kind {
            ConnectErrorKind::Session(DisconnectCause::Refused(connack)) => Some(connack.reason),
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    event(events, reason).await
}

#[tokio::test]
async fn a_refused_client_hears_the_reason_until_it_is_let_in() {
    let (broker, faults) = faulty().await;
    let other = client(&broker, "other").await;
    faults.client("c").refuse(ReasonCode::ServerBusy);
    let client = builder(&broker, "c").start().unwrap();
    let mut events = client.events();
    for _ in 0..2 {
        assert_eq!(refused(&mut events).await, ReasonCode::ServerBusy);
    }
    soon(publish(&other, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    faults.client("c").mend();
    connected(&client).await;
}

#[tokio::test]
async fn the_next_connection_alone_is_refused() {
    let (broker, faults) = faulty().await;
    faults.next().refuse(ReasonCode::ServerUnavailable);
    let client = builder(&broker, "c").start().unwrap();
    let mut events = client.events();
    assert_eq!(refused(&mut events).await, ReasonCode::ServerUnavailable);
    connected(&client).await;
}

#[tokio::test]
async fn a_redirected_client_goes_where_it_is_sent() {
    let (broker, faults) = faulty().await;
    let (elsewhere, there) = faulty().await;
    faults
        .client("c")
        .redirect(elsewhere.url().trim_start_matches("mqtt://"))
        .unwrap();
    assert!(faults.all().redirect("\0").is_err());
    let _client = client(&broker, "c").await;
    assert!(matches!(&there.sent_by("c")[..], [Packet::Connect(_)]));
}

#[tokio::test]
async fn a_silent_broker_is_left_and_found_again() {
    let (broker, faults) = faulty().await;
    faults.all().silence();
    let client = builder(&broker, "c").connect_timeout(Duration::from_millis(50));
    let client = client.start().unwrap();
    let mut events = client.events();
    let timed_out = |event| match event {
        Event::ConnectFailed { error, .. } => Some(error.kind),
        _ => None,
    };
    let kind = event(&mut events, timed_out).await;
    assert!(
        matches!(
            kind,
            ConnectErrorKind::TimedOut | ConnectErrorKind::Session(_)
        ),
        "{kind:?}"
    );
    // It sends its CONNECT all the same, if not the first time, when the machine is busy.
    let is_connect = |packet: &Packet| matches!(packet, Packet::Connect(_));
    soon(faults.wait_for("c", is_connect)).await;
    faults.all().speak();
    connected(&client).await;
}

#[tokio::test]
async fn what_is_sent_into_a_silence_arrives_when_it_ends() {
    let (broker, faults) = faulty().await;
    let (writer, other) = (
        client(&broker, "writer").await,
        client(&broker, "other").await,
    );
    let mut inbox = soon(other.subscribe("t")).await.unwrap();
    faults.client("writer").silence();
    let publication = publish(&writer, "x", Qos::ExactlyOnce).await;
    let is_publish = |packet: &Packet| matches!(packet, Packet::Publish(_));
    soon(faults.wait_for("writer", is_publish)).await;
    publish(&other, "y", Qos::AtLeastOnce).await;
    assert_eq!(soon(inbox.recv()).await.unwrap().payload, "y");
    faults.client("writer").speak();
    soon(publication.acked()).await.unwrap();
    assert_eq!(soon(inbox.recv()).await.unwrap().payload, "x");
}
