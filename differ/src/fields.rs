//! What a packet says, as names and values that every decoder can tell: the common ground on which they are compared.
//!
//! Numbers are decimal, flags 0 or 1, texts and bytes hexadecimal. Properties stand in any order, for some decoders sort them; the order
//! in which filters and reason codes stand is part of their names.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter, Write as _};

use ohmqtt_codec::{
    Ack, Delivery, Packet, PropertyId, PropertyValue, PublishTopic, ReasonCode, SubAck,
};

/// The fields of a packet, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    packet: String,
    fields: Vec<(String, String)>,
}

impl Fields {
    /// Of a packet of this type, by the name that the specification gives it.
    pub(crate) fn new(packet: impl Into<String>) -> Self {
        Self {
            packet: packet.into(),
            fields: Vec::new(),
        }
    }

    pub(crate) fn packet(&self) -> &str {
        &self.packet
    }

    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Display) {
        let field = (name.into(), value.to_string());
        let at = self.fields.partition_point(|known| *known <= field);
        self.fields.insert(at, field);
    }

    /// A property by its identifier, of the packet or, with `will`, of its will.
    pub(crate) fn push_property(&mut self, will: bool, id: u8, value: impl Display) {
        let known = PropertyId::ALL.iter().find(|known| **known as u8 == id);
        let name = known.map_or("unknown property", |id| id.name());
        self.push(
            if will {
                format!("will: {name}")
            } else {
                name.to_owned()
            },
            value,
        );
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// The names, without their numbers, of what is in one and not in the other.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        if self.packet != other.packet {
            return vec![format!("is {}", other.packet)];
        }
        let missing = self
            .fields
            .iter()
            .filter(|it| count(self, it) > count(other, it));
        let added = other
            .fields
            .iter()
            .filter(|it| count(other, it) > count(self, it));
        let names = missing.chain(added).map(|(name, _)| {
            let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
            name.trim_end().to_owned()
        });
        let names: BTreeSet<String> = names.collect();
        names.into_iter().collect()
    }

    /// As our codec has decoded it.
    pub(crate) fn of(packet: &Packet) -> Self {
        let mut it = Self::new(packet.packet_type().name());
        match packet {
            Packet::Connect(connect) => {
                it.push("clean start", u8::from(connect.clean_start));
                it.push("keep alive", connect.keep_alive);
                it.push("client id", hex(connect.client_id.as_bytes()));
                it.properties(false, connect.properties.iter());
                if let Some(will) = &connect.will {
                    it.push("will qos", u8::from(will.qos));
                    it.push("will retain", u8::from(will.retain));
                    it.push("will topic", hex(will.topic.as_bytes()));
                    it.push("will payload", hex(will.payload.as_bytes()));
                    it.properties(true, will.properties.iter());
                }
                if let Some(name) = &connect.user_name {
                    it.push("user name", hex(name.as_bytes()));
                }
                if let Some(password) = &connect.password {
                    it.push("password", hex(password.as_bytes()));
                }
            }
            Packet::ConnAck(connack) => {
                it.push("session present", u8::from(connack.session_present));
                it.reason(connack.reason);
                it.properties(false, connack.properties.iter());
            }
            Packet::Publish(publish) => {
                let topic = match &publish.topic {
                    PublishTopic::Name(name) => hex(name.as_bytes()),
                    PublishTopic::Alias(_) => String::new(),
                };
                it.push("topic", topic);
                it.push("dup", u8::from(publish.delivery.dup()));
                it.push("qos", u8::from(publish.delivery.qos()));
                it.push("retain", u8::from(publish.retain));
                match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce { packet_id, .. }
                    | Delivery::ExactlyOnce { packet_id, .. } => it.push("id", packet_id.get()),
                }
                it.properties(false, publish.properties.iter());
                it.push("payload", hex(&publish.payload));
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => it.ack(ack),
            Packet::Subscribe(subscribe) => {
                it.push("id", subscribe.packet_id.get());
                it.properties(false, subscribe.properties.iter());
                for (n, (filter, options)) in subscribe.filters.iter().enumerate() {
                    it.push(format!("filter {n}"), hex(filter.as_bytes()));
                    it.push(format!("options {n}"), u8::from(options));
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                it.push("id", unsubscribe.packet_id.get());
                it.properties(false, unsubscribe.properties.iter());
                for (n, filter) in unsubscribe.filters.iter().enumerate() {
                    it.push(format!("filter {n}"), hex(filter.as_bytes()));
                }
            }
            Packet::SubAck(suback) | Packet::UnsubAck(suback) => it.suback(suback),
            Packet::PingReq | Packet::PingResp => {}
            Packet::Disconnect(disconnect) => {
                it.reason(disconnect.reason);
                it.properties(false, disconnect.properties.iter());
            }
            Packet::Auth(auth) => {
                it.reason(auth.reason);
                it.properties(false, auth.properties.iter());
            }
        }
        it
    }

    fn ack(&mut self, ack: &Ack) {
        self.push("id", ack.packet_id.get());
        self.reason(ack.reason);
        self.properties(false, ack.properties.iter());
    }

    fn suback(&mut self, suback: &SubAck) {
        self.push("id", suback.packet_id.get());
        self.properties(false, suback.properties.iter());
        for (n, code) in suback.codes.iter().enumerate() {
            self.push(format!("code {n}"), u8::from(code));
        }
    }

    fn reason(&mut self, reason: ReasonCode) {
        self.push("reason", u8::from(reason));
    }

    fn properties<'a>(
        &mut self,
        will: bool,
        properties: impl Iterator<Item = (PropertyId, PropertyValue<'a>)>,
    ) {
        for (id, value) in properties {
            let value = match value {
                PropertyValue::Byte(number) => number.to_string(),
                PropertyValue::TwoByteInteger(number) => number.to_string(),
                PropertyValue::FourByteInteger(number)
                | PropertyValue::VariableByteInteger(number) => number.to_string(),
                PropertyValue::Utf8String(text) => hex(text.as_bytes()),
                PropertyValue::BinaryData(bytes) => hex(bytes),
                PropertyValue::Utf8StringPair(name, value) => {
                    format!("{}:{}", hex(name.as_bytes()), hex(value.as_bytes()))
                }
            };
            self.push_property(will, id as u8, value);
        }
    }
}

fn count(fields: &Fields, field: &(String, String)) -> usize {
    fields.fields.iter().filter(|known| *known == field).count()
}

impl Display for Fields {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.packet)?;
        for (name, value) in &self.fields {
            write!(out, ", {name} {value}")?;
        }
        Ok(())
    }
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
