//! The sending half and its records: what is asked of the store, what its word means, and what is taken back after a restart.

use ohmqtt_codec::{AckProperties, PacketId, Qos, ReasonCode};

use super::{ID_BATCH, InFlight, InUse, Release, Sender, lose, record};
use crate::aliases::AliasPolicy;
use crate::flows::FlowEvent;
use crate::message::{LostMessage, Outgoing, Ticket};
use crate::record::{Key, Lsn, Record, StoreLog, StoreOp};

impl Sender {
    /// The store has come further: messages whose records it holds are accepted.
    pub(crate) fn handle_stored(&mut self, log: &StoreLog, events: &mut impl FnMut(FlowEvent)) {
        while let Some(&(lsn, seq)) = self.accepting.front() {
            if !log.is_stored(lsn) {
                return;
            }
            self.accepting.pop_front();
            // One that was cleared meanwhile is not.
            if let Ok(at) = self.position(seq) {
                let ticket = self.queue[at].ticket;
                events(FlowEvent::Accepted { ticket });
            }
        }
    }

    /// Operations up to this one have failed, and `fail_unstored` has heard of each: those messages are not waited for any more.
    pub(crate) fn handle_failed(&mut self, upto: Lsn) {
        while let Some(&(lsn, seq)) = self.accepting.front() {
            if lsn > upto {
                return;
            }
            self.accepting.pop_front();
            if let Ok(at) = self.position(seq) {
                // A later record may still make it accepted.
                let first = self.queue[at].first;
                let place = self.accepting.partition_point(|(lsn, _)| *lsn < first);
                self.accepting.insert(place, (first, seq));
            }
        }
    }

    /// Where in the queue a message stands.
    fn position(&self, seq: u64) -> Result<usize, usize> {
        self.queue
            .binary_search_by_key(&seq, |outgoing| outgoing.seq)
    }

    /// Gives the next queued messages their identifiers and asks for the records, in one batch.
    pub(super) fn record_ids(&mut self, log: &mut StoreLog) {
        for at in 0..self.queue.len().min(ID_BATCH) {
            if self.queue[at].packet_id.is_none() {
                let Some(id) = self.reserve() else { return };
                let outgoing = &mut self.queue[at];
                outgoing.packet_id = Some(id);
                outgoing.lsn = log.push(|| StoreOp::Put(record(outgoing)));
            }
        }
    }

    /// An operation failed. True when it was the record of a message: what is to be done about it is done.
    pub(crate) fn fail_unstored(
        &mut self,
        log: &mut StoreLog,
        old: Lsn,
        op: &StoreOp,
        events: &mut impl FnMut(FlowEvent),
    ) -> bool {
        let StoreOp::Put(Record::Message { seq, .. }) = op else {
            return false;
        };
        // A message that was given up meanwhile needs no record.
        let Ok(at) = self.position(*seq) else {
            return true;
        };
        let outgoing = &mut self.queue[at];
        if outgoing.first != old {
            // It was accepted long ago; only its identifier is to be recorded, and that is tried again.
            if outgoing.lsn == old {
                outgoing.lsn = log.push(|| op.clone());
            }
            return true;
        }
        if outgoing.lsn != old {
            // Its next record is under way, and may do.
            outgoing.first = outgoing.lsn;
            return true;
        }
        let Some(outgoing) = self.queue.remove(at) else {
            return true;
        };
        if let Some(id) = outgoing.packet_id {
            self.ids.remove(id);
        }
        self.messages -= 1;
        self.bytes -= outgoing.message.size();
        if outgoing.seq < self.asked_before {
            self.hold = log.push(|| StoreOp::Delete(Key::Outgoing(outgoing.seq)));
        }
        lose(outgoing.ticket, LostMessage::StoreFailed, events);
        true
    }

    /// A deletion has a new number.
    pub(crate) fn hold_again(&mut self, old: Lsn, new: Lsn) {
        if old <= self.hold {
            self.hold = new;
        }
    }

    /// The answers to what was asked of the store so far go elsewhere.
    pub(crate) fn rewind(&mut self) {
        self.asked_before = self.next_seq;
    }

    /// The record of a release has a new number.
    pub(crate) fn regate(&mut self, packet_id: PacketId, old: Lsn, new: Lsn) {
        match self.ids.get_mut(packet_id) {
            Some(InUse::Released(release)) if release.lsn == old => release.lsn = new,
            _ => {}
        }
    }

    /// Takes back what a store kept. Called before the first connection, in key order.
    pub(crate) fn restore(&mut self, log: &mut StoreLog, record: Record) {
        match record {
            Record::Message {
                seq,
                packet_id,
                accepted,
                deadline,
                message,
            } => {
                let outgoing = Outgoing {
                    seq,
                    ticket: Ticket::RESTORED,
                    accepted,
                    deadline,
                    keep_offline: true,
                    alias: AliasPolicy::Never,
                    lsn: Lsn::NONE,
                    first: Lsn::NONE,
                    packet_id,
                    message,
                };
                self.restore_message(log, outgoing);
            }
            Record::Released { seq, packet_id } => {
                self.next_seq = self.next_seq.max(seq.saturating_add(1));
                self.messages += 1;
                let release = Release {
                    seq,
                    ticket: Ticket::RESTORED,
                    order: self.next_release,
                    size: 0,
                    lsn: Lsn::NONE,
                    reason: ReasonCode::Success,
                    properties: AckProperties::default(),
                };
                self.next_release += 1;
                self.restore_id(log, packet_id, InUse::Released(release));
            }
            Record::Received { .. } => {}
        }
    }

    fn restore_message(&mut self, log: &mut StoreLog, outgoing: Outgoing) {
        self.next_seq = self.next_seq.max(outgoing.seq.saturating_add(1));
        if outgoing.message.qos == Qos::AtMostOnce {
            // Such a record was never asked for.
            log.push(|| StoreOp::Delete(Key::Outgoing(outgoing.seq)));
            return;
        }
        self.messages += 1;
        self.bytes += outgoing.message.size();
        match outgoing.packet_id {
            // Whether it was sent before the process ended is not known, so it is sent again as a duplicate.
            Some(id) if self.queue.is_empty() => {
                let flight = InFlight {
                    on_wire: false,
                    message: outgoing,
                };
                self.restore_id(log, id, InUse::Published(flight));
            }
            // One before it has no identifier, was therefore not sent, and neither was this one: they go in their order.
            Some(id) => {
                self.restore_id(log, id, InUse::Reserved);
                self.queue.push_back(outgoing);
            }
            None => self.queue.push_back(outgoing),
        }
    }

    /// Of two records with one identifier the later one has it: the earlier message was done, and its deletion not stored.
    fn restore_id(&mut self, log: &mut StoreLog, id: PacketId, used: InUse) {
        match self.ids.insert(id, used) {
            Some(InUse::Published(flight)) => {
                self.finish(log, flight.message.seq, flight.message.message.size());
            }
            Some(InUse::Released(release)) => {
                self.finish(log, release.seq, release.size);
            }
            Some(InUse::Reserved) => {
                // It stands in the queue, and gets another one.
                let mut queued = self.queue.iter_mut();
                if let Some(outgoing) = queued.find(|outgoing| outgoing.packet_id == Some(id)) {
                    outgoing.packet_id = None;
                }
            }
            Some(InUse::Request(_)) | None => {}
        }
    }

    /// All is taken back: what was accepted meanwhile goes behind it.
    pub(crate) fn restored(&mut self, log: &mut StoreLog) {
        self.restoring = false;
        for outgoing in core::mem::take(&mut self.staged) {
            self.enqueue(log, outgoing);
        }
    }
}
