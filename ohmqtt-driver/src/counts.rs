//! How many packets went over the streams of one driver or of many.

use std::sync::atomic::{AtomicU64, Ordering};

/// Packets of all types, so far. What was no packet is not counted.
#[derive(Debug, Default)]
pub struct PacketCounts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl PacketCounts {
    /// Packets received, and packets given to the stream.
    pub fn counted(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.received), load(&self.sent))
    }

    pub(crate) fn note_received(&self, packets: u64) {
        note(&self.received, packets);
    }

    pub(crate) fn note_sent(&self, packets: u64) {
        note(&self.sent, packets);
    }
}

/// Most looks at a session find nothing: those leave the others' cache lines alone.
fn note(counter: &AtomicU64, packets: u64) {
    if packets > 0 {
        counter.fetch_add(packets, Ordering::Relaxed);
    }
}
