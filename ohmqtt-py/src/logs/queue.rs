//! The records that wait for Python, and the thread that hands them over.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// How many records wait at most; what comes then is lost, and counted.
const BOUND: usize = 1_000;

/// One record.
pub(super) struct Said {
    pub(super) logger: &'static str,
    pub(super) level: i64,
    pub(super) text: String,
    pub(super) file: &'static str,
    pub(super) line: u32,
}

struct Queue {
    said: VecDeque<Said>,
    lost: u64,
    /// The thread, and the process it runs in.
    thread: Option<(u32, JoinHandle<()>)>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    said: VecDeque::new(),
    lost: 0,
    thread: None,
});
static ARRIVED: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a record for the thread.
pub(super) fn put(said: Said) {
    let mut queue = queue();
    if queue.said.len() < BOUND {
        queue.said.push_back(said);
        ARRIVED.notify_one();
    } else {
        queue.lost += 1;
    }
}

/// Begins the thread, which ends before the interpreter does.
pub(super) fn begin(py: Python<'_>) -> PyResult<()> {
    // Nothing of Python's is called under the lock. What is registered after `logging` ends before it.
    py.import("logging")?;
    let stop = pyo3::wrap_pyfunction!(stop, py)?;
    py.import("atexit")?.call_method1("register", (stop,))?;
    let mut queue = queue();
    if queue.thread.is_none() {
        let thread = std::thread::Builder::new().name("ohmqtt-log".to_owned());
        let thread = thread
            .spawn(run)
            .map_err(|error| PyOSError::new_err(format!("no thread for logging: {error}")))?;
        queue.thread = Some((std::process::id(), thread));
    }
    Ok(())
}

fn run() {
    loop {
        let (said, lost, is_over) = {
            let mut queue = queue();
            while queue.said.is_empty() && queue.thread.is_some() {
                queue = ARRIVED.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let lost = std::mem::take(&mut queue.lost);
            (
                std::mem::take(&mut queue.said),
                lost,
                queue.thread.is_none(),
            )
        };
        Python::try_attach(|py| {
            for said in said {
                if let Err(error) = hand_over(py, said) {
                    error.write_unraisable(py, None);
                }
            }
            if lost > 0 {
                let text =
                    format!("{lost} records were lost: they came faster than they were taken");
                let said = Said {
                    logger: "ohmqtt",
                    level: 30,
                    text,
                    file: file!(),
                    line: line!(),
                };
                if let Err(error) = hand_over(py, said) {
                    error.write_unraisable(py, None);
                }
            }
        });
        if is_over {
            return;
        }
    }
}

/// Gives a record to its logger.
fn hand_over(py: Python<'_>, said: Said) -> PyResult<()> {
    let logger = py
        .import("logging")?
        .call_method1("getLogger", (said.logger,))?;
    if !logger
        .call_method1("isEnabledFor", (said.level,))?
        .is_truthy()?
    {
        return Ok(());
    }
    // The text is whole: without arguments nothing in it is a place to put one.
    let none = py.None();
    let record = logger.call_method1(
        "makeRecord",
        (
            said.logger,
            said.level,
            said.file,
            said.line,
            said.text,
            (),
            none,
        ),
    )?;
    logger.call_method1("handle", (record,))?;
    Ok(())
}

/// Ends the thread, before the interpreter does: afterwards it could not take the GIL. What waits is handed over first.
#[pyfunction]
fn stop(py: Python<'_>) {
    let process = std::process::id();
    let thread = {
        let mut queue = queue();
        // A process that was forked has no such thread.
        queue.thread.take_if(|(started, _)| *started == process)
    };
    if let Some((_, thread)) = thread {
        ARRIVED.notify_one();
        py.detach(|| _ = thread.join());
    }
}
