//! A broker's thread, from its start to its end.
//!
//! It is not the thread that does all other I/O: a broker asks Python who may do what, and while it waits for an answer nothing else
//! is to wait with it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ohmqtt_broker::{Broker, Builder, StartError};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use tokio::runtime::{Builder as RuntimeBuilder, Handle, Runtime};
use tokio::sync::{oneshot, watch};

use super::access::forbid_in_authorizer;
use super::errors;
use crate::runtime;

/// How long a broker that nobody holds any more waits for its clients to go.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// A running broker. It stops when this is dropped.
pub(super) struct Life {
    urls: Vec<String>,
    broker: Place,
    handle: Handle,
    /// `None`: it was told to stop.
    stop: Mutex<Option<oneshot::Sender<Duration>>>,
    /// Closed when the thread is at its end.
    ended: watch::Receiver<()>,
    process: u32,
}

/// Where the broker is: nowhere before it has started and when it stops.
type Place = Arc<Mutex<Option<Broker>>>;

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
        let handle = runtime.handle().clone();
        let broker = Place::default();
        let place = Arc::clone(&broker);
        let (tell_started, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        let thread = std::thread::Builder::new().name("ohmqtt-broker".to_owned());
        thread
            .spawn(move || {
                run(runtime, builder, &place, tell_started, stopped);
                drop(alive);
            })
            .map_err(no_thread)?;
        let started = runtime::wait(py, None, started)?.and_then(Result::ok);
        let urls = started
            .ok_or_else(|| PyRuntimeError::new_err("the broker's thread ended: this is a bug"))?
            .map_err(|error| errors::start(py, &error))?;
        Ok(Self {
            urls,
            broker,
            handle,
            stop: Mutex::new(Some(stop)),
            ended,
            process: std::process::id(),
        })
    }

    /// Where clients connect to.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// What the broker says when it is asked this, which may wait for its lock, and so for Python.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&Broker) -> T + Send + 'static,
    ) -> PyResult<T> {
        forbid_in_authorizer()?;
        let broker = Arc::clone(&self.broker);
        let asked = move || lock(&broker).as_ref().map(question);
        let asked = self.handle.spawn_blocking(asked);
        match runtime::wait(py, None, asked)? {
            Some(Ok(Some(answer))) => Ok(answer),
            _ => Err(PyRuntimeError::new_err(
                "the broker has stopped: start() it",
            )),
        }
    }

    /// As [`ask`](Self::ask), for what is awaited.
    pub(super) fn ask_for<T: Send + 'static>(
        &self,
        py: Python<'_>,
        question: impl AsyncFnOnce(&Broker) -> T + Send + 'static,
    ) -> PyResult<T> {
        let handle = self.handle.clone();
        self.ask(py, move |broker| handle.block_on(question(broker)))
    }

    /// The runtime that the broker runs on.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Tells the broker to stop, and waits until it has. When it was told before, and is at it, that wait ends with `deadline`.
    pub(super) fn stop(&self, py: Python<'_>, deadline: Option<Duration>) -> PyResult<()> {
        forbid_in_authorizer()?;
        // In a process that was forked there is nothing to tell.
        runtime::handle()?;
        let stop = lock(&self.stop).take();
        let limit = deadline.filter(|_| stop.is_none());
        if let Some(stop) = stop {
            // It may have ended by itself, with a panic that has been printed.
            let _ = stop.send(deadline.unwrap_or(Duration::MAX));
        }
        let mut ended = self.ended.clone();
        let over = async move { while ended.changed().await.is_ok() {} };
        runtime::wait(py, limit, over)?;
        Ok(())
    }
}

/// The broker's thread.
fn run(
    runtime: Runtime,
    builder: Builder,
    place: &Place,
    tell_started: oneshot::Sender<Result<Vec<String>, StartError>>,
    stopped: oneshot::Receiver<Duration>,
) {
    runtime.block_on(async move {
        let urls = builder.start().await.map(|broker| {
            let urls = broker.urls().to_vec();
            *lock(place) = Some(broker);
            urls
        });
        // Whoever asked may have been interrupted.
        let _ = tell_started.send(urls);
        if lock(place).is_none() {
            return;
        }
        let deadline = stopped.await.unwrap_or(DROP_DEADLINE);
        let broker = lock(place).take();
        if let Some(broker) = broker {
            broker.shutdown(deadline).await;
        }
    });
    // What is asked of Python may never return.
    runtime.shutdown_background();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
