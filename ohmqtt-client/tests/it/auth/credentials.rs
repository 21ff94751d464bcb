//! User name and password from a provider.

use std::error::Error;
use std::io;
use std::time::Duration;

use ohmqtt_client::{
    BoxFuture, ConnectErrorKind, Credentials, CredentialsProvider, Event, ReasonCode,
};
use ohmqtt_codec::{ConnAckProperties, Connect, Disconnect, Packet};

use super::{closed, connected, failed};
use crate::support::log::Log;
use crate::support::script::Script;
use crate::support::soon;

/// Each time another token.
fn rotating() -> impl CredentialsProvider {
    let mut count = 0;
    move || {
        count += 1;
        async move { Ok::<_, io::Error>(Credentials::new("gateway", format!("t0k3n-{count}"))) }
    }
}

/// User name and password, as text.
fn said(connect: &Connect) -> (Option<&str>, Option<&str>) {
    let password = connect.password.as_ref();
    (
        connect
            .user_name
            .as_ref()
            .map(ohmqtt_client::MqttString::as_str),
        password.map(|password| std::str::from_utf8(password.as_bytes()).unwrap()),
    )
}

async fn refuse(server: &Script, reason: ReasonCode) {
    let (mut conn, _) = server.connect().await;
    conn.answer(false, reason, ConnAckProperties::default())
        .await;
}

#[tokio::test]
async fn each_connect_says_what_the_provider_says_then() {
    let server = Script::start().await;
    let builder = server.client().user_name("nobody").password("nothing");
    let client = builder.credentials(rotating()).start().unwrap();
    for token in ["t0k3n-1", "t0k3n-2", "t0k3n-3"] {
        let (mut conn, connect) = server.connect().await;
        assert_eq!(said(&connect), (Some("gateway"), Some(token)));
        conn.connack(false).await;
        connected(&client).await;
    }
}

#[tokio::test]
async fn a_password_needs_no_user_name() {
    let server = Script::start().await;
    let provider = || async { Ok::<_, io::Error>(Credentials::password_only("t0k3n")) };
    let builder = server.client().user_name("nobody").credentials(provider);
    let _client = builder.start().unwrap();
    let (_, connect) = server.connect().await;
    assert_eq!(said(&connect), (None, Some("t0k3n")));
}

/// Fails the first time.
struct Vault {
    sealed: bool,
}

impl CredentialsProvider for Vault {
    fn credentials(&mut self) -> BoxFuture<'_, Result<Credentials, Box<dyn Error + Send + Sync>>> {
        Box::pin(async {
            if std::mem::replace(&mut self.sealed, false) {
                return Err("the vault is sealed".into());
            }
            Ok(Credentials::new("gateway", "s3cret"))
        })
    }
}

#[tokio::test]
async fn an_error_of_the_provider_is_told_and_it_is_asked_again() {
    let server = Script::start().await;
    let (log, _guard) = Log::start();
    let builder = server.client().credentials(Vault { sealed: true });
    let client = builder.start().unwrap();
    let error = failed(&client).await;
    assert!(matches!(error.kind, ConnectErrorKind::Credentials(_)));
    assert!(error.is_retryable());
    let text = format!(
        "connect {}: no credentials: the vault is sealed",
        server.url()
    );
    assert_eq!(error.to_string(), text);
    let (mut conn, connect) = server.connect().await;
    assert_eq!(said(&connect), (Some("gateway"), Some("s3cret")));
    conn.connack(false).await;
    connected(&client).await;
    assert!(!log.text().contains("s3cret"));
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_connect_cannot_hold_is_an_error_of_the_attempt() {
    let server = Script::start().await;
    let provider = || async { Ok::<_, io::Error>(Credentials::new("a\0", "s3cret")) };
    let client = server.client().credentials(provider).start().unwrap();
    let error = failed(&client).await;
    assert!(matches!(error.kind, ConnectErrorKind::Credentials(_)));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_provider_has_as_long_as_connecting_has() {
    let server = Script::start().await;
    let provider = std::future::pending::<Result<Credentials, io::Error>>;
    let builder = server.client().credentials(provider);
    let client = builder
        .connect_timeout(Duration::from_millis(10))
        .start()
        .unwrap();
    let error = failed(&client).await;
    let ConnectErrorKind::Credentials(why) = &error.kind else {
        panic!("{error:?}");
    };
    let why: &io::Error = why.downcast_ref().unwrap();
    assert_eq!(why.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_client_closes_while_its_provider_is_asked() {
    let server = Script::start().await;
    let provider = std::future::pending::<Result<Credentials, io::Error>>;
    let client = server.client().credentials(provider).start().unwrap();
    soon(client.close(Duration::ZERO)).await;
    assert!(matches!(
        closed(&client).await.kind,
        ConnectErrorKind::Closed
    ));
}

#[tokio::test]
async fn refused_credentials_may_be_followed_by_good_ones() {
    for reason in [ReasonCode::BadUserNameOrPassword, ReasonCode::NotAuthorized] {
        let server = Script::start().await;
        let client = server.client().credentials(rotating()).start().unwrap();
        refuse(&server, reason).await;
        let (mut conn, connect) = server.connect().await;
        assert_eq!(said(&connect).1, Some("t0k3n-2"));
        conn.connack(false).await;
        connected(&client).await;
    }
}

#[tokio::test]
async fn two_refusals_in_a_row_are_final() {
    let server = Script::start().await;
    let client = server.client().credentials(rotating()).start().unwrap();
    refuse(&server, ReasonCode::NotAuthorized).await;
    refuse(&server, ReasonCode::BadUserNameOrPassword).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::BadUserNameOrPassword));
}

#[tokio::test]
async fn refusals_are_never_final_when_everything_is_tried_again() {
    let server = Script::start().await;
    let builder = server.client().credentials(rotating());
    let client = builder.retry_everything().start().unwrap();
    for _ in 0..4 {
        refuse(&server, ReasonCode::NotAuthorized).await;
    }
    let (mut conn, connect) = server.connect().await;
    assert_eq!(said(&connect).1, Some("t0k3n-5"));
    conn.connack(false).await;
    connected(&client).await;
}

#[tokio::test]
async fn other_refusals_are_as_final_as_without_a_provider() {
    let server = Script::start().await;
    let client = server.client().credentials(rotating()).start().unwrap();
    refuse(&server, ReasonCode::Banned).await;
    assert_eq!(
        closed(&client).await.reason_code(),
        Some(ReasonCode::Banned)
    );
}

/// A server that ends a connection because its token has expired takes the next one.
#[tokio::test]
async fn a_connection_that_is_not_authorized_any_more_is_made_anew() {
    let server = Script::start().await;
    let client = server.client().credentials(rotating()).start().unwrap();
    let mut conn = server.accept().await;
    connected(&client).await;
    let mut events = client.events();
    let expired = Disconnect::new(ReasonCode::NotAuthorized);
    conn.send(Packet::Disconnect(expired)).await;
    let Some(Event::Disconnected { error, retry_in }) = soon(events.recv()).await else {
        panic!("not disconnected");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
    assert!(retry_in.is_some());
    let (mut conn, connect) = server.connect().await;
    assert_eq!(said(&connect).1, Some("t0k3n-2"));
    conn.connack(false).await;
    connected(&client).await;
}
