//! A message that was taken into the outbox, and what the server said of it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ohmqtt_client::{LostMessage, Publication, ReasonCode};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::port::{AioPort, start};
use crate::codes::Code;
use crate::convert::tuple_of_pairs;
use crate::errors;
use crate::packet::{self, Field};

/// What the server said of a message: PUBACK at QoS 1, PUBREC or PUBCOMP at QoS 2. At QoS 0, success once it was sent.
#[pyclass(frozen, module = "ohmqtt.aio")]
pub(crate) struct Acknowledgement(ohmqtt_client::Acknowledgement);

#[pymethods]
impl Acknowledgement {
    /// Success, or another code; those of 128 and above are errors. NO_MATCHING_SUBSCRIBERS is not one.
    #[getter]
    fn reason_code<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let code = match self.0.reason {
            // The only one that the others cannot say.
            ReasonCode::PacketIdentifierNotFound => Code::PubComp,
            _ => Code::PubAck,
        };
        code.member(py, self.0.reason)
    }

    /// The server's words for people, if it has any.
    #[getter]
    fn reason_str(&self) -> Option<&str> {
        self.0.properties.reason_string()
    }

    #[getter]
    fn user_properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple_of_pairs(py, self.0.properties.user_properties())
    }

    /// Whether the server refused the message.
    #[getter]
    fn is_error(&self) -> bool {
        self.0.reason.is_error()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (this, py) = (slf.get(), slf.py());
        let reason_str = this.reason_str().into_pyobject(py)?;
        let fields = [
            Field {
                name: "reason_code",
                value: this.reason_code(py)?,
                default: Some(py.Ellipsis().into_bound(py)),
            },
            Field {
                name: "reason_str",
                value: reason_str.into_any(),
                default: Some(py.None().into_bound(py)),
            },
        ];
        packet::repr("Acknowledgement", &fields)
    }
}

/// The native half of `ohmqtt.aio.Publication`.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioPublication(pub(crate) Publication);

#[pymethods]
impl AioPublication {
    /// The acknowledgement, or an operation that waits for it.
    fn acked(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let publication = self.0.clone();
        let future = async move { publication.acked().await };
        start(port.py(), port.get(), future, |py, acked| {
            let acked = acked.map_err(|why| lost(py, why))?;
            Ok(Py::new(py, Acknowledgement(acked))?.into_any())
        })
    }

    /// None, or an operation that waits until the message is in the outbox, and in the store if there is one.
    fn accepted(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let publication = self.0.clone();
        let future = async move { publication.accepted().await };
        start(port.py(), port.get(), future, |py, accepted| {
            accepted.map_err(|why| lost(py, why))?;
            Ok(py.None())
        })
    }

    /// None, or an operation that waits until the message was given to a connection.
    fn sent(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let publication = self.0.clone();
        let future = async move { publication.sent().await };
        start(port.py(), port.get(), future, |py, sent| {
            sent.map_err(|why| lost(py, why))?;
            Ok(py.None())
        })
    }

    /// Whether nothing more will be heard of it.
    #[getter]
    fn done(&self) -> bool {
        let acked = pin!(self.0.acked());
        let mut cx = Context::from_waker(Waker::noop());
        matches!(acked.poll(&mut cx), Poll::Ready(_))
    }
}

fn lost(py: Python<'_>, why: LostMessage) -> PyErr {
    errors::lost_message(py, why, format_args!("publish: {why}"))
}
