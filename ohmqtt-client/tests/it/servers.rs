//! Several servers: which is tried when, who refers to whom, and what ends the attempts.

use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ohmqtt_client::{
    BoxFuture, Client, ClientBuilder, ConfigError, Connect, ConnectError, ConnectErrorKind,
    ConnectFailed, ConnectionState, Endpoint, Phase, Qos, ReasonCode, Transport, TransportError,
};
use ohmqtt_codec::{ConnAckProperties, Disconnect, Packet};
use tokio::time::Instant;

use crate::support::log::Log;
use crate::support::script::{Conn, Script};
use crate::support::{accepted, soon};

/// Refuses the next connection of a server.
async fn refuse(server: &Script, reason: ReasonCode) {
    refer(server, reason, None).await;
}

/// Refers the next connection of a server to another one.
async fn refer(server: &Script, reason: ReasonCode, to: Option<&Script>) {
    let (mut conn, _) = server.connect().await;
    conn.answer(false, reason, reference(to)).await;
}

fn reference(to: Option<&Script>) -> ConnAckProperties {
    let mut properties = ConnAckProperties::default();
    if let Some(to) = to {
        let text = address(to);
        properties.set_server_reference(&text.as_str().try_into().unwrap());
    }
    properties
}

/// Host and port of a server.
fn address(server: &Script) -> String {
    server.url().strip_prefix("mqtt://").unwrap().to_owned()
}

/// Two servers, and a client of both.
async fn two() -> (Script, Script, ClientBuilder) {
    let (a, b) = (Script::start().await, Script::start().await);
    let client = a.client().or(b.url());
    (a, b, client)
}

/// The error the client ends with.
async fn closed(client: &Client) -> ConnectError {
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    match soon(client.wait_for(closed)).await {
        ConnectionState::Closed { error } => error,
        other => panic!("{other:?}"),
    }
}

async fn connected(client: &Client) {
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
}

#[tokio::test]
async fn the_first_attempt_is_over_when_all_servers_were_tried() {
    let (a, b, client) = two().await;
    let connect = tokio::spawn(client.connect());
    refuse(&a, ReasonCode::ServerBusy).await;
    let _conn = b.accept().await;
    soon(connect).await.unwrap().unwrap();

    let (a, b, client) = two().await;
    let connect = tokio::spawn(client.connect());
    refuse(&a, ReasonCode::ServerBusy).await;
    refuse(&b, ReasonCode::QuotaExceeded).await;
    let Err(ConnectFailed::Connect(error)) = soon(connect).await.unwrap() else {
        panic!("connected");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::QuotaExceeded));
    assert_eq!(error.address, b.url());
}

#[tokio::test]
async fn what_was_published_goes_to_the_server_that_takes_the_client_in() {
    let (a, b, client) = two().await;
    let client = client.start().unwrap();
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    // Nobody listens at the first any more.
    drop(a);
    let mut conn = b.accept().await;
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    soon(publication.acked()).await.unwrap();
}

#[tokio::test]
async fn the_server_with_the_session_is_returned_to_first() {
    let (a, b, client) = two().await;
    let client = client.start().unwrap();
    refuse(&a, ReasonCode::ServerBusy).await;
    for _ in 0..3 {
        let (mut conn, _) = b.connect().await;
        conn.connack(false).await;
        connected(&client).await;
    }
    let waiting = |state: &ConnectionState| matches!(state, ConnectionState::Connecting { .. });
    soon(client.wait_for(waiting)).await;
    drop(b);
    let _conn = a.accept().await;
    connected(&client).await;
}

/// Notes when which host was asked for, and never connects.
#[derive(Clone, Debug, Default)]
struct Nowhere(Arc<Mutex<Vec<(Instant, String)>>>);

impl Connect for Nowhere {
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        let host = to.host().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((Instant::now(), host));
        let refused = io::ErrorKind::ConnectionRefused.into();
        let error = TransportError::from_io(Phase::Connect, to, refused);
        Box::pin(std::future::ready(Err(error)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_once_a_round_and_not_once_a_server() {
    let nowhere = Nowhere::default();
    let client = Client::builder("a")
        .or("b")
        .or("c")
        .seed(7)
        .connector(nowhere.clone())
        .start()
        .unwrap();
    let reached = |state: &ConnectionState| matches!(state, ConnectionState::Connecting { attempt, last_error: Some(_) } if *attempt >= 30);
    client.wait_for(reached).await;
    let asked = nowhere.0.lock().unwrap().clone();
    let mut waited = Vec::new();
    for round in asked.chunks_exact(3) {
        let hosts: Vec<_> = round.iter().map(|(_, host)| host.as_str()).collect();
        assert_eq!(hosts, ["a", "b", "c"]);
        let together = round[2].0.saturating_duration_since(round[0].0);
        assert_eq!(together, Duration::ZERO);
        waited.push(round[0].0);
    }
    assert_eq!(waited.len(), 10);
    for (round, pair) in waited.windows(2).enumerate() {
        let wait = pair[1].saturating_duration_since(pair[0]);
        let bound = Duration::from_secs(60.min(1 << round)) + Duration::from_millis(5);
        assert!(wait <= bound, "{round}: {wait:?}");
    }
    assert!(waited[9].saturating_duration_since(waited[0]) > Duration::from_secs(10));
}

/// Section 4.11.
#[tokio::test]
async fn a_reference_in_connack_is_followed_at_once() {
    for reason in [ReasonCode::UseAnotherServer, ReasonCode::ServerMoved] {
        let (a, b) = (Script::start().await, Script::start().await);
        // A wait would take longer than the test has.
        let client = a.client().backoff(Duration::MAX / 4, Duration::MAX / 4);
        let connect = tokio::spawn(client.connect());
        refer(&a, reason, Some(&b)).await;
        let _conn = b.accept().await;
        soon(connect).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_reference_in_disconnect_is_followed_with_the_session() {
    let (a, b) = (Script::start().await, Script::start().await);
    let (client, mut conn) = a.pair().await;
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    conn.publish().await;
    let mut disconnect = Disconnect::new(ReasonCode::UseAnotherServer);
    let text = address(&b);
    disconnect
        .properties
        .set_server_reference(&text.as_str().try_into().unwrap());
    conn.send(Packet::Disconnect(disconnect)).await;
    let mut conn = b.resume().await;
    let again = conn.publish().await;
    assert!(again.delivery.dup());
    conn.ack(&again).await;
    soon(publication.acked()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_moved_is_not_gone_back_to() {
    let (a, b) = (Script::start().await, Script::start().await);
    let client = a.client().start().unwrap();
    refer(&a, ReasonCode::ServerMoved, Some(&b)).await;
    for _ in 0..5 {
        refuse(&b, ReasonCode::ServerBusy).await;
    }
    let _conn = b.accept().await;
    connected(&client).await;
    assert!(!a.is_asked().await, "it was asked again");
}

#[tokio::test]
async fn a_server_that_is_relieved_for_a_while_is_gone_back_to() {
    let (a, b) = (Script::start().await, Script::start().await);
    let client = a.client().start().unwrap();
    refer(&a, ReasonCode::UseAnotherServer, Some(&b)).await;
    refuse(&b, ReasonCode::ServerBusy).await;
    let _conn = a.accept().await;
    connected(&client).await;
}

#[tokio::test]
async fn servers_that_refer_to_each_other_are_left_after_so_many_redirects() {
    let (a, b) = (Script::start().await, Script::start().await);
    let connect = tokio::spawn(a.client().redirects(3).connect());
    for (here, there) in [(&a, &b), (&b, &a), (&a, &b), (&b, &a)] {
        refer(here, ReasonCode::UseAnotherServer, Some(there)).await;
    }
    let Err(ConnectFailed::Connect(error)) = soon(connect).await.unwrap() else {
        panic!("connected");
    };
    let ConnectErrorKind::TooManyRedirects { times: 3 } = error.kind else {
        panic!("{error:?}");
    };
    assert!(error.to_string().contains(&b.url()), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn servers_that_accept_and_refer_to_each_other_are_not_followed_for_ever_without_a_wait() {
    let (a, b) = (Script::start().await, Script::start().await);
    let long = Duration::MAX / 4;
    let client = a.client().redirects(3).backoff(long, long).start().unwrap();
    for (here, there) in [(&a, &b), (&b, &a), (&a, &b), (&b, &a)] {
        let mut conn: Conn = here.accept().await;
        let mut disconnect = Disconnect::new(ReasonCode::UseAnotherServer);
        let text = address(there);
        disconnect
            .properties
            .set_server_reference(&text.as_str().try_into().unwrap());
        conn.send(Packet::Disconnect(disconnect)).await;
    }
    let given_up = |state: &ConnectionState| {
        matches!(state, ConnectionState::Connecting { last_error: Some(error), .. }
            if matches!(error.kind, ConnectErrorKind::TooManyRedirects { times: 3 }))
    };
    soon(client.wait_for(given_up)).await;
    assert_eq!(client.metrics().connections, 4);
}

#[tokio::test]
async fn a_redirect_is_an_error_when_none_is_to_be_followed() {
    let (a, b) = (Script::start().await, Script::start().await);
    let client = a.client().redirects(0).start().unwrap();
    refer(&a, ReasonCode::UseAnotherServer, Some(&b)).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::UseAnotherServer));
    assert!(!b.is_asked().await);
}

#[tokio::test]
async fn attempts_end_when_no_server_is_worth_another() {
    let (a, b, client) = two().await;
    let client = client.start().unwrap();
    refuse(&a, ReasonCode::BadUserNameOrPassword).await;
    refuse(&b, ReasonCode::ServerBusy).await;
    // The first is left out of the next round.
    refuse(&b, ReasonCode::NotAuthorized).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
    assert_eq!(error.address, b.url());
    assert!(!a.is_asked().await);
}

#[tokio::test]
async fn a_session_taken_over_is_not_looked_for_elsewhere() {
    let (a, b, client) = two().await;
    let (client, mut conn) = a.pair_of(client).await;
    let taken = Disconnect::new(ReasonCode::SessionTakenOver);
    conn.send(Packet::Disconnect(taken)).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::SessionTakenOver));
    assert!(!b.is_asked().await);
}

#[tokio::test]
async fn everything_is_tried_again_when_that_is_asked_for() {
    let a = Script::start().await;
    let client = a.client().retry_everything().start().unwrap();
    for reason in [
        ReasonCode::Banned,
        ReasonCode::BadUserNameOrPassword,
        ReasonCode::ProtocolError,
    ] {
        refuse(&a, reason).await;
    }
    let mut conn = a.stream().await;
    conn.connect().await;
    // No packet of MQTT may come here.
    conn.send(Packet::PingResp).await;
    drop(conn);
    let mut conn = a.accept().await;
    let taken = Disconnect::new(ReasonCode::SessionTakenOver);
    conn.send(Packet::Disconnect(taken)).await;
    a.resume().await;
    soon(client.close(Duration::ZERO)).await;
}

#[tokio::test]
async fn urls_may_not_name_different_users() {
    for other in [
        "mqtt://bob:secret@b",
        "mqtt://alice:other@b",
        "mqtt://alice@b",
    ] {
        let client = Client::builder("mqtt://alice:secret@a").or("c").or(other);
        let shown = format!("{client:?}");
        let error = client.start().unwrap_err();
        assert!(
            matches!(error, ConfigError::Value { field: "or", .. }),
            "{error:?}"
        );
        for text in [error.to_string(), format!("{error:?}"), shown] {
            assert!(
                !text.contains("secret") && !text.contains("other"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn credentials_of_any_url_are_sent_to_every_server_and_shown_to_nobody() {
    let (log, _guard) = Log::start();
    let (a, b, c) = (
        Script::start().await,
        Script::start().await,
        Script::start().await,
    );
    let with_credentials = format!("mqtt://alice:hunter2@{}", address(&b));
    let client = a.client().or(with_credentials);
    let mut shown = format!("{client:?}");
    let client = client.start().unwrap();
    for (server, answer, to) in [
        (&a, ReasonCode::ServerBusy, None),
        (&b, ReasonCode::UseAnotherServer, Some(&c)),
        (&c, ReasonCode::ServerBusy, None),
        (&a, ReasonCode::NotAuthorized, None),
        (&b, ReasonCode::NotAuthorized, None),
    ] {
        let (mut conn, connect) = server.connect().await;
        assert_eq!(connect.user_name.unwrap().as_str(), "alice");
        assert_eq!(connect.password.unwrap().as_bytes(), b"hunter2");
        conn.answer(false, answer, reference(to)).await;
        write!(shown, "{:?}", client.state()).unwrap();
    }
    let error = closed(&client).await;
    write!(shown, "{error} {error:?} {client:?}").unwrap();
    shown += &log.text();
    assert!(shown.contains("not connected"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
