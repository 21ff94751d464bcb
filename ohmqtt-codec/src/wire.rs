//! The primitives of section 1.5 as they stand on the wire: variable byte integers and fields with a length before them.

use bytes::{Bytes, BytesMut};

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
    match *bytes {
        [low, ..] if low < 0x80 => Ok(Some((u32::from(low), 1))),
        [low, high, ..] if (1..0x80).contains(&high) => {
            Ok(Some((u32::from(low & 0x7F) | u32::from(high) << 7, 2)))
        }
        _ => read_long_varint(bytes),
    }
}

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
#[expect(
    clippy::cast_possible_truncation,
    reason = "each byte takes the seven bits it is masked to"
)]
pub(crate) fn put_varint(out: &mut BytesMut, value: u32) {
    let more = |shift: u32| (value >> shift) as u8 | 0x80;
    let last = |shift: u32| (value >> shift) as u8 & 0x7F;
    // [MQTT-1.5.5-1] The shortest encoding. Arrays of a fixed length cost a store each.
    match varint_len(value as usize) {
        1 => put(out, &[last(0)]),
        2 => put(out, &[more(0), last(7)]),
        3 => put(out, &[more(0), more(7), last(14)]),
        _ => put(out, &[more(0), more(7), more(14), last(21)]),
    }
}

/// Writes bytes. Inlined, unlike [`bytes::BufMut`]'s methods, so that few of a fixed number are a store and two checks.
#[inline]
pub(crate) fn put(out: &mut BytesMut, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

#[inline]
pub(crate) fn put_u8(out: &mut BytesMut, value: u8) {
    put(out, &[value]);
}

#[inline]
pub(crate) fn put_u16(out: &mut BytesMut, value: u16) {
    put(out, &value.to_be_bytes());
}

#[inline]
pub(crate) fn put_u32(out: &mut BytesMut, value: u32) {
    put(out, &value.to_be_bytes());
}

/// Writes bytes with their length before them. They are at most 65,535 by the type they come from.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "strings, topics and binary data hold at most 65,535 bytes"
)]
pub(crate) fn put_prefixed(out: &mut BytesMut, bytes: &[u8]) {
    put_u16(out, bytes.len() as u16);
    put(out, bytes);
}

/// Appends to shared bytes: in place when nobody else holds them, else after one copy. Growth is geometric, so that
/// many small appends cost linear time.
pub(crate) fn append(bytes: &mut Bytes, len: usize, write: impl FnOnce(&mut BytesMut)) {
    let mut grown = core::mem::take(bytes)
        .try_into_mut()
        .unwrap_or_else(|shared| {
            let mut copy = BytesMut::with_capacity(shared.len() + len);
            put(&mut copy, &shared);
            copy
        });
    grown.reserve(len);
    write(&mut grown);
    *bytes = grown.freeze();
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
            let mut out = BytesMut::new();
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
