//! What both directions know of frames: RFC 6455, section 5.

use std::io;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use crate::TransportErrorKind;
use crate::error::Cause;

/// Which end of the connection this is: clients mask what they send, servers do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// The longest header of a frame: two bytes, a length of eight, a mask of four.
pub(super) const LONGEST_HEADER: usize = 14;

/// The longest payload of a control frame.
pub(super) const LONGEST_CONTROL: usize = 125;

/// What a close frame says of the reason: RFC 6455, section 7.4.1.
pub(super) mod close_code {
    pub(in super::super) const NORMAL: u16 = 1000;
    pub(in super::super) const GOING_AWAY: u16 = 1001;
    pub(in super::super) const PROTOCOL: u16 = 1002;
    pub(in super::super) const UNSUPPORTED: u16 = 1003;
    pub(in super::super) const TOO_BIG: u16 = 1009;
    pub(in super::super) const EXTENSION: u16 = 1010;
}

/// The header of a whole frame, masked by a new random mask if a client sends it. Gives the mask.
pub(super) fn write_header(
    role: Role,
    opcode: OpCode,
    len: usize,
    out: &mut impl io::Write,
) -> io::Result<Option<[u8; 4]>> {
    let mask = (role == Role::Client).then(rand::random);
    let header = FrameHeader {
        is_final: true,
        opcode,
        mask,
        ..FrameHeader::default()
    };
    let len = u64::try_from(len).map_err(io::Error::other)?;
    header.format(len, out).map_err(io::Error::other)?;
    Ok(mask)
}

/// Masks or unmasks `bytes`, the first of them by the first byte of `mask`; turns the mask so that what follows goes on
/// with it.
pub(super) fn apply_mask(mask: &mut [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = *mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
    mask.rotate_left(rest.len() % 4);
}

/// An error that the peer caused.
pub(super) fn violation(reason: String) -> io::Error {
    Cause::into_io(
        io::ErrorKind::InvalidData,
        TransportErrorKind::WebSocket,
        reason,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_goes_on_where_the_last_piece_ended() {
        let plain: Vec<u8> = (0..100).collect();
        let mask = [1, 20, 133, 254];
        let want: Vec<u8> = (0..)
            .zip(&plain)
            .map(|(at, byte)| byte ^ mask[at % 4])
            .collect();
        for split in 0..=plain.len() {
            let (mut bytes, mut turning) = (plain.clone(), mask);
            let (head, tail) = bytes.split_at_mut(split);
            apply_mask(&mut turning, head);
            apply_mask(&mut turning, tail);
            assert_eq!(bytes, want, "split at {split}");
        }
    }
}
