//! The loop that joins a session, its store and a stream.

use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use ohmqtt_codec::{EncodeBuf, Limits, decode};
use ohmqtt_session::{Instant, Session};
use ohmqtt_transport::Transport;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::pacing::{CALLS, Pacing};
use crate::spare;
use crate::timer::Timer;
use crate::{Handle, PacketCounts, StoreLink};

/// So much may be encoded and not written; beyond it no packets are polled. Bytes are still read, lest two of us wait for each other:
/// a session that owes its peer too many answers says so by not being ready.
const WRITE_HIGH: usize = 256 * 1024;
/// The least and the most that one read makes room for.
const READ_MIN: usize = 4 * 1024;
const READ_MAX: usize = 64 * 1024;
/// How many packets are handled under one lock, so that callers get their turn.
const PACKETS_PER_LOCK: usize = 256;
/// How many turns follow each other before other tasks get theirs, and how many are spent on hearing a peer out.
const TURNS: usize = 64;
/// How many pieces one vectored write takes.
const SLICES: usize = 32;
/// A connection at rest gives back the room for so few events; room for more was needed, and is kept.
const FEW_EVENTS: usize = 4;
/// How long a stream that is ended in order may take to send what is left and to end on the other side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The events of one look at a session, in their order.
pub type Events<'a, E> = vec_deque::Drain<'a, E>;

/// Runs one session: over a stream while there is one, and without one in between.
///
/// Events go to `on_events` on the driver's task, as many as there are at once and never none, with no lock held: it may call the handle.
/// It must not block.
pub struct Driver<S: Session, F> {
    handle: Handle<S>,
    store: Arc<OnceLock<StoreLink>>,
    /// While this is above 0 and the store's writer has no room, nothing is read.
    owed: Arc<AtomicUsize>,
    /// It is so now.
    deaf: bool,
    /// The largest packet that is read, in bytes.
    packet_size: Arc<AtomicU32>,
    counts: Arc<PacketCounts>,
    on_events: F,
    events: VecDeque<S::Event>,
    read: BytesMut,
    read_size: usize,
    write: EncodeBuf,
    /// Written and not flushed.
    unflushed: bool,
    /// The peer has ended its side of the stream.
    ended: bool,
    /// The session had something to say at the end.
    said_goodbye: bool,
    /// When a session that asked for the end is not waited for any more.
    give_up: Option<Instant>,
    timer: Timer,
    pacing: Pacing,
}

/// What one look at the session asks for.
struct Look {
    now: Instant,
    /// How many packets were encoded.
    sent: u64,
    close: bool,
    deadline: Option<Instant>,
    /// Whether bytes are wanted: the session takes packets, and what was read holds no whole one any more.
    reads: bool,
    /// Whether the session may have packets that found no room.
    more: bool,
    /// Whether the store was given all there is for it.
    stored: bool,
}

impl<S, F> Driver<S, F>
where
    S: Session + Send + 'static,
    F: FnMut(Events<'_, S::Event>),
{
    /// A driver for this session. `limits` bound what is read.
    pub fn new(handle: Handle<S>, store: Option<StoreLink>, limits: Limits, on_events: F) -> Self {
        let store = Arc::new(store.map_or_else(OnceLock::new, OnceLock::from));
        Self::with_store_later(handle, store, limits, on_events)
    }

    /// The same for a session whose place in a store is not known before its peer has said who it is: the link is put there then.
    pub fn with_store_later(
        handle: Handle<S>,
        store: Arc<OnceLock<StoreLink>>,
        limits: Limits,
        on_events: F,
    ) -> Self {
        Self {
            handle,
            store,
            owed: Arc::default(),
            deaf: false,
            packet_size: Arc::new(limits.max_packet_size.into()),
            counts: Arc::default(),
            on_events,
            events: VecDeque::new(),
            read: BytesMut::new(),
            read_size: READ_MIN,
            write: EncodeBuf::new(),
            unflushed: false,
            ended: false,
            said_goodbye: false,
            give_up: None,
            timer: Timer::default(),
            pacing: Pacing::default(),
        }
    }

    /// From now on nothing is read from the stream while the store's writer has no [room](ohmqtt_store::Writer::poll_room) and `owed` is
    /// above 0: what others store for this peer and have not answered yet. So the peer waits, instead of what it sends.
    pub fn wait_for_room(&mut self, owed: Arc<AtomicUsize>) {
        self.owed = owed;
    }

    /// From now on the largest packet that is read has so many bytes, in place of what the limits say: a peer that nobody knows yet is
    /// given less room than one that was let in. What is put there counts from the next packet on, and within a turn of the driver none
    /// follows one whose event may change it.
    pub fn bound_packets(&mut self, size: Arc<AtomicU32>) {
        self.packet_size = size;
    }

    /// From now on packets are counted there, beside those of others.
    pub fn count_packets(&mut self, counts: Arc<PacketCounts>) {
        self.counts = counts;
    }

    /// Runs the session over this stream until the stream ends or the session asks for its end. The error is that of the stream, if it
    /// ended with one; the session's own account comes as an event.
    ///
    /// The session is told of the end as soon as its last packet is written; a stream that is ended in order may take some moments more,
    /// in which the driver serves the store.
    ///
    /// Cancel safety: when the future is dropped the stream is dropped with it; call [`disconnected`](Self::disconnected) then.
    pub async fn run(&mut self, mut stream: Box<dyn Transport>) -> io::Result<()> {
        self.read.clear();
        self.write.clear();
        self.unflushed = false;
        self.ended = false;
        self.said_goodbye = false;
        self.give_up = None;
        self.pacing = Pacing::default();
        self.handle.with(S::handle_connected);
        let result = poll_fn(|cx| self.poll_stream(cx, &mut stream)).await;
        self.disconnected();
        // Of what ends by an error there is nothing left to end. Who has said goodbye to us is not waited for, but gets the end that its
        // transport has: in TLS, the one that tells it from a cut.
        if result.is_ok() {
            // On the heap: it comes once, and would make every driver that runs larger.
            let mut closing = Box::pin(close(stream, self.said_goodbye));
            poll_fn(|cx| {
                self.poll_idle(cx);
                closing.as_mut().poll(cx)
            })
            .await;
        }
        result
    }

    /// Tells the session that its stream is gone, and passes its events on.
    pub fn disconnected(&mut self) {
        self.read = BytesMut::new();
        self.write = EncodeBuf::new();
        self.handle.with(S::handle_disconnected);
        self.look(&mut Context::from_waker(Waker::noop()), false);
        self.dispatch();
    }

    /// Serves what needs no stream: the store and events. Never ends.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub async fn idle(&mut self) -> std::convert::Infallible {
        poll_fn(|cx| {
            self.poll_idle(cx);
            Poll::Pending
        })
        .await
    }

    /// Gives the store all that the session wants kept, and waits until it is safe, or has failed. For the end, when there will be no
    /// stream any more.
    ///
    /// Cancel safety: nothing is lost when the future is dropped; it can be called again.
    pub async fn settle(&mut self) {
        let Some(store) = self.store.get().cloned() else {
            return;
        };
        poll_fn(|cx| {
            let stored = self.poll_idle(cx);
            if stored {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        store.flush().await;
        self.look(&mut Context::from_waker(Waker::noop()), false);
        self.dispatch();
    }

    /// One turn after another without a stream, until there is nothing to do. `true`: the store was given all there is for it.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let look = self.look(cx, false);
            let progress = self.dispatch() || self.poll_deadline(cx, &look).is_ready();
            if !progress && self.sleeps(cx, 0) {
                return look.stored;
            }
        }
    }

    /// One turn after another, until there is nothing to do. Ready when the stream has ended, or the session asks for its end and all it
    /// had to say is written.
    fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Box<dyn Transport>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURNS {
            let mut look = self.look(cx, true);
            let mut progress = self.dispatch();
            let bytes = self.write.len();
            match self.poll_write(cx, stream) {
                Poll::Ready(Ok(())) if look.close && !progress => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    progress |= look.more;
                    if look.sent > 0 {
                        self.pacing.wrote(look.now, look.sent, bytes);
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.hear_out(cx, stream);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {}
            }
            let written = self.write.is_empty() && !self.unflushed;
            let may_rest = look.reads && !look.close && written;
            let rest = self.pacing.reads_rest(look.now, look.deadline);
            let rest = rest.filter(|_| may_rest);
            // What comes while the last packets leave is read and dropped: the peer may read only when it has written.
            if rest.is_some() {
                stream.rest();
            } else if look.reads && !self.ended {
                match self.poll_read(cx, stream)? {
                    Poll::Ready(0) if look.close => self.ended = true,
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    Poll::Ready(_) => progress = true,
                    Poll::Pending => {}
                }
            }
            let calls_rest = rest.or_else(|| self.pacing.calls_rest(look.now));
            look.deadline = look.deadline.into_iter().chain(calls_rest).min();
            if self.poll_deadline(cx, &look).is_ready() {
                if self
                    .give_up
                    .is_some_and(|at| at <= self.handle.clock().now())
                {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                progress = true;
            }
            // What is to be stored is not kept from the disk.
            let unheard = match calls_rest {
                Some(_) if self.store.get().is_none() => CALLS,
                _ => 0,
            };
            if !progress && self.sleeps(cx, unheard) {
                self.give_back();
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The stream takes nothing any more: what the other side said before, such as why, is still passed on.
    fn hear_out(&mut self, cx: &mut Context<'_>, stream: &mut Box<dyn Transport>) {
        for _ in 0..TURNS {
            self.write.clear();
            let look = self.look(cx, true);
            self.dispatch();
            if look.close
                || look.reads && !matches!(self.poll_read(cx, stream), Poll::Ready(Ok(1..)))
            {
                return;
            }
        }
    }

    /// Ready when the deadline of the last look has passed; wakes the task when it does.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, look: &Look) -> Poll<()> {
        match look.deadline {
            Some(deadline) => self.timer.poll(cx, self.handle.clock().deadline(deadline)),
            None => Poll::Pending,
        }
    }

    /// Under one lock: packets that were read, the deadline, and everything the session has to say.
    fn look(&mut self, cx: &mut Context<'_>, connected: bool) -> Look {
        let now = self.handle.clock().now();
        let pause = self.store.get().and_then(StoreLink::paused_until);
        let pause = pause.filter(|until| *until > now);
        let room = self.store.get().map(|store| store.poll_room(cx));
        let store_takes = pause.is_none() && room.is_some_and(|room| room.is_ready());
        let is_owed = self.owed.load(Ordering::Relaxed) > 0;
        let is_full = is_owed && room.is_some_and(|room| room.is_pending());
        let mut inner = self.handle.lock();
        inner.touched = false;
        // Whoever calls from now on is heard in this turn or the next, without waking anybody.
        inner.sleeper = None;
        inner.unheard = 0;
        let session = &mut inner.session;
        let listens = connected && (!is_full || session.is_ending());
        let mut sent = 0;
        if connected {
            sent += poll_packets(session, now, &mut self.write, &mut self.said_goodbye);
        }
        let limits = Limits::new(self.packet_size.load(Ordering::Relaxed));
        let mut budget = PACKETS_PER_LOCK;
        let mut reads = self.read.is_empty();
        let mut received = 0;
        let due = session.awaited();
        while listens && budget > 0 && session.is_ready() && !reads {
            budget -= 1;
            match decode(&mut self.read, &limits) {
                Ok(Some(packet)) => {
                    received += 1;
                    session.handle_packet(now, packet);
                }
                Ok(None) => reads = true,
                Err(error) => {
                    tracing::debug!(%error, "malformed packet");
                    session.handle_malformed(now, error);
                    self.read.clear();
                }
            }
            reads |= self.read.is_empty();
        }
        self.counts.note_received(received);
        if received > 0 {
            self.pacing.heard(now, received, due);
        }
        // Behind what was read, and not before that was looked for: who was not listened to was not silent.
        let was_deaf = std::mem::replace(&mut self.deaf, connected && !listens);
        if !was_deaf
            && !self.deaf
            && session
                .poll_timeout()
                .is_some_and(|deadline| deadline <= now)
        {
            session.handle_timeout(now);
        }
        session.poll_events(&mut self.events);
        // What the caller says to an event goes out before what the session goes on with: subscriptions of a new session before
        // messages that have waited for it.
        if connected && self.events.is_empty() {
            sent += poll_packets(session, now, &mut self.write, &mut self.said_goodbye);
            session.poll_events(&mut self.events);
        }
        let deadline = session.poll_timeout().filter(|_| !self.deaf);
        self.counts.note_sent(sent);
        let mut look = Look {
            now,
            sent,
            close: session.poll_close(),
            deadline: deadline.into_iter().chain(pause).min(),
            reads: listens && reads && session.is_ready(),
            more: self.write.len() >= WRITE_HIGH,
            stored: store_takes || self.store.get().is_none(),
        };
        // What was not looked at, for want of budget or because the session was not ready, is looked at in the next turn.
        let unread = listens && !reads && session.is_ready();
        inner.touched |= unread;
        drop(inner);
        if look.close {
            look.deadline = Some(*self.give_up.get_or_insert(now + CLOSE_TIMEOUT));
        }
        if store_takes && let Some(store) = self.store.get() {
            store.serve(&self.handle);
        }
        look
    }

    /// Passes events on; true when there were any.
    fn dispatch(&mut self) -> bool {
        let any = !self.events.is_empty();
        if any {
            (self.on_events)(self.events.drain(..));
        }
        any
    }

    /// Gives back what an idle connection does not need.
    fn give_back(&mut self) {
        if self.read.is_empty() {
            spare::put(std::mem::take(&mut self.read));
        }
        if self.events.capacity() <= FEW_EVENTS {
            self.events = VecDeque::new();
        }
    }

    /// Leaves the waker for callers, unless one has called meanwhile. So many calls are not to wake it.
    fn sleeps(&self, cx: &Context<'_>, unheard: u32) -> bool {
        let mut inner = self.handle.lock();
        if inner.touched {
            return false;
        }
        inner.sleeper = Some(cx.waker().clone());
        inner.unheard = unheard;
        true
    }

    /// Writes what is encoded; ready when all of it is written and flushed.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Box<dyn Transport>,
    ) -> Poll<io::Result<()>> {
        while !self.write.is_empty() {
            let written = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut n = 0;
                for (slot, piece) in slices.iter_mut().zip(self.write.slices()) {
                    *slot = IoSlice::new(piece);
                    n += 1;
                }
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..n]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.write.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once; ready with the number of bytes.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Box<dyn Transport>,
    ) -> Poll<io::Result<usize>> {
        if self.read.capacity() == 0 {
            self.read = spare::take();
        }
        self.read.reserve(self.read_size);
        let n = ready!(pin!(stream.read_buf(&mut self.read)).poll(cx))?;
        // A full read asks for more room the next time, a small one for less.
        if n >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_MAX);
        } else if n < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(READ_MIN);
        }
        Poll::Ready(Ok(n))
    }
}

/// Encodes what the session has to say, as long as there is room, and tells how many packets these were, and whether last words.
fn poll_packets<S: Session>(
    session: &mut S,
    now: Instant,
    write: &mut EncodeBuf,
    said_goodbye: &mut bool,
) -> u64 {
    let is_ending = session.is_ending();
    let mut sent = 0;
    // The last packets come out in any case: from then on the end has its deadline.
    while (write.len() < WRITE_HIGH || is_ending)
        && let Some((packet, result)) = session.poll_encoded(now, write)
    {
        sent += 1;
        tracing::trace!(%packet, "send");
        if let Err(error) = result {
            // The session measures what it accepts, so this is no peer's doing and no user's.
            tracing::error!(%error, %packet, "a packet could not be encoded and is dropped");
        }
    }
    *said_goodbye |= is_ending && sent > 0;
    sent
}

/// Ends a stream in order. If `waits`, what was written arrives, and the other side's end is awaited for a while, because to drop a
/// stream with bytes unread may take back what was sent.
async fn close(mut stream: Box<dyn Transport>, waits: bool) {
    let ended = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while waits && stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, the stream is dropped.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
}

impl<S: Session, F> fmt::Debug for Driver<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
