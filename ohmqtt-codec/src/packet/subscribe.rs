//! SUBSCRIBE (section 3.8): a client asks for messages.

use bytes::Bytes;

use super::filters::Filters;
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::SubscribeProperties;
use crate::reader::{Reader, share};
use crate::value::PacketId;
use crate::wire::{put, put_u16};

/// A client asks for messages.
///
/// [Section 3.8](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901161)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// What the SUBACK will name.
    pub packet_id: PacketId,
    /// Its properties.
    pub properties: SubscribeProperties,
    /// For which topics, and how.
    pub filters: Filters,
}

impl Subscribe {
    pub(super) fn body_len(&self) -> usize {
        2 + self.properties.wire_len() + self.filters.wire().len()
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        put_u16(tail, self.packet_id.get());
        self.properties.block().put(tail);
        put(tail, self.filters.wire());
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Subscribe, DecodeError> {
    let packet_id = reader.packet_id()?;
    let properties =
        SubscribeProperties::trusted(share(frame, reader.properties(SubscribeProperties::PLACE)?));
    let filters = Filters::decode(reader, frame)?;
    Ok(Subscribe {
        packet_id,
        properties,
        filters,
    })
}
