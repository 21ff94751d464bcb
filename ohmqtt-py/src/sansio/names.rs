//! The events, enums and the exception that `ohmqtt.sansio` defines in Python, looked up once.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Which class.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Acked,
    Authenticate,
    Authenticated,
    ClientDisconnected,
    Connected,
    ConnectRequest,
    Disconnected,
    Lost,
    Received,
    RequestLost,
    Sent,
    SessionLost,
    Subscribed,
    SubscribeRequest,
    Unsubscribed,
    UnsubscribeRequest,
    Verify,
    Cause,
    Loss,
    OutboxFullError,
}

/// Their names, in the order of [`Name`].
const NAMES: [&str; 20] = [
    "Acked",
    "Authenticate",
    "Authenticated",
    "ClientDisconnected",
    "Connected",
    "ConnectRequest",
    "Disconnected",
    "Lost",
    "Received",
    "RequestLost",
    "Sent",
    "SessionLost",
    "Subscribed",
    "SubscribeRequest",
    "Unsubscribed",
    "UnsubscribeRequest",
    "Verify",
    "Cause",
    "Loss",
    "OutboxFullError",
];

static CLASSES: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();

impl Name {
    fn class(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let classes = CLASSES.get_or_try_init(py, || {
            let module = py.import("ohmqtt.sansio")?;
            let classes = NAMES.iter().map(|name| Ok(module.getattr(*name)?.unbind()));
            classes.collect::<PyResult<_>>()
        })?;
        match classes.get(self as usize) {
            Some(class) => Ok(class.bind(py).clone()),
            None => Err(pyo3::exceptions::PyAttributeError::new_err("no such class")),
        }
    }

    pub(super) fn make<'py>(
        self,
        py: Python<'py>,
        args: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.class(py)?.call1(args)
    }

    /// A member of the enum.
    pub(super) fn member<'py>(self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.class(py)?.getattr(name)
    }

    /// The exception with this text.
    pub(super) fn error(self, py: Python<'_>, text: String) -> PyErr {
        let error = self.make(py, (text,));
        error.map_or_else(|error| error, PyErr::from_value)
    }
}
