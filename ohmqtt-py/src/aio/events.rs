//! What happens to a client, told to `ohmqtt.aio._events`, which knows the classes: a name and the values in their order.

use std::time::Duration;

use ohmqtt_client::{ConnectionState, Event, Events};
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::port::{AioPort, Next, Stream, unfold};
use crate::codes::Code;
use crate::errors;
use crate::packet::ConnAckPacket;

/// The native half of the events of a client.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioEvents(Stream<Event>);

impl AioEvents {
    pub(crate) fn new(port: &AioPort, events: Events) -> Self {
        let next = |mut events: Events| async move {
            let event = events.recv().await;
            (events, event)
        };
        Self(Stream::new(port, unfold(events, next)))
    }
}

#[pymethods]
impl AioEvents {
    /// The next event as (name, text, values), or None if there is none now. StopAsyncIteration if there will be none.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match self.0.take() {
            Next::Item(event) => told(py, &event).map(Some),
            Next::Nothing => Ok(None),
            Next::End => Err(PyStopAsyncIteration::new_err(())),
        }
    }

    /// As of a subscription.
    fn listen(&self) -> Option<u64> {
        self.0.listen()
    }

    /// As of a subscription.
    fn leave(&self, number: u64) {
        self.0.leave(number);
    }
}

fn told<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let (name, values) = match event {
        Event::Connected {
            address,
            session_present,
            connack,
        } => {
            let connack = Bound::new(py, ConnAckPacket((**connack).clone()))?;
            let values = (address, *session_present, connack);
            ("Connected", values.into_pyobject(py)?)
        }
        Event::SessionLost {
            messages,
            bytes,
            sent,
        } => ("SessionLost", (*messages, *bytes, *sent).into_pyobject(py)?),
        Event::Disconnected { error, retry_in } => (
            "Disconnected",
            (
                errors::connect(py, error),
                retry_in.as_ref().map(Duration::as_secs_f64),
            )
                .into_pyobject(py)?,
        ),
        Event::ConnectFailed { error, retry_in } => (
            "ConnectFailed",
            (
                errors::connect(py, error),
                retry_in.as_ref().map(Duration::as_secs_f64),
            )
                .into_pyobject(py)?,
        ),
        Event::Reauthenticated { result } => {
            let error = result.as_ref().err();
            let error = error.map(|error| errors::reauthenticate(py, error));
            ("Reauthenticated", (error,).into_pyobject(py)?)
        }
        Event::SubscriptionRefused { filter, reason } => (
            "SubscriptionRefused",
            (filter, Code::SubAck.member(py, *reason)?).into_pyobject(py)?,
        ),
        Event::NotAcknowledged { topic, qos } => (
            "NotAcknowledged",
            (topic.as_str(), Code::Qos.member(py, *qos)?).into_pyobject(py)?,
        ),
        Event::UnclaimedDropped { topic } => {
            ("UnclaimedDropped", (topic.as_str(),).into_pyobject(py)?)
        }
        Event::Closed { error } => ("Closed", (errors::connect(py, error),).into_pyobject(py)?),
        Event::Missed { events } => ("Missed", (*events,).into_pyobject(py)?),
        _ => ("Event", PyTuple::empty(py)),
    };
    (name, event.to_string(), values).into_pyobject(py)
}

/// How a connection stands: (name, attempt, session_present, error).
pub(crate) fn state<'py>(
    py: Python<'py>,
    state: &ConnectionState,
) -> PyResult<Bound<'py, PyTuple>> {
    let error = |error| Some(errors::connect(py, error));
    let (name, attempt, session_present, error) = match state {
        ConnectionState::Connecting {
            attempt,
            last_error,
        } => (
            "connecting",
            *attempt,
            false,
            last_error.as_ref().and_then(error),
        ),
        ConnectionState::Connected { session_present } => ("connected", 0, *session_present, None),
        ConnectionState::Closed { error: why } => ("closed", 0, false, error(why)),
        // A client of this module is not parked.
        _ => ("connecting", 0, false, None),
    };
    (name, attempt, session_present, error).into_pyobject(py)
}
