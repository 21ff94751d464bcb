//! Files of passwords and of rules.

use std::path::PathBuf;
use std::time::Duration;

use ohmqtt_broker::{Broker, FileError, Limits, PasswordFile, StartError};
use ohmqtt_client::{Client as Ours, ReasonCode as Reason};
use ohmqtt_codec::{MqttString, Qos, ReasonCode};
use tempfile::TempDir;

use super::{builder, check, login};
use crate::client::{Client, connect, topic};

/// As `mosquitto_passwd` writes it; the password is "wonderland".
const ALICE: &str = "alice:$7$101$go0tTV87UQ6mPk1T$6zGfnJgRWiMJICuo1oULV8NLhHJO3HzInobU6/hL9hn6UM9c475rp5UrQizB41DQU4YVpQhOwIMuSvr9T3+f7g==\n";

const RULES: &str = "user alice\ntopic read news/#\ntopic write news/alice\npattern own/%u/%c/#\n";

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Self { folder };
        files.write("passwords", ALICE);
        files.write("acl", RULES);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    async fn broker(&self) -> Result<Broker, StartError> {
        // A hash that costs much takes long on a busy machine, and nobody is refused for that.
        let mut limits = Limits::default();
        limits.connect_timeout = Duration::from_secs(3600);
        let builder = builder().passwords(self.path("passwords"));
        let builder = builder.acl(self.path("acl")).limits(limits);
        builder.start().await
    }
}

async fn alice(broker: &Broker, id: &str) -> Client {
    let (client, connack) = Client::connect_with(broker, login(id, "alice", "wonderland")).await;
    assert_eq!(connack.reason, ReasonCode::Success);
    client
}

#[tokio::test]
async fn users_of_the_file_are_let_in_with_their_passwords() {
    let files = Files::new();
    let broker = files.broker().await.unwrap();
    let bad = ReasonCode::BadUserNameOrPassword;
    check(
        &broker,
        login("c", "alice", "wonderland"),
        ReasonCode::Success,
    )
    .await;
    check(&broker, login("c", "alice", "wonder"), bad).await;
    check(&broker, login("c", "bob", "wonderland"), bad).await;
    let mut no_password = connect("c");
    no_password.user_name = Some(MqttString::try_from("alice").unwrap());
    check(&broker, no_password, bad).await;
    check(&broker, connect("c"), ReasonCode::NotAuthorized).await;
    let client = Ours::builder(broker.url()).user_name("alice");
    let client = client.password("wonderland").connect().await.unwrap();
    let sent = client.publish("news/bob", "x").qos(Qos::AtLeastOnce).await;
    let ack = sent.unwrap().acked().await.unwrap();
    assert_eq!(ack.reason, Reason::NotAuthorized);
}

#[tokio::test]
async fn the_rules_of_the_file_hold() {
    let broker = Files::new().broker().await.unwrap();
    let mut client = alice(&broker, "c").await;
    for (filter, want) in [
        ("#", ReasonCode::GRANTED_QOS_0),
        ("own/alice/#", ReasonCode::GRANTED_QOS_0),
        ("own/bob/#", ReasonCode::NotAuthorized),
    ] {
        assert_eq!(
            client.subscribe(filter, Qos::AtMostOnce).await,
            want,
            "{filter}"
        );
    }
    let mut writer = alice(&broker, "d").await;
    for (name, want) in [
        ("news/alice", ReasonCode::Success),
        ("news/x", ReasonCode::NotAuthorized),
        ("own/alice/c/x", ReasonCode::NotAuthorized),
        ("own/alice/d/x", ReasonCode::NoMatchingSubscribers),
    ] {
        writer.publish(name, "x", Qos::AtMostOnce).await;
        let reason = writer.publish(name, "x", Qos::AtLeastOnce).await;
        assert_eq!(reason, want, "{name}");
    }
    // What the first filter matches and may be read; `news/alice` by its own rule.
    for want in ["news/alice", "news/alice"] {
        assert_eq!(topic(&client.receive_message().await), want);
    }
    client.expect_nothing().await;
}

/// The fault of Mosquitto before 1.4.12.
#[tokio::test]
async fn a_client_whose_name_is_a_wildcard_gets_nothing_by_it() {
    let broker = Files::new().broker().await.unwrap();
    let mut owner = alice(&broker, "c").await;
    for id in ["+", "#", "c/x"] {
        let mut thief = alice(&broker, id).await;
        let want = ReasonCode::NotAuthorized;
        assert_eq!(thief.subscribe("own/#", Qos::AtMostOnce).await, want);
        assert_eq!(
            thief.publish("own/alice/c/x", "x", Qos::AtLeastOnce).await,
            want
        );
        let granted = ReasonCode::GRANTED_QOS_0;
        assert_eq!(thief.subscribe("#", Qos::AtMostOnce).await, granted);
        owner.publish("own/alice/c/x", "x", Qos::AtLeastOnce).await;
        thief.expect_nothing().await;
    }
}

#[tokio::test]
async fn files_that_are_read_again_count_from_then_on_and_not_with_an_error() {
    let files = Files::new();
    let broker = files.broker().await.unwrap();
    let mut client = alice(&broker, "c").await;
    let (yes, no) = (ReasonCode::NoMatchingSubscribers, ReasonCode::NotAuthorized);
    assert_eq!(
        client.publish("news/alice", "x", Qos::AtLeastOnce).await,
        yes
    );

    // A fault in one leaves both as they were.
    files.write("acl", "user alice\ntopic write other\n");
    files.write("passwords", "alice\n");
    let error = broker.reload_access().await.unwrap_err();
    assert!(matches!(error, FileError::Line { line: 1, .. }), "{error}");
    assert_eq!(
        client.publish("news/alice", "x", Qos::AtLeastOnce).await,
        yes
    );
    check(
        &broker,
        login("d", "alice", "wonderland"),
        ReasonCode::Success,
    )
    .await;

    files.write("passwords", "");
    let users = PasswordFile::new(files.path("passwords"));
    users.set_user("bob", b"builder").unwrap();
    broker.reload_access().await.unwrap();
    assert_eq!(
        client.publish("news/alice", "x", Qos::AtLeastOnce).await,
        no
    );
    assert_eq!(client.publish("other", "x", Qos::AtLeastOnce).await, yes);
    let bad = ReasonCode::BadUserNameOrPassword;
    check(&broker, login("d", "alice", "wonderland"), bad).await;
    check(&broker, login("d", "bob", "builder"), ReasonCode::Success).await;
}

/// Passwords that cost much are looked at beside the runtime: here it has one thread.
#[tokio::test]
async fn a_flood_of_wrong_passwords_does_not_hold_up_who_is_connected() {
    const FLOOD: usize = 8;
    let files = Files::new();
    let hash = ALICE.trim_end().rsplit('$').next().unwrap();
    files.write(
        "passwords",
        &format!("{ALICE}eve:$7$300000$c2FsdHNhbHQ=${hash}\n"),
    );
    let broker = files.broker().await.unwrap();
    let mut client = alice(&broker, "c").await;
    let mut flood = tokio::task::JoinSet::new();
    for n in 0..FLOOD {
        let mut attempt = Client::open(&broker).await;
        let connect = login(&format!("eve{n}"), "eve", "guess");
        flood.spawn(async move { attempt.say_connect(connect).await.reason });
    }
    let round_trips = async {
        for _ in 0..3 {
            let reason = client.publish("news/alice", "x", Qos::AtLeastOnce).await;
            assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
        }
    };
    let refused = async {
        while let Some(reason) = flood.join_next().await {
            assert_eq!(reason.unwrap(), ReasonCode::BadUserNameOrPassword);
        }
    };
    tokio::pin!(refused);
    tokio::select! {
        biased;
        () = &mut refused => panic!("the client that is connected had to wait for all of them"),
        () = round_trips => {}
    }
    refused.await;
}

#[tokio::test]
async fn a_broker_does_not_start_with_a_file_that_is_wrong() {
    let check = async |name: &str, text: Option<&str>, want: &str| {
        let files = Files::new();
        match text {
            Some(text) => files.write(name, text),
            None => std::fs::remove_file(files.path(name)).unwrap(),
        }
        let error = files.broker().await.unwrap_err();
        assert!(matches!(error, StartError::Access(_)), "{error:?}");
        let place = files.path(name).display().to_string();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{place}{want}")), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    };
    check("passwords", Some("\nbob:s3cret\n"), ":2: user 'bob': ").await;
    check(
        "acl",
        Some("topic a\nmay read b\n"),
        ":2: 'may' is not a rule",
    )
    .await;
    check("passwords", None, ": ").await;
    check("acl", None, ": ").await;
}
