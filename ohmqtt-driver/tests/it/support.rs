//! Two sessions, each with a driver on a task of its own, and the streams between them.

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use ohmqtt_codec::{EncodeBuf, Limits, MqttString, Packet, Qos, ReasonCode, TopicName, decode};
use ohmqtt_driver::{Clock, Driver, Events, Handle, StoreLink};
use ohmqtt_session::{
    Accept, ClientConfig, ClientEvent, ClientSession, Message, PublishOptions, ServerConfig,
    ServerEvent, ServerSession, Session, Ticket,
};
use ohmqtt_transport::Transport;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What takes longer than this hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(200);

/// A session, the driver that runs it, and what it says.
#[derive(Debug)]
pub(crate) struct Side<S: Session> {
    pub(crate) handle: Handle<S>,
    events: mpsc::UnboundedReceiver<S::Event>,
    /// The end of the driver's run.
    pub(crate) run: JoinHandle<io::Result<()>>,
    /// How often the driver was polled.
    polls: Arc<AtomicUsize>,
}

impl<S> Side<S>
where
    S: Session + Send + 'static,
    S::Event: Debug + Send,
{
    /// Runs the session over the stream. `react` sees each event first.
    pub(crate) fn spawn(
        handle: Handle<S>,
        store: Option<StoreLink>,
        stream: impl Transport,
        mut react: impl FnMut(&Handle<S>, &S::Event) + Send + 'static,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let on_events = {
            let handle = handle.clone();
            move |events: Events<'_, S::Event>| {
                for event in events {
                    react(&handle, &event);
                    let _ = sender.send(event);
                }
            }
        };
        let mut driver = Driver::new(handle.clone(), store, Limits::default(), on_events);
        let polls = Arc::new(AtomicUsize::new(0));
        let future = async move { driver.run(Box::new(stream)).await };
        let run = tokio::spawn(Counted {
            future: Box::pin(future),
            polls: Arc::clone(&polls),
        });
        Self {
            handle,
            events,
            run,
            polls,
        }
    }

    /// How often the driver was polled since the last time this was asked.
    pub(crate) fn polls(&self) -> usize {
        self.polls.swap(0, Ordering::SeqCst)
    }

    /// Waits for the first event that gives a result; the others are gone.
    pub(crate) async fn until<R>(&mut self, mut want: impl FnMut(&S::Event) -> Option<R>) -> R {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the driver has ended");
                if let Some(result) = want(&event) {
                    return result;
                }
            }
        };
        within(found).await
    }

    /// What the session said and nobody asked for yet.
    pub(crate) fn events(&mut self) -> Vec<S::Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Waits for the end of the run.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        within(&mut self.run)
            .await
            .expect("the driver does not panic")
    }
}

impl Side<ClientSession> {
    pub(crate) fn client(stream: impl Transport) -> Self {
        Self::client_of(ClientConfig::new(MqttString::default()), None, stream)
    }

    pub(crate) fn client_of(
        config: ClientConfig,
        store: Option<StoreLink>,
        stream: impl Transport,
    ) -> Self {
        let handle = Handle::new(ClientSession::new(config), Clock::new());
        Self::spawn(handle, store, stream, |handle, event| {
            if let ClientEvent::Message {
                receipt: Some(receipt),
                ..
            } = event
            {
                handle.with(|session, _| session.acknowledge(*receipt, ReasonCode::Success));
            }
        })
    }

    pub(crate) async fn connected(&mut self) {
        self.until(|event| matches!(event, ClientEvent::Connected(_)).then_some(()))
            .await;
    }

    /// Publishes with this number as the ticket.
    pub(crate) fn publish(&self, qos: Qos, ticket: u64, payload: impl Into<bytes::Bytes>) {
        let message = message(qos, payload);
        let options = PublishOptions {
            ticket: Ticket(ticket),
            ..PublishOptions::default()
        };
        self.handle
            .with(|session, now| session.publish(now, message, options))
            .expect("the outbox has room");
    }

    pub(crate) async fn acked(&mut self, ticket: u64) -> ReasonCode {
        self.until(|event| match event {
            ClientEvent::Acked {
                ticket: Ticket(of),
                reason,
                ..
            } if *of == ticket => Some(*reason),
            _ => None,
        })
        .await
    }
}

impl Side<ServerSession> {
    /// A server that accepts every client and acknowledges every message.
    pub(crate) fn server(stream: impl Transport) -> Self {
        Self::server_of(ServerConfig::default(), stream)
    }

    pub(crate) fn server_of(config: ServerConfig, stream: impl Transport) -> Self {
        let clock = Clock::new();
        let handle = Handle::new(ServerSession::new(clock.now(), config), clock);
        Self::spawn(handle, None, stream, |handle, event| match event {
            ServerEvent::Connect(_) => {
                handle.with(|session, now| session.accept(now, Accept::default()));
            }
            ServerEvent::Message {
                receipt: Some(receipt),
                ..
            } => {
                handle.with(|session, _| session.acknowledge(*receipt, ReasonCode::Success));
            }
            _ => {}
        })
    }

    /// Waits for the next message.
    pub(crate) async fn message(&mut self) -> Message {
        self.until(|event| match event {
            ServerEvent::Message { message, .. } => Some(message.clone()),
            _ => None,
        })
        .await
    }
}

pub(crate) fn message(qos: Qos, payload: impl Into<bytes::Bytes>) -> Message {
    let mut message = Message::new(TopicName::new("t").unwrap(), payload);
    message.qos = qos;
    message
}

/// A client and a server that have shaken hands, with so many bytes of room between them.
pub(crate) async fn pair(room: usize) -> (Side<ClientSession>, Side<ServerSession>) {
    let (near, far) = duplex(room);
    let mut client = Side::client(near);
    let server = Side::server(far);
    client.connected().await;
    (client, server)
}

/// Bytes and packets against a driver, written and read by hand.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
    read: BytesMut,
}

impl Raw {
    pub(crate) fn new(stream: DuplexStream) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
        }
    }

    pub(crate) async fn send(&mut self, packet: Packet) {
        within(self.stream.write_all(&bytes_of(&packet)))
            .await
            .unwrap();
    }

    /// The next packet, or `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.read, &Limits::default()).unwrap() {
                return Some(packet);
            }
            if within(self.stream.read_buf(&mut self.read)).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Reads CONNECT and accepts it.
    pub(crate) async fn accept(&mut self) {
        assert!(matches!(self.next().await, Some(Packet::Connect(_))));
        self.send(connack()).await;
    }
}

pub(crate) fn bytes_of(packet: &Packet) -> bytes::Bytes {
    let mut out = EncodeBuf::new();
    packet.encode(&mut out).unwrap();
    out.into_bytes()
}

pub(crate) fn connack() -> Packet {
    let connack = ohmqtt_codec::ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: ohmqtt_codec::ConnAckProperties::default(),
    };
    Packet::ConnAck(connack.into())
}

pub(crate) fn connect() -> Packet {
    let config = ClientConfig::new(MqttString::default());
    Packet::Connect(config.connect.into())
}

/// A future that counts how often it is polled.
pub(crate) struct Counted<F: ?Sized> {
    pub(crate) polls: Arc<AtomicUsize>,
    pub(crate) future: Pin<Box<F>>,
}

impl<F: Future + ?Sized> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.future.as_mut().poll(cx)
    }
}

/// Fails the test when the future takes too long.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("this hangs")
}

/// Lets every task that can run do so until none has anything to do. For a runtime of one thread.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// What a stream does to the bytes that go through it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The most bytes that one read or write moves; 0: any number.
    pub(crate) piece: usize,
    /// Writes fail from this byte on.
    pub(crate) write_fails_at: Option<usize>,
    /// Reads fail from this byte on.
    pub(crate) read_fails_at: Option<usize>,
}

/// What went through a stream.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) read: AtomicUsize,
    pub(crate) written: AtomicUsize,
    /// The number of pieces of each write.
    pub(crate) writes: Mutex<Vec<usize>>,
    /// It was ended in order.
    pub(crate) ended: AtomicBool,
}

/// A stream that counts and fails.
#[derive(Debug)]
pub(crate) struct Faulty<T> {
    inner: T,
    faults: Faults,
    pub(crate) seen: Arc<Seen>,
}

impl<T> Faulty<T> {
    pub(crate) fn new(inner: T, faults: Faults) -> Self {
        Self {
            inner,
            faults,
            seen: Arc::default(),
        }
    }

    /// How many bytes may be moved now, or the error that it is time for.
    fn most(&self, moved: &AtomicUsize, fails_at: Option<usize>) -> io::Result<usize> {
        let moved = moved.load(Ordering::SeqCst);
        let left = fails_at.map_or(usize::MAX, |at| at.saturating_sub(moved));
        if left == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(left.min(if self.faults.piece == 0 {
            usize::MAX
        } else {
            self.faults.piece
        }))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Faulty<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.most(&self.seen.read, self.faults.read_fails_at)?;
        let mut piece = vec![0; most.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut piece);
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.put_slice(part.filled());
        self.seen.read.fetch_add(n, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Faulty<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let most = self.most(&self.seen.written, self.faults.write_fails_at)?;
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let piece = &all[..most.min(all.len())];
        let n = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, piece))?;
        self.seen.written.fetch_add(n, Ordering::SeqCst);
        self.seen.writes.lock().unwrap().push(bufs.len());
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seen.ended.store(true, Ordering::SeqCst);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
