//! Enhanced authentication at a connect, packet by packet.

use std::time::Duration;

use ohmqtt_client::{
    AuthError, Client, ConfigError, ConnectErrorKind, ConnectFailed, Qos, ReasonCode,
};
use ohmqtt_codec::ConnAckProperties;

use super::*;
use crate::support::log::Log;

/// [MQTT-4.12.0-3] [MQTT-4.12.0-5] Each AUTH of the client's says Continue, and names the method of CONNECT.
#[tokio::test]
async fn an_exchange_begins_anew_at_each_connect() {
    let server = Script::start().await;
    let client = server.client().authenticator(counting()).start().unwrap();
    for round in 1..=3 {
        let (mut conn, first) = begun(&server).await;
        assert_eq!(first, format!("hello {round}"));
        for word in ["one", "two"] {
            ask(&mut conn, word).await;
            let continues = ReasonCode::ContinueAuthentication;
            assert_eq!(answered(&mut conn).await, (continues, word.to_uppercase()));
        }
        accept(&mut conn, "bye").await;
        connected(&client).await;
    }
}

#[tokio::test]
async fn an_impostor_gets_no_message_and_delivers_none() {
    let server = Script::start().await;
    let client = server.client().authenticator(counting()).start().unwrap();
    let mut inbox = client.subscribe("#").send().unwrap();
    let mut unclaimed = client.unclaimed();
    let waiting = client.publish("t", "secret").qos(Qos::AtLeastOnce);
    let waiting = waiting.send().unwrap();
    let (mut conn, _) = begun(&server).await;
    // Sent in one breath, so that it is read in one.
    let mut last_words = ConnAckProperties::default();
    last_words.set_authentication(&method(), Some(&data("boo")));
    conn.answer(false, ReasonCode::Success, last_words).await;
    conn.deliver("t", "forged", Qos::AtLeastOnce, 1).await;
    let disconnect = conn.goodbye().await;
    drop(conn);
    // Not authorized is for servers to say.
    assert_eq!(disconnect.reason, ReasonCode::UnspecifiedError);
    let error = closed(&client).await;
    assert!(!error.is_retryable());
    assert!(matches!(
        authentication(&error).error,
        AuthError::Distrusted(_)
    ));
    let text = error.to_string();
    assert!(text.contains("authentication by TEST"), "{text}");
    assert!(text.contains("is it the right server?"), "{text}");
    assert!(soon(inbox.recv()).await.is_none());
    assert!(soon(unclaimed.recv()).await.is_none());
    assert_eq!(client.metrics().received, 0);
    assert_eq!(client.metrics().connections, 0);
    drop(waiting);
}

/// Ends the attempt at once, whatever the time to connect.
async fn check_gives_up(why: AuthError, want: &str) {
    let server = Script::start().await;
    let reason = why.clone();
    let plan = Plan {
        begin: || say(Ok(Some("hello".into()))),
        answer: move |_| say(Err(reason.clone())),
        finish: |_| Ok(()),
    };
    let builder = server.client().connect_timeout(Duration::from_secs(3600));
    let connect = tokio::spawn(builder.authenticator(plan).connect());
    let (mut conn, _) = begun(&server).await;
    ask(&mut conn, "more").await;
    let disconnect = conn.goodbye().await;
    drop(conn);
    assert_eq!(disconnect.reason, ReasonCode::UnspecifiedError);
    let Err(ConnectFailed::Connect(error)) = soon(connect).await.unwrap() else {
        panic!("connected");
    };
    let retried = matches!(why, AuthError::Unavailable(_));
    assert_eq!(error.is_retryable(), retried);
    let text = format!("connect {}: authentication by TEST: {want}", server.url());
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn an_authenticator_that_cannot_go_on_ends_the_attempt_at_once() {
    let unable = AuthError::unable("no key on this machine");
    check_gives_up(unable, "no key on this machine").await;
    let unavailable = AuthError::unavailable("the token service is down");
    check_gives_up(unavailable, "the token service is down").await;
    let malformed = AuthError::Malformed("no nonce".into());
    let want =
        "the server does not keep to the method: no nonce; does the server mean the same method?";
    check_gives_up(malformed, want).await;
    let refused = AuthError::Refused("unknown-user".into());
    let want = "the server refused: unknown-user; check user name and password";
    check_gives_up(refused, want).await;
}

#[tokio::test]
async fn an_authenticator_that_cannot_begin_is_asked_again() {
    let server = Script::start().await;
    let mut count = 0;
    let plan = Plan {
        begin: move || {
            count += 1;
            say(match count {
                1 => Err(AuthError::unavailable("the token service is down")),
                _ => Ok(Some("hello".into())),
            })
        },
        answer: |_| never(),
        finish: |_| Ok(()),
    };
    let client = server.client().authenticator(plan).start().unwrap();
    let error = failed(&client).await;
    assert!(matches!(
        authentication(&error).error,
        AuthError::Unavailable(_)
    ));
    let (mut conn, _) = begun(&server).await;
    accept(&mut conn, "bye").await;
    connected(&client).await;
}

#[tokio::test]
async fn an_authenticator_has_as_long_as_connecting_has() {
    for slow_to_begin in [true, false] {
        let server = Script::start().await;
        let plan = Plan {
            begin: move || {
                if slow_to_begin {
                    never()
                } else {
                    say(Ok(Some("hello".into())))
                }
            },
            answer: |_| never(),
            finish: |_| Ok(()),
        };
        let builder = server.client().authenticator(plan);
        // The server is to have asked by then, on a busy machine too.
        let builder = builder.connect_timeout(Duration::from_secs(2));
        let client = builder.start().unwrap();
        let conn = if slow_to_begin {
            None
        } else {
            let (mut conn, _) = begun(&server).await;
            ask(&mut conn, "more").await;
            Some(conn)
        };
        let error = failed(&client).await;
        assert!(matches!(authentication(&error).error, AuthError::TimedOut));
        assert!(error.is_retryable());
        drop(conn);
    }
}

#[tokio::test]
async fn a_silent_server_is_out_of_time_and_not_the_authenticator() {
    let server = Script::start().await;
    let builder = server.client().authenticator(counting());
    let builder = builder.connect_timeout(Duration::from_secs(1));
    let client = builder.start().unwrap();
    let (conn, _) = begun(&server).await;
    let error = failed(&client).await;
    assert!(
        matches!(error.kind, ConnectErrorKind::Session(_)),
        "{error:?}"
    );
    drop(conn);
}

#[tokio::test]
async fn a_method_in_the_properties_needs_no_authenticator_until_more_is_asked() {
    let server = Script::start().await;
    let builder = || {
        let token = data("t0k3n");
        server
            .client()
            .connect_properties(move |it| it.set_authentication(&method(), Some(&token)))
    };
    let client = builder().start().unwrap();
    let (mut conn, first) = begun(&server).await;
    assert_eq!(first, "t0k3n");
    accept(&mut conn, "whatever").await;
    connected(&client).await;
    drop(client);

    let server_asks = builder().start().unwrap();
    let (mut conn, _) = begun(&server).await;
    ask(&mut conn, "more").await;
    conn.goodbye().await;
    drop(conn);
    let text = closed(&server_asks).await.to_string();
    assert!(text.contains("authentication by TEST"), "{text}");
    assert!(text.contains("give the client an authenticator"), "{text}");
}

#[tokio::test]
async fn a_refusal_is_explained_where_the_method_has_words_for_it() {
    let plan = |finish: fn(Option<Bytes>) -> Result<(), AuthError>| Plan {
        begin: || say(Ok(Some("hello".into()))),
        answer: |_| never(),
        finish,
    };
    let explain = |data: Option<Bytes>| {
        let text = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
        Err(AuthError::Refused(text))
    };
    let server = Script::start().await;
    let client = server.client().authenticator(plan(explain)).start();
    let client = client.unwrap();
    let (mut conn, _) = begun(&server).await;
    let mut properties = ConnAckProperties::default();
    properties.set_authentication(&method(), Some(&data("expired")));
    let refused = ReasonCode::NotAuthorized;
    conn.answer(false, refused, properties.clone()).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(refused));
    assert!(matches!(&authentication(&error).error, AuthError::Refused(why) if why == "expired"));

    let client = server.client().authenticator(plan(|_| Ok(()))).start();
    let client = client.unwrap();
    let (mut conn, _) = begun(&server).await;
    conn.answer(false, refused, properties).await;
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(refused));
    assert!(matches!(error.kind, ConnectErrorKind::Session(_)));
}

#[tokio::test]
async fn a_word_that_mqtt_cannot_carry_is_an_error() {
    let server = Script::start().await;
    let plan = Plan {
        begin: || say(Ok(Some(vec![b'x'; 65_536].into()))),
        answer: |_| never(),
        finish: |_| Ok(()),
    };
    let client = server.client().authenticator(plan).start().unwrap();
    let error = closed(&client).await;
    let text = error.to_string();
    assert!(text.contains("65536 bytes of binary data"), "{text}");
}

struct Nameless;

impl Authenticator for Nameless {
    fn method(&self) -> &'static str {
        "a\0b"
    }

    fn begin(&mut self) -> BoxFuture<'_, Said> {
        never()
    }

    fn answer(&mut self, _: Option<Bytes>) -> BoxFuture<'_, Said> {
        never()
    }

    fn finish(&mut self, _: Option<Bytes>) -> Result<(), AuthError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_method_that_mqtt_cannot_name_is_told_at_once() {
    let client = Client::builder("mqtt://broker.example").authenticator(Nameless);
    let Err(ConfigError::Value { field, .. }) = client.start() else {
        panic!("started");
    };
    assert_eq!(field, "authenticator");
}

#[tokio::test]
async fn no_authentication_data_is_logged() {
    let (log, _guard) = Log::start();
    let server = Script::start().await;
    let plan = Plan {
        begin: || say(Ok(Some("s3cret".into()))),
        answer: |_| say(Ok(Some("s3cret".into()))),
        finish: |_| Ok(()),
    };
    let client = server.client().authenticator(plan).start().unwrap();
    let (mut conn, _) = begun(&server).await;
    ask(&mut conn, "s3cret").await;
    answered(&mut conn).await;
    accept(&mut conn, "s3cret").await;
    connected(&client).await;
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.reauthenticate().await }
    });
    answered(&mut conn).await;
    auth(&mut conn, ReasonCode::Success, "s3cret").await;
    soon(again).await.unwrap().unwrap();
    let text = log.text();
    assert!(text.contains("authenticated again"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
