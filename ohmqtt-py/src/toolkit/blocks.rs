//! Blocks of properties: from a Python object to wire bytes, and from wire bytes to the codec's properties.
//!
//! A block is what `MQTTProperties.encode()` gives: the length, then the properties in the order they were set in.

use bytes::{BufMut, Bytes};
use ohmqtt_codec::{
    AckProperties, AuthProperties, Binary, ConnAckProperties, ConnectProperties,
    DisconnectProperties, InvalidProperties, MqttString, PacketType, PropertyId, PropertyType,
    PublishProperties, ReasonCode, SubAckProperties, SubscribeProperties, UnsubscribeProperties,
    WillProperties,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PySet};

use super::names::{Place, mqtt_error, names};
use super::objects;
use crate::convert::{self, Blob, Int, with_bytes};

/// A type of properties of the codec, whichever.
pub(crate) trait Properties: Default + TryFrom<Bytes, Error = InvalidProperties> {}

impl<T: Default + TryFrom<Bytes, Error = InvalidProperties>> Properties for T {}

/// Properties as a block: their length, and they.
fn with_length(properties: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(properties.len() + 4);
    put_varint(&mut block, properties.len());
    block.extend_from_slice(properties);
    block
}

/// The properties that a Python object of `ohmqtt.property` has, as the codec takes them; `None` has none.
pub(crate) fn of_object<P: Properties>(object: &Bound<'_, PyAny>) -> PyResult<P> {
    if object.is_none() {
        return Ok(P::default());
    }
    checked(wire(&values(object)?)?)
}

fn values<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let values = object.getattr_opt(pyo3::intern!(object.py(), "__dict__"))?;
    match values.map(Bound::cast_into::<PyDict>) {
        Some(Ok(values)) => Ok(values),
        _ => Err(PyTypeError::new_err(format!(
            "properties: expected properties such as MQTTPublishProps, not '{}'",
            object.get_type().name()?
        ))),
    }
}

fn checked<P: Properties>(wire: Vec<u8>) -> PyResult<P> {
    if wire.is_empty() {
        return Ok(P::default());
    }
    P::try_from(Bytes::from(wire)).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The wire bytes of these values in their order, of which nobody has said yet that they may stand together.
fn wire(values: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    let mut out = Vec::new();
    if values.is_empty() {
        return Ok(out);
    }
    let names = names(values.py())?;
    for (name, value) in values {
        if value.is_none() {
            continue;
        }
        let name: PyBackedStr = name.extract()?;
        let Some(id) = names.id(&name) else {
            return Err(PyValueError::new_err(format!(
                "{}: MQTT has no such property",
                &*name
            )));
        };
        put(&mut out, id, &name, &value)?;
    }
    Ok(out)
}

/// Appends a property, of the two that may repeat all.
fn put(out: &mut Vec<u8>, id: PropertyId, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |expected: &str| wrong_type(name, expected, value);
    match id.value_type() {
        PropertyType::Utf8StringPair => {
            let pairs = value.try_iter().map_err(|_| wrong("pairs of str"))?;
            for pair in pairs {
                let pair: (PyBackedStr, PyBackedStr) =
                    pair?.extract().map_err(|_| wrong("pairs of str"))?;
                out.put_u8(id as u8);
                put_text(out, &convert::text(name, pair.0)?);
                put_text(out, &convert::text(name, pair.1)?);
            }
        }
        PropertyType::VariableByteInteger => {
            let mut ids = Vec::new();
            for id in value.try_iter().map_err(|_| wrong("a set of int"))? {
                let id = id?.extract::<Int>().map_err(|_| wrong("a set of int"))?;
                ids.push(convert::subscription_id(name, id)?.get());
            }
            // A set has no order of its own.
            if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
                ids.sort_unstable();
            }
            for number in ids {
                out.put_u8(id as u8);
                put_varint(out, number as usize);
            }
        }
        of_type => {
            out.put_u8(id as u8);
            put_one(out, of_type, name, value)?;
        }
    }
    Ok(())
}

fn put_one(
    out: &mut Vec<u8>,
    of_type: PropertyType,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let number = || convert::int(value).map_err(|error| number_error(name, value, error));
    match of_type {
        // Beyond 0 and 1 the codec has the word; what is no byte is over all it allows.
        PropertyType::Byte => out.put_u8(u8::try_from(number()?).unwrap_or(u8::MAX)),
        PropertyType::TwoByteInteger => out.put_u16(convert::whole16(name, number()?)?),
        PropertyType::BinaryData => {
            let data: Blob = value
                .extract()
                .map_err(|_| wrong_type(name, "bytes", value))?;
            let data: Binary = convert::binary(name, data)?;
            put_prefixed(out, data.as_bytes());
        }
        PropertyType::Utf8String => {
            let text: PyBackedStr = value
                .extract()
                .map_err(|_| wrong_type(name, "str", value))?;
            put_text(out, &convert::text(name, text)?);
        }
        _ => out.put_u32(convert::whole32(name, number()?)?),
    }
    Ok(())
}

fn number_error(name: &str, value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyTypeError>(value.py()) {
        wrong_type(name, "int", value)
    } else {
        PyValueError::new_err(format!("{name}: {}", error.value(value.py())))
    }
}

pub(super) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(given) => PyTypeError::new_err(format!("{name}: expected {expected}, not '{given}'")),
        Err(error) => error,
    }
}

fn put_text(out: &mut Vec<u8>, text: &MqttString) {
    put_prefixed(out, text.as_bytes());
}

/// At most 65,535 bytes, by the types they come from.
fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

/// Appends a variable byte integer.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are left of it")]
pub(super) fn put_varint(out: &mut Vec<u8>, number: usize) {
    let mut left = number;
    while left >= 0x80 {
        out.put_u8((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}

/// A block's length, and how many bytes say it; `None` for what is no variable byte integer.
fn length(block: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (at, &byte) in block.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * at);
        if byte < 0x80 {
            // The shortest form, and no other.
            return (byte != 0 || at == 0).then_some((len, at + 1));
        }
    }
    None
}

/// Calls `$use` with the type of the properties of a place.
macro_rules! in_place {
    ($place:expr, $use:ident) => {
        match $place.packet() {
            None => $use!(WillProperties),
            Some(PacketType::Connect) => $use!(ConnectProperties),
            Some(PacketType::ConnAck) => $use!(ConnAckProperties),
            Some(PacketType::Publish) => $use!(PublishProperties),
            Some(PacketType::Subscribe) => $use!(SubscribeProperties),
            Some(PacketType::SubAck | PacketType::UnsubAck) => $use!(SubAckProperties),
            Some(PacketType::Unsubscribe) => $use!(UnsubscribeProperties),
            Some(PacketType::Disconnect) => $use!(DisconnectProperties),
            Some(PacketType::Auth) => $use!(AuthProperties),
            Some(_) => $use!(AckProperties),
        }
    };
}

/// The block of properties that these values are, by name and in their order, in the packet of this type; 0 is a will.
///
/// ValueError for what may not stand there, TypeError for what is not of the type that the property has.
#[pyfunction]
pub(crate) fn toolkit_encode_properties<'py>(
    place: u8,
    values: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = values.py();
    if values.is_empty() {
        return Ok(PyBytes::new(py, &[0]));
    }
    let place = Place::from_number(place)?;
    let wire = wire(values)?;
    macro_rules! encode {
        ($properties:ident) => {
            checked::<$properties>(wire).map(|properties| with_length(properties.as_bytes()))
        };
    }
    let block = in_place!(place, encode)?;
    Ok(PyBytes::new(py, &block))
}

/// Reads the block of properties at the front of the buffer: the properties, and how many bytes they had.
///
/// MQTTError for what is no block, or of properties that may not stand in the packet of this type.
#[pyfunction]
pub(crate) fn toolkit_decode_properties<'py>(
    place: u8,
    buffer: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, usize)> {
    let (py, place) = (buffer.py(), Place::from_number(place)?);
    with_bytes(
        buffer,
        |bytes| decode(py, place, bytes),
        |view, _| Ok(decode(py, place, &view.to_vec(py)?)),
    )?
}

fn decode<'py>(
    py: Python<'py>,
    place: Place,
    bytes: &[u8],
) -> PyResult<(Bound<'py, PyAny>, usize)> {
    let malformed = |message: &str| {
        let message = format!("properties: {message}");
        mqtt_error(py, message, ReasonCode::MalformedPacket)
    };
    let Some((len, taken)) = length(bytes) else {
        return Err(malformed("their length is no variable byte integer"));
    };
    let Some(block) = bytes.get(taken..taken + len) else {
        return Err(malformed("the bytes end before they do"));
    };
    if block.is_empty() {
        return Ok((names(py)?.no_properties(py, place)?, taken));
    }
    let block = Bytes::copy_from_slice(block);
    macro_rules! decode {
        ($properties:ident) => {
            match $properties::try_from(block) {
                Ok(properties) => objects::properties(py, place, properties.iter()),
                Err(error) => Err(mqtt_error(py, error.to_string(), error.fault.reason())),
            }
        };
    }
    Ok((in_place!(place, decode)?, taken + len))
}
