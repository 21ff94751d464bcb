//! The codec's packets and properties as objects of `ohmqtt.packet` and `ohmqtt.property`.

use ohmqtt_client::Message;
use ohmqtt_codec::{
    Ack, AckProperties, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, PropertyId,
    PropertyValue, Publish, PublishTopic, ReasonCode, ReasonCodes, SubAck, Subscribe, Unsubscribe,
};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet};

use super::names::{Place, names};

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// The `MQTTPublishPacket`, and so on, that this packet is.
pub(crate) fn packet<'py>(py: Python<'py>, packet: &Packet) -> Object<'py> {
    let class = names(py)?.packet(py, packet.packet_type())?;
    match packet {
        Packet::Connect(packet) => connect(py, packet),
        Packet::ConnAck(packet) => connack(py, packet),
        Packet::Publish(packet) => publish(py, packet),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            acknowledgement(py, packet.packet_type(), ack)
        }
        Packet::Subscribe(packet) => subscribe(py, packet),
        Packet::SubAck(ack) | Packet::UnsubAck(ack) => suback(py, packet.packet_type(), ack),
        Packet::Unsubscribe(packet) => unsubscribe(py, packet),
        Packet::PingReq | Packet::PingResp => class.call0(),
        Packet::Disconnect(packet) => disconnect(py, packet),
        Packet::Auth(packet) => auth(py, packet),
    }
}

/// An `MQTTPublishPacket`. Its topic is empty where there is only an alias, which is then among the properties.
pub(crate) fn publish<'py>(py: Python<'py>, packet: &Publish) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(PacketType::Publish);
    let (topic, properties) = match &packet.topic {
        PublishTopic::Name(name) => {
            let properties = properties(py, place, packet.properties.iter())?;
            (name.as_str(), properties)
        }
        PublishTopic::Alias(alias) => {
            let mut with_alias = packet.properties.clone();
            with_alias.set_topic_alias(*alias);
            ("", properties(py, place, with_alias.iter())?)
        }
    };
    names.packet(py, PacketType::Publish)?.call1((
        topic,
        PyBytes::new(py, &packet.payload),
        names.qos(py, packet.delivery.qos())?,
        packet.retain,
        packet
            .delivery
            .packet_id()
            .map_or(0, ohmqtt_codec::PacketId::get),
        properties,
        packet.delivery.dup(),
    ))
}

/// An `MQTTPublishPacket` for a message that came, whose packet identifier is not known any more.
pub(crate) fn message<'py>(py: Python<'py>, message: &Message) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(PacketType::Publish);
    names.packet(py, PacketType::Publish)?.call1((
        message.topic.as_str(),
        PyBytes::new(py, &message.payload),
        names.qos(py, message.qos)?,
        message.retain,
        0,
        properties(py, place, message.properties.iter())?,
    ))
}

/// An `MQTTUnsubAckPacket` that never came, because nothing had to be asked: with this code, and no packet identifier.
pub(crate) fn unasked(py: Python<'_>, reason: ReasonCode) -> Object<'_> {
    let names = names(py)?;
    let codes = PyList::new(py, [names.reason(py, reason)?])?;
    let class = names.packet(py, PacketType::UnsubAck)?;
    class.call1((0, codes))
}

/// An `MQTTPubAckPacket`, `MQTTPubRecPacket`, `MQTTPubRelPacket` or `MQTTPubCompPacket`, by `packet`.
pub(crate) fn acknowledgement<'py>(py: Python<'py>, packet: PacketType, ack: &Ack) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(packet);
    let properties = properties(py, place, AckProperties::iter(&ack.properties))?;
    let reason = names.reason(py, ack.reason)?;
    let class = names.packet(py, packet)?;
    class.call1((ack.packet_id.get(), reason, properties))
}

/// An `MQTTSubAckPacket` or `MQTTUnsubAckPacket`, by `packet`.
pub(crate) fn suback<'py>(py: Python<'py>, packet: PacketType, ack: &SubAck) -> Object<'py> {
    let names = names(py)?;
    let codes = PyList::empty(py);
    for code in ReasonCodes::iter(&ack.codes) {
        codes.append(names.reason(py, code)?)?;
    }
    let properties = properties(py, Place::of(packet), ack.properties.iter())?;
    let class = names.packet(py, packet)?;
    class.call1((ack.packet_id.get(), codes, properties))
}

/// An `MQTTConnAckPacket`.
pub(crate) fn connack<'py>(py: Python<'py>, packet: &ConnAck) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(PacketType::ConnAck);
    let properties = properties(py, place, packet.properties.iter())?;
    let reason = names.reason(py, packet.reason)?;
    let class = names.packet(py, PacketType::ConnAck)?;
    class.call1((reason, packet.session_present, properties))
}

/// An `MQTTDisconnectPacket`.
pub(crate) fn disconnect<'py>(py: Python<'py>, packet: &Disconnect) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(PacketType::Disconnect);
    let properties = properties(py, place, packet.properties.iter())?;
    let reason = names.reason(py, packet.reason)?;
    let class = names.packet(py, PacketType::Disconnect)?;
    class.call1((reason, properties))
}

/// An `MQTTAuthPacket`.
pub(crate) fn auth<'py>(py: Python<'py>, packet: &Auth) -> Object<'py> {
    let names = names(py)?;
    let place = Place::of(PacketType::Auth);
    let properties = properties(py, place, packet.properties.iter())?;
    let reason = names.reason(py, packet.reason)?;
    let class = names.packet(py, PacketType::Auth)?;
    class.call1((reason, properties))
}

fn connect<'py>(py: Python<'py>, packet: &Connect) -> Object<'py> {
    let names = names(py)?;
    let fields = PyDict::new(py);
    fields.set_item("client_id", packet.client_id.as_str())?;
    fields.set_item("keep_alive", packet.keep_alive)?;
    fields.set_item("clean_start", packet.clean_start)?;
    if let Some(will) = &packet.will {
        let will_props = properties(py, Place::WILL, will.properties.iter())?;
        fields.set_item("will_props", will_props)?;
        fields.set_item("will_topic", will.topic.as_str())?;
        fields.set_item("will_payload", PyBytes::new(py, will.payload.as_bytes()))?;
        fields.set_item("will_qos", names.qos(py, will.qos)?)?;
        fields.set_item("will_retain", will.retain)?;
    }
    if let Some(name) = &packet.user_name {
        fields.set_item("username", name.as_str())?;
    }
    if let Some(password) = &packet.password {
        fields.set_item("password", PyBytes::new(py, password.as_bytes()))?;
    }
    let place = Place::of(PacketType::Connect);
    let properties = properties(py, place, packet.properties.iter())?;
    fields.set_item("properties", properties)?;
    let class = names.packet(py, PacketType::Connect)?;
    class.call((), Some(&fields))
}

fn subscribe<'py>(py: Python<'py>, packet: &Subscribe) -> Object<'py> {
    let topics = PyList::empty(py);
    for (filter, options) in packet.filters.iter() {
        topics.append((filter.as_str(), u8::from(options)))?;
    }
    let place = Place::of(PacketType::Subscribe);
    let properties = properties(py, place, packet.properties.iter())?;
    let class = names(py)?.packet(py, PacketType::Subscribe)?;
    class.call1((topics, packet.packet_id.get(), properties))
}

fn unsubscribe<'py>(py: Python<'py>, packet: &Unsubscribe) -> Object<'py> {
    let topics = PyList::empty(py);
    for filter in packet.filters.iter() {
        topics.append(filter.as_str())?;
    }
    let place = Place::of(PacketType::Unsubscribe);
    let properties = properties(py, place, packet.properties.iter())?;
    let class = names(py)?.packet(py, PacketType::Unsubscribe)?;
    class.call1((topics, packet.packet_id.get(), properties))
}

/// An `MQTTPublishProps`, `MQTTConnectProps` and so on, by place, with these properties set in their order:
/// `properties(py, Place::of(PacketType::Publish), publish.properties.iter())`.
pub(crate) fn properties<'py, 'a>(
    py: Python<'py>,
    place: Place,
    values: impl Iterator<Item = (PropertyId, PropertyValue<'a>)>,
) -> Object<'py> {
    let names = names(py)?;
    let object = names.no_properties(py, place)?;
    let mut values = values.peekable();
    if values.peek().is_none() {
        return Ok(object);
    }
    let set = object.getattr(pyo3::intern!(py, "__dict__"))?;
    let set = set.cast::<PyDict>()?;
    for (id, value) in values {
        let name = names.name(py, id)?;
        match value {
            PropertyValue::Byte(bit) if is_number(id) => set.set_item(name, bit)?,
            PropertyValue::Byte(bit) => set.set_item(name, bit != 0)?,
            PropertyValue::TwoByteInteger(number) => set.set_item(name, number)?,
            PropertyValue::FourByteInteger(number) => set.set_item(name, number)?,
            PropertyValue::Utf8String(text) => set.set_item(name, text)?,
            PropertyValue::BinaryData(data) => set.set_item(name, PyBytes::new(py, data))?,
            PropertyValue::VariableByteInteger(number) => match set.get_item(name)? {
                Some(ids) => ids.cast::<PySet>()?.add(number)?,
                None => set.set_item(name, PySet::new(py, [number])?)?,
            },
            PropertyValue::Utf8StringPair(key, value) => {
                let pair = (key, value).into_bound_py_any(py)?;
                match set.get_item(name)? {
                    Some(pairs) => pairs.cast::<PyList>()?.append(pair)?,
                    None => set.set_item(name, PyList::new(py, [pair])?)?,
                }
            }
        }
    }
    Ok(object)
}

/// Of the bytes that are 0 or 1, those that Python has as numbers; the others are `bool`.
fn is_number(id: PropertyId) -> bool {
    matches!(
        id,
        PropertyId::PayloadFormatIndicator | PropertyId::MaximumQos
    )
}
