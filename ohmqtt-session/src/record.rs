//! What a session asks its store to keep: numbered operations on typed records.
//!
//! The session knows what a record means; `ohmqtt-store` knows how it looks as bytes. A session emits operations in the order of
//! their numbers and is told "stored up to n" or "failed up to n"; nothing else is said between the two.

use alloc::sync::Arc;
use alloc::vec::Vec;
use ohmqtt_codec::{PacketId, Qos, TopicFilter};

use crate::{Instant, Message};

/// The number of a store operation of one session. Numbers grow by one; `Lsn::NONE` waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first operation: always stored.
    pub const NONE: Self = Self(0);
}

/// Where a record stands. Keys of one session are ordered by kind, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// What lies behind the outgoing messages that are in memory.
    Backlog,
    /// An outgoing message, from *accepted* until it is acknowledged, by its place in the order of publishing.
    Outgoing(u64),
    /// The Packet Identifier of an incoming QoS 2 message, from its PUBREC until its PUBREL.
    Received(PacketId),
}

impl Key {
    /// Behind all outgoing messages and before all received identifiers.
    pub(crate) const BEHIND_OUTGOING: Self = Self::Outgoing(u64::MAX);

    /// The first key behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        let after = |id: PacketId| id.get().checked_add(1).and_then(PacketId::new);
        match self {
            Self::Backlog => Self::Outgoing(0),
            Self::Outgoing(seq) => Self::Outgoing(seq.saturating_add(1)),
            Self::Received(id) => Self::Received(after(id).unwrap_or(id)),
        }
    }
}

/// What is kept under a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What lies in the store and not in memory.
    Backlog(Backlog),
    /// An accepted message. Its Packet Identifier is recorded before it is used.
    Message {
        /// The place in the order of publishing.
        seq: u64,
        /// The identifier it will be sent with, once it has one.
        packet_id: Option<PacketId>,
        /// When the message was accepted: what its Message Expiry Interval counts from.
        accepted: Instant,
        /// When the message is to be dropped if it was not sent.
        deadline: Option<Instant>,
        /// The shared subscription it came by.
        via: Option<Arc<TopicFilter>>,
        /// The message.
        message: Message,
    },
    /// A QoS 2 message whose PUBREC has come: only its PUBREL remains to be acknowledged.
    Released {
        /// The place in the order of publishing.
        seq: u64,
        /// The identifier to release.
        packet_id: PacketId,
    },
    /// An incoming QoS 2 message that the application has taken.
    Received {
        /// The identifier the other side will release.
        packet_id: PacketId,
    },
}

impl Record {
    /// Where this record stands.
    pub fn key(&self) -> Key {
        match self {
            Self::Backlog(_) => Key::Backlog,
            Self::Message { seq, .. } | Self::Released { seq, .. } => Key::Outgoing(*seq),
            Self::Received { packet_id } => Key::Received(*packet_id),
        }
    }
}

/// One operation on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// Write this record, in place of what stands under its key.
    Put(Record),
    /// Remove what stands under this key.
    Delete(Key),
}

impl StoreOp {
    /// Whether it has to be on the disk once it is stored, also where a store may lose its last moments.
    ///
    /// At QoS 2 both sides remember identifiers. If a crash took back that one was used here, or was free again, the next message with
    /// it would be taken for the old one, by this side or the other, and be lost. At QoS 1 what is lost is lost, and nothing else.
    pub fn must_be_safe(&self) -> bool {
        match self {
            Self::Put(Record::Message {
                packet_id, message, ..
            }) => packet_id.is_some() && message.qos == Qos::ExactlyOnce,
            Self::Put(Record::Released { .. } | Record::Received { .. })
            | Self::Delete(Key::Received(_)) => true,
            Self::Put(Record::Backlog(_)) | Self::Delete(Key::Backlog | Key::Outgoing(_)) => false,
        }
    }

    /// The key it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::Put(record) => record.key(),
            Self::Delete(key) => *key,
        }
    }
}

/// The messages that lie in the store and not in memory: all unsent, with places in the order of publishing from `first` to before
/// `next`. Some of these places may be empty.
///
/// It is written again with every batch that changes it, so that a restart need not read what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The place of the first one.
    pub first: u64,
    /// The place behind the last one.
    pub next: u64,
    /// How many there are.
    pub messages: u64,
    /// Their size in bytes, counted as packets.
    pub bytes: u64,
}

/// A stretch of records that the session wants to read, in the order of their keys.
///
/// The answer is [`Session::handle_loaded`](crate::Session::handle_loaded), or `handle_load_failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The first key wanted.
    pub from: Key,
    /// The first key not wanted any more; `None`: all of the session's records behind `from`.
    pub to: Option<Key>,
    /// How many records at most.
    pub max: usize,
    /// No more records once those read have so many bytes. One is read in any case.
    pub bytes: usize,
}

/// The answer to a [`Load`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What stands in the stretch, in the order of the keys; the first of it, when `max` or `bytes` was reached.
    pub records: Vec<Record>,
    /// Whether that is all of the stretch.
    pub complete: bool,
}

/// The operations of a session that are not stored yet, and how far the store has come.
#[derive(Debug, Default)]
pub(crate) struct StoreLog {
    /// Whether anything is stored at all. Without it nothing is emitted and nothing waits.
    durable: bool,
    last: Lsn,
    stored: Lsn,
    /// Emitted or not, not stored yet; ordered by number.
    unstored: alloc::collections::VecDeque<(Lsn, StoreOp)>,
    /// How many of `unstored` were polled.
    polled: usize,
    /// Operations up to this one were polled by somebody whose answers went elsewhere: one that fails may be stored all the same.
    asked_twice: Lsn,
    /// About what `unstored` occupies, in bytes.
    bytes: usize,
}

/// About what an operation that waits occupies, in bytes.
fn cost(op: &StoreOp) -> usize {
    let payload = match op {
        StoreOp::Put(Record::Message { message, .. }) => message.size(),
        StoreOp::Put(_) | StoreOp::Delete(_) => 0,
    };
    size_of::<(Lsn, StoreOp)>() + payload
}

impl StoreLog {
    pub(crate) fn new(durable: bool) -> Self {
        Self {
            durable,
            ..Self::default()
        }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    /// Asks for an operation and says which number a packet has to wait for. The closure runs only when there is a store.
    pub(crate) fn push(&mut self, op: impl FnOnce() -> StoreOp) -> Lsn {
        if !self.durable {
            return Lsn::NONE;
        }
        let op = op();
        self.last.0 += 1;
        self.bytes += cost(&op);
        self.unstored.push_back((self.last, op));
        self.last
    }

    /// About what waits for the store in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The places of outgoing messages whose records are asked to be deleted, and may still be there.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = u64> {
        self.unstored.iter().filter_map(|(_, op)| match op {
            StoreOp::Delete(Key::Outgoing(seq)) => Some(*seq),
            _ => None,
        })
    }

    pub(crate) fn is_stored(&self, lsn: Lsn) -> bool {
        lsn <= self.stored
    }

    /// Whoever polls from now on polls from the first operation that is not stored: the answers to earlier polls go elsewhere.
    ///
    /// An operation may so be stored twice, but never after a later one alone, and each says what a key holds, not how it changes.
    pub(crate) fn rewind(&mut self) {
        if let Some((lsn, _)) = self.unstored.iter().take(self.polled).next_back() {
            self.ask_twice(*lsn);
        }
        self.polled = 0;
    }

    pub(crate) fn was_asked_twice(&self, lsn: Lsn) -> bool {
        lsn <= self.asked_twice
    }

    /// This operation was asked for before, under whatever number.
    pub(crate) fn ask_twice(&mut self, lsn: Lsn) {
        self.asked_twice = self.asked_twice.max(lsn);
    }

    pub(crate) fn has_unpolled(&self) -> bool {
        self.polled < self.unstored.len()
    }

    pub(crate) fn poll(&mut self) -> Option<(Lsn, StoreOp)> {
        let next = self.unstored.get(self.polled)?.clone();
        self.polled += 1;
        Some(next)
    }

    pub(crate) fn handle_stored(&mut self, upto: Lsn) {
        let stored = self.take_upto(upto).map(|(lsn, _)| lsn).last();
        self.stored = self.stored.max(stored.unwrap_or(Lsn::NONE));
    }

    /// The last operation on this key that is not stored yet, or `Lsn::NONE`.
    pub(crate) fn latest(&self, key: Key) -> Lsn {
        let last = self.unstored.iter().rev().find(|(_, op)| op.key() == key);
        last.map_or(Lsn::NONE, |(lsn, _)| *lsn)
    }

    /// Takes out the operations of a failed batch: the caller fails or repeats each of them.
    pub(crate) fn handle_failed(&mut self, upto: Lsn) -> Vec<(Lsn, StoreOp)> {
        self.take_upto(upto).collect()
    }

    pub(crate) fn unstored(&self) -> impl ExactSizeIterator<Item = &(Lsn, StoreOp)> {
        self.unstored.iter()
    }

    fn take_upto(&mut self, upto: Lsn) -> impl Iterator<Item = (Lsn, StoreOp)> {
        let n = self
            .unstored
            .iter()
            .take(self.polled)
            .take_while(|(lsn, _)| *lsn <= upto)
            .count();
        self.polled -= n;
        let taken = self.unstored.iter().take(n);
        self.bytes -= taken.map(|(_, op)| cost(op)).sum::<usize>();
        self.unstored.drain(..n)
    }
}
