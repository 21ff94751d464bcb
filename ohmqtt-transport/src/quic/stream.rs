//! The one stream of a connection, and the connection's end with it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn::{
    Connection, ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt,
    WriteError,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::fault::told;

/// How long the end of a stream waits for the peer to say that it has everything.
const PATIENCE: Duration = Duration::from_secs(2);

/// The code of a connection that was closed because its holder is done with it.
const NO_ERROR: VarInt = VarInt::from_u32(0);

/// A connection as a stream of bytes. Dropping it closes the connection, and with it what the peer has not received:
/// shutting down waits for that, if not for ever.
pub(crate) struct QuicStream {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    end: End,
}

/// How far the end of our direction is.
enum End {
    Open,
    Awaiting(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>),
    Reached,
}

impl QuicStream {
    pub(super) fn new(connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        Self {
            connection,
            send,
            receive,
            end: End::Open,
        }
    }

    /// Ends our direction; gives what waits until the peer has acknowledged all of it.
    fn finish(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
        // It is closed already if the peer does not want any more of it, and that is no news here.
        let _: Result<(), quinn::ClosedStream> = self.send.finish();
        let acknowledged = self.send.stopped();
        Box::pin(async move {
            match timeout(PATIENCE, acknowledged).await {
                // A peer that is done with the connection has what it wanted.
                Ok(Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(
                    close,
                )))) if close.error_code == NO_ERROR => Ok(()),
                Ok(Err(StoppedError::ConnectionLost(error))) => Err(told(error, None)),
                Ok(Ok(_) | Err(StoppedError::ZeroRttRejected)) | Err(_) => Ok(()),
            }
        })
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        // Without this the stream would end as if all of it had been written.
        self.connection.close(NO_ERROR, b"");
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.receive.poll_read_buf(cx, buffer)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(ReadError::ConnectionLost(error)) => Poll::Ready(Err(told(error, None))),
            Err(error) => Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error))),
        }
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.end, End::Open) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match ready!(Pin::new(&mut self.send).poll_write(cx, bytes)) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(WriteError::ConnectionLost(error)) => Poll::Ready(Err(told(error, None))),
            Err(error) => Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, error))),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match self.as_mut().poll_write(cx, piece) {
                Poll::Ready(Ok(len)) => {
                    written += len;
                    if len < piece.len() {
                        break;
                    }
                }
                // What is written is said first; the error comes again.
                Poll::Ready(Err(_)) | Poll::Pending if written > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written is quinn's, which sends it as the network allows.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.end {
                End::Open => {
                    let acknowledged = self.finish();
                    self.end = End::Awaiting(acknowledged);
                }
                End::Awaiting(acknowledged) => {
                    let result = ready!(acknowledged.as_mut().poll(cx));
                    self.end = End::Reached;
                    return Poll::Ready(result);
                }
                End::Reached => return Poll::Ready(Ok(())),
            }
        }
    }
}
