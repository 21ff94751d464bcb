//! Events of a client, as the blocking client tells them.

use std::sync::Arc;
use std::time::Duration;

use super::Runtime;
use crate::events::Event;

/// The events of a client from a moment or its beginning on, as [`crate::Events`]. It is an iterator that ends when the client has closed.
#[derive(Debug)]
pub struct Events {
    pub(super) inner: crate::Events,
    pub(super) runtime: Arc<Runtime>,
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
