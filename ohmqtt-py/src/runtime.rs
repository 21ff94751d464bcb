//! The one thread that does all I/O, and how Python's threads wait for what it does.
//!
//! It never waits for Python: what it has to say is left where a thread of Python's fetches it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, ThreadId};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::{Builder, Handle};

use crate::logs;

/// How long a wait goes on before it looks for signals: Ctrl-C is answered within this.
const SIGNALS: Duration = Duration::from_millis(50);

/// How long the end of the interpreter waits for threads of ours that run Python.
const LAST_VISITS: Duration = Duration::from_secs(1);

static STARTED: Mutex<Option<Handle>> = Mutex::new(None);

/// The process that the thread runs in; 0 before there is one.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Why the process is to be asked which it is: a fork is under way, or has made it, or nobody would say so. Asking is a system call, and
/// there were six for a message of QoS 1.
static UNSURE: AtomicUsize = AtomicUsize::new(1);

/// Whether this process was forked from the one that has the thread. What was locked then is locked here for ever: of what a client has
/// made, nothing is to be asked, nor dropped.
pub(crate) fn is_forked() -> bool {
    UNSURE.load(Ordering::Relaxed) != 0 && is_another()
}

/// As [`is_forked`], also where somebody has forked behind Python's back: for what may wait.
fn is_another() -> bool {
    let process = PROCESS.load(Ordering::Relaxed);
    process != 0 && process != std::process::id()
}

/// A fork begins, or has made this process and not said so before.
#[pyfunction]
fn fork_begins() {
    UNSURE.fetch_add(1, Ordering::Relaxed);
}

/// A fork is over, here where it began.
#[pyfunction]
fn fork_ends() {
    UNSURE.fetch_sub(1, Ordering::Relaxed);
}

/// Hears of forks from now on. Before a fork, and not only in its child: there Python drops what other threads had before it tells.
fn hear_of_forks(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    // Without it there are no forks.
    if let Some(register) = os.getattr_opt("register_at_fork")? {
        let begins = wrap_pyfunction!(fork_begins, py)?;
        let hooks = PyDict::new(py);
        hooks.set_item("before", &begins)?;
        hooks.set_item("after_in_parent", wrap_pyfunction!(fork_ends, py)?)?;
        hooks.set_item("after_in_child", &begins)?;
        register.call((), Some(&hooks))?;
    }
    UNSURE.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

/// A `RuntimeError` in a forked process.
pub(crate) fn refuse_fork() -> PyResult<()> {
    if is_forked() {
        return Err(forked());
    }
    Ok(())
}

fn forked() -> PyErr {
    PyRuntimeError::new_err(
        "ohmqtt was in use before this process was forked, and its I/O thread stayed behind: \
         fork before the first use, or start processes with multiprocessing's 'spawn'",
    )
}

/// The thread that ends the interpreter.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// The interpreter ends, by this thread. Others that Python has left go no further than to the next call of a client: that it is closed
/// is nothing they could do anything about, but complain.
#[pyfunction]
pub(crate) fn interpreter_ends() {
    ENDING.get_or_init(|| std::thread::current().id());
}

/// Whether this thread goes no further.
fn is_over() -> bool {
    let ending = ENDING.get();
    ending.is_some_and(|ending| *ending != std::thread::current().id())
}

/// Before something is done for Python: a `RuntimeError` in a forked process.
pub(crate) fn admit(py: Python<'_>) -> PyResult<()> {
    refuse_fork()?;
    if is_over() {
        py.detach(|| {
            loop {
                std::thread::park();
            }
        });
    }
    Ok(())
}

/// How many threads of ours have the GIL, or wait for it.
static VISITORS: AtomicUsize = AtomicUsize::new(0);

/// None of them gets it any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

struct Visitor;

impl Drop for Visitor {
    fn drop(&mut self) {
        VISITORS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs Python on a thread of ours. `None` when the interpreter ends: it would stop the thread in the middle.
pub(crate) fn visit<T>(run: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    VISITORS.fetch_add(1, Ordering::SeqCst);
    let _visitor = Visitor;
    if CLOSED.load(Ordering::SeqCst) {
        return None;
    }
    Python::try_attach(run)
}

/// Lets no thread of ours run Python any more, and those that do come to their end.
#[pyfunction]
pub(crate) fn end_visits(py: Python<'_>) {
    CLOSED.store(true, Ordering::SeqCst);
    if is_forked() {
        return;
    }
    py.detach(|| {
        let deadline = Instant::now() + LAST_VISITS;
        while VISITORS.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// The runtime on that thread, which begins with the first that asks and ends with the process.
///
/// A `RuntimeError` in a process that was forked from one that has it: no thread survives a fork.
pub(crate) fn handle() -> PyResult<Handle> {
    // First: the lock may be one of those that stay locked.
    if is_another() {
        return Err(forked());
    }
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    let no_thread = |error| PyOSError::new_err(format!("no thread for I/O: {error}"));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_thread)?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("ohmqtt".to_owned());
    thread
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(no_thread)?;
    *started = Some(handle.clone());
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    drop(started);
    // Whoever asks first is a thread of Python's.
    Python::try_attach(|py| {
        hear_of_forks(py)?;
        logs::look(py)
    })
    .transpose()?;
    Ok(handle)
}

/// How long a thread waits that gets no signals.
const NO_SIGNALS: Duration = Duration::from_secs(3600);

/// Waits for `future` with the GIL free, for as long as it takes or at most `timeout`: then `None`. A signal handler that raises
/// ends the wait, and `future` is dropped.
pub(crate) fn wait<F>(
    py: Python<'_>,
    timeout: Option<Duration>,
    future: F,
) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    admit(py)?;
    let output = wait_to_the_end(py, timeout, future)?;
    admit(py)?;
    Ok(output)
}

/// The same for a thread that has to hear of the end.
pub(crate) fn wait_to_the_end<F>(
    py: Python<'_>,
    timeout: Option<Duration>,
    future: F,
) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let runtime = handle()?;
    logs::look_again(py)?;
    let mut future = pin!(future);
    // What is there already costs neither the GIL nor a timer.
    {
        let _inside = runtime.enter();
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return Ok(Some(output));
        }
    }
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        py.check_signals()?;
        return Ok(None);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut longest = SIGNALS;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.map_or(longest, |left| left.min(longest));
        let future: Pin<&mut F> = future.as_mut();
        let output = py.detach(|| {
            let _inside = runtime.enter();
            sleep_until_ready(future, slice)
        });
        if output.is_some() {
            return Ok(output);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left <= slice) {
            return Ok(None);
        }
        if longest == SIGNALS && !gets_signals(py)? {
            longest = NO_SIGNALS;
        }
    }
}

/// Wakes a thread that sleeps.
struct Sleeper {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Sleeps until `future` is ready, for at most `longest`: then `None`. A timer of the runtime's would do the same, but the thread for
/// I/O is woken for each that is set from here.
fn sleep_until_ready<F: Future>(mut future: Pin<&mut F>, longest: Duration) -> Option<F::Output> {
    let sleeper = Arc::new(Sleeper {
        thread: std::thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut context = Context::from_waker(&waker);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        while !sleeper.woken.swap(false, Ordering::AcqRel) {
            let left = longest.saturating_sub(began.elapsed());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}

/// Whether this is the thread that Python's signal handlers run in.
fn gets_signals(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    let this = threading.call_method0(intern!(py, "get_ident"))?;
    main.getattr(intern!(py, "ident"))?.eq(this)
}

/// A time limit in seconds, as Python gives it: `None` is none. Negative is none left; what is no number is a `ValueError`.
pub(crate) fn seconds(name: &str, value: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(value) = value else {
        return Ok(None);
    };
    if value.is_nan() {
        return Err(PyValueError::new_err(format!(
            "{name}: not a number of seconds"
        )));
    }
    // More than a Duration holds is for ever.
    Ok(Duration::try_from_secs_f64(value.max(0.0)).ok())
}
