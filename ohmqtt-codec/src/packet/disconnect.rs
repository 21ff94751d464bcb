//! DISCONNECT (section 3.14): the last packet of a connection.

use bytes::BufMut;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::{DisconnectProperties, Place};
use crate::reader::Reader;
use crate::reason::ReasonCode;

/// The last packet of a connection, and why it is.
///
/// [Section 3.14](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901205)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// Its properties.
    pub properties: DisconnectProperties,
}

impl Disconnect {
    /// For this reason, without more words.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: DisconnectProperties::default(),
        }
    }

    pub(super) fn body_len(&self) -> usize {
        if self.properties.is_empty() {
            usize::from(self.reason != ReasonCode::NORMAL_DISCONNECTION)
        } else {
            1 + self.properties.wire_len()
        }
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        // Normal disconnection may be left out when nothing follows, the property length when no property does.
        if len > 0 {
            tail.put_u8(self.reason.into());
        }
        if len > 1 {
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Disconnect, DecodeError> {
    if reader.is_empty() {
        return Ok(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    }
    // [MQTT-3.14.2-1] The codes listed.
    let reason = reader.reason()?;
    if reader.is_empty() {
        return Ok(Disconnect::new(reason));
    }
    let properties = DisconnectProperties::new(reader.properties(Place::Disconnect)?);
    Ok(Disconnect { reason, properties })
}
