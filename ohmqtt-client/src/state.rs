//! What a client says of its connection, and of itself at the end.

use std::sync::Arc;

use ohmqtt_session::OutboxCounters;

use crate::client::Shared;
use crate::error::ConnectError;

/// How the connection stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// An attempt is under way, or the next one is waited for.
    Connecting {
        /// Attempts since the last connection, this one included.
        attempt: u32,
        /// Why the last attempt or connection ended.
        last_error: Option<ConnectError>,
    },
    /// The server has accepted the connection.
    Connected {
        /// Whether the server went on with an old session.
        session_present: bool,
    },
    /// There is no connection, and none is tried before [`Client::resume`](crate::Client::resume).
    Parked {
        /// Why the last connection ended, or did not come about; `None` when it was parked on request, or never resumed.
        error: Option<ConnectError>,
    },
    /// There will be no further attempt.
    Closed {
        /// Why; [`ConnectErrorKind::Closed`](crate::ConnectErrorKind::Closed) after `close`.
        error: ConnectError,
    },
}

/// The state of a connection as something that is waited on, from [`Client::watch`](crate::Client::watch). It does not keep the client
/// alive.
#[derive(Clone, Debug)]
pub struct StateWatch {
    shared: Arc<Shared>,
    /// How many changes it has told.
    seen: u64,
}

impl StateWatch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let seen = shared.status.read(|status| status.changes);
        Self { shared, seen }
    }

    /// How the connection stands.
    pub fn current(&self) -> ConnectionState {
        self.shared.status.read(|status| status.connection.clone())
    }

    /// Waits until the state is another than the last that was told here, or than when the watch was made. Of several changes meanwhile the
    /// last is told. `None` once [`ConnectionState::Closed`] was told.
    ///
    /// Cancel safety: no change is taken for told when the future is dropped.
    pub async fn changed(&mut self) -> Option<ConnectionState> {
        let seen = self.seen;
        let next = self.shared.status.until(|status| {
            if status.changes != seen {
                return Some(Some((status.changes, status.connection.clone())));
            }
            status.ended.then_some(None)
        });
        let (changes, state) = next.await?;
        self.seen = changes;
        Some(state)
    }
}

/// What is left when a client has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Messages of QoS 1 and 2 that were accepted and not acknowledged, and QoS 0 messages that were not sent. With a store those of
    /// QoS 1 and 2 are in it.
    pub unacknowledged: usize,
    /// Their size in bytes.
    pub bytes: usize,
}

/// Counters since the client was started, and what stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Messages accepted and not finished.
    pub queued_messages: usize,
    /// Their size in bytes.
    pub queued_bytes: usize,
    /// Messages of QoS 1 and 2 sent on this connection and not acknowledged.
    pub in_flight: usize,
    /// Messages handed to the application and not acknowledged by it.
    pub unacknowledged: usize,
    /// Connections that were accepted.
    pub connections: u64,
    /// Messages that came.
    pub received: u64,
    /// Messages that came and found no room or no reader.
    pub dropped: u64,
    /// Answers that came when their request no longer waited, or that were for none.
    pub late_replies: u64,
    /// Messages that were taken and will not arrive.
    pub lost: u64,
    /// Messages that came, were to be acknowledged by the application, and were dropped without a word.
    pub abandoned: u64,
    /// What became of published messages, each fate for itself.
    pub outbox: OutboxCounters,
}
