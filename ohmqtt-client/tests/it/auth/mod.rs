//! Who the client is: credentials asked at each connect, enhanced authentication, and SCRAM against a server of its own.

mod authenticator;
mod credentials;
mod reauthenticate;
#[cfg(feature = "scram")]
mod scram;
#[cfg(feature = "scram")]
mod scram_server;

use bytes::Bytes;
use ohmqtt_client::{
    AuthError, AuthenticationError, Authenticator, BoxFuture, Client, ConnectError,
    ConnectErrorKind, ConnectionState, ReasonCode,
};
use ohmqtt_codec::{Auth, AuthProperties, Binary, ConnAckProperties, MqttString, Packet};

use crate::support::script::{Conn, Script};
use crate::support::soon;

/// The error the client ends with.
async fn closed(client: &Client) -> ConnectError {
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    match soon(client.wait_for(closed)).await {
        ConnectionState::Closed { error } => error,
        other => panic!("{other:?}"),
    }
}

/// The error of an attempt that failed and is made again.
async fn failed(client: &Client) -> ConnectError {
    let failed = |state: &ConnectionState| {
        matches!(
            state,
            ConnectionState::Connecting {
                last_error: Some(_),
                ..
            }
        )
    };
    match soon(client.wait_for(failed)).await {
        ConnectionState::Connecting {
            last_error: Some(error),
            ..
        } => error,
        other => panic!("{other:?}"),
    }
}

async fn connected(client: &Client) {
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
}

/// What an authentication failed by.
fn authentication(error: &ConnectError) -> &AuthenticationError {
    match &error.kind {
        ConnectErrorKind::Authentication(error) => error,
        other => panic!("{other:?}"),
    }
}

type Said = Result<Option<Bytes>, AuthError>;

/// An authenticator whose every word is the test's own.
struct Plan<B, A, F> {
    begin: B,
    answer: A,
    finish: F,
}

const METHOD: &str = "TEST";

impl<B, A, F> Authenticator for Plan<B, A, F>
where
    B: FnMut() -> BoxFuture<'static, Said> + Send + 'static,
    A: FnMut(Option<Bytes>) -> BoxFuture<'static, Said> + Send + 'static,
    F: FnMut(Option<Bytes>) -> Result<(), AuthError> + Send + 'static,
{
    fn method(&self) -> &'static str {
        METHOD
    }

    fn begin(&mut self) -> BoxFuture<'_, Said> {
        (self.begin)()
    }

    fn answer(&mut self, data: Option<Bytes>) -> BoxFuture<'_, Said> {
        (self.answer)(data)
    }

    fn finish(&mut self, data: Option<Bytes>) -> Result<(), AuthError> {
        (self.finish)(data)
    }
}

fn say(said: Said) -> BoxFuture<'static, Said> {
    Box::pin(std::future::ready(said))
}

fn never() -> BoxFuture<'static, Said> {
    Box::pin(std::future::pending())
}

/// Counts its beginnings, answers in capitals, and accepts a server that ends with "bye".
fn counting() -> impl Authenticator {
    let mut count = 0;
    Plan {
        begin: move || {
            count += 1;
            say(Ok(Some(format!("hello {count}").into())))
        },
        answer: |data: Option<Bytes>| say(Ok(data.map(|data| data.to_ascii_uppercase().into()))),
        finish: |data: Option<Bytes>| match data.as_deref() {
            Some(b"bye") => Ok(()),
            other => Err(AuthError::Distrusted(format!("{other:?}"))),
        },
    }
}

fn method() -> MqttString {
    MqttString::try_from(METHOD).unwrap()
}

fn data(text: &str) -> Binary {
    Binary::try_from(text.as_bytes()).unwrap()
}

/// The next connection, and what its CONNECT says of the method.
async fn begun(server: &Script) -> (Conn, String) {
    let (conn, connect) = server.connect().await;
    assert_eq!(connect.properties.authentication_method(), Some(METHOD));
    let first = connect.properties.authentication_data();
    (conn, String::from_utf8(first.unwrap().to_vec()).unwrap())
}

/// AUTH with this reason and data.
async fn auth(conn: &mut Conn, reason: ReasonCode, text: &str) {
    let mut properties = AuthProperties::default();
    properties.set_authentication(&method(), Some(&data(text)));
    conn.send(Packet::Auth(Auth { reason, properties })).await;
}

/// Asks for more.
async fn ask(conn: &mut Conn, text: &str) {
    auth(conn, ReasonCode::ContinueAuthentication, text).await;
}

/// The client's AUTH.
async fn answered(conn: &mut Conn) -> (ReasonCode, String) {
    match conn.recv().await {
        Packet::Auth(auth) => {
            assert_eq!(auth.properties.authentication_method(), Some(METHOD));
            let data = auth.properties.authentication_data().unwrap_or_default();
            (auth.reason, String::from_utf8(data.to_vec()).unwrap())
        }
        other => panic!("not AUTH: {other:?}"),
    }
}

/// CONNACK with Success and these last words.
async fn accept(conn: &mut Conn, last: &str) {
    let mut properties = ConnAckProperties::default();
    properties.set_authentication(&method(), Some(&data(last)));
    conn.answer(false, ReasonCode::Success, properties).await;
}

/// A client by the counting authenticator, connected.
async fn pair(server: &Script) -> (Client, Conn) {
    let client = server.client().authenticator(counting()).start().unwrap();
    let (mut conn, first) = begun(server).await;
    assert_eq!(first, "hello 1");
    accept(&mut conn, "bye").await;
    connected(&client).await;
    (client, conn)
}
