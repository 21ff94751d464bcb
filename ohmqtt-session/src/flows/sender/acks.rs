//! PUBACK, PUBREC and PUBCOMP at the sending half.

use ohmqtt_codec::{Ack, AckProperties, Packet, PacketId, Qos, ReasonCode};

use super::{InUse, Release, Sender};
use crate::ProtocolError;
use crate::flows::{FlowEvent, Gated};
use crate::message::Ticket;
use crate::record::{Lsn, Record, StoreLog, StoreOp};

impl Sender {
    pub(crate) fn handle_puback(
        &mut self,
        log: &mut StoreLog,
        ack: Ack,
        events: &mut impl FnMut(FlowEvent),
    ) -> Result<(), ProtocolError> {
        let is_qos1 = |used: &InUse| matches!(used, InUse::Published(flight) if flight.message.message.qos == Qos::AtLeastOnce);
        match self.ids.remove_if(ack.packet_id, is_qos1) {
            Ok(used) => {
                self.end_published(log, used, ack, events);
                Ok(())
            }
            // An acknowledgement of what this side does not know cannot be answered, and harms nothing.
            Err(false) => Ok(()),
            Err(true) => Err(ProtocolError::UnexpectedAck {
                packet_id: ack.packet_id,
                packet: "PUBACK",
            }),
        }
    }

    /// A PUBREC: either the end of the flow, or a PUBREL that waits for its record.
    pub(crate) fn handle_pubrec(
        &mut self,
        log: &mut StoreLog,
        ack: Ack,
        gated: &mut Gated,
        events: &mut impl FnMut(FlowEvent),
    ) -> Result<(), ProtocolError> {
        let id = ack.packet_id;
        let Some(used) = self.ids.get_mut(id) else {
            // An error ends the flow, and there is none to end.
            if !ack.reason.is_error() {
                let unknown = Ack::with_reason(id, ReasonCode::PacketIdentifierNotFound);
                gated.push_back((Lsn::NONE, Packet::PubRel(unknown)));
            }
            return Ok(());
        };
        match used {
            InUse::Published(flight) if flight.message.message.qos == Qos::ExactlyOnce => {
                // [MQTT-4.4.0-2] A PUBREC of 0x80 or more ends the flow: nothing is sent again, the identifier is free.
                if ack.reason.is_error() {
                    if let Some(used) = self.ids.remove(id) {
                        self.end_published(log, used, ack, events);
                    }
                    return Ok(());
                }
                let seq = flight.message.seq;
                // [MQTT-4.3.3-6] From here on only the PUBREL is sent again: the message itself is let go.
                let lsn = log.push(|| StoreOp::Put(Record::Released { seq, packet_id: id }));
                let release = Release {
                    seq,
                    ticket: flight.message.ticket,
                    order: self.next_release,
                    size: flight.message.message.size(),
                    lsn,
                    given_up: false,
                    reason: ack.reason,
                    properties: ack.properties.detached(),
                };
                self.next_release += 1;
                if !flight.on_wire {
                    self.unacknowledged += 1;
                }
                // [MQTT-4.3.3-5] The PUBREL counts as unacknowledged until PUBCOMP.
                let used = core::mem::replace(used, InUse::Released(release));
                if let InUse::Published(flight) = used {
                    self.outbox.recycle(flight.message);
                }
                // [MQTT-4.3.3-4] [MQTT-2.2.1-5] PUBREL has the identifier of the PUBLISH.
                gated.push_back((lsn, Packet::PubRel(Ack::new(id))));
                Ok(())
            }
            InUse::Released(release) => {
                gated.push_back((release.lsn, Packet::PubRel(Ack::new(id))));
                Ok(())
            }
            _ => Err(ProtocolError::UnexpectedAck {
                packet_id: id,
                packet: "PUBREC",
            }),
        }
    }

    pub(crate) fn handle_pubcomp(
        &mut self,
        log: &mut StoreLog,
        ack: Ack,
        events: &mut impl FnMut(FlowEvent),
    ) -> Result<(), ProtocolError> {
        let is_released = |used: &InUse| matches!(used, InUse::Released(_));
        let release = match self.ids.remove_if(ack.packet_id, is_released) {
            Ok(InUse::Released(release)) => release,
            Ok(_) | Err(false) => return Ok(()),
            Err(true) => {
                return Err(ProtocolError::UnexpectedAck {
                    packet_id: ack.packet_id,
                    packet: "PUBCOMP",
                });
            }
        };
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
        self.finish(log, release.seq, release.size);
        if !release.given_up {
            self.outbox.count_delivered();
        }
        if release.ticket.is_some() {
            // PUBREC told what became of the message; PUBCOMP adds something only when it is an error. That the identifier is unknown
            // is none when the PUBREL was sent again (3.7.2.1): the first one has done its work.
            let again = release.order < self.first_release
                && ack.reason == ReasonCode::PacketIdentifierNotFound;
            let (reason, properties) = if ack.reason.is_error() && !again {
                (ack.reason, ack.properties.detached())
            } else {
                (release.reason, release.properties)
            };
            events(FlowEvent::Acked {
                ticket: release.ticket,
                packet_id: ack.packet_id,
                reason,
                properties,
            });
        }
        Ok(())
    }

    /// A message is given up that was sent at QoS 2 on an earlier connection. The other side may have it and hold its identifier, under
    /// which another message would be taken for the same one: PUBREL releases that.
    pub(super) fn release_given_up(&mut self, log: &mut StoreLog, id: PacketId, gated: &mut Gated) {
        let Some(InUse::Published(flight)) = self.ids.get(id) else {
            return;
        };
        let (seq, size) = (flight.message.seq, flight.message.message.size());
        self.outbox.uncount(size);
        self.outbox.count(0);
        let lsn = log.push(|| StoreOp::Put(Record::Released { seq, packet_id: id }));
        let release = Release {
            seq,
            ticket: Ticket::NONE,
            order: self.next_release,
            size: 0,
            lsn,
            given_up: true,
            reason: ReasonCode::Success,
            properties: AckProperties::default(),
        };
        self.next_release += 1;
        self.unacknowledged += 1;
        self.ids.insert(id, InUse::Released(release));
        gated.push_back((lsn, Packet::PubRel(Ack::new(id))));
    }

    /// A message is acknowledged that was taken out of the table.
    fn end_published(
        &mut self,
        log: &mut StoreLog,
        used: InUse,
        ack: Ack,
        events: &mut impl FnMut(FlowEvent),
    ) {
        let InUse::Published(flight) = used else {
            return;
        };
        if flight.on_wire {
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
        }
        self.finish(log, flight.message.seq, flight.message.message.size());
        self.outbox.count_delivered();
        let ticket = flight.message.ticket;
        self.outbox.recycle(flight.message);
        if ticket.is_some() {
            events(FlowEvent::Acked {
                ticket,
                packet_id: ack.packet_id,
                reason: ack.reason,
                properties: ack.properties.detached(),
            });
        }
    }
}
