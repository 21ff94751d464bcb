//! The same client for programs without a runtime: it runs on a thread of its own, and its methods block the caller.
//!
//! Publications and errors are those of the async client. Nothing here may be called inside an async runtime: it would block it, and
//! tokio refuses that with a panic.

mod events;
mod publish;
mod subscribe;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Disconnect, TopicName};
use ohmqtt_store::StoreError;
use ohmqtt_transport::Endpoint;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

pub use self::events::Events;
pub use self::publish::{Publish, PublishAll, Request};
pub use self::subscribe::{Callback, Subscribe, Subscription, Unclaimed};
use crate::auth::ReauthenticateError;
use crate::automation::{Every, Keep, OnChange};
use crate::error::{ConfigError, PublishError};
use crate::health::Health;
use crate::state::{Closed, ConnectionState, Metrics};
use crate::{ClientBuilder, ConnectFailed};

/// An MQTT 5.0 client for programs without a runtime.
///
/// Clones are the same client. It closes in the background when the last of them and of its subscriptions is dropped;
/// [`close`](Self::close) does so in the foreground and reports. A process that ends without it may lose what is only in memory.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let broker = runtime.block_on(async { ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await })?;
/// # let url = broker.url();
/// use std::time::Duration;
/// use ohmqtt_client::{Qos, blocking::Client};
///
/// let client = Client::connect(url)?;
/// let mut greetings = client.subscribe("greetings/#").send()?;
/// let sent = client.publish("greetings/all", "hello").qos(Qos::AtLeastOnce).send()?;
/// println!("{}", sent.wait_acked(Duration::from_secs(5))?.reason);
/// assert_eq!(greetings.recv_timeout(Duration::from_secs(5)).unwrap().payload, "hello");
/// client.close(Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Runtime>,
}

/// A runtime on a thread of its own, which ends with its last user.
#[derive(Debug)]
struct Runtime {
    handle: Handle,
    /// Dropped to end the thread, once the client has closed.
    _alive: oneshot::Sender<()>,
}

impl Runtime {
    /// Starts the thread.
    fn spawn() -> Result<Self, ConfigError> {
        let problem = |error: std::io::Error| ConfigError::Value {
            field: "runtime",
            problem: error.to_string(),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(problem)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        let run = move || {
            let _ = runtime.block_on(ended);
            // Tasks that are closing a dropped client get their time; the deadline of each is its own.
            let metrics = runtime.metrics();
            runtime.block_on(async {
                while metrics.num_alive_tasks() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        };
        thread::Builder::new()
            .name("ohmqtt-client".to_owned())
            .spawn(run)
            .map_err(problem)?;
        Ok(Self {
            handle,
            _alive: alive,
        })
    }
}

impl Client {
    /// A client of the broker at this URL, connected.
    ///
    /// Blocks until the first attempt to connect is over. For other settings see [`Client::with`].
    pub fn connect<U>(url: U) -> Result<Self, ConnectFailed>
    where
        U: TryInto<Endpoint>,
        ohmqtt_transport::ConfigError: From<U::Error>,
    {
        Self::with(crate::Client::builder(url))
    }

    /// The client that a builder describes, connected. Blocks until the first attempt to connect is over.
    pub fn with(builder: ClientBuilder) -> Result<Self, ConnectFailed> {
        let runtime = Runtime::spawn()?;
        let inner = runtime.handle.block_on(builder.connect())?;
        Ok(Self {
            inner,
            runtime: Arc::new(runtime),
        })
    }

    /// The client that a builder describes. It connects in the background; this does not wait for that.
    pub fn start(builder: ClientBuilder) -> Result<Self, ConfigError> {
        let runtime = Runtime::spawn()?;
        let inner = {
            let _inside = runtime.handle.enter();
            builder.start()?
        };
        Ok(Self {
            inner,
            runtime: Arc::new(runtime),
        })
    }

    /// A message to be published: `client.publish(topic, payload).qos(..).send()?` waits for room in the outbox.
    pub fn publish<T>(&self, topic: T, payload: impl Into<Bytes>) -> Publish<'_>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        Publish {
            inner: self.inner.publish(topic, payload),
            runtime: &self.runtime.handle,
        }
    }

    /// Many messages to be published at once, as [`crate::Client::publish_all`]: `.send()?` waits for room in the outbox.
    pub fn publish_all<'a>(
        &'a self,
        messages: impl IntoIterator<Item = Publish<'a>>,
    ) -> PublishAll<'a> {
        let messages = messages.into_iter().map(|message| message.inner);
        PublishAll {
            inner: self.inner.publish_all(messages),
            runtime: &self.runtime.handle,
        }
    }

    /// A message that is answered, as [`crate::Client::request`]: `client.request(topic, payload, timeout).send()?` is the answer. A
    /// callback may wait for one.
    pub fn request<T>(&self, topic: T, payload: impl Into<Bytes>, timeout: Duration) -> Request<'_>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        Request {
            inner: self.inner.request(topic, payload, timeout),
            runtime: &self.runtime.handle,
        }
    }

    /// Publishes by itself at an interval, as [`crate::Client::every`].
    pub fn every(&self, interval: Duration) -> Every<'_> {
        let runtime: Keep = Arc::clone(&self.runtime) as _;
        Every::new(&self.inner, interval, Some(runtime))
    }

    /// Publishes a value by itself when it changes, as [`crate::Client::on_change`].
    pub fn on_change(&self, min_interval: Duration) -> OnChange<'_> {
        let runtime: Keep = Arc::clone(&self.runtime) as _;
        OnChange::new(&self.inner, min_interval, Some(runtime))
    }

    /// A subscription to be made: `client.subscribe(filter).send()?` waits for the server's answer.
    pub fn subscribe(&self, filter: impl AsRef<str>) -> Subscribe<'_> {
        Subscribe {
            inner: self.inner.subscribe(filter),
            client: self,
        }
    }

    /// How the connection stands.
    pub fn state(&self) -> ConnectionState {
        self.inner.state()
    }

    /// Blocks until the connection stands as `wanted` says or the client has closed, for at most `timeout`, and returns how it stands
    /// then.
    pub fn wait_for(
        &self,
        timeout: Duration,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> ConnectionState {
        let wait = async { tokio::time::timeout(timeout, self.inner.wait_for(wanted)).await };
        let state = self.runtime.handle.block_on(wait);
        state.unwrap_or_else(|_| self.state())
    }

    /// The messages that no subscription claims, as [`crate::Client::unclaimed`].
    pub fn unclaimed(&self) -> Unclaimed {
        Unclaimed {
            inner: self.inner.unclaimed(),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// What happens to the client from now on: connections, their ends, what was lost or refused. From its beginning on:
    /// [`events_from`](Self::events_from).
    pub fn events(&self) -> Events {
        self.events_from(self.inner.events())
    }

    /// Events that were asked for by [`ClientBuilder::events`], before the client was started, to be blocked on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let broker = runtime.block_on(async { ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await })?;
    /// # let url = broker.url();
    /// use ohmqtt_client::{Client, Event, blocking};
    ///
    /// let builder = Client::builder(url);
    /// let beginning = builder.events();
    /// let client = blocking::Client::start(builder)?;
    /// let mut events = client.events_from(beginning);
    /// assert!(matches!(events.recv(), Some(Event::Connected { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events_from(&self, beginning: crate::Events) -> Events {
        Events {
            inner: beginning,
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// Authenticates anew on the connection that stands, and blocks until that has ended, as [`crate::Client::reauthenticate`].
    pub fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        self.runtime.handle.block_on(self.inner.reauthenticate())
    }

    /// Counters, and what stands now.
    pub fn metrics(&self) -> Metrics {
        self.inner.metrics()
    }

    /// What stands in the way of messages, if anything does.
    pub fn health(&self) -> Health {
        self.inner.health()
    }

    /// Why the store does not work, if the last that was asked of it failed.
    pub fn store_error(&self) -> Option<StoreError> {
        self.inner.store_error()
    }

    /// The Client Identifier: the configured one, or the one the server assigned.
    pub fn client_id(&self) -> String {
        self.inner.client_id()
    }

    /// Takes no further message, waits for at most `timeout` until all are acknowledged, says DISCONNECT, and reports what is left.
    pub fn close(&self, timeout: Duration) -> Closed {
        self.runtime.handle.block_on(self.inner.close(timeout))
    }

    /// As [`close`](Self::close), with a DISCONNECT of your own (see [`crate::Client::close_with`]).
    pub fn close_with(&self, timeout: Duration, disconnect: Disconnect) -> Closed {
        let close = self.inner.close_with(timeout, disconnect);
        self.runtime.handle.block_on(close)
    }
}
