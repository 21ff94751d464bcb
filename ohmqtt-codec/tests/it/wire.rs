//! Packets written by hand, as hex or from their parts, and what decoding makes of them.

use bytes::BytesMut;
use ohmqtt_codec::{DecodeError, EncodeBuf, Limits, Packet, decode};

/// Bytes from hex; spaces are for the reader, and what stands in quotes is text.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<char> = part
            .chars()
            .filter(|digit| !digit.is_whitespace())
            .collect();
        for pair in digits.chunks(2) {
            let pair: String = pair.iter().collect();
            bytes.push(u8::from_str_radix(&pair, 16).unwrap());
        }
    }
    bytes
}

/// A fixed header of this first byte, and the body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(varint(body.len()));
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn varint(value: usize) -> Vec<u8> {
    let mut left = value;
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(left % 128).unwrap();
        left /= 128;
        if left == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes with a length of two bytes before them.
pub(crate) fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}

/// A packet of this name that is valid with these properties; `WILL` is a CONNECT whose will has them.
pub(crate) fn with_properties(name: &str, block: &[u8]) -> Vec<u8> {
    let mut block_with_len = varint(block.len());
    block_with_len.extend_from_slice(block);
    let (first, before, after) = match name {
        "CONNECT" => (0x10, "0004 'MQTT' 05 02 0000", "0000"),
        "WILL" => (0x10, "0004 'MQTT' 05 06 0000 00 0000", "0001 'a' 0000"),
        "CONNACK" => (0x20, "00 00", ""),
        "PUBLISH" => (0x30, "0001 'a'", ""),
        "PUBACK" => (0x40, "0001 00", ""),
        "PUBREC" => (0x50, "0001 00", ""),
        "PUBREL" => (0x62, "0001 00", ""),
        "PUBCOMP" => (0x70, "0001 00", ""),
        "SUBSCRIBE" => (0x82, "0001", "0001 'a' 00"),
        "SUBACK" => (0x90, "0001", "00"),
        "UNSUBSCRIBE" => (0xA2, "0001", "0001 'a'"),
        "UNSUBACK" => (0xB0, "0001", "00"),
        "DISCONNECT" => (0xE0, "00", ""),
        "AUTH" => (0xF0, "00", ""),
        _ => panic!("{name} has no properties"),
    };
    packet(first, &[hex(before), block_with_len, hex(after)].concat())
}

/// Decodes what is one packet and nothing else.
pub(crate) fn decode_one(bytes: &[u8]) -> Result<Packet, DecodeError> {
    let mut buf = BytesMut::from(bytes);
    let decoded = decode(&mut buf, &Limits::default())?;
    let decoded = decoded.expect("the packet is whole");
    assert!(buf.is_empty(), "bytes are left: {buf:?}");
    Ok(decoded)
}

pub(crate) fn encode(packet: &Packet) -> Vec<u8> {
    let mut out = EncodeBuf::new();
    packet.encode(&mut out).unwrap();
    out.into_bytes().to_vec()
}

/// Refused with this message and this reason code.
#[track_caller]
pub(crate) fn refused(bytes: &[u8], message: &str, reason: u8) {
    let mut buf = BytesMut::from(bytes);
    match decode(&mut buf, &Limits::default()) {
        Err(error) => {
            assert_eq!(
                (error.to_string().as_str(), u8::from(error.reason())),
                (message, reason)
            );
        }
        other => panic!("{bytes:02X?} is not refused: {other:?}"),
    }
}

/// A packet in hex is what decodes to `want`, and what `want` encodes to.
#[track_caller]
pub(crate) fn same(text: &str, want: &Packet) {
    let bytes = hex(text);
    assert_eq!(&decode_one(&bytes).unwrap(), want);
    assert_eq!(encode(want), bytes);
    assert_eq!(want.encoded_len(), bytes.len());
}
