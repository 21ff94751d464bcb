//! Where encoded packets gather until they are written.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::{MAX_VARINT, put_u8, put_varint};

/// Encoded packets on their way out.
///
/// Small things are copied into one tail; payloads of at least [`EncodeBuf::CHAIN`] bytes are chained by reference. Write
/// [`slices`](Self::slices) (a vectored write takes them all), then [`advance`](Self::advance) by what was written. As a
/// [`Buf`] it goes wherever one goes.
///
/// The tail's memory is kept for the next packets, up to 64 KiB.
#[derive(Debug, Default)]
pub struct EncodeBuf {
    /// What goes out first: parts of earlier tails and chained payloads, none of them empty.
    chain: VecDeque<Bytes>,
    /// What goes out last.
    tail: BytesMut,
    /// Bytes in `chain`.
    chained: usize,
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

impl EncodeBuf {
    /// From this many bytes on a payload is chained instead of copied.
    pub const CHAIN: usize = 4096;

    /// An empty buffer; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.chained + self.tail.len()
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, in order; no slice is empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        self.chain.iter().map(|bytes| &bytes[..]).chain(tail)
    }

    /// Drops the first `n` bytes, which were written; more than wait is all.
    pub fn advance(&mut self, n: usize) {
        let mut left = n;
        while left > 0
            && let Some(first) = self.chain.front_mut()
        {
            let step = left.min(first.len());
            left -= step;
            self.chained -= step;
            if step < first.len() {
                first.advance(step);
            } else {
                self.chain.pop_front();
            }
        }
        self.tail.advance(left.min(self.tail.len()));
        if self.is_empty() {
            self.clear();
        }
    }

    /// All that waits in one piece; copies unless it is in one piece already.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chain.is_empty() {
            return self.tail.freeze();
        }
        if self.chain.len() == 1
            && self.tail.is_empty()
            && let Some(only) = self.chain.pop_front()
        {
            return only;
        }
        let mut all = BytesMut::with_capacity(self.len());
        self.slices().for_each(|slice| all.extend_from_slice(slice));
        all.freeze()
    }

    /// Drops all that waits; keeps memory for the next packets, up to 64 KiB.
    pub fn clear(&mut self) {
        self.chain.clear();
        self.chained = 0;
        self.tail.clear();
        if self.tail.try_reclaim(KEEP + 1) {
            self.tail = BytesMut::new();
        }
    }

    /// Begins a packet whose body of `remaining` bytes the caller writes next: `copied` of them into the tail it gets.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        first: u8,
        remaining: usize,
        copied: usize,
    ) -> Result<&mut BytesMut, TooLarge> {
        let length = u32::try_from(remaining)
            .ok()
            .filter(|&length| length <= MAX_VARINT);
        let length = length.ok_or(TooLarge { size: remaining })?;
        self.tail.reserve(copied + 5);
        put_u8(&mut self.tail, first);
        put_varint(&mut self.tail, length);
        Ok(&mut self.tail)
    }

    /// Chains what ends a packet.
    pub(crate) fn chain(&mut self, bytes: Bytes) {
        if !self.tail.is_empty() {
            self.chained += self.tail.len();
            self.chain.push_back(self.tail.split().freeze());
        }
        if !bytes.is_empty() {
            self.chained += bytes.len();
            self.chain.push_back(bytes);
        }
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
