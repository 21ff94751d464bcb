//! Where encoded packets gather until they are written.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use crate::wire::{MAX_VARINT, put, put_header};

/// Encoded packets on their way out.
///
/// Small things are copied into one piece; payloads of at least [`EncodeBuf::CHAIN`] bytes are chained by reference, each
/// at its place. Write [`slices`](Self::slices) (a vectored write takes them all), then [`advance`](Self::advance) by
/// what was written. As a [`Buf`] it goes wherever one goes.
///
/// The memory of the one piece is kept for the next packets, up to 64 KiB.
#[derive(Debug, Default)]
pub struct EncodeBuf {
    /// All that was copied; what is before `start` has gone out.
    copied: Vec<u8>,
    /// At most the length of `copied`, and at most where the first link stands.
    start: usize,
    /// What was not copied, in order.
    chain: VecDeque<Link>,
    /// Bytes in `chain`.
    chained: usize,
}

/// A payload, never empty, that goes out before the byte of `copied` at this place.
#[derive(Debug)]
struct Link {
    at: usize,
    payload: Bytes,
}

/// The error of encoding a packet larger than the format can say. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes after the fixed header: a packet has at most 268435455, send less at once")]
pub struct TooLarge {
    /// Length of the packet after its fixed header, in bytes.
    pub size: usize,
}

/// The memory a drained buffer keeps, in bytes.
const KEEP: usize = 64 * 1024;

/// From this many bytes on, what has gone out is given back before all has.
const WORTH_MOVING: usize = 4096;

impl EncodeBuf {
    /// From this many bytes on a payload is chained instead of copied.
    pub const CHAIN: usize = 4096;

    /// An empty buffer; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.copied.len() - self.start + self.chained
    }

    /// Does nothing wait?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, in order; no slice is empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.start;
        let links = self.chain.iter().flat_map(move |link| {
            let before = self.copied.get(from..link.at).unwrap_or_default();
            from = link.at;
            [before, &link.payload[..]]
        });
        let last = self.chain.back().map_or(self.start, |link| link.at);
        let rest = self.copied.get(last..).unwrap_or_default();
        links.chain([rest]).filter(|slice| !slice.is_empty())
    }

    /// Drops the first `n` bytes, which were written; more than wait is all.
    pub fn advance(&mut self, n: usize) {
        if n >= self.len() {
            return self.clear();
        }
        let mut left = n;
        while let Some(link) = self.chain.front_mut() {
            let before = link.at - self.start;
            if left < before {
                break;
            }
            left -= before;
            self.start = link.at;
            if left < link.payload.len() {
                link.payload.advance(left);
                self.chained -= left;
                return;
            }
            left -= link.payload.len();
            self.chained -= link.payload.len();
            self.chain.pop_front();
        }
        self.start += left;
        if self.start >= WORTH_MOVING && self.start >= self.copied.len() / 2 {
            self.move_to_front();
        }
    }

    /// All that waits in one piece; copies unless it is in one piece already.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chain.is_empty() {
            let mut all = Bytes::from(self.copied);
            all.advance(self.start);
            return all;
        }
        if self.chain.len() == 1
            && self.copied.len() == self.start
            && let Some(only) = self.chain.pop_front()
        {
            return only.payload;
        }
        let mut all = Vec::with_capacity(self.len());
        self.slices().for_each(|slice| put(&mut all, slice));
        all.into()
    }

    /// Drops all that waits; keeps memory for the next packets, up to 64 KiB.
    pub fn clear(&mut self) {
        self.chain.clear();
        self.chained = 0;
        self.copied.clear();
        self.start = 0;
        if self.copied.capacity() > KEEP {
            self.copied = Vec::new();
        }
    }

    /// Begins a packet whose body of `remaining` bytes the caller writes next: `copied` of them to the end of what it
    /// gets.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        first: u8,
        remaining: usize,
        copied: usize,
    ) -> Result<&mut Vec<u8>, TooLarge> {
        match u32::try_from(remaining) {
            Ok(length) if length <= MAX_VARINT => {
                self.copied.reserve(copied + 5);
                put_header(&mut self.copied, first, length);
                Ok(&mut self.copied)
            }
            _ => Err(TooLarge { size: remaining }),
        }
    }

    /// Writes a small packet, which the caller has made.
    #[inline]
    pub(crate) fn small<const N: usize>(&mut self, packet: [u8; N]) {
        put(&mut self.copied, &packet);
    }

    /// Chains what ends a packet; it is not empty.
    pub(crate) fn chain(&mut self, payload: Bytes) {
        self.chained += payload.len();
        self.chain.push_back(Link {
            at: self.copied.len(),
            payload,
        });
    }

    /// Moves what waits over what has gone out, which is more: each byte that goes out pays for one that moves.
    fn move_to_front(&mut self) {
        self.copied.drain(..self.start);
        for link in &mut self.chain {
            link.at -= self.start;
        }
        self.start = 0;
    }
}

impl Buf for EncodeBuf {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.slices().next().unwrap_or_default()
    }

    fn advance(&mut self, n: usize) {
        self.advance(n);
    }
}
