//! Which servers a client goes to, and when it gives up.

use ohmqtt_transport::Endpoint;

use super::ClientBuilder;
use crate::error::ConfigError;

impl ClientBuilder {
    /// Another server, tried when those named before do not accept a connection.
    ///
    /// All are tried in turn, each with a [`connect_timeout`](Self::connect_timeout) of its own and its name looked up anew; then a
    /// wait (see [`backoff`](Self::backoff)), then the next round. The one that accepted last is tried first, because it holds the
    /// session. One where no waiting helps (a bad certificate, say) is left out until another has accepted.
    ///
    /// They are one service to the client, which is the same to each: user name and password may stand in any of the URLs, and are
    /// sent to all.
    ///
    /// ```
    /// use ohmqtt_client::Client;
    ///
    /// let client = Client::builder("quic://broker.example").or("mqtts://broker.example").or("wss://broker.example");
    /// ```
    pub fn or<U>(mut self, url: U) -> Self
    where
        U: TryInto<Endpoint>,
        ohmqtt_transport::ConfigError: From<U::Error>,
    {
        match url.try_into() {
            Ok(endpoint) => self.add(endpoint),
            Err(error) => {
                self.problem.get_or_insert(ConfigError::Url(error.into()));
                self
            }
        }
    }

    fn add(mut self, endpoint: Endpoint) -> Self {
        let credentials = (endpoint.user_name(), endpoint.password());
        if credentials != (None, None) {
            let mut before = self
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.user_name(), endpoint.password()))
                .filter(|credentials| *credentials != (None, None));
            if before.any(|before| before != credentials) {
                let different = Err("user name or password differ from those of the URL before");
                self.check::<(), _>("or", different);
            }
            let (user, password) = (
                credentials.0.map(str::to_owned),
                credentials.1.map(<[u8]>::to_vec),
            );
            if let Some(user) = user.filter(|_| self.session.connect.user_name.is_none()) {
                self = self.user_name(&user);
            }
            if let Some(password) = password.filter(|_| self.session.connect.password.is_none()) {
                self = self.password(password);
            }
        }
        self.endpoints.push(endpoint);
        self
    }

    /// How many times in a row a server is obeyed that sends the client to another one (section 4.11). Without this, 5; with 0 a
    /// redirect is an error.
    ///
    /// The user name and the password are sent to the other server, too. What its reference leaves open, such as the transport, stays
    /// as it was; a reference that leads from an encrypted connection to one that is not is not followed. A server that has moved for
    /// good takes the place of the one that said so for as long as this client runs.
    pub fn redirects(mut self, most: u32) -> Self {
        self.redirects = most;
        self
    }

    /// Never gives up but when it is closed: also what no waiting mends, such as bad credentials, a bad certificate, or another client
    /// with the same Client Identifier, is tried again after a wait. For a device that nobody attends, whose server may be mended.
    pub fn retry_everything(mut self) -> Self {
        self.retry_everything = true;
        self
    }
}
