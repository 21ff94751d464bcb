//! Secrets are planted wherever a user may have some, and looked for in everything a client writes: the log of all levels, and
//! `Debug` and `Display` of every public value and error.

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{
    AuthError, Authenticator, BoxFuture, Client, ClientBuilder, ConnectionState, Credentials,
    Endpoint, Message, PublishError, Qos, ReasonCode, Will, WillProperties, blocking,
};
use ohmqtt_codec::{
    Auth, AuthProperties, Binary, ConnAckProperties, Delivery, Disconnect, MqttString, Packet,
    PacketId, Publish, TopicName,
};

use crate::support::log::Log;
use crate::support::script::{Conn, Script};
use crate::support::shown::{SECRET, Shown};
use crate::support::{eventually, next, soon};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_looks_for_secrets_finds_them() {
    let find = |value: &dyn Debug| {
        let mut shown = Shown::default();
        shown.debug(value);
        std::panic::catch_unwind(move || shown.check(&[])).is_err()
    };
    assert!(find(&SECRET));
    assert!(find(&SECRET.as_bytes()));
    assert!(find(&Bytes::from_static(SECRET.as_bytes())));
    assert!(!find(&"nothing"));
}

fn binary(text: &str) -> Binary {
    Binary::try_from(text.as_bytes()).unwrap()
}

fn text(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

fn host(script: &Script) -> String {
    script.url().strip_prefix("mqtt://").unwrap().to_owned()
}

/// A client with all the secrets that CONNECT takes.
fn builder(script: &Script) -> ClientBuilder {
    let url = format!("mqtt://alice:hunter2-url@{}", host(script));
    let mut properties = WillProperties::default();
    properties.set_correlation_data(&binary("hunter2-will-correlation"));
    let will = Will {
        topic: TopicName::new("will").unwrap(),
        payload: binary("hunter2-will"),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties,
    };
    Client::builder(url)
        .client_id("c")
        .password("hunter2-password")
        .will(will)
        .outbox(4, 10_000)
        .backoff(Duration::from_millis(1), Duration::from_millis(10))
}

/// The next connection, which has shown that the secrets are what is sent.
async fn connect(script: &Script) -> Conn {
    let (conn, connect) = script.connect().await;
    assert_eq!(connect.password.unwrap().as_bytes(), b"hunter2-password");
    assert_eq!(connect.will.unwrap().payload.as_bytes(), b"hunter2-will");
    conn
}

async fn accept(script: &Script, session_present: bool) -> Conn {
    let mut conn = connect(script).await;
    conn.connack(session_present).await;
    conn
}

/// Turns the next connection away.
async fn turn_away(script: &Script, reason: ReasonCode, properties: ConnAckProperties) {
    let mut conn = connect(script).await;
    conn.answer(false, reason, properties).await;
}

/// A message with secrets in it.
fn publish(client: &Client, qos: Qos) -> ohmqtt_client::Publish<'_> {
    client
        .publish("topic", "hunter2-payload")
        .qos(qos)
        .response_topic("answers")
        .correlation_data("hunter2-correlation")
}

/// The same, sent by the server.
async fn deliver(conn: &mut Conn, qos: Qos, id: u16) {
    let topic = TopicName::new("topic").unwrap();
    let mut publish = Publish::new(topic, "hunter2-delivered");
    let (packet_id, dup) = (PacketId::new(id).unwrap(), false);
    publish.delivery = match qos {
        Qos::AtMostOnce => Delivery::AtMostOnce,
        Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    };
    let properties = &mut publish.properties;
    properties.set_response_topic(&TopicName::new("answers").unwrap());
    properties.set_correlation_data(&binary("hunter2-correlation"));
    conn.send(Packet::Publish(publish)).await;
}

const EACH: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// Messages out and in, taken and refused.
async fn exchange(client: &Client, conn: &mut Conn, shown: &mut Shown) {
    let mut inbox = client.subscribe("topic").manual_ack().send().unwrap();
    shown.debug(&client.subscribe("topic"));
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for qos in EACH {
        let unsent = publish(client, qos);
        shown.debug(&unsent);
        let publication = unsent.send().unwrap();
        shown.debug(&publication);
        let sent = conn.publish().await;
        conn.ack(&sent).await;
        shown.debug(&soon(publication.acked()).await.unwrap());
    }
    for (id, qos) in (1..).zip(EACH) {
        deliver(conn, qos, id).await;
        let message: Message = next(&mut inbox).await;
        shown.debug(&message);
        shown.debug(&message.reply("hunter2-reply"));
        // One of them is dropped without a word.
        if qos == Qos::AtLeastOnce {
            message.ack();
        }
    }
    shown.debug(&inbox);
    shown.debug(&client.unclaimed());
}

/// Each way in which a message is not taken.
fn refuse(client: &Client, shown: &mut Shown) {
    for n in 0..5 {
        match publish(client, Qos::AtLeastOnce).send() {
            Ok(publication) => shown.debug(&publication),
            Err(error) => {
                assert!(n == 4 && matches!(error, PublishError::Full(_)), "{error}");
                shown.error(&error);
                shown.debug(&error.into_message());
            }
        }
    }
    let huge = "hunter2".repeat(10_000);
    for refused in [
        client.publish("topic", huge.clone()).qos(Qos::AtLeastOnce),
        client.publish("topic", "hunter2").correlation_data(huge),
        client.publish("a/#", "hunter2"),
        client.publish("topic", "hunter2").content_type("\0"),
    ] {
        shown.debug(&refused);
        shown.error(&refused.send().unwrap_err());
    }
}

#[tokio::test]
async fn no_secret_is_shown_in_the_life_of_a_client() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let (script, other) = (Script::start().await, Script::start().await);
    let builder = builder(&script);
    shown.debug(&builder);
    let client = builder.start().unwrap();
    let mut events = client.events();
    shown.debug(&(&client, &events, client.watch()));

    // Turned away, then sent elsewhere.
    turn_away(
        &script,
        ReasonCode::ServerBusy,
        ConnAckProperties::default(),
    )
    .await;
    let mut elsewhere = ConnAckProperties::default();
    elsewhere.set_server_reference(&text(&host(&other)));
    turn_away(&script, ReasonCode::UseAnotherServer, elsewhere).await;

    let mut conn = accept(&other, false).await;
    exchange(&client, &mut conn, &mut shown).await;
    shown.debug(&(client.state(), client.metrics()));
    let goodbye = Disconnect::new(ReasonCode::ServerShuttingDown);
    conn.send(Packet::Disconnect(goodbye)).await;
    drop(conn);

    // A connection that breaks a rule, and one that breaks.
    let mut conn = accept(&other, true).await;
    conn.connack(false).await;
    drop(conn);
    drop(accept(&other, true).await);
    refuse(&client, &mut shown);
    let mut conn = accept(&other, false).await;
    for _ in 0..4 {
        conn.publish().await;
    }
    drop(conn);

    // And the end.
    let wrong = ReasonCode::BadUserNameOrPassword;
    for server in [&other, &script] {
        turn_away(server, wrong, ConnAckProperties::default()).await;
    }
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    let state = soon(client.wait_for(closed)).await;
    shown.debug(&state);
    let ConnectionState::Closed { error } = state else {
        panic!("not closed");
    };
    shown.error(&error);
    shown.error(&publish(&client, Qos::AtLeastOnce).send().unwrap_err());
    shown.error(&client.subscribe("topic").send().unwrap_err());
    shown.debug(&soon(client.close(PATIENCE)).await);
    while let Some(event) = soon(events.recv()).await {
        shown.debug(&event);
    }
    shown.debug(&(&client, &events, client.metrics()));

    let text = log.text();
    shown.display(&text);
    shown.check(&[
        "PUBLISH",
        "BadUserNameOrPassword",
        "ServerBusy",
        "not connected",
        "NotAcknowledged",
        "outbox",
    ]);
}

/// A method of which all data is secret.
#[derive(Debug)]
struct Method;

impl Authenticator for Method {
    fn method(&self) -> &'static str {
        "method"
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(async { Ok(Some(Bytes::from_static(b"hunter2-begin"))) })
    }

    fn answer(&mut self, _: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(async { Ok(Some(Bytes::from_static(b"hunter2-answer"))) })
    }

    fn finish(&mut self, _: Option<Bytes>) -> Result<(), AuthError> {
        Ok(())
    }
}

async fn challenge(conn: &mut Conn) {
    let mut properties = AuthProperties::default();
    properties.set_authentication(&text("method"), Some(&binary("hunter2-challenge")));
    let reason = ReasonCode::ContinueAuthentication;
    conn.send(Packet::Auth(Auth { reason, properties })).await;
    let Packet::Auth(auth) = conn.recv().await else {
        panic!("not AUTH");
    };
    let answer = auth.properties.authentication_data().unwrap();
    assert_eq!(answer, b"hunter2-answer");
}

#[tokio::test]
async fn no_authentication_data_and_no_credentials_are_shown() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let script = Script::start().await;
    let credentials = || async { Ok::<_, io::Error>(Credentials::new("alice", "hunter2")) };
    shown.debug(&soon(credentials()).await);
    let builder = script.client().authenticator(Method);
    let builder = builder.credentials(credentials);
    shown.debug(&builder);
    let client = builder.start().unwrap();
    let mut events = client.events();
    let (mut conn, connect) = script.connect().await;
    assert_eq!(connect.password.unwrap().as_bytes(), b"hunter2");
    let sent = connect.properties.authentication_data().unwrap();
    assert_eq!(sent, b"hunter2-begin");
    challenge(&mut conn).await;
    let mut accepted = ConnAckProperties::default();
    accepted.set_authentication(&text("method"), Some(&binary("hunter2-connack")));
    let success = ReasonCode::Success;
    conn.answer(false, success, accepted.clone()).await;
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    shown.debug(&soon(client.wait_for(connected)).await);

    // Once more, and the connection breaks over it.
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.reauthenticate().await }
    });
    assert!(matches!(conn.recv().await, Packet::Auth(_)));
    challenge(&mut conn).await;
    drop(conn);
    shown.error(&soon(again).await.unwrap().unwrap_err());
    let (mut conn, _) = script.connect().await;
    challenge(&mut conn).await;
    let banned = ReasonCode::Banned;
    conn.answer(false, banned, accepted).await;
    while let Some(event) = soon(events.recv()).await {
        shown.debug(&event);
    }
    shown.debug(&(&client, client.state()));
    shown.display(&log.text());
    shown.check(&["Connected", "Banned", "<hidden>"]);
}

#[tokio::test]
async fn no_secret_is_shown_by_callbacks() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("topic").await;
    let mut events = client.events();
    let callback = inbox.on_message(|_| panic!("as planned")).unwrap();
    deliver(&mut conn, Qos::AtLeastOnce, 1).await;
    shown.debug(&soon(events.recv()).await);
    shown.debug(&(&callback, &client));
    drop(callback);
    conn.puback(1).await;
    shown.display(&log.text());
    shown.check(&["CallbackPanicked", "as planned"]);
}

#[tokio::test]
async fn no_secret_is_shown_by_the_blocking_client() {
    let script = Script::start().await;
    let builder = builder(&script);
    let (connected, is_connected) = std::sync::mpsc::channel();
    let act = tokio::task::spawn_blocking(move || {
        let mut shown = Shown::default();
        let client = blocking::Client::start(builder).unwrap();
        let inbox = client.subscribe("topic").declare().unwrap();
        shown.debug(&(&client, &inbox, client.events()));
        let publish = client.publish("topic", "hunter2").qos(Qos::AtLeastOnce);
        shown.debug(&publish);
        shown.debug(&publish.try_send().unwrap());
        shown.debug(&client.subscribe("topic"));
        // What is closed before it has connected has nothing to say.
        is_connected.recv().unwrap();
        client.close(Duration::ZERO);
        shown
    });
    let conn = connect(&script).await;
    connected.send(()).unwrap();
    drop(conn);
    let shown = soon(act).await.unwrap();
    shown.check(&["Publication", "Subscription"]);
}

/// A wrong URL is shown in part, and its password is not that part, whatever is wrong.
#[tokio::test]
async fn no_secret_of_a_wrong_url_is_shown() {
    let mut shown = Shown::default();
    for url in [
        "mqtt://alice:hunter2@host:99999",
        "mqtt://alice:hunter2@host:port",
        "mqtt://alice:hunter2@",
        "mqtt://alice:hunter2@ho st",
        "mqtt://alice:hunter2@[::1",
        "mqtt://alice:hunter2@host/path",
        "mqtt://alice:hunter2@host?query",
        "mqtt://alice:hunter2%zz@host",
        "mqtt://alice:hunter2/@host",
        "mqtt://alice:hunter2#@host",
        "mqtt://alice:hunter2@@host:1:2",
        "mqtt://ali:ce:hunter2@host:",
        "mqtt:/alice:hunter2@host",
        "alice:hunter2@host:",
        "htp://alice:hunter2@host",
        "unix:alice:hunter2@host",
        "ws://alice:hunter2@host:x/path",
        "mqtts://alice:hunter2@:8883",
    ] {
        let parsed = url.parse::<Endpoint>();
        shown.debug(&parsed);
        match &parsed {
            Ok(endpoint) => shown.display(endpoint),
            Err(error) => shown.error(error),
        }
        shown.debug(&Client::builder(url));
        if let Err(error) = Client::builder(url).start() {
            shown.error(&error);
        }
        let good = Client::builder("mqtt://host").or(url);
        shown.debug(&good);
    }
    let twice = Client::builder("mqtt://a:hunter2@host").or("mqtt://b:hunter22@host");
    shown.error(&twice.start().unwrap_err());
    let long = Client::builder("mqtt://host").password("hunter2".repeat(10_000));
    shown.error(&long.start().unwrap_err());
    shown.check(&["99999", "htp"]);
}

#[cfg(all(feature = "http-proxy", feature = "socks5"))]
#[tokio::test]
async fn no_secret_of_a_proxy_is_shown() {
    use crate::support::proxy::{Does, http, socks5};

    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let script = Script::start().await;
    let no = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_vec();
    let (refuses, _) = http(Does::Says(no)).await;
    let (strict, _) = socks5(Some(("alice", "other")), Does::LeadsTo(host(&script))).await;
    let credentials = Some(("alice", "hunter2"));
    let (leads, _) = socks5(credentials, Does::LeadsTo(host(&script))).await;
    for url in [
        format!("http://alice:hunter2@{refuses}"),
        format!("socks5://alice:hunter2@{strict}"),
    ] {
        let proxy: ohmqtt_client::Proxy = url.parse().unwrap();
        shown.debug(&proxy);
        let client = script.client().proxy(proxy);
        shown.debug(&client);
        shown.error(&soon(client.connect()).await.unwrap_err());
    }
    let proxy = format!("socks5://alice:hunter2@{leads}");
    let client = script.client().proxy(proxy.parse().unwrap());
    let (client, _conn) = script.pair_of(client).await;
    shown.debug(&client);
    for url in [
        "http://alice:hunter2@host:99999",
        "ftp://alice:hunter2@host",
        "socks5://alice:hunter2@",
        "socks5://alice:hunter2@host/path",
    ] {
        shown.error(&url.parse::<ohmqtt_client::Proxy>().unwrap_err());
    }
    shown.display(&log.text());
    shown.check(&["Proxy", "407", "connecting"]);
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn no_secret_of_a_websocket_is_shown() {
    use ohmqtt_broker::Broker;
    use ohmqtt_client::WsOptions;

    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let broker = Broker::builder().listen("ws://127.0.0.1:0");
    let broker = broker.start().await.unwrap();
    let options = WsOptions::new();
    let options = options.header("Authorization", "Bearer hunter2").unwrap();
    shown.debug(&options);
    let wrong = WsOptions::new().header("Authorization", "hunter2\r\n");
    shown.error(&wrong.unwrap_err());
    // A token in the address, as brokers in clouds have them.
    let url = format!("{}/mqtt?token=hunter2", broker.url());
    shown.debug(&url.parse::<Endpoint>());
    let client = Client::builder(url.as_str()).websocket(options);
    shown.debug(&client);
    let client = soon(client.connect()).await.unwrap();
    soon(publish(&client, Qos::ExactlyOnce)).await.unwrap();
    shown.debug(&(&client, client.state()));
    soon(client.close(PATIENCE)).await;
    soon(broker.shutdown(Duration::ZERO)).await;
    shown.error(&soon(Client::connect(url.as_str())).await.unwrap_err());
    shown.display(&log.text());
    shown.check(&["WsOptions", "connecting"]);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn no_private_key_is_shown() {
    use ohmqtt_broker::Broker;
    use ohmqtt_client::Identity;

    use crate::support::certs::Authority;

    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let authority = Authority::new();
    let server = authority.issue("broker", &["127.0.0.1"]).identity();
    let broker = Broker::builder().listen_with("mqtts://127.0.0.1:0", server);
    let broker = broker.start().await.unwrap();
    let client = authority.issue("client", &[]);
    let (chain, key) = (client.certificate.as_str(), client.key.as_str());
    let identity = client.identity();
    shown.debug(&identity);
    let options = authority.trusted().identity(identity);
    shown.debug(&options);
    let builder = Client::builder(broker.url()).tls(options);
    shown.debug(&builder);
    let client = soon(builder.connect()).await.unwrap();
    soon(publish(&client, Qos::ExactlyOnce)).await.unwrap();
    soon(client.close(PATIENCE)).await;
    // A key that is none, and one of somebody else.
    let torn = key.replace("-----END", "-----ENDE");
    shown.error(&Identity::pem(chain, &torn).unwrap_err());
    shown.error(&Identity::pem(key, key).unwrap_err());
    shown.display(&log.text());
    shown.check(&["Identity", "connecting"]);
    let lines = key.lines().filter(|line| !line.starts_with('-'));
    let mut compared = 0;
    for line in lines {
        compared += 1;
        assert!(!shown.text().contains(line), "{line}");
    }
    assert!(compared > 1, "{}", key.len());
}

/// A server's reference to another one may be a URL with credentials in it. They are the server's, and yet nothing for a log.
#[tokio::test]
async fn no_secret_of_a_reference_is_logged() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut conn = script.stream().await;
    conn.connect().await;
    let mut properties = ConnAckProperties::default();
    let reference = text("unix:/alice:hunter2@host gopher://alice:hunter2@host");
    properties.set_server_reference(&reference);
    conn.answer(false, ReasonCode::UseAnotherServer, properties)
        .await;
    eventually(|| matches!(client.state(), ConnectionState::Closed { .. })).await;
    shown.display(&log.text());
    shown.check(&["not followed"]);
}
