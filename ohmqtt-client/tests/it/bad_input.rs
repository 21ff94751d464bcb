//! What is wrong from outside, a wrong URL to a broker that speaks garbage: each a typed error that names the address or the value
//! and says what to do. Nothing panics, nothing hangs.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, ConfigError, Connect, ConnectErrorKind, ConnectFailed, ConnectionState,
    DisconnectCause, Endpoint, LostMessage, PublishError, Qos, ReasonCode, SubscribeError,
    Transport, TransportError, WaitError, blocking,
};

use tokio::runtime::Runtime;

use crate::support::{accepted, soon};

/// The error of a client that does not connect, and its message.
async fn fails(client: ClientBuilder) -> (ConnectFailed, String) {
    let error = soon(client.connect()).await.expect_err("no connection");
    let message = error.to_string();
    (error, message)
}

/// Why the attempt failed.
fn kind(error: &ConnectFailed) -> &ConnectErrorKind {
    match error {
        ConnectFailed::Connect(error) => &error.kind,
        other => panic!("{other:?}"),
    }
}

/// A server that does this to each connection it takes.
fn serve(mut act: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(&mut act));
    url
}

/// A server that writes these bytes and then only listens.
fn answering(bytes: &'static [u8]) -> String {
    serve(move |mut stream| {
        thread::spawn(move || {
            stream.write_all(bytes).unwrap();
            std::io::copy(&mut stream, &mut std::io::sink())
        });
    })
}

#[tokio::test]
async fn a_wrong_url_is_told_with_the_part_that_is_wrong() {
    for (url, part) in [
        ("htp://broker.example", "`htp`"),
        ("mqtt://", "no host"),
        ("mqtt://broker.example:99999", "`99999`"),
        ("mqtt://broker.example:one", "`one`"),
        ("mqtt://two words", "host"),
        ("mqtt://broker.example/path", "`/path`"),
        ("mqtt://user:sec%ret@broker.example", "not shown"),
        ("", "no host"),
    ] {
        let (error, message) = fails(Client::builder(url)).await;
        assert!(
            matches!(error, ConnectFailed::Config(ConfigError::Url(_))),
            "{url}: {error:?}"
        );
        assert!(message.contains(part), "{url}: {message}");
        assert!(!message.contains("sec%ret"), "{message}");
        assert!(message.contains("; "), "no advice: {message}");
    }
}

#[cfg(not(feature = "quic"))]
#[tokio::test]
async fn a_scheme_this_build_does_not_carry_is_told_with_the_feature_that_does() {
    let (error, message) = fails(Client::builder("quic://127.0.0.1:14567")).await;
    assert!(matches!(kind(&error), ConnectErrorKind::Transport(_)));
    assert_eq!(
        message,
        "connect quic://127.0.0.1:14567: not supported by this build; enable the cargo feature `quic`"
    );
    // No attempt will go better, so a client in the background gives up too.
    let client = Client::builder("quic://127.0.0.1:14567").start().unwrap();
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    soon(client.wait_for(closed)).await;
}

#[tokio::test]
async fn a_setting_that_does_not_fit_is_told_by_its_name() {
    let url = "mqtt://127.0.0.1:1";
    for (builder, field) in [
        (Client::builder(url).client_id("a\0b"), "client_id"),
        (Client::builder(url).user_name("\0"), "user_name"),
        (Client::builder(url).password(vec![0; 65_536]), "password"),
        (Client::builder(url).receive_maximum(0), "receive_maximum"),
        (Client::builder(url).max_packet_size(0), "max_packet_size"),
    ] {
        let (error, message) = fails(builder).await;
        let ConnectFailed::Config(ConfigError::Value { field: told, .. }) = error else {
            panic!("{field}: {error:?}");
        };
        assert_eq!(told, field);
        assert!(message.starts_with(field), "{message}");
    }
}

#[test]
fn a_client_outside_a_runtime_is_told_to_use_the_blocking_one() {
    let error = Client::builder("mqtt://127.0.0.1:1").start().unwrap_err();
    assert!(matches!(error, ConfigError::NoRuntime));
    assert!(error.to_string().contains("blocking"));
}

#[tokio::test]
async fn a_refused_connection_is_told_with_the_address() {
    let (error, message) = fails(Client::builder(nowhere())).await;
    assert!(matches!(kind(&error), ConnectErrorKind::Transport(_)));
    assert!(message.contains("refused; is a broker listening there?"));
    assert_eq!(message.matches("mqtt://127.0.0.1:").count(), 1, "{message}");
}

#[tokio::test]
async fn a_client_in_the_background_says_why_it_is_not_connected_and_closes_when_told() {
    let client = Client::builder(nowhere()).start().unwrap();
    let failed = |state: &ConnectionState| {
        matches!(state, ConnectionState::Connecting { last_error: Some(error), .. }
            if error.to_string().contains("refused"))
    };
    soon(client.wait_for(failed)).await;
    soon(client.close(Duration::ZERO)).await;
}

/// An address of this machine at which nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("mqtt://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn bytes_that_are_no_mqtt_are_told_as_such() {
    let answers: [&[u8]; 9] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff",
        // CONNACK of MQTT 3.1.1: accepted, and unacceptable version.
        b"\x20\x02\x00\x00",
        b"\x20\x02\x00\x01",
        // A CONNACK with a reason code that is none, and one of the longest length there is.
        b"\x20\x03\x00\x42\x00",
        b"\x20\xff\xff\xff\x7f",
    ];
    for bytes in answers {
        let url = answering(bytes);
        let (error, message) = fails(Client::builder(&url)).await;
        let ConnectErrorKind::NotMqtt(_) = kind(&error) else {
            panic!("{bytes:02x?}: {error:?}");
        };
        assert!(message.contains(&url), "{message}");
        assert!(message.contains("is it an MQTT 5.0 broker?"), "{message}");
    }
}

#[tokio::test]
async fn packets_that_may_not_come_first_are_told_as_such() {
    let answers: [(&[u8], &str); 4] = [
        (b"\xd0\x00", "PINGRESP"),
        (b"\x30\x04\x00\x01a\x00", "PUBLISH"),
        (b"\xe0\x00", "DISCONNECT"),
        (
            b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00",
            "CONNECT",
        ),
    ];
    for (bytes, packet) in answers {
        let (error, message) = fails(Client::builder(answering(bytes))).await;
        assert!(
            matches!(kind(&error), ConnectErrorKind::NotMqtt(_)),
            "{packet}: {error:?}"
        );
        assert!(message.contains(packet), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_later_is_left_and_the_reason_kept() {
    // CONNACK, then another CONNACK.
    let url = answering(b"\x20\x03\x00\x00\x00\x20\x03\x00\x00\x00");
    let client = Client::builder(&url).start().unwrap();
    let left = |state: &ConnectionState| {
        matches!(state, ConnectionState::Connecting { last_error: Some(error), .. }
            if error.to_string().contains("CONNACK"))
    };
    soon(client.wait_for(left)).await;
    soon(client.close(Duration::ZERO)).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_the_time_given() {
    let url = answering(b"");
    // Long enough to connect and say CONNECT on a busy machine.
    let patience = Duration::from_secs(1);
    let (error, message) = fails(Client::builder(&url).connect_timeout(patience)).await;
    assert!(
        matches!(
            kind(&error),
            ConnectErrorKind::Session(DisconnectCause::ConnectTimeout)
        ),
        "{error:?}"
    );
    assert!(message.contains(&url), "{message}");
    assert!(message.contains("; is "), "no advice: {message}");
}

#[tokio::test]
async fn a_stream_that_never_stands_is_given_up_in_the_time_given() {
    let builder = Client::builder("mqtt://127.0.0.1:1")
        .connector(Never)
        .connect_timeout(Duration::from_millis(100));
    let (error, message) = fails(builder).await;
    assert!(
        matches!(kind(&error), ConnectErrorKind::TimedOut),
        "{error:?}"
    );
    assert!(
        message.starts_with("connect mqtt://127.0.0.1:1: "),
        "{message}"
    );
}

/// Connects for ever.
struct Never;

impl Connect for Never {
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, TransportError>> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_told_with_the_address() {
    let (at_once, midway) = (
        serve(drop),
        serve(|mut stream| {
            // CONNECT is read, so that the end comes in order; half a CONNACK.
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"\x20\x03\x00").unwrap();
        }),
    );
    for url in [at_once, midway] {
        let (error, message) = fails(Client::builder(&url)).await;
        assert!(
            matches!(
                kind(&error),
                ConnectErrorKind::Session(DisconnectCause::StreamEnded)
                    | ConnectErrorKind::Stream(_)
            ),
            "{error:?}"
        );
        assert!(message.contains(&url), "{message}");
        assert!(message.contains("is it an MQTT 5.0 broker"), "{message}");
    }
}

#[tokio::test]
async fn a_topic_that_is_none_is_told_with_the_topic() {
    let client = Client::builder(nowhere()).start().unwrap();
    let long = "a".repeat(65_536);
    for (topic, part) in [
        ("rooms/+/light", "rooms/+/light"),
        ("rooms/#", "rooms/#"),
        ("", "empty"),
        ("a\0b", "U+0000"),
        (&long, "65535"),
    ] {
        let error = client.publish(topic, "").send().unwrap_err();
        assert!(matches!(error, PublishError::Topic(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        let error = soon(client.publish(topic, "")).await.unwrap_err();
        assert!(matches!(error, PublishError::Topic(_)), "{error:?}");
    }
    let error = client
        .publish("a", "")
        .response_topic("b/#")
        .send()
        .unwrap_err();
    assert!(error.to_string().contains("response topic"), "{error}");
    assert!(error.to_string().contains("b/#"), "{error}");
}

#[tokio::test]
async fn a_filter_that_is_none_is_told_with_the_filter() {
    let client = Client::builder(nowhere()).start().unwrap();
    for filter in [
        "",
        "a/#/b",
        "a+",
        "#a",
        "$share//a",
        "$share/g",
        "$share/g+/a",
    ] {
        let error = client.subscribe(filter).send().unwrap_err();
        assert!(matches!(error, SubscribeError::Filter(_)), "{error:?}");
        assert!(error.to_string().contains(filter), "{error}");
        // Among good ones too.
        let error = client.subscribe("good").and(filter).send().unwrap_err();
        assert!(error.to_string().contains(filter), "{error}");
    }
    let shared = client.subscribe("$share/g/a").no_local(true).send();
    assert!(
        matches!(shared, Err(SubscribeError::Filter(_))),
        "{shared:?}"
    );
}

#[tokio::test]
async fn a_message_larger_than_the_outbox_is_given_back() {
    let client = Client::builder(nowhere()).outbox(10, 1000).start().unwrap();
    let error = soon(client.publish("a", vec![0; 1000]).qos(Qos::AtLeastOnce))
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::Refused(_)), "{error:?}");
    assert!(
        error.to_string().contains("the outbox holds 1000"),
        "{error}"
    );
    assert_eq!(error.into_message().unwrap().payload.len(), 1000);
}

#[test]
fn a_client_whose_runtime_is_shut_down_is_closed() {
    let runtime = Runtime::new().unwrap();
    // CONNACK, and no answer to anything else.
    let url = answering(b"\x20\x03\x00\x00\x00");
    let client = runtime.block_on(soon(Client::connect(url))).unwrap();
    let sent = accepted(&client, "a", "", Qos::AtLeastOnce);
    runtime.shutdown_background();
    let patience = Duration::from_secs(20);
    let lost = WaitError::Lost(LostMessage::Closed);
    assert_eq!(sent.wait_acked(patience), Err(lost));
    let error = client.publish("a", "").send().unwrap_err();
    assert!(matches!(error, PublishError::Closed(_)), "{error:?}");
}

#[test]
fn the_blocking_client_gives_the_same_errors() {
    let failed = blocking::Client::connect("htp://x").unwrap_err();
    assert!(matches!(failed, ConnectFailed::Config(_)), "{failed:?}");
    let failed = blocking::Client::connect(nowhere()).unwrap_err();
    assert!(failed.to_string().contains("refused"), "{failed}");
    let failed = blocking::Client::connect(answering(b"SSH-2.0\r\n")).unwrap_err();
    assert!(failed.to_string().contains("MQTT 5.0"), "{failed}");
    let failed = blocking::Client::connect(serve(drop)).unwrap_err();
    assert!(matches!(failed, ConnectFailed::Connect(_)), "{failed:?}");
}

#[cfg(unix)]
mod credentials {
    //! Through a Mosquitto that asks for a password.

    use super::*;
    use crate::support::mosquitto::Mosquitto;

    /// Of alice, whose password is `open sesame`.
    const PASSWORDS: &str = "alice:$7$101$pzM/f7tFdx71Dod6$zbSTL8CWn7I5sruNG2D2EI5uyV0CLc1vfsUo2GkkiOv5nDrMd2IG5NbnYN9IS77eypeWkrKLzPCgq4apKno51Q==\n";

    fn broker() -> Mosquitto {
        Mosquitto::with_files(
            &[("passwords", PASSWORDS)],
            &["allow_anonymous false", "password_file {folder}/passwords"],
        )
    }

    #[tokio::test]
    async fn bad_credentials_are_told_with_the_address_and_not_tried_again() {
        let broker = broker();
        let authority = format!("127.0.0.1:{}", broker.port());
        for user in ["", "alice@", "alice:open%20barley@", "bob:open%20sesame@"] {
            let url = format!("mqtt://{user}{authority}");
            let (error, message) = fails(Client::builder(&url)).await;
            let ConnectFailed::Connect(error) = error else {
                panic!("{error:?}");
            };
            assert_eq!(
                error.reason_code(),
                Some(ReasonCode::NotAuthorized),
                "{user}"
            );
            assert!(!error.is_retryable());
            assert!(message.contains(&authority), "{message}");
            assert!(
                message.contains("check user name and password"),
                "{message}"
            );
            assert!(
                !message.contains("open") && !message.contains("bob"),
                "{message}"
            );

            let client = Client::builder(&url).start().unwrap();
            let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
            soon(client.wait_for(closed)).await;
            let error = soon(client.publish("a", "")).await.unwrap_err();
            assert!(matches!(error, PublishError::Closed(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn good_credentials_open_the_door_from_the_url_or_the_builder() {
        let broker = broker();
        let url = format!("mqtt://alice:open%20sesame@127.0.0.1:{}", broker.port());
        soon(Client::connect(&url)).await.unwrap();
        let builder = broker
            .client("alice")
            .user_name("alice")
            .password("open sesame");
        soon(builder.connect()).await.unwrap();
    }
}
