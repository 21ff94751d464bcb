//! Where what ends on the I/O thread comes into an event loop of Python's.
//!
//! An operation is a future. What it can do at once it does where it was called; the rest runs on the I/O thread. When it is
//! over its number is put into the port of its loop, and the first of a batch has the loop woken. The loop then fetches all
//! numbers there are, and whoever waits for an operation takes its result: as Python's objects, made on the thread that asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::waker::{Loops, waker};
use crate::{errors, logs, runtime};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one loop is to hear.
pub(crate) struct Inbox {
    /// What `ohmqtt.aio._port` knows the loop by.
    number: usize,
    loops: Loops,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    numbers: Vec<u64>,
    /// The loop was woken and has not looked yet.
    is_woken: bool,
}

impl Inbox {
    /// The operation of this number is over, or what it waits for has come.
    fn put(&self, number: u64) {
        let was_woken = {
            let mut heard = lock(&self.heard);
            heard.numbers.push(number);
            std::mem::replace(&mut heard.is_woken, true)
        };
        if !was_woken {
            self.loops.wake(self.number);
        }
    }
}

/// The native half of a loop's port.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioPort(Arc<Inbox>);

impl AioPort {
    /// Another hold of the same.
    pub(crate) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[pymethods]
impl AioPort {
    #[new]
    fn new(py: Python<'_>, number: usize) -> PyResult<Self> {
        logs::look_again(py)?;
        let loops = waker(py)?;
        Ok(Self(Arc::new(Inbox {
            number,
            loops,
            heard: Mutex::default(),
        })))
    }

    /// The numbers of what is over.
    fn take(&self) -> Vec<u64> {
        let mut heard = lock(&self.0.heard);
        heard.is_woken = false;
        std::mem::take(&mut heard.numbers)
    }
}

/// A number for something that is waited for. None is used twice.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// How far an operation is.
enum Progress {
    Running,
    Over(Outcome),
    /// Its result was taken.
    Taken,
}

struct Shared {
    number: u64,
    inbox: Arc<Inbox>,
    progress: Mutex<Progress>,
}

impl Shared {
    fn end(&self, outcome: Outcome) {
        {
            let mut progress = lock(&self.progress);
            if !matches!(*progress, Progress::Running) {
                return;
            }
            *progress = Progress::Over(outcome);
        }
        self.inbox.put(self.number);
    }
}

/// Ends an operation whose future is dropped before its end: by a cancellation, when nobody hears it, or by a panic.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end(Box::new(|_| {
            Err(errors::closed("the operation was given up"))
        }));
    }
}

/// Something that goes on while the event loop does. It ends when it is dropped.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioOperation {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[pymethods]
impl AioOperation {
    /// What its port says when it is over.
    #[getter]
    fn number(&self) -> u64 {
        self.shared.number
    }

    /// Whether it is over.
    #[getter]
    fn done(&self) -> bool {
        !matches!(*lock(&self.shared.progress), Progress::Running)
    }

    /// What came of it: returned or raised, once.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let progress = std::mem::replace(&mut *lock(&self.shared.progress), Progress::Taken);
        match progress {
            Progress::Over(outcome) => outcome(py),
            Progress::Running | Progress::Taken => Err(errors::closed(
                "the operation is not over, or its result was taken",
            )),
        }
    }

    /// Gives it up, if it is not over.
    fn cancel(&self) {
        {
            let mut progress = lock(&self.shared.progress);
            if !matches!(*progress, Progress::Running) {
                return;
            }
            // Nobody is to hear of its end.
            *progress = Progress::Taken;
        }
        self.task.abort();
    }
}

impl Drop for AioOperation {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Does at once what can be done at once, and returns its result, or an [`AioOperation`] that does the rest.
pub(crate) fn start<F, C>(
    py: Python<'_>,
    port: &AioPort,
    future: F,
    convert: C,
) -> PyResult<Py<PyAny>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: FnOnce(Python<'_>, F::Output) -> PyResult<Py<PyAny>> + Send + 'static,
{
    let runtime = runtime::handle()?;
    let mut future = Box::pin(future);
    {
        let _inside = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return convert(py, output);
        }
    }
    let shared = Arc::new(Shared {
        number: next_number(),
        inbox: Arc::clone(&port.0),
        progress: Mutex::new(Progress::Running),
    });
    let guard = Guard(Arc::clone(&shared));
    let task = runtime.spawn(async move {
        let output = future.await;
        guard.0.end(Box::new(move |py| convert(py, output)));
    });
    let operation = AioOperation {
        shared,
        task: task.abort_handle(),
    };
    Ok(Py::new(py, operation)?.into_any())
}

/// What is polled for items, on the thread of a loop.
pub(crate) type Source<T> = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<T>> + Send>;

/// Items that come by and by, polled where they are wanted: none is taken out before.
pub(crate) struct Stream<T> {
    source: Mutex<Source<T>>,
    bell: Arc<Bell>,
}

/// What a reader finds.
pub(crate) enum Next<T> {
    Item(T),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

impl<T> Stream<T> {
    pub(crate) fn new(port: &AioPort, source: Source<T>) -> Self {
        Self {
            source: Mutex::new(source),
            bell: Arc::new(Bell {
                inbox: Arc::clone(&port.0),
                readers: Mutex::default(),
            }),
        }
    }

    /// The next item, if there is one now.
    pub(crate) fn take(&self) -> Next<T> {
        lock(&self.bell.readers).is_rung = false;
        let waker = Waker::from(Arc::clone(&self.bell));
        match lock(&self.source)(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(item)) => Next::Item(item),
            Poll::Ready(None) => Next::End,
            Poll::Pending => Next::Nothing,
        }
    }

    /// The number that the port says when there may be an item, after [`take`](Self::take) has found nothing. `None`: look
    /// again at once.
    pub(crate) fn listen(&self) -> Option<u64> {
        let mut readers = lock(&self.bell.readers);
        if readers.is_rung {
            return None;
        }
        let number = next_number();
        readers.numbers.push(number);
        Some(number)
    }

    /// The reader that got this number does not wait any more.
    pub(crate) fn leave(&self, number: u64) {
        lock(&self.bell.readers)
            .numbers
            .retain(|other| *other != number);
    }
}

/// What is rung when there may be an item.
struct Bell {
    inbox: Arc<Inbox>,
    readers: Mutex<Readers>,
}

#[derive(Default)]
struct Readers {
    /// Since somebody looked last.
    is_rung: bool,
    /// Of those who wait.
    numbers: Vec<u64>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let numbers = {
            let mut readers = lock(&self.readers);
            readers.is_rung = true;
            std::mem::take(&mut readers.numbers)
        };
        for number in numbers {
            self.inbox.put(number);
        }
    }
}

/// A source made of a future that gives an item and what the next one comes from.
pub(crate) fn unfold<S, T, F, A>(state: S, mut next: F) -> Source<T>
where
    S: Send + 'static,
    F: FnMut(S) -> A + Send + 'static,
    A: Future<Output = (S, Option<T>)> + Send + 'static,
{
    let mut waiting: Pin<Box<A>> = Box::pin(next(state));
    Box::new(move |cx| {
        let Poll::Ready((state, item)) = waiting.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        waiting = Box::pin(next(state));
        Poll::Ready(item)
    })
}
