//! A stream between a client and the broker that does with packets what the switches say.
//!
//! It changes none but CONNACK, and knows no rule: packets are passed on as the bytes they came as.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::{EncodeBuf, Limits, Packet, PacketType, decode};
use ohmqtt_transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lane::{Item, Lane, Piece};
use super::plan::Direction;
use super::state::{Mode, Shared};

/// While so many bytes wait in one direction, none are taken.
const ROOM: usize = 1 << 20;

pub(super) struct Wire {
    stream: Box<dyn Transport>,
    shared: Arc<Shared>,
    id: u64,
    from_client: Lane,
    to_client: Lane,
    /// What is not sent yet, in the order it came.
    held: Vec<(PacketType, Bytes)>,
    held_bytes: usize,
    /// A CONNECT without a Client Identifier, until the broker gives one.
    nameless: Option<(Packet, usize)>,
    /// The client has ended its side.
    is_ended: bool,
    /// It was refused: it is told, and nothing comes of what it sends.
    is_refused: bool,
    /// What the broker still says is lost.
    is_mute: bool,
    is_cut: bool,
}

impl Wire {
    pub(super) fn new(
        stream: Box<dyn Transport>,
        shared: Arc<Shared>,
        id: u64,
        longest: usize,
    ) -> Self {
        Self {
            stream,
            shared,
            id,
            from_client: Lane::new(longest),
            to_client: Lane::new(longest),
            held: Vec::new(),
            held_bytes: 0,
            nameless: None,
            is_ended: false,
            is_refused: false,
            is_mute: false,
            is_cut: false,
        }
    }

    /// What every poll begins with.
    fn begin(&mut self, cx: &mut Context<'_>) -> io::Result<Mode> {
        self.shared.listen(self.id, cx.waker());
        let mode = self.shared.mode(self.id);
        self.is_cut |= mode.is_cut;
        if self.is_cut {
            return Err(cut());
        }
        self.settle();
        Ok(mode)
    }

    /// Reads what the client has sent, as long as there is room for it.
    fn fill(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut space = [0; 8 * 1024];
        while !self.is_ended && self.from_client.queued() < ROOM {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf)? {
                Poll::Pending => break,
                Poll::Ready(()) if buf.filled().is_empty() => {
                    self.is_ended = true;
                    self.from_client.end();
                }
                Poll::Ready(()) => self.from_client.feed(buf.filled()),
            }
            while let Some(piece) = self.from_client.split() {
                self.take_from_client(piece);
            }
        }
        Ok(())
    }

    fn take_from_client(&mut self, piece: Piece) {
        if self.is_refused {
            return;
        }
        let packet = piece.packet.and_then(|_| read(&piece.bytes));
        if let Some(Packet::Connect(connect)) = &packet
            && !connect.client_id.is_empty()
        {
            self.shared.name(self.id, connect.client_id.as_str());
        }
        let is_connect = piece.packet == Some(PacketType::Connect);
        if let Some(packet) = packet {
            self.record(packet, piece.bytes.len());
        }
        if is_connect && let Some(refusal) = self.shared.refusal(self.id) {
            self.is_refused = true;
            if let Some(bytes) = write(&Packet::ConnAck(refusal.into())) {
                self.to_client.push(Item::Bytes(bytes), Duration::ZERO);
            }
            return;
        }
        self.pass(Direction::FromClient, piece.bytes, piece.packet.is_some());
    }

    fn take_to_client(&mut self, mut piece: Piece) {
        if piece.packet == Some(PacketType::ConnAck)
            && let Some(Packet::ConnAck(mut connack)) = read(&piece.bytes)
        {
            if let Some(id) = connack.properties.assigned_client_identifier() {
                self.shared.name(self.id, id.as_ref());
                if let Some((packet, size)) = self.nameless.take() {
                    self.record(packet, size);
                }
            }
            self.shared.tell(self.id, &mut connack.properties);
            piece.bytes = write(&Packet::ConnAck(connack)).unwrap_or(piece.bytes);
        }
        match piece.packet {
            Some(packet) if self.is_held(packet) => {
                self.held_bytes += piece.bytes.len();
                self.held.push((packet, piece.bytes));
                self.settle();
            }
            packet => self.pass(Direction::ToClient, piece.bytes, packet.is_some()),
        }
    }

    fn is_held(&self, packet: PacketType) -> bool {
        self.held.iter().any(|(held, _)| *held == packet)
            || self.shared.is_withheld(self.id, packet)
            || self.shared.reordered(self.id, packet).is_some()
    }

    /// Sends what was held and is not to be held any more.
    fn settle(&mut self) {
        let mut kinds: Vec<_> = self.held.iter().map(|(packet, _)| *packet).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            if self.shared.is_withheld(self.id, kind) {
                continue;
            }
            let held = self.held.extract_if(.., |(packet, _)| *packet == kind);
            let mut held: Vec<_> = held.map(|(_, bytes)| bytes).collect();
            let rest = match self.shared.reordered(self.id, kind) {
                Some(n) => {
                    let whole = held.len() - held.len() % n.max(1);
                    let rest = held.split_off(whole);
                    for together in held.chunks_mut(n.max(1)) {
                        together.reverse();
                    }
                    rest
                }
                None => Vec::new(),
            };
            self.held
                .extend(rest.into_iter().map(|bytes| (kind, bytes)));
            for bytes in held {
                self.held_bytes -= bytes.len();
                self.pass(Direction::ToClient, bytes, true);
            }
        }
    }

    /// Lets bytes go on, and cuts the wire behind them if it is time.
    fn pass(&mut self, direction: Direction, mut bytes: Bytes, is_packet: bool) {
        if self.is_mute {
            return;
        }
        let passing = self
            .shared
            .count(self.id, direction, bytes.len(), is_packet);
        let delay = self.shared.delay(self.id, direction);
        let lane = match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        };
        if let Some(passing) = passing {
            // What the broker says to the last of it is lost, however quick it is.
            self.is_mute = true;
            bytes.truncate(passing);
        }
        if !bytes.is_empty() {
            lane.push(Item::Bytes(bytes), delay);
        }
        if self.is_mute {
            lane.push(Item::Cut, delay);
        }
    }

    fn record(&mut self, packet: Packet, size: usize) {
        match self.shared.client(self.id) {
            Some(client) => {
                let records = &self.shared.records;
                records.update(|records| records.add(&client, packet, size));
            }
            None => self.nameless = Some((packet, size)),
        }
    }

    /// Sends what is due. Ready when nothing is left but what is held.
    fn drain(&mut self, cx: &mut Context<'_>, mode: &Mode) -> Poll<io::Result<()>> {
        if mode.is_silent && self.to_client.queued() > 0 {
            return Poll::Pending;
        }
        loop {
            let bytes = match self.to_client.poll_next(cx) {
                Poll::Ready(Some(Item::Bytes(bytes))) => bytes,
                Poll::Ready(Some(Item::Cut)) => {
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                    self.is_cut = true;
                    return Poll::Ready(Err(cut()));
                }
                Poll::Ready(None) => return Pin::new(&mut self.stream).poll_flush(cx),
                Poll::Pending => {
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                    return Poll::Pending;
                }
            };
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.to_client.take(written);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mode = this.begin(cx)?;
        this.fill(cx)?;
        // The driver does not ask to write what it has written already. An error of it comes again there, or as the end here.
        let drained = this.drain(cx, &mode);
        if this.is_cut {
            return Poll::Ready(Err(cut()));
        }
        if this.is_refused {
            if drained.is_ready() {
                // Whatever comes of it, the client's end or the broker's patience ends the wire.
                let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
            }
            return if this.is_ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        if mode.is_silent {
            return if this.is_ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let taken = match ready!(this.from_client.poll_next(cx)) {
            Some(Item::Bytes(bytes)) => {
                let n = bytes.len().min(buf.remaining());
                buf.put_slice(&bytes[..n]);
                n
            }
            Some(Item::Cut) => {
                this.is_cut = true;
                return Poll::Ready(Err(cut()));
            }
            None if this.is_ended => return Poll::Ready(Ok(())),
            None => return Poll::Pending,
        };
        this.from_client.take(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mode = self.begin(cx)?;
        if let Poll::Ready(Err(error)) = self.drain(cx, &mode) {
            return Poll::Ready(Err(error));
        }
        if self.to_client.queued() + self.held_bytes >= ROOM {
            return Poll::Pending;
        }
        self.to_client.feed(buf);
        while let Some(piece) = self.to_client.split() {
            self.take_to_client(piece);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mode = self.begin(cx)?;
        self.drain(cx, &mode)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mode = self.begin(cx)?;
        ready!(self.drain(cx, &mode))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.remove(self.id);
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// A packet that is whole; `None` if it is malformed, which is for the broker to say.
fn read(bytes: &Bytes) -> Option<Packet> {
    decode(&mut BytesMut::from(&bytes[..]), &Limits::default()).ok()?
}

fn write(packet: &Packet) -> Option<Bytes> {
    let mut out = EncodeBuf::new();
    packet.encode(&mut out).ok()?;
    Some(out.into_bytes())
}
