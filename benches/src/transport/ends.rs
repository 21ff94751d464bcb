//! The two ends of a connection: one that writes, one that reads, whatever is between them.

use std::io;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::try_join;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::Result;

/// The most that is read at once, as by a driver of a busy stream. All raw ends that can be told are told the same: of small
/// segments on one machine TCP carries more than twice as many to whoever asks for 128 KiB.
pub(super) const READ: usize = 64 * 1024;

/// Sends so many writes of these bytes over its connection; returns when the other end has all of them.
pub type Transfer = Box<dyn FnMut(&Bytes, u32) -> Result<()>>;

/// What writes.
pub(super) trait Source {
    async fn send(&mut self, bytes: &Bytes) -> Result<()>;
}

/// What reads.
pub(super) trait Drain {
    /// Takes what is there and says how many bytes that was.
    async fn take(&mut self) -> Result<usize>;
}

/// An end that is a stream of bytes.
pub(super) struct Plain<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S> Plain<S> {
    pub(super) fn new(stream: S) -> Self {
        let buffer = vec![0; READ];
        Self { stream, buffer }
    }
}

impl<S: AsyncWrite + Unpin> Source for Plain<S> {
    async fn send(&mut self, bytes: &Bytes) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }
}

impl<S: AsyncRead + Unpin> Drain for Plain<S> {
    async fn take(&mut self) -> Result<usize> {
        Ok(self.stream.read(&mut self.buffer).await?)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Source for WebSocketStream<S> {
    async fn send(&mut self, bytes: &Bytes) -> Result<()> {
        let message = Message::Binary(bytes.clone());
        Ok(SinkExt::send(self, message).await?)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drain for WebSocketStream<S> {
    async fn take(&mut self) -> Result<usize> {
        match self.next().await {
            Some(message) => Ok(message?.len()),
            None => Ok(0),
        }
    }
}

/// The runtime goes with the ends, as their tasks need it.
pub(super) fn transfer(
    runtime: Runtime,
    mut from: impl Source + 'static,
    mut to: impl Drain + 'static,
) -> Transfer {
    Box::new(move |bytes, writes| {
        let send = async {
            for _ in 0..writes {
                from.send(bytes).await?;
            }
            Result::Ok(())
        };
        let receive = async {
            let mut left = u64::from(writes) * bytes.len() as u64;
            while left > 0 {
                match to.take().await? {
                    0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    len => left -= len as u64,
                }
            }
            Ok(())
        };
        runtime.block_on(async { try_join!(send, receive) })?;
        Ok(())
    })
}
