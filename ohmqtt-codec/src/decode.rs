//! From the front of a buffer to a packet: the fixed header, its checks, and who reads the body.

use bytes::BytesMut;

use crate::error::{DecodeError, Fault};
use crate::packet::{self, Packet, PacketType};
use crate::wire::{MAX_VARINT, read_short_varint, read_varint};

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
    match **buf {
        // Half of the packets of a busy connection are these four bytes, so they have a way of their own.
        [0x40 | 0x50 | 0x62 | 0x70, 2, high, low, ..]
            if (high | low) != 0 && limits.max_packet_size >= 4 =>
        {
            packet::take_shortest_ack(buf)
        }
        _ => decode_any::<false>(buf, *limits),
    }
}

/// Any packet; without `LONG`, those with a remaining length of three or four bytes by asking itself again with it. The
/// way of the others is the shorter for it.
#[inline(never)]
fn decode_any<const LONG: bool>(
    buf: &mut BytesMut,
    limits: Limits,
) -> Result<Option<Packet>, DecodeError> {
    let Some((&first, after)) = buf.split_first() else {
        return Ok(None);
    };
    let Some(packet) = PacketType::of(first >> 4) else {
        return refuse(None, "packet type", Fault::ReservedType);
    };
    let flags = first & 0x0F;
    if let Err(fault) = packet.check_flags(flags) {
        return refuse(Some(packet), "flags", fault);
    }
    let (remaining, taken) = match (read_short_varint(after), LONG) {
        (Some(read), _) => read,
        (None, false) => return decode_any::<true>(buf, limits),
        (None, true) => match read_varint(after) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(fault) => return refuse(Some(packet), "remaining length", fault.into()),
        },
    };
    // At most 268,435,460.
    let (header, size) = (taken + 1, taken + 1 + remaining as usize);
    if size > limits.max_packet_size as usize {
        return too_large(packet, size, limits);
    }
    if remaining > 0 && matches!(packet, PacketType::PingReq | PacketType::PingResp) {
        return refuse(
            Some(packet),
            "end of packet",
            Fault::TrailingBytes(remaining as usize),
        );
    }
    if buf.len() < size {
        return Ok(None);
    }
    packet::take(buf, packet, flags, header, size)
}

/// Apart, as [`too_large`], so that the way of what is right is short.
#[cold]
fn refuse(
    packet: Option<PacketType>,
    field: &'static str,
    fault: Fault,
) -> Result<Option<Packet>, DecodeError> {
    Err(DecodeError {
        packet,
        field,
        fault,
    })
}

#[cold]
fn too_large(
    packet: PacketType,
    size: usize,
    limits: Limits,
) -> Result<Option<Packet>, DecodeError> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let fault = Fault::TooLarge {
        size,
        limit: limits.max_packet_size,
    };
    refuse(Some(packet), "remaining length", fault)
}
