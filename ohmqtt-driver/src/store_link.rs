//! Between a session and its store's writer: operations go there in order, its word comes back into the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ohmqtt_session::{Instant, Load, Lsn, Session, StoreOp};
use ohmqtt_store::{Batch, Prefix, StoreError, Writer};

use crate::{Cell, Handle};

/// How long a store that failed is left alone, so that what a session asks for again does not keep it busy.
const PAUSE: Duration = Duration::from_millis(250);

/// One store for the sessions of many.
///
/// Operations of each session reach the store in their order, whoever takes them out: its driver, or someone who hands over those of
/// several sessions as one.
#[derive(Clone, Debug)]
pub struct StoreLinks {
    writer: Writer,
    /// Held from taking operations out of a session until they are handed over.
    order: Arc<Mutex<()>>,
}

/// Where a session's records go.
#[derive(Clone, Debug)]
pub struct StoreLink {
    links: StoreLinks,
    prefix: Prefix,
    health: Health,
}

/// How a store fares with one session's records. It keeps no store open.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last_error: Option<StoreError>,
    /// When it failed, if it has not succeeded since.
    failing_since: Option<Instant>,
}

impl Health {
    /// The last error of the store, if it has not succeeded since.
    pub fn error(&self) -> Option<StoreError> {
        let state = lock(&self.0);
        state
            .last_error
            .clone()
            .filter(|_| state.failing_since.is_some())
    }

    /// The last error of the store, whatever came behind it.
    pub fn last_error(&self) -> Option<StoreError> {
        lock(&self.0).last_error.clone()
    }

    fn note_success(&self) {
        lock(&self.0).failing_since = None;
    }

    fn note_failure(&self, error: StoreError, now: Instant) {
        tracing::warn!(%error, "the store failed");
        *lock(&self.0) = State {
            last_error: Some(error),
            failing_since: Some(now),
        };
    }
}

/// What came of the operations of one session that were handed over up to a number.
#[derive(Debug)]
struct Word<S> {
    handle: Handle<S>,
    upto: Lsn,
    health: Health,
}

impl StoreLinks {
    /// All that this writer stores.
    pub fn new(writer: Writer) -> Self {
        Self {
            writer,
            order: Arc::default(),
        }
    }

    /// A session whose records stand under `prefix`.
    pub fn link(&self, prefix: Prefix) -> StoreLink {
        StoreLink {
            links: self.clone(),
            prefix,
            health: Health::default(),
        }
    }

    /// The thread behind it, for what belongs to no session.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// From here on no driver hands over anything, until this is dropped: what sessions come to want stored meanwhile can be handed over
    /// [as one](Held::submit). Take it before the lock of a session, never behind it.
    pub fn hold(&self) -> Held<'_> {
        Held {
            writer: &self.writer,
            _order: lock(&self.order),
        }
    }
}

/// The right to hand over. To be held as briefly as a lock.
#[derive(Debug)]
#[must_use = "it is of use only while it is held"]
pub struct Held<'a> {
    writer: &'a Writer,
    _order: MutexGuard<'a, ()>,
}

/// What several sessions want stored.
#[derive(Debug)]
#[must_use = "these operations are to be submitted"]
pub struct Gathered<S> {
    parts: Vec<(Prefix, Vec<StoreOp>)>,
    words: Vec<Word<S>>,
}

impl Held<'_> {
    /// Removes all that the store has under `prefix`; `done` hears of it on the writer's thread.
    pub fn clear(
        &self,
        prefix: &Prefix,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.writer.clear(prefix, done);
    }

    /// Takes out what these sessions want stored now. It is to be [submitted](Self::submit) before this is dropped.
    ///
    /// No lock of these sessions may be held by the caller.
    pub fn gather<S: Session>(
        &self,
        sessions: impl IntoIterator<Item = (StoreLink, Handle<S>)>,
    ) -> Gathered<S> {
        let mut gathered = Gathered {
            parts: Vec::new(),
            words: Vec::new(),
        };
        for (link, handle) in sessions {
            if let Some((upto, ops)) = take(&handle) {
                gathered.parts.push((link.prefix, ops));
                gathered.words.push(Word {
                    handle,
                    upto,
                    health: link.health,
                });
            }
        }
        gathered
    }

    /// Hands over what was gathered, and `extra`, as one: all of it is stored, or nothing. `done` hears of it behind the sessions, on the
    /// writer's thread.
    pub fn submit<S>(
        &self,
        gathered: Gathered<S>,
        extra: Batch,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) where
        S: Session + Send + 'static,
    {
        let Gathered { parts, words } = gathered;
        self.writer.submit_all(parts, extra, move |result| {
            for word in &words {
                word.tell(&result);
            }
            done(result);
        });
    }
}

impl<S> Gathered<S> {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl<S: Session> Word<S> {
    fn tell(&self, result: &Result<(), StoreError>) {
        self.handle.with(|session, now| match result {
            Ok(()) => {
                self.health.note_success();
                session.handle_stored(self.upto);
            }
            Err(error) => {
                self.health.note_failure(error.clone(), now);
                session.handle_store_failed(self.upto);
            }
        });
    }
}

/// What a session wants stored, and the number of the last of it.
fn take<S: Session>(handle: &Handle<S>) -> Option<(Lsn, Vec<StoreOp>)> {
    let mut inner = handle.lock();
    let mut ops = Vec::new();
    let mut upto = None;
    while let Some((lsn, op)) = inner.session.poll_store() {
        upto = Some(lsn);
        ops.push(op);
    }
    Some((upto?, ops))
}

impl StoreLink {
    /// The records of one session stand under `prefix` in the writer's store, which has no other session.
    pub fn new(writer: Writer, prefix: Prefix) -> Self {
        StoreLinks::new(writer).link(prefix)
    }

    /// Where the session's records stand.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Keeps `value` beside the session's records, in place of what is [attached](Prefix::attachment) there under this kind. A failure is
    /// logged.
    pub fn attach(&self, kind: u8, value: &[u8]) {
        let mut batch = Batch::new();
        batch.put(&self.prefix.attachment(kind, &[]), value);
        let done = |result: Result<(), StoreError>| {
            if let Err(error) = result {
                tracing::warn!(%error, "the store failed");
            }
        };
        self.links.writer.submit_all(Vec::new(), batch, done);
    }

    /// How the store fares, to be asked also when this link is gone.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// When a store that failed is tried again.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        lock(&self.health.0)
            .failing_since
            .map(|since| since + PAUSE)
    }

    /// Whether the writer takes more operations; if not, the task is woken when it does.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.links.writer.poll_room(cx)
    }

    /// Hands over what the session wants stored, and then what it wants to read. It hears of both from the writer's thread.
    pub(crate) fn serve<S>(&self, handle: &Handle<S>)
    where
        S: Session + Send + 'static,
    {
        let order = lock(&self.links.order);
        // Neither the writer nor this link goes along: the store closes with its last user, whatever is under way.
        if let Some((upto, ops)) = take(handle) {
            let word = Word {
                handle: handle.clone(),
                upto,
                health: self.health.clone(),
            };
            let done = move |result| word.tell(&result);
            self.links.writer.submit(&self.prefix, ops, done);
        }
        drop(order);
        let load = handle.lock().session.poll_load();
        if let Some(load) = load {
            self.load(handle, load);
        }
    }

    fn load<S>(&self, handle: &Handle<S>, load: Load)
    where
        S: Session + Send + 'static,
    {
        let (handle, health) = (handle.clone(), self.health.clone());
        self.links.writer.load(&self.prefix, load, move |result| {
            handle.with(|session, now| match result {
                Ok(loaded) => session.handle_loaded(now, loaded),
                Err(error) => {
                    health.note_failure(error, now);
                    session.handle_load_failed();
                }
            });
        });
    }

    /// Waits until all that was handed over before is safe against a power cut, or has failed.
    pub(crate) async fn flush(&self) {
        let answer = Arc::new(Cell::new(false));
        let done = Arc::clone(&answer);
        self.links.writer.flush(move |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "the store failed");
            }
            done.update(|answer| *answer = true);
        });
        answer.until(|answer| answer.then_some(())).await;
    }

    /// Reads what the session asks for until it asks for nothing, stretch after stretch, and blocks the thread for that. To be done once,
    /// before anything else is asked of the session: the order of its records goes on where they end.
    pub fn restore<S>(&self, handle: &Handle<S>) -> Result<(), StoreError>
    where
        S: Session + Send + 'static,
    {
        while let Some(load) = handle.with(|session, _| session.poll_load()) {
            let answer = Arc::new(Cell::new(None));
            let done = Arc::clone(&answer);
            self.links.writer.load(&self.prefix, load, move |result| {
                done.update(|answer| *answer = Some(result));
            });
            // The writer answers every question, also when it ends: without a time limit there is no `None`.
            if let Some(records) = answer.until_blocking(None, Option::take) {
                let loaded = records?;
                handle.with(|session, now| session.handle_loaded(now, loaded));
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
