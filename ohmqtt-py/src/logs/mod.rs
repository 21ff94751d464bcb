//! What the crates below say by `tracing` becomes records of Python's `logging`, below the logger `ohmqtt`.
//!
//! Whoever says something leaves it in a queue with a bound and goes on; a thread of its own takes the GIL and hands it over. What no
//! logger would take is not even made into text: the loggers' levels are looked at now and then, by whoever has the GIL.

mod bridge;
mod queue;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};

use self::bridge::Bridge;

/// How old what is known of the levels may be.
const FRESH: Duration = Duration::from_millis(100);

/// The crates that have something to say, and the loggers they say it to.
const LOGGERS: [(&str, &str); 7] = [
    ("_native", "ohmqtt"),
    ("ohmqtt_broker", "ohmqtt.broker"),
    ("ohmqtt_client", "ohmqtt.client"),
    ("ohmqtt_driver", "ohmqtt.connection"),
    ("ohmqtt_session", "ohmqtt.session"),
    ("ohmqtt_store", "ohmqtt.store"),
    ("ohmqtt_transport", "ohmqtt.connection"),
];

/// The lowest level that any of the loggers takes, as `logging` counts.
static LOWEST: AtomicI64 = AtomicI64::new(30);

static LOOKED: Mutex<Option<Instant>> = Mutex::new(None);

static LISTENING: Once = Once::new();

/// The logger for what this is about; none if it is not of ours.
fn logger(metadata: &Metadata<'_>) -> Option<&'static str> {
    let name = metadata.target().split("::").next()?;
    let (_, logger) = LOGGERS.iter().find(|(target, _)| *target == name)?;
    Some(logger)
}

/// What `logging` calls a level; it has no name for the last.
fn number(level: Level) -> i64 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

fn is_taken(level: Level) -> bool {
    number(level) >= LOWEST.load(Ordering::Relaxed)
}

/// The most that anybody is asked for. The spans that say what a record is about are made whether one is taken or not.
fn filter() -> LevelFilter {
    if is_taken(Level::TRACE) {
        LevelFilter::TRACE
    } else if is_taken(Level::DEBUG) {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    }
}

/// Looks at the levels of the loggers, unless somebody just has.
pub(crate) fn look_again(py: Python<'_>) -> PyResult<()> {
    let looked = *LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    if looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
        look(py)?;
    }
    Ok(())
}

/// Look at the levels of the loggers; the first time, begin to listen.
#[pyfunction]
#[pyo3(name = "look_at_log_levels")]
pub(crate) fn look(py: Python<'_>) -> PyResult<()> {
    *LOOKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    match lowest(py) {
        Ok(level) => {
            if LOWEST.swap(level, Ordering::Relaxed) != level {
                tracing::callsite::rebuild_interest_cache();
            }
        }
        Err(error) if error.is_instance_of::<PyException>(py) => error.write_unraisable(py, None),
        // Ctrl-C came just now: it is whoever waits that it is for.
        Err(error) => return Err(error),
    }
    if !LISTENING.is_completed() {
        if let Err(error) = queue::begin(py) {
            error.write_unraisable(py, None);
        }
        // Whoever else listens in this process was first, and goes on.
        LISTENING.call_once(|| _ = tracing::subscriber::set_global_default(Bridge::default()));
    }
    Ok(())
}

/// The lowest level of all loggers there are.
fn lowest(py: Python<'_>) -> PyResult<i64> {
    let find = py.import("logging")?.getattr("getLogger")?;
    let mut lowest = i64::MAX;
    for (_, name) in LOGGERS {
        let level: i64 = find
            .call1((name,))?
            .call_method0("getEffectiveLevel")?
            .extract()?;
        lowest = lowest.min(level);
    }
    Ok(lowest)
}
