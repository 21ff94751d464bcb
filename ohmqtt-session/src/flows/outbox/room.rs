//! Whether the outbox has room for a message, and what goes to make some.

use super::newest::Newest;
use super::{Front, Outbox, Overflow, UNSTORED, Unsent};
use crate::Message;
use crate::record::StoreLog;

impl Outbox {
    /// Whether a message of this size has room, the costs of its topic aside.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        let index = self.newest.as_ref().map_or(0, Newest::bytes);
        let bytes = self.bytes.saturating_add(index).saturating_add(size);
        self.fits(self.messages, bytes)
    }

    pub(crate) fn has_room_for(&self, message: &Message) -> bool {
        let index = self.newest.as_ref();
        self.has_room(message.size() + index.map_or(0, |newest| newest.cost(&message.topic)))
    }

    /// Whether it has room, or others may be dropped for it.
    pub(crate) fn finds_room_for(&self, message: &Message) -> bool {
        let never = self.cost(message) > self.config.limits.bytes;
        !never && (self.has_room_for(message) || self.could_have_room_for(message))
    }

    /// What a message occupies when it is alone.
    pub(crate) fn cost(&self, message: &Message) -> usize {
        let index = self.newest.as_ref();
        message.size() + index.map_or(0, |_| Newest::first_cost(&message.topic))
    }

    /// Whether a message would have room if all went that may be dropped for it. If not, nothing is dropped for it.
    pub(crate) fn could_have_room_for(&self, message: &Message) -> bool {
        let index = self.newest.as_ref().map_or(0, Newest::bytes);
        let (messages, bytes, indexed) = match (&self.newest, self.config.overflow) {
            (Some(newest), _) => newest.poppable(&message.topic),
            (None, Overflow::DropOldest) => {
                let disk = self.disk.range();
                let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                let messages = self.window.len() + self.pending.len() + self.queue0.len();
                let bytes = self.window_bytes + self.pending_bytes + self.queue0_bytes;
                let messages = messages.saturating_add(count(disk.messages));
                (messages, bytes.saturating_add(count(disk.bytes)), 0)
            }
            (None, _) => (0, 0, 0),
        };
        let rest = self.bytes.saturating_sub(bytes);
        let index = index.saturating_sub(indexed);
        self.fits(
            self.messages.saturating_sub(messages),
            rest.saturating_add(index + self.cost(message)),
        )
    }

    fn fits(&self, messages: usize, bytes: usize) -> bool {
        messages < self.config.limits.messages && bytes <= self.config.limits.bytes
    }

    /// So many bytes wait for the store that more would only pile up in memory.
    pub(crate) fn is_ahead_of_store(log: &StoreLog) -> bool {
        log.bytes() >= UNSTORED
    }

    /// Takes out the message to drop next, so that this one finds room; `None`: there is none, or it has to be read first.
    pub(crate) fn pop_displaced(&mut self, log: &StoreLog, message: &Message) -> Option<Unsent> {
        match self.config.overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest => {
                let head = self.window.front().map(|head| head.seq);
                let oldest = head.or_else(|| self.behind().map(|behind| behind.first));
                let front = match (oldest, self.queue0.front()) {
                    (Some(oldest), Some(head0)) if head0.seq < oldest => Front::Qos0,
                    (None, Some(_)) => Front::Qos0,
                    _ => Front::Window,
                };
                self.pop(log, front).map(|outgoing| Unsent::of(&outgoing))
            }
            Overflow::KeepNewest => {
                let (seq, size) = self.newest.as_mut()?.pop_older(&message.topic)?;
                self.remove(log, seq, size)
            }
        }
    }
}
