//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): four names for one body.

use bytes::{Buf, Bytes, BytesMut};

use super::{Packet, PacketType};
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::AckProperties;
use crate::reader::{Reader, check_reason, share};
use crate::reason::ReasonCode;
use crate::value::PacketId;
use crate::wire::{put_u8, put_u16};

/// The body of a PUBACK, PUBREC, PUBREL or PUBCOMP.
///
/// [Section 3.4](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901121)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Of the PUBLISH.
    pub packet_id: PacketId,
    /// How it went. Which codes are allowed depends on the packet: [`ReasonCode::allowed_in`].
    pub reason: ReasonCode,
    /// Its properties.
    pub properties: AckProperties,
}

impl Ack {
    /// All went well.
    pub fn new(packet_id: PacketId) -> Self {
        Self::with_reason(packet_id, ReasonCode::Success)
    }

    /// It went so, without more words.
    pub fn with_reason(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            properties: AckProperties::default(),
        }
    }

    pub(super) fn body_len(&self) -> usize {
        if !self.properties.is_empty() {
            3 + self.properties.wire_len()
        } else if self.reason == ReasonCode::Success {
            2
        } else {
            3
        }
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        put_u16(tail, self.packet_id.get());
        // Success may be left out when nothing follows, the property length when no property does.
        if len > 2 {
            put_u8(tail, self.reason.into());
        }
        if len > 3 {
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

/// Takes an acknowledgement without properties off `buf`, which starts with its two bytes of fixed header and has all
/// of it. `remaining` is 2 or 3. Nothing of `buf` is shared.
#[inline]
pub(super) fn take_short(
    buf: &mut BytesMut,
    packet: PacketType,
    remaining: usize,
) -> Result<Option<Packet>, DecodeError> {
    let fail = |field, fault| {
        Err(DecodeError {
            packet: Some(packet),
            field,
            fault,
        })
    };
    let (id, code) = match **buf {
        [_, _, high, low, code, ..] if remaining == 3 => ([high, low], code),
        [_, _, high, low, ..] => ([high, low], 0),
        _ => return Ok(None),
    };
    let Some(packet_id) = PacketId::new(u16::from_be_bytes(id)) else {
        return fail("packet identifier", Fault::ZeroPacketId);
    };
    let reason = match check_reason(code, packet) {
        Ok(reason) => reason,
        Err(fault) => return fail("reason code", fault),
    };
    buf.advance(2 + remaining);
    let ack = Ack::with_reason(packet_id, reason);
    Ok(Some(match packet {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }))
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Ack, DecodeError> {
    let packet_id = reader.packet_id()?;
    if reader.is_empty() {
        return Ok(Ack::new(packet_id));
    }
    // [MQTT-3.4.2-1] PUBACK, [MQTT-3.5.2-1] PUBREC, [MQTT-3.6.2-1] PUBREL and [MQTT-3.7.2-1] PUBCOMP: the codes listed.
    let reason = reader.reason()?;
    if reader.is_empty() {
        return Ok(Ack::with_reason(packet_id, reason));
    }
    let properties = AckProperties::trusted(share(frame, reader.properties(AckProperties::PLACE)?));
    Ok(Ack {
        packet_id,
        reason,
        properties,
    })
}
