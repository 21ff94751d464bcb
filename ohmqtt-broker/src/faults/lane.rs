//! One direction of a connection: bytes cut into packets, and what waits to go on.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::PacketType;
use tokio::time::{Instant, Sleep};

/// Bytes on their way from one side of a wire to the other.
#[derive(Debug)]
pub(super) struct Lane {
    /// Larger packets are passed on as they come, as bytes of no packet.
    longest: usize,
    raw: BytesMut,
    /// What is still to come of a packet that is too large.
    rest: usize,
    /// What comes is no MQTT: it is passed on as it is.
    is_broken: bool,
    queue: VecDeque<(Instant, Item)>,
    /// Bytes in the queue.
    queued: usize,
    /// When the last of the queue is due: nothing overtakes it.
    last: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What goes over a wire.
#[derive(Debug)]
pub(super) enum Item {
    Bytes(Bytes),
    /// The end of the wire.
    Cut,
}

/// Some bytes that came, and the type of the packet that they are as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) packet: Option<PacketType>,
}

impl Lane {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            longest,
            raw: BytesMut::new(),
            rest: 0,
            is_broken: false,
            queue: VecDeque::new(),
            queued: 0,
            last: None,
            timer: None,
        }
    }

    /// These bytes came.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// No more bytes come: what is half a packet goes on as it is.
    pub(super) fn end(&mut self) {
        self.is_broken = true;
    }

    /// The next whole packet, or bytes that are none.
    pub(super) fn split(&mut self) -> Option<Piece> {
        if self.raw.is_empty() {
            return None;
        }
        if self.rest == 0 && !self.is_broken {
            match length(&self.raw) {
                Length::More => return None,
                Length::None => self.is_broken = true,
                Length::Of(length) if length > self.longest => self.rest = length,
                Length::Of(length) if length > self.raw.len() => return None,
                Length::Of(length) => {
                    let number = usize::from(self.raw[0] >> 4);
                    let packet = number.checked_sub(1);
                    let packet = packet.and_then(|n| PacketType::ALL.get(n)).copied();
                    let bytes = self.raw.split_to(length).freeze();
                    return Some(Piece { bytes, packet });
                }
            }
        }
        let bytes = if self.is_broken {
            self.raw.split()
        } else {
            let length = self.rest.min(self.raw.len());
            self.rest -= length;
            self.raw.split_to(length)
        };
        Some(Piece {
            bytes: bytes.freeze(),
            packet: None,
        })
    }

    /// This goes on after the delay, and not before what was pushed earlier.
    pub(super) fn push(&mut self, item: Item, delay: Duration) {
        let due = Instant::now() + delay;
        let due = self.last.map_or(due, |last| due.max(last));
        self.last = Some(due);
        if let Item::Bytes(bytes) = &item {
            self.queued += bytes.len();
        }
        self.queue.push_back((due, item));
    }

    /// What goes on next: ready when it is due, or with `None` when there is nothing. It stays until it is [taken](Self::take).
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<&Item>> {
        let Some((due, item)) = self.queue.front() else {
            return Poll::Ready(None);
        };
        if *due > Instant::now() {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*due)));
            if timer.deadline() != *due {
                timer.as_mut().reset(*due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Some(item))
    }

    /// So many bytes of what was next have gone.
    pub(super) fn take(&mut self, n: usize) {
        if let Some((_, Item::Bytes(bytes))) = self.queue.front_mut() {
            let n = n.min(bytes.len());
            self.queued -= n;
            drop(bytes.split_to(n));
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
    }

    /// Bytes in the queue.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }
}

/// What the beginning of a packet says of its length in bytes, header and all.
enum Length {
    Of(usize),
    More,
    None,
}

fn length(raw: &[u8]) -> Length {
    let mut value = 0;
    for (place, byte) in raw.iter().skip(1).take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Length::Of(2 + place + value);
        }
    }
    if raw.len() > 4 {
        Length::None
    } else {
        Length::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], want: &[(&[u8], Option<PacketType>)]) {
        let mut lane = Lane::new(8);
        let mut pieces = Vec::new();
        for chunk in chunks {
            lane.feed(chunk);
            pieces.extend(std::iter::from_fn(|| lane.split()));
        }
        lane.end();
        pieces.extend(std::iter::from_fn(|| lane.split()));
        let pieces = pieces.iter().map(|piece| (&piece.bytes[..], piece.packet));
        assert_eq!(pieces.collect::<Vec<_>>(), want, "{chunks:?}");
    }

    #[test]
    fn packets_are_told_apart_however_they_are_cut() {
        let ping: (&[u8], _) = (&[0xC0, 0], Some(PacketType::PingReq));
        check(&[&[0xC0, 0, 0xC0, 0]], &[ping, ping]);
        check(&[&[0xC0], &[0, 0xC0], &[0]], &[ping, ping]);
        let ack: (&[u8], _) = (&[0x40, 2, 0, 1], Some(PacketType::PubAck));
        check(&[&[0x40, 2, 0], &[1]], &[ack]);
    }

    #[test]
    fn what_is_no_packet_or_too_large_goes_on_as_it_is() {
        check(&[&[0xC0]], &[(&[0xC0], None)]);
        let none = [0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        check(&[&none, &[7]], &[(&none, None), (&[7], None)]);
        let large = [0x30, 7, 0, 0];
        let ping: (&[u8], _) = (&[0xC0, 0], Some(PacketType::PingReq));
        check(
            &[&large, &[1, 2, 3, 4, 5, 0xC0, 0]],
            &[(&large, None), (&[1, 2, 3, 4, 5], None), ping],
        );
        check(&[&[0, 0]], &[(&[0, 0], None)]);
    }
}
