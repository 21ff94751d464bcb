//! What has gathered for the store's thread, and how much of it is not answered yet.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use ohmqtt_session::{Load, Loaded, Record, StoreOp};

use crate::{Batch, Prefix, StoreError};

/// What is told when a request is done.
pub(super) type Done<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// A run of raw keys and values.
pub(super) type Raw = Vec<(Vec<u8>, Vec<u8>)>;

/// What is stored together.
pub(super) struct Submission {
    pub(super) change: Change,
    pub(super) done: Done<()>,
    /// Why it cannot be stored, whatever becomes of the others.
    pub(super) fault: Option<StoreError>,
    /// About what it occupies.
    bytes: usize,
}

/// What a submission asks for. Most are of one session, and cost no allocation of their own.
pub(super) enum Change {
    One(Prefix, Vec<StoreOp>),
    All(Vec<(Prefix, Vec<StoreOp>)>, Batch),
    Clear(Prefix),
}

impl Change {
    /// Whether it has to be on the disk once it is stored, whatever the durability.
    pub(super) fn must_be_safe(&self) -> bool {
        let must = |ops: &Vec<StoreOp>| ops.iter().any(StoreOp::must_be_safe);
        match self {
            Self::One(_, ops) => must(ops),
            Self::All(parts, _) => parts.iter().any(|(_, ops)| must(ops)),
            // With the session its identifiers are gone.
            Self::Clear(_) => true,
        }
    }
}

/// A request that changes nothing.
pub(super) enum Read {
    Load {
        prefix: Prefix,
        load: Load,
        done: Done<Loaded>,
    },
    Scan {
        from: Vec<u8>,
        prefix: Vec<u8>,
        max: usize,
        max_bytes: usize,
        done: Done<Raw>,
    },
    Flush {
        done: Done<()>,
    },
}

/// The requests of one turn of the thread, each kind in the order it came.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) submissions: Vec<Submission>,
    pub(super) reads: Vec<Read>,
}

/// What there is for the thread to do.
pub(super) enum Turn {
    Requests,
    /// None came in time.
    Nothing,
    /// None are left, and none will come.
    End,
}

/// Between the handles and the thread. The lock is held for the moment of a push or a swap, never while something is stored.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    gathered: Gathered,
    /// Submitted and not answered.
    bytes: usize,
    /// The thread waits on `arrived`: a system call that nobody needs is not made.
    asleep: bool,
    closed: bool,
    /// Who wants to know when there is room.
    waiting: Vec<Waker>,
}

impl Submission {
    pub(super) fn new(change: Change, done: Done<()>) -> Self {
        let bytes = match &change {
            Change::One(_, ops) => ops.iter().map(size).sum(),
            Change::All(parts, extra) => {
                extra.bytes()
                    + parts
                        .iter()
                        .flat_map(|(_, ops)| ops)
                        .map(size)
                        .sum::<usize>()
            }
            Change::Clear(_) => 0,
        };
        Self {
            change,
            done,
            fault: None,
            bytes,
        }
    }
}

impl Gathered {
    pub(super) fn bytes(&self) -> usize {
        self.submissions
            .iter()
            .map(|submission| submission.bytes)
            .sum()
    }

    fn is_empty(&self) -> bool {
        self.submissions.is_empty() && self.reads.is_empty()
    }
}

impl Queue {
    pub(super) fn submit(&self, submission: Submission) {
        let mut state = self.lock();
        state.bytes += submission.bytes;
        state.gathered.submissions.push(submission);
        self.wake(state);
    }

    pub(super) fn read(&self, read: Read) {
        let mut state = self.lock();
        state.gathered.reads.push(read);
        self.wake(state);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    pub(super) fn poll_room(&self, waker: &Waker, limit: usize) -> Poll<()> {
        let mut state = self.lock();
        if state.bytes < limit {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }

    pub(super) fn unanswered_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Waits for requests, at most until the time given, and takes all there are, in exchange for an emptied `Gathered` whose memory
    /// is used again.
    pub(super) fn take(&self, into: &mut Gathered, until: Option<Instant>) -> Turn {
        let mut state = self.lock();
        while state.gathered.is_empty() {
            if state.closed {
                return Turn::End;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Turn::Nothing;
            }
            state.asleep = true;
            state = match left {
                None => self
                    .arrived
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.arrived
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            state.asleep = false;
        }
        mem::swap(&mut state.gathered, into);
        Turn::Requests
    }

    /// So many submitted bytes are being answered: there may be room.
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes -= bytes;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.arrived.notify_one();
        }
    }

    /// Nothing panics while the lock is held and the state is half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(op: &StoreOp) -> usize {
    let message = match op {
        StoreOp::Put(Record::Message { message, .. }) => message.size(),
        StoreOp::Put(_) | StoreOp::Delete(_) => 0,
    };
    size_of::<StoreOp>() + message
}
