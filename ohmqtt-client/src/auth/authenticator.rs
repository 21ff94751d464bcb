//! What a method of enhanced authentication is to the client, and how it fails.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::ReasonCode;
use ohmqtt_transport::BoxFuture;

/// A method of enhanced authentication, given to [`ClientBuilder::authenticator`](crate::ClientBuilder::authenticator)
/// (section 4.12).
///
/// For each connection, and for each re-authentication on one that stands, the client calls [`begin`](Self::begin), then
/// [`answer`](Self::answer) for each time the server asks for more, then [`finish`](Self::finish) when it accepts. An exchange may end
/// after any of them; what comes next is another `begin`, so everything that belongs to an exchange is to be made new there.
///
/// Nothing here may block: it runs on the client's task. What takes long goes to another thread (`tokio::task::spawn_blocking`) or is
/// awaited. Futures are dropped when the connection ends or the time to connect is up. Authentication data is at most 65,535 bytes.
pub trait Authenticator: Send + 'static {
    /// The name of the method, as the server knows it: always the same, UTF-8 without U+0000, at most 65,535 bytes.
    fn method(&self) -> &str;

    /// An exchange begins: what this side has to say first, if anything. At a connect it is asked for before the stream is made, within
    /// the timeout of the attempt.
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>>;

    /// The server said this and asks for more: the answer.
    fn answer(&mut self, data: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>>;

    /// The server has accepted, and this is the last it says: is it who it should be? Until this returns, no message leaves on a new
    /// connection and none is delivered; an error ends the connection.
    ///
    /// Also called with what comes with a refusal, for [`AuthError::Refused`] to say more than the reason code does.
    fn finish(&mut self, data: Option<Bytes>) -> Result<(), AuthError>;
}

/// Why an exchange cannot go on, as an [`Authenticator`] says. Must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// What this side needs cannot be had now, as from a token service that does not answer. It is tried again later.
    #[error("{0}")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// This side cannot go on, and trying again would not help.
    #[error("{0}")]
    Unable(#[source] Arc<dyn Error + Send + Sync>),
    /// The server's data is not what the method allows. Not tried again.
    #[error("the server does not keep to the method: {0}")]
    Malformed(String),
    /// The server has not proved that it is who it should be. Not tried again.
    #[error("the server has not proved who it is: {0}")]
    Distrusted(String),
    /// The server says, in the method's own words, that it does not accept. Not tried again.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The authenticator, or in a re-authentication the server, took longer than the timeout of a connect. It is tried again later.
    #[error("it was not finished in time")]
    TimedOut,
}

impl AuthError {
    /// An [`Unavailable`](Self::Unavailable) for this reason: an error or a text.
    pub fn unavailable(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(why.into().into())
    }

    /// An [`Unable`](Self::Unable) for this reason: an error or a text.
    pub fn unable(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unable(why.into().into())
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut)
    }
}

/// An authentication failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("authentication by {method}: {error}")]
#[non_exhaustive]
pub struct AuthenticationError {
    /// By which method.
    pub method: String,
    /// Why.
    #[source]
    pub error: AuthError,
    /// The reason code the server gave, if it refused.
    pub reason: Option<ReasonCode>,
}

impl AuthenticationError {
    pub(crate) fn new(method: &str, error: AuthError) -> Self {
        let method = method.to_owned();
        Self {
            method,
            error,
            reason: None,
        }
    }

    /// Whether another attempt may go better without anyone changing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        self.error.is_retryable()
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> &'static str {
        match &self.error {
            AuthError::Malformed(_) => "; does the server mean the same method?",
            AuthError::Distrusted(_) => {
                "; is it the right server? nothing was sent to it or taken from it"
            }
            AuthError::Refused(_) => "; check user name and password",
            AuthError::TimedOut => "; a longer connect_timeout gives it more time",
            AuthError::Unavailable(_) | AuthError::Unable(_) => "",
        }
    }
}
