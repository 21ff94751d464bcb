//! What a broker is told once, and what may be wrong with it.

use ohmqtt_transport::{Endpoint, Listen, Scheme, TransportError, listen};

use crate::core::Core;
use crate::listener::Anonymous;
use crate::{Broker, Limits};

/// Settings of a broker. Made by [`Broker::builder`].
#[derive(Clone, Debug)]
#[must_use = "settings start nothing until `start` is called"]
pub struct Builder {
    urls: Vec<String>,
    limits: Limits,
    anonymous: Anonymous,
}

/// Why a broker did not start. Nothing listens then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No URL was given.
    #[error("no address to listen at: give one, as in `listen(\"mqtt://127.0.0.1:1883\")`")]
    NoAddress,
    /// A URL is wrong.
    #[error("{0}")]
    Url(#[source] ohmqtt_transport::ConfigError),
    /// An address could not be listened at.
    #[error("{0}")]
    Listen(#[source] TransportError),
    /// The address can be reached from other machines, and everybody there could do anything.
    #[error(
        "{url} can be reached from other machines, and clients are not asked who they are: listen at 127.0.0.1, or say \
         insecure_allow_anonymous()"
    )]
    AnonymousBeyondLoopback {
        /// The address.
        url: String,
    },
    /// There is no tokio runtime here.
    #[error("a broker runs on a tokio runtime: call start() inside one, with I/O and time enabled")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            urls: Vec::new(),
            limits: Limits::default(),
            anonymous: Anonymous::Loopback,
        }
    }

    /// Adds an address to listen at, as a URL: `mqtt://127.0.0.1:1883`. With port 0 a free one is taken: [`Broker::urls`] tells it.
    ///
    /// Without [`insecure_allow_anonymous`](Self::insecure_allow_anonymous) it is to be a loopback address or `localhost`.
    pub fn listen(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// How much the broker holds and waits for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets anybody who reaches an address connect, publish and subscribe to everything, from other machines too.
    pub fn insecure_allow_anonymous(mut self) -> Self {
        self.anonymous = Anonymous::Anywhere;
        self
    }

    /// Starts the broker: when this returns, it takes connections.
    ///
    /// # Errors
    /// See [`StartError`]: each names the address and what to do.
    ///
    /// Cancel safety: when the future is dropped, nothing listens.
    pub async fn start(self) -> Result<Broker, StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
        if self.urls.is_empty() {
            return Err(StartError::NoAddress);
        }
        let mut listeners: Vec<Box<dyn Listen>> = Vec::new();
        for url in &self.urls {
            let endpoint: Endpoint = url.parse().map_err(StartError::Url)?;
            if self.anonymous == Anonymous::Loopback && !is_loopback(&endpoint) {
                let url = endpoint.to_string();
                return Err(StartError::AnonymousBeyondLoopback { url });
            }
            listeners.push(listen(&endpoint).await.map_err(StartError::Listen)?);
        }
        let core = Core::new(self.limits);
        Ok(Broker::run(core, listeners, self.anonymous))
    }
}

/// Whether only this machine reaches an address. Of other names than `localhost` nobody knows; who comes from elsewhere in spite of
/// its name is turned away by the listener.
fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host().unwrap_or_default();
    endpoint.scheme() == Scheme::Unix
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}
