//! The classes, enums and exceptions that Python defines, looked up once.

use std::collections::HashMap;

use ohmqtt_codec::{PacketType, PropertyId, Qos, ReasonCode};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// Where a block of properties stands: the number of its packet's type, 0 for those of a will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u8);

impl Place {
    /// A will's.
    pub(crate) const WILL: Self = Self(0);

    /// Those of a packet of this type.
    pub(crate) const fn of(packet: PacketType) -> Self {
        Self(packet as u8)
    }

    /// The packet; `None` for a will.
    pub(crate) fn packet(self) -> Option<PacketType> {
        packet_type(self.0)
    }

    /// The place of this number; a `TypeError` for that of no properties.
    pub(crate) fn from_number(number: u8) -> PyResult<Self> {
        let has_class = PROPERTIES.get(usize::from(number));
        match has_class {
            Some(Some(_)) => Ok(Self(number)),
            _ => Err(PyTypeError::new_err(
                "these properties are of no packet: use MQTTPublishProps or another class of a packet",
            )),
        }
    }
}

/// The packet type of this number.
pub(crate) fn packet_type(number: u8) -> Option<PacketType> {
    let at = usize::from(number).checked_sub(1)?;
    PacketType::ALL.get(at).copied()
}

/// The classes of packets, by type.
const PACKETS: [&str; 15] = [
    "MQTTConnectPacket",
    "MQTTConnAckPacket",
    "MQTTPublishPacket",
    "MQTTPubAckPacket",
    "MQTTPubRecPacket",
    "MQTTPubRelPacket",
    "MQTTPubCompPacket",
    "MQTTSubscribePacket",
    "MQTTSubAckPacket",
    "MQTTUnsubscribePacket",
    "MQTTUnsubAckPacket",
    "MQTTPingReqPacket",
    "MQTTPingRespPacket",
    "MQTTDisconnectPacket",
    "MQTTAuthPacket",
];

/// The classes of properties, by place.
const PROPERTIES: [Option<&str>; 16] = [
    Some("MQTTWillProps"),
    Some("MQTTConnectProps"),
    Some("MQTTConnAckProps"),
    Some("MQTTPublishProps"),
    Some("MQTTPubAckProps"),
    Some("MQTTPubRecProps"),
    Some("MQTTPubRelProps"),
    Some("MQTTPubCompProps"),
    Some("MQTTSubscribeProps"),
    Some("MQTTSubAckProps"),
    Some("MQTTUnsubscribeProps"),
    Some("MQTTUnsubAckProps"),
    None,
    None,
    Some("MQTTDisconnectProps"),
    Some("MQTTAuthProps"),
];

/// What Python calls a property: its name in the specification without the spaces.
fn property_name(id: PropertyId) -> String {
    id.name().replace(' ', "")
}

pub(super) struct Names {
    packets: Vec<Py<PyAny>>,
    properties: Vec<Option<Py<PyAny>>>,
    /// Makes an object without calling `__init__`.
    new: Py<PyAny>,
    reasons: Vec<Option<Py<PyAny>>>,
    qos: Vec<Py<PyAny>>,
    error: Py<PyAny>,
    spelled: Vec<Option<Py<PyString>>>,
    ids: HashMap<String, PropertyId>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

pub(super) fn names(py: Python<'_>) -> PyResult<&Names> {
    NAMES.get_or_try_init(py, || Names::look_up(py))
}

impl Names {
    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let (packet, property) = (py.import("ohmqtt.packet")?, py.import("ohmqtt.property")?);
        let spec = py.import("ohmqtt.mqtt_spec")?;
        let class = |name| packet.getattr(name).map(Bound::unbind);
        let place = |name: Option<&str>| {
            name.map(|name| property.getattr(name).map(Bound::unbind))
                .transpose()
        };
        let reason = spec.getattr("MQTTReasonCode")?;
        let mut reasons = Vec::new();
        for &code in ReasonCode::ALL {
            let number = u8::from(code);
            reasons.resize_with(usize::from(number), || None);
            reasons.push(Some(reason.call1((number,))?.unbind()));
        }
        let qos = spec.getattr("MQTTQoS")?;
        let mut spelled = Vec::new();
        for &id in PropertyId::ALL {
            spelled.resize_with(id as usize, || None);
            spelled.push(Some(PyString::intern(py, &property_name(id)).unbind()));
        }
        Ok(Self {
            packets: PACKETS.into_iter().map(class).collect::<PyResult<_>>()?,
            properties: PROPERTIES.into_iter().map(place).collect::<PyResult<_>>()?,
            new: property
                .getattr("MQTTProperties")?
                .getattr("__new__")?
                .unbind(),
            reasons,
            qos: [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
                .into_iter()
                .map(|level| Ok(qos.call1((u8::from(level),))?.unbind()))
                .collect::<PyResult<_>>()?,
            error: py.import("ohmqtt.error")?.getattr("MQTTError")?.unbind(),
            spelled,
            ids: PropertyId::ALL
                .iter()
                .map(|&id| (property_name(id), id))
                .collect(),
        })
    }

    /// The class of a packet.
    pub(super) fn packet<'py>(
        &self,
        py: Python<'py>,
        packet: PacketType,
    ) -> PyResult<&Bound<'py, PyAny>> {
        let class = self.packets.get(packet as usize - 1);
        class.map(|class| class.bind(py)).ok_or_else(unknown)
    }

    /// New properties for this place, none of them set.
    pub(super) fn no_properties<'py>(
        &self,
        py: Python<'py>,
        place: Place,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.properties.get(usize::from(place.0)) {
            Some(Some(class)) => self.new.bind(py).call1((class,)),
            _ => Err(unknown()),
        }
    }

    pub(super) fn reason(&self, py: Python<'_>, reason: ReasonCode) -> PyResult<Py<PyAny>> {
        match self.reasons.get(usize::from(u8::from(reason))) {
            Some(Some(member)) => Ok(member.clone_ref(py)),
            _ => Err(unknown()),
        }
    }

    pub(super) fn qos(&self, py: Python<'_>, qos: Qos) -> PyResult<Py<PyAny>> {
        let member = self.qos.get(usize::from(u8::from(qos)));
        member
            .map(|member| member.clone_ref(py))
            .ok_or_else(unknown)
    }

    /// What Python calls a property.
    pub(super) fn name<'py>(
        &self,
        py: Python<'py>,
        id: PropertyId,
    ) -> PyResult<&Bound<'py, PyString>> {
        match self.spelled.get(id as usize) {
            Some(Some(name)) => Ok(name.bind(py)),
            _ => Err(unknown()),
        }
    }

    /// The property Python calls so.
    pub(super) fn id(&self, name: &str) -> Option<PropertyId> {
        self.ids.get(name).copied()
    }
}

/// What the tables above and the codec's cannot be asked.
fn unknown() -> PyErr {
    PyTypeError::new_err("ohmqtt's own tables differ: install one version of it")
}

/// An `MQTTError` with this reason code.
pub(crate) fn mqtt_error(py: Python<'_>, message: String, reason: ReasonCode) -> PyErr {
    let raised = names(py).and_then(|names| {
        let reason = names.reason(py, reason)?;
        names.error.bind(py).call1((message, reason))
    });
    raised.map_or_else(|error| error, PyErr::from_value)
}
