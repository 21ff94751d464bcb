//! `ohmqtt.broker`: a broker in the process, on a thread of its own.
//!
//! `life` is that thread from start to end, `errors` what Python hears of what goes wrong. The face that users see is in Python.

mod errors;
mod life;

use pyo3::prelude::*;

use self::life::Life;
use crate::runtime;

/// A broker that runs, for ohmqtt.broker.Broker.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct RunningBroker {
    life: Life,
}

#[pymethods]
impl RunningBroker {
    /// Starts a broker that listens at these URLs.
    #[new]
    #[pyo3(signature = (urls))]
    fn new(py: Python<'_>, urls: Vec<String>) -> PyResult<Self> {
        let mut builder = ohmqtt_broker::Broker::builder();
        for url in urls {
            builder = builder.listen(url);
        }
        Ok(Self {
            life: Life::start(py, builder)?,
        })
    }

    /// Where it listens, with the ports that were chosen.
    #[getter]
    fn urls(&self) -> Vec<String> {
        self.life.urls().to_vec()
    }

    /// Stops it, within so many seconds; waits until it has.
    #[pyo3(signature = (timeout))]
    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = runtime::seconds("timeout", Some(timeout))?;
        self.life.stop(py, timeout)
    }
}
