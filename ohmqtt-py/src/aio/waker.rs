//! The thread that wakes event loops. It takes the GIL, so that the I/O thread never has to.
//!
//! It wakes all loops that have something to hear at once, by `ohmqtt.aio._port.wake`.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// The thread, and the process it runs in.
struct Started {
    process: u32,
    thread: JoinHandle<()>,
    loops: Sender<Option<usize>>,
}

static STARTED: Mutex<Option<Started>> = Mutex::new(None);

fn started() -> MutexGuard<'static, Option<Started>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where to tell the thread, which begins with the first that asks, of a loop that has something to hear.
pub(crate) fn waker(py: Python<'_>) -> PyResult<Loops> {
    if let Some(running) = &*started() {
        return Ok(Loops(running.loops.clone()));
    }
    // Nothing of Python's is called under the lock.
    let stop = pyo3::wrap_pyfunction!(stop, py)?;
    py.import("atexit")?.call_method1("register", (stop,))?;
    let mut started = started();
    if let Some(running) = &*started {
        return Ok(Loops(running.loops.clone()));
    }
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("ohmqtt-waker".to_owned());
    let thread = thread
        .spawn(move || run(&receiver))
        .map_err(|error| PyOSError::new_err(format!("no thread to wake event loops: {error}")))?;
    let loops = Loops(sender.clone());
    *started = Some(Started {
        process: std::process::id(),
        thread,
        loops: sender,
    });
    Ok(loops)
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Loops(Sender<Option<usize>>);

impl Loops {
    /// This loop has something to hear. Blocks nobody.
    pub(crate) fn wake(&self, number: usize) {
        // Once the interpreter ends nobody is woken any more.
        let _ = self.0.send(Some(number));
    }
}

fn run(loops: &Receiver<Option<usize>>) {
    while let Ok(Some(first)) = loops.recv() {
        let mut numbers = BTreeSet::from([first]);
        let mut is_last = false;
        for next in loops.try_iter() {
            match next {
                Some(number) => _ = numbers.insert(number),
                None => is_last = true,
            }
        }
        if is_last {
            return;
        }
        Python::try_attach(|py| {
            let told = py
                .import("ohmqtt.aio._port")
                .and_then(|module| module.getattr("wake")?.call1((numbers,)));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// Ends the thread, before the interpreter does: afterwards it could not take the GIL.
#[pyfunction]
fn stop(py: Python<'_>) {
    let running = started().take();
    // A process that was forked has no such thread.
    if let Some(running) = running.filter(|running| running.process == std::process::id()) {
        let _ = running.loops.send(None);
        py.detach(|| {
            let _ = running.thread.join();
        });
    }
}
