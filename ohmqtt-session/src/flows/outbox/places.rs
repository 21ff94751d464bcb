//! Where messages stand in the outbox: taking them out at the front, from wherever they are, and putting in what is read back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use ohmqtt_codec::{PacketId, Qos};

use super::{Disk, Outbox, SWEEP_EVERY, Sweep, Unsent, earlier, record};
use crate::Instant;
use crate::aliases::AliasPolicy;
use crate::flows::FlowEvent;
use crate::message::{LostMessage, Message, Outgoing, Ticket};
use crate::record::{Backlog, Key, Loaded, Lsn, Record, StoreLog, StoreOp};

/// Which queue a message is at the front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Of QoS 1 and 2.
    Window,
    /// Of QoS 0.
    Qos0,
}

/// The queues in memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Window,
    Pending,
    Qos0,
}

/// What is to be done about a record that failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing: it was done, or is no record of an unsent message.
    Nothing,
    /// Its message is lost.
    Lost(Unsent),
}

/// All of QoS 1 and 2 that is not sent, by where it stood.
type Unfinished = (
    VecDeque<Box<Outgoing>>,
    Option<Range<u64>>,
    VecDeque<Box<Outgoing>>,
);

impl Outbox {
    pub(crate) fn front(&self, front: Front) -> Option<&Outgoing> {
        match front {
            Front::Window => self.window.front().map(Box::as_ref),
            Front::Qos0 => self.queue0.front().map(Box::as_ref),
        }
    }

    /// Takes the message at the front out: it is unsent no more.
    pub(crate) fn pop(&mut self, log: &StoreLog, front: Front) -> Option<Box<Outgoing>> {
        let outgoing = match front {
            Front::Window => self.window.pop_front()?,
            Front::Qos0 => self.queue0.pop_front()?,
        };
        self.unindex(&outgoing);
        match front {
            Front::Window => {
                self.window_bytes -= outgoing.message.size();
                self.settle(log);
            }
            Front::Qos0 => self.queue0_bytes -= outgoing.message.size(),
        }
        Some(outgoing)
    }

    /// Puts a message that was sent before all others, to be sent anew.
    pub(crate) fn push_front(&mut self, outgoing: Box<Outgoing>) {
        self.index(&outgoing);
        self.window_bytes += outgoing.message.size();
        self.window.push_front(outgoing);
    }

    /// Gives the next messages their identifiers and asks for the records, in one batch.
    pub(crate) fn record_ids(
        &mut self,
        log: &mut StoreLog,
        max: usize,
        mut reserve: impl FnMut() -> Option<PacketId>,
    ) {
        for outgoing in self.window.iter_mut().take(max) {
            if outgoing.packet_id.is_none() {
                let Some(id) = reserve() else { return };
                outgoing.packet_id = Some(id);
                outgoing.lsn = log.push(|| StoreOp::Put(record(outgoing)));
            }
        }
    }

    /// Takes out the QoS 0 messages that are not kept without a connection.
    pub(crate) fn drop_offline(&mut self, events: &mut impl FnMut(FlowEvent)) {
        for outgoing in core::mem::take(&mut self.queue0) {
            if outgoing.keep_offline {
                self.queue0.push_back(outgoing);
            } else {
                self.unindex(&outgoing);
                self.queue0_bytes -= outgoing.message.size();
                self.uncount(outgoing.message.size());
                self.lose(outgoing.ticket, LostMessage::Offline, events);
            }
        }
    }

    /// Takes out all in memory that is over, if anything is.
    pub(crate) fn take_over(&mut self, log: &StoreLog, now: Instant) -> Vec<(Unsent, LostMessage)> {
        let mut over = Vec::new();
        if self.next_over.is_none_or(|at| at > now) {
            return over;
        }
        self.next_over = None;
        for place in [Place::Window, Place::Pending, Place::Qos0] {
            for outgoing in core::mem::take(self.place(place)) {
                if let Some(why) = outgoing.is_over(now) {
                    self.unindex(&outgoing);
                    over.push((Unsent::of(&outgoing), why));
                } else {
                    self.next_over = earlier(self.next_over, outgoing.over_at());
                    self.place(place).push_back(outgoing);
                }
            }
        }
        self.recount(log);
        over
    }

    /// Messages were taken out of the middle of the queues in memory.
    pub(super) fn recount(&mut self, log: &StoreLog) {
        let bytes = |queue: &VecDeque<Box<Outgoing>>| queue.iter().map(|o| o.message.size()).sum();
        self.window_bytes = bytes(&self.window);
        self.pending_bytes = bytes(&self.pending);
        self.queue0_bytes = bytes(&self.queue0);
        self.moved = true;
        self.settle(log);
    }

    pub(super) fn place(&mut self, place: Place) -> &mut VecDeque<Box<Outgoing>> {
        match place {
            Place::Window => &mut self.window,
            Place::Pending => &mut self.pending,
            Place::Qos0 => &mut self.queue0,
        }
    }

    /// Takes a message out wherever it stands. `size` is needed of one on the disk.
    pub(crate) fn remove(&mut self, log: &StoreLog, seq: u64, size: usize) -> Option<Unsent> {
        let outgoing = if let Ok(at) = self
            .window
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
        {
            let outgoing = self.window.remove(at)?;
            self.window_bytes -= outgoing.message.size();
            self.settle(log);
            outgoing
        } else if let Ok(at) = self
            .pending
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
        {
            let outgoing = self.pending.remove(at)?;
            self.pending_bytes -= outgoing.message.size();
            self.moved = true;
            outgoing
        } else if let Ok(at) = self
            .queue0
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
        {
            let outgoing = self.queue0.remove(at)?;
            self.queue0_bytes -= outgoing.message.size();
            outgoing
        } else if self.disk.contains(seq) {
            return Some(self.remove_from_disk(seq, size));
        } else {
            return None;
        };
        self.unindex(&outgoing);
        Some(Unsent::of(&outgoing))
    }

    fn remove_from_disk(&mut self, seq: u64, size: usize) -> Unsent {
        self.moved = true;
        if let Some(newest) = &mut self.newest {
            newest.remove(seq);
        }
        let held = self.disk.remove(seq, size);
        if let Some(held) = held {
            self.by_ticket.remove(&held.ticket);
            if let Some(deadline) = held.deadline {
                self.deadlines.remove(&(deadline, seq));
            }
        }
        Unsent {
            seq,
            ticket: held.map_or(Ticket::RESTORED, |held| held.ticket),
            size,
            qos: Qos::AtLeastOnce,
            packet_id: None,
        }
    }

    /// The size of a message that somebody asks about and that is on the disk; of others it is not needed.
    pub(crate) fn size_on_disk(&self, seq: u64) -> usize {
        self.disk.held(seq).map_or(0, |held| held.size)
    }

    /// Whether the message is unsent, and somebody asks about it if it is on the disk.
    pub(super) fn is_in_memory(&self, seq: u64) -> bool {
        self.position(seq).is_some() || self.disk.held(seq).is_some()
    }

    /// A message that has not gone to the disk.
    fn position(&self, seq: u64) -> Option<&Outgoing> {
        if let Ok(at) = self
            .window
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
        {
            return self.window.get(at).map(Box::as_ref);
        }
        let at = self
            .pending
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
            .ok()?;
        self.pending.get(at).map(Box::as_ref)
    }

    fn position_mut(&mut self, seq: u64) -> Option<&mut Outgoing> {
        if let Ok(at) = self
            .window
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
        {
            return self.window.get_mut(at).map(Box::as_mut);
        }
        let at = self
            .pending
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
            .ok()?;
        self.pending.get_mut(at).map(Box::as_mut)
    }

    /// Nobody asks about this message any more: only what it needs for itself is kept.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        let Some(seq) = self.by_ticket.remove(&ticket) else {
            return;
        };
        let deadline = match self.disk.forget(seq) {
            Some(held) => held.deadline,
            // It has yet to go there, or has come from there.
            None => self.position_mut(seq).and_then(|outgoing| {
                outgoing.ticket = Ticket::RESTORED;
                outgoing.deadline
            }),
        };
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, seq));
        }
    }

    /// The record of a message failed. One that was only just accepted is lost by that; an identifier is recorded again.
    pub(crate) fn fail_unstored(
        &mut self,
        log: &mut StoreLog,
        old: Lsn,
        op: &StoreOp,
        seq: u64,
    ) -> Failed {
        // A message that was given up meanwhile needs no record.
        let Some(outgoing) = self.position_mut(seq) else {
            return Failed::Nothing;
        };
        if outgoing.first != old {
            // It was accepted long ago; only its identifier is to be recorded, and that is tried again.
            if outgoing.lsn == old {
                outgoing.lsn = log.push(|| op.clone());
            }
            return Failed::Nothing;
        }
        if outgoing.lsn != old {
            // Its next record is under way, and may do.
            outgoing.first = outgoing.lsn;
            return Failed::Nothing;
        }
        let size = outgoing.message.size();
        let Some(unsent) = self.remove(log, seq, size) else {
            return Failed::Nothing;
        };
        if seq < self.asked_before {
            let deletion = log.push(|| StoreOp::Delete(Key::Outgoing(seq)));
            self.hold_behind(seq, deletion);
        }
        Failed::Lost(unsent)
    }

    /// Operations up to this one have failed, and `fail_unstored` has heard of each: those messages are not waited for any more.
    pub(crate) fn handle_failed(&mut self, upto: Lsn) {
        while let Some(&(lsn, seq, ticket)) = self.accepting.front() {
            if lsn > upto {
                return;
            }
            self.accepting.pop_front();
            if let Some(outgoing) = self.position(seq) {
                // A later record may still make it accepted.
                let first = outgoing.first;
                let place = self.accepting.partition_point(|(lsn, ..)| *lsn < first);
                self.accepting.insert(place, (first, seq, ticket));
            }
        }
    }

    /// What the store kept behind the window is there.
    pub(crate) fn restore_backlog(&mut self, backlog: Backlog) {
        let (messages, bytes) = (in_memory(backlog.messages), in_memory(backlog.bytes));
        self.messages = self.messages.saturating_add(messages);
        self.bytes = self.bytes.saturating_add(bytes);
        self.disk = Disk::restored(backlog);
        self.is_shared = true;
        self.told = true;
        self.pass(backlog.next);
    }

    /// A message that the store has behind the end of that: it could not be told of it any more.
    pub(crate) fn restore_behind(&mut self, seq: u64, size: usize) {
        self.count(size);
        self.disk.restore_behind(seq, size);
        self.moved = true;
        self.pass(seq.saturating_add(1));
    }

    /// What is behind the window, if anything is.
    pub(crate) fn behind(&self) -> Option<Backlog> {
        (!self.disk.is_empty()).then(|| *self.disk.range())
    }

    /// The place of the next new message is not before this one.
    pub(crate) fn pass(&mut self, next: u64) {
        self.next_seq = self.next_seq.max(next);
    }

    /// A message that the store kept, unsent.
    pub(crate) fn restore(&mut self, outgoing: Box<Outgoing>) {
        self.index(&outgoing);
        self.window_bytes += outgoing.message.size();
        self.window.push_back(outgoing);
    }

    /// A message that was read back has lost its identifier to another.
    pub(crate) fn unname(&mut self, packet_id: PacketId) {
        let mut window = self.window.iter_mut();
        if let Some(outgoing) = window.find(|outgoing| outgoing.packet_id == Some(packet_id)) {
            outgoing.packet_id = None;
        }
    }

    /// A record behind the window was read to know its topic.
    pub(crate) fn restore_topic(&mut self, seq: u64, message: &Message) {
        if let Some(newest) = &mut self.newest
            && self.disk.contains(seq)
        {
            newest.add(&message.topic, seq, message.size());
        }
    }

    /// Whether all that is behind the window is to be read once, for its topics.
    pub(crate) fn wants_topics(&self) -> Option<Backlog> {
        self.behind().filter(|_| self.newest.is_some())
    }

    /// A stretch of the disk was read and enters the window, but for what is over or cleared: that is to be given up.
    pub(crate) fn handle_loaded(
        &mut self,
        now: Instant,
        loaded: Loaded,
    ) -> Vec<(Unsent, LostMessage)> {
        let mut given_up = Vec::new();
        let Some(upto) = self.disk.answered() else {
            return given_up;
        };
        self.moved = true;
        if let Sweep::Asked(_) = self.sweep {
            return self.handle_swept(now, loaded, upto);
        }
        for record in loaded.records {
            let Record::Message {
                seq,
                accepted,
                deadline,
                via,
                message,
                ..
            } = record
            else {
                continue;
            };
            let size = message.size();
            let counted = *self.disk.range();
            let Some(ticket) = self.disk.enter(seq, size) else {
                continue;
            };
            // One whose deletion failed was counted no more.
            self.messages += usize::from(counted.messages == 0);
            self.bytes += size.saturating_sub(in_memory(counted.bytes));
            let outgoing = Box::new(Outgoing {
                seq,
                ticket,
                accepted,
                deadline,
                keep_offline: true,
                alias: AliasPolicy::Never,
                lsn: Lsn::NONE,
                first: Lsn::NONE,
                // It was not sent, so one in its record means nothing.
                packet_id: None,
                via,
                message,
            });
            let over = (seq < self.cleared).then_some(LostMessage::SessionLost);
            if let Some(why) = over.or_else(|| outgoing.is_over(now)) {
                self.unindex(&outgoing);
                given_up.push((Unsent::of(&outgoing), why));
            } else {
                self.window_bytes += outgoing.message.size();
                self.window.push_back(outgoing);
            }
        }
        if loaded.complete {
            self.disk.advance(upto);
        }
        // Places that turned out to be empty were counted by a batch that failed.
        let (messages, bytes) = self.disk.take_excess();
        self.messages = self.messages.saturating_sub(in_memory(messages));
        self.bytes = self.bytes.saturating_sub(in_memory(bytes));
        given_up
    }

    /// A stretch of the disk was read to find what is over.
    fn handle_swept(
        &mut self,
        now: Instant,
        loaded: Loaded,
        upto: u64,
    ) -> Vec<(Unsent, LostMessage)> {
        let mut over = Vec::new();
        let mut next = upto;
        for record in loaded.records {
            let Record::Message {
                seq,
                accepted,
                deadline,
                message,
                ..
            } = record
            else {
                continue;
            };
            if !loaded.complete {
                next = seq.saturating_add(1);
            }
            if let Some(why) = LostMessage::of_wait(now, accepted, deadline, &message)
                && self.disk.contains(seq)
            {
                over.push((self.remove_from_disk(seq, message.size()), why));
            }
        }
        self.sweep = if next < upto {
            Sweep::From(next)
        } else {
            Sweep::At(now + SWEEP_EVERY)
        };
        if self.disk.is_empty() || self.has_room(1) {
            self.sweep = Sweep::Off;
        }
        over
    }

    /// What was asked for could not be read: it is asked for again.
    pub(crate) fn handle_load_failed(&mut self) {
        self.disk.answered();
        if let Sweep::Asked(at) = self.sweep {
            self.sweep = Sweep::From(at);
        }
    }

    /// Takes out all of QoS 1 and 2 that is not sent: what is in memory, up to the disk; what is on the disk, if any of it may have come by
    /// a shared subscription; and what is in memory behind that.
    pub(crate) fn take_unsent(&mut self) -> Unfinished {
        let range = *self.disk.range();
        let stored = (self.is_shared && !self.disk.is_empty()).then_some(range.first..range.next);
        let window = core::mem::take(&mut self.window);
        (window, stored, core::mem::take(&mut self.pending))
    }

    /// Takes out everything that is in memory.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Unsent> + use<> {
        (self.window_bytes, self.pending_bytes, self.queue0_bytes) = (0, 0, 0);
        self.moved = true;
        let mut all = core::mem::take(&mut self.window);
        all.append(&mut self.queue0);
        all.append(&mut self.pending);
        for outgoing in &all {
            self.unindex(outgoing);
        }
        all.into_iter().map(|outgoing| Unsent::of(&outgoing))
    }
}

fn in_memory(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Unsent {
    pub(crate) fn of(outgoing: &Outgoing) -> Self {
        Self {
            seq: outgoing.seq,
            ticket: outgoing.ticket,
            size: outgoing.message.size(),
            qos: outgoing.message.qos,
            packet_id: outgoing.packet_id,
        }
    }
}
