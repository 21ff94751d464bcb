//! Packets of `ohmqtt.packet` to bytes and back.

use bytes::{BufMut, BytesMut};
use ohmqtt_codec::{
    Ack, Auth, AuthProperties, ConnAck, Connect, Delivery, Disconnect, Filters, Limits, MqttString,
    Packet, PacketType, Publish, PublishProperties, PublishTopic, Qos, ReasonCode, ReasonCodes,
    SubAck, Subscribe, SubscriptionOptions, TopicFilter, TopicName, Unsubscribe,
    UnsubscribeFilters, Will, WillProperties, decode,
};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyString};

use super::blocks::{Properties, of_object, put_varint, wrong_type};
use super::names::{mqtt_error, packet_type};
use super::objects;
use crate::convert::{self, Blob, with_bytes};

/// The packet whose bytes these are, all of them.
///
/// MQTTError with a reason code when they are no packet, part of one, or more than one.
#[pyfunction]
pub(crate) fn toolkit_decode<'py>(buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = buffer.py();
    with_bytes(
        buffer,
        |bytes| decode_whole(py, BytesMut::from(bytes)),
        |view, _| Ok(decode_whole(py, BytesMut::from(&view.to_vec(py)?[..]))),
    )?
}

/// The packet of this first byte, and of these after the length.
///
/// MQTTError with a reason code when they are no packet.
#[pyfunction]
pub(crate) fn toolkit_decode_parts<'py>(
    head: u8,
    body: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = body.py();
    let joined = |body: &[u8]| {
        let mut frame = Vec::with_capacity(body.len() + 5);
        frame.put_u8(head);
        put_varint(&mut frame, body.len());
        frame.put_slice(body);
        BytesMut::from(&frame[..])
    };
    with_bytes(
        body,
        |bytes| decode_whole(py, joined(bytes)),
        |view, _| Ok(decode_whole(py, joined(&view.to_vec(py)?))),
    )?
}

fn decode_whole(py: Python<'_>, mut frame: BytesMut) -> PyResult<Bound<'_, PyAny>> {
    let malformed = |message| Err(mqtt_error(py, message, ReasonCode::MalformedPacket));
    match decode(&mut frame, &Limits::default()) {
        Ok(Some(packet)) if frame.is_empty() => objects::packet(py, &packet),
        Ok(Some(packet)) => malformed(format!(
            "{}: end of packet: {} bytes follow it",
            packet.packet_type(),
            frame.len()
        )),
        Ok(None) => malformed(
            match frame.first().and_then(|head| packet_type(head >> 4)) {
                Some(packet) => format!("{packet}: the bytes end before the packet does"),
                None => "the bytes end before a packet does".to_owned(),
            },
        ),
        Err(error) => Err(mqtt_error(py, error.to_string(), error.reason())),
    }
}

/// The bytes of a packet of ohmqtt.packet, in its shortest form.
///
/// ValueError for what MQTT has no packet for, TypeError for what is not of the type that the field has.
#[pyfunction]
pub(crate) fn toolkit_encode<'py>(packet: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    crate::wire::write(packet.py(), (&of_packet(packet)?).into())
}

/// The codec's packet that an object of `ohmqtt.packet` is. Errors as [`toolkit_encode`].
pub(crate) fn of_packet(object: &Bound<'_, PyAny>) -> PyResult<Packet> {
    let py = object.py();
    let number: u8 = object.getattr(intern!(py, "packet_type"))?.extract()?;
    let Some(packet) = packet_type(number) else {
        return Err(PyValueError::new_err(format!(
            "packet_type: {number} is no type of a packet"
        )));
    };
    let fields = Fields { object, packet };
    Ok(match packet {
        PacketType::Connect => Packet::Connect(Box::new(fields.connect()?)),
        PacketType::ConnAck => Packet::ConnAck(Box::new(ConnAck {
            session_present: fields.flag(intern!(py, "session_present"))?,
            reason: fields.reason()?,
            properties: fields.properties()?,
        })),
        PacketType::Publish => Packet::Publish(fields.publish()?),
        PacketType::PubAck => Packet::PubAck(fields.ack()?),
        PacketType::PubRec => Packet::PubRec(fields.ack()?),
        PacketType::PubRel => Packet::PubRel(fields.ack()?),
        PacketType::PubComp => Packet::PubComp(fields.ack()?),
        PacketType::Subscribe => Packet::Subscribe(fields.subscribe()?),
        PacketType::SubAck => Packet::SubAck(fields.suback()?),
        PacketType::Unsubscribe => Packet::Unsubscribe(fields.unsubscribe()?),
        PacketType::UnsubAck => Packet::UnsubAck(fields.suback()?),
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(Disconnect {
            reason: fields.reason()?,
            properties: fields.properties()?,
        }),
        PacketType::Auth => Packet::Auth(fields.auth()?),
    })
}

fn refused<T>(message: &str) -> PyResult<T> {
    Err(PyValueError::new_err(message.to_owned()))
}

/// The attributes of a packet's object.
struct Fields<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    packet: PacketType,
}

impl<'py> Fields<'_, 'py> {
    fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.object.getattr(name)
    }

    fn flag(&self, name: &Bound<'py, PyString>) -> PyResult<bool> {
        self.get(name)?.is_truthy()
    }

    fn number(&self, name: &Bound<'py, PyString>) -> PyResult<i64> {
        let value = self.get(name)?;
        value
            .extract()
            .map_err(|_| wrong_type(&name.to_string(), "int", &value))
    }

    fn text(&self, name: &Bound<'py, PyString>) -> PyResult<PyBackedStr> {
        let value = self.get(name)?;
        value
            .extract()
            .map_err(|_| wrong_type(&name.to_string(), "str", &value))
    }

    fn bytes(&self, name: &Bound<'py, PyString>) -> PyResult<Blob> {
        let value = self.get(name)?;
        value
            .extract()
            .map_err(|_| wrong_type(&name.to_string(), "bytes", &value))
    }

    fn properties<P: Properties>(&self) -> PyResult<P> {
        of_object(&self.get(intern!(self.object.py(), "properties"))?)
    }

    fn reason(&self) -> PyResult<ReasonCode> {
        let code = self.number(intern!(self.object.py(), "reason_code"))?;
        convert::reason(self.packet, code)
    }

    fn packet_id(&self) -> PyResult<ohmqtt_codec::PacketId> {
        convert::packet_id(self.number(intern!(self.object.py(), "packet_id"))?)
    }

    fn publish(&self) -> PyResult<Publish> {
        let py = self.object.py();
        let properties: PublishProperties = self.properties()?;
        let topic = self.text(intern!(py, "topic"))?;
        let topic = match properties.topic_alias() {
            Some(alias) if topic.is_empty() => PublishTopic::Alias(alias),
            _ => PublishTopic::Name(convert::topic("topic", topic)?),
        };
        let dup = self.flag(intern!(py, "dup"))?;
        let delivery = match convert::qos("qos", self.number(intern!(py, "qos"))?)? {
            Qos::AtMostOnce if dup => return refused("dup: is False at QoS 0"),
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce {
                packet_id: self.packet_id()?,
                dup,
            },
            Qos::ExactlyOnce => Delivery::ExactlyOnce {
                packet_id: self.packet_id()?,
                dup,
            },
        };
        Ok(Publish {
            topic,
            delivery,
            retain: self.flag(intern!(py, "retain"))?,
            properties,
            payload: self.bytes(intern!(py, "payload"))?.0,
        })
    }

    fn ack(&self) -> PyResult<Ack> {
        Ok(Ack {
            packet_id: self.packet_id()?,
            reason: self.reason()?,
            properties: self.properties()?,
        })
    }

    fn connect(&self) -> PyResult<Connect> {
        let py = self.object.py();
        let version = self.number(intern!(py, "protocol_version"))?;
        if version != 5 {
            return refused(&format!(
                "protocol_version: is {version}, only 5 is spoken here"
            ));
        }
        let keep_alive = self.number(intern!(py, "keep_alive"))?;
        let given = |name| Ok::<_, PyErr>(!self.get(name)?.is_none());
        let (mut user_name, mut password) = (None, None);
        if given(intern!(py, "username"))? {
            let name = self.text(intern!(py, "username"))?;
            user_name = Some(convert::text("username", name)?);
        }
        if given(intern!(py, "password"))? {
            let secret = self.bytes(intern!(py, "password"))?;
            password = Some(convert::binary("password", secret)?);
        }
        let client_id: MqttString =
            convert::text("client_id", self.text(intern!(py, "client_id"))?)?;
        Ok(Connect {
            client_id,
            clean_start: self.flag(intern!(py, "clean_start"))?,
            keep_alive: convert::whole16("keep_alive", keep_alive)?,
            properties: self.properties()?,
            will: self.will()?,
            user_name,
            password,
        })
    }

    /// There is a will where there is anything of one.
    fn will(&self) -> PyResult<Option<Will>> {
        let py = self.object.py();
        let topic = self.text(intern!(py, "will_topic"))?;
        let payload = self.bytes(intern!(py, "will_payload"))?;
        let qos = convert::qos("will_qos", self.number(intern!(py, "will_qos"))?)?;
        let retain = self.flag(intern!(py, "will_retain"))?;
        let properties: WillProperties = of_object(&self.get(intern!(py, "will_props"))?)?;
        let none = topic.is_empty()
            && payload.0.is_empty()
            && qos == Qos::AtMostOnce
            && !retain
            && properties.is_empty();
        if none {
            return Ok(None);
        }
        let topic: TopicName = convert::topic("will_topic", topic)?;
        Ok(Some(Will {
            topic,
            payload: convert::binary("will_payload", payload)?,
            qos,
            retain,
            properties,
        }))
    }

    /// Each of `topics` or `reason_codes`.
    fn each(&self, name: &Bound<'py, PyString>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let value = self.get(name)?;
        let wrong = |_| wrong_type(&name.to_string(), "a sequence", &value);
        // A string is a sequence of strings, and never what was meant.
        if value.is_instance_of::<PyString>() {
            return Err(wrong_type(&name.to_string(), "a sequence of them", &value));
        }
        value.try_iter().map_err(wrong)?.collect()
    }

    fn subscribe(&self) -> PyResult<Subscribe> {
        let name = intern!(self.object.py(), "topics");
        let mut filters: Option<Filters> = None;
        for topic in self.each(name)? {
            let pair: (PyBackedStr, i64) = topic
                .extract()
                .map_err(|_| wrong_type("topics", "(str, int) each", &topic))?;
            let filter: TopicFilter = convert::filter("topics", pair.0)?;
            let invalid =
                |error: &dyn std::fmt::Display| PyValueError::new_err(format!("topics: {error}"));
            let options = u8::try_from(pair.1).unwrap_or(u8::MAX);
            let options =
                SubscriptionOptions::try_from(options).map_err(|fault| invalid(&fault))?;
            match &mut filters {
                Some(filters) => filters.push(&filter, options),
                None => Filters::new(&filter, options).map(|list| filters = Some(list)),
            }
            .map_err(|error| invalid(&error))?;
        }
        let Some(filters) = filters else {
            return refused("topics: there is none, give at least one");
        };
        Ok(Subscribe {
            packet_id: self.packet_id()?,
            properties: self.properties()?,
            filters,
        })
    }

    fn unsubscribe(&self) -> PyResult<Unsubscribe> {
        let name = intern!(self.object.py(), "topics");
        let mut filters: Option<UnsubscribeFilters> = None;
        for topic in self.each(name)? {
            let filter: PyBackedStr = topic
                .extract()
                .map_err(|_| wrong_type("topics", "str each", &topic))?;
            let filter: TopicFilter = convert::filter("topics", filter)?;
            match &mut filters {
                Some(filters) => filters.push(&filter),
                None => filters = Some(UnsubscribeFilters::new(&filter)),
            }
        }
        let Some(filters) = filters else {
            return refused("topics: there is none, give at least one");
        };
        Ok(Unsubscribe {
            packet_id: self.packet_id()?,
            properties: self.properties()?,
            filters,
        })
    }

    fn suback(&self) -> PyResult<SubAck> {
        let name = intern!(self.object.py(), "reason_codes");
        let mut codes = Vec::new();
        for code in self.each(name)? {
            let number: i64 = code
                .extract()
                .map_err(|_| wrong_type("reason_codes", "int each", &code))?;
            codes.push(convert::reason(self.packet, number)?);
        }
        let Some(codes) = ReasonCodes::from_iter_nonempty(codes) else {
            return refused("reason_codes: there is none, give one for each topic");
        };
        Ok(SubAck {
            packet_id: self.packet_id()?,
            properties: self.properties()?,
            codes,
        })
    }

    fn auth(&self) -> PyResult<Auth> {
        let reason = self.reason()?;
        let properties: AuthProperties = self.properties()?;
        // Only the AUTH of no bytes has no method.
        if reason != ReasonCode::Success && properties.is_empty() {
            return refused("properties: an AUTH names its AuthenticationMethod");
        }
        Ok(Auth { reason, properties })
    }
}
