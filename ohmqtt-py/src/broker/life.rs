//! A broker's thread, from its start to its end.
//!
//! It is not the thread that does all other I/O: a broker asks Python who may do what, and while it waits for an answer nothing else
//! is to wait with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ohmqtt_broker::{Broker, Builder, StartError};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};
use tokio::sync::{oneshot, watch};

use super::errors;
use crate::runtime;

/// How long a broker that nobody holds any more waits for its clients to go.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// A running broker. It stops when this is dropped.
pub(super) struct Life {
    urls: Vec<String>,
    /// `None`: it was told to stop.
    stop: Mutex<Option<oneshot::Sender<Duration>>>,
    /// Closed when the thread is at its end.
    ended: watch::Receiver<()>,
    process: u32,
}

impl Life {
    /// Starts a broker on a new thread: when this returns, it takes connections.
    pub(super) fn start(py: Python<'_>, builder: Builder) -> PyResult<Self> {
        // Also refuses in a process that was forked from one with threads.
        runtime::handle()?;
        let no_thread = |error| PyOSError::new_err(format!("no thread for the broker: {error}"));
        let runtime = RuntimeBuilder::new_current_thread()
            .enable_all()
            .thread_name("ohmqtt-broker")
            .build()
            .map_err(no_thread)?;
        let (tell_started, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        let thread = std::thread::Builder::new().name("ohmqtt-broker".to_owned());
        thread
            .spawn(move || {
                run(runtime, builder, tell_started, stopped);
                drop(alive);
            })
            .map_err(no_thread)?;
        let started = runtime::wait(py, None, started)?.and_then(Result::ok);
        let urls = started
            .ok_or_else(|| PyRuntimeError::new_err("the broker's thread ended: this is a bug"))?
            .map_err(|error| errors::start(py, &error))?;
        Ok(Self {
            urls,
            stop: Mutex::new(Some(stop)),
            ended,
            process: std::process::id(),
        })
    }

    /// Where clients connect to.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Tells the broker to stop, and waits until it has, also when another thread has told it.
    pub(super) fn stop(&self, py: Python<'_>, deadline: Option<Duration>) -> PyResult<()> {
        // In a process that was forked there is nothing to tell.
        runtime::handle()?;
        let stop = self
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(stop) = stop {
            // It may have ended by itself, with a panic that has been printed.
            let _ = stop.send(deadline.unwrap_or(Duration::MAX));
        }
        let mut ended = self.ended.clone();
        runtime::wait(
            py,
            None,
            async move { while ended.changed().await.is_ok() {} },
        )?;
        Ok(())
    }
}

/// The broker's thread.
fn run(
    runtime: Runtime,
    builder: Builder,
    tell_started: oneshot::Sender<Result<Vec<String>, StartError>>,
    stopped: oneshot::Receiver<Duration>,
) {
    runtime.block_on(async move {
        let broker: Broker = match builder.start().await {
            Ok(broker) => broker,
            Err(error) => {
                // Whoever asked may have been interrupted.
                let _ = tell_started.send(Err(error));
                return;
            }
        };
        let _ = tell_started.send(Ok(broker.urls().to_vec()));
        let deadline = stopped.await.unwrap_or(DROP_DEADLINE);
        broker.shutdown(deadline).await;
    });
    // What is asked of Python may never return.
    runtime.shutdown_background();
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // The thread is not in this process, and what it held when it was forked is held for ever: wake nothing.
            let stop = self.stop.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(stop.take());
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}
