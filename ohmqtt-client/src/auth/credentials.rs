//! User name and password, and who is asked for them at each connect.

use std::error::Error;
use std::fmt;
use std::future::Future;

use ohmqtt_codec::{Binary, MqttString};
use ohmqtt_transport::BoxFuture;

use crate::error::ConfigError;

/// What a client says in CONNECT of its user (sections 3.1.3.5 and 3.1.3.6). `Debug` shows no password.
///
/// A name of more than 65,535 bytes or with U+0000, and a password of more than 65,535 bytes, are an error of the attempt to connect:
/// [`ConnectErrorKind::Credentials`](crate::ConnectErrorKind::Credentials).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user_name: Option<String>,
    password: Vec<u8>,
}

impl Credentials {
    /// A user name and a password. Many brokers take a token in the place of the password.
    pub fn new(user_name: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        Self {
            user_name: Some(user_name.into()),
            password: password.into(),
        }
    }

    /// A password, or a token, without a user name: MQTT 5.0 allows it (section 3.1.2.9).
    pub fn password_only(password: impl Into<Vec<u8>>) -> Self {
        Self {
            user_name: None,
            password: password.into(),
        }
    }

    /// As CONNECT holds them.
    pub(crate) fn fields(self) -> Result<(Option<MqttString>, Binary), ConfigError> {
        let problem = |field, problem: String| ConfigError::Value { field, problem };
        let user_name = self.user_name.map(MqttString::try_from).transpose();
        let user_name = user_name.map_err(|error| problem("user_name", error.to_string()))?;
        let password = Binary::try_from(self.password);
        let password = password.map_err(|error| problem("password", error.to_string()))?;
        Ok((user_name, password))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// Says user name and password for each attempt to connect: see [`ClientBuilder::credentials`](crate::ClientBuilder::credentials).
///
/// A closure that returns a future of `Result<Credentials, E>` is one, where `E` becomes a boxed error.
pub trait CredentialsProvider: Send + 'static {
    /// The credentials for the next attempt. The time counts against the timeout of the attempt. An error is told as
    /// [`ConnectErrorKind::Credentials`](crate::ConnectErrorKind::Credentials) and the attempt is made again later.
    ///
    /// The future is dropped when the time is up or the client is closed. It runs on the client's task, which it must not block.
    fn credentials(&mut self) -> BoxFuture<'_, Result<Credentials, Box<dyn Error + Send + Sync>>>;
}

impl<F, A, E> CredentialsProvider for F
where
    F: FnMut() -> A + Send + 'static,
    A: Future<Output = Result<Credentials, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn credentials(&mut self) -> BoxFuture<'_, Result<Credentials, Box<dyn Error + Send + Sync>>> {
        let asked = self();
        Box::pin(async { asked.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_shows() {
        for credentials in [
            Credentials::new("alice", "s3cret"),
            Credentials::password_only("s3cret"),
        ] {
            assert!(!format!("{credentials:?}").contains("s3cret"));
            let shown = format!("{:?}", credentials.password);
            assert!(!format!("{credentials:?}").contains(&shown));
        }
    }

    fn check_misfit(credentials: Credentials, want: &str) {
        let Err(ConfigError::Value { field, problem }) = credentials.fields() else {
            panic!("{want}: taken");
        };
        assert_eq!(field, want);
        assert!(!problem.contains("s3cret"), "{problem}");
    }

    #[test]
    fn what_connect_cannot_hold_is_an_error_that_shows_no_secret() {
        check_misfit(Credentials::new("a\0", "s3cret"), "user_name");
        check_misfit(Credentials::new("a".repeat(65_536), "s3cret"), "user_name");
        check_misfit(
            Credentials::password_only("s3cret".repeat(20_000)),
            "password",
        );
    }
}
