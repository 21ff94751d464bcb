//! What was accepted and not sent: a window of it in memory and, when there is a store, the rest of it there.
//!
//! In the order of publishing, messages of QoS 1 and 2 stand in three places: the window, the disk, and those behind it whose records
//! are not stored yet. Without a store, and while everything fits, there is only the window. A message leaves the window when it is
//! sent; the window is filled again from the disk. What is sent, and with which identifiers, is the sender's business.

mod config;
mod disk;
mod doubt;
mod newest;
mod places;
mod room;
mod spare;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::ops::Range;
use core::time::Duration;
use ohmqtt_codec::{PacketId, Qos};

pub use self::config::{OutboxConfig, OutboxCounters, OutboxLimits, Overflow, Window};
use self::disk::{Disk, Held};
use self::newest::Newest;
pub(crate) use self::places::{Failed, Front};
use self::spare::Spare;
use super::FlowEvent;
use crate::message::{LostMessage, Outgoing, Ticket};
use crate::record::{Backlog, Key, Lsn, Record, StoreLog, StoreOp};
use crate::{Instant, Load};

/// How many bytes may wait in memory for the store. Then new messages wait outside.
pub(crate) const UNSTORED: usize = 8 * 1024 * 1024;
/// The number of an operation that is still to be asked for.
const UNTOLD: Lsn = Lsn(u64::MAX);
/// How much one look at the disk reads for messages whose time has passed, and how often a full outbox looks.
const SWEPT_MESSAGES: usize = 1024;
const SWEPT_BYTES: usize = 1024 * 1024;
const SWEEP_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    config: OutboxConfig,
    /// Accepted at QoS 1 and 2 and not sent yet: the first of them, in order.
    window: VecDeque<Box<Outgoing>>,
    window_bytes: usize,
    /// Those behind the window.
    disk: Disk,
    /// Those behind the disk, whose records are not stored yet.
    pending: VecDeque<Box<Outgoing>>,
    pending_bytes: usize,
    /// Accepted at QoS 0 and not sent yet, in order.
    queue0: VecDeque<Box<Outgoing>>,
    queue0_bytes: usize,
    /// The places of messages that came behind the window and that somebody asks about.
    by_ticket: BTreeMap<Ticket, u64>,
    /// Accepted and not finished.
    messages: usize,
    bytes: usize,
    next_seq: u64,
    /// Messages whose record is not stored yet; in the order of their records.
    accepting: VecDeque<(Lsn, u64, Ticket)>,
    /// When unsent messages are given up that somebody asks about.
    deadlines: BTreeSet<(Instant, u64)>,
    /// Messages on the disk may have come by shared subscriptions.
    is_shared: bool,
    /// There for `Overflow::KeepNewest`.
    newest: Option<Newest>,
    counters: OutboxCounters,
    spare: Spare,
    /// By their places, the deletions of messages that were given up without an identifier, or whose identifiers may be in use again.
    /// While such a record is there, a restart would mistake those behind it; so they wait.
    deleting: BTreeMap<u64, Lsn>,
    /// Where the messages behind the window lie, when the store could not be told. A restart would mistake what has left the disk since;
    /// so nothing new is sent.
    hold: Lsn,
    /// Records of messages below this number may be stored although they are said to have failed: they were asked for twice.
    asked_before: u64,
    /// What is on the disk, or about to be, is not as the store was told.
    moved: bool,
    /// The store has been told of messages behind the window.
    told: bool,
    /// Messages before this place are given up as they come from the disk.
    cleared: u64,
    /// Messages of these places are not sent before it was answered whether they may be.
    doubted: Range<u64>,
    sweep: Sweep,
    /// Nothing in memory is over before this.
    next_over: Option<Instant>,
}

/// Looking through the disk for messages whose time has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sweep {
    /// There was room whenever somebody asked.
    #[default]
    Off,
    /// The outbox was full: from then on.
    At(Instant),
    /// Under way: from this place on.
    From(u64),
    /// Asked for: a stretch from this place on.
    Asked(u64),
}

/// A message that was taken out unsent.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) seq: u64,
    pub(crate) ticket: Ticket,
    pub(crate) size: usize,
    pub(crate) qos: Qos,
    pub(crate) packet_id: Option<PacketId>,
}

impl Outbox {
    pub(crate) fn new(config: OutboxConfig) -> Self {
        Self {
            config,
            newest: (config.overflow == Overflow::KeepNewest).then(Newest::default),
            ..Self::default()
        }
    }

    /// Messages accepted and not finished, and their size in bytes.
    pub(crate) fn queued(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    pub(crate) fn limits(&self) -> OutboxLimits {
        self.config.limits
    }

    pub(crate) fn counters(&self) -> OutboxCounters {
        self.counters
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.config.overflow
    }

    /// A message is in the outbox from here on, wherever it stands.
    pub(crate) fn count(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size;
    }

    /// And from here on it is not.
    pub(crate) fn uncount(&mut self, size: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }

    /// Memory for a message that is taken in.
    pub(crate) fn keep(&mut self, outgoing: Outgoing) -> Box<Outgoing> {
        self.spare.put(outgoing)
    }

    /// A message is finished, and was counted out.
    pub(crate) fn recycle(&mut self, outgoing: Box<Outgoing>) {
        self.spare.take(outgoing, self.messages == 0);
    }

    pub(crate) fn count_accepted(&mut self) {
        self.counters.accepted += 1;
    }

    pub(crate) fn count_delivered(&mut self) {
        self.counters.delivered += 1;
    }

    pub(crate) fn lose(
        &mut self,
        ticket: Ticket,
        why: LostMessage,
        events: &mut impl FnMut(FlowEvent),
    ) {
        self.counters.count(why);
        events(FlowEvent::Lost { ticket, why });
    }

    /// Somebody was refused for want of room: what is over on the disk is to be found.
    pub(crate) fn note_full(&mut self, now: Instant) {
        self.counters.refused += 1;
        if self.sweep == Sweep::Off && !self.disk.is_empty() {
            self.sweep = Sweep::At(now);
        }
    }

    /// Puts a message that was counted at the end of its queue, and asks for its record. `reserve` gives an identifier to one that is
    /// about to be sent.
    pub(crate) fn enqueue(
        &mut self,
        log: &mut StoreLog,
        mut outgoing: Box<Outgoing>,
        reserve: impl FnOnce() -> Option<PacketId>,
    ) {
        outgoing.seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        self.index(&outgoing);
        let size = outgoing.message.size();
        if outgoing.message.qos == Qos::AtMostOnce {
            self.queue0_bytes += size;
            self.queue0.push_back(outgoing);
            return;
        }
        let in_window = !log.is_durable()
            || self.disk.is_empty() && self.pending.is_empty() && self.window_takes(size);
        if log.is_durable() {
            // The identifier is recorded before it is used, so that a crash cannot make two messages of one. Those that have one stand
            // before those that have none.
            let follows = self
                .window
                .back()
                .is_none_or(|last| last.packet_id.is_some());
            if in_window && follows {
                outgoing.packet_id = reserve();
            }
            outgoing.lsn = log.push(|| StoreOp::Put(record(&outgoing)));
            outgoing.first = outgoing.lsn;
            if outgoing.ticket.is_some() {
                let accepting = (outgoing.lsn, outgoing.seq, outgoing.ticket);
                self.accepting.push_back(accepting);
            }
        }
        if in_window {
            self.window_bytes += size;
            self.window.push_back(outgoing);
        } else {
            if outgoing.ticket.is_asked() {
                self.by_ticket.insert(outgoing.ticket, outgoing.seq);
            }
            self.pending_bytes += size;
            self.is_shared |= outgoing.via.is_some();
            self.pending.push_back(outgoing);
            self.moved = true;
        }
    }

    pub(crate) fn window_len(&self) -> usize {
        self.window.len()
    }

    fn window_takes(&self, size: usize) -> bool {
        let window = &self.config.window;
        self.window.is_empty()
            || self.window.len() < window.messages && self.window_bytes + size <= window.bytes
    }

    /// The store has come further, or the window has room: messages behind it move up, or let go of their payloads.
    pub(crate) fn settle(&mut self, log: &StoreLog) {
        while let Some(front) = self.pending.front() {
            let size = front.message.size();
            let fits = self.disk.is_empty() && self.window_takes(size);
            if !fits && !log.is_stored(front.lsn) {
                return;
            }
            let Some(outgoing) = self.pending.pop_front() else {
                return;
            };
            self.pending_bytes -= size;
            self.moved = true;
            if fits {
                self.window_bytes += size;
                self.window.push_back(outgoing);
            } else {
                let (ticket, deadline) = (outgoing.ticket, outgoing.deadline);
                self.disk.push(
                    outgoing.seq,
                    Held {
                        ticket,
                        deadline,
                        size,
                    },
                );
            }
        }
    }

    /// The store holds more: messages whose records it has are accepted.
    pub(crate) fn handle_stored(&mut self, log: &StoreLog, events: &mut impl FnMut(FlowEvent)) {
        while let Some(&(lsn, seq, ticket)) = self.accepting.front() {
            if !log.is_stored(lsn) {
                break;
            }
            self.accepting.pop_front();
            // One that was given up meanwhile is not.
            if self.is_in_memory(seq) {
                events(FlowEvent::Accepted { ticket });
            }
        }
        self.deleting.retain(|_, lsn| !log.is_stored(*lsn));
        self.settle(log);
    }

    /// What the store is to know of the messages behind the window, if it does not.
    pub(crate) fn poll_store(&mut self) -> Option<StoreOp> {
        if !core::mem::take(&mut self.moved) {
            return None;
        }
        let behind = self.behind_window();
        let told = core::mem::replace(&mut self.told, behind.is_some());
        match behind {
            Some(backlog) => Some(StoreOp::Put(Record::Backlog(backlog))),
            None => told.then_some(StoreOp::Delete(Key::Backlog)),
        }
    }

    /// What [`poll_store`](Self::poll_store) gave has this number.
    pub(crate) fn handle_told(&mut self, lsn: Lsn) {
        if self.hold == UNTOLD {
            self.hold = lsn;
        }
    }

    /// The store does not know after all.
    pub(crate) fn tell_again(&mut self) {
        self.moved = true;
        self.told = true;
        self.hold = UNTOLD;
    }

    fn behind_window(&self) -> Option<Backlog> {
        let disk = self.disk.range();
        let first = if self.disk.is_empty() {
            self.pending.front()?.seq
        } else {
            disk.first
        };
        Some(Backlog {
            first,
            next: self.next_seq,
            messages: disk.messages + self.pending.len() as u64,
            bytes: disk.bytes + self.pending_bytes as u64,
        })
    }

    /// The next stretch to be read: for the window, when half of it is empty, or to look for what is over.
    pub(crate) fn poll_load(&mut self, log: &StoreLog) -> Option<Load> {
        if self.disk.is_empty() || self.disk.is_loading() {
            return None;
        }
        let window = self.config.window;
        let has_room = self.window.len() <= window.messages / 2;
        if self.window.is_empty() || has_room && self.window_bytes <= window.bytes / 2 {
            let first = self.disk.range().first;
            let max = window.messages.saturating_sub(self.window.len()).max(1);
            let bytes = window.bytes.saturating_sub(self.window_bytes);
            return self.disk.ask(first, max, bytes, log.deletions());
        }
        let Sweep::From(at) = self.sweep else {
            return None;
        };
        self.sweep = Sweep::Asked(at);
        self.disk
            .ask(at, SWEPT_MESSAGES, SWEPT_BYTES, log.deletions())
    }

    /// When something is to be looked at without being asked.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let sweep = match self.sweep {
            Sweep::At(at) => Some(at),
            _ => None,
        };
        deadline.into_iter().chain(sweep).min()
    }

    /// Begins to look through the disk, if it is time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Sweep::At(at) = self.sweep
            && at <= now
        {
            self.sweep = if self.has_room(1) {
                Sweep::Off
            } else {
                Sweep::From(self.disk.range().first)
            };
        }
    }

    /// The next message whose deadline has passed and that somebody asks about.
    pub(crate) fn pop_deadline(&mut self, now: Instant) -> Option<u64> {
        let (at, _) = self.deadlines.first()?;
        if *at > now {
            return None;
        }
        self.deadlines.pop_first().map(|(_, seq)| seq)
    }

    /// All unsent messages are given up as they are met.
    pub(crate) fn clear(&mut self) {
        self.cleared = self.next_seq;
    }

    /// The operations of a session that were polled are answered elsewhere.
    pub(crate) fn rewind(&mut self) {
        self.asked_before = self.next_seq;
    }

    /// Whether a new message has to wait until something before it is stored.
    pub(crate) fn is_held(&self, log: &StoreLog, seq: u64) -> bool {
        !log.is_stored(self.hold) || self.deleting.range(..seq).next().is_some()
    }

    /// Nothing new behind this place is sent before this deletion of the message there is stored.
    pub(crate) fn hold_behind(&mut self, seq: u64, deletion: Lsn) {
        if deletion != Lsn::NONE {
            self.deleting.insert(seq, deletion);
        }
    }

    /// Notes an unsent message where it is looked for by topic and by deadline.
    fn index(&mut self, outgoing: &Outgoing) {
        self.next_over = earlier(self.next_over, outgoing.over_at());
        if let Some(newest) = &mut self.newest {
            let size = outgoing.message.size();
            newest.add(&outgoing.message.topic, outgoing.seq, size);
        }
        if outgoing.ticket.is_asked()
            && let Some(deadline) = outgoing.deadline
        {
            self.deadlines.insert((deadline, outgoing.seq));
        }
    }

    fn unindex(&mut self, outgoing: &Outgoing) {
        self.by_ticket.remove(&outgoing.ticket);
        if let Some(newest) = &mut self.newest {
            newest.remove(outgoing.seq);
        }
        if let Some(deadline) = outgoing.deadline {
            self.deadlines.remove(&(deadline, outgoing.seq));
        }
    }
}

/// The earlier of two moments, if there is one.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

/// The record of a message as it stands.
pub(crate) fn record(outgoing: &Outgoing) -> Record {
    Record::Message {
        seq: outgoing.seq,
        packet_id: outgoing.packet_id,
        accepted: outgoing.accepted,
        deadline: outgoing.deadline,
        via: outgoing.via.clone(),
        message: outgoing.message.clone(),
    }
}
