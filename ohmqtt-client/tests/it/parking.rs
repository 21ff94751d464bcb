//! Clients that connect when they are told to.

use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, ConnectErrorKind, ConnectionState, Disconnect, Durability, Event,
    LostMessage, MemoryStore, Qos, ReasonCode, ResumeError, SessionLoss,
};

use crate::support::script::Script;
use crate::support::{accepted, broker, next, soon, text};

const GOODBYE: Duration = Duration::from_secs(10);

fn goodbye() -> Disconnect {
    Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
}

fn named(url: &str, id: &str) -> ClientBuilder {
    Client::builder(url)
        .client_id(id)
        .clean_start(false)
        .session_expiry(Duration::from_secs(600))
}

async fn until_parked(client: &Client) -> Option<ohmqtt_client::ConnectError> {
    let parked = |state: &ConnectionState| matches!(state, ConnectionState::Parked { .. });
    match soon(client.wait_for(parked)).await {
        ConnectionState::Parked { error } => error,
        other => panic!("{other:?}"),
    }
}

async fn until_connected(client: &Client) {
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
}

#[tokio::test]
async fn what_is_given_to_a_parked_client_goes_out_when_it_is_resumed() {
    for policy in [SessionLoss::Fail, SessionLoss::Resend, SessionLoss::Clear] {
        let broker = broker().await;
        let client = Client::builder("localhost")
            .session_loss(policy)
            .park()
            .unwrap();
        let early = accepted(&client, "a", "early", Qos::AtLeastOnce);
        let mut inbox = client.subscribe("b").send().unwrap();
        assert!(matches!(
            client.state(),
            ConnectionState::Parked { error: None }
        ));
        assert_eq!(client.health().to_string(), "parked: resume it");
        client.resume(named(broker.url(), "c")).unwrap();
        assert!(!soon(early.acked()).await.unwrap().reason.is_error());
        soon(inbox.granted()).await.unwrap();
        soon(client.publish("b", "late")).await.unwrap();
        assert_eq!(text(&next(&mut inbox).await), "late");
    }
}

#[tokio::test]
async fn parking_delivers_what_is_queued_and_says_the_disconnect_it_was_given() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    for n in 0..100 {
        client.publish("a", n.to_string()).send().unwrap();
    }
    let last = accepted(&client, "b", "", Qos::AtLeastOnce);
    let with_will = Disconnect::new(ReasonCode::DisconnectWithWillMessage);
    client.park(GOODBYE, with_will);
    for n in 0..100 {
        assert_eq!(conn.publish().await.payload, n.to_string());
    }
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    let said = conn.goodbye().await;
    assert_eq!(said.reason, ReasonCode::DisconnectWithWillMessage);
    soon(last.acked()).await.unwrap();
    assert!(until_parked(&client).await.is_none());
    assert!(!script.is_asked().await, "it connects when it is told to");
}

#[tokio::test]
async fn parking_gives_up_an_attempt_at_once() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    accepted(&client, "a", "kept", Qos::AtLeastOnce);
    let (_conn, _) = script.connect().await;
    client.park(Duration::MAX, goodbye());
    assert!(until_parked(&client).await.is_none());
    assert_eq!(client.metrics().queued_messages, 1);
}

#[tokio::test]
async fn a_session_goes_on_with_other_settings_where_it_was_left() {
    let script = Script::start().await;
    let client = Client::builder("localhost").park().unwrap();
    client
        .resume(named(&script.url(), "c").receive_maximum(7))
        .unwrap();
    let (mut conn, connect) = script.connect().await;
    assert_eq!(connect.properties.receive_maximum().unwrap().get(), 7);
    conn.connack(false).await;
    let sent = accepted(&client, "a", "x", Qos::AtLeastOnce);
    assert!(!conn.publish().await.delivery.dup());
    client.park(Duration::ZERO, goodbye());
    conn.goodbye().await;
    until_parked(&client).await;
    let again = named(&script.url(), "c")
        .user_name("me")
        .keep_alive(Duration::from_secs(9));
    client.resume(again).unwrap();
    let (mut conn, connect) = script.connect().await;
    assert_eq!(connect.user_name.unwrap().as_str(), "me");
    assert_eq!(connect.keep_alive, 9);
    conn.connack(true).await;
    let publish = conn.publish().await;
    assert!(publish.delivery.dup());
    conn.ack(&publish).await;
    assert!(soon(sent.acked()).await.unwrap().packet_id.is_some());
}

#[tokio::test]
async fn another_identifier_means_another_session() {
    let broker = broker().await;
    let client = Client::builder("localhost")
        .session_loss(SessionLoss::Clear)
        .park()
        .unwrap();
    client.resume(named(broker.url(), "c")).unwrap();
    until_connected(&client).await;
    client.park(Duration::ZERO, goodbye());
    until_parked(&client).await;
    let lost = accepted(&client, "a", "x", Qos::AtLeastOnce);
    client.resume(named(broker.url(), "d")).unwrap();
    assert_eq!(soon(lost.acked()).await, Err(LostMessage::SessionLost));
    until_connected(&client).await;
    assert_eq!(client.client_id(), "d");
}

#[tokio::test]
async fn a_client_of_one_connection_is_parked_when_it_ends_or_fails() {
    let broker = broker().await;
    let client = Client::builder("localhost").park().unwrap();
    let mut events = client.events();
    client
        .resume(named(broker.url(), "c").one_connection())
        .unwrap();
    until_connected(&client).await;
    let url = broker.url().to_owned();
    broker.shutdown(Duration::ZERO).await;
    let error = until_parked(&client).await.unwrap();
    assert_eq!(error.reason_code(), Some(ReasonCode::ServerShuttingDown));
    client.resume(named(&url, "c").one_connection()).unwrap();
    let error = until_parked(&client).await.unwrap();
    assert!(
        matches!(error.kind, ConnectErrorKind::Transport(_)),
        "{error}"
    );
    client.close(GOODBYE).await;
    let mut told = Vec::new();
    while let Some(event) = soon(events.recv()).await {
        told.push(event);
    }
    assert!(
        matches!(
            told[..],
            [
                Event::Connected { .. },
                Event::Disconnected { retry_in: None, .. },
                Event::Parked { error: Some(_) },
                Event::ConnectFailed { retry_in: None, .. },
                Event::Parked { error: Some(_) },
                Event::Closed { .. },
            ]
        ),
        "{told:?}"
    );
}

#[tokio::test]
async fn only_a_parked_client_is_resumed() {
    let broker = broker().await;
    let client = Client::connect(broker.url()).await.unwrap();
    let error = client.resume(Client::builder(broker.url())).unwrap_err();
    assert!(matches!(error, ResumeError::NotParked), "{error}");
    client.park(Duration::ZERO, goodbye());
    until_parked(&client).await;
    let error = client.resume(Client::builder("no scheme://")).unwrap_err();
    assert!(matches!(error, ResumeError::Config(_)), "{error}");
    until_parked(&client).await;
    client.close(Duration::ZERO).await;
    let error = client.resume(Client::builder(broker.url())).unwrap_err();
    assert!(matches!(error, ResumeError::Closed), "{error}");
}

#[tokio::test]
async fn closing_a_parked_client_waits_for_nobody() {
    let client = Client::builder("localhost").park().unwrap();
    accepted(&client, "a", "x", Qos::AtLeastOnce);
    let left = soon(client.close(Duration::MAX)).await;
    assert_eq!(left.unacknowledged, 1);
}

#[tokio::test]
async fn a_store_remembers_whose_session_it_keeps() {
    let store = MemoryStore::default();
    let parked = || {
        Client::builder("localhost")
            .session_loss(SessionLoss::Clear)
            .store(store.clone(), Durability::Safe)
            .park()
            .unwrap()
    };
    let publish = async |client: &Client, payload: &'static str| {
        soon(client.publish("a", payload).qos(Qos::AtLeastOnce))
            .await
            .unwrap()
    };
    let script = Script::start().await;
    // Accepted before any connection, by a process that ends.
    let client = parked();
    publish(&client, "first").await;
    client.close(Duration::ZERO).await;
    // It goes out in the first session there is.
    let client = parked();
    assert_eq!(client.client_id(), "");
    client.resume(named(&script.url(), "c")).unwrap();
    let (mut conn, _) = script.connect().await;
    conn.connack(false).await;
    assert_eq!(conn.publish().await.payload, "first");
    drop(conn);
    client.close(Duration::ZERO).await;
    // The next process goes on with it.
    let client = parked();
    assert_eq!(client.client_id(), "c");
    client.resume(named(&script.url(), "c")).unwrap();
    let (mut conn, connect) = script.connect().await;
    assert!(!connect.clean_start);
    conn.connack(true).await;
    assert!(conn.publish().await.delivery.dup());
    client.close(Duration::ZERO).await;
    // As somebody else it has nothing.
    let client = parked();
    client.resume(named(&script.url(), "d")).unwrap();
    let (mut conn, _) = script.connect().await;
    conn.connack(false).await;
    until_connected(&client).await;
    assert_eq!(client.metrics().queued_messages, 0);
}
