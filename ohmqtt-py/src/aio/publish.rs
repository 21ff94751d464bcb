//! Publishing: a message from Python's arguments, and an answer to another.

use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{
    AliasPolicy, Binary, Publication, Publish, PublishError, PublishProperties, Qos,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyDict;

use super::port::{AioPort, start};
use super::publication::AioPublication;
use crate::convert::{self, Blob};
use crate::errors;
use crate::message::Message;
use crate::options::{choice, get, int, seconds, user_properties};

/// A payload: bytes, or text as UTF-8.
pub(crate) struct Payload(pub(crate) Bytes);

impl FromPyObject<'_, '_> for Payload {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.extract::<PyBackedStr>() {
            return Ok(Self(Bytes::copy_from_slice(text.as_bytes())));
        }
        match value.extract::<Blob>() {
            Ok(blob) => Ok(Self(blob.0)),
            Err(_) => Err(PyTypeError::new_err(format!(
                "payload: expected str, bytes, bytearray or a memoryview of bytes, not '{}'",
                value.get_type().name()?
            ))),
        }
    }
}

/// What a message has besides its topic and payload.
#[derive(Default)]
pub(crate) struct Draft {
    /// Where it is not said, the default of what is done.
    qos: Option<Qos>,
    retain: bool,
    deadline: Option<Duration>,
    keep_offline: bool,
    alias: AliasPolicy,
    properties: PublishProperties,
}

impl Draft {
    /// From arguments by name. One that is `None` is as one that is not given.
    pub(crate) fn new(options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut draft = Self::default();
        for (name, value) in options.into_iter().flatten() {
            if !value.is_none() {
                draft.set(&name.extract::<PyBackedStr>()?, &value)?;
            }
        }
        Ok(draft)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let properties = &mut self.properties;
        match name {
            "qos" => self.qos = Some(convert::qos(name, int(name, value)?)?),
            "retain" => self.retain = get(name, value)?,
            "deadline" => self.deadline = Some(seconds(name, value)?),
            "keep_offline" => self.keep_offline = get(name, value)?,
            "alias" => {
                let words = [
                    ("never", AliasPolicy::Never),
                    ("try", AliasPolicy::Try),
                    ("always", AliasPolicy::Always),
                ];
                self.alias = choice(name, value, &words)?;
            }
            "payload_format_indicator" => {
                let is_text = convert::bit(name, int(name, value)?)?;
                properties.set_payload_format_indicator(is_text);
            }
            "message_expiry_interval" => {
                let seconds = convert::whole32(name, int(name, value)?)?;
                properties.set_message_expiry_interval(seconds);
            }
            "content_type" => {
                properties.set_content_type(&convert::text(name, get(name, value)?)?);
            }
            "response_topic" => {
                properties.set_response_topic(&convert::topic(name, get(name, value)?)?);
            }
            "correlation_data" => {
                let data = convert::binary(name, get::<Blob>(name, value)?)?;
                properties.set_correlation_data(&data);
            }
            "user_properties" => {
                for (name, value) in &user_properties(name, value)? {
                    properties.add_user_property(name, value);
                }
            }
            _ => return Err(PyTypeError::new_err(format!("there is no option '{name}'"))),
        }
        Ok(())
    }

    pub(crate) fn apply(self, mut publish: Publish<'_>) -> Publish<'_> {
        if let Some(qos) = self.qos {
            publish = publish.qos(qos);
        }
        if let Some(deadline) = self.deadline {
            publish = publish.deadline(deadline);
        }
        let publish = publish
            .retain(self.retain)
            .keep_offline(self.keep_offline)
            .alias(self.alias);
        if self.properties == PublishProperties::default() {
            return publish;
        }
        publish.properties(|properties| {
            let before = properties.correlation_data().map(Binary::try_from);
            *properties = self.properties;
            // An answer has that of its request, unless it says another.
            if let (Some(Ok(data)), None) = (before, properties.correlation_data()) {
                properties.set_correlation_data(&data);
            }
        })
    }
}

/// What a message that was taken into the outbox is to Python, or why it was not.
pub(crate) fn taken(
    py: Python<'_>,
    publication: Result<Publication, PublishError>,
) -> PyResult<Py<PyAny>> {
    let publication = publication.map_err(|error| errors::publish(py, &error))?;
    Ok(Py::new(py, AioPublication(publication))?.into_any())
}

/// The publication of an answer to `message`, or an operation that waits until it is taken into the outbox.
#[pyfunction]
#[pyo3(signature = (port, message, payload, options = None))]
pub(crate) fn aio_reply(
    port: &Bound<'_, AioPort>,
    message: &Bound<'_, Message>,
    payload: Payload,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let (message, draft) = (message.get().0.clone(), Draft::new(options)?);
    let future = async move { draft.apply(message.reply(payload.0)).await };
    start(port.py(), port.get(), future, taken)
}
