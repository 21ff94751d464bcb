//! Secrets are planted in what clients say and in what a broker is told, and looked for in everything it writes: the log of all levels,
//! and `Debug` and `Display` of its values and errors.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_broker::{
    AuthStep, BoxFuture, Broker, EnhancedAuthenticate, Exchange, Identity, ListenOptions, Login,
    PasswordFile, User,
};
use ohmqtt_codec::{
    AuthProperties, Binary, Connect, MqttString, Packet, Publish, Qos, ReasonCode, TopicName, Will,
    WillProperties,
};
use ohmqtt_transport::{Connect as _, Connector};
use tokio::time::timeout;

use crate::certs::Authority;
use crate::client::{Client, connect};
use crate::log::Log;
use crate::shown::{SECRET, Shown};

fn binary(text: &str) -> Binary {
    Binary::try_from(text.as_bytes()).unwrap()
}

fn text(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

/// A CONNECT with all the secrets that one takes.
fn login(id: &str, password: &str) -> Connect {
    let mut properties = WillProperties::default();
    properties.set_correlation_data(&binary("hunter2-will-correlation"));
    let mut connect = connect(id);
    connect.user_name = Some(text("alice"));
    connect.password = Some(binary(password));
    connect.will = Some(Will {
        topic: TopicName::new("t").unwrap(),
        payload: binary("hunter2-will"),
        qos: Qos::AtLeastOnce,
        retain: true,
        properties,
    });
    connect
}

fn message() -> Publish {
    let mut publish = Publish::new(TopicName::new("t").unwrap(), "hunter2-payload");
    let properties = &mut publish.properties;
    properties.set_correlation_data(&binary("hunter2-correlation"));
    publish
}

#[tokio::test]
async fn no_secret_of_a_client_is_shown() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let file = PasswordFile::new(&path);
    file.set_user("alice", b"hunter2-password").unwrap();
    shown.debug(&file);
    shown.display(&fs::read_to_string(&path).unwrap());
    // What stands before a host means nothing here, and yet nobody is to see it.
    let builder = Broker::builder().listen("mqtt://eve:hunter2@127.0.0.1:0");
    let builder = builder.passwords(&path);
    shown.debug(&builder);
    let broker = builder.start().await.unwrap();
    let faults = broker.faults();

    let (_, wrong) = Client::connect_with(&broker, login("c", "hunter2-wrong")).await;
    assert_eq!(wrong.reason, ReasonCode::BadUserNameOrPassword);
    let (mut other, _) = Client::connect_with(&broker, login("o", "hunter2-password")).await;
    let (mut client, right) = Client::connect_with(&broker, login("c", "hunter2-password")).await;
    assert_eq!(right.reason, ReasonCode::Success);
    other.subscribe("t", Qos::ExactlyOnce).await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        client.publish_packet(message(), qos).await;
        assert_eq!(other.receive_message().await.payload, "hunter2-payload");
    }
    client.publish_retained("t", "hunter2-retained").await;
    assert_eq!(other.receive_message().await.payload, "hunter2-retained");
    // Against the rules: it connects twice. Its will is published.
    client
        .send(Packet::Connect(login("c", "hunter2-password").into()))
        .await;
    client.expect_disconnect(ReasonCode::ProtocolError).await;
    assert_eq!(other.receive_message().await.payload, "hunter2-will");
    // Against the format: there is no property of that number.
    other.send_bytes(b"\x30\x0b\x00\x01t\x07hunter2").await;
    other.expect_disconnect(ReasonCode::MalformedPacket).await;

    shown.debug(&(&broker, broker.metrics(), &faults, faults.all()));
    shown.debug(&(faults.sent_by("c"), faults.sent_by("o")));
    shown.debug(&login("c", "hunter2"));
    broker.shutdown(Duration::ZERO).await;
    shown.display(&log.text());
    shown.check(&["client connected", "client refused", "malformed", "alice"]);
}

/// Whoever says the secret is let in.
struct Word;

/// Whether it was asked for once more.
struct Asked(bool);

impl EnhancedAuthenticate for Word {
    fn method(&self) -> &'static str {
        "WORD"
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Asked(false))
    }
}

impl Exchange for Asked {
    fn step<'a>(&'a mut self, login: &'a Login, data: Option<Bytes>) -> BoxFuture<'a, AuthStep> {
        let asked = std::mem::replace(&mut self.0, true);
        let user = User::named(&login.client_id);
        let is_right = data.is_some_and(|data| &data[..] == SECRET.as_bytes());
        let data = Some(Bytes::from("hunter2-answer"));
        let step = match (asked, is_right) {
            (false, _) => AuthStep::More { data },
            (true, true) => AuthStep::Accept { user, data },
            (true, false) => AuthStep::Refuse {
                reason: ReasonCode::Banned,
                data,
            },
        };
        tracing::info!(?step, ?login, "as an application may log it");
        Box::pin(async move { step })
    }
}

#[tokio::test]
async fn no_authentication_data_is_shown() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let broker = builder.enhanced(Word).start().await.unwrap();
    broker.faults();
    for (word, want) in [
        (SECRET, ReasonCode::Success),
        ("hunter22", ReasonCode::Banned),
    ] {
        let mut client = Client::open(&broker).await;
        let mut hello = connect("c");
        let (method, data) = (text("WORD"), binary("hunter2-begin"));
        hello.properties.set_authentication(&method, Some(&data));
        client.send(Packet::Connect(hello.into())).await;
        let Packet::Auth(mut auth) = client.receive().await else {
            panic!("no AUTH");
        };
        let asked = auth.properties.authentication_data();
        assert_eq!(asked, Some(&b"hunter2-answer"[..]));
        shown.debug(&auth);
        auth.properties = AuthProperties::default();
        let answer = binary(word);
        auth.properties.set_authentication(&method, Some(&answer));
        client.send(Packet::Auth(auth)).await;
        let Packet::ConnAck(connack) = client.receive().await else {
            panic!("no CONNACK");
        };
        assert_eq!(connack.reason, want);
        shown.debug(&connack);
    }
    shown.debug(&broker.faults().sent_by("c"));
    broker.shutdown(Duration::ZERO).await;
    shown.display(&log.text());
    shown.check(&["as an application", "Banned", "Accept", "client refused"]);
}

/// A password in the place of its hash is a slip that happens.
#[tokio::test]
async fn no_secret_of_a_wrong_file_is_shown() {
    let mut shown = Shown::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    for line in [
        "alice:hunter2",
        "hunter2",
        ":hunter2",
        "alice:$7$hunter2",
        "alice:$7$101$hunter2$hunter2",
        "alice:$6$hunter2$hunter2",
        "alice:$argon2id$v=19$m=hunter2,t=1,p=1$hunter2$hunter2",
        "alice:$argon2id$hunter2",
    ] {
        fs::write(&path, format!("{line}\n")).unwrap();
        let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
        let Err(error) = builder.passwords(&path).start().await else {
            panic!("{line} is taken");
        };
        shown.error(&error);
    }
    let names = PasswordFile::new(&path).set_user("a:b", b"hunter2");
    shown.error(&names.unwrap_err());
    shown.check(&["users:1"]);
}

#[tokio::test]
async fn no_secret_of_an_address_and_no_private_key_is_shown() {
    let (log, _guard) = Log::start();
    let mut shown = Shown::default();
    for url in [
        "mqtt://alice:hunter2@127.0.0.1:99999",
        "mqtt://alice:hunter2@",
        "htp://alice:hunter2@host",
        "ws://alice:hunter2@[::1/mqtt?hunter2",
        "mqtts://alice:hunter2@127.0.0.1:0",
        "mqtt://alice:hunter2@192.0.2.1:0",
    ] {
        let builder = Broker::builder().listen(url);
        shown.debug(&builder);
        let Err(error) = builder.insecure_allow_anonymous().start().await else {
            panic!("{url} is taken");
        };
        shown.error(&error);
    }
    let authority = Authority::new();
    let issued = authority.issue("broker", &["127.0.0.1"]);
    let options = ListenOptions::from(issued.identity());
    shown.debug(&options);
    let builder = Broker::builder().listen_with("mqtts://127.0.0.1:0", options);
    let builder = builder.listen("ws://127.0.0.1:0/mqtt");
    shown.debug(&builder);
    let broker = builder.start().await.unwrap();
    let served = broker.urls()[1].clone();
    for path in ["/mqtt?token=hunter2", "/other?token=hunter2"] {
        let url = served.replace("/mqtt", path);
        let joined = Connector::new().connect(&url.parse().unwrap()).await;
        assert_eq!(joined.is_ok(), path.starts_with("/mqtt"));
        if let Err(error) = joined {
            shown.error(&error);
        }
    }
    shown.debug(&broker);
    let told = async {
        while !log.text().contains("handshake failed") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), told).await.unwrap();
    broker.shutdown(Duration::ZERO).await;
    let torn = issued.key.replace("-----END", "-----ENDE");
    shown.error(&Identity::pem(&issued.certificate, &torn).unwrap_err());
    shown.display(&log.text());
    shown.check(&["Identity", "99999"]);
    let lines = issued.key.lines().filter(|line| !line.starts_with('-'));
    let told = lines.filter(|line| shown.text().contains(*line));
    assert_eq!(told.count(), 0);
}
