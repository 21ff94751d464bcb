//! Callbacks: a thread of a client's own that gives messages to functions of the user.
//!
//! It is a small executor: a queue that gets a message wakes its callback, which is to say that it puts it on the list of those that
//! are ready. So any number of callbacks costs one thread, and no lock is held while one runs.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use ohmqtt_codec::ReasonCode;
use ohmqtt_driver::Cell;
use tokio::runtime::Handle;

use crate::message::Message;
use crate::queue::Queue;
use crate::subscription::Subscription;

/// How many messages one callback is given before others have their turn.
const IN_A_ROW: usize = 64;

type Call = Box<dyn FnMut(Message) + Send>;

/// A callback that runs, from [`Subscription::on_message`]. Dropping it ends the subscription; a call that runs then is not waited for.
///
/// It keeps its client alive.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Callback {
    subscription: Subscription,
}

impl Callback {
    pub(crate) fn new(subscription: Subscription) -> Self {
        Self { subscription }
    }

    /// Lets it run until the client is closed, without keeping the client alive.
    pub fn forget(self) {
        self.subscription.forget();
    }
}

/// The callbacks of one client.
pub(crate) struct Callbacks {
    ready: Cell<Ready>,
    /// The client's, for what callbacks spawn.
    pub(crate) runtime: Handle,
}

#[derive(Default)]
struct Ready {
    callbacks: VecDeque<Arc<Running>>,
    /// Callbacks whose queue has not ended. The thread ends with the last of them.
    live: usize,
    has_thread: bool,
}

/// One callback, and the queue it reads.
struct Running {
    queue: Arc<Queue>,
    /// Locked by the thread alone.
    call: Mutex<Call>,
    /// It stands on the list of those that are ready.
    is_ready: AtomicBool,
    callbacks: Arc<Callbacks>,
}

impl Callbacks {
    pub(crate) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            ready: Cell::default(),
            runtime,
        })
    }

    /// From now on `call` gets what comes into the queue, until the queue ends.
    pub(crate) fn add(self: &Arc<Self>, queue: Arc<Queue>, call: Call) -> io::Result<()> {
        let running = Arc::new(Running {
            queue,
            call: Mutex::new(call),
            is_ready: AtomicBool::new(true),
            callbacks: Arc::clone(self),
        });
        let starts = self.ready.update(|ready| {
            ready.live += 1;
            ready.callbacks.push_back(running);
            !std::mem::replace(&mut ready.has_thread, true)
        });
        if !starts {
            return Ok(());
        }
        let callbacks = Arc::clone(self);
        let thread = std::thread::Builder::new().name("ohmqtt-callbacks".to_owned());
        let started = thread.spawn(move || callbacks.run());
        started.map(drop).inspect_err(|_| {
            self.ready.update(|ready| {
                ready.has_thread = false;
                ready.live = 0;
                ready.callbacks.clear();
            });
        })
    }

    /// The thread: until no callback is left.
    fn run(&self) {
        let _inside = self.runtime.enter();
        loop {
            let next = self.ready.until_blocking(None, |ready| {
                if let Some(next) = ready.callbacks.pop_front() {
                    return Some(Some(next));
                }
                ready.has_thread = ready.live > 0;
                (!ready.has_thread).then_some(None)
            });
            let Some(Some(running)) = next else {
                return;
            };
            if running.turn() {
                self.ready.update(|ready| ready.live -= 1);
            }
        }
    }
}

impl Running {
    /// Gives it what waits; true when its queue has ended.
    fn turn(self: &Arc<Self>) -> bool {
        self.is_ready.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(self));
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..IN_A_ROW {
            match self.queue.poll_take(&Context::from_waker(&waker)) {
                Poll::Ready(Some(message)) => self.give(&mut call, &message),
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
        waker.wake();
        false
    }

    fn give(&self, call: &mut Call, message: &Message) {
        // A clone of it shares the acknowledgement: the callback may drop its own.
        let given = message.clone();
        // What the callback leaves behind is the callback's.
        match catch_unwind(AssertUnwindSafe(|| call(given))) {
            Ok(()) => self.queue.handed_over(message),
            Err(panic) => {
                message.reject(ReasonCode::ImplementationSpecificError);
                message.tell_panic(text(&*panic));
            }
        }
    }
}

impl Wake for Running {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::AcqRel) {
            let callbacks = Arc::clone(&self.callbacks);
            callbacks
                .ready
                .update(|ready| ready.callbacks.push_back(self));
        }
    }
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(ToString::to_string);
    fixed
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
