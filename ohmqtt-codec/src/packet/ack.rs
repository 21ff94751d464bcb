//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): four names for one body.

use bytes::BufMut;

use super::{Packet, PacketType};
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::{AckProperties, Place};
use crate::reader::{Reader, check_reason};
use crate::reason::ReasonCode;
use crate::value::PacketId;

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
        tail.put_u16(self.packet_id.get());
        // Success may be left out when nothing follows, the property length when no property does.
        if len > 2 {
            tail.put_u8(self.reason.into());
        }
        if len > 3 {
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

/// An acknowledgement of the shortest forms, without properties, read where it lies; `None` for all else.
#[inline]
pub(crate) fn short(packet: PacketType, frame: &[u8]) -> Result<Option<Packet>, DecodeError> {
    let make = match packet {
        PacketType::PubAck => Packet::PubAck,
        PacketType::PubRec => Packet::PubRec,
        PacketType::PubRel => Packet::PubRel,
        PacketType::PubComp => Packet::PubComp,
        _ => return Ok(None),
    };
    let (id, code) = match *frame {
        [_, 2, high, low] => ([high, low], 0),
        [_, 3, high, low, code] => ([high, low], code),
        _ => return Ok(None),
    };
    let fail = |field, fault| DecodeError {
        packet: Some(packet),
        field,
        fault,
    };
    let packet_id = PacketId::new(u16::from_be_bytes(id));
    let packet_id = packet_id.ok_or_else(|| fail("packet identifier", Fault::ZeroPacketId))?;
    let reason = check_reason(code, packet).map_err(|fault| fail("reason code", fault))?;
    Ok(Some(make(Ack::with_reason(packet_id, reason))))
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Ack, DecodeError> {
    let packet_id = reader.packet_id()?;
    if reader.is_empty() {
        return Ok(Ack::new(packet_id));
    }
    // [MQTT-3.4.2-1] PUBACK, [MQTT-3.5.2-1] PUBREC, [MQTT-3.6.2-1] PUBREL and [MQTT-3.7.2-1] PUBCOMP: the codes listed.
    let reason = reader.reason()?;
    if reader.is_empty() {
        return Ok(Ack::with_reason(packet_id, reason));
    }
    let properties = AckProperties::new(reader.properties(Place::Ack)?);
    Ok(Ack {
        packet_id,
        reason,
        properties,
    })
}
