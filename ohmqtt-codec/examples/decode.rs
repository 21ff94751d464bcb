//! Reads packets as hex, one a line, and prints one line for each:
//!
//! - `ok` and the packet, without payload and secrets;
//! - `incomplete` when the packet needs more bytes, or the line is empty;
//! - `error`, the reason code a DISCONNECT should carry, and what is wrong.
//!
//! ```text
//! $ printf '40020007\n4002\n40020000\n' | cargo run -p ohmqtt-codec --example decode
//! ok PubAck(Ack { packet_id: PacketId(7), reason: Success, properties: AckProperties })
//! incomplete
//! error 0x82 PUBACK: packet identifier: is 0
//! ```

use std::io::{self, BufRead, Write};

use bytes::BytesMut;
use ohmqtt_codec::{Limits, ReasonCode, decode};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        writeln!(out, "{}", answer(&line?))?;
    }
    Ok(())
}

/// What to print for a line.
pub(crate) fn answer(line: &[u8]) -> String {
    let Some(mut buf) = bytes_of(line.trim_ascii()) else {
        return error(
            ReasonCode::MalformedPacket,
            "the line is not hex: write two digits for each byte",
        );
    };
    match decode(&mut buf, &Limits::default()) {
        Ok(Some(_)) if !buf.is_empty() => error(
            ReasonCode::MalformedPacket,
            &format!("{} bytes follow the packet: one packet a line", buf.len()),
        ),
        Ok(Some(packet)) => format!("ok {packet:?}"),
        Ok(None) => "incomplete".to_owned(),
        Err(fault) => error(fault.reason(), &fault.to_string()),
    }
}

fn error(reason: ReasonCode, message: &str) -> String {
    format!("error 0x{:02X} {message}", u8::from(reason))
}

fn bytes_of(hex: &[u8]) -> Option<BytesMut> {
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    hex.chunks(2).map(byte).collect()
}
