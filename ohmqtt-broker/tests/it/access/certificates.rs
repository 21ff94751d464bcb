//! Names in certificates as users.

use std::time::Duration;

use ohmqtt_broker::{Action, Authorize, Broker, ListenOptions, Principal};
use ohmqtt_client::{Client, ConnectionState, Qos, ReasonCode};
use tokio::time::timeout;

use crate::certs::Authority;

/// Each publishes what has its name.
struct Names;

impl Authorize for Names {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        match action {
            Action::Publish { topic, .. } => who.user.name() == Some(topic),
            _ => true,
        }
    }
}

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(60), future.into_future())
        .await
        .expect("nothing came")
}

#[tokio::test]
async fn the_name_in_a_verified_certificate_is_the_user_whatever_connect_says() {
    let authority = Authority::new();
    let identity = authority.issue("broker", &["127.0.0.1"]).identity();
    let options =
        ListenOptions::from(identity).ask_for_client_certificates(authority.certificates());
    let builder = Broker::builder().listen_with("mqtts://127.0.0.1:0", options);
    let broker = builder
        .certificate_users()
        .authorize(Names)
        .start()
        .await
        .unwrap();

    let identity = authority.issue("alice", &["alice.example"]).identity();
    let builder = Client::builder(broker.url()).tls(authority.trusted().identity(identity));
    let client = soon(builder.user_name("bob").password("x").connect())
        .await
        .unwrap();
    for (topic, want) in [
        ("alice", ReasonCode::NoMatchingSubscribers),
        ("bob", ReasonCode::NotAuthorized),
        ("alice.example", ReasonCode::NotAuthorized),
    ] {
        let sent = soon(client.publish(topic, "x").qos(Qos::AtLeastOnce))
            .await
            .unwrap();
        let ack = soon(sent.acked()).await.unwrap();
        assert_eq!(ack.reason, want, "{topic}");
    }

    // Without a certificate there is nobody to ask.
    let builder = Client::builder(broker.url()).tls(authority.trusted());
    let client = builder.user_name("alice").start().unwrap();
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
        panic!("not closed");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
}
