//! What comes: frames taken apart, payloads passed through. A state machine without I/O; the stream feeds its buffer.

use std::io::Cursor;
use std::ops::Range;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frame::{LONGEST_CONTROL, Role, apply_mask, close_code};

/// Bytes read at once where a payload does not go to the reader directly. What came with a handshake may be more.
const BUFFER: usize = 8 * 1024;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes of payload, not none: see [`Incoming::payload`].
    Payload(Range<usize>),
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// The peer sends no more, for this reason if it gave one.
    Close(Option<(u16, String)>),
    /// More bytes are needed. So many of the next are payload and may go straight to the reader.
    More {
        /// In bytes; 0 where a header or a control frame comes next.
        payload: u64,
    },
}

/// The peer does what it must not: the close code to tell it, and what it did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) u16, pub(super) String);

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    role: Role,
    limit: u64,
    /// What was read and not yet taken: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    frame: Frame,
    /// Bytes of the message that is not complete yet; `None` between messages.
    message: Option<u64>,
}

/// Where in a frame the next byte stands.
#[derive(Debug)]
enum Frame {
    Header,
    Payload {
        left: u64,
        mask: Option<[u8; 4]>,
        is_final: bool,
    },
    Control {
        opcode: Control,
        left: usize,
        mask: Option<[u8; 4]>,
    },
}

impl Incoming {
    /// `read` is what came with the handshake.
    pub(super) fn new(role: Role, limit: u64, read: Vec<u8>) -> Self {
        Self {
            role,
            limit,
            start: 0,
            end: read.len(),
            buffer: read,
            frame: Frame::Header,
            message: None,
        }
    }

    /// Whether the connection may end here without anything being cut.
    pub(super) fn is_between_messages(&self) -> bool {
        self.message.is_none() && matches!(self.frame, Frame::Header) && self.start == self.end
    }

    /// Takes what is buffered as far as one [`Step`], and of payload no more than `room` bytes, which is not 0.
    pub(super) fn step(&mut self, room: usize) -> Result<Step, Violation> {
        loop {
            match &mut self.frame {
                Frame::Header => {
                    let mut cursor = Cursor::new(&self.buffer[self.start..self.end]);
                    let header = FrameHeader::parse(&mut cursor)
                        .map_err(|error| Violation(close_code::PROTOCOL, error.to_string()))?;
                    let Some((header, len)) = header else {
                        return Ok(Step::More { payload: 0 });
                    };
                    self.start += header.len(len).min(self.end - self.start);
                    self.frame = self.checked(&header, len)?;
                }
                Frame::Payload {
                    left: 0, is_final, ..
                } => {
                    if *is_final {
                        self.message = None;
                    }
                    self.frame = Frame::Header;
                }
                Frame::Payload { left, mask, .. } => {
                    let len = (self.end - self.start).min(room).min(at_most(*left));
                    if len == 0 {
                        return Ok(Step::More { payload: *left });
                    }
                    let taken = self.start..self.start + len;
                    take(left, mask, &mut self.buffer[taken.clone()]);
                    self.start = taken.end;
                    return Ok(Step::Payload(taken));
                }
                Frame::Control { opcode, left, mask } => {
                    let end = self.start + *left;
                    if end > self.end {
                        return Ok(Step::More { payload: 0 });
                    }
                    let payload = &mut self.buffer[self.start..end];
                    if let Some(mask) = mask {
                        apply_mask(mask, payload);
                    }
                    let (opcode, payload) = (*opcode, payload.to_vec());
                    self.start = end;
                    self.frame = Frame::Header;
                    match opcode {
                        Control::Ping => return Ok(Step::Ping(payload)),
                        Control::Close => return closed(&payload),
                        _ => {}
                    }
                }
            }
        }
    }

    /// The bytes of a step, which stay until there is need for [`room`](Self::room).
    pub(super) fn payload(&self, bytes: Range<usize>) -> &[u8] {
        &self.buffer[bytes]
    }

    /// Room for more bytes behind those that are buffered; [`filled`](Self::filled) says how many came.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < BUFFER {
            self.buffer.resize(BUFFER, 0);
        }
        &mut self.buffer[self.end..]
    }

    pub(super) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// Bytes of payload that went to the reader past the buffer, still masked.
    pub(super) fn passed(&mut self, bytes: &mut [u8]) {
        if let Frame::Payload { left, mask, .. } = &mut self.frame {
            take(left, mask, bytes);
        }
    }

    /// What RFC 6455, section 5, and MQTT say of a header.
    fn checked(&mut self, header: &FrameHeader, len: u64) -> Result<Frame, Violation> {
        let violation = |reason: &str| Err(Violation(close_code::PROTOCOL, reason.to_owned()));
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return violation("a reserved bit is set, and no extension was agreed on");
        }
        match (self.role, header.mask) {
            (Role::Server, None) => return violation("the client sent a frame that is not masked"),
            (Role::Client, Some(_)) => return violation("the server sent a masked frame"),
            _ => {}
        }
        let before = match header.opcode {
            OpCode::Control(opcode) => {
                let len = at_most(len);
                if !header.is_final || len > LONGEST_CONTROL {
                    return violation("a control frame is fragmented or longer than 125 bytes");
                }
                let mask = header.mask;
                return Ok(Frame::Control {
                    opcode,
                    left: len,
                    mask,
                });
            }
            // [MQTT-6.0.0-1] Binary frames and nothing else.
            OpCode::Data(Data::Text | Data::Reserved(_)) => {
                let reason = "the peer sent a text frame; MQTT is in binary frames only";
                return Err(Violation(close_code::UNSUPPORTED, reason.to_owned()));
            }
            // [MQTT-6.0.0-2] Neither frames nor messages mean anything to the stream of bytes in them.
            OpCode::Data(Data::Binary) if self.message.is_some() => {
                return violation("a message began before the last one was complete");
            }
            OpCode::Data(Data::Binary) => 0,
            OpCode::Data(Data::Continue) => match self.message {
                Some(before) => before,
                None => return violation("a frame goes on with a message that has not begun"),
            },
        };
        let message = before.saturating_add(len);
        if message > self.limit {
            let reason = format!("a message is longer than {} bytes", self.limit);
            return Err(Violation(close_code::TOO_BIG, reason));
        }
        self.message = Some(message);
        Ok(Frame::Payload {
            left: len,
            mask: header.mask,
            is_final: header.is_final,
        })
    }
}

/// Counts and unmasks bytes of a payload.
fn take(left: &mut u64, mask: &mut Option<[u8; 4]>, bytes: &mut [u8]) {
    *left -= (bytes.len() as u64).min(*left);
    if let Some(mask) = mask {
        apply_mask(mask, bytes);
    }
}

pub(super) fn at_most(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn closed(payload: &[u8]) -> Result<Step, Violation> {
    match payload {
        [] => Ok(Step::Close(None)),
        [high, low, reason @ ..] => {
            let reason = String::from_utf8_lossy(reason).escape_debug().to_string();
            Ok(Step::Close(Some((
                u16::from_be_bytes([*high, *low]),
                reason,
            ))))
        }
        [_] => {
            let reason = "a close frame has half a code";
            Err(Violation(close_code::PROTOCOL, reason.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [7, 0, 255, 9];

    /// A frame as a client sends it: the first byte as given, masked.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..=125 => bytes.push(0x80 | u8::try_from(len).unwrap()),
            len => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
        }
        bytes.extend(MASK);
        let mut payload = payload.to_vec();
        apply_mask(&mut MASK.clone(), &mut payload);
        bytes.extend(payload);
        bytes
    }

    /// Feeds `bytes` in pieces of `piece`, read in pieces of `room`; gives the payload and the other steps.
    fn run(bytes: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, Vec<Step>), Violation> {
        let mut incoming = Incoming::new(Role::Server, 1000, Vec::new());
        let (mut payload, mut others) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            incoming.room()[..piece.len()].copy_from_slice(piece);
            incoming.filled(piece.len());
            loop {
                match incoming.step(room)? {
                    Step::Payload(bytes) => payload.extend_from_slice(incoming.payload(bytes)),
                    Step::More { .. } => break,
                    other => others.push(other),
                }
            }
        }
        assert!(incoming.is_between_messages());
        Ok((payload, others))
    }

    const PART: u8 = 0x02;
    const WHOLE: u8 = 0x82;
    const NEXT: u8 = 0x00;
    const LAST: u8 = 0x80;
    const PING: u8 = 0x89;
    const CLOSE: u8 = 0x88;

    #[test]
    fn payload_is_the_same_however_it_is_cut() {
        let long: Vec<u8> = (0..=255).cycle().take(600).collect();
        let frames = [
            frame(WHOLE, b"one"),
            frame(WHOLE, b""),
            frame(PART, b"two"),
            frame(PING, b"alive?"),
            frame(NEXT, b""),
            frame(NEXT, b"three"),
            frame(LAST, &long),
            frame(WHOLE, b"end"),
            frame(CLOSE, &[3, 232, b'o', b'k']),
        ];
        let bytes = frames.concat();
        let want = [b"onetwothree", &long[..], b"end"].concat();
        for piece in [1, 2, 3, 5, 7, 100, 700] {
            for room in [1, 4, 1000] {
                let (payload, others) = run(&bytes, piece, room).unwrap();
                assert_eq!(payload, want, "{piece} {room}");
                let close = Step::Close(Some((1000, "ok".into())));
                assert_eq!(others, [Step::Ping(b"alive?".to_vec()), close]);
            }
        }
    }

    #[test]
    fn what_the_peer_must_not_do_is_refused_with_its_close_code() {
        let unmasked = vec![WHOLE, 1, b'x'];
        let huge = [&[WHOLE, 0xff][..], &[0xff; 8], &MASK].concat();
        let whole = |payload: &[u8]| frame(WHOLE, payload);
        let table = [
            (frame(0x81, b"text"), 1003, "text frame"),
            (frame(0x01, b"te"), 1003, "text frame"),
            (unmasked, 1002, "not masked"),
            (frame(0xc2, b"x"), 1002, "reserved bit"),
            (frame(0x83, b"x"), 1002, "opcode"),
            (frame(0x8b, b"x"), 1002, "opcode"),
            (frame(LAST, b"x"), 1002, "has not begun"),
            (
                [whole(b"x"), frame(NEXT, b"y")].concat(),
                1002,
                "has not begun",
            ),
            (
                [frame(PART, b"x"), whole(b"y")].concat(),
                1002,
                "before the last one",
            ),
            (frame(0x09, b"x"), 1002, "fragmented"),
            (frame(PING, &[0; 126]), 1002, "longer than 125"),
            (frame(CLOSE, b"x"), 1002, "half a code"),
            (whole(&[0; 1001]), 1009, "longer than 1000 bytes"),
            (
                [frame(PART, &[0; 600]), frame(LAST, &[0; 401])].concat(),
                1009,
                "longer than 1000",
            ),
            (huge, 1009, "longer than 1000"),
        ];
        for (bytes, code, words) in table {
            let Violation(got, reason) = run(&bytes, 64, 64).unwrap_err();
            assert_eq!(got, code, "{reason}");
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn masked_frame_of_a_server_is_refused() {
        let mut incoming = Incoming::new(Role::Client, 1000, frame(WHOLE, b"x"));
        assert_eq!(incoming.step(9).unwrap_err().0, 1002);
    }

    #[test]
    fn payload_past_the_buffer_is_unmasked_and_counted() {
        let bytes = frame(WHOLE, b"abcdefgh");
        let (buffered, mut direct) = (bytes[..8].to_vec(), bytes[8..].to_vec());
        let mut incoming = Incoming::new(Role::Server, 1000, buffered);
        let Ok(Step::Payload(taken)) = incoming.step(99) else {
            panic!("no payload");
        };
        assert_eq!(incoming.payload(taken), b"ab");
        assert_eq!(incoming.step(99), Ok(Step::More { payload: 6 }));
        incoming.passed(&mut direct);
        assert_eq!(direct, b"cdefgh");
        assert_eq!(incoming.step(99), Ok(Step::More { payload: 0 }));
        assert!(incoming.is_between_messages());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            room in 1_usize..3000,
            server: bool,
        ) {
            let role = if server { Role::Server } else { Role::Client };
            let mut incoming = Incoming::new(role, 1000, bytes);
            while let Ok(Step::Payload(_) | Step::Ping(_)) = incoming.step(room) {}
        }
    }
}
