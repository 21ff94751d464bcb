//! What a broker is told once, and what may be wrong with it.

use std::fmt;
use std::sync::Arc;

use ohmqtt_codec::MqttString;
use ohmqtt_driver::StoreLinks;
use ohmqtt_store::{Durability, Store, StoreError, Writer};
use ohmqtt_transport::{Endpoint, Listen, ListenOptions, Scheme, TransportError, listen_with};

use crate::access::{Access, FileError, Settings};
use crate::core::Core;
use crate::faults::Seam;
use crate::store::restore;
use crate::{Broker, Limits};

/// Settings of a broker. Made by [`Broker::builder`].
#[must_use = "settings start nothing until `start` is called"]
pub struct Builder {
    places: Vec<Place>,
    limits: Limits,
    response_information: Option<String>,
    pub(crate) settings: Settings,
    store: Option<(Box<dyn Store>, Durability)>,
}

/// Where a broker listens.
enum Place {
    Url(String, Box<ListenOptions>),
    Own(Box<dyn Listen>),
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
        "{url} can be reached from other machines, and clients are not asked who they are: listen at 127.0.0.1, ask them, as by \
         passwords(), or say insecure_allow_anonymous()"
    )]
    AnonymousBeyondLoopback {
        /// The address.
        url: String,
    },
    /// The response information is no text that a packet can hold.
    #[error("the response information has a null character or more than 65,535 bytes")]
    ResponseInformation,
    /// A file that says who may do what cannot be used.
    #[error("{0}")]
    Access(#[source] FileError),
    /// What the store has could not be read back. It is as it was.
    #[error("{0}")]
    Store(#[source] StoreError),
    /// There is no tokio runtime here.
    #[error("a broker runs on a tokio runtime: call start() inside one, with I/O and time enabled")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            limits: Limits::default(),
            response_information: None,
            settings: Settings::default(),
            store: None,
        }
    }

    /// Adds an address to listen at, as a URL: `mqtt://127.0.0.1:1883`. With port 0 a free one is taken: [`Broker::urls`] tells it.
    ///
    /// It is to be a loopback address or `localhost`, unless clients are asked who they are, as by [`authenticate`](Self::authenticate), or
    /// [`insecure_allow_anonymous`](Self::insecure_allow_anonymous) is said.
    pub fn listen(self, url: impl Into<String>) -> Self {
        self.listen_with(url, ListenOptions::new())
    }

    /// As [`listen`](Self::listen), and says how: a certificate to show for `mqtts`, `wss` and `quic`, whose clients to let in, the
    /// permissions of a socket file. An identity alone may stand for the options.
    ///
    /// ```no_run
    /// # #[cfg(feature = "tls")]
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use ohmqtt_broker::{Broker, Identity};
    ///
    /// let identity = Identity::from_files("broker.pem", "broker.key")?;
    /// let broker = Broker::builder().listen_with("mqtts://127.0.0.1:8883", identity).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen_with(
        mut self,
        url: impl Into<String>,
        options: impl Into<ListenOptions>,
    ) -> Self {
        self.places
            .push(Place::Url(url.into(), Box::new(options.into())));
        self
    }

    /// Adds a listener of your own, for a stream of your own.
    pub fn listener(mut self, listener: impl Listen) -> Self {
        self.places.push(Place::Own(Box::new(listener)));
        self
    }

    /// How much the broker holds and waits for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What clients that ask for Response Information (section 3.2.2.3.15) are told: what their response topics are to begin with.
    pub fn response_information(mut self, prefix: impl Into<String>) -> Self {
        self.response_information = Some(prefix.into());
        self
    }

    /// Keeps in this store what must survive a crash: sessions that outlive their connections, their subscriptions and queued messages,
    /// and retained messages. The next broker with the store goes on where this one ended. Without it all this goes with the process.
    ///
    /// What is acknowledged is stored: PUBACK, PUBREC, SUBACK and UNSUBACK leave when the store has what they stand for, and say so when
    /// it fails. [`Durability`] says what that means. Wills that wait for their delay are kept; those of clients that were connected when the
    /// broker ended are not published.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ohmqtt_broker::{Broker, Durability, MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), ohmqtt_broker::StartError> {
    /// let store = MemoryStore::default(); // or a file: `RedbStore::open("broker.redb")?`
    /// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    /// let broker = builder.store(store.clone(), Durability::Safe).start().await?;
    /// broker.shutdown(Duration::from_secs(1)).await;
    ///
    /// // What clients have left is there again.
    /// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    /// let broker = builder.store(store, Durability::Safe).start().await?;
    /// # broker.shutdown(Duration::from_secs(1)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, store: impl Store, durability: Durability) -> Self {
        self.store = Some((Box::new(store), durability));
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
        if self.places.is_empty() {
            return Err(StartError::NoAddress);
        }
        let information = self.response_information.map(MqttString::try_from);
        let information = information.transpose();
        let information = information.map_err(|_| StartError::ResponseInformation)?;
        let mut listeners: Vec<Box<dyn Listen>> = Vec::new();
        for place in self.places {
            let (url, options) = match place {
                Place::Url(url, options) => (url, options),
                Place::Own(listener) => {
                    listeners.push(listener);
                    continue;
                }
            };
            let endpoint: Endpoint = url.parse().map_err(StartError::Url)?;
            if !self.settings.is_for_others() && !is_loopback(&endpoint) {
                let url = endpoint.to_string();
                return Err(StartError::AnonymousBeyondLoopback { url });
            }
            let listener = listen_with(&endpoint, *options).await;
            listeners.push(listener.map_err(StartError::Listen)?);
        }
        let seam = Seam::new();
        let settings = self.settings;
        let reading = tokio::task::spawn_blocking(move || settings.open());
        // It ends with the runtime, or with a panic that has been printed.
        let access = reading.await.map_err(|_| StartError::NoRuntime)?;
        let access = access.map_err(StartError::Access)?;
        let core = match self.store {
            None => Core::new(self.limits, access, None),
            Some((store, durability)) => {
                restored(self.limits, access, seam.store(store), durability).await?
            }
        };
        core.lock().response_information = information;
        let listeners = seam.listeners(&core, listeners);
        Ok(Broker::run(core, listeners, seam))
    }
}

/// A broker's state as the store has it.
async fn restored(
    limits: Limits,
    access: Access,
    store: Box<dyn Store>,
    durability: Durability,
) -> Result<Arc<Core>, StartError> {
    let reading = tokio::task::spawn_blocking(move || {
        let links = StoreLinks::new(Writer::spawn(store, durability)?);
        let core = Core::new(limits, access, Some(links));
        restore(&core)?;
        Ok(core)
    });
    // It ends with the runtime, or with a panic that has been printed.
    let core: Result<_, StoreError> = reading.await.map_err(|_| StartError::NoRuntime)?;
    core.map_err(StartError::Store)
}

/// A URL that is not parsed yet may hold a secret, so none is shown.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_, options) => f.debug_tuple("Url").field(options).finish(),
            Self::Own(listener) => f.debug_tuple("Own").field(&listener.local()).finish(),
        }
    }
}

/// Shows no store: it says nothing of itself.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("places", &self.places)
            .field("limits", &self.limits)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
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
