//! AUTH (section 3.15): a step of enhanced authentication.

use bytes::Bytes;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::DecodeError;
use crate::property::AuthProperties;
use crate::reader::{Reader, share};
use crate::reason::ReasonCode;
use crate::wire::put_u8;

/// A step of enhanced authentication.
///
/// Its properties name an Authentication Method: the receiver refuses an AUTH without one, save the empty AUTH that
/// Success without properties makes.
///
/// [Section 3.15](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901217)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Which step.
    pub reason: ReasonCode,
    /// Its properties.
    pub properties: AuthProperties,
}

impl Auth {
    pub(super) fn body_len(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            1 + self.properties.wire_len()
        }
    }

    /// Success without properties is an AUTH of no bytes (section 3.15.2.1).
    fn is_empty(&self) -> bool {
        self.reason == ReasonCode::Success && self.properties.is_empty()
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        if len > 0 {
            put_u8(tail, self.reason.into());
            self.properties.block().put(tail);
        }
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Auth, DecodeError> {
    if reader.is_empty() {
        return Ok(Auth {
            reason: ReasonCode::Success,
            properties: AuthProperties::default(),
        });
    }
    // [MQTT-3.15.2-1] The codes listed.
    let reason = reader.reason()?;
    let properties =
        AuthProperties::trusted(share(frame, reader.properties(AuthProperties::PLACE)?));
    Ok(Auth { reason, properties })
}
