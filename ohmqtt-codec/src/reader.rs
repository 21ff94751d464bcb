//! A cursor over the body of one whole packet. Every read names its field, so that an error says where.
//!
//! It gives slices; [`share`] makes values of them that share the packet's memory.

use bytes::Bytes;

use crate::error::{DecodeError, Fault};
use crate::packet::PacketType;
use crate::property::{Block, Place, PropertyFault};
use crate::reason::ReasonCode;
use crate::value::{PacketId, TopicFilter, check_text, check_topic};
use crate::wire::read_varint;

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    packet: PacketType,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(packet: PacketType, body: &'a [u8]) -> Self {
        Self { rest: body, packet }
    }

    #[inline]
    pub(crate) fn fail(&self, field: &'static str, fault: impl Into<Fault>) -> DecodeError {
        // By value: a reference handed out, if only here, would keep the reader in memory.
        error_in(self.packet, field, fault.into())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet; they stay so.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses what follows the last field.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            trailing => Err(self.fail("end of packet", Fault::TrailingBytes(trailing))),
        }
    }

    #[inline]
    fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(self.fail(field, Fault::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.chunk::<1>(field).map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.chunk(field).map(u16::from_be_bytes)
    }

    /// Bytes with a length of two bytes before them.
    #[inline]
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

    /// The bytes of a UTF-8 string.
    #[inline]
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let bytes = self.prefixed(field)?;
        match check_text(bytes) {
            Ok(()) => Ok(bytes),
            Err(fault) => Err(self.fail(field, fault)),
        }
    }

    /// The bytes of a topic name, or none: whether that may be is the caller's to say.
    #[inline]
    pub(crate) fn topic_name(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let bytes = self.prefixed(field)?;
        match check_topic(bytes) {
            Ok(()) => Ok(bytes),
            Err(fault) => Err(self.fail(field, fault)),
        }
    }

    /// Reads a topic filter; tells whether it is shared.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "once for each filter; the call costs a quarter of the look"
    )]
    pub(crate) fn topic_filter(&mut self) -> Result<bool, DecodeError> {
        let bytes = self.prefixed("topic filter")?;
        if TopicFilter::is_plain(bytes) {
            return Ok(false);
        }
        check_filter(self.packet, bytes)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let field = "packet identifier";
        match PacketId::new(self.u16(field)?) {
            Some(id) => Ok(id),
            None => Err(self.fail(field, Fault::ZeroPacketId)),
        }
    }

    #[inline]
    pub(crate) fn reason(&mut self) -> Result<ReasonCode, DecodeError> {
        let code = self.u8("reason code")?;
        match check_reason(code, self.packet) {
            Ok(reason) => Ok(reason),
            Err(fault) => Err(self.fail("reason code", fault)),
        }
    }

    /// A property length and the properties, of which it gives the bytes.
    #[inline]
    pub(crate) fn properties(&mut self, place: Place) -> Result<&'a [u8], DecodeError> {
        if let Some((0, rest)) = self.rest.split_first()
            && place.may_be_empty()
        {
            self.rest = rest;
            return Ok(&[]);
        }
        match properties(self.rest, place) {
            Ok((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            Err((field, fault)) => Err(self.fail(field, fault)),
        }
    }
}

/// The bytes of the properties at the front of `bytes`, and what follows them.
fn properties(bytes: &[u8], place: Place) -> Result<(&[u8], &[u8]), PropertyFault> {
    let fail = |fault| Err((place.field(), fault));
    let (len, taken) = match read_varint(bytes) {
        Ok(Some(read)) => read,
        Ok(None) => return fail(Fault::Truncated),
        Err(fault) => return fail(fault.into()),
    };
    let after = bytes.get(taken..).unwrap_or_default();
    let Some((block, rest)) = after.split_at_checked(len as usize) else {
        return fail(Fault::Truncated);
    };
    Block::check(block, place)?;
    Ok((block, rest))
}

#[cold]
fn error_in(packet: PacketType, field: &'static str, fault: Fault) -> DecodeError {
    DecodeError {
        packet: Some(packet),
        field,
        fault,
    }
}

#[inline(never)]
fn check_filter(packet: PacketType, bytes: &[u8]) -> Result<bool, DecodeError> {
    TopicFilter::check_wire(bytes).map_err(|fault| error_in(packet, "topic filter", fault))
}

/// The reason code, if it is one and may stand in this packet.
#[inline]
fn check_reason(code: u8, packet: PacketType) -> Result<ReasonCode, Fault> {
    let reason = ReasonCode::try_from(code).map_err(|_| Fault::UndefinedReasonCode(code))?;
    if reason.allowed_in(packet) {
        Ok(reason)
    } else {
        Err(Fault::MisplacedReasonCode(reason))
    }
}

/// Bytes of `frame` as a value of their own, sharing its memory; of no bytes, one that shares nothing.
#[inline]
pub(crate) fn share(frame: &Bytes, bytes: &[u8]) -> Bytes {
    if bytes.is_empty() {
        return Bytes::new();
    }
    // As `slice_ref`, which checks twice.
    let start = bytes.as_ptr().addr().wrapping_sub(frame.as_ptr().addr());
    frame.slice(start..start.wrapping_add(bytes.len()))
}
