//! From the front of a buffer to a packet: the fixed header, its checks, and who reads the body.

use bytes::BytesMut;

use crate::error::{DecodeError, Fault};
use crate::packet::{self, Packet, PacketType};
use crate::wire::{MAX_VARINT, read_varint};

/// What a receiver puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet in bytes, fixed header included, as Maximum Packet Size counts.
    pub max_packet_size: u32,
}

impl Limits {
    /// Packets of at most so many bytes, fixed header included.
    pub const fn new(max_packet_size: u32) -> Self {
        Self { max_packet_size }
    }
}

impl Default for Limits {
    /// The format's own limit, 268,435,460 bytes.
    fn default() -> Self {
        Self::new(MAX_VARINT + 5)
    }
}

/// Takes one packet off the front of `buf`; `None` when more bytes are needed, and `buf` is as it was.
///
/// The packet shares the memory of `buf`, which keeps the rest. Nothing is reserved or allocated for a packet that has
/// not come: grow `buf` as you read. What the fixed header shows to be wrong, a size over the limit among it, is refused
/// before the body has come; so a peer makes a caller hold at most [`Limits::max_packet_size`] bytes.
///
/// # Errors
/// [`DecodeError`] when the bytes are no packet, with the reason code to answer. What `buf` holds is unspecified then;
/// end the connection.
///
/// [Section 2.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901019)
pub fn decode(buf: &mut BytesMut, limits: &Limits) -> Result<Option<Packet>, DecodeError> {
    match Header::read(buf, *limits)? {
        Some(header) if buf.len() >= header.size() => packet::take(buf, &header),
        _ => Ok(None),
    }
}

/// A fixed header that may stand before a packet.
pub(crate) struct Header {
    pub(crate) packet: PacketType,
    /// The low four bits of the first byte.
    pub(crate) flags: u8,
    /// Bytes of the fixed header itself.
    pub(crate) len: usize,
    /// Bytes that follow it.
    pub(crate) remaining: usize,
}

impl Header {
    /// Bytes of the whole packet.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.len + self.remaining
    }

    #[inline]
    fn read(bytes: &[u8], limits: Limits) -> Result<Option<Self>, DecodeError> {
        let Some((&first, after)) = bytes.split_first() else {
            return Ok(None);
        };
        let fail = |packet, field, fault| {
            Err(DecodeError {
                packet,
                field,
                fault,
            })
        };
        let Some(packet) = PacketType::of(first >> 4) else {
            return fail(None, "packet type", Fault::ReservedType);
        };
        let flags = first & 0x0F;
        if let Err(fault) = packet.check_flags(flags) {
            return fail(Some(packet), "flags", fault);
        }
        let (remaining, taken) = match read_varint(after) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(fault) => return fail(Some(packet), "remaining length", fault.into()),
        };
        let header = Self {
            packet,
            flags,
            len: taken + 1,
            remaining: remaining as usize,
        };
        // At most 268,435,460.
        let size = remaining.saturating_add(u32::try_from(header.len).unwrap_or(u32::MAX));
        if size > limits.max_packet_size {
            let fault = Fault::TooLarge {
                size,
                limit: limits.max_packet_size,
            };
            return fail(Some(packet), "remaining length", fault);
        }
        if remaining > 0 && matches!(packet, PacketType::PingReq | PacketType::PingResp) {
            return fail(
                Some(packet),
                "end of packet",
                Fault::TrailingBytes(header.remaining),
            );
        }
        Ok(Some(header))
    }
}
