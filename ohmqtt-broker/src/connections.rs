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
    /// The most clients there were at once.
    most_clients: usize,
    last: u64,
}

#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    session: Handle<ServerSession>,
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
        self.open.insert(id, Connection { task, session });
    }

    /// How many have a client.
    pub(crate) fn clients(&self) -> usize {
        self.open.len() - self.half_open.len()
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
        self.half_open.remove(&id);
        self.most_clients = self.most_clients.max(self.clients());
    }

    /// The connection has lost its client to another one, and is about to end.
    pub(crate) fn demote(&mut self, id: ConnectionId) {
        if self.open.contains_key(&id) {
            self.half_open.insert(id);
        }
    }

    /// The task of this connection is at its end.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.half_open.remove(&id);
        self.open.remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends all in order: clients are told, the others are cut.
    pub(crate) fn disconnect_all(&mut self, disconnect: &Disconnect) {
        for (id, connection) in &self.open {
            if self.half_open.contains(id) {
                connection.task.abort();
            } else {
                let disconnect = disconnect.clone();
                connection
                    .session
                    .with(|session, _| session.disconnect(disconnect));
            }
        }
    }

    /// Ends all at once.
    pub(crate) fn abort_all(&self) {
        for connection in self.open.values() {
            connection.task.abort();
        }
    }
}
