//! What a client writes, as words: one packet off the front of the bytes. Whatever is no packet of a client is a complaint.

use crate::table::{self, Type};
use crate::words::Words;

/// The largest packet that is waited for.
const LARGEST: usize = 1024 * 1024;

/// Takes a packet off `buffer`; nothing when more bytes are to come.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Words>, String> {
    let mut cursor = Cursor(buffer);
    let Ok(first) = cursor.byte() else {
        return Ok(None);
    };
    let Some(length) = cursor.length()? else {
        return Ok(None);
    };
    if length > LARGEST {
        return Err(format!("a packet of {length} bytes"));
    }
    let head = buffer.len() - cursor.0.len();
    if cursor.0.len() < length {
        return Ok(None);
    }
    let packet: Vec<u8> = buffer.drain(..head + length).collect();
    let mut body = Cursor(packet.get(head..).unwrap_or_default());
    let words =
        parse(first, &mut body).map_err(|why| format!("{why}, in the packet {}", show(&packet)))?;
    if body.0.is_empty() {
        Ok(Some(words))
    } else {
        Err(format!("bytes behind the end of {}", show(&packet)))
    }
}

fn parse(first: u8, body: &mut Cursor<'_>) -> Result<Words, String> {
    let flags = first & 15;
    let kind = first >> 4;
    let reserved = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
    if kind != 3 && flags != reserved {
        return Err(format!("the flags {flags:04b}"));
    }
    match kind {
        1 => connect(body),
        3 => publish(flags, body),
        4 => ack("PUBACK", body),
        5 => ack("PUBREC", body),
        6 => ack("PUBREL", body),
        7 => ack("PUBCOMP", body),
        8 | 10 => filters(kind == 8, body),
        12 => Ok(Words::new("PINGREQ")),
        14 => coded(Words::new("DISCONNECT"), body),
        15 => coded(Words::new("AUTH"), body),
        _ => Err("a type that no client sends".to_owned()),
    }
}

fn ack(name: &str, body: &mut Cursor<'_>) -> Result<Words, String> {
    let words = Words::new(name).with("id", body.id()?);
    coded(words, body)
}

/// A reason code and properties, which may both be left out.
fn coded(words: Words, body: &mut Cursor<'_>) -> Result<Words, String> {
    let reason = if body.0.is_empty() { 0 } else { body.byte()? };
    let words = words.with("reason", reason);
    if body.0.is_empty() {
        return Ok(words);
    }
    body.properties(words)
}

fn connect(body: &mut Cursor<'_>) -> Result<Words, String> {
    if body.text()? != b"MQTT" || body.byte()? != 5 {
        return Err("not MQTT 5.0".to_owned());
    }
    let flags = body.byte()?;
    let words = Words::new("CONNECT")
        .with("clean_start", flags >> 1 & 1)
        .with("will", flags >> 2 & 1)
        .with("keep_alive", body.two()?);
    let words = body.properties(words)?;
    let words = words.with("client_id", String::from_utf8_lossy(body.text()?));
    // Will, user name and password are nobody's business here.
    body.0 = &[];
    Ok(words)
}

fn publish(flags: u8, body: &mut Cursor<'_>) -> Result<Words, String> {
    let qos = flags >> 1 & 3;
    if qos == 3 {
        return Err("QoS 3".to_owned());
    }
    let mut words = Words::new("PUBLISH")
        .with("topic", String::from_utf8_lossy(body.text()?))
        .with("qos", qos)
        .with("dup", flags >> 3)
        .with("retain", flags & 1);
    if qos > 0 {
        words = words.with("id", body.id()?);
    } else if flags & 8 != 0 {
        return Err("DUP at QoS 0".to_owned());
    }
    let words = body.properties(words)?;
    let payload = std::mem::take(&mut body.0);
    Ok(words.with("payload", String::from_utf8_lossy(payload)))
}

/// SUBSCRIBE or UNSUBSCRIBE: its filters, and for each the QoS that is asked for.
fn filters(subscribes: bool, body: &mut Cursor<'_>) -> Result<Words, String> {
    let name = if subscribes {
        "SUBSCRIBE"
    } else {
        "UNSUBSCRIBE"
    };
    let words = Words::new(name).with("id", body.id()?);
    let words = body.properties(words)?;
    if body.0.is_empty() {
        return Err("no filters".to_owned());
    }
    let (mut filters, mut codes) = (Vec::new(), Vec::new());
    while !body.0.is_empty() {
        filters.push(String::from_utf8_lossy(body.text()?).into_owned());
        let options = if subscribes { body.byte()? } else { 0 };
        if options & 0xC0 != 0 || options & 3 == 3 || options & 0x30 == 0x30 {
            return Err(format!("the options {options:08b}"));
        }
        codes.push((options & 3).to_string());
    }
    let words = words.with("filters", filters.join(","));
    Ok(words.with("codes", codes.join(",")))
}

/// Bytes as one reads them: hexadecimal, the end of long ones left out.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown: Vec<_> = bytes
        .iter()
        .take(48)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let rest = if bytes.len() > 48 { " ..." } else { "" };
    format!("{}{rest}", shown.join(" "))
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("an end too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.bytes(1)?.first().copied().ok_or_else(String::new)
    }

    fn two(&mut self) -> Result<u16, String> {
        Ok(u16::from(self.byte()?) << 8 | u16::from(self.byte()?))
    }

    /// A Packet Identifier.
    fn id(&mut self) -> Result<u16, String> {
        match self.two()? {
            0 => Err("the identifier 0".to_owned()),
            id => Ok(id),
        }
    }

    fn four(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.two()?) << 16 | u32::from(self.two()?))
    }

    fn text(&mut self) -> Result<&'a [u8], String> {
        let length = self.two()?;
        self.bytes(usize::from(length))
    }

    /// A Variable Byte Integer; nothing when its end is still to come.
    fn length(&mut self) -> Result<Option<usize>, String> {
        let mut length = 0;
        for place in 0..4 {
            let Ok(byte) = self.byte() else {
                return Ok(None);
            };
            length |= usize::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                return Ok(Some(length));
            }
        }
        Err("a length of more than four bytes".to_owned())
    }

    /// A block of properties, each a field more.
    fn properties(&mut self, mut words: Words) -> Result<Words, String> {
        let length = self.length()?.ok_or("an end too early")?;
        let mut block = Cursor(self.bytes(length)?);
        while !block.0.is_empty() {
            let id = block.byte()?;
            let property = table::numbered(id).ok_or_else(|| format!("the property {id}"))?;
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let value = match property.kind {
                Type::Byte => block.byte()?.to_string(),
                Type::Two => block.two()?.to_string(),
                Type::Four => block.four()?.to_string(),
                Type::Variable => block.length()?.unwrap_or_default().to_string(),
                Type::Text => text(block.text()?),
                Type::Pair => format!("{}:{}", text(block.text()?), text(block.text()?)),
            };
            words = words.with(&property.name, value);
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], want: &str) {
        let mut buffer = bytes.to_vec();
        let got = take(&mut buffer).unwrap().unwrap();
        assert_eq!(got.to_string(), want);
        assert!(buffer.is_empty());
        // In pieces it is not there before it is whole.
        let mut part = bytes[..bytes.len() - 1].to_vec();
        assert_eq!(take(&mut part), Ok(None));
    }

    #[test]
    fn packets_of_clients_are_read() {
        check(
            b"\x10\x11\0\x04MQTT\x05\x02\0\x3C\x03\x21\0\x0A\0\x01c",
            "CONNECT clean_start=1 will=0 keep_alive=60 receive_maximum=10 client_id=c",
        );
        check(
            b"\x3B\x07\0\x01a\0\x02\0x",
            "PUBLISH topic=a qos=1 dup=1 retain=1 id=2 payload=x",
        );
        check(b"\x40\x02\0\x02", "PUBACK id=2 reason=0");
        check(b"\x70\x04\0\x02\x92\0", "PUBCOMP id=2 reason=146");
        check(
            b"\x82\x09\0\x01\0\0\x03a/#\x01",
            "SUBSCRIBE id=1 filters=a/# codes=1",
        );
        check(b"\xC0\0", "PINGREQ");
        check(b"\xE0\0", "DISCONNECT reason=0");
    }

    #[test]
    fn what_no_client_may_write_is_told() {
        for bytes in [
            &b"\x20\x03\0\0\0"[..],
            b"\x60\x02\0\x01",
            b"\x36\x05\0\x01a\0\x02",
            b"\x40\x01\0",
            b"\xC0\x01\0",
            b"\xC0\xFF\xFF\xFF\xFF\x01",
            b"\xE0\x04\0\x02\xFF\0",
            b"\x40\x02\0\0",
            b"\x38\x04\0\x01a\0",
            b"\x82\x03\0\x01\0",
            b"\x82\x07\0\x01\0\0\x01a\x03",
        ] {
            assert!(take(&mut bytes.to_vec()).is_err(), "{bytes:02x?}");
        }
    }
}
