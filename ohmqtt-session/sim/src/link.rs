//! One direction of a stream: bytes that arrive late, in other pieces than they were written in, or not at all, and never in another
//! order.

use bytes::BytesMut;
use ohmqtt_codec::{Limits, Packet, decode};

use crate::trace::{Failure, Result};

/// Bytes on their way from one side to the other.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// Written and not arrived.
    under_way: BytesMut,
    /// Arrived and not read as packets.
    inbox: BytesMut,
    /// Nothing more is carried: what is under way still arrives, then the end is seen.
    closed: bool,
    /// What is written is lost, and nobody is told.
    stalled: bool,
}

impl Pipe {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if !self.closed && !self.stalled {
            self.under_way.extend_from_slice(bytes);
        }
    }

    /// Ends the stream behind the first `keep` bytes that are under way.
    pub(crate) fn close(&mut self, keep: usize) {
        self.under_way.truncate(keep);
        self.closed = true;
        self.stalled = false;
    }

    pub(crate) fn stall(&mut self) {
        self.stalled = true;
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The end is what comes next.
    pub(crate) fn is_over(&self) -> bool {
        self.closed && self.under_way.is_empty()
    }

    /// Lets the next `n` bytes arrive.
    pub(crate) fn arrive(&mut self, n: usize) {
        let n = n.min(self.under_way.len());
        self.inbox.extend_from_slice(&self.under_way.split_to(n));
    }

    /// The next whole packet that has arrived.
    pub(crate) fn read(&mut self, limits: Limits) -> Result<Option<Packet>> {
        decode(&mut self.inbox, &limits)
            .map_err(|error| Failure(format!("bytes that are no packet: {error}")))
    }

    /// The reader is gone.
    pub(crate) fn forget(&mut self) {
        self.under_way.clear();
        self.inbox.clear();
        self.closed = true;
    }
}
