//! The sending half and its records: what is asked of the store, what its word means, and what is taken back after a restart.

use alloc::boxed::Box;
use ohmqtt_codec::{AckProperties, PacketId, Qos, ReasonCode};

use super::{InFlight, InUse, Release, Sender};
use crate::aliases::AliasPolicy;
use crate::flows::FlowEvent;
use crate::flows::outbox::Failed;
use crate::message::{LostMessage, Outgoing, Ticket};
use crate::record::{Key, Lsn, Record, StoreLog, StoreOp};

impl Sender {
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
        if let Failed::Lost(unsent) = self.outbox.fail_unstored(log, old, op, *seq) {
            if let Some(id) = unsent.packet_id {
                self.ids.remove(id);
            }
            self.outbox.uncount(unsent.size);
            self.outbox
                .lose(unsent.ticket, LostMessage::StoreFailed, events);
        }
        true
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
                via,
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
                    via,
                    message,
                };
                self.restore_message(log, Box::new(outgoing));
            }
            Record::Released { seq, packet_id } => {
                self.outbox.pass(seq.saturating_add(1));
                self.outbox.count(0);
                let release = Release {
                    seq,
                    ticket: Ticket::RESTORED,
                    order: self.next_release,
                    size: 0,
                    lsn: Lsn::NONE,
                    given_up: false,
                    reason: ReasonCode::Success,
                    properties: AckProperties::default(),
                };
                self.next_release += 1;
                self.restore_release(log, packet_id, release);
            }
            Record::Received { .. } | Record::Backlog(_) => {}
        }
    }

    fn restore_message(&mut self, log: &mut StoreLog, mut outgoing: Box<Outgoing>) {
        self.outbox.pass(outgoing.seq.saturating_add(1));
        if outgoing.message.qos == Qos::AtMostOnce {
            // Such a record was never asked for.
            log.push(|| StoreOp::Delete(Key::Outgoing(outgoing.seq)));
            return;
        }
        self.outbox.count(outgoing.message.size());
        // Of two records with one identifier the earlier one has it: as long as that is there, the later message was not sent.
        let is_free = |id: &PacketId| self.ids.get(*id).is_none();
        outgoing.packet_id = outgoing.packet_id.filter(is_free);
        match outgoing.packet_id {
            // Whether it was sent before the process ended is not known, so it is sent again as a duplicate.
            Some(id) if self.outbox.window_len() == 0 => {
                let flight = InFlight {
                    on_wire: false,
                    message: outgoing,
                };
                self.ids.insert(id, InUse::Published(flight));
            }
            // One before it has no identifier, was therefore not sent, and neither was this one: they go in their order.
            Some(id) => {
                self.ids.insert(id, InUse::Reserved);
                self.outbox.restore(outgoing);
            }
            None => self.outbox.restore(outgoing),
        }
    }

    /// A release takes its identifier from whatever has it: it was sent, and so what came before it was done.
    fn restore_release(&mut self, log: &mut StoreLog, packet_id: PacketId, release: Release) {
        match self.ids.insert(packet_id, InUse::Released(release)) {
            Some(InUse::Published(flight)) => {
                self.finish(log, flight.message.seq, flight.message.message.size());
            }
            Some(InUse::Released(release)) => {
                self.finish(log, release.seq, release.size);
            }
            Some(InUse::Reserved) => self.outbox.unname(packet_id),
            Some(InUse::Request(_)) | None => {}
        }
    }

    /// All is taken back: what was accepted meanwhile goes behind it.
    pub(crate) fn restored(&mut self, log: &mut StoreLog) {
        self.restoring = false;
        self.staged_bytes = 0;
        for outgoing in core::mem::take(&mut self.staged) {
            self.enqueue(log, outgoing);
        }
    }
}
