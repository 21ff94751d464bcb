//! A message that came, as Python sees it, and the acknowledging of it.

use ohmqtt_client::ReasonCode;
use ohmqtt_codec::{PacketType, SubscriptionId};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::codes::Code;
use crate::convert::{self, Int, tuple_of_pairs};
use crate::packet::{self, Field};

/// A message that came. It is immutable; its attributes are those of a PUBLISH.
///
/// message_expiry_interval is in seconds, as far as any are left. payload_format_indicator is 1 when the sender says that
/// the payload is UTF-8.
#[pyclass(frozen, name = "Message", module = "ohmqtt.aio")]
pub(crate) struct Message(pub(crate) ohmqtt_client::Message);

#[pymethods]
impl Message {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("topic", "payload")
    }

    /// Where it was published.
    #[getter]
    fn topic(&self) -> &str {
        self.0.topic.as_str()
    }

    /// The application's bytes.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.payload)
    }

    /// The payload as text, which it has to be, in UTF-8: a UnicodeDecodeError if it is not.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0.text() {
            Ok(text) => Ok(text.into_pyobject(py)?.into_any()),
            // Python says it as it always does.
            Err(_) => self.payload(py).call_method0("decode"),
        }
    }

    /// The QoS it was delivered with.
    #[getter]
    fn qos<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Code::Qos.member(py, self.0.qos)
    }

    /// Whether it was retained, or published so and the subscription asked to see that.
    #[getter]
    fn retain(&self) -> bool {
        self.0.retain
    }

    #[getter]
    fn payload_format_indicator(&self) -> u8 {
        u8::from(self.0.properties.payload_format_indicator() == Some(true))
    }

    #[getter]
    fn message_expiry_interval(&self) -> Option<u32> {
        self.0.properties.message_expiry_interval()
    }

    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.0.properties.content_type()
    }

    #[getter]
    fn response_topic(&self) -> Option<&str> {
        self.0.properties.response_topic()
    }

    #[getter]
    fn correlation_data(&self) -> Option<&[u8]> {
        self.0.properties.correlation_data()
    }

    #[getter]
    fn subscription_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let ids = self.0.properties.subscription_identifiers();
        PyTuple::new(py, ids.map(SubscriptionId::get).collect::<Vec<_>>())
    }

    #[getter]
    fn user_properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple_of_pairs(py, self.0.properties.user_properties())
    }

    /// Say that the message is taken, where the subscription has manual_ack.
    ///
    /// Does nothing at QoS 0, or a second time. Acknowledgements leave in the order of the messages, whatever the order of
    /// the calls. A message that is dropped without this or reject is not acknowledged: the server sends it again on the
    /// next connection of the session.
    fn ack(&self) {
        self.0.ack();
    }

    /// Refuse the message, where the subscription has manual_ack, with an error code that a PUBACK may carry.
    #[pyo3(signature = (reason_code = None))]
    fn reject(&self, reason_code: Option<Int>) -> PyResult<()> {
        let reason = match reason_code {
            Some(code) => convert::reason(PacketType::PubAck, code)?,
            None => ReasonCode::UnspecifiedError,
        };
        if !reason.is_error() {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "reason_code: {reason} is no refusal, use ack() or a code of 128 or more"
            )));
        }
        self.0.reject(reason);
        Ok(())
    }

    /// Answer the message: publish to the topic it names as its response topic, with its correlation data and its QoS.
    ///
    /// A coroutine, as Client.publish, with the same options. A message that names no response topic is a ValueError.
    #[pyo3(signature = (payload, **options))]
    fn reply<'py>(
        slf: &Bound<'py, Self>,
        payload: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("ohmqtt.aio._publication")?;
        module.getattr("reply")?.call((slf, payload), options)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let py = slf.py();
        let fields = [
            positional("topic", this.topic().into_pyobject(py)?.into_any()),
            positional("payload", this.payload(py).into_any()),
            optional("qos", this.qos(py)?, 0u8.into_pyobject(py)?.into_any()),
            optional(
                "retain",
                this.retain().into_pyobject(py)?.to_owned().into_any(),
                false.into_pyobject(py)?.to_owned().into_any(),
            ),
        ];
        packet::repr("Message", &fields)
    }
}

fn positional<'py>(name: &'static str, value: Bound<'py, PyAny>) -> Field<'py> {
    Field {
        name,
        value,
        default: None,
    }
}

fn optional<'py>(
    name: &'static str,
    value: Bound<'py, PyAny>,
    default: Bound<'py, PyAny>,
) -> Field<'py> {
    Field {
        name,
        value,
        default: Some(default),
    }
}
