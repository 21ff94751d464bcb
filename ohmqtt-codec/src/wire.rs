//! The primitives of section 1.5 as they stand on the wire: variable byte integers and fields with a length before them.

use alloc::vec::Vec;

use bytes::Bytes;

/// The largest variable byte integer, and so the largest Remaining Length.
pub(crate) const MAX_VARINT: u32 = 268_435_455;

/// A variable byte integer that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarintFault {
    TooLong,
    NotMinimal,
}

/// Reads a variable byte integer and how many bytes it took; `None` when its end is not there yet.
#[inline]
pub(crate) fn read_varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, VarintFault> {
    match read_short_varint(bytes) {
        Some(read) => Ok(Some(read)),
        None => read_long_varint(bytes),
    }
}

/// Reads a variable byte integer of one or two bytes; `None` for all else.
#[inline]
pub(crate) fn read_short_varint(bytes: &[u8]) -> Option<(u32, usize)> {
    match *bytes {
        [low, ..] if low < 0x80 => Some((u32::from(low), 1)),
        [low, high, ..] if (1..0x80).contains(&high) => {
            Some((u32::from(low & 0x7F) | u32::from(high) << 7, 2))
        }
        _ => None,
    }
}

#[inline(never)]
fn read_long_varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, VarintFault> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * at);
        if byte < 0x80 {
            // [MQTT-1.5.5-1] The shortest encoding: a last byte of 0 adds nothing.
            return if byte == 0 && at > 0 {
                Err(VarintFault::NotMinimal)
            } else {
                Ok(Some((value, at + 1)))
            };
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(VarintFault::TooLong)
    }
}

/// How many bytes a variable byte integer takes; 4 also for what is too large for one.
#[inline]
pub(crate) const fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes a variable byte integer, which is at most [`MAX_VARINT`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is below 0x80")]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u32) {
    // [MQTT-1.5.5-1] The shortest encoding.
    if value < 0x80 {
        put_u8(out, value as u8);
    } else {
        put_long_varint(out, value);
    }
}

#[inline(never)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "each byte takes the seven bits it is masked to"
)]
fn put_long_varint(out: &mut Vec<u8>, value: u32) {
    let mut left = value;
    while left >= 0x80 {
        put_u8(out, left as u8 | 0x80);
        left >>= 7;
    }
    put_u8(out, left as u8);
}

/// Writes the first byte of a packet and its remaining length, which is at most [`MAX_VARINT`].
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "each byte takes the seven bits it is masked to"
)]
pub(crate) fn put_header(out: &mut Vec<u8>, first: u8, remaining: u32) {
    // [MQTT-1.5.5-1] The shortest encoding. The lengths most packets have cost one store.
    match remaining {
        0..0x80 => put(out, &[first, remaining as u8]),
        0x80..0x4000 => put(
            out,
            &[first, remaining as u8 | 0x80, (remaining >> 7) as u8],
        ),
        _ => {
            put_u8(out, first);
            put_long_varint(out, remaining);
        }
    }
}

/// Writes bytes; a fixed number of few is a check and a store.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

#[inline]
pub(crate) fn put_u8(out: &mut Vec<u8>, value: u8) {
    put(out, &[value]);
}

#[inline]
pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    put(out, &value.to_be_bytes());
}

#[inline]
pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    put(out, &value.to_be_bytes());
}

/// Writes bytes with their length before them. They are at most 65,535 by the type they come from.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "strings, topics and binary data hold at most 65,535 bytes"
)]
pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u16(out, bytes.len() as u16);
    put(out, bytes);
}

/// Appends to shared bytes: in place when nobody else holds them, else after one copy. Growth is geometric, so that
/// many small appends cost linear time.
pub(crate) fn append(bytes: &mut Bytes, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let mut grown = Vec::from(core::mem::take(bytes));
    grown.reserve(len);
    write(&mut grown);
    *bytes = grown.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-1.5.5-1]
    #[test]
    fn variable_integers_are_written_shortest_and_read_back() {
        for (value, len) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (2_097_151, 3),
            (2_097_152, 4),
            (MAX_VARINT, 4),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!((out.len(), varint_len(value as usize)), (len, len));
            assert_eq!(read_varint(&out), Ok(Some((value, len))));
            for prefix in 0..len {
                assert_eq!(read_varint(&out[..prefix]), Ok(None));
            }
        }
    }

    /// [MQTT-1.5.5-1]
    #[test]
    fn longer_forms_and_five_bytes_are_no_variable_integers() {
        for long in [
            &[0x80, 0x00][..],
            &[0xFF, 0x00],
            &[0x80, 0x80, 0x00],
            &[0xFF, 0xFF, 0x80, 0x00],
        ] {
            assert_eq!(read_varint(long), Err(VarintFault::NotMinimal));
        }
        for long in [
            &[0x80, 0x80, 0x80, 0x80][..],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        ] {
            assert_eq!(read_varint(long), Err(VarintFault::TooLong));
        }
    }
}
