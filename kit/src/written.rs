//! What the server writes: a packet of words as bytes. Nothing here keeps a scenario from writing what no server may.

use crate::table::{self, Type};
use crate::words::{Names, Words, number, split};

/// The bytes of a packet that a server sends. What is not said is 0 or empty; a value `*N` is N bytes of text.
pub(crate) fn bytes(packet: &Words) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    let mut value = |name: &'static str| {
        used.push(name);
        packet.text(name).unwrap_or_default()
    };
    let first = match packet.head.as_str() {
        "CONNACK" => {
            body.push(byte(value("session"))?);
            body.push(byte(value("reason"))?);
            0x20
        }
        "PUBLISH" => {
            let (dup, qos) = (byte(value("dup"))?, byte(value("qos"))?);
            let retain = byte(value("retain"))?;
            string(&mut body, &text(value("topic"))?)?;
            let id = value("id");
            if qos > 0 {
                body.extend(two(id)?);
            }
            0x30 | (dup & 1) << 3 | (qos & 3) << 1 | retain & 1
        }
        head @ ("PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP") => {
            body.extend(two(value("id"))?);
            body.push(byte(value("reason"))?);
            match head {
                "PUBACK" => 0x40,
                "PUBREC" => 0x50,
                "PUBREL" => 0x62,
                _ => 0x70,
            }
        }
        head @ ("SUBACK" | "UNSUBACK") => {
            body.extend(two(value("id"))?);
            if head == "SUBACK" { 0x90 } else { 0xB0 }
        }
        "PINGRESP" => 0xD0,
        "DISCONNECT" => {
            body.push(byte(value("reason"))?);
            0xE0
        }
        "AUTH" => {
            body.push(byte(value("reason"))?);
            0xF0
        }
        other => return Err(format!("there is no packet {other} to send")),
    };
    if packet.head != "PINGRESP" {
        let properties = properties(packet)?;
        // Acknowledgements may leave an empty block out, and mostly do.
        let may_leave_out = matches!(first >> 4, 4..=7);
        if !(may_leave_out && properties.is_empty()) {
            length(&mut body, properties.len());
            body.extend(properties);
        }
    }
    if packet.head == "PUBLISH" {
        body.extend(text(value("payload"))?);
    } else if packet.head.ends_with("SUBACK") {
        for code in value("codes").split(',').filter(|code| !code.is_empty()) {
            body.push(byte(code)?);
        }
    }
    let stray = |name: &str| !used.contains(&name) && table::named(name).is_none();
    if let Some((name, _)) = packet.fields.iter().find(|(name, _)| stray(name)) {
        return Err(format!("{} has no field {name}", packet.head));
    }
    let mut bytes = vec![first];
    length(&mut bytes, body.len());
    bytes.extend(body);
    Ok(bytes)
}

/// Bytes as they stand: pairs of hexadecimal digits, `'text'`, `$name` for two bytes of a number, `*N` for N bytes of text.
pub(crate) fn raw(line: &str, names: &Names) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for part in split(line)? {
        if let Some(name) = part.strip_prefix('$') {
            let known = names.get(name).map(String::as_str);
            bytes.extend(two(known.unwrap_or(&part))?);
        } else if let Some(word) = part.strip_prefix('\'') {
            bytes.extend(word.trim_end_matches('\'').as_bytes());
        } else if part.starts_with('*') {
            bytes.extend(text(&part)?);
        } else {
            let byte = u8::from_str_radix(&part, 16);
            bytes.push(byte.map_err(|error| format!("{part}: {error}"))?);
        }
    }
    Ok(bytes)
}

fn properties(packet: &Words) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (name, value) in &packet.fields {
        let Some(property) = table::named(name) else {
            continue;
        };
        bytes.push(property.id);
        match property.kind {
            Type::Byte => bytes.push(byte(value)?),
            Type::Two => bytes.extend(two(value)?),
            Type::Four => {
                let number = number(value).and_then(|number| u32::try_from(number).ok());
                bytes.extend(number.ok_or_else(|| wrong(value))?.to_be_bytes());
            }
            Type::Variable => {
                let number = number(value).and_then(|number| usize::try_from(number).ok());
                length(&mut bytes, number.ok_or_else(|| wrong(value))?);
            }
            Type::Text => string(&mut bytes, &text(value)?)?,
            Type::Pair => {
                let (name, value) = value.split_once(':').ok_or_else(|| wrong(value))?;
                string(&mut bytes, name.as_bytes())?;
                string(&mut bytes, value.as_bytes())?;
            }
        }
    }
    Ok(bytes)
}

/// A Variable Byte Integer.
fn length(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        bytes.push(low & 0x7F | if number == 0 { 0 } else { 0x80 });
        if number == 0 {
            return;
        }
    }
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) -> Result<(), String> {
    let length = u16::try_from(text.len()).map_err(|error| error.to_string())?;
    bytes.extend(length.to_be_bytes());
    bytes.extend(text);
    Ok(())
}

fn byte(value: &str) -> Result<u8, String> {
    let number = number(if value.is_empty() { "0" } else { value });
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| wrong(value))
}

fn two(value: &str) -> Result<[u8; 2], String> {
    let number = number(if value.is_empty() { "0" } else { value });
    let number = number.and_then(|number| u16::try_from(number).ok());
    number.map(u16::to_be_bytes).ok_or_else(|| wrong(value))
}

fn text(value: &str) -> Result<Vec<u8>, String> {
    match value.strip_prefix('*') {
        Some(count) => {
            let count = count.parse().map_err(|_| wrong(value))?;
            Ok(vec![b'x'; count])
        }
        None => Ok(value.as_bytes().to_vec()),
    }
}

fn wrong(value: &str) -> String {
    format!("{value:?} does not fit its field")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &[u8]) {
        let packet = Words::parse(line).unwrap();
        assert_eq!(bytes(&packet).unwrap(), want, "{line}");
    }

    #[test]
    fn packets_are_written_as_the_standard_lays_them_out() {
        check("CONNACK", &[0x20, 3, 0, 0, 0]);
        check(
            "CONNACK session receive_maximum=2",
            &[0x20, 6, 1, 0, 3, 0x21, 0, 2],
        );
        check("PUBLISH topic=a payload=x", b"\x30\x05\0\x01a\0x");
        check(
            "PUBLISH topic=a qos=2 dup retain id=9 topic_alias=1",
            b"\x3D\x09\0\x01a\0\x09\x03\x23\0\x01",
        );
        check("PUBREL id=0x0102", &[0x62, 3, 1, 2, 0]);
        check("SUBACK id=1 codes=0,0x80", &[0x90, 5, 0, 1, 0, 0, 0x80]);
        check("PINGRESP", &[0xD0, 0]);
        check("DISCONNECT reason=0x8B", &[0xE0, 2, 0x8B, 0]);
        let long = Words::parse("PUBLISH topic=a payload=*200").unwrap();
        assert_eq!(bytes(&long).unwrap()[..3], [0x30, 0xCC, 1]);
    }

    #[test]
    fn what_is_no_packet_is_told() {
        for line in [
            "PUBLISH colour=red",
            "PUBLISH topic=a qos=300",
            "GREET",
            "PUBACK id=65536",
            "CONNACK user_property=alone",
        ] {
            let packet = Words::parse(line).unwrap();
            assert!(bytes(&packet).is_err(), "{line}");
        }
    }

    #[test]
    fn raw_bytes_are_digits_text_and_names() {
        let names = Names::from([("id".to_owned(), "258".to_owned())]);
        let got = raw("40 02 $id 'ab' *2", &names).unwrap();
        assert_eq!(got, b"\x40\x02\x01\x02abxx");
        assert!(raw("4g", &names).is_err());
        assert!(raw("$other", &names).is_err());
    }
}
