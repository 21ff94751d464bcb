//! The client that users hold.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Filters, Qos, TopicName};
use ohmqtt_driver::{Cell, Handle, Health, StoreLink};
use ohmqtt_session::{
    ClientSession, DisconnectCause, Instant, LostMessage, Message, PublishError as NotTaken,
    PublishOptions,
};
use ohmqtt_store::StoreError;
use ohmqtt_transport::Endpoint;

use crate::builder::{ClientBuilder, Settings};
use crate::error::{ConnectError, ConnectErrorKind, PublishError, SubscribeError};
use crate::publication::{Publication, Publications};
use crate::publish::Publish;
use crate::queue::Queue;
use crate::routes::{Awaited, Routes};
use crate::state::{Closed, ConnectionState, Metrics};
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
    pub(crate) handle: Handle<ClientSession>,
    pub(crate) publications: Arc<Publications>,
    pub(crate) routes: Mutex<Routes>,
    pub(crate) status: Cell<Status>,
    /// Asked to close, and when to stop waiting for the outbox.
    pub(crate) closing: Cell<Option<Instant>>,
    /// Counted up whenever room may have come into the outbox, or none will ever come.
    room: Cell<u64>,
    /// A SUBSCRIBE or UNSUBSCRIBE waits until a Packet Identifier is free.
    short_of_ids: AtomicBool,
    /// Messages that nobody claims hold up all others.
    pub(crate) stuck: Cell<bool>,
    pub(crate) counters: Counters,
    /// Of the first server that was named.
    pub(crate) address: String,
    /// How the store fares. With one, messages of QoS 1 and 2 are accepted once it has them.
    store: Option<Health>,
    /// Why the last connection ended, between the session's event and the task's look at it.
    cause: Mutex<Option<DisconnectCause>>,
    /// Whoever waits for room in the outbox waits for this first, so that they are served in order.
    turn: tokio::sync::Mutex<()>,
}

/// What is waited on.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) connection: ConnectionState,
    /// Whether the first attempt is over.
    pub(crate) tried: bool,
    /// The task has ended.
    pub(crate) ended: bool,
}

/// What is counted since the client was started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) lost: AtomicU64,
}

/// Closes the client with its last user.
#[derive(Debug)]
struct User(Arc<Shared>);

impl Drop for User {
    fn drop(&mut self) {
        self.0.start_closing(DROP_TIMEOUT);
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
    ) -> Self {
        let status = Status {
            connection: ConnectionState::Connecting {
                attempt: 0,
                last_error: None,
            },
            tried: false,
            ended: false,
        };
        let shared = Arc::new(Shared {
            handle,
            store: settings.store.as_ref().map(StoreLink::health),
            publications: Arc::default(),
            routes: Mutex::new(Routes::new(settings.seed, settings.receive_maximum)),
            status: Cell::new(status),
            closing: Cell::new(None),
            room: Cell::new(0),
            short_of_ids: AtomicBool::new(false),
            stuck: Cell::new(false),
            address,
            counters: Counters::default(),
            cause: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        });
        runtime.spawn(task::run(Arc::clone(&shared), settings));
        let user = Arc::new(User(Arc::clone(&shared)));
        Self {
            shared,
            _user: user,
        }
    }

    /// Waits until the first attempt to connect is over.
    pub(crate) async fn first_attempt(&self) -> Result<(), ConnectError> {
        let ready = |status: &mut Status| match &status.connection {
            ConnectionState::Connected { .. } => Some(Ok(())),
            ConnectionState::Closed { error } => Some(Err(error.clone())),
            ConnectionState::Connecting {
                last_error: Some(error),
                ..
            } if status.tried => Some(Err(error.clone())),
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
        Publish::new(self, topic, payload.into())
    }

    /// A subscription to be made: `client.subscribe(filter).await?`, or `.send()?` without waiting for the server.
    pub fn subscribe(&self, filter: &str) -> Subscribe<'_> {
        Subscribe::new(self, filter)
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

    /// How the connection stands.
    pub fn state(&self) -> ConnectionState {
        self.shared.status.read(|status| status.connection.clone())
    }

    /// Waits until the connection stands as `wanted` says.
    ///
    /// Cancel safety: nothing happens when the future is dropped.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&ConnectionState) -> bool + Unpin,
    ) -> ConnectionState {
        self.shared
            .status
            .until(|status| wanted(&status.connection).then(|| status.connection.clone()))
            .await
    }

    /// Counters, and what stands now. Cheap enough to be asked each second.
    pub fn metrics(&self) -> Metrics {
        let counters = &self.shared.counters;
        let mut metrics = Metrics {
            connections: counters.connections.load(Ordering::Relaxed),
            received: counters.received.load(Ordering::Relaxed),
            lost: counters.lost.load(Ordering::Relaxed),
            dropped: self.shared.routes().dropped,
            ..Metrics::default()
        };
        self.shared.handle.read(|session| {
            (metrics.queued_messages, metrics.queued_bytes) = session.queued();
            metrics.in_flight = session.in_flight();
            metrics.unacknowledged = session.unacknowledged();
            metrics.outbox = session.counters();
        });
        metrics
    }

    /// Why the store does not work, if the last that was asked of it failed. It is tried again by itself.
    pub fn store_error(&self) -> Option<StoreError> {
        self.shared.store.as_ref()?.error()
    }

    /// The Client Identifier: the configured one, or the one the server assigned.
    pub fn client_id(&self) -> String {
        self.shared
            .handle
            .read(|session| session.client_id().as_str().to_owned())
    }

    /// Takes no further message, waits for at most `timeout` until all are acknowledged, says DISCONNECT, and reports what is left.
    ///
    /// When it returns, the server has what was acknowledged, the store has what was not, and the process may end. A server that does
    /// not read or does not hang up costs up to four seconds more.
    ///
    /// Cancel safety: once polled, the client closes also when the future is dropped.
    pub async fn close(&self, timeout: Duration) -> Closed {
        self.shared.start_closing(timeout);
        self.shared
            .status
            .until(|status| status.ended.then_some(()))
            .await;
        let (unacknowledged, bytes) = self.shared.handle.read(ClientSession::queued);
        Closed {
            unacknowledged,
            bytes,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.shared.handle.clock().now()
    }

    pub(crate) fn try_publish(
        &self,
        message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        let shared = &self.shared;
        if shared.closing.read(Option::is_some) {
            return Err(PublishError::Closed(Box::new(message)));
        }
        let accepted = message.qos == Qos::AtMostOnce || shared.store.is_none();
        let Some(publication) = shared.publications.open(message.qos, accepted) else {
            return Err(PublishError::Closed(Box::new(message)));
        };
        let ticket = publication.ticket();
        let options = PublishOptions { ticket, ..options };
        shared
            .handle
            .with(|session, now| {
                for ticket in shared.publications.take_forgotten() {
                    session.forget(ticket);
                }
                session.publish(now, message, options)
            })
            .map_err(|rejected| match rejected.error {
                NotTaken::Full { .. } | NotTaken::StoreBehind => PublishError::Full(rejected),
                _ => PublishError::Refused(rejected),
            })?;
        Ok(publication)
    }

    pub(crate) async fn publish_waiting(
        &self,
        mut message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        let turn = self.shared.turn.lock().await;
        let publication = loop {
            let room = self.shared.room.read(|room| *room);
            match self.try_publish(message, options) {
                Err(PublishError::Full(rejected)) => message = rejected.message,
                other => break other?,
            }
            let changed = |now: &mut u64| (*now != room).then_some(());
            self.shared.room.until(changed).await;
        };
        drop(turn);
        match publication.accepted().await {
            Ok(()) => Ok(publication),
            Err(why) => Err(self.shared.not_accepted(why)),
        }
    }

    pub(crate) fn declare(
        &self,
        filters: Filters,
        queue: Arc<Queue>,
    ) -> Result<(u64, Awaited), SubscribeError> {
        if self.shared.closing.read(Option::is_some) {
            return Err(SubscribeError::Closed);
        }
        let mut routes = self.shared.routes();
        let added = routes.add(filters, queue).ok_or(SubscribeError::Closed)?;
        self.shared.reconcile(&mut routes);
        Ok(added)
    }

    pub(crate) fn undeclare(&self, number: u64) {
        let mut routes = self.shared.routes();
        routes.remove(number);
        self.shared.reconcile(&mut routes);
        self.shared.look_if_stuck(&routes);
    }
}

impl Shared {
    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server for what the subscriptions need.
    pub(crate) fn reconcile(&self, routes: &mut Routes) {
        let short = routes.reconcile(&self.handle);
        self.short_of_ids.store(short, Ordering::Relaxed);
    }

    /// The error of a message that was taken and not accepted.
    fn not_accepted(&self, why: LostMessage) -> PublishError {
        let error = self.store.as_ref().and_then(Health::last_error);
        match (why, error) {
            (LostMessage::StoreFailed, Some(error)) => PublishError::Store(error),
            _ => PublishError::Lost(why),
        }
    }

    /// A message is done, or was sent, or stored: there may be room in the outbox, or a Packet Identifier.
    pub(crate) fn made_room(&self) {
        self.room.update(|room| *room += 1);
        if self.short_of_ids.load(Ordering::Relaxed) {
            self.reconcile(&mut self.routes());
        }
    }

    /// To be called when messages may have come to wait that nobody claims.
    pub(crate) fn look_if_stuck(&self, routes: &Routes) {
        if routes.is_stuck(&self.handle) && !self.stuck.read(|stuck| *stuck) {
            self.stuck.update(|stuck| *stuck = true);
        }
    }

    /// Waits until nothing is left to be delivered.
    pub(crate) async fn delivered(&self) {
        let is_done = |_: &mut u64| (self.handle.read(ClientSession::queued).0 == 0).then_some(());
        self.room.until(is_done).await;
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

    /// Asks the task to close. A later call may only shorten the wait.
    fn start_closing(&self, timeout: Duration) {
        let deadline = self.handle.clock().now() + timeout;
        self.closing.update(|closing| {
            *closing = Some(closing.map_or(deadline, |earlier| earlier.min(deadline)));
        });
        // Whoever waits for room waits in vain.
        self.room.update(|room| *room += 1);
    }

    /// The task has ended: everyone who waits is told.
    pub(crate) fn end(&self, error: ConnectError) {
        self.publications.end_all(LostMessage::Closed);
        self.routes().end();
        self.status.update(|status| {
            status.connection = ConnectionState::Closed { error };
            status.tried = true;
            status.ended = true;
        });
        self.room.update(|room| *room += 1);
    }

    pub(crate) fn error(&self, kind: ConnectErrorKind) -> ConnectError {
        ConnectError {
            kind,
            address: self.address.clone(),
        }
    }
}
