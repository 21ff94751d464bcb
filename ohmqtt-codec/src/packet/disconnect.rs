//! DISCONNECT (section 3.14): the last packet of a connection.

use bytes::Bytes;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::DisconnectProperties;
use crate::reader::{Reader, share};
use crate::reason::ReasonCode;
use crate::wire::put_u8;

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
            put_u8(tail, self.reason.into());
        }
        if len > 1 {
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Disconnect, DecodeError> {
    if reader.is_empty() {
        return Ok(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    }
    // [MQTT-3.14.2-1] The codes listed.
    let reason = reader.reason()?;
    if reader.is_empty() {
        return Ok(Disconnect::new(reason));
    }
    let properties = DisconnectProperties::trusted(share(
        frame,
        reader.properties(DisconnectProperties::PLACE)?,
    ));
    Ok(Disconnect { reason, properties })
}
