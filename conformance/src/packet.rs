//! What a server writes: one packet off the front of the bytes, taken apart and judged by the tables of the specification.
//!
//! It is strict: whatever no server may send is a complaint, so that each check is one of the form of all that comes.

use std::fmt;

use crate::bytes::{AUTH, CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREL};
use crate::bytes::{SUBACK, UNSUBACK, show};
use crate::table::{self, NAMES, PROPERTY, Type};

/// A packet of a server. What its type does not have is zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: u8,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    /// Of CONNACK.
    pub(crate) session_present: bool,
    pub(crate) id: u16,
    pub(crate) reason: u8,
    pub(crate) topic: Vec<u8>,
    /// Identifiers and values: numbers in big-endian order, text without its length, pairs as on the wire.
    properties: Vec<(u8, Vec<u8>)>,
    /// The payload, or the reason codes of SUBACK and UNSUBACK.
    pub(crate) rest: Vec<u8>,
    /// As it came.
    pub(crate) bytes: Vec<u8>,
}

type Judged<T> = Result<T, String>;

impl Packet {
    /// Takes a packet off `buffer`; nothing when more bytes are to come.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Judged<Option<Self>> {
        let Some(&first) = buffer.first() else {
            return Ok(None);
        };
        let mut cursor = Cursor(&buffer[1..]);
        let Some(length) = cursor.length()? else {
            return Ok(None);
        };
        if cursor.0.len() < length {
            return Ok(None);
        }
        let size = buffer.len() - cursor.0.len() + length;
        let bytes: Vec<u8> = buffer.drain(..size).collect();
        let body = Cursor(&bytes[size - length..]);
        match Self::parse(first, body) {
            Ok(packet) => Ok(Some(Self { bytes, ..packet })),
            Err(why) => Err(format!("{why}: {}", show(&bytes))),
        }
    }

    fn parse(first: u8, mut body: Cursor<'_>) -> Judged<Self> {
        let kind = first >> 4;
        let name = NAMES[usize::from(kind)];
        let mut packet = Self {
            kind,
            ..Self::default()
        };
        let flags = first & 15;
        let reserved = if kind == PUBREL { 2 } else { 0 };
        if kind != PUBLISH && flags != reserved {
            return Err(format!("{name} with the flags {flags:04b}"));
        }
        match kind {
            CONNACK => {
                let flags = body.byte()?;
                if flags > 1 {
                    return Err(format!("CONNACK with the acknowledge flags {flags}"));
                }
                packet.session_present = flags == 1;
                packet.reason = body.byte()?;
                packet.properties = body.properties(name)?;
            }
            PUBLISH => packet.parse_publish(flags, &mut body)?,
            PUBACK..=PUBCOMP => {
                packet.id = body.id()?;
                if !body.0.is_empty() {
                    packet.reason = body.byte()?;
                }
                if !body.0.is_empty() {
                    packet.properties = body.properties(name)?;
                }
            }
            SUBACK | UNSUBACK => {
                packet.id = body.id()?;
                packet.properties = body.properties(name)?;
                std::mem::take(&mut body.0).clone_into(&mut packet.rest);
            }
            PINGRESP => {}
            DISCONNECT | AUTH => {
                if !body.0.is_empty() {
                    packet.reason = body.byte()?;
                }
                if !body.0.is_empty() {
                    packet.properties = body.properties(name)?;
                }
                if kind == DISCONNECT && packet.property(0x11).is_some() {
                    return Err("a server's DISCONNECT with a Session Expiry Interval".to_owned());
                }
            }
            _ => return Err(format!("{name}, which no server sends")),
        }
        if !body.0.is_empty() {
            return Err(format!("{name} with bytes behind its end"));
        }
        let said: &[u8] = match kind {
            PUBLISH | PINGRESP => &[],
            SUBACK | UNSUBACK => &packet.rest,
            _ => &[packet.reason],
        };
        match said.iter().find(|code| !table::is_reason(name, **code)) {
            Some(code) => Err(format!("{name} with the reason code {code:#04X}")),
            None => Ok(packet),
        }
    }

    fn parse_publish(&mut self, flags: u8, body: &mut Cursor<'_>) -> Judged<()> {
        self.qos = flags >> 1 & 3;
        self.dup = flags & 8 != 0;
        self.retain = flags & 1 != 0;
        if self.qos == 3 || (self.qos == 0 && self.dup) {
            return Err(format!("PUBLISH with the flags {flags:04b}"));
        }
        body.text()?.clone_into(&mut self.topic);
        if self.topic.iter().any(|byte| b"+#".contains(byte)) {
            return Err("PUBLISH with a wildcard in its topic".to_owned());
        }
        if self.qos > 0 {
            self.id = body.id()?;
        }
        self.properties = body.properties("PUBLISH")?;
        if self.topic.is_empty() && self.property(0x23).is_none() {
            return Err("PUBLISH without a topic".to_owned());
        }
        std::mem::take(&mut body.0).clone_into(&mut self.rest);
        Ok(())
    }

    /// The value of the first property with this identifier.
    pub(crate) fn property(&self, id: u8) -> Option<&[u8]> {
        let mut all = self.properties.iter();
        all.find(|(other, _)| *other == id)
            .map(|(_, value)| &value[..])
    }

    /// The same as a number.
    pub(crate) fn number(&self, id: u8) -> Option<u32> {
        let value = self.property(id)?;
        Some(value.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    /// All Subscription Identifiers, sorted.
    pub(crate) fn subscriptions(&self) -> Vec<u32> {
        let all = self.properties.iter().filter(|(id, _)| *id == 0x0B);
        let number = |value: &Vec<u8>| value.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let mut all: Vec<u32> = all.map(|(_, value)| number(value)).collect();
        all.sort_unstable();
        all
    }

    /// All User Properties, as on the wire and in their order.
    pub(crate) fn user_properties(&self) -> Vec<u8> {
        let all = self.properties.iter().filter(|(id, _)| *id == 0x26);
        all.flat_map(|(id, value)| [&[*id], &value[..]].concat())
            .collect()
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES[usize::from(self.kind)];
        write!(f, "{name} {}", show(&self.bytes))
    }
}

/// The bytes that are left.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Judged<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count).ok_or("it ends too early")?;
        self.0 = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Judged<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn two(&mut self) -> Judged<u16> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A Packet Identifier.
    fn id(&mut self) -> Judged<u16> {
        match self.two()? {
            0 => Err("the Packet Identifier is 0".to_owned()),
            id => Ok(id),
        }
    }

    fn binary(&mut self) -> Judged<&'a [u8]> {
        let length = self.two()?;
        self.bytes(length.into())
    }

    fn text(&mut self) -> Judged<&'a [u8]> {
        let text = self.binary()?;
        match std::str::from_utf8(text) {
            Ok(valid) if !valid.contains('\0') => Ok(text),
            _ => Err("a string that is no UTF-8, or has U+0000".to_owned()),
        }
    }

    /// A Variable Byte Integer; nothing when it is not there whole.
    fn length(&mut self) -> Judged<Option<usize>> {
        let mut number = 0;
        for place in 0..4 {
            let Some((&byte, left)) = self.0.split_first() else {
                return Ok(None);
            };
            self.0 = left;
            number |= usize::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return if byte == 0 && place > 0 {
                    Err("a length that is longer than it need be".to_owned())
                } else {
                    Ok(Some(number))
                };
            }
        }
        Err("a length of five bytes".to_owned())
    }

    fn properties(&mut self, packet: &str) -> Judged<Vec<(u8, Vec<u8>)>> {
        let length = self.length()?.ok_or("it ends too early")?;
        let mut block = Self(self.bytes(length)?);
        let mut properties: Vec<(u8, Vec<u8>)> = Vec::new();
        while !block.0.is_empty() {
            let id = block.byte()?;
            let row = PROPERTY.iter().find(|row| row.id == id);
            let row = row
                .filter(|row| row.may_stand_in(packet))
                .ok_or(format!("{packet} with the property {id:#04X}"))?;
            let is_repeated = properties.iter().any(|(other, _)| *other == id);
            if is_repeated && !row.may_repeat && (packet, id) != ("PUBLISH", 0x0B) {
                return Err(format!("{packet} with {} twice", row.name));
            }
            let value = block.value(row.kind)?;
            let is_zero = value.iter().all(|byte| *byte == 0);
            // Topic Alias, Subscription Identifier, Receive Maximum, Maximum Packet Size; and all bytes are 0 or 1.
            let is_wrong = match id {
                0x0B | 0x21 | 0x23 | 0x27 => is_zero,
                0x08 => value.iter().any(|byte| b"+#".contains(byte)),
                _ => row.kind == Type::Byte && value > vec![1],
            };
            if is_wrong {
                return Err(format!("{packet} with {} of a wrong value", row.name));
            }
            properties.push((id, value));
        }
        Ok(properties)
    }

    fn value(&mut self, kind: Type) -> Judged<Vec<u8>> {
        Ok(match kind {
            Type::Byte => self.bytes(1)?.to_owned(),
            Type::Two => self.bytes(2)?.to_owned(),
            Type::Four => self.bytes(4)?.to_owned(),
            Type::Text => self.text()?.to_owned(),
            Type::Binary => self.binary()?.to_owned(),
            Type::Pair => {
                let before = self.0;
                self.text()?;
                self.text()?;
                before[..before.len() - self.0.len()].to_owned()
            }
            Type::Variable => {
                let number = self.length()?.ok_or("it ends too early")?;
                u32::try_from(number)
                    .unwrap_or(u32::MAX)
                    .to_be_bytes()
                    .into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], want: &str) {
        let why = Packet::take(&mut bytes.to_owned()).unwrap_err();
        assert!(why.starts_with(want), "{why}");
    }

    #[test]
    fn what_no_server_may_send_is_a_complaint() {
        check(b"\x20\x03\x02\0\0", "CONNACK with the acknowledge flags 2");
        check(b"\x20\x03\0\x01\0", "CONNACK with the reason code 0x01");
        check(b"\x21\x03\0\0\0", "CONNACK with the flags 0001");
        check(b"\x20\x83\0\0\0\0", "a length that is longer");
        check(b"\x36\x06\0\x01a\0\x01\0", "PUBLISH with the flags 0110");
        check(b"\x38\x04\0\x01a\0", "PUBLISH with the flags 1000");
        check(b"\x30\x04\0\x01#\0", "PUBLISH with a wildcard");
        check(b"\x30\x04\0\x01\xFF\0", "a string that is no UTF-8");
        check(b"\x30\x03\0\0\0", "PUBLISH without a topic");
        check(b"\x40\x02\0\0", "the Packet Identifier is 0");
        check(b"\x90\x04\0\x01\0\x03", "SUBACK with the reason code 0x03");
        check(
            b"\xE0\x07\x8E\x05\x11\0\0\0\0",
            "a server's DISCONNECT with a Session",
        );
        check(b"\xD0\x01\0", "PINGRESP with bytes behind its end");
        check(b"\xC0\0", "PINGREQ, which no server sends");
        check(
            b"\x20\x06\0\0\x03\x23\0\x01",
            "CONNACK with the property 0x23",
        );
        check(
            b"\x20\x07\0\0\x04\x25\0\x25\0",
            "CONNACK with Retain Available twice",
        );
        check(
            b"\x20\x05\0\0\x02\x25\x02",
            "CONNACK with Retain Available of a wrong value",
        );
    }

    #[test]
    fn a_packet_is_taken_when_it_is_there_whole() {
        let whole = b"\x33\x0B\0\x01a\0\x07\x04\x0B\x81\x01\x0Bx";
        for count in 0..whole.len() {
            assert_eq!(Packet::take(&mut whole[..count].to_owned()), Ok(None));
        }
        // The property block above is one byte short on purpose.
        check(whole, "it ends too early");
        let whole = b"\x33\x0B\0\x01a\0\x07\x03\x0B\x81\x01xy";
        let mut buffer = [&whole[..], b"z"].concat();
        let packet = Packet::take(&mut buffer).unwrap().unwrap();
        assert_eq!(buffer, b"z");
        assert_eq!((packet.qos, packet.retain, packet.id), (1, true, 7));
        assert_eq!(
            (packet.subscriptions(), &packet.rest[..]),
            (vec![129], &b"xy"[..])
        );
    }
}
