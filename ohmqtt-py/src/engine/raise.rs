//! The exceptions that only the drop-in client has.

use std::fmt::Display;

use ohmqtt_client::{ConfigError, StoreError};
use pyo3::prelude::*;

use crate::errors;

/// An `ohmqtt.connection.InvalidStateError`.
pub(super) fn invalid_state(py: Python<'_>, text: &str) -> PyErr {
    raised(py, "ohmqtt.connection", "InvalidStateError", text)
}

/// An `ohmqtt.connection.wslib.WebsocketError`.
pub(super) fn websocket(py: Python<'_>, text: impl Display) -> PyErr {
    raised(py, "ohmqtt.connection.wslib", "WebsocketError", text)
}

/// A client was not made: an `ohmqtt.persistence.base.SchemaError` where its file is something else.
pub(super) fn opened(py: Python<'_>, error: &ConfigError) -> PyErr {
    match error {
        ConfigError::Store(StoreError::NotAStore { .. } | StoreError::UnknownFormat { .. }) => {
            raised(py, "ohmqtt.persistence.base", "SchemaError", error)
        }
        _ => errors::config(error),
    }
}

fn raised(py: Python<'_>, module: &str, class: &str, text: impl Display) -> PyErr {
    let made = py
        .import(module)
        .and_then(|module| module.getattr(class)?.call1((text.to_string(),)));
    made.map_or_else(|error| error, PyErr::from_value)
}
