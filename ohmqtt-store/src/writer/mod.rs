//! The writer: one thread for each store, which writes all that has gathered in one commit.
//!
//! This file is the handle; `queue` is what stands between it and the thread; `worker` is what the thread does; `bodies` are the payloads
//! that several sessions have in common.

mod bodies;
mod queue;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use ohmqtt_session::{Load, Loaded, StoreOp};

use self::queue::{Change, Queue, Read, Submission};
use self::worker::Worker;
use crate::{Batch, Durability, Prefix, Store, StoreError};

/// A handle to the thread that owns a [`Store`]. A clone costs a reference count and is a handle to the same thread.
///
/// Nothing here waits for the store: every answer comes by a closure, which runs on the store's thread, once, and briefly: as
/// long as it runs nothing is written. It may call the writer. Nothing here needs an async runtime.
///
/// # Group commit
///
/// While one commit is under way, submissions of all handles gather. The next commit takes them all, in the order in which they
/// were submitted, in one atomic [`apply`](Store::apply); then each is told. So the number of commits depends on the disk, not
/// on the number of publishers.
///
/// # Errors
///
/// When a commit fails, every submission in it gets the error and nothing of it is stored. [`StoreError::Full`] and
/// [`StoreError::DiskFull`] are looked at more closely, since a part may fit: the group is halved and tried again, some 16 times, or 4 on a
/// full disk, until what fits is stored and what does not has the error. A submission is never divided. A message that cannot be encoded
/// fails its own submission. A panic in the store is caught: what was submitted fails with [`StoreError::Panicked`], and so does all that
/// follows.
///
/// A submission may succeed although one before it failed. Who depends on an earlier one waits for its answer first.
///
/// # Bounds
///
/// Submissions are never refused and never block. [`poll_room`](Self::poll_room) says when to hold back: what was submitted and
/// not yet answered stays within [`LIMIT`](Self::LIMIT) and the last submission of each session.
///
/// # End
///
/// Dropping the last handle writes everything submitted, answers it, closes the store and only then returns: it may take as long
/// as a commit. Do not drop it while you hold a lock that one of the closures wants. A closure that owns a handle keeps the
/// thread until it has run; when that one is the last, the thread closes the store by itself and nobody waits for it.
#[derive(Clone)]
pub struct Writer {
    thread: Arc<Thread>,
}

/// The thread, for as long as there are handles.
struct Thread {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
}

impl Writer {
    /// How many bytes may be submitted and not answered before [`poll_room`](Self::poll_room) says to hold back: 8 MiB.
    pub const LIMIT: usize = 8 * 1024 * 1024;

    /// Starts the thread, which owns the store from now on.
    ///
    /// `durability` says what has to happen before a submission is answered with success. With [`Durability::Fast`] what was
    /// written is made safe within 50 milliseconds, whether more comes or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Thread`] when the system gives no thread.
    pub fn spawn(store: impl Store, durability: Durability) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let worker = Worker::new(store, durability, Arc::clone(&queue));
        let handle = thread::Builder::new()
            .name("ohmqtt-store".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::Thread(Arc::new(error)))?;
        Ok(Self {
            thread: Arc::new(Thread {
                queue,
                handle: Some(handle),
            }),
        })
    }

    /// Hands over operations of the session at `prefix`, in their order. `done` is told once they are stored, or why not: all
    /// of them or none.
    ///
    /// Answers to submissions come in the order of the submissions.
    pub fn submit(
        &self,
        prefix: &Prefix,
        ops: Vec<StoreOp>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.change(Change::One(prefix.clone(), ops), done);
    }

    /// Hands over operations of several sessions, and behind them puts and deletes of raw keys: what concerns more than one
    /// session and has to be stored in one step. `done` is told once all of it is stored, or why nothing of it is.
    ///
    /// A payload of 128 bytes or more that messages of several sessions have in common, being clones of one [`Bytes`](bytes::Bytes), is
    /// stored once, with a count; it goes with the last record of such a message.
    ///
    /// Raw keys are the caller's: they do not begin with `s`, which is where sessions stand, except those that
    /// [`Prefix::attachment`] makes, nor with `b`, which is where shared payloads stand.
    pub fn submit_all(
        &self,
        parts: Vec<(Prefix, Vec<StoreOp>)>,
        extra: Batch,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.change(Change::All(parts, extra), done);
    }

    /// Removes everything that stands under `prefix`: the records of the session and what is [attached](Prefix::attachment) to
    /// it, as the submissions before this one have left them. `done` is told once that is stored, or why it is not.
    ///
    /// Up to 4,096 records go in one atomic step; more go in several, so that the memory for it is bounded, and after an error
    /// or a crash some of them may be left.
    pub fn clear(
        &self,
        prefix: &Prefix,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.change(Change::Clear(prefix.clone()), done);
    }

    fn change(&self, change: Change, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.thread
            .queue
            .submit(Submission::new(change, Box::new(done)));
    }

    /// Reads records of the session at `prefix`: those at `load.from` and behind it in the order of their keys, at most
    /// `load.max`. `done` gets them, or why they could not be read.
    ///
    /// It sees all that was submitted before, and it may see what was submitted meanwhile; what it sees has been answered.
    pub fn load(
        &self,
        prefix: &Prefix,
        load: Load,
        done: impl FnOnce(Result<Loaded, StoreError>) + Send + 'static,
    ) {
        self.thread.queue.read(Read::Load {
            prefix: prefix.clone(),
            load,
            done: Box::new(done),
        });
    }

    /// Reads raw keys and values: those that begin with `prefix` and are not before `from`, in the order of the keys. It ends
    /// after `max` of them, or after the one with which keys and values together reach `max_bytes`; `done` gets them, or why they
    /// could not be read.
    ///
    /// To go on, take as `from` the last key with a zero byte behind it. What a scan sees is as with [`load`](Self::load).
    pub fn scan(
        &self,
        from: Vec<u8>,
        prefix: Vec<u8>,
        max: usize,
        max_bytes: usize,
        done: impl FnOnce(Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>) + Send + 'static,
    ) {
        self.thread.queue.read(Read::Scan {
            from,
            prefix,
            max,
            max_bytes,
            done: Box::new(done),
        });
    }

    /// Has everything submitted before made safe against a power cut, also with [`Durability::Fast`], and tells `done`.
    ///
    /// The error is one of doing so: what failed before has been told by its own answer.
    pub fn flush(&self, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.thread.queue.read(Read::Flush {
            done: Box::new(done),
        });
    }

    /// Whether less than [`LIMIT`](Self::LIMIT) is submitted and not answered. If not, the task is woken when it may be so:
    /// then call it again.
    ///
    /// Ask before you take operations out of a session to submit them. To ask without a task, pass
    /// [`Waker::noop`](std::task::Waker::noop).
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.thread.queue.poll_room(cx.waker(), Self::LIMIT)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("unanswered_bytes", &self.thread.queue.unanswered_bytes())
            .finish()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(handle) = self.handle.take()
            // The last handle may go with a closure that the thread itself has run.
            && handle.thread().id() != thread::current().id()
        {
            // The thread catches what panics; a panic that comes out of closing the store has been printed.
            let _ = handle.join();
        }
    }
}
