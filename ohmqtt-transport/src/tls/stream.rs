//! A TLS stream whose errors say what they mean.

use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fault::told;

/// tokio-rustls's stream, which see; in TLS 1.3 the server's verdict on a client certificate is read from here.
pub(crate) struct TlsStream<S>(tokio_rustls::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn new(stream: tokio_rustls::TlsStream<S>) -> Self {
        Self(stream)
    }

    /// The reason behind a failed write: a server that refuses a client says why and closes, and whoever was writing then
    /// learns from the system only that the stream is gone. What was read on the way stays for readers.
    fn reason(&mut self, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        if let tokio_rustls::TlsStream::Client(stream) = &mut self.0 {
            let (io, tls) = stream.get_mut();
            while let Ok(1..) = tls.read_tls(&mut Ready { io, cx }) {
                if let Err(reason) = tls.process_new_packets() {
                    return told(io::Error::new(error.kind(), reason));
                }
            }
        }
        told(error)
    }
}

/// What can be read without waiting.
struct Ready<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Read for Ready<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => result.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer).map_err(told)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        written.map_err(|error| self.reason(cx, error))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(cx, pieces);
        written.map_err(|error| self.reason(cx, error))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.0).poll_flush(cx);
        flushed.map_err(|error| self.reason(cx, error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.0).poll_shutdown(cx);
        ended.map_err(|error| self.reason(cx, error))
    }
}
