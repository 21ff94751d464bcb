//! The client that users hold.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Disconnect, Filters, SubscribeProperties, TopicName};
use ohmqtt_driver::{Cell, Handle, StoreLink};
use ohmqtt_session::{ClientSession, DisconnectCause};
use ohmqtt_store::StoreError;
use ohmqtt_transport::Endpoint;

use crate::auth::{Exchange, ReauthenticateError};
use crate::builder::{ClientBuilder, Settings};
use crate::callback::Callbacks;
use crate::core::Core;
use crate::error::{ConnectError, ConnectErrorKind, PublishError, SubscribeError};
use crate::events::{Bell, Event, Events};
use crate::health::{Health, health};
use crate::inbox::OpenInbox;
use crate::parking::Parking;
use crate::publish::Publish;
use crate::queue::Queue;
use crate::request::Requests;
use crate::routes::{Awaited, Parted, Routes};
use crate::state::{Closed, ConnectionState, Metrics, StateWatch};
use crate::subscription::{Subscribe, Unclaimed};
use crate::task;

/// How long a client that was dropped may take to deliver what it has.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// An MQTT 5.0 client. It runs itself on the tokio runtime it was made in; nobody polls it.
///
/// Clones are the same client. When the last of them and of its [`Subscription`](crate::Subscription)s is dropped it closes in the
/// background; [`close`](Self::close) does so in the foreground and reports.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ohmqtt_client::{Client, Qos};
///
/// let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
/// let client = Client::connect(broker.url()).await?;
/// let mut greetings = client.subscribe("greetings/#").await?;
/// let sent = client.publish("greetings/all", "hello").qos(Qos::AtLeastOnce).await?;
/// println!("{}", sent.acked().await?.reason);
/// assert_eq!(greetings.recv().await.unwrap().payload, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    /// Dropped with the last user.
    _user: Arc<User>,
}

/// What the client's users and its task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    pub(crate) routes: Mutex<Routes>,
    pub(crate) callbacks: Arc<Callbacks>,
    pub(crate) requests: Requests,
    pub(crate) status: Cell<Status>,
    pub(crate) auth: Exchange,
    /// A SUBSCRIBE or UNSUBSCRIBE waits until a Packet Identifier is free.
    short_of_ids: AtomicBool,
    /// Messages that nobody claims hold up all others.
    pub(crate) stuck: Cell<bool>,
    /// Of the first server that was named.
    pub(crate) address: String,
    /// Our own.
    pub(crate) receive_maximum: AtomicU16,
    pub(crate) parking: Parking,
    /// Why the last connection ended, between the session's event and the task's look at it.
    cause: Mutex<Option<DisconnectCause>>,
}

/// What is waited on.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) connection: ConnectionState,
    /// Whether the first attempt is over.
    pub(crate) tried: bool,
    /// The task has ended.
    pub(crate) ended: bool,
    /// The server that is or was tried last, without secrets.
    pub(crate) server: String,
    /// When the next attempt begins, while it is waited for.
    pub(crate) next_attempt: Option<tokio::time::Instant>,
    /// How often the state of the connection has changed.
    pub(crate) changes: u64,
}

impl Status {
    /// The connection stands otherwise from now on.
    pub(crate) fn turn(&mut self, connection: ConnectionState) {
        self.connection = connection;
        self.changes += 1;
    }
}

/// Closes the client with its last user.
#[derive(Debug)]
struct User(Arc<Shared>);

impl Drop for User {
    fn drop(&mut self) {
        self.0.core.start_closing(DROP_TIMEOUT, None);
    }
}

impl Client {
    /// A client of the broker at this URL, to be told more.
    ///
    /// `mqtt://host:port`, `mqtts://`, `ws://`, `wss://`, `unix:/path`, `quic://`; without a scheme it is `mqtt://`. User name and
    /// password may stand in it.
    pub fn builder<U>(url: U) -> ClientBuilder
    where
        U: TryInto<Endpoint>,
        ohmqtt_transport::ConfigError: From<U::Error>,
    {
        ClientBuilder::new(url)
    }

    /// A client of the broker at this URL, connected. Short for `Client::builder(url).connect()`.
    ///
    /// Cancel safety: a client that is dropped with the future closes in the background.
    pub async fn connect<U>(url: U) -> Result<Self, crate::ConnectFailed>
    where
        U: TryInto<Endpoint>,
        ohmqtt_transport::ConfigError: From<U::Error>,
    {
        Self::builder(url).connect().await
    }

    pub(crate) fn spawn(
        runtime: &tokio::runtime::Handle,
        handle: Handle<ClientSession>,
        address: String,
        settings: Settings,
        store: Option<StoreLink>,
        events: Bell,
        parked: bool,
    ) -> Self {
        let connection = if parked {
            ConnectionState::Parked { error: None }
        } else {
            ConnectionState::Connecting {
                attempt: 0,
                last_error: None,
            }
        };
        let status = Status {
            connection,
            tried: false,
            ended: false,
            server: address.clone(),
            next_attempt: None,
            changes: 0,
        };
        let health = store.as_ref().map(StoreLink::health);
        let core = Arc::new(Core::new(handle, health, events));
        let routes = Routes::new(Arc::clone(&core), settings.seed, settings.receive_maximum);
        let shared = Arc::new(Shared {
            core,
            routes: Mutex::new(routes),
            callbacks: Callbacks::new(runtime.clone()),
            requests: Requests::new(settings.response_prefix.clone()),
            status: Cell::new(status),
            auth: Exchange::new(settings.login.authenticator.is_some()),
            short_of_ids: AtomicBool::new(false),
            stuck: Cell::new(false),
            address,
            receive_maximum: settings.receive_maximum.into(),
            parking: Parking::new(store.clone()),
            cause: Mutex::new(None),
        });
        let first = (!parked).then(|| Box::new(settings));
        runtime.spawn(task::run(Arc::clone(&shared), first, store));
        let user = Arc::new(User(Arc::clone(&shared)));
        Self {
            shared,
            _user: user,
        }
    }

    /// Waits until the first attempt to connect is over.
    pub(crate) async fn first_attempt(&self) -> Result<(), ConnectError> {
        let closed = || self.shared.error(ConnectErrorKind::Closed);
        let ready = |status: &mut Status| match &status.connection {
            ConnectionState::Connected { .. } => Some(Ok(())),
            ConnectionState::Closed { error } => Some(Err(error.clone())),
            ConnectionState::Connecting {
                last_error: Some(error),
                ..
            } if status.tried => Some(Err(error.clone())),
            ConnectionState::Parked { error } => Some(Err(error.clone().unwrap_or_else(closed))),
            ConnectionState::Connecting { .. } => None,
        };
        self.shared.status.until(ready).await
    }

    /// A message to be published: `client.publish(topic, payload).qos(..).await?`, or `.send()?` without waiting.
    ///
    /// The topic is a string or a [`TopicName`]. The payload is cheap to pass as [`Bytes`].
    pub fn publish<T>(&self, topic: T, payload: impl Into<Bytes>) -> Publish<'_>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        Publish::new(&self.shared.core, topic, payload.into())
    }

    /// A subscription to be made: `client.subscribe(filter).await?`, or `.send()?` without waiting for the server.
    ///
    /// The filter is a string or a [`TopicFilter`](crate::TopicFilter).
    pub fn subscribe(&self, filter: impl AsRef<str>) -> Subscribe<'_> {
        Subscribe::new(self, filter.as_ref())
    }

    /// The messages no subscription claims, such as those of a session that went on before its subscriptions were declared. Up to 1,000
    /// wait for a subscription or for this; more are dropped, acknowledged and counted.
    ///
    /// They are acknowledged when they are handed over. If that keeps the server from sending anything to other subscriptions for ten
    /// seconds, they are acknowledged and wait on.
    pub fn unclaimed(&self) -> Unclaimed {
        Unclaimed {
            queue: Arc::clone(&self.shared.routes().unclaimed),
        }
    }

    /// A stream for the messages of several subscriptions: see [`Inbox`](crate::Inbox).
    pub fn inbox(&self) -> OpenInbox<'_> {
        OpenInbox::new(&self.shared)
    }

    /// How the connection stands.
    pub fn state(&self) -> ConnectionState {
        self.shared.status.read(|status| status.connection.clone())
    }

    /// The same as something that is waited on: each change of it, one after another.
    pub fn watch(&self) -> StateWatch {
        StateWatch::new(Arc::clone(&self.shared))
    }

    /// Waits until the connection stands as `wanted` says, or the client has closed, and returns how it stands. A state that is over
    /// before it was looked at may be missed.
    ///
    /// Cancel safety: nothing happens when the future is dropped.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> ConnectionState {
        let mut watch = self.watch();
        let mut state = watch.current();
        // The user's function is called with no lock held: it may ask the client.
        while !wanted(&state)
            && let Some(next) = watch.changed().await
        {
            state = next;
        }
        state
    }

    /// What happens to the client from now on: connections, their ends, what was lost or refused. From its beginning on:
    /// [`ClientBuilder::events`].
    pub fn events(&self) -> Events {
        self.shared.core.events.listen()
    }

    /// Authenticates anew on the connection that stands, by the [authenticator](ClientBuilder::authenticator) (section 4.12.1), and waits
    /// for the end of it. Messages flow meanwhile. A failure ends the connection, except one to begin.
    ///
    /// It may take as long as [connecting may](ClientBuilder::connect_timeout).
    ///
    /// Cancel safety: once polled, the exchange goes on also when the future is dropped.
    pub async fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        self.shared.auth.reauthenticate().await
    }

    /// Counters, and what stands now. Cheap enough to be asked each second.
    pub fn metrics(&self) -> Metrics {
        let Core {
            counters, handle, ..
        } = &*self.shared.core;
        let (received, dropped) = {
            let routes = self.shared.routes();
            (routes.arrived, routes.dropped)
        };
        let mut metrics = Metrics {
            connections: counters.connections.load(Ordering::Relaxed),
            received,
            lost: counters.lost.load(Ordering::Relaxed),
            late_replies: counters.late_replies.load(Ordering::Relaxed),
            abandoned: counters.abandoned.load(Ordering::Relaxed),
            dropped,
            ..Metrics::default()
        };
        handle.read(|session| {
            (metrics.queued_messages, metrics.queued_bytes) = session.queued();
            metrics.in_flight = session.in_flight();
            metrics.unacknowledged = session.unacknowledged();
            metrics.outbox = session.counters();
        });
        metrics
    }

    /// What stands in the way of messages, if anything does: no route, a refusal, a server that acknowledges nothing or says nothing, a
    /// full outbox, a store that fails, readers that do not read. Cheap enough to be asked each second.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// assert_eq!(client.health().to_string(), "all flows");
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        health(&self.shared)
    }

    /// Why the store does not work, if the last that was asked of it failed. It is tried again by itself.
    pub fn store_error(&self) -> Option<StoreError> {
        self.shared.core.store_error()
    }

    /// The Client Identifier: the configured one, or the one the server assigned.
    pub fn client_id(&self) -> String {
        let handle = &self.shared.core.handle;
        handle.read(|session| session.client_id().as_str().to_owned())
    }

    /// Takes no further message, waits for at most `timeout` until all are acknowledged, says DISCONNECT, and reports what is left.
    ///
    /// When it returns, the server has what was acknowledged, the store has what was not, and the process may end. A server that does
    /// not read or does not hang up costs up to four seconds more. With [`Duration::MAX`] it waits as long as it takes.
    ///
    /// Where the server chose the Client Identifier the session ends too, because nobody could go on with it.
    ///
    /// Cancel safety: once polled, the client closes also when the future is dropped.
    pub async fn close(&self, timeout: Duration) -> Closed {
        self.end_by(timeout, None).await
    }

    /// As [`close`](Self::close), with a DISCONNECT of your own (section 3.14):
    /// [`DisconnectWithWillMessage`](crate::ReasonCode::DisconnectWithWillMessage) has the server publish the will, a Session Expiry
    /// Interval of 0 ends the session. Of several, the first counts.
    ///
    /// Cancel safety: once polled, the client closes also when the future is dropped.
    pub async fn close_with(&self, timeout: Duration, disconnect: Disconnect) -> Closed {
        self.end_by(timeout, Some(disconnect)).await
    }

    async fn end_by(&self, timeout: Duration, last_word: Option<Disconnect>) -> Closed {
        self.shared.core.start_closing(timeout, last_word);
        self.shared
            .status
            .until(|status| status.ended.then_some(()))
            .await;
        let (unacknowledged, bytes) = self.shared.core.handle.read(ClientSession::queued);
        Closed {
            unacknowledged,
            bytes,
        }
    }

    pub(crate) fn declare(
        &self,
        filters: Filters,
        properties: SubscribeProperties,
        queue: Arc<Queue>,
        shares_queue: bool,
        before: Option<u64>,
    ) -> Result<(u64, Awaited), SubscribeError> {
        self.shared
            .declare(filters, properties, queue, shares_queue, before)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.shared.callbacks
    }

    pub(crate) fn undeclare(&self, number: u64) -> Parted {
        self.shared.undeclare(number)
    }
}

impl Shared {
    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn declare(
        &self,
        filters: Filters,
        properties: SubscribeProperties,
        queue: Arc<Queue>,
        shares_queue: bool,
        before: Option<u64>,
    ) -> Result<(u64, Awaited), SubscribeError> {
        if self.core.is_closing() {
            return Err(SubscribeError::Closed);
        }
        let mut routes = self.routes();
        let added = routes.add(filters, properties, queue, shares_queue);
        let added = added.ok_or(SubscribeError::Closed)?;
        if let Some(before) = before {
            routes.remove(before);
        }
        self.reconcile(&mut routes);
        Ok(added)
    }

    pub(crate) fn undeclare(&self, number: u64) -> Parted {
        let mut routes = self.routes();
        let parted = routes.remove(number);
        self.reconcile(&mut routes);
        self.look_if_stuck(&routes);
        parted
    }

    /// Asks the server for what the subscriptions need.
    pub(crate) fn reconcile(&self, routes: &mut Routes) {
        let short = routes.reconcile();
        self.short_of_ids.store(short, Ordering::Relaxed);
    }

    /// A message is done, or was sent, or stored: there may be room in the outbox, or a Packet Identifier.
    pub(crate) fn made_room(&self) {
        self.core.made_room();
        if self.short_of_ids.load(Ordering::Relaxed) {
            self.reconcile(&mut self.routes());
        }
    }

    /// To be called when messages may have come to wait that nobody claims.
    pub(crate) fn look_if_stuck(&self, routes: &Routes) {
        if routes.is_stuck() && !self.stuck.read(|stuck| *stuck) {
            self.stuck.update(|stuck| *stuck = true);
        }
    }

    pub(crate) fn put_cause(&self, cause: DisconnectCause) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
    }

    pub(crate) fn take_cause(&self) -> DisconnectCause {
        let cause = self
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        cause.unwrap_or(DisconnectCause::StreamEnded)
    }

    /// The task has ended: everyone who waits is told.
    pub(crate) fn end(&self, error: ConnectError) {
        self.routes().end();
        self.parking.end();
        self.auth.ended(&error);
        let told = error.clone();
        self.status.update(|status| {
            status.turn(ConnectionState::Closed { error });
            status.tried = true;
            status.ended = true;
        });
        self.core.events.ring(Event::Closed { error: told });
        self.core.end();
    }

    pub(crate) fn error(&self, kind: ConnectErrorKind) -> ConnectError {
        ConnectError {
            kind,
            address: self.address.clone(),
        }
    }
}
