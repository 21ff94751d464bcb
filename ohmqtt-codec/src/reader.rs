//! A cursor over one whole packet. Every read names its field, so that an error says where.

use bytes::Bytes;

use crate::error::{DecodeError, Fault};
use crate::packet::PacketType;
use crate::property::{Block, Place};
use crate::reason::ReasonCode;
use crate::value::{Binary, MqttString, PacketId, TopicFilter, TopicName, check_text, check_topic};
use crate::wire::read_varint;

pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    rest: &'a [u8],
    packet: PacketType,
}

impl<'a> Reader<'a> {
    /// Reads `frame` after its fixed header of `header` bytes.
    pub(crate) fn new(packet: PacketType, frame: &'a Bytes, header: usize) -> Self {
        Self {
            frame,
            rest: frame.get(header..).unwrap_or_default(),
            packet,
        }
    }

    #[cold]
    pub(crate) fn fail(&self, field: &'static str, fault: impl Into<Fault>) -> DecodeError {
        DecodeError {
            packet: Some(self.packet),
            field,
            fault: fault.into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not read yet, as a value of their own.
    pub(crate) fn share_rest(&self) -> Bytes {
        self.share(self.rest)
    }

    /// Bytes of the packet as a value of their own, sharing its memory.
    pub(crate) fn share(&self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            Bytes::new()
        } else {
            self.frame.slice_ref(bytes)
        }
    }

    /// Refuses what follows the last field.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            trailing => Err(self.fail("end of packet", Fault::TrailingBytes(trailing))),
        }
    }

    fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(self.fail(field, Fault::Truncated)),
        }
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.chunk::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.chunk(field).map(u16::from_be_bytes)
    }

    /// Bytes with a length of two bytes before them.
    pub(crate) fn prefixed(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if let Some((len, rest)) = self.rest.split_first_chunk::<2>()
            && let Some((bytes, rest)) =
                rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
        {
            self.rest = rest;
            return Ok(bytes);
        }
        Err(self.fail(field, Fault::Truncated))
    }

    pub(crate) fn string(&mut self, field: &'static str) -> Result<MqttString, DecodeError> {
        let bytes = self.prefixed(field)?;
        check_text(bytes).map_err(|fault| self.fail(field, fault))?;
        Ok(MqttString::trusted(self.share(bytes)))
    }

    pub(crate) fn binary(&mut self, field: &'static str) -> Result<Binary, DecodeError> {
        let bytes = self.prefixed(field)?;
        Ok(Binary::trusted(self.share(bytes)))
    }

    /// A topic name; `None` for the empty string.
    pub(crate) fn topic_name(
        &mut self,
        field: &'static str,
    ) -> Result<Option<TopicName>, DecodeError> {
        let bytes = self.prefixed(field)?;
        check_topic(bytes).map_err(|fault| self.fail(field, fault))?;
        Ok(if bytes.is_empty() {
            None
        } else {
            Some(TopicName::trusted(self.share(bytes)))
        })
    }

    /// A topic filter; tells whether it is shared.
    pub(crate) fn topic_filter(&mut self) -> Result<bool, DecodeError> {
        let bytes = self.prefixed("topic filter")?;
        TopicFilter::check_wire(bytes).map_err(|fault| self.fail("topic filter", fault))
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let field = "packet identifier";
        PacketId::new(self.u16(field)?).ok_or_else(|| self.fail(field, Fault::ZeroPacketId))
    }

    pub(crate) fn reason(&mut self) -> Result<ReasonCode, DecodeError> {
        let code = self.u8("reason code")?;
        check_reason(code, self.packet).map_err(|fault| self.fail("reason code", fault))
    }

    /// A property length and the properties.
    pub(crate) fn properties(&mut self, place: Place) -> Result<Block, DecodeError> {
        if let Some((0, rest)) = self.rest.split_first() {
            self.rest = rest;
            place
                .check_empty()
                .map_err(|(field, fault)| self.fail(field, fault))?;
            return Ok(Block::default());
        }
        let field = place.field();
        let (len, taken) = match read_varint(self.rest) {
            Ok(Some(read)) => read,
            Ok(None) => return Err(self.fail(field, Fault::Truncated)),
            Err(fault) => return Err(self.fail(field, fault)),
        };
        let block = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.get(taken..)?.split_at_checked(len));
        let Some((bytes, rest)) = block else {
            return Err(self.fail(field, Fault::Truncated));
        };
        self.rest = rest;
        Block::check(bytes, place).map_err(|(field, fault)| self.fail(field, fault))?;
        Ok(Block::trusted(self.share(bytes)))
    }
}

/// The reason code, if it is one and may stand in this packet.
#[inline]
pub(crate) fn check_reason(code: u8, packet: PacketType) -> Result<ReasonCode, Fault> {
    let reason = ReasonCode::try_from(code).map_err(|_| Fault::UndefinedReasonCode(code))?;
    if reason.allowed_in(packet) {
        Ok(reason)
    } else {
        Err(Fault::MisplacedReasonCode(reason))
    }
}
