//! The enums and exceptions that `ohmqtt.codec` defines in Python, looked up once.

use ohmqtt_codec::{DecodeError, PacketType};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

/// Which enum.
#[derive(Clone, Copy)]
pub(crate) enum Code {
    Qos,
    RetainHandling,
    ConnAck,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    SubAck,
    UnsubAck,
    Disconnect,
    Auth,
}

/// Their names, in the order of [`Code`].
const ENUMS: [&str; 11] = [
    "QoS",
    "RetainHandling",
    "ConnAckReasonCode",
    "PubAckReasonCode",
    "PubRecReasonCode",
    "PubRelReasonCode",
    "PubCompReasonCode",
    "SubAckReasonCode",
    "UnsubAckReasonCode",
    "DisconnectReasonCode",
    "AuthReasonCode",
];

type Members = Vec<Option<Py<PyAny>>>;

struct Names {
    enums: Vec<Members>,
    incomplete: Py<PyAny>,
    malformed: Py<PyAny>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

fn names(py: Python<'_>) -> PyResult<&Names> {
    NAMES.get_or_try_init(py, || {
        let module = py.import("ohmqtt.codec")?;
        let enums = ENUMS.iter().map(|name| members(&module.getattr(*name)?));
        Ok(Names {
            enums: enums.collect::<PyResult<_>>()?,
            incomplete: module.getattr("IncompleteError")?.unbind(),
            malformed: module.getattr("MalformedError")?.unbind(),
        })
    })
}

/// The members of an `IntEnum` by their numbers.
fn members(class: &Bound<'_, PyAny>) -> PyResult<Members> {
    let mut members = Members::new();
    for member in class.try_iter()? {
        let member = member?;
        let number = usize::from(member.extract::<u8>()?);
        if members.len() <= number {
            members.resize_with(number + 1, || None);
        }
        if let Some(place) = members.get_mut(number) {
            *place = Some(member.unbind());
        }
    }
    Ok(members)
}

impl Code {
    /// The member of this number, or the number when there is none.
    pub(crate) fn member(
        self,
        py: Python<'_>,
        number: impl Into<u8>,
    ) -> PyResult<Bound<'_, PyAny>> {
        let number = number.into();
        let members = names(py)?.enums.get(self as usize);
        match members.and_then(|members| members.get(usize::from(number))) {
            Some(Some(member)) => Ok(member.bind(py).clone()),
            _ => Ok(number.into_pyobject(py)?.into_any()),
        }
    }
}

/// An `IncompleteError`: `needed` more bytes are needed, at least.
pub(crate) fn incomplete(py: Python<'_>, needed: usize) -> PyErr {
    let error = names(py).and_then(|names| names.incomplete.bind(py).call1((needed,)));
    error.map_or_else(|error| error, PyErr::from_value)
}

/// A `MalformedError` for the packet at `position`, with the packets that were read before it.
pub(crate) fn malformed(error: &DecodeError, position: usize, before: &Bound<'_, PyList>) -> PyErr {
    let py = before.py();
    // A CONNACK answers a CONNECT, a DISCONNECT all else.
    let code = if error.packet == Some(PacketType::Connect) {
        Code::ConnAck
    } else {
        Code::Disconnect
    };
    let raised = code.member(py, error.reason()).and_then(|reason| {
        let args = (error.to_string(), reason, position, before.to_tuple());
        names(py)?.malformed.bind(py).call1(args)
    });
    raised.map_or_else(|error| error, PyErr::from_value)
}
