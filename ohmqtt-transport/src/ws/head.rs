//! Reading the head of an HTTP message, and what is left behind it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tungstenite::handshake::machine::TryParse;

use crate::TransportErrorKind;
use crate::error::Cause;

/// A longer head is refused.
const LONGEST: usize = 16 * 1024;

const END: &[u8] = b"\r\n\r\n";

/// Reads and parses a head; gives what came behind it, too.
pub(super) async fn read<T: TryParse>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(T, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let seen = bytes.len().saturating_sub(END.len() - 1);
        let room = LONGEST - bytes.len();
        if (&mut *stream)
            .take(room as u64)
            .read_buf(&mut bytes)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Parsed once it is whole, however many pieces it comes in.
        if bytes[seen..].windows(END.len()).any(|window| window == END) {
            let parsed = T::try_parse(&bytes).map_err(|error| not_http(&error))?;
            if let Some((len, head)) = parsed {
                return Ok((head, bytes.split_off(len)));
            }
        }
        if bytes.len() == LONGEST {
            return Err(not_http(&format_args!(
                "its head is longer than {LONGEST} bytes"
            )));
        }
    }
}

fn not_http(reason: &dyn std::fmt::Display) -> io::Error {
    let reason = format!("no HTTP: {reason}");
    Cause::into_io(
        io::ErrorKind::InvalidData,
        TransportErrorKind::WebSocket,
        reason,
    )
}
