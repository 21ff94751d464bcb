//! The sending half of QoS 0, 1 and 2 (section 4.3), for client and server alike: what was accepted, what is in flight, what is
//! released, and what has to be sent again.
//!
//! It knows nothing of sockets or handshakes. Identifiers of SUBSCRIBE and UNSUBSCRIBE stand in the same table, because they come
//! from the same set.

mod acks;
mod records;
mod resume;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use ohmqtt_codec::{AckProperties, PacketId, Publish, Qos, ReasonCode};

use super::ids::IdTable;
use super::{FlowEvent, Gated, OutboxLimits, PublishError, Rejected};
use crate::Instant;
use crate::aliases::OutboundAliases;
use crate::connection::PeerLimits;
use crate::message::{LostMessage, Message, Outgoing, PublishOptions, Ticket};
use crate::record::{Key, Lsn, Record, StoreLog, StoreOp};

/// What an identifier of ours is used for.
#[derive(Debug)]
enum InUse {
    /// Named in the record of a message that waits to be sent.
    Reserved,
    /// Sent, or about to be sent again: waits for its PUBACK or PUBREC.
    Published(InFlight),
    /// PUBREC came: waits for its PUBCOMP.
    Released(Release),
    /// A SUBSCRIBE or UNSUBSCRIBE of this connection.
    Request(Request),
}

#[derive(Debug)]
struct InFlight {
    /// Sent on the connection that stands now, and so counted in the quota.
    on_wire: bool,
    message: Outgoing,
}

#[derive(Debug)]
struct Release {
    seq: u64,
    ticket: Ticket,
    /// The place in the order of the PUBRECs.
    order: u64,
    size: usize,
    lsn: Lsn,
    reason: ReasonCode,
    properties: AckProperties,
}

/// What a request of ours was, so that its answer is read as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: RequestKind,
    pub(crate) ticket: Ticket,
    /// How many filters it named, and so how many codes its answer has.
    pub(crate) filters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Subscribe,
    Unsubscribe,
}

/// How many queued messages have recorded identifiers, so that they can be sent one behind the other.
const ID_BATCH: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Sender {
    ids: IdTable<InUse>,
    /// Accepted at QoS 1 and 2 and not sent yet, in order.
    queue: VecDeque<Outgoing>,
    /// Accepted at QoS 0 and not sent yet, in order.
    queue0: VecDeque<Outgoing>,
    /// To be sent again on this connection before anything new, in the order of publishing.
    resend: VecDeque<(u64, PacketId)>,
    limits: OutboxLimits,
    /// Accepted and not finished.
    messages: usize,
    bytes: usize,
    /// Unacknowledged on this connection: what the other side's Receive Maximum limits.
    unacknowledged: usize,
    next_seq: u64,
    next_release: u64,
    /// The first release of the connection that stands now: PUBRELs of those before it were sent again.
    first_release: u64,
    /// The deletion of a message that was given up without an identifier. While its record is there, a restart would take those behind
    /// it for not sent; so they wait.
    hold: Lsn,
    /// A connection stands: identifiers are recorded with the message, because it is about to be sent.
    connected: bool,
    /// Messages, by number, whose record is not stored yet; in the order of their records.
    accepting: VecDeque<(Lsn, u64)>,
    /// Records of messages below this number may be stored although they are said to have failed: they were asked for twice.
    asked_before: u64,
    /// What the store kept is not taken back yet: the numbers of new messages are not known.
    restoring: bool,
    /// Accepted while that is so.
    staged: VecDeque<Outgoing>,
}

impl Sender {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Messages accepted and not finished, and their size in bytes.
    pub(crate) fn queued(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// From here on messages are only gathered, until `restored`: what the store kept comes before them.
    pub(crate) fn begin_restoring(&mut self) {
        self.restoring = true;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.unacknowledged
    }

    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.messages < self.limits.messages && self.bytes.saturating_add(size) <= self.limits.bytes
    }

    /// Takes a message into the outbox: from here on it is *accepted*, once its record is stored.
    pub(crate) fn accept(
        &mut self,
        log: &mut StoreLog,
        now: Instant,
        message: Message,
        options: PublishOptions,
        events: &mut impl FnMut(FlowEvent),
    ) -> Result<(), Box<Rejected>> {
        let size = message.size();
        if size > self.limits.bytes {
            let limit = self.limits.bytes;
            let error = PublishError::TooLargeForOutbox { size, limit };
            return Err(Rejected::new(message, error).into());
        }
        if !self.has_room(size) {
            let error = PublishError::Full {
                limits: self.limits,
            };
            return Err(Rejected::new(message, error).into());
        }
        self.messages += 1;
        self.bytes += size;
        let outgoing = Outgoing {
            seq: 0,
            ticket: options.ticket,
            accepted: now,
            deadline: options.deadline,
            keep_offline: options.keep_offline,
            alias: options.alias,
            lsn: Lsn::NONE,
            first: Lsn::NONE,
            packet_id: None,
            message,
        };
        let offline = !self.connected && !outgoing.keep_offline;
        if outgoing.message.qos == Qos::AtMostOnce && offline {
            self.give_up0(&outgoing, LostMessage::Offline, events);
        } else if self.restoring {
            self.staged.push_back(outgoing);
        } else {
            self.enqueue(log, outgoing);
        }
        Ok(())
    }

    /// Puts a message that was counted at the end of its queue, and asks for its record.
    fn enqueue(&mut self, log: &mut StoreLog, mut outgoing: Outgoing) {
        outgoing.seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        if outgoing.message.qos == Qos::AtMostOnce {
            self.queue0.push_back(outgoing);
            return;
        }
        if log.is_durable() {
            // The identifier is recorded before it is used, so that a crash cannot make two messages of one. Without a connection
            // there is none yet: a message read back without an identifier was certainly not sent. Far from its turn it has none
            // either: identifiers are for SUBSCRIBE too.
            if self.connected && self.queue.len() < ID_BATCH {
                outgoing.packet_id = self.reserve();
            }
            outgoing.lsn = log.push(|| StoreOp::Put(record(&outgoing)));
            outgoing.first = outgoing.lsn;
            if outgoing.ticket.is_some() {
                self.accepting.push_back((outgoing.lsn, outgoing.seq));
            }
        }
        self.queue.push_back(outgoing);
    }

    fn reserve(&mut self) -> Option<PacketId> {
        let id = self.ids.next_free()?;
        self.ids.insert(id, InUse::Reserved);
        Some(id)
    }

    /// Takes an identifier for a SUBSCRIBE or UNSUBSCRIBE.
    pub(crate) fn request(&mut self, request: Request) -> Option<PacketId> {
        let id = self.ids.next_free()?;
        self.ids.insert(id, InUse::Request(request));
        Some(id)
    }

    /// The request that this answer ends, if its identifier and kind are those of one.
    pub(crate) fn end_request(&mut self, id: PacketId, kind: RequestKind) -> Option<Request> {
        match self.ids.get(id) {
            Some(InUse::Request(request)) if request.kind == kind => {
                let request = *request;
                self.ids.remove(id);
                Some(request)
            }
            _ => None,
        }
    }

    fn give_up0(
        &mut self,
        outgoing: &Outgoing,
        why: LostMessage,
        events: &mut impl FnMut(FlowEvent),
    ) {
        self.messages -= 1;
        self.bytes -= outgoing.message.size();
        lose(outgoing.ticket, why, events);
    }

    /// The next PUBLISH that may go now: first what has to be sent again, then what is new, in order.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_>,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Publish> {
        while !self.resend.is_empty() && self.has_quota(wire.peer) {
            if let Some(publish) = self.poll_resend(now, log, wire, events) {
                return Some(publish);
            }
        }
        loop {
            // A message of higher QoS waits for quota, for its record, and for what goes again before it. QoS 0 need not wait for it.
            // [MQTT-3.3.4-8] [MQTT-3.3.4-10] [MQTT-4.9.0-3] A full window delays these PUBLISHes and nothing else.
            let ready = self.queue.front().filter(|head| {
                let has_id = head.packet_id.is_some() || self.ids.len() < usize::from(u16::MAX);
                let has_turn = self.resend.is_empty() && self.has_quota(wire.peer);
                has_id && has_turn && log.is_stored(head.lsn.max(self.hold))
            });
            let outgoing = match (ready, self.queue0.front()) {
                (Some(head), Some(head0)) if head0.seq < head.seq => self.queue0.pop_front()?,
                (Some(_), _) => self.queue.pop_front()?,
                (None, Some(_)) => self.queue0.pop_front()?,
                (None, None) => return None,
            };
            if let Some(why) = outgoing
                .is_over(now)
                .or_else(|| wire.peer.refuses(&outgoing.message))
            {
                self.give_up(log, &outgoing, why, events);
                continue;
            }
            if outgoing.message.qos == Qos::AtMostOnce {
                self.messages -= 1;
                self.bytes -= outgoing.message.size();
                let publish = match wire.publish(&outgoing, now, None, false) {
                    Ok(publish) => publish,
                    Err(why) => {
                        lose(outgoing.ticket, why, events);
                        continue;
                    }
                };
                if outgoing.ticket.is_some() {
                    events(FlowEvent::Sent {
                        ticket: outgoing.ticket,
                    });
                }
                return Some(publish);
            }
            if let Some(publish) = self.send(now, log, wire, outgoing, events) {
                return Some(publish);
            }
        }
    }

    // [MQTT-3.3.4-7] [MQTT-3.3.4-9] [MQTT-4.9.0-2] Never more unacknowledged than the other side's Receive Maximum.
    fn has_quota(&self, peer: &PeerLimits) -> bool {
        self.unacknowledged < usize::from(peer.receive_maximum.get())
    }

    fn poll_resend(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_>,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Publish> {
        let (seq, id) = self.resend.pop_front()?;
        let Some(InUse::Published(flight)) = self.ids.get_mut(id) else {
            return None;
        };
        if flight.message.seq != seq || flight.on_wire {
            return None;
        }
        // [MQTT-4.3.3-7] What was sent once does not expire any more.
        // [MQTT-3.3.1-1] What is delivered again has DUP 1. A message read back from a store may have been sent before.
        let refused = wire.peer.refuses(&flight.message.message);
        let sendable = match refused {
            Some(why) => Err(why),
            None => wire.publish(&flight.message, now, Some(id), true),
        };
        let publish = match sendable {
            Ok(publish) => publish,
            Err(why) => {
                // The other side lowered its limits.
                let (ticket, size) = (flight.message.ticket, flight.message.message.size());
                if flight.message.message.qos == Qos::ExactlyOnce {
                    self.release_given_up(log, id, wire.gated);
                } else {
                    self.ids.remove(id);
                    self.finish(log, seq, size);
                }
                lose(ticket, why, events);
                return None;
            }
        };
        flight.on_wire = true;
        self.unacknowledged += 1;
        Some(publish)
    }

    /// Sends a message of QoS 1 or 2 for the first time; `None` when it was given up, or put back for want of an identifier.
    fn send(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_>,
        outgoing: Outgoing,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Publish> {
        if log.is_durable() && outgoing.packet_id.is_none() {
            // There was no identifier when it was accepted. It is recorded now, and the message waits for that.
            self.queue.push_front(outgoing);
            self.record_ids(log);
            return None;
        }
        // [MQTT-4.3.2-1] [MQTT-4.3.3-1] Each new message has an identifier that is not in use.
        let Some(id) = outgoing.packet_id.or_else(|| self.ids.next_free()) else {
            self.queue.push_front(outgoing);
            return None;
        };
        // [MQTT-4.3.2-2] [MQTT-4.3.3-2] The first PUBLISH has that identifier and DUP 0.
        let publish = match wire.publish(&outgoing, now, Some(id), false) {
            Ok(publish) => publish,
            Err(why) => {
                self.ids.remove(id);
                self.finish(log, outgoing.seq, outgoing.message.size());
                lose(outgoing.ticket, why, events);
                return None;
            }
        };
        if outgoing.ticket.is_some() {
            events(FlowEvent::Sent {
                ticket: outgoing.ticket,
            });
        }
        // [MQTT-4.3.2-3] [MQTT-4.3.3-3] It counts as unacknowledged from here until PUBACK or PUBREC.
        self.ids.insert(
            id,
            InUse::Published(InFlight {
                on_wire: true,
                message: outgoing,
            }),
        );
        self.unacknowledged += 1;
        Some(publish)
    }

    /// A message of QoS 1 or 2 is done: its record goes, and nothing waits for that.
    fn finish(&mut self, log: &mut StoreLog, seq: u64, size: usize) -> Lsn {
        self.messages -= 1;
        self.bytes -= size;
        log.push(|| StoreOp::Delete(Key::Outgoing(seq)))
    }

    fn give_up(
        &mut self,
        log: &mut StoreLog,
        outgoing: &Outgoing,
        why: LostMessage,
        events: &mut impl FnMut(FlowEvent),
    ) {
        if outgoing.message.qos == Qos::AtMostOnce {
            return self.give_up0(outgoing, why, events);
        }
        let deletion = self.finish(log, outgoing.seq, outgoing.message.size());
        match outgoing.packet_id {
            Some(id) => {
                self.ids.remove(id);
            }
            None => self.hold = deletion,
        }
        lose(outgoing.ticket, why, events);
    }
}

fn record(outgoing: &Outgoing) -> Record {
    Record::Message {
        seq: outgoing.seq,
        packet_id: outgoing.packet_id,
        accepted: outgoing.accepted,
        deadline: outgoing.deadline,
        message: outgoing.message.clone(),
    }
}

fn lose(ticket: Ticket, why: LostMessage, events: &mut impl FnMut(FlowEvent)) {
    events(FlowEvent::Lost { ticket, why });
}

/// What the connection has to do with a message that is about to be sent.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) peer: &'a PeerLimits,
    pub(crate) gated: &'a mut Gated,
    pub(crate) aliases: &'a mut OutboundAliases,
}

impl Wire<'_> {
    /// The packet as it is to be sent now, unless it is larger than the other side accepts.
    ///
    // [MQTT-3.1.2-24] [MQTT-3.2.2-15] Such a packet is not sent. [MQTT-3.1.2-25] The message counts as done.
    fn publish(
        &mut self,
        outgoing: &Outgoing,
        now: Instant,
        packet_id: Option<PacketId>,
        dup: bool,
    ) -> Result<Publish, LostMessage> {
        let mut publish = outgoing.to_publish(now, packet_id, dup);
        let limit = self.peer.packet_size();
        self.aliases.apply(&mut publish, outgoing.alias, limit);
        let size = publish.encoded_len();
        if size > limit {
            let limit = self.peer.maximum_packet_size;
            return Err(LostMessage::TooLarge { size, limit });
        }
        Ok(publish)
    }
}
