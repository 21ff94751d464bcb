//! What a client writes: byte strings put together by hand, with the lengths computed.
//!
//! Nothing here keeps anybody from writing what must not be written.

pub(crate) const CONNECT: u8 = 1;
pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const UNSUBACK: u8 = 11;
pub(crate) const PINGRESP: u8 = 13;
pub(crate) const DISCONNECT: u8 = 14;
pub(crate) const AUTH: u8 = 15;

/// PINGREQ.
pub(crate) const PING: [u8; 2] = [0xC0, 0];

/// A Variable Byte Integer.
pub(crate) fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0] & 0x7F;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A string or binary data: two bytes of length, then itself.
pub(crate) fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), text].concat()
}

/// A block of properties: its length, then itself.
pub(crate) fn block(properties: &[u8]) -> Vec<u8> {
    [&varint(properties.len()), properties].concat()
}

/// A packet: its first byte, its Remaining Length, its parts.
pub(crate) fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[first], &varint(body.len())[..], &body].concat()
}

/// Properties by the type of their value.
pub(crate) mod property {
    use super::{string, varint};

    pub(crate) fn byte(id: u8, value: u8) -> Vec<u8> {
        vec![id, value]
    }

    pub(crate) fn two(id: u8, value: u16) -> Vec<u8> {
        [&[id], &value.to_be_bytes()[..]].concat()
    }

    pub(crate) fn four(id: u8, value: u32) -> Vec<u8> {
        [&[id], &value.to_be_bytes()[..]].concat()
    }

    pub(crate) fn number(id: u8, value: usize) -> Vec<u8> {
        [&[id], &varint(value)[..]].concat()
    }

    pub(crate) fn text(id: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
        [&[id], &string(value)[..]].concat()
    }

    /// A User Property.
    pub(crate) fn user(name: &str, value: &str) -> Vec<u8> {
        [&[0x26], &string(name)[..], &string(value)].concat()
    }

    /// Session Expiry Interval.
    pub(crate) fn expiry(seconds: u32) -> Vec<u8> {
        four(0x11, seconds)
    }
}

/// A CONNECT of version 5.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) id: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    properties: Vec<u8>,
    /// The largest packet that the server may send, in bytes.
    pub(crate) size: usize,
    /// The highest alias that the server may use.
    pub(crate) aliases: u16,
    will: Option<(u8, Vec<u8>)>,
    user: Option<String>,
    password: Option<String>,
}

impl Connect {
    /// A client that starts anew.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            clean: true,
            keep_alive: 0,
            properties: Vec::new(),
            size: usize::MAX,
            aliases: 0,
            will: None,
            user: None,
            password: None,
        }
    }

    /// The same, resuming, with a session that is kept so many seconds.
    pub(crate) fn resume(mut self, seconds: u32) -> Self {
        self.clean = false;
        self.with(&property::expiry(seconds))
    }

    pub(crate) fn with(mut self, property: &[u8]) -> Self {
        self.properties.extend_from_slice(property);
        self
    }

    /// Takes no larger packet.
    pub(crate) fn size(mut self, bytes: u16) -> Self {
        self.size = bytes.into();
        self.with(&property::four(0x27, bytes.into()))
    }

    /// Takes so many topic aliases.
    pub(crate) fn aliases(mut self, maximum: u16) -> Self {
        self.aliases = maximum;
        self.with(&property::two(0x22, maximum))
    }

    pub(crate) fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// A will: QoS 0 to 2 and 4 for RETAIN, its properties, its message.
    pub(crate) fn will(mut self, flags: u8, properties: &[u8], topic: &str, payload: &str) -> Self {
        let parts = [block(properties), string(topic), string(payload)].concat();
        self.will = Some((0x04 | flags << 3, parts));
        self
    }

    pub(crate) fn user(mut self, name: &str) -> Self {
        self.user = Some(name.to_owned());
        self
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        let mut payload = string(&self.id);
        if let Some((will, parts)) = &self.will {
            flags |= will;
            payload.extend_from_slice(parts);
        }
        for (flag, text) in [(0x80, &self.user), (0x40, &self.password)] {
            if let Some(text) = text {
                flags |= flag;
                payload.extend(string(text));
            }
        }
        let keep_alive = self.keep_alive.to_be_bytes();
        connect_of(flags, &keep_alive, &block(&self.properties), &payload)
    }
}

/// A CONNECT of these parts, which need not fit each other.
pub(crate) fn connect_of(
    flags: u8,
    keep_alive: &[u8],
    properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let head = [&string("MQTT")[..], &[5, flags], keep_alive].concat();
    packet(0x10, &[&head, properties, payload])
}

/// A PUBLISH.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) topic: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) id: u16,
    flags: u8,
    properties: Vec<u8>,
}

/// A message of QoS 0.
pub(crate) fn publish(topic: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Publish {
    Publish {
        topic: topic.as_ref().to_owned(),
        payload: payload.as_ref().to_owned(),
        qos: 0,
        id: 0,
        flags: 0,
        properties: Vec::new(),
    }
}

impl Publish {
    /// With this QoS; the wire chooses the Packet Identifier.
    pub(crate) fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.flags |= 1;
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.flags |= 8;
        self
    }

    pub(crate) fn with(mut self, property: &[u8]) -> Self {
        self.properties.extend_from_slice(property);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let id = self.id.to_be_bytes();
        let id: &[u8] = if self.qos == 0 { &[] } else { &id };
        let first = PUBLISH << 4 | self.flags | self.qos << 1;
        let properties = block(&self.properties);
        packet(
            first,
            &[&string(&self.topic), id, &properties, &self.payload],
        )
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(crate) fn ack(kind: u8, id: u16, reason: u8) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    packet(kind << 4 | flags, &[&id.to_be_bytes(), &[reason]])
}

/// A SUBSCRIBE of filters with their options: QoS 0 to 2, 4 No Local, 8 Retain As Published, 16 times the Retain Handling.
pub(crate) fn subscribe(id: u16, properties: &[u8], filters: &[(&str, u8)]) -> Vec<u8> {
    let filters = filters.iter().flat_map(|(filter, options)| {
        let mut bytes = string(filter);
        bytes.push(*options);
        bytes
    });
    let filters: Vec<u8> = filters.collect();
    packet(0x82, &[&id.to_be_bytes(), &block(properties), &filters])
}

/// An UNSUBSCRIBE.
pub(crate) fn unsubscribe(id: u16, filters: &[&str]) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(string).collect();
    packet(0xA2, &[&id.to_be_bytes(), &[0], &filters])
}

/// A DISCONNECT.
pub(crate) fn disconnect(reason: u8, properties: &[u8]) -> Vec<u8> {
    packet(0xE0, &[&[reason], &block(properties)])
}

/// The bytes as one reads them: hexadecimal, and the text of it; the middle of long ones is left out.
pub(crate) fn show(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let shown = &bytes[..bytes.len().min(96)];
    let mut text = String::new();
    for byte in shown {
        let _ = write!(text, "{byte:02X} ");
    }
    if shown.len() < bytes.len() {
        let _ = write!(text, "... {} bytes ", bytes.len());
    }
    let _ = write!(text, "\"{}\"", shown.escape_ascii());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_written_as_the_standard_shows_them() {
        // Figure 2-1 of section 1.5.5, and the example of section 3.1.
        assert_eq!(varint(16_383), [0xFF, 0x7F]);
        assert_eq!(varint(16_384), [0x80, 0x80, 0x01]);
        let connect = Connect::new("c").with(&property::expiry(10));
        let want = b"\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x11\0\0\0\x0A\0\x01c";
        assert_eq!(connect.bytes(), want);
        let publish = publish("a/b", "x").qos(1).id(10).retain();
        assert_eq!(publish.bytes(), b"\x33\x09\0\x03a/b\0\x0A\0x");
        assert_eq!(
            subscribe(10, &[], &[("a", 1)]),
            b"\x82\x07\0\x0A\0\0\x01a\x01"
        );
        assert_eq!(unsubscribe(10, &["a"]), b"\xA2\x06\0\x0A\0\0\x01a");
        assert_eq!(ack(PUBREL, 1, 0), [0x62, 3, 0, 1, 0]);
        assert_eq!(disconnect(4, &[]), [0xE0, 2, 4, 0]);
    }
}
