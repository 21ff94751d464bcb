//! A server that authenticates by SCRAM-SHA-256, from `ServerSession`'s hook alone.
//!
//! It is written from RFC 5802 and shares nothing with the client's side but the primitives.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use ohmqtt_client::ReasonCode;
use ohmqtt_codec::{Binary, ConnAckProperties, Disconnect, Limits, MqttString};
use ohmqtt_driver::{Clock, Driver, Events, Handle};
use ohmqtt_session::{Accept, ServerConfig, ServerEvent, ServerSession};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};

/// Whom the server knows, and how it behaves.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) user: &'static str,
    pub(super) password: &'static str,
    pub(super) iterations: u32,
    /// It accepts everybody, and proves itself by a password that is not theirs.
    pub(super) impostor: bool,
}

/// What came, in order.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Listens at a port of its own, for as long as the runtime lives, and notes what comes.
pub(super) async fn start(account: Account) -> (String, Notes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let notes = Notes::default();
    tokio::spawn({
        let notes = notes.clone();
        async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, account.clone(), notes.clone()));
            }
        }
    });
    (url, notes)
}

async fn serve(stream: TcpStream, account: Account, notes: Notes) {
    let clock = Clock::new();
    let session = ServerSession::new(clock.now(), ServerConfig::default());
    let handle = Handle::new(session, clock);
    let mut exchange = Exchange::new(account);
    let mut on_event = {
        let handle = handle.clone();
        move |event| {
            let said = match event {
                ServerEvent::Connect(connect) => {
                    let properties = &connect.properties;
                    assert_eq!(properties.authentication_method(), Some("SCRAM-SHA-256"));
                    properties.authentication_data().map(<[u8]>::to_vec)
                }
                ServerEvent::Authenticate { data } => data.map(|data| data.as_bytes().to_vec()),
                ServerEvent::Message { message, .. } => {
                    return notes.note(format!("message on {}", message.topic));
                }
                ServerEvent::Disconnected { cause, .. } => return notes.note(cause.to_string()),
                _ => return,
            };
            let said = String::from_utf8(said.unwrap()).unwrap();
            handle.with(|session, now| match exchange.next(&said) {
                Word::More(more) => session.authenticate(Some(&binary(&more))),
                Word::Accept(last) if session.is_connected() => {
                    session.authenticated(Some(&binary(&last)));
                }
                Word::Accept(last) => {
                    let mut accept = Accept::default();
                    let properties = &mut accept.properties;
                    properties.set_authentication(&method(), Some(&binary(&last)));
                    session.accept(now, accept);
                }
                Word::Refuse(_) if session.is_connected() => {
                    session.disconnect(Disconnect::new(ReasonCode::NotAuthorized));
                }
                Word::Refuse(why) => {
                    let mut properties = ConnAckProperties::default();
                    properties.set_authentication(&method(), Some(&binary(&why)));
                    session.refuse(ReasonCode::NotAuthorized, properties);
                }
            });
        }
    };
    let mut driver = Driver::new(
        handle,
        None,
        Limits::default(),
        move |events: Events<'_, _>| {
            events.for_each(&mut on_event);
        },
    );
    // However it ends: the session says how.
    let _ = driver.run(Box::new(stream)).await;
}

fn method() -> MqttString {
    MqttString::try_from("SCRAM-SHA-256").unwrap()
}

fn binary(text: &str) -> Binary {
    Binary::try_from(text.as_bytes()).unwrap()
}

/// What the server says.
enum Word {
    More(String),
    Accept(String),
    Refuse(String),
}

/// The server's side of one exchange after another.
struct Exchange {
    account: Account,
    /// What was said before the client's last message, and the nonce of both.
    said: Option<(String, String)>,
    count: u32,
}

impl Exchange {
    fn new(account: Account) -> Self {
        let (said, count) = (None, 0);
        Self {
            account,
            said,
            count,
        }
    }

    fn next(&mut self, message: &str) -> Word {
        match self.said.take() {
            None => self.first(message),
            Some((said, nonce)) => self.last(&said, &nonce, message),
        }
    }

    fn first(&mut self, message: &str) -> Word {
        let bare = message.strip_prefix("n,,").unwrap();
        let (user, nonce) = bare.split_once(",r=").unwrap();
        if user.strip_prefix("n=") != Some(self.account.user) {
            return Word::Refuse("e=unknown-user".into());
        }
        self.count += 1;
        let nonce = format!("{nonce}server{}", self.count);
        let salt = BASE64.encode(SALT);
        let more = format!("r={nonce},s={salt},i={}", self.account.iterations);
        self.said = Some((format!("{bare},{more}"), nonce));
        Word::More(more)
    }

    fn last(&self, said: &str, nonce: &str, message: &str) -> Word {
        let (without_proof, proof) = message.rsplit_once(",p=").unwrap();
        assert_eq!(without_proof, format!("c=biws,r={nonce}"));
        let said = format!("{said},{without_proof}");
        let mut salted = [0; 32];
        let (password, iterations) = (self.account.password.as_bytes(), self.account.iterations);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, SALT, iterations, &mut salted);
        let stored = Sha256::digest(sign(&salted, b"Client Key"));
        let signature = sign(&stored, said.as_bytes());
        let proof = BASE64.decode(proof.as_bytes()).unwrap();
        let key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let is_right = Sha256::digest(key) == stored;
        if !is_right && !self.account.impostor {
            return Word::Refuse("e=invalid-proof".into());
        }
        let server_key = sign(&salted, b"Server Key");
        let signature = sign(&server_key, said.as_bytes());
        Word::Accept(format!("v={}", BASE64.encode(&signature)))
    }
}

const SALT: &[u8] = b"as fine as salt";

fn sign(key: &[u8], said: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(said).finalize().into_bytes().to_vec()
}
