//! Enhanced authentication (section 4.12): a method that a client names in CONNECT, and exchanges of AUTH packets.

use std::fmt;

use bytes::Bytes;
use ohmqtt_codec::ReasonCode;
use ohmqtt_transport::BoxFuture;

use super::{Login, User};

/// A method of enhanced authentication. Given to [`Builder::enhanced`](crate::Builder::enhanced), one for each method.
///
/// A client that names the method in its CONNECT is asked by it alone: its user name and password are what the method makes of them.
///
/// ```
/// use bytes::Bytes;
/// use ohmqtt_broker::{AuthStep, BoxFuture, Broker, EnhancedAuthenticate, Exchange, Login, ReasonCode, User};
///
/// /// A word, and the word that answers it.
/// struct Watchword;
///
/// impl EnhancedAuthenticate for Watchword {
///     fn method(&self) -> &str {
///         "watchword"
///     }
///
///     fn begin(&self) -> Box<dyn Exchange> {
///         Box::new(Asked(false))
///     }
/// }
///
/// struct Asked(bool);
///
/// impl Exchange for Asked {
///     fn step<'a>(&'a mut self, _: &'a Login, data: Option<Bytes>) -> BoxFuture<'a, AuthStep> {
///         let asked = std::mem::replace(&mut self.0, true);
///         Box::pin(async move {
///             match data {
///                 _ if !asked => AuthStep::More { data: Some("flash".into()) },
///                 Some(word) if word == "thunder" => AuthStep::Accept { user: User::named("friend"), data: None },
///                 _ => AuthStep::Refuse { reason: ReasonCode::NotAuthorized, data: None },
///             }
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ohmqtt_broker::StartError> {
/// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
/// let broker = builder.enhanced(Watchword).start().await?;
/// # broker.shutdown(std::time::Duration::ZERO).await;
/// # Ok(())
/// # }
/// ```
pub trait EnhancedAuthenticate: Send + Sync + 'static {
    /// The name that CONNECT has: always the same.
    fn method(&self) -> &str;

    /// An exchange begins: with a CONNECT, or with a re-authentication on a connection that stands.
    fn begin(&self) -> Box<dyn Exchange>;
}

/// One exchange, from the client's first word to the last.
pub trait Exchange: Send {
    /// The client said this: the answer. Called with what CONNECT, or the AUTH that begins a re-authentication, says, and then with each
    /// answer to an [`AuthStep::More`].
    ///
    /// Runs on the client's own task, which it must not block. All of an exchange is to be done within
    /// [`Limits::connect_timeout`](crate::Limits::connect_timeout).
    ///
    /// Cancel safety: the future, and the exchange, are dropped when that time is up or the connection ends.
    fn step<'a>(&'a mut self, login: &'a Login, data: Option<Bytes>) -> BoxFuture<'a, AuthStep>;
}

/// What a method answers. Data of more than 65,535 bytes refuses the client. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthStep {
    /// The client is asked for more: AUTH with Continue authentication (0x18).
    More {
        /// What AUTH says.
        data: Option<Bytes>,
    },
    /// The client is this user: CONNACK, or for a re-authentication AUTH, with Success. In a re-authentication it is to be the user that it
    /// was; another one is refused.
    Accept {
        /// Who it is.
        user: User,
        /// What the method says at the end.
        data: Option<Bytes>,
    },
    /// The client is refused: CONNACK with this reason, or for a re-authentication DISCONNECT with Not authorized (0x87).
    Refuse {
        /// An error of those in section 3.2.2.2.
        reason: ReasonCode,
        /// What the method says of it in CONNACK.
        data: Option<Bytes>,
    },
}

impl fmt::Debug for AuthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More { .. } => f.debug_struct("More").finish_non_exhaustive(),
            Self::Accept { user, .. } => f
                .debug_struct("Accept")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Refuse { reason, .. } => f
                .debug_struct("Refuse")
                .field("reason", reason)
                .finish_non_exhaustive(),
        }
    }
}
