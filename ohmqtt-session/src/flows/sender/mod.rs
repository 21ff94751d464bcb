//! The sending half of QoS 0, 1 and 2 (section 4.3), for client and server alike: what is in flight, what is released, and what has
//! to be sent again. What waits to be sent is the outbox's.
//!
//! It knows nothing of sockets or handshakes. Identifiers of SUBSCRIBE and UNSUBSCRIBE stand in the same table, because they come
//! from the same set.

mod acks;
mod records;
mod resume;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use ohmqtt_codec::{AckProperties, Packet, PacketId, Qos, ReasonCode, TopicName};

use super::ids::IdTable;
use super::outbox::{Front, Outbox, UNSTORED, Unsent};
use super::{FlowEvent, Gated, OutboxConfig, Overflow, PublishError, Rejected};
use crate::Instant;
use crate::aliases::OutboundAliases;
use crate::connection::PeerLimits;
use crate::message::{LostMessage, Message, Outgoing, PublishOptions, Ticket};
use crate::out::Out;
use crate::record::{Key, Loaded, Lsn, StoreLog, StoreOp};

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
    message: Box<Outgoing>,
}

#[derive(Debug)]
struct Release {
    seq: u64,
    ticket: Ticket,
    /// The place in the order of the PUBRECs.
    order: u64,
    size: usize,
    lsn: Lsn,
    /// What became of its message is told and counted: only the identifier is to be released.
    given_up: bool,
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
    pub(crate) outbox: Outbox,
    /// To be sent again on this connection before anything new, in the order of publishing.
    resend: VecDeque<(u64, PacketId)>,
    /// Unacknowledged on this connection: what the other side's Receive Maximum limits.
    unacknowledged: usize,
    next_release: u64,
    /// The first release of the connection that stands now: PUBRELs of those before it were sent again.
    first_release: u64,
    /// A connection stands: identifiers are recorded with the message, because it is about to be sent.
    connected: bool,
    /// What the store kept is not taken back yet: the numbers of new messages are not known.
    restoring: bool,
    /// Accepted while that is so.
    staged: VecDeque<Box<Outgoing>>,
    staged_bytes: usize,
}

impl Sender {
    pub(crate) fn new(outbox: OutboxConfig) -> Self {
        Self {
            outbox: Outbox::new(outbox),
            ..Self::default()
        }
    }

    /// From here on messages are only gathered, until `restored`: what the store kept comes before them.
    pub(crate) fn begin_restoring(&mut self) {
        self.restoring = true;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.unacknowledged
    }

    pub(crate) fn has_room(&self, log: &StoreLog, message: &Message) -> bool {
        let store_takes = message.qos == Qos::AtMostOnce || !self.is_ahead_of_store(log);
        store_takes && self.outbox.finds_room_for(message)
    }

    /// Operations that wait for the store, messages that wait for it to be read back among them, and about what they occupy in bytes.
    pub(crate) fn waits_for_store(&self, log: &StoreLog) -> (usize, usize) {
        let operations = log.unstored().len() + self.staged.len();
        (operations, log.bytes() + self.staged_bytes)
    }

    /// Whether an answer of the other side is due, or will be.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.ids.len() > 0
    }

    /// How many messages may be known to the other side and are not finished: sent, or released.
    pub(crate) fn under_way(&self) -> usize {
        let under_way = self.ids.iter().filter(|(_, used)| match used {
            InUse::Published(_) => true,
            InUse::Released(release) => !release.given_up,
            InUse::Reserved | InUse::Request(_) => false,
        });
        under_way.count()
    }

    fn is_ahead_of_store(&self, log: &StoreLog) -> bool {
        Outbox::is_ahead_of_store(log) || self.staged_bytes >= UNSTORED
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
        let offline = !self.connected && !options.keep_offline;
        if message.qos == Qos::AtMostOnce && offline {
            // It takes nobody's room.
            self.outbox.count_accepted();
            self.outbox
                .lose(options.ticket, LostMessage::Offline, events);
            return Ok(());
        }
        if let Err(error) = self.make_room(log, now, &message, events) {
            return Err(Rejected::new(message, error).into());
        }
        self.outbox.count(message.size());
        self.outbox.count_accepted();
        let outgoing = self.outbox.keep(Outgoing {
            seq: 0,
            ticket: options.ticket,
            accepted: now,
            deadline: options.deadline,
            keep_offline: options.keep_offline,
            alias: options.alias,
            lsn: Lsn::NONE,
            first: Lsn::NONE,
            packet_id: None,
            via: options.via,
            message,
        });
        if self.restoring {
            self.staged_bytes += outgoing.message.size();
            self.staged.push_back(outgoing);
        } else {
            self.enqueue(log, outgoing);
        }
        Ok(())
    }

    /// Sees to it that there is room for this message: what is over goes, and what was chosen to be dropped.
    fn make_room(
        &mut self,
        log: &mut StoreLog,
        now: Instant,
        message: &Message,
        events: &mut impl FnMut(FlowEvent),
    ) -> Result<(), PublishError> {
        let size = self.outbox.cost(message);
        let limits = self.outbox.limits();
        if size > limits.bytes {
            let limit = limits.bytes;
            return Err(PublishError::TooLargeForOutbox { size, limit });
        }
        if message.qos != Qos::AtMostOnce && self.is_ahead_of_store(log) {
            return Err(PublishError::StoreBehind);
        }
        if self.outbox.has_room_for(message) {
            return Ok(());
        }
        self.give_up_over(log, now, events);
        let why = match self.outbox.overflow() {
            Overflow::DropOldest => LostMessage::Dropped,
            Overflow::Refuse | Overflow::KeepNewest => LostMessage::Replaced,
        };
        while !self.outbox.has_room_for(message) {
            let displaced = if self.outbox.could_have_room_for(message) {
                self.outbox.pop_displaced(log, message)
            } else {
                None
            };
            let Some(unsent) = displaced else {
                self.outbox.note_full(now);
                return Err(PublishError::Full { limits });
            };
            self.give_up(log, &unsent, why, events);
        }
        Ok(())
    }

    /// Gives up the unsent messages in memory whose time has passed.
    pub(crate) fn give_up_over(
        &mut self,
        log: &mut StoreLog,
        now: Instant,
        events: &mut impl FnMut(FlowEvent),
    ) {
        for (unsent, why) in self.outbox.take_over(log, now) {
            self.give_up(log, &unsent, why, events);
        }
    }

    /// Gives up the unsent messages in memory that were in doubt and are not allowed.
    pub(crate) fn settle_doubts(
        &mut self,
        log: &mut StoreLog,
        allowed: &BTreeMap<TopicName, bool>,
        events: &mut impl FnMut(FlowEvent),
    ) {
        for unsent in self.outbox.settle_doubts(log, allowed) {
            self.give_up(log, &unsent, LostMessage::Withdrawn, events);
        }
    }

    /// Puts a message that was counted at the end of its queue, and asks for its record.
    fn enqueue(&mut self, log: &mut StoreLog, outgoing: Box<Outgoing>) {
        // Without a connection it gets no identifier yet: a message read back without one was certainly not sent. Far from its turn it
        // gets none either: identifiers are for SUBSCRIBE too.
        let soon = self.connected && self.outbox.window_len() < ID_BATCH;
        let ids = &mut self.ids;
        self.outbox
            .enqueue(log, outgoing, || soon.then(|| reserve(ids)).flatten());
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

    /// The next PUBLISH that may go now goes out: first what has to be sent again, then what is new, in order. Gives its QoS.
    pub(crate) fn poll<O: Out>(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_, O>,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Qos> {
        while !self.resend.is_empty() && self.has_quota(wire.peer) {
            if let Some(qos) = self.poll_resend(now, log, wire, events) {
                return Some(qos);
            }
        }
        loop {
            let front = self.next_front(log, wire.peer)?;
            let head = self.outbox.front(front)?;
            let over = head.is_over(now);
            if let Some(why) = over.or_else(|| wire.peer.refuses(&head.message)) {
                let outgoing = self.outbox.pop(log, front)?;
                self.give_up(log, &Unsent::of(&outgoing), why, events);
                continue;
            }
            let is_named = front == Front::Qos0 || !log.is_durable() || head.packet_id.is_some();
            if !is_named {
                // There was no identifier when it was accepted. It is recorded now, and the message waits for that.
                let ids = &mut self.ids;
                self.outbox.record_ids(log, ID_BATCH, || reserve(ids));
                continue;
            }
            let outgoing = self.outbox.pop(log, front)?;
            let sent = match front {
                Front::Qos0 => {
                    let sent = self.send0(now, wire, &outgoing, events);
                    self.outbox.recycle(outgoing);
                    sent
                }
                Front::Window => self.send(now, log, wire, outgoing, events),
            };
            if let Some(qos) = sent {
                return Some(qos);
            }
        }
    }

    /// Which queue is to be served next; `None`: nothing may go.
    fn next_front(&self, log: &StoreLog, peer: &PeerLimits) -> Option<Front> {
        // A message of higher QoS waits for quota, for its record, and for what goes again before it. QoS 0 need not wait for it.
        // [MQTT-3.3.4-8] [MQTT-3.3.4-10] [MQTT-4.9.0-3] A full window delays these PUBLISHes and nothing else.
        let ready = self.outbox.front(Front::Window).filter(|head| {
            let has_id = head.packet_id.is_some() || self.ids.len() < usize::from(u16::MAX);
            let has_turn = self.resend.is_empty() && self.has_quota(peer);
            // One without an identifier is not sent yet, but given one.
            let waits = head.packet_id.is_some() && self.outbox.is_held(log, head.seq);
            let is_doubted = self.outbox.is_doubted(head.seq);
            has_id && has_turn && log.is_stored(head.lsn) && !waits && !is_doubted
        });
        match (ready, self.outbox.front(Front::Qos0)) {
            (Some(head), Some(head0)) if head0.seq < head.seq => Some(Front::Qos0),
            (Some(_), _) => Some(Front::Window),
            (None, Some(_)) => Some(Front::Qos0),
            (None, None) => None,
        }
    }

    // [MQTT-3.3.4-7] [MQTT-3.3.4-9] [MQTT-4.9.0-2] Never more unacknowledged than the other side's Receive Maximum.
    fn has_quota(&self, peer: &PeerLimits) -> bool {
        self.unacknowledged < usize::from(peer.receive_maximum.get())
    }

    /// Whether a message could go if the other side's Receive Maximum were not used up.
    pub(crate) fn waits_for_quota(&self, peer: &PeerLimits) -> bool {
        let any = !self.resend.is_empty() || self.outbox.front(Front::Window).is_some();
        any && !self.has_quota(peer)
    }

    fn poll_resend<O: Out>(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_, O>,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Qos> {
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
        let sent = match refused {
            Some(why) => Err(why),
            None => wire.publish(&flight.message, now, Some(id), true),
        };
        let qos = flight.message.message.qos;
        if let Err(why) = sent {
            // The other side lowered its limits.
            let (ticket, size) = (flight.message.ticket, flight.message.message.size());
            if qos == Qos::ExactlyOnce {
                self.release_given_up(log, id, wire.gated);
            } else {
                self.ids.remove(id);
                self.finish(log, seq, size);
            }
            self.outbox.lose(ticket, why, events);
            return None;
        }
        flight.on_wire = true;
        self.unacknowledged += 1;
        Some(qos)
    }

    /// Sends a message of QoS 0; `None` when it was given up.
    fn send0<O: Out>(
        &mut self,
        now: Instant,
        wire: &mut Wire<'_, O>,
        outgoing: &Outgoing,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Qos> {
        self.outbox.uncount(outgoing.message.size());
        match wire.publish(outgoing, now, None, false) {
            Ok(()) => {
                self.outbox.count_delivered();
                if outgoing.ticket.is_some() {
                    let ticket = outgoing.ticket;
                    events(FlowEvent::Sent { ticket });
                }
                Some(Qos::AtMostOnce)
            }
            Err(why) => {
                self.outbox.lose(outgoing.ticket, why, events);
                None
            }
        }
    }

    /// Sends a message of QoS 1 or 2 for the first time; `None` when it was given up.
    fn send<O: Out>(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        wire: &mut Wire<'_, O>,
        outgoing: Box<Outgoing>,
        events: &mut impl FnMut(FlowEvent),
    ) -> Option<Qos> {
        // [MQTT-4.3.2-1] [MQTT-4.3.3-1] Each new message has an identifier that is not in use.
        let id = outgoing.packet_id.or_else(|| self.ids.next_free())?;
        // [MQTT-4.3.2-2] [MQTT-4.3.3-2] The first PUBLISH has that identifier and DUP 0.
        if let Err(why) = wire.publish(&outgoing, now, Some(id), false) {
            self.ids.remove(id);
            self.finish(log, outgoing.seq, outgoing.message.size());
            self.outbox.lose(outgoing.ticket, why, events);
            return None;
        }
        let qos = outgoing.message.qos;
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
        Some(qos)
    }

    /// A message of QoS 1 or 2 is done: its record goes, and nothing waits for that.
    fn finish(&mut self, log: &mut StoreLog, seq: u64, size: usize) -> Lsn {
        self.outbox.uncount(size);
        log.push(|| StoreOp::Delete(Key::Outgoing(seq)))
    }

    /// A message is given up that was taken out of the outbox unsent.
    fn give_up(
        &mut self,
        log: &mut StoreLog,
        unsent: &Unsent,
        why: LostMessage,
        events: &mut impl FnMut(FlowEvent),
    ) {
        if unsent.qos == Qos::AtMostOnce {
            self.outbox.uncount(unsent.size);
        } else {
            let deletion = self.finish(log, unsent.seq, unsent.size);
            match unsent.packet_id {
                Some(id) => {
                    self.ids.remove(id);
                }
                None => self.outbox.hold_behind(unsent.seq, deletion),
            }
        }
        self.outbox.lose(unsent.ticket, why, events);
    }

    /// A deadline may have passed: messages that somebody asks about are given up at theirs.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        events: &mut impl FnMut(FlowEvent),
    ) {
        self.outbox.handle_timeout(now);
        while let Some(seq) = self.outbox.pop_deadline(now) {
            let size = self.outbox.size_on_disk(seq);
            if let Some(unsent) = self.outbox.remove(log, seq, size) {
                self.give_up(log, &unsent, LostMessage::DeadlinePassed, events);
            }
        }
    }

    /// A stretch of the backlog was read.
    pub(crate) fn handle_loaded(
        &mut self,
        now: Instant,
        log: &mut StoreLog,
        loaded: Loaded,
        events: &mut impl FnMut(FlowEvent),
    ) {
        for (unsent, why) in self.outbox.handle_loaded(now, loaded) {
            self.give_up(log, &unsent, why, events);
        }
        self.outbox.settle(log);
    }
}

/// Takes an identifier for a message that waits.
fn reserve(ids: &mut IdTable<InUse>) -> Option<PacketId> {
    let id = ids.next_free()?;
    ids.insert(id, InUse::Reserved);
    Some(id)
}

/// What the connection has to do with a message that is about to be sent.
#[derive(Debug)]
pub(crate) struct Wire<'a, O> {
    pub(crate) peer: &'a PeerLimits,
    pub(crate) gated: &'a mut Gated,
    pub(crate) aliases: &'a mut OutboundAliases,
    /// Where it goes.
    pub(crate) out: &'a mut O,
}

impl<O: Out> Wire<'_, O> {
    /// The packet goes out as it is to be sent now, unless it is larger than the other side accepts.
    ///
    // [MQTT-3.1.2-24] [MQTT-3.2.2-15] Such a packet is not sent. [MQTT-3.1.2-25] The message counts as done.
    fn publish(
        &mut self,
        outgoing: &Outgoing,
        now: Instant,
        packet_id: Option<PacketId>,
        dup: bool,
    ) -> Result<(), LostMessage> {
        let limit = self.peer.packet_size();
        let too_large = |size| {
            let limit = self.peer.maximum_packet_size;
            Err(LostMessage::TooLarge { size, limit })
        };
        if let Some(publish) = outgoing.as_publish(packet_id, dup) {
            // The exact size matters only near the limit.
            if outgoing.message.size() > limit && publish.encoded_len() > limit {
                return too_large(publish.encoded_len());
            }
            self.out.publish(publish);
            return Ok(());
        }
        let mut publish = outgoing.to_publish(now, packet_id, dup);
        self.aliases.apply(&mut publish, outgoing.alias, limit);
        let size = publish.encoded_len();
        if size > limit {
            return too_large(size);
        }
        self.out.packet(Packet::Publish(publish));
        Ok(())
    }
}
