//! The unsent messages that are in the store and not in memory: four numbers, and what is known of those somebody asks about.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::message::Ticket;
use crate::{Backlog, Instant, Key, Load};

/// A stretch of the order of publishing that is in the store alone.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Empty when `first` is `next`.
    range: Backlog,
    /// Messages whose handles are held, by their places.
    held: BTreeMap<u64, Held>,
    /// The stretch that is being read ends before this place.
    asked: Option<u64>,
    /// Messages that were dropped and that this reading may find all the same.
    gone: BTreeSet<u64>,
}

/// What is kept in memory of a message that somebody asks about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) ticket: Ticket,
    pub(super) deadline: Option<Instant>,
    pub(super) size: usize,
}

impl Disk {
    pub(super) fn restored(range: Backlog) -> Self {
        Self {
            range,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.range.first >= self.range.next
    }

    pub(super) fn range(&self) -> &Backlog {
        &self.range
    }

    /// Adds the message behind the last one.
    pub(super) fn push(&mut self, seq: u64, message: Held) {
        if self.is_empty() {
            self.range = Backlog {
                first: seq,
                next: seq,
                ..Backlog::default()
            };
        }
        self.range.next = seq.saturating_add(1);
        self.range.messages += 1;
        self.range.bytes += message.size as u64;
        if message.ticket.is_asked() {
            self.held.insert(seq, message);
        }
    }

    /// What is known of this message.
    pub(super) fn held(&self, seq: u64) -> Option<&Held> {
        self.held.get(&seq)
    }

    /// A message that the store has behind the last one that was counted.
    pub(super) fn restore_behind(&mut self, seq: u64, size: usize) {
        self.range.next = seq.saturating_add(1);
        self.range.messages += 1;
        self.range.bytes += size as u64;
    }

    /// Nobody asks about this message any more.
    pub(super) fn forget(&mut self, seq: u64) -> Option<Held> {
        self.held.remove(&seq)
    }

    /// Takes a message out that has not been read: it is deleted.
    pub(super) fn remove(&mut self, seq: u64, size: usize) -> Option<Held> {
        if self.asked.is_some() {
            self.gone.insert(seq);
        }
        self.uncount(size);
        self.held.remove(&seq)
    }

    /// A message was read that stands in its place, and is to be let in, with this ticket; `None` when it was taken out meanwhile.
    pub(super) fn enter(&mut self, seq: u64, size: usize) -> Option<Ticket> {
        if !self.contains(seq) {
            return None;
        }
        self.range.first = seq + 1;
        self.uncount(size);
        let held = self.held.remove(&seq);
        Some(held.map_or(Ticket::RESTORED, |held| held.ticket))
    }

    /// Whether a message that was read is still there.
    pub(super) fn contains(&self, seq: u64) -> bool {
        (self.range.first..self.range.next).contains(&seq) && !self.gone.contains(&seq)
    }

    /// All up to here was read.
    pub(super) fn advance(&mut self, upto: u64) {
        self.range.first = self.range.first.max(upto);
    }

    /// What was counted too much, once nothing is left: messages and bytes.
    pub(super) fn take_excess(&mut self) -> (u64, u64) {
        if !self.is_empty() {
            return (0, 0);
        }
        let messages = core::mem::take(&mut self.range.messages);
        (messages, core::mem::take(&mut self.range.bytes))
    }

    /// A load that begins here, if none is under way. Records of messages that are `dropped` may still be there.
    pub(super) fn ask(
        &mut self,
        from: u64,
        max: usize,
        bytes: usize,
        dropped: impl Iterator<Item = u64>,
    ) -> Option<Load> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = Some(self.range.next);
        self.gone = dropped.collect();
        Some(Load {
            from: Key::Outgoing(from),
            to: Some(Key::Outgoing(self.range.next)),
            max,
            bytes,
        })
    }

    pub(super) fn is_loading(&self) -> bool {
        self.asked.is_some()
    }

    /// The answer came: where the stretch that was asked for ends.
    pub(super) fn answered(&mut self) -> Option<u64> {
        self.asked.take()
    }

    fn uncount(&mut self, size: usize) {
        self.range.messages = self.range.messages.saturating_sub(1);
        self.range.bytes = self.range.bytes.saturating_sub(size as u64);
    }
}
