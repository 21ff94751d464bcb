//! The classes: one for each packet, the will and the topic filter, and what they share.
//!
//! A class is its codec value and nothing more: attributes are read out of it when asked for, so that reading a packet
//! makes one object. `packet!` stamps a class from the table of its fields; what a field means is in that table.

mod ack;
mod connack;
mod connect;
mod end;
mod ping;
mod publish;
mod subscribe;
mod unsubscribe;
mod will;

use ohmqtt_codec::Packet;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

pub(crate) use ack::{PubAckPacket, PubCompPacket, PubRecPacket, PubRelPacket};
pub(crate) use connack::ConnAckPacket;
pub(crate) use connect::ConnectPacket;
pub(crate) use end::{AuthPacket, DisconnectPacket};
pub(crate) use ping::{PingReqPacket, PingRespPacket};
pub(crate) use publish::PublishPacket;
pub(crate) use subscribe::{PyTopicFilter, SubAckPacket, SubscribePacket, UnsubAckPacket};
pub(crate) use unsubscribe::UnsubscribePacket;
pub(crate) use will::PyWill;

/// Stamps a class: its documentation, name, codec type, module (`ohmqtt.codec` unless said), names for `match`, what `write` writes, the positional fields,
/// the keyword-only fields with their defaults, and how its arguments make the codec's value.
macro_rules! packet {
    ($(#[doc = $doc:literal])* $class:ident($inner:ty) = $name:literal match $($rest:tt)*) => {
        crate::packet::packet! { $(#[doc = $doc])* $class($inner) = $name in "ohmqtt.codec" match $($rest)* }
    };
    (
        $(#[doc = $doc:literal])*
        $class:ident($inner:ty) = $name:literal in $module:literal match [$($match:literal)*];
        $(write |$whole:ident| $encode:expr;)?
        ($($arg:ident: $arg_ty:ty $([$arg_conv:path])? => |$arg_this:ident, $arg_py:ident| $arg_get:expr;)*)
        {$(
            $key:ident: $key_ty:ty $([$key_conv:path])? = $default:tt
                => |$key_this:ident, $key_py:ident| $key_get:expr;
        )*}
        new $body:block
    ) => {
        $(#[doc = $doc])*
        #[pyo3::pyclass(frozen, subclass, name = $name, module = $module)]
        pub(crate) struct $class(pub(crate) $inner);

        #[pyo3::pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = ($($arg,)* *, $($key = $default),*))]
            fn new(
                $($(#[pyo3(from_py_with = $arg_conv)])? $arg: $arg_ty,)*
                $($(#[pyo3(from_py_with = $key_conv)])? $key: $key_ty,)*
            ) -> pyo3::PyResult<Self> {
                let made: pyo3::PyResult<$inner> = $body;
                made.map(Self)
            }

            $(
                #[getter]
                fn $arg<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
                    let ($arg_this, $arg_py) = (&self.0, py);
                    pyo3::IntoPyObjectExt::into_bound_py_any($arg_get, py)
                }
            )*
            $(
                #[getter]
                fn $key<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
                    let ($key_this, $key_py) = (&self.0, py);
                    pyo3::IntoPyObjectExt::into_bound_py_any($key_get, py)
                }
            )*

            $(
                /// The packet as bytes, in its shortest form.
                fn write<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyBytes>> {
                    let $whole = &self.0;
                    crate::wire::write(py, $encode)
                }
            )?

            #[classattr]
            fn __match_args__(py: pyo3::Python<'_>) -> pyo3::PyResult<pyo3::Bound<'_, pyo3::types::PyTuple>> {
                pyo3::types::PyTuple::new(py, [$($match),*] as [&str; crate::packet::packet!(count $($match)*)])
            }

            fn __eq__(&self, py: pyo3::Python<'_>, other: pyo3::PyRef<'_, Self>) -> pyo3::PyResult<bool> {
                if self.0 == other.0 {
                    return Ok(true);
                }
                crate::packet::same(&self.fields(py)?, &other.fields(py)?)
            }

            fn __hash__(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<isize> {
                crate::packet::hash(py, $name, &self.fields(py)?)
            }

            fn __repr__(slf: &pyo3::Bound<'_, Self>) -> pyo3::PyResult<String> {
                let fields = slf.get().fields(slf.py())?;
                let class = pyo3::types::PyAnyMethods::get_type(slf.as_any());
                crate::packet::repr(&pyo3::types::PyTypeMethods::name(&class)?.to_string(), &fields)
            }

            fn __getnewargs_ex__<'py>(
                &self,
                py: pyo3::Python<'py>,
            ) -> pyo3::PyResult<(pyo3::Bound<'py, pyo3::types::PyTuple>, pyo3::Bound<'py, pyo3::types::PyDict>)> {
                crate::packet::arguments(py, &self.fields(py)?)
            }
        }

        impl $class {
            #[allow(unused_variables, reason = "a packet without fields makes nothing of them")]
            fn fields<'py>(&self, py: pyo3::Python<'py>) -> pyo3::PyResult<Vec<crate::packet::Field<'py>>> {
                Ok(vec![
                    $(crate::packet::Field { name: stringify!($arg), value: self.$arg(py)?, default: None },)*
                    $(crate::packet::Field {
                        name: stringify!($key),
                        value: self.$key(py)?,
                        default: Some(crate::packet::packet!(default py $default)),
                    },)*
                ])
            }
        }
    };
    (count) => { 0 };
    (count $first:literal $($rest:literal)*) => { 1 + crate::packet::packet!(count $($rest)*) };
    (default $py:ident None) => { $py.None().into_bound($py) };
    (default $py:ident $value:tt) => { pyo3::IntoPyObjectExt::into_bound_py_any($value, $py)? };
}
pub(crate) use packet;

/// Sets properties from optional arguments: `set!(properties.set_reason_string(&text(reason_str)))`.
macro_rules! set {
    ($properties:ident.$set:ident(&$conv:ident($name:ident))) => {
        if let Some(value) = $name {
            $properties.$set(&crate::convert::$conv(stringify!($name), value)?);
        }
    };
    ($properties:ident.$set:ident($conv:ident($name:ident))) => {
        if let Some(value) = $name {
            $properties.$set(crate::convert::$conv(stringify!($name), value)?);
        }
    };
    ($properties:ident.add_user_property($name:ident)) => {
        for pair in crate::convert::pairs($name) {
            let (name, value) = pair?;
            $properties.add_user_property(&name, &value);
        }
    };
}
pub(crate) use set;

/// Sets both properties of enhanced authentication; data without a method is a `ValueError`.
macro_rules! set_authentication {
    ($properties:ident, $method:ident, $data:ident) => {
        let data = $data
            .map(|data| crate::convert::binary(stringify!($data), data))
            .transpose()?;
        match $method {
            Some(method) => {
                let method = crate::convert::text(stringify!($method), method)?;
                $properties.set_authentication(&method, data.as_ref());
            }
            None if data.is_some() => {
                return Err(pyo3::exceptions::PyValueError::new_err(
                    "authentication_data: give an authentication_method with it",
                ));
            }
            None => {}
        }
    };
}
pub(crate) use set_authentication;

/// One attribute of a packet.
pub(crate) struct Field<'py> {
    pub(crate) name: &'static str,
    pub(crate) value: Bound<'py, PyAny>,
    /// `None`: it is positional.
    pub(crate) default: Option<Bound<'py, PyAny>>,
}

impl Field<'_> {
    /// Need it not be said? No list is an empty list.
    fn is_default(&self) -> PyResult<bool> {
        let Some(default) = &self.default else {
            return Ok(false);
        };
        let no_list = default.is_none()
            && self
                .value
                .cast::<PyTuple>()
                .is_ok_and(PyTupleMethods::is_empty);
        Ok(no_list || self.value.eq(default)?)
    }
}

pub(crate) fn same(left: &[Field<'_>], right: &[Field<'_>]) -> PyResult<bool> {
    for (left, right) in left.iter().zip(right) {
        if !left.value.eq(&right.value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn hash(py: Python<'_>, class: &str, fields: &[Field<'_>]) -> PyResult<isize> {
    let values = PyTuple::new(py, fields.iter().map(|field| &field.value))?;
    (class, values).into_pyobject(py)?.hash()
}

/// What makes the same packet again: the arguments by place, and those by name that are not the default.
pub(crate) fn arguments<'py>(
    py: Python<'py>,
    fields: &[Field<'py>],
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
    let positional = fields.iter().filter(|field| field.default.is_none());
    let positional = PyTuple::new(py, positional.map(|field| &field.value).collect::<Vec<_>>())?;
    let named = PyDict::new(py);
    for field in fields.iter().filter(|field| field.default.is_some()) {
        if !field.is_default()? {
            named.set_item(field.name, &field.value)?;
        }
    }
    Ok((positional, named))
}

/// Longer bytes are cut in a `repr`.
const SHOWN: usize = 64;

/// The packet as one would write it, without secrets and without the rest of long bytes.
pub(crate) fn repr(class: &str, fields: &[Field<'_>]) -> PyResult<String> {
    let mut shown = Vec::new();
    for field in fields {
        if field.is_default()? {
            continue;
        }
        let value = shown_value(field)?;
        shown.push(match field.default {
            None => value,
            Some(_) => format!("{}={value}", field.name),
        });
    }
    Ok(format!("{class}({})", shown.join(", ")))
}

fn shown_value(field: &Field<'_>) -> PyResult<String> {
    let value = &field.value;
    if matches!(field.name, "password" | "authentication_data") {
        return Ok("<hidden>".to_owned());
    }
    if let Ok(bytes) = value.cast::<PyBytes>()
        && let Some(start) = bytes.as_bytes().get(..SHOWN)
        && bytes.as_bytes().len() > SHOWN
    {
        let start = PyBytes::new(value.py(), start).repr()?;
        return Ok(format!("<{} bytes: {start}...>", bytes.as_bytes().len()));
    }
    if field.name == "reason_codes" {
        let mut names = Vec::new();
        for member in value.try_iter()? {
            names.push(shown_member(&member?)?);
        }
        return Ok(format!("[{}]", names.join(", ")));
    }
    shown_member(value)
}

/// The member of an enum as one would write it.
fn shown_member(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.getattr_opt("name")? {
        Some(name) => Ok(format!("{}.{name}", value.get_type().name()?)),
        None => Ok(value.repr()?.to_string()),
    }
}

/// The Python object of a packet.
pub(crate) fn into_object(py: Python<'_>, packet: Packet) -> PyResult<Bound<'_, PyAny>> {
    Ok(match packet {
        Packet::Connect(packet) => Bound::new(py, ConnectPacket(*packet))?.into_any(),
        Packet::ConnAck(packet) => Bound::new(py, ConnAckPacket(*packet))?.into_any(),
        Packet::Publish(packet) => Bound::new(py, PublishPacket(packet))?.into_any(),
        Packet::PubAck(packet) => Bound::new(py, PubAckPacket(packet))?.into_any(),
        Packet::PubRec(packet) => Bound::new(py, PubRecPacket(packet))?.into_any(),
        Packet::PubRel(packet) => Bound::new(py, PubRelPacket(packet))?.into_any(),
        Packet::PubComp(packet) => Bound::new(py, PubCompPacket(packet))?.into_any(),
        Packet::Subscribe(packet) => Bound::new(py, SubscribePacket(packet))?.into_any(),
        Packet::SubAck(packet) => Bound::new(py, SubAckPacket(packet))?.into_any(),
        Packet::Unsubscribe(packet) => Bound::new(py, UnsubscribePacket(packet))?.into_any(),
        Packet::UnsubAck(packet) => Bound::new(py, UnsubAckPacket(packet))?.into_any(),
        Packet::PingReq => Bound::new(py, PingReqPacket(()))?.into_any(),
        Packet::PingResp => Bound::new(py, PingRespPacket(()))?.into_any(),
        Packet::Disconnect(packet) => Bound::new(py, DisconnectPacket(packet))?.into_any(),
        Packet::Auth(packet) => Bound::new(py, AuthPacket(packet))?.into_any(),
    })
}
