//! MQTT over WebSocket: section 6.
//!
//! The little of RFC 6455 that this needs is written by hand. A nonce of zeros is not against its rules, nor is a mask of them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::bytes::{CONNACK, PING, PINGRESP, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, fault, holds, same};
use crate::packet::Packet;

/// The key of the example in RFC 6455, and its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

pub(super) const CHECKS: &[Check] = &[
    scene("the subprotocol mqtt is selected", &["6.0.0-4"], |bench| {
        Web::open(bench, "mqtt")?;
        Web::open(bench, "other, mqtt").map(|_| ())
    }),
    scene(
        "packets may span frames, and frames hold several packets",
        &["6.0.0-2", "6.0.0-1"],
        |bench| {
            let connect = bench.who("c").bytes();
            let mut web = Web::open(bench, "mqtt")?;
            for byte in &connect {
                web.frame(BINARY, &[*byte])?;
            }
            same("a CONNACK", &web.packet()?.kind, &CONNACK)?;
            web.frame(BINARY, &[PING, PING, PING].concat())?;
            for _ in 0..3 {
                same("a PINGRESP", &web.packet()?.kind, &PINGRESP)?;
            }
            // A message in three fragments of one WebSocket message, with an empty one among them.
            let message = publish(bench.topic("a"), "x").qos(1).id(1).bytes();
            web.frame(0x02, &message[..5])?;
            web.frame(0x00, &[])?;
            web.frame(0x80, &message[5..])?;
            same("its PUBACK", &web.packet()?.id, &1)
        },
    ),
    scene(
        "frames of a server are binary, and a text frame of a client ends the connection",
        &["6.0.0-1"],
        |bench| {
            let mut web = Web::open(bench, "mqtt")?;
            web.frame(BINARY, &bench.who("c").bytes())?;
            same("a CONNACK", &web.packet()?.kind, &CONNACK)?;
            web.frame(TEXT, &PING)?;
            web.ended()
        },
    ),
];

/// A connection after its handshake.
struct Web {
    stream: TcpStream,
    /// Bytes of MQTT that are not taken yet.
    buffer: Vec<u8>,
}

impl Web {
    fn open(bench: &Bench, protocols: &str) -> Outcome<Self> {
        let mut stream = bench.open_ws()?;
        stream.set_read_timeout(Some(Duration::from_secs(12)))?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n",
            bench.web_address()
        );
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        holds(head.starts_with("HTTP/1.1 101 "), "HTTP/1.1 101", &head)?;
        for (name, wanted) in [
            ("sec-websocket-accept", ACCEPT),
            ("sec-websocket-protocol", "mqtt"),
        ] {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            let value = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
            same(name, &value.map(|(_, value)| value.trim()), &Some(wanted))?;
        }
        let buffer = Vec::new();
        Ok(Self { stream, buffer })
    }

    /// Writes a frame with this first byte.
    fn frame(&mut self, first: u8, payload: &[u8]) -> Outcome {
        let length = u8::try_from(payload.len()).unwrap_or(125);
        let head = [first, 0x80 | length, 0, 0, 0, 0];
        self.stream.write_all(&[&head, payload].concat())?;
        Ok(())
    }

    /// The next frame: its opcode and its payload.
    fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let length = match head[1] {
            length @ 0..126 => usize::from(length),
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length)?;
                usize::from(u16::from_be_bytes(length))
            }
            _ => return Err(io::Error::other("a frame that is masked, or too long")),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok((head[0] & 15, payload))
    }

    /// The next packet.
    fn packet(&mut self) -> Outcome<Packet> {
        loop {
            match Packet::take(&mut self.buffer) {
                Ok(Some(packet)) => return Ok(packet),
                Ok(None) => {}
                Err(why) => return fault("a packet that a server may send", why),
            }
            let (opcode, payload) = self.read()?;
            holds(opcode == 2 || opcode == 0, "a binary frame", opcode)?;
            self.buffer.extend(payload);
        }
    }

    /// The server ends the connection; a close frame, and a DISCONNECT in a binary one, may come before.
    fn ended(&mut self) -> Outcome {
        for _ in 0..4 {
            match self.read() {
                Ok((8, _)) => {}
                Ok((2, payload)) => {
                    holds(payload.first() == Some(&0xE0), "a DISCONNECT", &payload)?;
                }
                Ok((opcode, _)) => {
                    return fault("the end of the connection", format!("a frame {opcode}"));
                }
                Err(error) => {
                    let is_open =
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    return holds(!is_open, "the end of the connection", error);
                }
            }
        }
        fault("the end of the connection", "more frames")
    }
}
