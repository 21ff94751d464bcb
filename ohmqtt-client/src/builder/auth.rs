//! How a client says who it is.

use ohmqtt_codec::MqttString;

use super::ClientBuilder;
use crate::auth::{Authenticator, CredentialsProvider};

impl ClientBuilder {
    /// Asks for user name and password before each attempt to connect, in place of [`user_name`](Self::user_name) and
    /// [`password`](Self::password): for tokens that expire, and secrets that are exchanged while the client runs.
    ///
    /// A closure that returns a future will do. The time it takes counts against the
    /// [timeout of the attempt](Self::connect_timeout); its error is told as
    /// [`ConnectErrorKind::Credentials`](crate::ConnectErrorKind::Credentials), and it is asked again after the
    /// [wait between attempts](Self::backoff). A server that refuses credentials (0x86, 0x87) may take the next ones, so they are tried;
    /// it refuses for good when it does so twice in a row, unless [`retry_everything`](Self::retry_everything) was said.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let url = broker.url();
    /// # async fn fetch_token() -> std::io::Result<String> { Ok("7h3 t0k3n".into()) }
    /// use std::io;
    /// use ohmqtt_client::{Client, Credentials};
    ///
    /// let credentials = || async {
    ///     // From a service or a file; it may be another one each time.
    ///     let token = fetch_token().await?;
    ///     Ok::<_, io::Error>(Credentials::new("gateway-7", token))
    /// };
    /// let client = Client::builder(url).credentials(credentials).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
        self.login.provider = Some(Box::new(provider));
        self
    }

    /// Authenticates by this method of enhanced authentication, at each connect and by
    /// [`Client::reauthenticate`](crate::Client::reauthenticate) (section 4.12).
    ///
    /// Nothing else happens on a connection before the authenticator has said whether the server is who it should be. Its failure ends
    /// the attempt as [`ConnectErrorKind::Authentication`](crate::ConnectErrorKind::Authentication).
    ///
    /// `ScramSha256` (feature `scram`) is one; this is one for brokers that take a token as a method of its own:
    ///
    /// ```
    /// use ohmqtt_client::{AuthError, Authenticator, BoxFuture, Client};
    /// use bytes::Bytes;
    ///
    /// struct Token;
    ///
    /// impl Authenticator for Token {
    ///     fn method(&self) -> &str {
    ///         "OAUTH2-JWT"
    ///     }
    ///
    ///     fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
    ///         Box::pin(async {
    ///             let token = fetch_token().await.map_err(AuthError::unavailable)?;
    ///             Ok(Some(token.into()))
    ///         })
    ///     }
    ///
    ///     fn answer(&mut self, _: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
    ///         let why = "more was asked for than a token";
    ///         Box::pin(async move { Err(AuthError::Malformed(why.into())) })
    ///     }
    ///
    ///     fn finish(&mut self, _: Option<Bytes>) -> Result<(), AuthError> {
    ///         // The server proves nothing by this method; TLS does.
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # async fn fetch_token() -> std::io::Result<String> { Ok("7h3 t0k3n".into()) }
    /// let client = Client::builder("mqtts://broker.example").authenticator(Token);
    /// ```
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        let method = MqttString::try_from(authenticator.method());
        self.login.method = self.check("authenticator", method);
        self.login.authenticator = Some(Box::new(authenticator));
        self
    }
}
