//! SCRAM-SHA-256 as a server (RFC 5802, RFC 7677): it holds what was derived from passwords, and is told no password.
//!
//! `messages` is what goes over the wire, `keys` the cryptography. There is no channel binding, and no SHA-1.

mod keys;
mod messages;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use ohmqtt_codec::ReasonCode;
use ohmqtt_transport::BoxFuture;

use self::keys::Keys;
use self::messages::{ClientFinal, ClientFirst};
use super::{AuthStep, EnhancedAuthenticate, Exchange, Login, User};

/// SCRAM-SHA-256, for [`Builder::enhanced`](crate::Builder::enhanced): clients prove that they know their password and never send it, and
/// the broker proves that it knows of it.
///
/// It does not hide messages: use it with TLS. `Debug` shows no secret.
///
/// ```
/// use ohmqtt_broker::{Broker, ScramSha256};
///
/// let scram = ScramSha256::new()?.user("alice", "wonderland")?;
/// let builder = Broker::builder().listen("mqtt://127.0.0.1:0").enhanced(scram);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct ScramSha256(Arc<Users>);

struct Users {
    /// By name, prepared.
    users: HashMap<String, Keys>,
    /// What salts are made of for those who are not there.
    secret: [u8; 32],
}

/// What an exchange awaits.
enum Step {
    /// The client's first message.
    AwaitFirst,
    /// Its last one.
    AwaitFinal {
        /// The user's name, and its keys; made up for one that is not there.
        name: String,
        keys: Keys,
        is_known: bool,
        /// Of both sides.
        nonce: String,
        /// What was said before.
        said: String,
    },
    /// Nothing more.
    Done,
}

struct Talk {
    users: Arc<Users>,
    step: Step,
}

/// How many random bytes make a salt, and a nonce.
const RANDOM: usize = 24;

impl ScramSha256 {
    /// For nobody yet.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new() -> std::io::Result<Self> {
        let (users, secret) = (HashMap::new(), random()?);
        Ok(Self(Arc::new(Users { users, secret })))
    }

    /// With this user, whose password is forgotten when what is needed of it is derived. Both are prepared as RFC 4013 says. Takes some
    /// milliseconds of the processor's time.
    ///
    /// # Errors
    /// The name or the password is empty or holds what RFC 4013 forbids, or the system gives no randomness.
    pub fn user(mut self, name: &str, password: &str) -> std::io::Result<Self> {
        let name = prepared(name)?;
        let keys = Keys::derive(&prepared(password)?, random::<RANDOM>()?.to_vec());
        if let Some(users) = Arc::get_mut(&mut self.0) {
            users.users.insert(name, keys);
        }
        Ok(self)
    }
}

impl EnhancedAuthenticate for ScramSha256 {
    fn method(&self) -> &'static str {
        "SCRAM-SHA-256"
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Talk {
            users: Arc::clone(&self.0),
            step: Step::AwaitFirst,
        })
    }
}

impl Exchange for Talk {
    fn step<'a>(&'a mut self, _: &'a Login, data: Option<Bytes>) -> BoxFuture<'a, AuthStep> {
        let answer = self.answer(&data.unwrap_or_default());
        Box::pin(async { answer.unwrap_or_else(refused) })
    }
}

impl Talk {
    /// The answer, or the word of RFC 5802 for what is wrong.
    fn answer(&mut self, data: &[u8]) -> Result<AuthStep, &'static str> {
        let text = std::str::from_utf8(data).map_err(|_| "invalid-encoding")?;
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::AwaitFirst => self.first(text),
            Step::AwaitFinal {
                name,
                keys,
                is_known,
                nonce,
                said,
            } => {
                let last = ClientFinal::parse(text, &nonce)?;
                let said = format!("{said},{}", last.without_proof);
                let signature = keys.verify(said.as_bytes(), &last.proof);
                let signature = signature.filter(|_| is_known).ok_or("invalid-proof")?;
                Ok(AuthStep::Accept {
                    user: User::named(name),
                    data: Some(format!("v={}", BASE64.encode(&signature)).into()),
                })
            }
            Step::Done => Err("other-error"),
        }
    }

    fn first(&mut self, text: &str) -> Result<AuthStep, &'static str> {
        let first = ClientFirst::parse(text)?;
        let name = prepared(&first.user).map_err(|_| "invalid-username-encoding")?;
        let known = self.users.users.get(&name).cloned();
        let is_known = known.is_some();
        // One that is not there gets a salt that is the same each time, as one that is there does.
        let keys = known.unwrap_or_else(|| Keys::made_up(&self.users.secret, &name));
        let ours: [u8; RANDOM] = random().map_err(|_| "no-resources")?;
        let nonce = format!("{}{}", first.nonce, BASE64.encode(&ours));
        let more = format!("r={nonce},{}", keys.public());
        self.step = Step::AwaitFinal {
            name,
            keys,
            is_known,
            said: format!("{},{more}", first.bare),
            nonce,
        };
        Ok(AuthStep::More {
            data: Some(more.into()),
        })
    }
}

fn refused(why: &str) -> AuthStep {
    AuthStep::Refuse {
        reason: ReasonCode::NotAuthorized,
        data: Some(format!("e={why}").into()),
    }
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    Ok(random)
}

/// A name or a password as RFC 4013 has it.
fn prepared(text: &str) -> std::io::Result<String> {
    // Its error would show a letter of the password.
    let prepared = stringprep::saslprep(text).ok();
    let prepared = prepared.filter(|prepared| !prepared.is_empty());
    let prepared = prepared.map(std::borrow::Cow::into_owned);
    prepared.ok_or_else(|| {
        let why =
            "a name or a password of SCRAM is empty or holds what SASLprep (RFC 4013) forbids";
        std::io::Error::new(std::io::ErrorKind::InvalidInput, why)
    })
}

impl fmt::Debug for ScramSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSha256")
            .field("users", &self.0.users.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
