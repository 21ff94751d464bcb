//! Between a session and its store's writer: operations go there in order, its word comes back into the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ohmqtt_session::{Instant, Lsn, Session, StoreOp};
use ohmqtt_store::{Prefix, StoreError, Writer};

use crate::{Cell, Handle};

/// How long a store that failed is left alone, so that what a session asks for again does not keep it busy.
const PAUSE: Duration = Duration::from_millis(250);

/// Where a session's records go.
#[derive(Clone, Debug)]
pub struct StoreLink {
    writer: Writer,
    prefix: Prefix,
    failure: Arc<Mutex<Option<Failure>>>,
}

/// That the store failed, and has not succeeded since.
#[derive(Debug)]
struct Failure {
    error: StoreError,
    at: Instant,
}

impl StoreLink {
    /// The records of one session stand under `prefix` in the writer's store.
    pub fn new(writer: Writer, prefix: Prefix) -> Self {
        Self {
            writer,
            prefix,
            failure: Arc::default(),
        }
    }

    /// The last error of the store, if it has not succeeded since.
    pub fn error(&self) -> Option<StoreError> {
        lock(&self.failure)
            .as_ref()
            .map(|failure| failure.error.clone())
    }

    /// When a store that failed is tried again.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        lock(&self.failure)
            .as_ref()
            .map(|failure| failure.at + PAUSE)
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
        // Neither the writer nor this link goes along: the store closes with its last user, whatever is under way.
        let (handle, failure) = (handle.clone(), Arc::clone(&self.failure));
        self.writer.submit(&self.prefix, ops, move |result| {
            handle.with(|session, now| match result {
                Ok(()) => {
                    *lock(&failure) = None;
                    session.handle_stored(upto);
                }
                Err(error) => {
                    tracing::warn!(%error, "the store failed");
                    *lock(&failure) = Some(Failure { error, at: now });
                    session.handle_store_failed(upto);
                }
            });
        });
    }

    /// Waits until all that was handed over before is safe against a power cut, or has failed.
    pub(crate) async fn flush(&self) {
        let answer = Arc::new(Cell::new(false));
        let done = Arc::clone(&answer);
        self.writer.flush(move |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "the store failed");
            }
            done.update(|answer| *answer = true);
        });
        answer.until(|answer| answer.then_some(())).await;
    }

    /// Reads everything the session asks for, stretch after stretch, and blocks the thread for that. To be done once, before anything
    /// else is asked of the session: the order of its records goes on where they end.
    pub fn restore<S>(&self, handle: &Handle<S>) -> Result<(), StoreError>
    where
        S: Session + Send + 'static,
    {
        while let Some(load) = handle.with(|session, _| session.poll_load()) {
            let answer = Arc::new(Cell::new(None));
            let done = Arc::clone(&answer);
            self.writer.load(&self.prefix, load, move |result| {
                done.update(|answer| *answer = Some(result));
            });
            // The writer answers every question, also when it ends: without a time limit there is no `None`.
            if let Some(records) = answer.until_blocking(None, Option::take) {
                let records = records?;
                handle.with(|session, _| session.handle_loaded(records));
            }
        }
        Ok(())
    }
}

fn lock(failure: &Mutex<Option<Failure>>) -> MutexGuard<'_, Option<Failure>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}
