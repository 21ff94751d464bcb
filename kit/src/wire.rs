//! The server's side of the stream: where it listens, and the connection that stands.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::read;
use crate::words::Words;

/// So long is read of a client that was left.
const DRAIN: Duration = Duration::from_secs(20);

/// A port of its own on this machine.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    /// Host and port.
    pub(crate) address: String,
}

/// What comes of a connection.
#[derive(Debug)]
pub(crate) enum Came {
    Packet(Words),
    End,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Listener {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        Ok(Self { listener, address })
    }

    /// The next connection.
    ///
    /// Cancel safety: none is lost when the future is dropped.
    pub(crate) async fn accept(&self) -> io::Result<Conn> {
        let (stream, _) = self.listener.accept().await?;
        // What is sent in pieces is to arrive in pieces.
        stream.set_nodelay(true)?;
        Ok(Conn {
            stream,
            buffer: Vec::new(),
        })
    }
}

impl Conn {
    /// The next packet, or the end of the stream, however it ends.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Came, String> {
        loop {
            if let Some(packet) = read::take(&mut self.buffer)? {
                return Ok(Came::Packet(packet));
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) if self.buffer.is_empty() => return Ok(Came::End),
                Ok(0) | Err(_) => {
                    let left = read::show(&self.buffer);
                    return Err(format!("the stream ends within a packet: {left}"));
                }
            }
        }
    }

    /// Writes the bytes, in pieces of so many unless it is 0. That the client has left is found by who reads.
    pub(crate) async fn send(&mut self, bytes: &[u8], piece: usize) {
        let piece = if piece == 0 { bytes.len() } else { piece };
        for part in bytes.chunks(piece.max(1)) {
            if self.stream.write_all(part).await.is_err() {
                return;
            }
        }
    }

    /// Ends the stream. What is under way arrives: the client's bytes are read until it ends the stream too.
    pub(crate) async fn cut(mut self) {
        // One that has ended already is as good.
        let _ = self.stream.shutdown().await;
        tokio::spawn(async move {
            let mut sink = tokio::io::sink();
            let drain = tokio::io::copy(&mut self.stream, &mut sink);
            let _ = tokio::time::timeout(DRAIN, drain).await;
        });
    }
}
