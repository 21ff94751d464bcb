//! The sending half and its records: what is asked of the store, what its word means, and what is taken back after a restart.

use ohmqtt_codec::{AckProperties, PacketId, ReasonCode};

use super::{InFlight, InUse, Release, Sender, lose, record};
use crate::aliases::AliasPolicy;
use crate::flows::FlowEvent;
use crate::message::{LostMessage, Outgoing, Ticket};
use crate::record::{Lsn, Record, StoreLog, StoreOp};

/// How many queued messages get their identifiers recorded in one batch, when they were accepted without one.
const ID_BATCH: usize = 256;

impl Sender {
    /// The store has come this far: messages whose records it holds are accepted.
    pub(crate) fn handle_stored(&mut self, upto: Lsn, events: &mut impl FnMut(FlowEvent)) {
        while let Some(&(_, ticket)) = self.accepting.front().filter(|(lsn, _)| *lsn <= upto) {
            self.accepting.pop_front();
            events(FlowEvent::Accepted { ticket });
        }
    }

    /// Gives the next queued messages their identifiers and asks for the records, in one batch.
    pub(super) fn record_ids(&mut self, log: &mut StoreLog) {
        for at in 0..self.queue.len().min(ID_BATCH) {
            if self.queue[at].packet_id.is_none() {
                let Some(id) = self.reserve() else { return };
                let outgoing = &mut self.queue[at];
                outgoing.packet_id = Some(id);
                outgoing.recorded |= log.is_stored(outgoing.lsn);
                outgoing.lsn = log.push(|| StoreOp::Put(record(outgoing)));
            }
        }
    }

    /// An operation failed. True when it was the record of a message that only waits for it: the message fails, and that is all.
    pub(crate) fn fail_unstored(
        &mut self,
        log: &mut StoreLog,
        lsn: Lsn,
        op: &StoreOp,
        events: &mut impl FnMut(FlowEvent),
    ) -> bool {
        let StoreOp::Put(Record::Message { .. }) = op else {
            return false;
        };
        // A message that was given up or acknowledged meanwhile needs no record either. New ones stand at the end.
        let Some(at) = self.queue.iter().rposition(|outgoing| outgoing.lsn == lsn) else {
            return true;
        };
        if self.queue[at].recorded {
            // It was accepted long ago; only its identifier is to be recorded, and that is tried again.
            let outgoing = &mut self.queue[at];
            outgoing.lsn = log.push(|| op.clone());
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
        self.accepting.retain(|(accepting, _)| *accepting != lsn);
        lose(outgoing.ticket, LostMessage::StoreFailed, events);
        true
    }

    /// The record of a release has a new number.
    pub(crate) fn regate(&mut self, packet_id: PacketId, new: Lsn) {
        if let Some(InUse::Released(release)) = self.ids.get_mut(packet_id) {
            release.lsn = new;
        }
    }

    /// Takes back what a store kept. Called before the first connection, in key order.
    pub(crate) fn restore(&mut self, record: Record) {
        match record {
            Record::Message {
                seq,
                packet_id,
                accepted,
                deadline,
                message,
            } => {
                self.next_seq = self.next_seq.max(seq + 1);
                self.messages += 1;
                self.bytes += message.size();
                let (ticket, lsn, recorded) = (Ticket::NONE, Lsn::NONE, true);
                let keep_offline = true;
                let outgoing = Outgoing {
                    seq,
                    ticket,
                    accepted,
                    deadline,
                    keep_offline,
                    alias: AliasPolicy::Never,
                    lsn,
                    recorded,
                    packet_id,
                    message,
                };
                match packet_id {
                    // Whether it was sent before the process ended is not known, so it is sent again as a duplicate.
                    Some(id) => {
                        self.ids.insert(
                            id,
                            InUse::Published(InFlight {
                                on_wire: false,
                                message: outgoing,
                            }),
                        );
                    }
                    None => self.queue.push_back(outgoing),
                }
            }
            Record::Released { seq, packet_id } => {
                self.next_seq = self.next_seq.max(seq + 1);
                self.messages += 1;
                let release = Release {
                    seq,
                    ticket: Ticket::NONE,
                    order: self.next_release,
                    size: 0,
                    lsn: Lsn::NONE,
                    reason: ReasonCode::Success,
                    properties: AckProperties::default(),
                };
                self.next_release += 1;
                self.ids.insert(packet_id, InUse::Released(release));
            }
            Record::Received { .. } => {}
        }
    }
}
