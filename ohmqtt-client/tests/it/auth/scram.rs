//! SCRAM-SHA-256 against a server that does it through `ServerSession`'s hook.

use std::time::Duration;

use ohmqtt_client::{AuthError, Qos, ReasonCode, ReauthenticateError, ScramSha256, blocking};

use super::scram_server::{Account, start};
use super::*;
use crate::support::eventually;

const ACCOUNT: Account = Account {
    user: "user",
    password: "pencil",
    iterations: 4096,
    impostor: false,
};

fn client(url: &str, password: &str) -> Client {
    let scram = ScramSha256::new("user", password).unwrap();
    let builder = Client::builder(url).authenticator(scram);
    let backoff = Duration::from_millis(1);
    builder.backoff(backoff, backoff).start().unwrap()
}

#[tokio::test]
async fn a_client_and_a_server_prove_themselves_to_each_other() {
    let (url, notes) = start(ACCOUNT).await;
    let client = client(&url, "pencil");
    connected(&client).await;
    for _ in 0..3 {
        soon(client.reauthenticate()).await.unwrap();
    }
    client.publish("t", "x").await.unwrap();
    soon(client.close(Duration::from_secs(5))).await;
    eventually(|| notes.count() == 2).await;
    let left = "disconnected by the other side: Success (0x00)";
    assert_eq!(notes.take(), ["message on t", left]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_the_words_of_the_method() {
    let (url, _) = start(ACCOUNT).await;
    let client = client(&url, "pencils");
    let error = closed(&client).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
    let why = "authentication by SCRAM-SHA-256: the server refused: invalid-proof; check user name and password";
    assert_eq!(error.to_string(), format!("connect {url}: {why}"));

    let scram = ScramSha256::new("nobody", "pencil").unwrap();
    let stranger = Client::builder(url.as_str()).authenticator(scram);
    let error = closed(&stranger.start().unwrap()).await;
    assert!(error.to_string().contains("unknown-user"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_gets_nothing() {
    let impostor = Account {
        password: "pen",
        impostor: true,
        ..ACCOUNT
    };
    let (url, notes) = start(impostor).await;
    let client = client(&url, "pencil");
    let message = client.publish("t", "secret").qos(Qos::AtLeastOnce);
    let _waiting = message.send().unwrap();
    let error = closed(&client).await;
    assert!(matches!(
        authentication(&error).error,
        AuthError::Distrusted(_)
    ));
    eventually(|| notes.count() > 0).await;
    assert_eq!(
        notes.take(),
        ["disconnected by the other side: Unspecified error (0x80)"]
    );
}

#[tokio::test]
async fn a_count_that_is_worth_nothing_or_never_ends_is_refused() {
    for iterations in [1, 4095, 1_000_001, u32::MAX] {
        let account = Account {
            iterations,
            ..ACCOUNT
        };
        let (url, _) = start(account).await;
        let error = closed(&client(&url, "pencil")).await;
        assert!(matches!(
            authentication(&error).error,
            AuthError::Malformed(_)
        ));
    }
}

#[tokio::test]
async fn a_password_that_was_changed_is_found_out_when_authenticating_again() {
    let (url, _) = start(ACCOUNT).await;
    let scram = Forgetful {
        scram: ScramSha256::new("user", "pencil").unwrap(),
        begun: 0,
    };
    let client = Client::builder(url.as_str()).authenticator(scram);
    let client = soon(client.connect()).await.unwrap();
    let Err(ReauthenticateError::Disconnected(error)) = soon(client.reauthenticate()).await else {
        panic!("accepted");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
}

/// Knows the password once.
struct Forgetful {
    scram: ScramSha256,
    begun: usize,
}

impl Authenticator for Forgetful {
    fn method(&self) -> &str {
        self.scram.method()
    }

    fn begin(&mut self) -> BoxFuture<'_, Said> {
        if self.begun > 0 {
            self.scram = ScramSha256::new("user", "pencils").unwrap();
        }
        self.begun += 1;
        self.scram.begin()
    }

    fn answer(&mut self, data: Option<Bytes>) -> BoxFuture<'_, Said> {
        self.scram.answer(data)
    }

    fn finish(&mut self, data: Option<Bytes>) -> Result<(), AuthError> {
        self.scram.finish(data)
    }
}

#[test]
fn a_blocking_client_authenticates_and_does_so_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (url, _) = runtime.block_on(start(ACCOUNT));
    let scram = ScramSha256::new("user", "pencil").unwrap();
    let builder = Client::builder(url.as_str()).authenticator(scram);
    let client = blocking::Client::with(builder).unwrap();
    client.reauthenticate().unwrap();
    client.close(Duration::from_secs(5));
}
