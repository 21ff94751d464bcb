//! Who is let in, and as whom.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_broker::{
    Action, AuthStep, Authenticate, Authorize, BoxFuture, Broker, Durability, EnhancedAuthenticate,
    Exchange, Limits, Login, MemoryStore, Principal, StartError, User,
};
use ohmqtt_codec::{Auth, AuthProperties, Binary, Connect, MqttString, Packet, Qos, ReasonCode};

use super::{Denied, builder, check, login};
use crate::client::{Client, connect, resuming};
use crate::log::Log;

/// Knows "s3cret", never answers about "slow", and keeps what it was told.
#[derive(Clone, Default)]
struct Door(Arc<Mutex<Vec<Login>>>);

impl Authenticate for Door {
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
        Box::pin(async move {
            self.0.lock().unwrap().push(login.clone());
            tokio::task::yield_now().await;
            match (login.user_name.as_deref(), login.password.as_deref()) {
                (Some("slow"), _) => std::future::pending().await,
                (Some("banned"), _) => Err(ReasonCode::Banned),
                (Some(name), Some(b"s3cret")) => Ok(User::named(name)),
                _ => Err(ReasonCode::BadUserNameOrPassword),
            }
        })
    }
}

/// A door, and rules about users: each publishes and gets what has its name.
struct Names;

impl Authorize for Names {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        match action {
            Action::Publish { topic, .. } | Action::Deliver { topic } => {
                who.user.name() == Some(topic)
            }
            _ => true,
        }
    }
}

#[tokio::test]
async fn a_client_is_who_the_authenticator_says_it_is() {
    let door = Door::default();
    let builder = builder().authenticate(door.clone()).authorize(Names);
    let broker = builder.start().await.unwrap();
    let (mut client, connack) = Client::connect_with(&broker, login("c", "alice", "s3cret")).await;
    assert_eq!(connack.reason, ReasonCode::Success);
    for (topic, want) in [
        ("alice", ReasonCode::NoMatchingSubscribers),
        ("bob", ReasonCode::NotAuthorized),
    ] {
        assert_eq!(client.publish(topic, "x", Qos::AtLeastOnce).await, want);
    }
    let told = door.0.lock().unwrap().pop().unwrap();
    assert_eq!(told.client_id, "c");
    assert_eq!(told.user_name.as_deref(), Some("alice"));
    assert_eq!(told.password.as_deref(), Some(&b"s3cret"[..]));
    assert_eq!(&*told.listener, broker.url());
    assert!(told.peer.address.is_loopback());
}

/// [MQTT-3.1.4-2] [MQTT-3.2.2-7] CONNACK has the reason that was given, and the connection ends.
#[tokio::test]
async fn who_is_not_known_is_refused_with_the_reason_given() {
    let broker = builder()
        .authenticate(Door::default())
        .start()
        .await
        .unwrap();
    let bad = ReasonCode::BadUserNameOrPassword;
    check(&broker, login("c", "alice", "secret"), bad).await;
    check(&broker, login("c", "banned", "s3cret"), ReasonCode::Banned).await;
    check(&broker, connect("c"), bad).await;
    check(&broker, login("c", "alice", "s3cret"), ReasonCode::Success).await;
}

#[tokio::test]
async fn one_who_is_asked_about_for_long_delays_nobody_and_is_refused_in_time() {
    let mut limits = Limits::default();
    limits.connect_timeout = Duration::from_secs(3);
    let builder = builder().authenticate(Door::default()).limits(limits);
    let broker = builder.start().await.unwrap();
    let mut slow = Client::open(&broker).await;
    let connect = login("slow", "slow", "s3cret");
    slow.send(Packet::Connect(connect.into())).await;
    check(&broker, login("c", "alice", "s3cret"), ReasonCode::Success).await;
    let Packet::ConnAck(connack) = slow.receive().await else {
        panic!("no CONNACK");
    };
    assert_eq!(connack.reason, ReasonCode::ServerUnavailable);
    slow.expect_end().await;
}

#[tokio::test]
async fn who_asks_listens_anywhere_and_who_does_not_refuses_to() {
    let anywhere = || Broker::builder().listen("mqtt://0.0.0.0:0");
    let Err(error) = anywhere().start().await else {
        panic!("listens");
    };
    assert!(matches!(error, StartError::AnonymousBeyondLoopback { .. }));
    assert!(
        error.to_string().contains("insecure_allow_anonymous()"),
        "{error}"
    );
    let asking = [
        anywhere().authenticate(Door::default()),
        anywhere().enhanced(Word),
        anywhere().certificate_users(),
        anywhere().insecure_allow_anonymous(),
    ];
    for builder in asking {
        let broker = builder.start().await.unwrap();
        broker.shutdown(Duration::ZERO).await;
    }
    assert!(anywhere().authorize(Names).start().await.is_err());
}

#[tokio::test]
async fn anonymous_clients_are_let_in_beside_an_authenticator_when_that_is_said() {
    let builder = builder().authenticate(Door::default());
    let broker = builder.insecure_allow_anonymous().start().await.unwrap();
    check(&broker, connect("c"), ReasonCode::Success).await;
    let bad = ReasonCode::BadUserNameOrPassword;
    check(&broker, login("c", "alice", "secret"), bad).await;
    let mut named = connect("c");
    named.user_name = Some(MqttString::try_from("alice").unwrap());
    check(&broker, named, bad).await;
}

/// Where nobody verifies it, a user name is no user.
#[tokio::test]
async fn a_name_that_nobody_verified_gives_no_rights() {
    let broker = builder().authorize(Names).start().await.unwrap();
    let (mut client, _) = Client::connect_with(&broker, login("c", "alice", "x")).await;
    let reason = client.publish("alice", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NotAuthorized);
}

fn keeping(user: &str) -> Connect {
    let mut connect = login("c", user, "s3cret");
    let resuming = resuming("c", 100);
    (connect.clean_start, connect.properties) = (false, resuming.properties);
    connect
}

#[tokio::test]
async fn a_session_is_its_users_and_nobody_else_takes_it() {
    let broker = builder()
        .authenticate(Door::default())
        .start()
        .await
        .unwrap();
    let (client, _) = Client::connect_with(&broker, keeping("alice")).await;
    let stolen = login("c", "mallory", "s3cret");
    check(&broker, stolen.clone(), ReasonCode::NotAuthorized).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    check(&broker, stolen, ReasonCode::NotAuthorized).await;
    check(&broker, keeping("mallory"), ReasonCode::NotAuthorized).await;
    let (_, connack) = Client::connect_with(&broker, keeping("alice")).await;
    assert!(connack.session_present);
}

#[tokio::test]
async fn no_password_is_logged() {
    let (log, _guard) = Log::start();
    let builder = builder().authenticate(Door::default());
    assert!(!format!("{builder:?}").contains("s3cret"));
    let broker = builder.start().await.unwrap();
    check(&broker, login("c", "alice", "s3cret"), ReasonCode::Success).await;
    let bad = ReasonCode::BadUserNameOrPassword;
    check(&broker, login("c", "alice", "s3cret2"), bad).await;
    let log = log.text();
    assert!(
        log.contains("client connected") && log.contains("client refused"),
        "{log}"
    );
    assert!(log.contains("alice"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

/// The client's word is its user, after one question.
struct Word;

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
        assert_eq!(login.client_id, "c");
        let asked = std::mem::replace(&mut self.0, true);
        let word = String::from_utf8(data.unwrap_or_default().to_vec()).unwrap();
        let data = Some(Bytes::from(format!("{word}?")));
        let step = match word.as_str() {
            _ if !asked => AuthStep::More { data },
            "huge" => AuthStep::More {
                data: Some(vec![0; 65_536].into()),
            },
            "nobody" => AuthStep::Refuse {
                reason: ReasonCode::Banned,
                data,
            },
            name => AuthStep::Accept {
                user: User::named(name),
                data,
            },
        };
        Box::pin(std::future::ready(step))
    }
}

fn data(text: &str) -> Binary {
    Binary::try_from(text.as_bytes()).unwrap()
}

fn auth(reason: ReasonCode, text: &str) -> Packet {
    let mut properties = AuthProperties::default();
    let method = MqttString::try_from("WORD").unwrap();
    properties.set_authentication(&method, Some(&data(text)));
    Packet::Auth(Auth { reason, properties })
}

const CONTINUE: ReasonCode = ReasonCode::ContinueAuthentication;

/// Connects, and answers the question with this word: the answer to that.
async fn say(broker: &Broker, word: &str) -> (Client, Packet) {
    let mut client = Client::open(broker).await;
    let mut connect = connect("c");
    let method = MqttString::try_from("WORD").unwrap();
    let properties = &mut connect.properties;
    properties.set_authentication(&method, Some(&data("hello")));
    client.send(Packet::Connect(connect.into())).await;
    assert_eq!(client.receive().await, auth(CONTINUE, "hello?"));
    client.send(auth(CONTINUE, word)).await;
    let answer = client.receive().await;
    (client, answer)
}

fn said(packet: &Packet) -> (ReasonCode, Option<&str>) {
    let Packet::ConnAck(connack) = packet else {
        panic!("{packet:?}");
    };
    let data = connack.properties.authentication_data();
    (
        connack.reason,
        data.map(|data| std::str::from_utf8(data).unwrap()),
    )
}

/// [MQTT-4.12.0-2] The AUTH that asks for more has 0x18, [MQTT-4.12.0-3] and the client's answer is taken. [MQTT-4.12.0-5] Each names the
/// method.
#[tokio::test]
async fn a_method_asks_for_more_and_says_who_it_is() {
    let broker = builder()
        .enhanced(Word)
        .authorize(Names)
        .start()
        .await
        .unwrap();
    let (mut client, answer) = say(&broker, "alice").await;
    assert_eq!(said(&answer), (ReasonCode::Success, Some("alice?")));
    for (topic, want) in [
        ("alice", ReasonCode::NoMatchingSubscribers),
        ("bob", ReasonCode::NotAuthorized),
    ] {
        assert_eq!(client.publish(topic, "x", Qos::AtLeastOnce).await, want);
    }
}

/// [MQTT-4.12.0-4] The connection ends with the CONNACK that refuses.
#[tokio::test]
async fn a_method_that_refuses_ends_the_connection() {
    let broker = builder().enhanced(Word).start().await.unwrap();
    let (mut client, answer) = say(&broker, "nobody").await;
    assert_eq!(said(&answer), (ReasonCode::Banned, Some("nobody?")));
    client.expect_end().await;
    let (mut client, answer) = say(&broker, "huge").await;
    assert_eq!(said(&answer).0, ReasonCode::ImplementationSpecificError);
    client.expect_end().await;
    check(&broker, connect("c"), ReasonCode::NotAuthorized).await;
}

/// [MQTT-4.12.1-1] The same method again, and AUTH with Success says that it is the same user still.
#[tokio::test]
async fn a_client_authenticates_itself_again_while_messages_flow() {
    let broker = builder().enhanced(Word).start().await.unwrap();
    let (mut client, _) = say(&broker, "alice").await;
    for _ in 0..2 {
        client.send(auth(ReasonCode::ReAuthenticate, "again")).await;
        assert_eq!(client.receive().await, auth(CONTINUE, "again?"));
        client.publish("t", "x", Qos::AtLeastOnce).await;
        client.send(auth(CONTINUE, "alice")).await;
        assert_eq!(client.receive().await, auth(ReasonCode::Success, "alice?"));
    }
    client.expect_nothing().await;
}

/// [MQTT-4.12.1-2] Who fails to authenticate again, or becomes another, is disconnected.
#[tokio::test]
async fn who_is_another_the_second_time_is_disconnected() {
    let broker = builder().enhanced(Word).start().await.unwrap();
    for word in ["bob", "nobody", "huge"] {
        let (mut client, _) = say(&broker, "alice").await;
        client.send(auth(ReasonCode::ReAuthenticate, "again")).await;
        assert_eq!(client.receive().await, auth(CONTINUE, "again?"));
        client.send(auth(CONTINUE, word)).await;
        client.expect_disconnect(ReasonCode::NotAuthorized).await;
    }
}

#[tokio::test]
async fn who_begins_to_authenticate_again_and_does_not_end_is_disconnected_in_time() {
    let mut limits = Limits::default();
    limits.connect_timeout = Duration::from_secs(3);
    let broker = builder()
        .enhanced(Word)
        .limits(limits)
        .start()
        .await
        .unwrap();
    let (mut client, _) = say(&broker, "alice").await;
    client.send(auth(ReasonCode::ReAuthenticate, "again")).await;
    assert_eq!(client.receive().await, auth(CONTINUE, "again?"));
    client.expect_disconnect(ReasonCode::NotAuthorized).await;
}

/// What is kept in a store has its owner behind it: a session its user, a retained message its publisher.
#[tokio::test]
async fn users_are_known_again_after_a_restart() {
    let store = MemoryStore::default();
    let start = || {
        let builder = builder().store(store.clone(), Durability::Safe);
        builder.authenticate(Door::default()).authorize(Names)
    };
    let broker = start().start().await.unwrap();
    let (mut client, _) = Client::connect_with(&broker, keeping("alice")).await;
    client.subscribe("alice", Qos::AtLeastOnce).await;
    let (mut other, _) = Client::connect_with(&broker, login("d", "alice", "s3cret")).await;
    other.publish_retained("alice", "x").await;
    client.receive_message().await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    broker.shutdown(Duration::from_secs(5)).await;

    let broker = start().start().await.unwrap();
    let no = ReasonCode::NotAuthorized;
    check(&broker, login("c", "mallory", "s3cret"), no).await;
    // What comes meanwhile is queued for its user.
    let (mut other, _) = Client::connect_with(&broker, login("d", "alice", "s3cret")).await;
    other.publish("alice", "y", Qos::AtLeastOnce).await;
    let (mut client, connack) = Client::connect_with(&broker, keeping("alice")).await;
    assert!(connack.session_present);
    assert_eq!(&client.receive_message().await.payload[..], b"y");
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    broker.shutdown(Duration::from_secs(5)).await;

    // The one who retained it is asked about by name.
    let denied = Denied::default();
    denied.deny("d retained alice");
    let builder = builder().store(store.clone(), Durability::Safe);
    let broker = builder.authorize(denied).start().await.unwrap();
    let mut reader = Client::connect(&broker, "r").await;
    reader.subscribe("#", Qos::AtMostOnce).await;
    reader.expect_nothing().await;
}
