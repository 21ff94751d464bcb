//! SCRAM-SHA-256 between our client and our broker.

use std::time::Duration;

use ohmqtt_broker::{Broker, ScramSha256};
use ohmqtt_client::{
    AuthError, Client, ConnectErrorKind, ConnectionState, Qos, ScramSha256 as Proof,
};
use tokio::time::timeout;

use super::builder;

async fn broker() -> Broker {
    let scram = ScramSha256::new()
        .unwrap()
        .user("alice, = Ω", "wonder\u{ad}land")
        .unwrap();
    builder().enhanced(scram).start().await.unwrap()
}

fn client(broker: &Broker, user: &str, password: &str) -> Client {
    let scram = Proof::new(user, password).unwrap();
    let builder = Client::builder(broker.url()).authenticator(scram);
    builder.start().unwrap()
}

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(60), future.into_future())
        .await
        .expect("nothing came")
}

#[tokio::test]
async fn client_and_broker_prove_themselves_to_each_other_and_again() {
    let broker = broker().await;
    let client = client(&broker, "alice, = Ω", "wonderland");
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
    for _ in 0..2 {
        soon(client.reauthenticate()).await.unwrap();
    }
    let sent = soon(client.publish("t", "x").qos(Qos::ExactlyOnce)).await;
    soon(sent.unwrap().acked()).await.unwrap();
}

#[tokio::test]
async fn who_does_not_know_the_password_is_refused_as_who_is_not_there_is() {
    let broker = broker().await;
    for (user, password) in [("alice, = Ω", "wonder"), ("bob", "wonderland")] {
        let client = client(&broker, user, password);
        let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
        let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
            panic!("not closed");
        };
        let ConnectErrorKind::Authentication(error) = &error.kind else {
            panic!("{error:?}");
        };
        let AuthError::Refused(why) = &error.error else {
            panic!("{error:?}");
        };
        assert_eq!(why, "invalid-proof");
    }
}
