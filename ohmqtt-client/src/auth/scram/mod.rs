//! SCRAM-SHA-256 as a client (RFC 5802, RFC 7677): the password is proved and never sent, and the server proves that it knows it too.
//!
//! `messages` is what goes over the wire, `keys` the cryptography. There is no channel binding, and no SHA-1.

mod keys;
mod messages;

use std::fmt;

use bytes::Bytes;
use data_encoding::BASE64;
use ohmqtt_transport::BoxFuture;
use tokio::task::spawn_blocking;

use self::keys::{Keys, Proof, Verifier};
use self::messages::{ServerFinal, ServerFirst, escape};
use super::{AuthError, Authenticator};
use crate::error::ConfigError;

/// SCRAM-SHA-256, for [`ClientBuilder::authenticator`](crate::ClientBuilder::authenticator): the server learns no password, and proves
/// that it holds what was derived from it, so that an impostor is found out before a message leaves or is delivered.
///
/// Deriving keys takes as long as the server's iteration count says: from 4,096, the least that RFC 7677 allows, to 1,000,000; another
/// count is an error. It runs on a thread of tokio's for blocking work, and only when salt or count are others than the last time.
///
/// It does not hide messages: use it with TLS. `Debug` shows no secret.
///
/// ```
/// use ohmqtt_client::{Client, ScramSha256};
///
/// let client = Client::builder("mqtts://broker.example").authenticator(ScramSha256::new("user", "pencil")?);
/// # Ok::<_, ohmqtt_client::ConfigError>(())
/// ```
pub struct ScramSha256 {
    /// Prepared and escaped.
    user: String,
    /// Prepared.
    password: String,
    /// What was derived from the password last.
    keys: Option<Keys>,
    step: Step,
}

/// What an exchange awaits.
#[derive(Default)]
enum Step {
    /// Its beginning.
    #[default]
    Idle,
    /// The server's first message.
    AwaitFirst { nonce: String },
    /// The server's proof.
    AwaitFinal(Verifier),
    /// The server's acceptance: it has proved itself.
    AwaitEnd,
}

/// How many random bytes make a nonce.
const NONCE: usize = 24;

impl ScramSha256 {
    /// For this user and password. Both are prepared as RFC 4013 says, so that they mean the same however they were typed;
    /// what it forbids, and an empty one, is an error.
    pub fn new(user: &str, password: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            user: escape(&prepared("user_name", user)?),
            password: prepared("password", password)?,
            keys: None,
            step: Step::Idle,
        })
    }

    fn client_first(&mut self, nonce: String) -> String {
        let bare = messages::client_first_bare(&self.user, &nonce);
        self.step = Step::AwaitFirst { nonce };
        format!("{}{bare}", messages::NO_BINDING)
    }

    async fn next(&mut self, data: Option<Bytes>) -> Result<Option<Bytes>, AuthError> {
        match std::mem::take(&mut self.step) {
            Step::AwaitFirst { nonce } => {
                let text = messages::text(data.as_deref())?;
                let (verifier, last) = self.client_final(&nonce, text).await?;
                self.step = Step::AwaitFinal(verifier);
                Ok(Some(last.into()))
            }
            // Some servers prove themselves before they accept.
            Step::AwaitFinal(verifier) => {
                verify(verifier, data.as_deref())?;
                self.step = Step::AwaitEnd;
                Ok(None)
            }
            Step::Idle | Step::AwaitEnd => Err(malformed("it asks for more than there is to say")),
        }
    }

    async fn client_final(
        &mut self,
        nonce: &str,
        server_first: &str,
    ) -> Result<(Verifier, String), AuthError> {
        let server = ServerFirst::parse(server_first, nonce)?;
        let without_proof = messages::client_final_without_proof(server.nonce);
        let bare = messages::client_first_bare(&self.user, nonce);
        let keys = self.keys(&server).await?;
        let said = format!("{bare},{server_first},{without_proof}");
        let (Proof(proof), verifier) = keys.prove(said.as_bytes())?;
        let last = format!("{without_proof},p={}", BASE64.encode(&proof));
        Ok((verifier, last))
    }

    /// Those of the last exchange where they fit, else new ones.
    async fn keys(&mut self, server: &ServerFirst<'_>) -> Result<&Keys, AuthError> {
        let keys = match self.keys.take() {
            Some(keys) if keys.are_of(&server.salt, server.iterations) => keys,
            _ => {
                let (password, salt) = (self.password.clone(), server.salt.clone());
                let iterations = server.iterations;
                let derive = move || Keys::derive(password.as_bytes(), salt, iterations);
                spawn_blocking(derive)
                    .await
                    .map_err(AuthError::unavailable)??
            }
        };
        Ok(self.keys.insert(keys))
    }
}

impl Authenticator for ScramSha256 {
    fn method(&self) -> &'static str {
        "SCRAM-SHA-256"
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(async {
            let mut random = [0; NONCE];
            getrandom::fill(&mut random).map_err(AuthError::unavailable)?;
            Ok(Some(self.client_first(BASE64.encode(&random)).into()))
        })
    }

    fn answer(&mut self, data: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(self.next(data))
    }

    fn finish(&mut self, data: Option<Bytes>) -> Result<(), AuthError> {
        match std::mem::take(&mut self.step) {
            Step::AwaitFinal(verifier) => verify(verifier, data.as_deref()),
            Step::AwaitEnd => Ok(()),
            Step::Idle | Step::AwaitFirst { .. } => {
                if let Ok(ServerFinal::Refused(error)) =
                    messages::text(data.as_deref()).and_then(ServerFinal::parse)
                {
                    return Err(AuthError::Refused(error.to_owned()));
                }
                let why = "it accepted without any proof that it knows the password";
                Err(AuthError::Distrusted(why.to_owned()))
            }
        }
    }
}

/// Whether the server's last message proves that it knows the password.
fn verify(verifier: Verifier, data: Option<&[u8]>) -> Result<(), AuthError> {
    let Some(data) = data else {
        let why = "it sent no proof that it knows the password";
        return Err(AuthError::Distrusted(why.to_owned()));
    };
    match ServerFinal::parse(messages::text(Some(data))?)? {
        ServerFinal::Refused(error) => Err(AuthError::Refused(error.to_owned())),
        ServerFinal::Signature(signature) if verifier.accepts(&signature) => Ok(()),
        ServerFinal::Signature(_) => {
            let why = "its proof is not that of one who knows the password";
            Err(AuthError::Distrusted(why.to_owned()))
        }
    }
}

/// A user name or password as RFC 4013 has it.
fn prepared(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let problem = |problem: &str| ConfigError::Value {
        field,
        problem: problem.to_owned(),
    };
    // Its error would show a letter of the password.
    let prepared = stringprep::saslprep(text).map_err(|_| {
        problem("holds what SASLprep (RFC 4013) forbids, such as control characters")
    })?;
    if prepared.is_empty() {
        return Err(problem("must not be empty"));
    }
    Ok(prepared.into_owned())
}

fn malformed(why: &str) -> AuthError {
    AuthError::Malformed(why.to_owned())
}

impl fmt::Debug for ScramSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSha256")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
