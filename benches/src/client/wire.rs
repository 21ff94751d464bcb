//! A stream to a null broker in this process: what is written is answered before the next read.
//!
//! What the broker does stands in functions whose names begin with `null_broker_`, none of which calls another, so that callgrind can
//! leave it out: what is counted is what a client costs, less the copies that a kernel makes.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ohmqtt_client::{Connect, Endpoint, Transport, TransportError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::null::Null;

/// Both ends of a stream, and the way to connect to it.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Ends>>);

struct Ends {
    null: Null,
    /// Who waits to read.
    reader: Option<Waker>,
}

impl Wire {
    /// A stream to a broker of its own.
    pub fn new() -> Self {
        let ends = Ends {
            null: Null::new(),
            reader: None,
        };
        Self(Arc::new(Mutex::new(ends)))
    }

    /// Has the broker send so many messages.
    #[inline(never)]
    pub fn null_broker_sends(&self, count: u64, qos: u8) {
        let mut ends = self.lock();
        ends.null.send(count, qos);
        ends.wake();
    }

    /// Writes all of these bytes.
    #[inline(never)]
    pub fn null_broker_gets(&self, bytes: &[u8]) {
        self.lock().null.take(bytes);
    }

    /// Reads as many bytes as there are and have room.
    #[inline(never)]
    pub fn null_broker_gives(&self, bytes: &mut [u8]) -> usize {
        let mut ends = self.lock();
        let answers = ends.null.answers();
        let length = answers.len().min(bytes.len());
        bytes[..length].copy_from_slice(&answers[..length]);
        ends.null.advance(length);
        length
    }

    #[inline(never)]
    fn null_broker_writes(&self, pieces: &[IoSlice<'_>]) -> usize {
        let mut ends = self.lock();
        for piece in pieces {
            ends.null.take(piece);
        }
        ends.wake();
        pieces.iter().map(|piece| piece.len()).sum()
    }

    #[inline(never)]
    fn null_broker_reads(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<()> {
        let mut ends = self.lock();
        let answers = ends.null.answers();
        let length = answers.len().min(buf.remaining());
        if length == 0 {
            ends.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buf.put_slice(&answers[..length]);
        ends.null.advance(length);
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ends {
    fn wake(&mut self) {
        if !self.null.answers().is_empty()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.null_broker_reads(cx, buf).map(Ok)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.null_broker_writes(&[IoSlice::new(bytes)])))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.null_broker_writes(pieces)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Connect for Wire {
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, TransportError>> + Send + 'a>> {
        Box::pin(async { Ok(Box::new(self.clone()) as Box<dyn Transport>) })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}
