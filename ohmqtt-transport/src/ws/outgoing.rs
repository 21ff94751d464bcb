//! What goes: each write a binary frame, answers to pings, the close. A buffer without I/O; the stream empties it.

use std::io::{self, IoSlice};

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frame::{LONGEST_CONTROL, LONGEST_HEADER, Role, apply_mask, write_header};

/// The longest payload of a frame we send. A write beyond it is taken in part.
const LONGEST_FRAME: usize = 64 * 1024;

/// A longer buffer is given back once it is empty: of many connections most are silent.
const KEPT: usize = 4 * 1024;

/// Frames that wait for room in the socket. Bounded: a write is only framed when there are none, one answer to a ping is
/// kept, and one close.
#[derive(Debug)]
pub(super) struct Outgoing {
    role: Role,
    /// Frames in part gone: `frames[sent..]` are left.
    frames: Vec<u8>,
    sent: usize,
    /// The last ping's payload, to be answered; RFC 6455, section 5.5.3, lets earlier ones go.
    ping: Option<Vec<u8>>,
}

impl Outgoing {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            frames: Vec::new(),
            sent: 0,
            ping: None,
        }
    }

    pub(super) fn answer(&mut self, ping: Vec<u8>) {
        self.ping = Some(ping);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty() && self.ping.is_none()
    }

    /// The bytes to be sent next.
    pub(super) fn next(&mut self) -> io::Result<&[u8]> {
        if self.waiting().is_empty()
            && let Some(ping) = self.ping.take()
        {
            let payload = &[IoSlice::new(&ping)];
            self.push(OpCode::Control(Control::Pong), payload, ping.len())?;
        }
        Ok(self.waiting())
    }

    /// That many of the [`next`](Self::next) bytes are gone.
    pub(super) fn sent(&mut self, len: usize) {
        self.sent += len;
        if self.waiting().is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.frames.shrink_to(KEPT);
        self.sent = 0;
    }

    /// Queues a close frame with a code and a reason, of which as much is sent as a control frame holds.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        // Nothing comes behind it.
        self.ping = None;
        let [high, low] = code.to_be_bytes();
        let mut payload = vec![high, low];
        let reason = reason.bytes().filter(u8::is_ascii);
        payload.extend(reason.take(LONGEST_CONTROL - payload.len()));
        let len = payload.len();
        self.push(
            OpCode::Control(Control::Close),
            &[IoSlice::new(&payload)],
            len,
        )
    }

    /// Queues a binary frame of the bytes of `pieces`, as many as fit in one; gives how many those are.
    // [MQTT-6.0.0-1]
    pub(super) fn binary(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = frame_len(pieces);
        self.push(OpCode::Data(Data::Binary), pieces, len)?;
        Ok(len)
    }

    fn waiting(&self) -> &[u8] {
        self.frames.get(self.sent..).unwrap_or_default()
    }

    /// The first `len` bytes of `pieces` as a frame.
    fn push(&mut self, opcode: OpCode, pieces: &[IoSlice<'_>], len: usize) -> io::Result<()> {
        self.frames.reserve(LONGEST_HEADER + len);
        let mask = write_header(self.role, opcode, len, &mut self.frames)?;
        let start = self.frames.len();
        let mut left = len;
        for piece in pieces {
            let piece = &piece[..piece.len().min(left)];
            self.frames.extend_from_slice(piece);
            left -= piece.len();
        }
        if let Some(mut mask) = mask {
            apply_mask(&mut mask, &mut self.frames[start..]);
        }
        Ok(())
    }
}

/// How many of the bytes of `pieces` go into one frame.
pub(super) fn frame_len(pieces: &[IoSlice<'_>]) -> usize {
    let all = pieces
        .iter()
        .fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    all.min(LONGEST_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_unanswered_pings_the_last_is_kept() {
        let mut outgoing = Outgoing::new(Role::Server);
        for number in 0..100_u8 {
            outgoing.answer(vec![number; LONGEST_CONTROL]);
        }
        let pong = outgoing.next().unwrap().to_vec();
        assert_eq!(pong, [&[0x8a, 125][..], &[99; LONGEST_CONTROL]].concat());
        outgoing.sent(pong.len());
        assert!(outgoing.is_empty());
    }

    #[test]
    fn long_write_is_taken_in_part_and_its_buffer_given_back() {
        let long = vec![7; 2 * LONGEST_FRAME];
        let mut outgoing = Outgoing::new(Role::Client);
        let pieces = [IoSlice::new(b"head"), IoSlice::new(&long)];
        assert_eq!(outgoing.binary(&pieces).unwrap(), LONGEST_FRAME);
        let len = outgoing.next().unwrap().len();
        assert_eq!(len, LONGEST_FRAME + LONGEST_HEADER);
        outgoing.sent(len);
        assert!(outgoing.is_empty());
        assert!(outgoing.frames.capacity() <= KEPT);
    }

    #[test]
    fn long_reason_is_cut_to_what_a_close_frame_holds() {
        let mut outgoing = Outgoing::new(Role::Server);
        outgoing.close(1002, &"é x".repeat(100)).unwrap();
        let frame = outgoing.next().unwrap();
        assert_eq!(frame[..4], [0x88, 125, 3, 234]);
        assert_eq!(frame.len(), 2 + LONGEST_CONTROL);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
