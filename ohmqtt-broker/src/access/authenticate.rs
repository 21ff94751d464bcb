//! Who a client is: what is known of one that asks to connect, and the trait that makes a user of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::{Connect, ReasonCode};
use ohmqtt_transport::{BoxFuture, Peer};

/// Says who a client is, by what its CONNECT and its connection tell. Given to [`Builder::authenticate`](crate::Builder::authenticate).
///
/// ```
/// use ohmqtt_broker::{Authenticate, BoxFuture, Broker, Login, ReasonCode, User};
///
/// /// One token for all.
/// struct Token(&'static [u8]);
///
/// impl Authenticate for Token {
///     fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
///         Box::pin(async move {
///             // ... this may ask a service ...
///             match (&login.user_name, &login.password) {
///                 (Some(name), Some(token)) if token == self.0 => Ok(User::named(name)),
///                 _ => Err(ReasonCode::BadUserNameOrPassword),
///             }
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ohmqtt_broker::StartError> {
/// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
/// let broker = builder.authenticate(Token(b"open sesame")).start().await?;
/// # broker.shutdown(std::time::Duration::ZERO).await;
/// # Ok(())
/// # }
/// ```
pub trait Authenticate: Send + Sync + 'static {
    /// The client's user, or the reason code of the CONNACK that refuses it: one of section 3.2.2.2 that is an error, such as
    /// [`ReasonCode::BadUserNameOrPassword`] or [`ReasonCode::NotAuthorized`].
    ///
    /// Runs on the client's own task, which it must not block: what takes the processor for long goes to another thread
    /// (`tokio::task::spawn_blocking`). It delays that client alone, and any number of clients may be asked about at once.
    ///
    /// Cancel safety: the future is dropped when it is not done within [`Limits::connect_timeout`](crate::Limits::connect_timeout), and
    /// the client refused with Server unavailable (0x88); also when the connection is ended to make room for another.
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>>;
}

/// What is known of a client that asks to connect. `Debug` shows no password.
#[derive(Clone)]
#[non_exhaustive]
pub struct Login {
    /// Its Client Identifier; empty when it asks for one.
    pub client_id: String,
    /// The user name in its CONNECT: its word alone.
    pub user_name: Option<String>,
    /// The password in its CONNECT, at most 65,535 bytes. It may stand without a user name.
    pub password: Option<Bytes>,
    /// Where it comes from, and the names in the certificate it has shown, if it has.
    pub peer: Peer,
    /// The URL of the listener it came to, as [`Broker::urls`](crate::Broker::urls) has it.
    pub listener: Arc<str>,
}

/// Who a client is, once that is settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User(Option<Arc<str>>);

impl Login {
    pub(crate) fn new(connect: &Connect, peer: Peer, listener: Arc<str>) -> Self {
        let text = |text: &ohmqtt_codec::MqttString| text.as_str().to_owned();
        Self {
            client_id: text(&connect.client_id),
            user_name: connect.user_name.as_ref().map(text),
            password: connect
                .password
                .as_ref()
                .map(|password| Bytes::copy_from_slice(password.as_bytes())),
            peer,
            listener,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("peer", &self.peer)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl User {
    /// The user of this name.
    pub fn named(name: impl AsRef<str>) -> Self {
        Self(Some(name.as_ref().into()))
    }

    /// Nobody in particular.
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// The name; `None`: anonymous.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_transport::PeerAddress;

    use super::*;

    #[test]
    fn no_password_shows() {
        let login = Login {
            client_id: "c".to_owned(),
            user_name: Some("alice".to_owned()),
            password: Some(Bytes::from_static(b"s3cret")),
            peer: Peer::new(PeerAddress::Local),
            listener: "mqtt://127.0.0.1:1883".into(),
        };
        let shown = format!("{login:?}");
        assert!(shown.contains("alice"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(!shown.contains("115, 51"), "{shown}");
    }
}
