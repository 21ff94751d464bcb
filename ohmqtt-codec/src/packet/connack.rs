//! CONNACK (section 3.2): the server's answer to a CONNECT.

use bytes::Bytes;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::ConnAckProperties;
use crate::reader::{Reader, share};
use crate::reason::ReasonCode;
use crate::wire::put_u8;

/// The answer to a CONNECT.
///
/// [Section 3.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901074)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// The server goes on with a session it had. Written only with [`ReasonCode::Success`].
    pub session_present: bool,
    /// Accepted, or why not.
    pub reason: ReasonCode,
    /// Its properties.
    pub properties: ConnAckProperties,
}

impl ConnAck {
    pub(super) fn body_len(&self) -> usize {
        2 + self.properties.wire_len()
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        // [MQTT-3.2.2-1] Bits 7 to 1 are 0. [MQTT-3.2.2-6] No session is present with a failure.
        put_u8(
            tail,
            (self.session_present && self.reason == ReasonCode::Success).into(),
        );
        put_u8(tail, self.reason.into());
        self.properties.block().put(tail);
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<ConnAck, DecodeError> {
    let flags = reader.u8("acknowledge flags")?;
    // [MQTT-3.2.2-1] Bits 7 to 1 are 0.
    if flags > 1 {
        return Err(reader.fail("acknowledge flags", Fault::Bits(flags)));
    }
    let session_present = flags == 1;
    // [MQTT-3.2.2-8] The codes listed.
    let reason = reader.reason()?;
    // [MQTT-3.2.2-6] No session is present with a failure.
    if session_present && reason != ReasonCode::Success {
        return Err(reader.fail("session present", Fault::SessionPresentWithFailure(reason)));
    }
    let properties =
        ConnAckProperties::trusted(share(frame, reader.properties(ConnAckProperties::PLACE)?));
    Ok(ConnAck {
        session_present,
        reason,
        properties,
    })
}
