//! A TCP stream that can rest: while it does, what comes in wakes nobody.
//!
//! A socket is watched for as long as it is registered with the runtime, whether anybody waits for it or not, and each segment that comes
//! wakes the thread that watches. One that rests is not registered; it is read and written all the same, and is registered again when
//! there is something to wait for.

use std::io::{self, IoSlice, Read, Write};
use std::net;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that can rest.
#[derive(Debug)]
pub(crate) struct Resting(State);

#[derive(Debug)]
enum State {
    Awake(TcpStream),
    Asleep(net::TcpStream),
    /// It could not be moved from the one to the other.
    Lost,
}

impl Resting {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(State::Awake(stream))
    }

    /// Nothing that comes wakes anybody until a read or a write finds that it has to wait.
    pub(crate) fn rest(&mut self) {
        self.0 = match std::mem::replace(&mut self.0, State::Lost) {
            State::Awake(stream) => match stream.into_std() {
                Ok(stream) => State::Asleep(stream),
                Err(error) => {
                    tracing::debug!(%error, "a socket could not be let rest");
                    State::Lost
                }
            },
            other => other,
        };
    }

    /// Registered again.
    fn awake(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Asleep(_) = self.0
            && let State::Asleep(stream) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Awake(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            State::Awake(stream) => Ok(Pin::new(stream)),
            State::Asleep(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Whether it is to be tried again by who can wait.
fn waits<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        )
    })
}

impl AsyncRead for Resting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Asleep(stream) = &mut self.0 {
            let result = stream.read(buf.initialize_unfilled());
            if !waits(&result) {
                buf.advance(result?);
                return Poll::Ready(Ok(()));
            }
        }
        self.awake()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Resting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Asleep(stream) = &mut self.0 {
            let result = stream.write(buf);
            if !waits(&result) {
                return Poll::Ready(result);
            }
        }
        self.awake()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let State::Asleep(stream) = &mut self.0 {
            let result = stream.write_vectored(bufs);
            if !waits(&result) {
                return Poll::Ready(result);
            }
        }
        self.awake()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            // What was written to a socket is on its way.
            State::Asleep(_) => Poll::Ready(Ok(())),
            State::Awake(_) | State::Lost => self.awake()?.poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.awake()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Resting, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (Resting::new(near.unwrap()), far.unwrap().0)
    }

    async fn within<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(60), future)
            .await
            .expect("this hangs")
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_comes_during_a_rest_wakes_nobody_and_is_read() {
        let (mut near, mut far) = pair().await;
        let count = Arc::new(Count::default());
        let waker = Arc::clone(&count).into();
        let mut bytes = [0; 8];
        let mut poll = |near: &mut Resting| {
            let mut buf = ReadBuf::new(&mut bytes);
            let polled = Pin::new(near).poll_read(&mut Context::from_waker(&waker), &mut buf);
            polled.map(|result| result.map(|()| buf.filled().to_vec()))
        };
        assert!(poll(&mut near).is_pending());
        near.rest();
        let before = count.0.load(Ordering::SeqCst);
        within(far.write_all(b"x")).await.unwrap();
        // The other end hears of its own echo, so that what came here has come.
        let (mut other, mut echo) = pair().await;
        within(echo.write_all(b"y")).await.unwrap();
        within(other.read_u8()).await.unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), before);
        assert!(matches!(poll(&mut near), Poll::Ready(Ok(bytes)) if bytes == b"x"));
        // It waits where there is nothing, and is woken then.
        assert!(poll(&mut near).is_pending());
        within(far.write_all(b"z")).await.unwrap();
        assert_eq!(within(near.read_u8()).await.unwrap(), b'z');
    }

    #[tokio::test]
    async fn a_stream_that_rests_writes_more_than_the_socket_holds() {
        const LENGTH: usize = 16 * 1024 * 1024;
        let (mut near, mut far) = pair().await;
        near.rest();
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.map(|_| all)
        });
        let bytes: Vec<u8> = (0..LENGTH).map(|n| n.to_le_bytes()[0]).collect();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            near.rest();
            let written = within(near.write_vectored(&[IoSlice::new(rest)])).await;
            rest = &rest[written.unwrap()..];
        }
        near.rest();
        within(near.shutdown()).await.unwrap();
        assert_eq!(within(reader).await.unwrap().unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_stream_that_rests_sees_the_end() {
        let (mut near, far) = pair().await;
        near.rest();
        drop(far);
        assert_eq!(within(near.read(&mut [0; 8])).await.unwrap(), 0);
    }
}
