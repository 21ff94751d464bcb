//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): four names for one body.

use bytes::{Buf, Bytes, BytesMut};

use super::Packet;
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::AckProperties;
use crate::reader::{Reader, share};
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

    #[inline(never)]
    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let [high, low] = self.packet_id.get().to_be_bytes();
        // Success may be left out when nothing follows.
        if self.reason == ReasonCode::Success && self.properties.is_empty() {
            out.small([first, 2, high, low]);
            return Ok(());
        }
        self.encode_long(first, out)
    }

    #[inline(never)]
    fn encode_long(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        put_u16(tail, self.packet_id.get());
        put_u8(tail, self.reason.into());
        // The property length may be left out when no property follows.
        if len > 3 {
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

/// Takes an acknowledgement of the shortest form off `buf`, which starts with its four bytes: nothing is shared.
#[inline(never)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is called last, and its result need not be moved so"
)]
pub(crate) fn take_shortest(buf: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
    let [first, _, high, low, ..] = **buf else {
        return Ok(None);
    };
    let Some(packet_id) = PacketId::new(u16::from_be_bytes([high, low])) else {
        return Ok(None);
    };
    buf.advance(4);
    let ack = Ack::new(packet_id);
    Ok(Some(match first {
        0x40 => Packet::PubAck(ack),
        0x50 => Packet::PubRec(ack),
        0x62 => Packet::PubRel(ack),
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
