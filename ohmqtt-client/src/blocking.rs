//! The same client for programs without a runtime: it runs on a thread of its own, and its methods block the caller.
//!
//! Publications and errors are those of the async client. Nothing here may be called inside an async runtime: it would block it, and
//! tokio refuses that with a panic.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{
    Disconnect, PublishProperties, Qos, ReasonCode, RetainHandling, SubscriptionOptions, TopicName,
};
use ohmqtt_session::AliasPolicy;
use ohmqtt_transport::Endpoint;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::auth::ReauthenticateError;
use crate::automation::{Every, Keep, OnChange};
use crate::error::{ConfigError, PublishError, SubscribeError};
use crate::events::Event;
use crate::health::Health;
use crate::message::Message;
use crate::publication::Publication;
use crate::publish_all::PublishAllError;
use crate::queue::WhenFull;
use crate::request::RequestError;
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

    /// What happens to the client from now on: connections, their ends, what was lost or refused.
    pub fn events(&self) -> Events {
        Events {
            inner: self.inner.events(),
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

/// A message that is about to be published, as [`crate::Publish`].
#[derive(Debug)]
#[must_use = "a message is published by `.send()`"]
pub struct Publish<'a> {
    inner: crate::Publish<'a>,
    runtime: &'a Handle,
}

impl Publish<'_> {
    /// How surely it is delivered; without this, QoS 0.
    pub fn qos(self, qos: Qos) -> Self {
        Self {
            inner: self.inner.qos(qos),
            ..self
        }
    }

    /// Asks the server to keep it for later subscribers of its topic.
    pub fn retain(self, retain: bool) -> Self {
        Self {
            inner: self.inner.retain(retain),
            ..self
        }
    }

    /// Gives up when it could not be sent within this time.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self {
            inner: self.inner.deadline(deadline),
            ..self
        }
    }

    /// Keeps a QoS 0 message for the next connection when there is none now.
    pub fn keep_offline(self, keep: bool) -> Self {
        Self {
            inner: self.inner.keep_offline(keep),
            ..self
        }
    }

    /// Whether it is sent with a topic alias.
    pub fn alias(self, policy: AliasPolicy) -> Self {
        Self {
            inner: self.inner.alias(policy),
            ..self
        }
    }

    /// Sets properties.
    pub fn properties(self, set: impl FnOnce(&mut PublishProperties)) -> Self {
        Self {
            inner: self.inner.properties(set),
            ..self
        }
    }

    /// Blocks until there is room in the outbox and the message is accepted, and returns its handle.
    pub fn send(self) -> Result<Publication, PublishError> {
        self.runtime.block_on(async { self.inner.await })
    }

    /// Takes the message into the outbox now; with a full outbox the error gives it back.
    pub fn try_send(self) -> Result<Publication, PublishError> {
        self.inner.send()
    }
}

/// Many messages that are about to be published, as [`crate::PublishAll`].
#[derive(Debug)]
#[must_use = "messages are published by `.send()`"]
pub struct PublishAll<'a> {
    inner: crate::PublishAll<'a>,
    runtime: &'a Handle,
}

impl PublishAll<'_> {
    /// Blocks until all are in the outbox and accepted, and returns their handles in order.
    pub fn send(self) -> Result<Vec<Publication>, PublishAllError> {
        self.runtime.block_on(async { self.inner.await })
    }

    /// Takes into the outbox now what it has room for; the error gives the rest back.
    pub fn try_send(self) -> Result<Vec<Publication>, PublishAllError> {
        self.inner.send()
    }
}

/// A request that is about to be made, as [`crate::Request`].
#[derive(Debug)]
#[must_use = "a request is made by `.send()`"]
pub struct Request<'a> {
    inner: crate::Request<'a>,
    runtime: &'a Handle,
}

impl<'a> Request<'a> {
    /// How surely it is delivered; without this, QoS 1.
    pub fn qos(self, qos: Qos) -> Self {
        Self {
            inner: self.inner.qos(qos),
            ..self
        }
    }

    /// Sets what else a message may have.
    pub fn with(self, set: impl FnOnce(crate::Publish<'a>) -> crate::Publish<'a>) -> Self {
        Self {
            inner: self.inner.with(set),
            ..self
        }
    }

    /// Makes the request and blocks until it is answered, or its time is up.
    pub fn send(self) -> Result<Message, RequestError> {
        self.runtime.block_on(async { self.inner.await })
    }
}

/// A subscription that is about to be made, as [`crate::Subscribe`].
#[derive(Debug)]
#[must_use = "a subscription is made by `.send()`"]
pub struct Subscribe<'a> {
    inner: crate::Subscribe<'a>,
    client: &'a Client,
}

impl Subscribe<'_> {
    /// One more filter for the same stream, with the same options.
    pub fn and(self, filter: impl AsRef<str>) -> Self {
        Self {
            inner: self.inner.and(filter),
            ..self
        }
    }

    /// One more filter for the same stream, with options of its own.
    pub fn and_with(self, filter: impl AsRef<str>, options: SubscriptionOptions) -> Self {
        Self {
            inner: self.inner.and_with(filter, options),
            ..self
        }
    }

    /// Adds a name and a value of the application's own to the SUBSCRIBE.
    pub fn user_property(self, name: &str, value: &str) -> Self {
        Self {
            inner: self.inner.user_property(name, value),
            ..self
        }
    }

    /// The highest QoS at which the server may deliver.
    pub fn qos(self, qos: Qos) -> Self {
        Self {
            inner: self.inner.qos(qos),
            ..self
        }
    }

    /// Leaves out what this client publishes itself.
    pub fn no_local(self, no_local: bool) -> Self {
        Self {
            inner: self.inner.no_local(no_local),
            ..self
        }
    }

    /// Shows the retain flag as it was published.
    pub fn retain_as_published(self, as_published: bool) -> Self {
        Self {
            inner: self.inner.retain_as_published(as_published),
            ..self
        }
    }

    /// Whether retained messages are sent when the subscription is made.
    pub fn retain_handling(self, handling: RetainHandling) -> Self {
        Self {
            inner: self.inner.retain_handling(handling),
            ..self
        }
    }

    /// How many messages may wait for the reader.
    pub fn capacity(self, messages: usize) -> Self {
        Self {
            inner: self.inner.capacity(messages),
            ..self
        }
    }

    /// How many bytes of messages may wait for the reader.
    pub fn capacity_bytes(self, bytes: usize) -> Self {
        Self {
            inner: self.inner.capacity_bytes(bytes),
            ..self
        }
    }

    /// What becomes of messages when the reader is too slow.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self {
            inner: self.inner.when_full(when_full),
            ..self
        }
    }

    /// Leaves acknowledging to [`Message::ack`] and [`Message::reject`].
    pub fn manual_ack(self) -> Self {
        Self {
            inner: self.inner.manual_ack(),
            ..self
        }
    }

    /// Makes the subscription and blocks until the server has answered.
    pub fn send(self) -> Result<Subscription, SubscribeError> {
        let runtime = &self.client.runtime;
        let inner = runtime.handle.block_on(async { self.inner.await })?;
        Ok(Subscription {
            inner,
            runtime: Arc::clone(runtime),
        })
    }

    /// Declares the subscription without waiting for the server; with a connection it is asked for now, without one at the next.
    pub fn declare(self) -> Result<Subscription, SubscribeError> {
        Ok(Subscription {
            inner: self.inner.send()?,
            runtime: Arc::clone(&self.client.runtime),
        })
    }
}

/// The messages of one subscription, in the order they came, as [`crate::Subscription`]. It is an iterator that ends when the client
/// is closed.
pub struct Subscription {
    inner: crate::Subscription,
    runtime: Arc<Runtime>,
}

impl Subscription {
    /// Blocks until the next message; `None` once the client is closed.
    pub fn recv(&mut self) -> Option<Message> {
        self.runtime.handle.block_on(self.inner.recv())
    }

    /// Blocks until the next message, for at most `timeout`; `None` when there was none, or the client is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Message> {
        let wait = async { tokio::time::timeout(timeout, self.inner.recv()).await };
        self.runtime.handle.block_on(wait).ok().flatten()
    }

    /// The next message if one has come.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.inner.try_recv()
    }

    /// The server's answer: the QoS granted for each filter, in their order. Blocks until it has come.
    pub fn granted(&self) -> Result<Vec<ReasonCode>, SubscribeError> {
        self.runtime.handle.block_on(self.inner.granted())
    }
}

impl Subscription {
    /// Gives every message to a callback from now on, as [`crate::Subscription::on_message`]. The callback may use this client.
    pub fn on_message(
        self,
        callback: impl FnMut(Message) + Send + 'static,
    ) -> Result<Callback, SubscribeError> {
        let inner = self.inner.on_message(callback)?;
        let runtime = self.runtime;
        Ok(Callback { inner, runtime })
    }
}

/// A callback that runs, as [`crate::Callback`].
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Callback {
    inner: crate::Callback,
    runtime: Arc<Runtime>,
}

impl Callback {
    /// Lets it run until the client is closed, without keeping the client alive.
    pub fn forget(self) {
        // The subscription is left first: it may be the last that keeps the runtime.
        self.inner.forget();
        drop(self.runtime);
    }
}

/// The events of a client from a moment on, as [`crate::Events`]. It is an iterator that ends when the client has closed.
#[derive(Debug)]
pub struct Events {
    inner: crate::Events,
    runtime: Arc<Runtime>,
}

impl Events {
    /// Blocks until the next event; `None` once the client has closed and all are told.
    pub fn recv(&mut self) -> Option<Event> {
        self.runtime.handle.block_on(self.inner.recv())
    }

    /// Blocks until the next event, for at most `timeout`; `None` when there was none, or the client is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Event> {
        let wait = async { tokio::time::timeout(timeout, self.inner.recv()).await };
        self.runtime.handle.block_on(wait).ok().flatten()
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.inner.try_recv()
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl Iterator for Subscription {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.recv()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
