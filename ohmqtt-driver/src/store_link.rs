//! Between a session and its store's writer: operations go there in order, its word comes back into the session.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ohmqtt_session::{Load, Lsn, Session, StoreOp};
use ohmqtt_store::{Prefix, StoreError, Writer};

use crate::Handle;

/// Where a session's records go.
#[derive(Clone, Debug)]
pub struct StoreLink {
    writer: Writer,
    prefix: Prefix,
    /// The last error, for whoever asks why messages fail.
    error: Arc<Mutex<Option<StoreError>>>,
}

impl StoreLink {
    /// The records of one session stand under `prefix` in the writer's store.
    pub fn new(writer: Writer, prefix: Prefix) -> Self {
        Self {
            writer,
            prefix,
            error: Arc::default(),
        }
    }

    /// The last error of the store, if it had one since it last succeeded.
    pub fn error(&self) -> Option<StoreError> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn report(&self, result: Result<(), &StoreError>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = result.err().cloned();
    }

    /// Whether the writer takes more operations; if not, the task is woken when it does.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.writer.poll_room(cx)
    }

    /// Hands over operations, numbered upwards to `upto`. The session hears of them from the writer's thread.
    pub(crate) fn submit<S>(&self, handle: &Handle<S>, ops: Vec<StoreOp>, upto: Lsn)
    where
        S: Session + Send + 'static,
    {
        let (handle, link) = (handle.clone(), self.clone());
        self.writer.submit(&self.prefix, ops, move |result| {
            link.report(result.as_ref().copied());
            handle.with(|session, _| match result {
                Ok(()) => session.handle_stored(upto),
                Err(_) => session.handle_store_failed(upto),
            });
        });
    }

    /// Reads a stretch of records; the session hears of them from the writer's thread. `failed` is called when they cannot be read.
    pub(crate) fn load<S>(&self, handle: &Handle<S>, load: Load)
    where
        S: Session + Send + 'static,
    {
        let (handle, link) = (handle.clone(), self.clone());
        self.writer
            .load(&self.prefix, load, move |result| match result {
                Ok(records) => handle.with(|session, _| session.handle_loaded(records)),
                Err(error) => link.report(Err(&error)),
            });
    }
}
