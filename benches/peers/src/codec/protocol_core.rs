//! mqtt-protocol-core. It decodes bodies; the fixed header is read here. It encodes into the pieces that a vectored write takes.

use std::hint::black_box;
use std::io::IoSlice;

use bytes::Buf;
use mqtt_protocol_core::mqtt::packet::GenericPacketTrait;
use mqtt_protocol_core::mqtt::packet::Packet;
use mqtt_protocol_core::mqtt::packet::v5_0;

use super::{Stream, debug};
use crate::Result;

pub(super) struct Codec(Stream);

impl super::Codec for Codec {
    type Packet = Packet;

    fn new(stream: &[u8]) -> Self {
        Self(Stream::new(stream))
    }

    fn decode(&mut self) -> Result<Packet> {
        let chunk = self.0.chunk();
        let (header, length) = header(chunk).ok_or("there is no whole packet")?;
        let body = chunk
            .get(header..header + length)
            .ok_or("there is no whole packet")?;
        let packet = parse(chunk[0], body)?;
        chunk.advance(header + length);
        Ok(packet)
    }

    fn encode(&mut self, packet: &Packet) -> Result<usize> {
        let pieces: Vec<IoSlice<'_>> = black_box(packet.to_buffers());
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }
}

/// The lengths of the fixed header and of the body.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (at, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((at + 2, length));
        }
    }
    None
}

fn parse(first: u8, body: &[u8]) -> Result<Packet> {
    Ok(match first >> 4 {
        1 => v5_0::Connect::parse(body).map_err(debug)?.0.into(),
        3 => v5_0::Publish::parse(first & 0xF, body.into())
            .map_err(debug)?
            .0
            .into(),
        4 => v5_0::Puback::parse(body).map_err(debug)?.0.into(),
        5 => v5_0::Pubrec::parse(body).map_err(debug)?.0.into(),
        7 => v5_0::Pubcomp::parse(body).map_err(debug)?.0.into(),
        8 => v5_0::Subscribe::parse(body).map_err(debug)?.0.into(),
        9 => v5_0::Suback::parse(body).map_err(debug)?.0.into(),
        12 => v5_0::Pingreq::parse(body).map_err(debug)?.0.into(),
        14 => v5_0::Disconnect::parse(body).map_err(debug)?.0.into(),
        other => return Err(format!("no packet of type {other} is measured").into()),
    })
}
