//! What messages and publications hold of their client: the way to its session, the way out, and its events.
//!
//! It knows nothing of subscriptions, whose queues hold messages: so no circle is closed.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ohmqtt_codec::{Disconnect, Qos, ReasonCode};
use ohmqtt_driver::{Cell, Handle, Health};
use ohmqtt_session::{
    ClientSession, Instant, LostMessage, Message, PublishError as NotTaken, PublishOptions, Ticket,
};
use ohmqtt_store::StoreError;

use crate::error::PublishError;
use crate::events::Bell;
use crate::publication::Publication;
use crate::publications::Publications;

/// A message that is to be published.
pub(crate) type Draft = (Message, PublishOptions);

/// The part of a client that its messages and publications hold on to.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) handle: Handle<ClientSession>,
    pub(crate) publications: Arc<Publications>,
    pub(crate) events: Bell,
    /// Asked to close, and when to stop waiting for the outbox.
    pub(crate) closing: Cell<Option<Instant>>,
    /// The same, for a look that takes no lock.
    is_closing: AtomicBool,
    /// What is said then, where it was chosen.
    last_word: OnceLock<Disconnect>,
    /// The server chooses the Client Identifier, so that nobody will ever ask for the session again.
    is_anonymous: AtomicBool,
    pub(crate) counters: Counters,
    /// Counted up whenever room may have come into the outbox, or none will ever come.
    room: Cell<u64>,
    /// How the store fares. With one, messages of QoS 1 and 2 are accepted once it has them.
    store: Option<Health>,
    /// Whoever waits for room in the outbox waits for this first, so that they are served in order.
    turn: tokio::sync::Mutex<()>,
    /// The last message found no room.
    was_full: AtomicBool,
    /// The first of those that did, and when.
    full: Mutex<Option<Box<(Instant, Message)>>>,
}

/// What is counted since the client was started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) lost: AtomicU64,
    /// Answers that no request waited for.
    pub(crate) late_replies: AtomicU64,
    /// Messages that the application dropped without a word.
    pub(crate) abandoned: AtomicU64,
}

impl Core {
    pub(crate) fn new(handle: Handle<ClientSession>, store: Option<Health>, events: Bell) -> Self {
        let is_anonymous = handle.read(|session| session.client_id().is_empty());
        Self {
            handle,
            is_anonymous: AtomicBool::new(is_anonymous),
            publications: Arc::default(),
            events,
            closing: Cell::new(None),
            is_closing: AtomicBool::new(false),
            last_word: OnceLock::new(),
            counters: Counters::default(),
            room: Cell::new(0),
            store,
            turn: tokio::sync::Mutex::new(()),
            was_full: AtomicBool::new(false),
            full: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.handle.clock().now()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Why the store does not work, if the last that was asked of it failed.
    pub(crate) fn store_error(&self) -> Option<StoreError> {
        self.store.as_ref()?.error()
    }

    /// Takes a message into the outbox, or says why not.
    pub(crate) fn try_publish(
        &self,
        message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        if self.is_closing() {
            return Err(PublishError::Closed(Box::new(message)));
        }
        self.with_session(|session, now| self.put(session, now, message, options))
    }

    /// As [`try_publish`](Self::try_publish), without a publication. Its end still makes room.
    pub(crate) fn try_publish_unwatched(
        &self,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), PublishError> {
        if self.is_closing() || self.publications.have_ended() {
            return Err(PublishError::Closed(Box::new(message)));
        }
        let ticket = Ticket::RESTORED;
        let options = PublishOptions { ticket, ..options };
        self.with_session(|session, now| self.give(session, now, message, options))
    }

    /// Takes messages into the outbox up to the first that is not taken, all under one lock of the session: its driver wakes once and
    /// finds them all, and so does the store's writer. The error comes with the options of its message.
    pub(crate) fn try_publish_all(
        &self,
        rest: &mut VecDeque<Draft>,
        taken: &mut Vec<Publication>,
    ) -> Result<(), (PublishError, PublishOptions)> {
        if self.is_closing()
            && let Some((message, options)) = rest.pop_front()
        {
            return Err((PublishError::Closed(Box::new(message)), options));
        }
        self.with_session(|session, now| {
            while let Some((message, options)) = rest.pop_front() {
                let publication = self.put(session, now, message, options.clone());
                taken.push(publication.map_err(|error| (error, options))?);
            }
            Ok(())
        })
    }

    fn with_session<R>(&self, call: impl FnOnce(&mut ClientSession, Instant) -> R) -> R {
        self.handle.with(|session, now| {
            for ticket in self.publications.take_forgotten() {
                session.forget(ticket);
            }
            call(session, now)
        })
    }

    #[inline]
    fn put(
        &self,
        session: &mut ClientSession,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        let accepted = message.qos == Qos::AtMostOnce || self.store.is_none();
        let Some(publication) = self.publications.open(message.qos, accepted) else {
            return Err(PublishError::Closed(Box::new(message)));
        };
        let ticket = publication.ticket();
        let options = PublishOptions { ticket, ..options };
        self.give(session, now, message, options)
            .map(|()| publication)
    }

    #[inline]
    fn give(
        &self,
        session: &mut ClientSession,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), PublishError> {
        let rejected = match session.publish(now, message, options) {
            Ok(()) => {
                self.note_full(None);
                return Ok(());
            }
            Err(rejected) => rejected,
        };
        Err(match rejected.error {
            NotTaken::Full { .. } | NotTaken::StoreBehind => {
                self.note_full(Some(&rejected.message));
                PublishError::Full(rejected)
            }
            _ => PublishError::Refused(rejected),
        })
    }

    /// Remembers the first message that finds no room, until one does.
    fn note_full(&self, refused: Option<&Message>) {
        // On the way of every message there is no lock to be had for this.
        if self.was_full.load(Ordering::Relaxed) != refused.is_some() {
            self.change_full(refused);
        }
    }

    #[cold]
    fn change_full(&self, refused: Option<&Message>) {
        self.was_full.store(refused.is_some(), Ordering::Relaxed);
        *self.full() = refused.map(|message| Box::new((self.now(), message.clone())));
    }

    /// Since when publishers have found no room, if that is still so.
    pub(crate) fn outbox_full_since(&self, session: &ClientSession) -> Option<Instant> {
        let full = self.full();
        let full = full.as_ref().filter(|full| !session.has_room(&full.1));
        full.map(|full| full.0)
    }

    fn full(&self) -> MutexGuard<'_, Option<Box<(Instant, Message)>>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`try_publish`](Self::try_publish), in its turn, once there is room, and until the message is accepted.
    pub(crate) async fn publish_waiting(
        &self,
        message: Message,
        options: PublishOptions,
    ) -> Result<Publication, PublishError> {
        let attempt = |message| match self.try_publish(message, options.clone()) {
            Err(PublishError::Full(rejected)) => ControlFlow::Continue(rejected.message),
            other => ControlFlow::Break(other),
        };
        let publication = self.in_turn(message, attempt).await?;
        match publication.accepted().await {
            Ok(()) => Ok(publication),
            Err(why) => Err(self.not_accepted(why)),
        }
    }

    /// Waits for its turn, and then for room as often as `attempt` finds too little for what it is given.
    pub(crate) async fn in_turn<T, R>(
        &self,
        mut given: T,
        mut attempt: impl FnMut(T) -> ControlFlow<R, T>,
    ) -> R {
        let _turn = self.turn.lock().await;
        loop {
            let room = self.room_count();
            match attempt(given) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(rest) => given = rest,
            }
            self.more_room(room).await;
        }
    }

    /// Another number whenever there may be more room in the outbox.
    pub(crate) fn room_count(&self) -> u64 {
        self.room.read(|room| *room)
    }

    /// Waits until there may be more room than there was at this number.
    pub(crate) async fn more_room(&self, than: u64) {
        let changed = |now: &mut u64| (*now != than).then_some(());
        self.room.until(changed).await;
    }

    /// The error of a message that was taken and not accepted.
    pub(crate) fn not_accepted(&self, why: LostMessage) -> PublishError {
        let error = self.store.as_ref().and_then(Health::last_error);
        match (why, error) {
            (LostMessage::StoreFailed, Some(error)) => PublishError::Store(error),
            _ => PublishError::Lost(why),
        }
    }

    /// A message is done, or was sent, or stored: there may be room in the outbox.
    pub(crate) fn made_room(&self) {
        self.room.update(|room| *room += 1);
    }

    /// Waits until nothing is left to be delivered.
    pub(crate) async fn delivered(&self) {
        let is_done = |_: &mut u64| (self.handle.read(ClientSession::queued).0 == 0).then_some(());
        self.room.until(is_done).await;
    }

    /// Asks the task to close. A later call may only shorten the wait.
    pub(crate) fn start_closing(&self, timeout: Duration, last_word: Option<Disconnect>) {
        if let Some(last_word) = last_word {
            self.last_word.get_or_init(|| last_word);
        }
        let deadline = self.now() + timeout;
        self.is_closing.store(true, Ordering::Release);
        self.closing.update(|closing| {
            *closing = Some(closing.map_or(deadline, |earlier| earlier.min(deadline)));
        });
        // Whoever waits for room waits in vain.
        self.made_room();
    }

    /// Whether the server chooses the Client Identifier of the next connection.
    pub(crate) fn set_anonymous(&self, is_anonymous: bool) {
        self.is_anonymous.store(is_anonymous, Ordering::Relaxed);
    }

    /// The DISCONNECT to close with.
    pub(crate) fn last_word(&self) -> Disconnect {
        if let Some(chosen) = self.last_word.get() {
            return chosen.clone();
        }
        let mut disconnect = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        if self.is_anonymous.load(Ordering::Relaxed) {
            disconnect.properties.set_session_expiry_interval(0);
        }
        disconnect
    }

    /// The client's task has ended: nothing more will be heard of any message.
    pub(crate) fn end(&self) {
        self.publications.end_all(LostMessage::Closed);
        self.made_room();
        self.events.end();
    }
}
