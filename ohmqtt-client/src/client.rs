//! The client that users hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Filters, TopicName, UnsubscribeProperties};
use ohmqtt_driver::{Cell, Handle};
use ohmqtt_session::{
    ClientSession, DisconnectCause, Instant, LostMessage, Message, PublishError as NotTaken,
    PublishOptions, Ticket,
};
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
    pub(crate) publications: Publications,
    pub(crate) routes: Mutex<Routes>,
    pub(crate) status: Cell<Status>,
    pub(crate) counters: Counters,
    pub(crate) address: String,
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
    /// Asked to close, and when to stop waiting for the outbox.
    pub(crate) closing: Option<Instant>,
    /// Room may have come into the outbox: counted up at each message that is done.
    pub(crate) room: u64,
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
        settings: Settings,
    ) -> Self {
        let status = Status {
            connection: ConnectionState::Connecting {
                attempt: 0,
                last_error: None,
            },
            tried: false,
            closing: None,
            room: 0,
            ended: false,
        };
        let shared = Arc::new(Shared {
            handle,
            publications: Publications::default(),
            routes: Mutex::new(Routes::new(settings.seed)),
            status: Cell::new(status),
            address: settings.endpoint.to_string(),
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
    /// wait; more are dropped, acknowledged and counted.
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
        });
        metrics
    }

    /// The Client Identifier: the configured one, or the one the server assigned.
    pub fn client_id(&self) -> String {
        self.shared
            .handle
            .read(|session| session.client_id().as_str().to_owned())
    }

    /// Takes no further message, waits for at most `timeout` until all are acknowledged, says DISCONNECT, and reports what is left.
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
        if shared
            .status
            .read(|status| status.closing.is_some() || status.ended)
        {
            return Err(PublishError::Closed(Box::new(message)));
        }
        let (ticket, publication) = shared.publications.open(message.qos);
        let options = PublishOptions { ticket, ..options };
        let taken = shared.handle.with(|session, now| {
            let is_durable = session.is_durable();
            let qos = message.qos;
            session
                .publish(now, message, options)
                .map(|()| !is_durable || qos == ohmqtt_codec::Qos::AtMostOnce)
        });
        match taken {
            Ok(true) => {
                shared.publications.accepted(ticket);
                Ok(publication)
            }
            Ok(false) => Ok(publication),
            Err(rejected) => {
                shared.publications.cancel(ticket);
                Err(match rejected.error {
                    NotTaken::Full { .. } => PublishError::Full(rejected),
                    _ => PublishError::Refused(rejected),
                })
            }
        }
    }

    pub(crate) async fn publish_waiting(
        &self,
        mut message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        let turn = self.shared.turn.lock().await;
        let publication = loop {
            let room = self.shared.status.read(|status| status.room);
            match self.try_publish(message, options) {
                Err(PublishError::Full(rejected)) => message = rejected.message,
                other => break other?,
            }
            let changed = |status: &mut Status| (status.room != room || status.ended).then_some(());
            self.shared.status.until(changed).await;
        };
        drop(turn);
        publication.accepted().await?;
        Ok(publication)
    }

    pub(crate) fn declare(
        &self,
        filters: Filters,
        queue: Arc<Queue>,
    ) -> Result<(u64, Awaited), SubscribeError> {
        if self
            .shared
            .status
            .read(|status| status.closing.is_some() || status.ended)
        {
            return Err(SubscribeError::Closed);
        }
        let mut routes = self.shared.routes();
        let added = routes.add(filters, queue);
        routes.reconcile(&self.shared.handle);
        Ok(added)
    }

    pub(crate) fn undeclare(&self, number: u64) {
        let Some(filters) = self.shared.routes().remove(number) else {
            return;
        };
        // Without a connection the server learns of it when the next one is reconciled; a session that goes on may still deliver
        // what is claimed by nobody then.
        let _ = self.shared.handle.with(|session, _| {
            session.unsubscribe(filters, UnsubscribeProperties::default(), Ticket::NONE)
        });
    }
}

impl Shared {
    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room may have come into the outbox.
    pub(crate) fn made_room(&self) {
        self.status.update(|status| status.room += 1);
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
        self.status.update(|status| {
            status.closing = Some(
                status
                    .closing
                    .map_or(deadline, |earlier| earlier.min(deadline)),
            );
        });
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
    }

    pub(crate) fn error(&self, kind: ConnectErrorKind) -> ConnectError {
        ConnectError {
            kind,
            address: self.address.clone(),
        }
    }
}
