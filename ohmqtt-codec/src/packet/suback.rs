//! SUBACK and UNSUBACK (sections 3.9 and 3.11): the answers to SUBSCRIBE and UNSUBSCRIBE, of one form.

use core::fmt;

use bytes::Bytes;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::SubAckProperties;
use crate::reader::{Reader, share};
use crate::reason::ReasonCode;
use crate::value::PacketId;
use crate::wire::{append, put, put_u8, put_u16};

/// The body of a SUBACK or UNSUBACK.
///
/// [Section 3.9](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901171)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Of the SUBSCRIBE or UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Its properties.
    pub properties: SubAckProperties,
    /// How it went with each filter, in their order. Which codes are allowed depends on the packet:
    /// [`ReasonCode::allowed_in`].
    pub codes: ReasonCodes,
}

impl SubAck {
    pub(super) fn body_len(&self) -> usize {
        2 + self.properties.wire_len() + self.codes.0.len()
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        put_u16(tail, self.packet_id.get());
        self.properties.block().put(tail);
        put(tail, &self.codes.0);
        Ok(())
    }
}

/// The reason codes of a SUBACK or UNSUBACK, in order. Never none.
#[derive(Clone, PartialEq, Eq)]
pub struct ReasonCodes(Bytes);

impl ReasonCodes {
    /// A list of one.
    pub fn new(code: ReasonCode) -> Self {
        Self(Bytes::copy_from_slice(&[code.into()]))
    }

    /// A list of these; `None` when there is none.
    pub fn from_iter_nonempty(codes: impl IntoIterator<Item = ReasonCode>) -> Option<Self> {
        let codes: Bytes = codes.into_iter().map(u8::from).collect();
        (!codes.is_empty()).then_some(Self(codes))
    }

    /// Adds one at the end.
    pub fn push(&mut self, code: ReasonCode) {
        append(&mut self.0, 1, |codes| put_u8(codes, code.into()));
    }

    /// The codes.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> {
        self.0
            .iter()
            .filter_map(|&code| ReasonCode::try_from(code).ok())
    }

    /// How many there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "the list is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<SubAck, DecodeError> {
    let packet_id = reader.packet_id()?;
    let properties =
        SubAckProperties::trusted(share(frame, reader.properties(SubAckProperties::PLACE)?));
    let codes = share(frame, reader.rest());
    if codes.is_empty() {
        return Err(reader.fail("reason code", Fault::Missing));
    }
    // [MQTT-3.9.3-2] SUBACK, [MQTT-3.11.3-2] UNSUBACK: the codes listed.
    while !reader.is_empty() {
        reader.reason()?;
    }
    Ok(SubAck {
        packet_id,
        properties,
        codes: ReasonCodes(codes),
    })
}

impl fmt::Debug for ReasonCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
