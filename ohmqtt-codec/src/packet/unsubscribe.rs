//! UNSUBSCRIBE (section 3.10): a client wants no more of these messages.

use bytes::Bytes;

use super::filters::UnsubscribeFilters;
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::UnsubscribeProperties;
use crate::reader::{Reader, share};
use crate::value::PacketId;
use crate::wire::{put, put_u16};

/// A client wants no more of these messages.
///
/// [Section 3.10](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901179)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What the UNSUBACK will name.
    pub packet_id: PacketId,
    /// Its properties.
    pub properties: UnsubscribeProperties,
    /// The filters of the subscriptions that end.
    pub filters: UnsubscribeFilters,
}

impl Unsubscribe {
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

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Unsubscribe, DecodeError> {
    let packet_id = reader.packet_id()?;
    let properties = UnsubscribeProperties::trusted(share(
        frame,
        reader.properties(UnsubscribeProperties::PLACE)?,
    ));
    let filters = UnsubscribeFilters::decode(reader, frame)?;
    Ok(Unsubscribe {
        packet_id,
        properties,
        filters,
    })
}
