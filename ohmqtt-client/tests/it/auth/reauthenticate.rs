//! Authenticating again on the connection that stands.

use std::time::Duration;

use ohmqtt_client::{AuthError, ConnectErrorKind, Event, ReasonCode, ReauthenticateError};
use ohmqtt_codec::{Disconnect, Packet};
use tokio::task::JoinHandle;

use super::*;

fn again(client: &Client) -> JoinHandle<Result<(), ReauthenticateError>> {
    let client = client.clone();
    tokio::spawn(async move { client.reauthenticate().await })
}

/// The client begins again, with these words.
async fn begins(conn: &mut Conn, first: &str) {
    let want = (ReasonCode::ReAuthenticate, first.to_owned());
    assert_eq!(answered(conn).await, want);
}

/// The error of one that came to nothing, and of the connection.
fn disconnected(result: Result<(), ReauthenticateError>) -> ConnectError {
    match result {
        Err(ReauthenticateError::Disconnected(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// [MQTT-4.12.1-1] It begins by AUTH with the method of CONNECT, on a connection that goes on meanwhile.
#[tokio::test]
async fn a_client_authenticates_again_while_messages_flow() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let mut events = client.events();
    for round in 2..=3 {
        let done = again(&client);
        begins(&mut conn, &format!("hello {round}")).await;
        client.publish("t", "meanwhile").send().unwrap();
        conn.publish().await;
        ask(&mut conn, "more").await;
        answered(&mut conn).await;
        auth(&mut conn, ReasonCode::Success, "bye").await;
        soon(done).await.unwrap().unwrap();
        let event = soon(events.recv()).await;
        assert!(
            matches!(event, Some(Event::Reauthenticated { result: Ok(()) })),
            "{event:?}"
        );
    }
    assert_eq!(client.metrics().connections, 1);
}

#[tokio::test]
async fn all_who_ask_at_once_are_answered_together() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let (one, other) = tokio::join!(
        async { tokio::join!(client.reauthenticate(), client.reauthenticate()) },
        async {
            begins(&mut conn, "hello 2").await;
            auth(&mut conn, ReasonCode::Success, "bye").await;
            conn.before_echo().await
        }
    );
    one.0.unwrap();
    one.1.unwrap();
    assert_eq!(other, []);
}

#[tokio::test]
async fn who_asks_while_one_is_under_way_gets_another() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let first = again(&client);
    begins(&mut conn, "hello 2").await;
    let second = again(&client);
    assert_eq!(conn.before_echo().await, []);
    auth(&mut conn, ReasonCode::Success, "bye").await;
    begins(&mut conn, "hello 3").await;
    soon(first).await.unwrap().unwrap();
    auth(&mut conn, ReasonCode::Success, "bye").await;
    soon(second).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_future_does_not_stop_what_was_begun() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    done.abort();
    auth(&mut conn, ReasonCode::Success, "bye").await;
    let next = again(&client);
    begins(&mut conn, "hello 3").await;
    auth(&mut conn, ReasonCode::Success, "bye").await;
    soon(next).await.unwrap().unwrap();
}

/// [MQTT-4.12.1-2] A client that does not trust the server any more says DISCONNECT and leaves.
#[tokio::test]
async fn a_server_that_proves_itself_badly_is_left() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    auth(&mut conn, ReasonCode::Success, "boo").await;
    let disconnect = conn.goodbye().await;
    drop(conn);
    assert_eq!(disconnect.reason, ReasonCode::UnspecifiedError);
    let error = disconnected(soon(done).await.unwrap());
    assert!(matches!(
        authentication(&error).error,
        AuthError::Distrusted(_)
    ));
    let last = closed(&client).await;
    assert_eq!(last.to_string(), error.to_string());
}

#[tokio::test]
async fn a_refusal_is_the_disconnect_of_the_server() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    let refused = Disconnect::new(ReasonCode::NotAuthorized);
    conn.send(Packet::Disconnect(refused)).await;
    let error = disconnected(soon(done).await.unwrap());
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
}

#[tokio::test]
async fn a_connection_that_breaks_in_between_is_told() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    drop(conn);
    disconnected(soon(done).await.unwrap());
    // The next connection knows nothing of it.
    let (mut conn, first) = begun(&server).await;
    assert_eq!(first, "hello 3");
    accept(&mut conn, "bye").await;
    connected(&client).await;
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn a_client_that_closes_answers_those_who_wait() {
    let server = Script::start().await;
    let (client, mut conn) = pair(&server).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    let close = client.close(Duration::ZERO);
    let (_, goodbye) = tokio::join!(soon(close), conn.goodbye());
    assert_eq!(goodbye.reason, ReasonCode::NORMAL_DISCONNECTION);
    let error = disconnected(soon(done).await.unwrap());
    assert!(matches!(error.kind, ConnectErrorKind::Closed));
    let late = soon(client.reauthenticate()).await;
    assert!(matches!(late, Err(ReauthenticateError::NotConnected)));
}

#[tokio::test]
async fn one_that_cannot_begin_leaves_the_connection_standing() {
    let server = Script::start().await;
    let mut count = 0;
    let plan = Plan {
        begin: move || {
            count += 1;
            say(match count {
                2 => Err(AuthError::unavailable("the token service is down")),
                count => Ok(Some(format!("hello {count}").into())),
            })
        },
        answer: |_| never(),
        finish: |_| Ok(()),
    };
    let client = server.client().authenticator(plan).start().unwrap();
    let (mut conn, _) = begun(&server).await;
    accept(&mut conn, "bye").await;
    connected(&client).await;
    let mut events = client.events();
    let Err(ReauthenticateError::NotBegun(error)) = soon(client.reauthenticate()).await else {
        panic!("begun");
    };
    assert!(matches!(error.error, AuthError::Unavailable(_)));
    assert!(matches!(
        soon(events.recv()).await,
        Some(Event::Reauthenticated { result: Err(_) })
    ));
    assert_eq!(conn.before_echo().await, []);
    let done = again(&client);
    begins(&mut conn, "hello 3").await;
    auth(&mut conn, ReasonCode::Success, "bye").await;
    soon(done).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_after_the_time_to_connect() {
    let server = Script::start().await;
    let builder = server.client().authenticator(counting());
    let builder = builder.connect_timeout(Duration::from_secs(3));
    let client = builder.start().unwrap();
    let (mut conn, _) = begun(&server).await;
    accept(&mut conn, "bye").await;
    connected(&client).await;
    let done = again(&client);
    begins(&mut conn, "hello 2").await;
    conn.goodbye().await;
    drop(conn);
    let error = disconnected(soon(done).await.unwrap());
    assert!(matches!(authentication(&error).error, AuthError::TimedOut));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn it_needs_an_authenticator_and_a_connection() {
    let server = Script::start().await;
    let (client, _conn) = server.pair().await;
    let result = soon(client.reauthenticate()).await;
    assert!(matches!(result, Err(ReauthenticateError::NoAuthenticator)));
    let client = server.client().authenticator(counting()).start().unwrap();
    let result = soon(client.reauthenticate()).await;
    assert!(matches!(result, Err(ReauthenticateError::NotConnected)));
}
