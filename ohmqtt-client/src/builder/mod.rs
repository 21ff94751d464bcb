//! What a client is told once: where to connect, who it is, and what it keeps.

mod auth;
#[cfg(feature = "tcp")]
mod proxy;
mod servers;
#[cfg(feature = "tls-no-provider")]
mod tls;
#[cfg(feature = "ws")]
mod ws;

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{Binary, ConnectProperties, MqttString, TopicName, Will};
use ohmqtt_driver::{Clock, Handle, StoreLink};
use ohmqtt_session::{
    BackoffLimits, ClientConfig, ClientSession, OutboxLimits, Overflow, SessionLoss, Window,
};
use ohmqtt_store::{Durability, Prefix, Store, Writer};
use ohmqtt_transport::{Connect, Connector, Endpoint};

use crate::auth::Login;
use crate::client::Client;
use crate::error::{ConfigError, ConnectError};
use crate::events::{Bell, Events};
use crate::parking;
use crate::servers::Servers;

/// Builds a [`Client`]. The first setting that is wrong is told when the client is started.
///
/// Without settings: a Client Identifier of the server's choosing, a session kept by the server for an hour after a connection ends, a
/// Keep Alive of 60 seconds, an outbox of 65,536 messages or 64 MiB in memory, reconnecting for ever after a first success.
#[must_use = "a client is made by `.connect()` or `.start()`"]
pub struct ClientBuilder {
    /// In the order they are tried; not one when the first URL is wrong.
    endpoints: Vec<Endpoint>,
    redirects: u32,
    retry_everything: bool,
    problem: Option<ConfigError>,
    session: ClientConfig,
    login: Login,
    store: Option<(Box<dyn Store>, Durability)>,
    outbox: Option<OutboxLimits>,
    /// What connects when there is no `custom`.
    connector: Connector,
    custom: Option<Arc<dyn Connect>>,
    backoff: BackoffLimits,
    seed: u64,
    events: Bell,
    max_packet_size: u32,
    response_prefix: Option<TopicName>,
    one_connection: bool,
}

/// What a client's task needs to know.
pub(crate) struct Settings {
    pub(crate) servers: Servers,
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) login: Login,
    pub(crate) connect_timeout: Duration,
    pub(crate) backoff: BackoffLimits,
    pub(crate) seed: u64,
    pub(crate) max_packet_size: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) response_prefix: Option<TopicName>,
    /// No further attempt once a connection has ended, or did not come about.
    pub(crate) one_connection: bool,
}

/// What a builder comes to.
pub(crate) struct Parts {
    /// What the session is told: all of it at its beginning, its CONNECT when it is resumed.
    pub(crate) session: ClientConfig,
    pub(crate) settings: Settings,
    store: Option<(Box<dyn Store>, Durability)>,
    address: String,
    events: Bell,
}

/// What an outbox on a disk holds when nothing else is said.
const ON_DISK: OutboxLimits = OutboxLimits {
    messages: 4 * 1024 * 1024,
    bytes: 4 * 1024 * 1024 * 1024,
};

impl ClientBuilder {
    pub(crate) fn new<U>(url: U) -> Self
    where
        U: TryInto<Endpoint>,
        ohmqtt_transport::ConfigError: From<U::Error>,
    {
        let mut session = ClientConfig::new(MqttString::default());
        // The session outlives a connection, so that what was accepted survives a broken one.
        session.connect.properties.set_session_expiry_interval(3600);
        // Always: it costs two bytes, and whether requests will be made is not known yet.
        session
            .connect
            .properties
            .set_request_response_information(true);
        let builder = Self {
            endpoints: Vec::new(),
            redirects: 5,
            retry_everything: false,
            problem: None,
            session,
            login: Login::default(),
            store: None,
            outbox: None,
            connector: Connector::new(),
            custom: None,
            backoff: BackoffLimits::default(),
            seed: fastrand::u64(..),
            events: Bell::new(),
            max_packet_size: 16 * 1024 * 1024,
            response_prefix: None,
            one_connection: false,
        };
        // As many as may wait for a subscription that claims them: none of a session's backlog is dropped before there is one.
        let builder = builder.receive_maximum(1000);
        builder.or(url)
    }

    /// The Client Identifier: the name of the session at the server (section 3.1.3.1). Empty: the server chooses.
    pub fn client_id(mut self, id: &str) -> Self {
        match self.check("client_id", MqttString::try_from(id)) {
            Some(id) => self.session.connect.client_id = id,
            None => return self,
        }
        self
    }

    /// The user name. A URL may hold it too; this one counts.
    pub fn user_name(mut self, name: &str) -> Self {
        self.session.connect.user_name = self.check("user_name", MqttString::try_from(name));
        self
    }

    /// The password, at most 65,535 bytes. A URL may hold it too; this one counts.
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.session.connect.password = self.check("password", Binary::try_from(password.into()));
        self
    }

    /// With `true`, without which it is so, the first connection begins a new session. With `false` it goes on with the session the
    /// server holds under this Client Identifier (section 3.1.2.4). Later connections always go on.
    pub fn clean_start(mut self, clean: bool) -> Self {
        self.session.connect.clean_start = clean;
        self
    }

    /// How long the server keeps the session after a connection ends, in whole seconds (section 3.1.2.11.2).
    pub fn session_expiry(self, expiry: Duration) -> Self {
        let seconds = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        self.connect_properties(|properties| properties.set_session_expiry_interval(seconds))
    }

    /// How long the connection may be silent before it is asked after, in whole seconds up to 65,535; zero: for ever
    /// (section 3.1.2.10).
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.session.connect.keep_alive = u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// How many messages of QoS 1 and 2 the server may have under way to us: the bound of what is received and not acknowledged
    /// (section 3.1.2.11.3). Without this, 1,000; zero is an error.
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        let maximum = NonZeroU16::new(messages).ok_or("must not be 0");
        match self.check("receive_maximum", maximum) {
            Some(maximum) => {
                self.connect_properties(|properties| properties.set_receive_maximum(maximum))
            }
            None => self,
        }
    }

    /// The largest packet we accept, in bytes; the server is told (section 3.1.2.11.4). Without this, 16 MiB.
    pub fn max_packet_size(mut self, bytes: u32) -> Self {
        let size = NonZeroU32::new(bytes).ok_or("must not be 0");
        if let Some(size) = self.check("max_packet_size", size) {
            self.max_packet_size = size.get();
        }
        self
    }

    /// What the server publishes when the connection ends other than in order (section 3.1.2.5).
    pub fn will(mut self, will: Will) -> Self {
        self.session.connect.will = Some(will);
        self
    }

    /// What the topics begin with on which answers to [requests](Client::request) are awaited; the Client Identifier follows. Without
    /// this, the server's Response Information (section 3.2.2.3.15), or `ohmqtt/replies` where it gives none.
    pub fn response_prefix(mut self, prefix: &str) -> Self {
        self.response_prefix = self.check("response_prefix", TopicName::new(prefix));
        self
    }

    /// Sets CONNECT properties that have no method of their own here.
    pub fn connect_properties(mut self, set: impl FnOnce(&mut ConnectProperties)) -> Self {
        set(&mut self.session.connect.properties);
        self
    }

    /// How long an attempt to connect to one server may take, from resolving its name to its CONNACK. Without this, 30 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.session.connect_timeout = timeout;
        self
    }

    /// How long to wait between attempts, or between rounds of attempts where there are [several servers](Self::or): a random time
    /// up to `min`, doubling up to `max`. A connection that has stood for ten seconds begins anew. Without this, 1 to 60 seconds.
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff = BackoffLimits { min, max };
        self
    }

    /// How much may be accepted and not acknowledged: messages, and bytes counted as packets. Without this, 65,536 messages or 64 MiB;
    /// with a store, where only a [window](Self::window) of it is in memory, 4,194,304 messages or 4 GiB.
    pub fn outbox(mut self, messages: usize, bytes: usize) -> Self {
        self.outbox = Some(OutboxLimits { messages, bytes });
        self
    }

    /// With a store: how much of what is not sent yet is held in memory; the rest is read in its turn. Without this, 1,024 messages or
    /// 4 MiB, bytes counted as packets.
    pub fn window(mut self, messages: usize, bytes: usize) -> Self {
        self.session.outbox.window = Window { messages, bytes };
        self
    }

    /// What becomes of a message that finds the outbox full. Without this it waits (`.await`, or the blocking client), or is given back
    /// (`.send()`).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.session.outbox.overflow = overflow;
        self
    }

    /// What becomes of unacknowledged messages when the server has lost the session.
    pub fn session_loss(mut self, policy: SessionLoss) -> Self {
        self.session.session_loss = policy;
        self
    }

    /// Keeps what must survive a crash in this store: accepted messages of QoS 1 and 2 until they are acknowledged, and the identifiers
    /// of received ones. Needs a Client Identifier of your own; the next client on the same store, with the same identifier, goes on
    /// with them and with the server's session.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use ohmqtt_client::{Client, Durability, Qos, RedbStore};
    ///
    /// let client = Client::builder("mqtt://broker.example")
    ///     .client_id("gateway-7")
    ///     .store(RedbStore::open("outbox.redb")?, Durability::Safe)
    ///     .start()?;
    /// // On the disk once this returns, whether there is a connection or not.
    /// client.publish("readings", "21.5").qos(Qos::AtLeastOnce).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, store: impl Store, durability: Durability) -> Self {
        self.store = Some((Box::new(store), durability));
        self.session.durable = true;
        self
    }

    /// Connects in a way of your own, in the place of all that is set here of TLS, WebSocket and proxies. It is given each
    /// server's URL as it stands, whatever its scheme.
    ///
    /// The example `own_transport` carries MQTT through a queue in memory.
    pub fn connector(mut self, connector: impl Connect) -> Self {
        self.custom = Some(Arc::new(connector));
        self
    }

    /// What will happen to the client, from its beginning on. To be asked for before it is started;
    /// [`Client::events`] begins where it is called.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// use ohmqtt_client::{Client, Event};
    ///
    /// let builder = Client::builder(broker.url());
    /// let mut events = builder.events();
    /// let client = builder.start()?;
    /// assert!(matches!(events.recv().await, Some(Event::Connected { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        self.events.listen()
    }

    /// Leaves connecting again to the caller: when a connection has ended, or none came about with any of the servers, the client is
    /// [parked](Client::park), with the error, until it is [resumed](Client::resume).
    pub fn one_connection(mut self) -> Self {
        self.one_connection = true;
        self
    }

    /// Makes the waits between attempts repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn check<T, E: ToString>(&mut self, field: &'static str, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem.get_or_insert(ConfigError::Value {
                    field,
                    problem: error.to_string(),
                });
                None
            }
        }
    }

    /// Starts the client and waits until the first attempt to connect has succeeded, or returns why it has not. From then on the
    /// client reconnects by itself.
    ///
    /// Cancel safety: a client that is dropped with the future closes in the background.
    pub async fn connect(self) -> Result<Client, ConnectFailed> {
        let client = self.start()?;
        client.first_attempt().await?;
        Ok(client)
    }

    /// Starts the client and returns at once. It connects in the background, for as long as it takes; subscriptions and messages may
    /// be given to it meanwhile. An error that no waiting mends (bad credentials, say) ends the attempts, unless
    /// [`retry_everything`](Self::retry_everything) was said: see [`Client::state`].
    ///
    /// A store is read back first, and blocks the thread for that.
    pub fn start(self) -> Result<Client, ConfigError> {
        let parts = self.into_parts()?;
        if parts.store.is_some() && parts.session.connect.client_id.is_empty() {
            return Err(ConfigError::StoreNeedsClientId);
        }
        parts.spawn(false)
    }

    /// Starts the client and connects to nothing: subscriptions and messages may be given to it, and [`Client::resume`] tells it later
    /// where to connect. For programs that learn only then where to, or as whom. Of this builder nothing counts but what is said of the
    /// store and the outbox, of events, and the response prefix.
    ///
    /// A [store](Self::store) needs no Client Identifier here: it keeps one session, and remembers under which identifier.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// use ohmqtt_client::{Client, Qos};
    ///
    /// let client = Client::builder("localhost").park()?;
    /// let early = client.publish("log", "made before there was a connection").qos(Qos::AtLeastOnce).send()?;
    /// client.resume(Client::builder(broker.url()).client_id("logger"))?;
    /// assert!(!early.acked().await?.reason.is_error());
    /// # Ok(())
    /// # }
    /// ```
    pub fn park(self) -> Result<Client, ConfigError> {
        self.into_parts()?.spawn(true)
    }

    pub(crate) fn into_parts(mut self) -> Result<Parts, ConfigError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let address = self.endpoints.first().map(Endpoint::to_string);
        let spacious = self.store.as_ref().map(|_| ON_DISK);
        self.session.outbox.limits = self.outbox.or(spacious).unwrap_or_default();
        if let Some(size) = NonZeroU32::new(self.max_packet_size) {
            self.session
                .connect
                .properties
                .set_maximum_packet_size(size);
        }
        let receive_maximum = self.session.connect.properties.receive_maximum();
        let receive_maximum = receive_maximum.unwrap_or(NonZeroU16::MAX);
        // Properties may name a method that needs no authenticator.
        if self.login.method.is_none() {
            let method = self.session.connect.properties.authentication_method();
            self.login.method = method.and_then(|method| MqttString::try_from(method).ok());
        }
        let settings = Settings {
            servers: Servers::new(self.endpoints, self.redirects, self.retry_everything),
            connector: self.custom.unwrap_or_else(|| Arc::new(self.connector)),
            login: self.login,
            connect_timeout: self.session.connect_timeout,
            backoff: self.backoff,
            seed: self.seed,
            max_packet_size: self.max_packet_size,
            receive_maximum: receive_maximum.get(),
            response_prefix: self.response_prefix,
            one_connection: self.one_connection,
        };
        Ok(Parts {
            session: self.session,
            settings,
            store: self.store,
            address: address.unwrap_or_default(),
            events: self.events,
        })
    }
}

impl Parts {
    fn spawn(mut self, parked: bool) -> Result<Client, ConfigError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
        let store = match self.store {
            None => None,
            Some((store, durability)) => {
                let client_id = &mut self.session.connect.client_id;
                let prefix = Prefix::session(client_id);
                if client_id.is_empty() {
                    *client_id = parking::remembered(&*store, &prefix)?;
                }
                Some(StoreLink::new(Writer::spawn(store, durability)?, prefix))
            }
        };
        let handle = Handle::new(ClientSession::new(self.session), Clock::new());
        if let Some(store) = &store {
            store.restore(&handle)?;
        }
        let client = Client::spawn(
            &runtime,
            handle,
            self.address,
            self.settings,
            store,
            self.events,
            parked,
        );
        Ok(client)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// The client was not given what it needs, or the first attempt to connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailed {
    /// Nothing was tried.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The attempt failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}
