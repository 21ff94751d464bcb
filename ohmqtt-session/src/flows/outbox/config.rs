//! What an outbox is told once, and what it counts.

use crate::LostMessage;

/// How much an outbox holds, and what it does when that is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// Messages accepted and not finished, in flight or waiting, in memory or in the store.
    pub limits: OutboxLimits,
    /// How many of the unsent ones are in memory when there is a store; the others are read from it in their turn.
    pub window: Window,
    /// What becomes of a message that finds no room.
    pub overflow: Overflow,
}

/// How much the outbox holds: messages accepted and not finished, in flight or waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many bytes, counted as packets.
    pub bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// How many unsent messages a durable outbox holds in memory. One is held in any case, however large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many bytes, counted as packets.
    pub bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            messages: 1024,
            bytes: 4 * 1024 * 1024,
        }
    }
}

/// What becomes of a message that finds no room in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// It is given back: to be offered again, or to be given up.
    #[default]
    Refuse,
    /// The oldest unsent messages make room for it. What was sent is not taken back.
    DropOldest,
    /// Unsent messages make room for it that have a newer one on their topic, or would have it, the oldest first. The newest on each
    /// topic stays: when there is nothing else, the message is given back.
    ///
    /// For this the topic of each unsent message is known in memory, and counts against the bytes of the outbox.
    KeepNewest,
}

/// What became of messages, counted since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxCounters {
    /// Taken into the outbox.
    pub accepted: u64,
    /// Given back for want of room.
    pub refused: u64,
    /// Acknowledged, or sent at QoS 0.
    pub delivered: u64,
    /// Dropped to make room, under [`Overflow::DropOldest`].
    pub dropped: u64,
    /// Dropped for a newer message on their topic, under [`Overflow::KeepNewest`].
    pub replaced: u64,
    /// Not sent by their deadline.
    pub deadline_passed: u64,
    /// Not sent within their Message Expiry Interval.
    pub expired: u64,
    /// Not stored.
    pub store_failed: u64,
    /// Given up because the other side had lost the session.
    pub session_lost: u64,
    /// Lost for any other reason, such as QoS 0 without a connection.
    pub other: u64,
}

impl OutboxCounters {
    pub(crate) fn count(&mut self, why: LostMessage) {
        let counter = match why {
            LostMessage::Dropped => &mut self.dropped,
            LostMessage::Replaced => &mut self.replaced,
            LostMessage::DeadlinePassed => &mut self.deadline_passed,
            LostMessage::Expired => &mut self.expired,
            LostMessage::StoreFailed => &mut self.store_failed,
            LostMessage::SessionLost => &mut self.session_lost,
            _ => &mut self.other,
        };
        *counter += 1;
    }

    /// Accepted messages that were not delivered and never will be.
    pub fn lost(&self) -> u64 {
        self.dropped
            + self.replaced
            + self.deadline_passed
            + self.expired
            + self.store_failed
            + self.session_lost
            + self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_the_sum_of_all_that_was_given_up() {
        let counters = OutboxCounters {
            accepted: 1000,
            refused: 2000,
            delivered: 4000,
            dropped: 1,
            replaced: 2,
            deadline_passed: 4,
            expired: 8,
            store_failed: 16,
            session_lost: 32,
            other: 64,
        };
        assert_eq!(counters.lost(), 127);
    }
}
