//! `ohmqtt.broker`: a broker in the process, on a thread of its own.
//!
//! `settings` is what it is told once, `life` that thread from start to end, `access` how it asks Python who may do what, `faults` the
//! switches that break things, `errors` what Python hears of what goes wrong. The face that users see is in Python.

mod access;
mod errors;
mod faults;
mod life;
mod settings;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub(crate) use self::access::{Ask, Asks};
pub(crate) use self::faults::{Faults, Switches};
use self::life::Life;
use crate::runtime;

/// A broker that runs, for ohmqtt.broker.Broker.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct RunningBroker {
    life: Life,
}

#[pymethods]
impl RunningBroker {
    /// Starts a broker with these settings, an object with an attribute for each.
    #[new]
    fn new(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        // Nothing is opened in a process that was forked from one with threads.
        runtime::handle()?;
        let builder = settings::builder(settings)?;
        Ok(Self {
            life: Life::start(settings.py(), builder)?,
        })
    }

    /// Where it listens, with the ports that were chosen.
    #[getter]
    fn urls(&self) -> Vec<String> {
        self.life.urls().to_vec()
    }

    /// Stops it, within so many seconds; waits until it has.
    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = runtime::seconds("timeout", Some(timeout))?;
        self.life.stop(py, timeout)
    }

    /// What it holds and has done, by the names of the dataclass.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = self.life.ask(py, ohmqtt_broker::Broker::metrics)?;
        let named = PyDict::new(py);
        named.set_item("uptime", metrics.uptime.as_secs_f64())?;
        named.set_item("connected", metrics.connected)?;
        named.set_item("most_connected", metrics.most_connected)?;
        named.set_item("sessions", metrics.sessions)?;
        named.set_item("subscriptions", metrics.subscriptions)?;
        named.set_item("published", metrics.published)?;
        named.set_item("delivered", metrics.delivered)?;
        named.set_item("dropped", metrics.dropped)?;
        named.set_item("expired", metrics.expired)?;
        named.set_item("bytes_received", metrics.bytes_received)?;
        named.set_item("bytes_sent", metrics.bytes_sent)?;
        named.set_item("packets_received", metrics.packets_received)?;
        named.set_item("packets_sent", metrics.packets_sent)?;
        named.set_item("queued", metrics.queued)?;
        named.set_item("queued_bytes", metrics.queued_bytes)?;
        named.set_item("retained", metrics.retained)?;
        named.set_item("retained_bytes", metrics.retained_bytes)?;
        Ok(named)
    }

    /// Ends the connection of a client; tells whether there was one.
    fn disconnect(&self, py: Python<'_>, client_id: String) -> PyResult<bool> {
        self.life
            .ask(py, move |broker| broker.disconnect(&client_id))
    }

    /// Sends clients elsewhere from now on; an empty text takes it back.
    fn redirect(&self, py: Python<'_>, server: String) -> PyResult<()> {
        if self.life.ask(py, move |broker| broker.redirect(&server))? {
            return Ok(());
        }
        let why = "server: has a null character or more than 65,535 bytes";
        Err(PyValueError::new_err(why))
    }

    /// Reads the files that say who may do what again.
    fn reload_access(&self, py: Python<'_>) -> PyResult<()> {
        let reloaded = self
            .life
            .ask_for(py, async |broker| broker.reload_access().await)?;
        reloaded.map_err(|error| errors::file(py, &error))
    }

    /// The switches that break things.
    fn faults(&self, py: Python<'_>) -> PyResult<Faults> {
        let faults = self.life.ask(py, ohmqtt_broker::Broker::faults)?;
        Ok(Faults::new(faults, self.life.handle().clone()))
    }
}
