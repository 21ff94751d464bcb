//! What Python gives as arguments, made into the codec's values; and the codec's values made into Python's.
//!
//! The wrong type is a `TypeError`, the wrong value a `ValueError` that names the argument. The rules themselves are the
//! codec's types.

use std::fmt::Display;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use ohmqtt_codec::{
    Binary, MqttString, PacketId, PacketType, Qos, ReasonCode, RetainHandling, SubscriptionId,
    TopicAlias, TopicFilter, TopicName,
};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyTuple};

/// An integer, or what has `__index__`.
pub(crate) struct Int(i64);

impl From<Int> for i64 {
    fn from(int: Int) -> Self {
        int.0
    }
}

impl FromPyObject<'_, '_> for Int {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        int(&value).map(Self)
    }
}

/// As [`Int`], for an argument whose default is a number.
pub(crate) fn int(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err("no number in MQTT is over 4294967295 or below 0")
        } else {
            error
        }
    })
}

/// The bytes of a `bytes`, `bytearray` or `memoryview`.
pub(crate) struct Blob(pub(crate) Bytes);

impl FromPyObject<'_, '_> for Blob {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        with_bytes(&value, Bytes::copy_from_slice, |view, py| {
            view.to_vec(py).map(Bytes::from)
        })
        .map(Self)
    }
}

/// Calls `fast` with the bytes of a `bytes`, or `slow` with the view of what else has the buffer interface.
pub(crate) fn with_bytes<T>(
    value: &Bound<'_, PyAny>,
    fast: impl FnOnce(&[u8]) -> T,
    slow: impl FnOnce(PyBuffer<u8>, Python<'_>) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(fast(bytes.as_bytes()));
    }
    let Ok(view) = PyBuffer::get(value) else {
        let name = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "expected bytes, bytearray or a memoryview of bytes, not '{name}'"
        )));
    };
    slow(view, value.py())
}

/// The names with values of a User Property argument.
pub(crate) type Pairs = Option<Vec<(PyBackedStr, PyBackedStr)>>;

fn invalid(name: &str, error: impl Display) -> PyErr {
    PyValueError::new_err(format!("{name}: {error}"))
}

fn number<T: TryFrom<i64>>(name: &str, value: i64, min: i64, max: i64) -> PyResult<T> {
    let in_range = if (min..=max).contains(&value) {
        T::try_from(value).ok()
    } else {
        None
    };
    in_range.ok_or_else(|| invalid(name, format!("{value} is not from {min} to {max}")))
}

fn beyond_types(name: &str) -> PyErr {
    invalid(name, "is out of range")
}

pub(crate) fn whole16(name: &str, value: impl Into<i64>) -> PyResult<u16> {
    number(name, value.into(), 0, 65_535)
}

pub(crate) fn whole32(name: &str, value: impl Into<i64>) -> PyResult<u32> {
    number(name, value.into(), 0, 4_294_967_295)
}

pub(crate) fn positive16(name: &str, value: impl Into<i64>) -> PyResult<NonZeroU16> {
    NonZeroU16::new(number(name, value.into(), 1, 65_535)?).ok_or_else(|| beyond_types(name))
}

pub(crate) fn positive32(name: &str, value: impl Into<i64>) -> PyResult<NonZeroU32> {
    NonZeroU32::new(number(name, value.into(), 1, 4_294_967_295)?).ok_or_else(|| beyond_types(name))
}

pub(crate) fn packet_id(value: impl Into<i64>) -> PyResult<PacketId> {
    let name = "packet_id";
    PacketId::new(number(name, value.into(), 1, 65_535)?).ok_or_else(|| beyond_types(name))
}

pub(crate) fn alias(name: &str, value: impl Into<i64>) -> PyResult<TopicAlias> {
    TopicAlias::new(number(name, value.into(), 1, 65_535)?).ok_or_else(|| beyond_types(name))
}

pub(crate) fn subscription_id(name: &str, value: impl Into<i64>) -> PyResult<SubscriptionId> {
    SubscriptionId::new(number(name, value.into(), 1, 268_435_455)?)
        .ok_or_else(|| beyond_types(name))
}

pub(crate) fn bit(name: &str, value: i64) -> PyResult<bool> {
    number::<u8>(name, value, 0, 1).map(|bit| bit == 1)
}

pub(crate) fn qos(name: &str, value: i64) -> PyResult<Qos> {
    Qos::try_from(number::<u8>(name, value, 0, 2)?).map_err(|error| invalid(name, error))
}

pub(crate) fn retain_handling(name: &str, value: i64) -> PyResult<RetainHandling> {
    number::<u8>(name, value, 0, 2).map(|number| match number {
        0 => RetainHandling::SendAtSubscribe,
        1 => RetainHandling::SendIfNew,
        _ => RetainHandling::DoNotSend,
    })
}

pub(crate) fn reason(packet: PacketType, value: impl Into<i64>) -> PyResult<ReasonCode> {
    let code = number::<u8>("reason_code", value.into(), 0, 255)?;
    let reason = ReasonCode::try_from(code).map_err(|error| invalid("reason_code", error))?;
    if reason.allowed_in(packet) {
        Ok(reason)
    } else {
        Err(invalid(
            "reason_code",
            format!("{reason} is not for {packet}"),
        ))
    }
}

pub(crate) fn text(name: &str, value: PyBackedStr) -> PyResult<MqttString> {
    MqttString::try_from(&*value).map_err(|error| invalid(name, error))
}

pub(crate) fn topic(name: &str, value: PyBackedStr) -> PyResult<TopicName> {
    TopicName::try_from(&*value).map_err(|error| invalid(name, error))
}

pub(crate) fn filter(name: &str, value: PyBackedStr) -> PyResult<TopicFilter> {
    TopicFilter::try_from(&*value).map_err(|error| invalid(name, error))
}

pub(crate) fn binary(name: &str, value: Blob) -> PyResult<Binary> {
    Binary::try_from(value.0).map_err(|error| invalid(name, error))
}

pub(crate) fn pairs(values: Pairs) -> impl Iterator<Item = PyResult<(MqttString, MqttString)>> {
    let name = "user_properties";
    let values = values.unwrap_or_default().into_iter();
    values.map(move |(key, value)| Ok((text(name, key)?, text(name, value)?)))
}

/// User Properties as Python has them.
pub(crate) fn tuple_of_pairs<'a, 'py>(
    py: Python<'py>,
    values: impl Iterator<Item = (&'a str, &'a str)>,
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, values.collect::<Vec<_>>())
}
