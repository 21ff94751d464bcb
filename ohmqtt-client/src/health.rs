//! Why nothing flows, if nothing does: one answer made of what connection, session, store and readers know.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ohmqtt_session::{ClientSession, Instant};
use ohmqtt_store::StoreError;

use crate::client::{Shared, Status};
use crate::error::ConnectError;
use crate::state::ConnectionState;

/// What stands in the way of a client's messages, from [`Client::health`](crate::Client::health). Its text says all of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// The most fundamental first; none when everything flows.
    pub obstacles: Vec<Obstacle>,
}

impl Health {
    /// Whether nothing stands in the way.
    pub fn is_flowing(&self) -> bool {
        self.obstacles.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.obstacles.split_first() else {
            return f.write_str("all flows");
        };
        first.fmt(f)?;
        others
            .iter()
            .try_for_each(|obstacle| write!(f, "; {obstacle}"))
    }
}

/// One thing that stands in the way. Times are how long it has been so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Obstacle {
    /// The first attempt to connect is under way.
    Connecting,
    /// No server is reached: the network, a name, a certificate, a server that hangs up.
    NoRoute {
        /// Why the last attempt or connection ended.
        error: ConnectError,
        /// Until the next attempt; `None` while one is under way.
        retry_in: Option<Duration>,
    },
    /// The server has refused the connection, or ended it with a reason of its own.
    Refused {
        /// What it said.
        error: ConnectError,
        /// Until the next attempt; `None` while one is under way.
        retry_in: Option<Duration>,
    },
    /// The client connects when it is [resumed](crate::Client::resume).
    Parked {
        /// Why the last connection ended, or did not come about; `None` when it was parked on request.
        error: Option<ConnectError>,
    },
    /// The client has closed, and tries no more.
    Closed {
        /// Why.
        error: ConnectError,
    },
    /// The server leaves a PINGREQ without an answer (section 3.12.4).
    ServerSilent {
        /// Since that was to leave.
        since: Duration,
    },
    /// The server has not acknowledged as many messages as it accepts at once: its Receive Maximum is used up (section 4.9).
    QuotaFull {
        /// Messages under way.
        in_flight: usize,
        /// Since the last that was sent.
        since: Duration,
    },
    /// The outbox has no room, and publishers wait or are refused.
    OutboxFull {
        /// Messages in it.
        messages: usize,
        /// Their size in bytes.
        bytes: usize,
        /// Since the first that found no room.
        since: Duration,
    },
    /// The store failed, and is tried again: its disk is full, say. Nothing is accepted meanwhile that needs it.
    StoreFailed {
        /// What it said last.
        error: StoreError,
    },
    /// The store is slower than what it is given: what waits for it is a second's work or more.
    StoreBehind {
        /// Operations that wait.
        operations: usize,
        /// What they occupy in memory, in bytes.
        bytes: usize,
    },
    /// As many messages as our Receive Maximum allows wait for the application to acknowledge them, or to read them: the server sends no
    /// more of QoS 1 and 2.
    ReaderSlow {
        /// Messages that wait.
        unacknowledged: usize,
    },
    /// The application dropped messages that it was to acknowledge: what the server sent behind them is not acknowledged before the next
    /// connection.
    Abandoned {
        /// How many, on this connection.
        messages: usize,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("not connected yet"),
            Self::NoRoute { error, retry_in } => {
                write!(f, "no connection: {error}{}", Retry(*retry_in))
            }
            Self::Refused { error, retry_in } => write!(f, "refused: {error}{}", Retry(*retry_in)),
            Self::Parked { error: Some(error) } => write!(f, "parked: {error}"),
            Self::Parked { error: None } => f.write_str("parked: resume it"),
            Self::Closed { error } => write!(f, "closed: {error}"),
            Self::ServerSilent { since } => {
                write!(f, "the server has not answered a PINGREQ for {since:.1?}")
            }
            Self::QuotaFull { in_flight, since } => write!(
                f,
                "the server accepts no more than the {in_flight} messages it has not acknowledged, and has acknowledged none for {since:.1?}"
            ),
            Self::OutboxFull {
                messages,
                bytes,
                since,
            } => write!(
                f,
                "the outbox is full with {messages} messages of {bytes} bytes, for {since:.1?}"
            ),
            Self::StoreFailed { error } => write!(f, "the store failed: {error}"),
            Self::StoreBehind { operations, bytes } => write!(
                f,
                "the store is behind: {operations} operations of {bytes} bytes wait for it"
            ),
            Self::ReaderSlow { unacknowledged } => write!(
                f,
                "{unacknowledged} messages that came wait to be read or acknowledged by the application, and the server sends no more"
            ),
            Self::Abandoned { messages } => write!(
                f,
                "{messages} messages were dropped without being acknowledged, which holds up the acknowledgements behind them until the next connection"
            ),
        }
    }
}

/// When the next attempt is, as the end of a sentence.
struct Retry(Option<Duration>);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, " (next attempt in {wait:.1?})"),
            None => f.write_str(" (trying again now)"),
        }
    }
}

/// So much waits for a store that is behind: half of what the session lets wait for it.
const BEHIND: usize = 4 * 1024 * 1024;

/// Asks everyone.
pub(crate) fn health(shared: &Shared) -> Health {
    let mut obstacles = Vec::new();
    obstacles.extend(shared.status.read(of_connection));
    let (core, now) = (&shared.core, shared.core.now());
    let receive_maximum = shared.receive_maximum.load(Ordering::Relaxed);
    core.handle.read(|session| {
        obstacles.extend(of_session(session, now, receive_maximum));
        obstacles.extend(core.outbox_full_since(session).map(|since| {
            let (messages, bytes) = session.queued();
            Obstacle::OutboxFull {
                messages,
                bytes,
                since: now.since(since),
            }
        }));
    });
    let store_error = core.store_error();
    obstacles.extend(store_error.map(|error| Obstacle::StoreFailed { error }));
    Health { obstacles }
}

fn of_connection(status: &Status) -> Option<Obstacle> {
    match &status.connection {
        ConnectionState::Connected { .. } => None,
        ConnectionState::Parked { error } => Some(Obstacle::Parked {
            error: error.clone(),
        }),
        ConnectionState::Closed { error } => Some(Obstacle::Closed {
            error: error.clone(),
        }),
        ConnectionState::Connecting {
            last_error: None, ..
        } => Some(Obstacle::Connecting),
        ConnectionState::Connecting {
            last_error: Some(error),
            ..
        } => {
            let error = error.clone();
            let next = status.next_attempt;
            let retry_in = next.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
            Some(if error.reason_code().is_some() {
                Obstacle::Refused { error, retry_in }
            } else {
                Obstacle::NoRoute { error, retry_in }
            })
        }
    }
}

fn of_session(
    session: &ClientSession,
    now: Instant,
    receive_maximum: u16,
) -> impl Iterator<Item = Obstacle> {
    let silent = session.ping_unanswered_since();
    // While the session does not listen, nothing can be heard.
    let silent = silent.filter(|_| !session.is_held_back());
    let silent = silent.map(|since| Obstacle::ServerSilent {
        since: now.since(since),
    });
    let quota = session.quota_full_since().map(|since| Obstacle::QuotaFull {
        in_flight: session.in_flight(),
        since: now.since(since),
    });
    let (operations, bytes) = session.store_waiting();
    let behind = (bytes >= BEHIND).then_some(Obstacle::StoreBehind { operations, bytes });
    let unacknowledged = session.unacknowledged();
    let slow = session.is_held_back() || unacknowledged >= usize::from(receive_maximum);
    let slow = slow.then_some(Obstacle::ReaderSlow { unacknowledged });
    let messages = session.abandoned();
    let abandoned = (messages > 0).then_some(Obstacle::Abandoned { messages });
    [silent, quota, behind, slow, abandoned]
        .into_iter()
        .flatten()
}
