//! SUBSCRIBE (section 3.8): a client asks for messages.

use bytes::BufMut;

use super::filters::Filters;
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::{Place, SubscribeProperties};
use crate::reader::Reader;
use crate::value::PacketId;

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
        tail.put_u16(self.packet_id.get());
        self.properties.block().put(tail);
        tail.put_slice(self.filters.wire());
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Subscribe, DecodeError> {
    let packet_id = reader.packet_id()?;
    let properties = SubscribeProperties::new(reader.properties(Place::Subscribe)?);
    let filters = Filters::decode(reader)?;
    Ok(Subscribe {
        packet_id,
        properties,
        filters,
    })
}
