//! The connections that are open: how many there may be, and which of them have not finished their CONNECT.

use std::collections::{BTreeSet, HashMap};

use ohmqtt_codec::Disconnect;
use ohmqtt_driver::Handle;
use ohmqtt_session::ServerSession;
use tokio::task::AbortHandle;

/// The name of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

/// All connections, each with the task that serves it.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<ConnectionId, Connection>,
    /// Those no client stands behind: not yet, or not any more. The oldest make room for new ones.
    half_open: BTreeSet<ConnectionId>,
    /// How many have a client. What was cut to make room and has not ended yet is neither.
    clients: usize,
    /// The most clients there were at once.
    most_clients: usize,
    last: u64,
}

#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    session: Handle<ServerSession>,
    is_client: bool,
    /// Its session went on over another connection, whatever became of that one.
    is_superseded: bool,
}

/// Which clients are told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Those with whom nothing is under way that would be lost.
    Settled,
    All,
}

impl Connections {
    /// Room for one more half-open connection, by ending the oldest when there are `max`.
    pub(crate) fn make_room(&mut self, max: usize) {
        while self.half_open.len() >= max.max(1) {
            let Some(oldest) = self.half_open.pop_first() else {
                return;
            };
            if let Some(connection) = self.open.get(&oldest) {
                tracing::debug!("half-open connection ended to make room");
                connection.task.abort();
            }
        }
    }

    pub(crate) fn next_id(&mut self) -> ConnectionId {
        self.last += 1;
        ConnectionId(self.last)
    }

    /// A connection came, and this task serves it.
    pub(crate) fn insert(
        &mut self,
        id: ConnectionId,
        task: AbortHandle,
        session: Handle<ServerSession>,
    ) {
        self.half_open.insert(id);
        let connection = Connection {
            task,
            session,
            is_client: false,
            is_superseded: false,
        };
        self.open.insert(id, connection);
    }

    /// How many have a client.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// The most there were at once.
    pub(crate) fn most_clients(&self) -> usize {
        self.most_clients
    }

    /// Whether this connection may still become a client's.
    pub(crate) fn is_half_open(&self, id: ConnectionId) -> bool {
        self.half_open.contains(&id)
    }

    /// The connection has a client now.
    pub(crate) fn promote(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id)
            && self.half_open.remove(&id)
        {
            connection.is_client = true;
            self.clients += 1;
            self.most_clients = self.most_clients.max(self.clients);
        }
    }

    /// The connection has lost its client to another one, and is about to end.
    pub(crate) fn demote(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            self.half_open.insert(id);
            self.clients -= usize::from(std::mem::take(&mut connection.is_client));
        }
    }

    /// The connection has lost its client to another one that goes on with its session.
    pub(crate) fn supersede(&mut self, id: ConnectionId) {
        self.demote(id);
        if let Some(connection) = self.open.get_mut(&id) {
            connection.is_superseded = true;
        }
    }

    /// Whether another connection went on with the session of this one.
    pub(crate) fn is_superseded(&self, id: ConnectionId) -> bool {
        self.open.get(&id).is_some_and(|open| open.is_superseded)
    }

    /// The task of this connection is at its end.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.half_open.remove(&id);
        if let Some(connection) = self.open.remove(&id) {
            self.clients -= usize::from(connection.is_client);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends those that have no client.
    pub(crate) fn abort_others(&self) {
        for connection in self.open.values().filter(|open| !open.is_client) {
            connection.task.abort();
        }
    }

    /// Tells these clients to go, behind the answers that are ready for them. True when all are told.
    pub(crate) fn disconnect(&self, who: Who, disconnect: &Disconnect) -> bool {
        let mut all = true;
        for connection in self.open.values().filter(|open| open.is_client) {
            if who == Who::Settled && connection.session.read(is_unsettled) {
                all = false;
            } else {
                let disconnect = disconnect.clone();
                connection
                    .session
                    .with(|session, _| session.finish(disconnect));
            }
        }
        all
    }

    /// Ends all at once.
    pub(crate) fn abort_all(&self) {
        for connection in self.open.values() {
            connection.task.abort();
        }
    }
}

/// Whether the end of the broker would take something with it that the client or the broker is about to acknowledge. What a store keeps
/// comes again.
fn is_unsettled(session: &ServerSession) -> bool {
    let waits = session.queued().0 > 0 && !session.is_durable();
    session.is_connected() && (waits || session.unacknowledged() > 0)
}
