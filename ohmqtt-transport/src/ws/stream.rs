//! A WebSocket as a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::WsOptions;
use super::frame::{Role, close_code, violation};
use super::incoming::{Incoming, Step, Violation, at_most};
use super::outgoing::{Outgoing, frame_len};
use crate::TransportErrorKind;
use crate::error::Cause;

/// A payload with this much to come is read into the reader's buffer past our own.
const DIRECT: usize = 2 * 1024;

/// The stream after the handshake.
///
/// A close frame ends the direction it comes from and no more; ours is sent when the holder shuts the stream down.
pub(crate) struct WsStream<S> {
    io: S,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The peer sends no more.
    ended: bool,
    /// We send no more.
    closed: bool,
    /// What the peer did that ended the stream.
    failed: Option<String>,
    /// The writer that waits for room. It is the one that the socket wakes: a reader in another task must not take its
    /// place.
    writer: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WsStream<S> {
    /// `read` is what came behind the handshake.
    pub(super) fn new(io: S, role: Role, options: &WsOptions, read: Vec<u8>) -> Self {
        Self {
            io,
            incoming: Incoming::new(role, options.longest_message(), read),
            outgoing: Outgoing::new(role),
            ended: false,
            closed: false,
            failed: None,
            writer: None,
        }
    }

    /// Sends what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let next = self.outgoing.next()?;
            let len = ready!(Pin::new(&mut self.io).poll_write(cx, next))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.sent(len);
        }
        Poll::Ready(Ok(()))
    }

    /// The same for a writer, who is woken when there is room.
    fn poll_drain_as_writer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.poll_drain(cx);
        self.writer = drained.is_pending().then(|| cx.waker().clone());
        drained
    }

    /// Answers pings from a reader's task, unless a writer is about to.
    fn answer(&mut self, cx: &mut Context<'_>) {
        let another = |writer: &Waker| !writer.will_wake(cx.waker());
        if self.outgoing.is_empty() || self.writer.as_ref().is_some_and(another) {
            return;
        }
        if let Poll::Ready(Ok(())) = self.poll_drain(cx) {
            // Should it have to wait or fail, whoever writes next finds out.
            let _: Poll<io::Result<()>> = Pin::new(&mut self.io).poll_flush(cx);
        }
    }

    /// The peer has broken the rules: tells it so, as far as that goes without waiting, and closes the connection.
    fn fail(&mut self, cx: &mut Context<'_>, Violation(code, reason): Violation) -> io::Error {
        self.ended = true;
        if !self.closed && self.outgoing.close(code, &reason).is_ok() {
            self.closed = true;
            if let Poll::Ready(Ok(())) = self.poll_drain(cx) {
                let _: Poll<io::Result<()>> = Pin::new(&mut self.io).poll_shutdown(cx);
            }
        }
        self.failed = Some(reason.clone());
        violation(reason)
    }

    /// The peer has closed its direction. What it says of the reason is an error unless it is at its end, or going.
    fn close(&mut self, reason: Option<(u16, String)>) -> io::Result<()> {
        self.ended = true;
        let Some((code, reason)) = reason else {
            return Ok(());
        };
        let kind = match code {
            close_code::NORMAL | close_code::GOING_AWAY => return Ok(()),
            close_code::PROTOCOL..=close_code::EXTENSION => TransportErrorKind::WebSocket,
            _ => TransportErrorKind::Reset,
        };
        let words = format!("the peer closed the WebSocket with code {code}: {reason}");
        Err(Cause::into_io(io::ErrorKind::ConnectionReset, kind, words))
    }

    /// Reads from below: straight into `out` if a long enough `payload` is coming, else into our own buffer. Ready with
    /// whether `out` has got something or the stream is at its end, so that the reader need not go on.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        payload: u64,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let direct = at_most(payload).min(out.remaining());
        if direct >= DIRECT {
            let mut buffer = ReadBuf::new(out.initialize_unfilled_to(direct));
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let read = buffer.filled_mut();
            self.incoming.passed(read);
            let len = read.len();
            out.advance(len);
            return if len == 0 {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            } else {
                Poll::Ready(Ok(true))
            };
        }
        let mut buffer = ReadBuf::new(self.incoming.room());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let len = buffer.filled().len();
        self.incoming.filled(len);
        if len > 0 {
            return Poll::Ready(Ok(false));
        }
        if !self.incoming.is_between_messages() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.ended = true;
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.answer(cx);
        loop {
            if let Some(reason) = &self.failed {
                return Poll::Ready(Err(violation(reason.clone())));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match self.incoming.step(buffer.remaining()) {
                Ok(Step::Payload(bytes)) => {
                    buffer.put_slice(self.incoming.payload(bytes));
                    return Poll::Ready(Ok(()));
                }
                Ok(Step::Ping(payload)) => {
                    if !self.closed {
                        self.outgoing.answer(payload);
                        self.answer(cx);
                    }
                }
                Ok(Step::Close(reason)) => self.close(reason)?,
                Ok(Step::More { payload }) => {
                    if ready!(self.poll_more(cx, payload, buffer))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(violation) => return Poll::Ready(Err(self.fail(cx, violation))),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_drain_as_writer(cx))?;
        if frame_len(pieces) == 0 {
            return Poll::Ready(Ok(0));
        }
        let len = self.outgoing.binary(pieces)?;
        // They are ours now. What does not leave at once leaves with the next write or flush.
        match self.poll_drain_as_writer(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(len)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain_as_writer(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            self.outgoing.close(close_code::NORMAL, "")?;
            self.closed = true;
        }
        ready!(self.as_mut().poll_flush(cx))?;
        // The connection below goes on for as long as the peer has something to say.
        if self.ended {
            return Pin::new(&mut self.io).poll_shutdown(cx);
        }
        Poll::Ready(Ok(()))
    }
}
