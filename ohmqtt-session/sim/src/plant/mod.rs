//! Bugs planted on purpose, each an adaptor between one session and the rest of the run: the session itself knows nothing of them.
//! A simulator that does not find them would not find the like of them.

mod bug;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use fastrand::Rng;
use ohmqtt_codec::{
    Delivery, Packet, PacketId, Publish, PublishTopic, Qos, ReasonCode, TopicAlias, TopicName,
};
use ohmqtt_session::{
    Backlog, ClientSession, Key, Load, Loaded, LostMessage, Message, OutboxConfig, Overflow,
    PublishOptions, Receipt, Record, StoreOp, Ticket,
};

pub use self::bug::Bug;
use crate::happening::Happening;
use crate::side::Side;
use crate::trace::number;

/// A planted bug, or none, and what it needs to remember.
#[derive(Debug)]
pub(crate) struct Plant {
    bug: Option<Bug>,
    side: Side,
    connections: u32,
    /// A packet that is to change places with the next of its kind.
    held: Option<Packet>,
    /// QoS 1 and 2 messages under way.
    published: BTreeMap<PacketId, Publish>,
    /// Identifiers whose PUBREC came on the connection that stands.
    recorded: BTreeSet<PacketId>,
    aliases: BTreeMap<TopicAlias, TopicName>,
    /// QoS 2 messages that were delivered.
    delivered: BTreeMap<u32, (Message, Receipt)>,
    backlog: Option<Backlog>,
    payloads: Vec<Message>,
    /// The operation just polled is to be confirmed before it is stored.
    confirms: bool,
}

impl Plant {
    pub(crate) fn new(bug: Option<Bug>, rng: &mut Rng) -> Self {
        let side = if rng.bool() {
            Side::Client
        } else {
            Side::Server
        };
        Self {
            bug,
            side: bug.and_then(Bug::side).unwrap_or(side),
            connections: 0,
            held: None,
            published: BTreeMap::new(),
            recorded: BTreeSet::new(),
            aliases: BTreeMap::new(),
            delivered: BTreeMap::new(),
            backlog: None,
            payloads: Vec::new(),
            confirms: false,
        }
    }

    fn at(&self, side: Side) -> Option<Bug> {
        self.bug.filter(|_| self.side == side)
    }

    /// A stream begins.
    pub(crate) fn connected(&mut self) {
        self.connections += 1;
        self.held = None;
        self.recorded.clear();
    }

    /// What becomes of a packet that a session wants sent.
    pub(crate) fn outgoing(&mut self, side: Side, packet: Packet) -> Vec<Packet> {
        let Some(bug) = self.at(side) else {
            return vec![packet];
        };
        match (bug, packet) {
            (_, Packet::Publish(publish)) => self.outgoing_publish(bug, publish),
            (Bug::AcksOutOfOrder, packet @ Packet::PubAck(_)) => self.swap(packet),
            (Bug::PubrelNotResent, Packet::PubRel(ack))
                if !self.recorded.contains(&ack.packet_id) =>
            {
                Vec::new()
            }
            (Bug::PublishedAfterPubrec, Packet::PubRel(ack))
                if !self.recorded.contains(&ack.packet_id) =>
            {
                let copy = self.published.get(&ack.packet_id).cloned();
                vec![copy.map_or(Packet::PubRel(ack), |mut copy| {
                    copy.delivery = copy.delivery.with_dup(true);
                    Packet::Publish(copy)
                })]
            }
            (Bug::BehindDisconnect, packet @ Packet::Disconnect(_)) => {
                let more = match side {
                    Side::Client => Packet::PingReq,
                    Side::Server => Packet::PingResp,
                };
                vec![packet, more]
            }
            (Bug::PingStorm, Packet::PingReq) => vec![Packet::PingReq, Packet::PingReq],
            (Bug::PingForgotten, Packet::PingReq) => Vec::new(),
            (_, packet) => vec![packet],
        }
    }

    fn outgoing_publish(&mut self, bug: Bug, mut publish: Publish) -> Vec<Packet> {
        let dup = publish.delivery.dup();
        match bug {
            Bug::DupNotSet => publish.delivery = publish.delivery.with_dup(false),
            Bug::IdReused if !dup => {
                if let Some((used, _)) = self.published.last_key_value() {
                    publish.delivery = renumbered(publish.delivery, *used);
                }
            }
            Bug::ResentOutOfOrder if dup => return self.swap(Packet::Publish(publish)),
            Bug::DroppedAtReconnect if dup => return Vec::new(),
            Bug::AliasKept => self.keep_alias(&mut publish),
            _ => {}
        }
        if let Some(id) = publish.delivery.packet_id() {
            self.published.insert(id, publish.clone());
        }
        vec![Packet::Publish(publish)]
    }

    /// Holds a packet back until the next of its kind has left.
    fn swap(&mut self, packet: Packet) -> Vec<Packet> {
        if let Some(held) = self.held.take() {
            return vec![packet, held];
        }
        self.held = Some(packet);
        Vec::new()
    }

    /// Leaves the topic out where an earlier connection knew the alias.
    fn keep_alias(&mut self, publish: &mut Publish) {
        let Some(alias) = publish.properties.topic_alias() else {
            return;
        };
        if let PublishTopic::Name(topic) = &publish.topic
            && self.aliases.insert(alias, topic.clone()).as_ref() == Some(topic)
        {
            publish.topic = PublishTopic::Alias(alias);
        }
    }

    /// What a session sees of a packet that came.
    pub(crate) fn incoming(&mut self, side: Side, packet: Packet) -> Option<Packet> {
        let Some(bug) = self.at(side) else {
            return Some(packet);
        };
        match packet {
            Packet::PubAck(_) | Packet::PubComp(_) if bug == Bug::AckForgotten => return None,
            Packet::PubAck(ref ack) | Packet::PubComp(ref ack) => {
                self.published.remove(&ack.packet_id);
            }
            Packet::PubRec(ref ack) => {
                self.recorded.insert(ack.packet_id);
            }
            Packet::ConnAck(mut connack) => {
                let said = &mut connack.properties;
                if let Some(maximum) = more(bug, said.receive_maximum()) {
                    said.set_receive_maximum(maximum);
                }
                if bug == Bug::PacketSizeIgnored {
                    said.remove_maximum_packet_size();
                }
                connack.session_present |= bug == Bug::SessionKept && self.connections > 1;
                return Some(Packet::ConnAck(connack));
            }
            Packet::Connect(mut connect) => {
                let said = &mut connect.properties;
                if let Some(maximum) = more(bug, said.receive_maximum()) {
                    said.set_receive_maximum(maximum);
                }
                if bug == Bug::PacketSizeIgnored {
                    said.remove_maximum_packet_size();
                }
                return Some(Packet::Connect(connect));
            }
            _ => {}
        }
        Some(packet)
    }

    /// Whether packets are read though the session takes none.
    pub(crate) fn reads_on(&self, side: Side) -> bool {
        self.at(side) == Some(Bug::ReadinessIgnored)
    }

    /// The application lets go of a message without a word.
    pub(crate) fn abandon(&self, client: &mut ClientSession, receipt: Receipt) {
        match self.at(Side::Client) {
            Some(Bug::AbandonedKept) => {}
            Some(Bug::AbandonedAcknowledged) => client.acknowledge(receipt, ReasonCode::Success),
            _ => client.abandon(receipt),
        }
    }

    /// The session has handed a message to the application.
    pub(crate) fn delivered(&mut self, side: Side, message: &Message, receipt: Option<Receipt>) {
        if self.at(side) == Some(Bug::Qos2DeliveredTwice)
            && message.qos == Qos::ExactlyOnce
            && let (Some(n), Some(receipt)) = (number(&message.payload), receipt)
        {
            self.delivered.insert(n, (message.clone(), receipt));
        }
    }

    /// What is delivered although the session knows better.
    pub(crate) fn delivers_again(
        &mut self,
        side: Side,
        packet: &Packet,
    ) -> Option<(Message, Receipt)> {
        let Packet::Publish(publish) = packet else {
            return None;
        };
        if self.at(side) != Some(Bug::Qos2DeliveredTwice) || !publish.delivery.dup() {
            return None;
        }
        self.delivered.get(&number(&publish.payload)?).cloned()
    }

    /// What becomes of a store operation.
    pub(crate) fn operation(&mut self, side: Side, op: StoreOp) -> Vec<StoreOp> {
        let bug = self.at(side);
        self.confirms = matches!(
            (bug, &op),
            (
                Some(Bug::PublishBeforeRecord),
                StoreOp::Put(Record::Message { .. })
            ) | (
                Some(Bug::PubrecBeforeRecord | Bug::PubrecWithoutRecord),
                StoreOp::Put(Record::Received { .. })
            ) | (
                Some(Bug::PubrelBeforeRecord),
                StoreOp::Put(Record::Released { .. })
            ) | (
                Some(Bug::PubcompBeforeDeletion),
                StoreOp::Delete(Key::Received(_))
            )
        );
        match (bug, &op) {
            (Some(Bug::BacklogStale), StoreOp::Put(Record::Backlog(backlog))) => {
                let kept = *self.backlog.get_or_insert(*backlog);
                let stale = Backlog {
                    first: kept.first,
                    ..*backlog
                };
                vec![StoreOp::Put(Record::Backlog(stale))]
            }
            (Some(Bug::BacklogStale), StoreOp::Delete(Key::Backlog)) => {
                self.backlog = None;
                vec![op]
            }
            (Some(Bug::PayloadKept), StoreOp::Put(Record::Message { message, .. })) => {
                self.payloads.push(message.clone());
                vec![op]
            }
            (Some(Bug::PubrecWithoutRecord), StoreOp::Put(Record::Received { .. })) => Vec::new(),
            (
                Some(Bug::DeletedBeforeAck),
                StoreOp::Put(Record::Message {
                    seq,
                    packet_id: Some(_),
                    ..
                }),
            ) => {
                let delete = StoreOp::Delete(Key::Outgoing(*seq));
                vec![op, delete]
            }
            _ => vec![op],
        }
    }

    pub(crate) fn confirms_early(&mut self) -> bool {
        std::mem::take(&mut self.confirms)
    }

    /// What a session is told of its outbox.
    pub(crate) fn outbox(&self, side: Side, mut config: OutboxConfig) -> OutboxConfig {
        match (self.at(side), config.overflow) {
            (Some(Bug::DroppedInVain), _) => config.limits.messages -= 1,
            (Some(Bug::NewestDropped), Overflow::KeepNewest) => {
                config.overflow = Overflow::DropOldest;
            }
            (Some(Bug::OldestKept), Overflow::DropOldest) => {
                config.overflow = Overflow::KeepNewest;
            }
            _ => {}
        }
        config
    }

    /// What a session is told of a message.
    pub(crate) fn options(&self, side: Side, mut options: PublishOptions) -> PublishOptions {
        if self.at(side) == Some(Bug::DeadlineIgnored) {
            options.deadline = None;
        }
        options
    }

    /// What is heard of an event.
    pub(crate) fn heard(&self, side: Side, happening: Happening) -> Option<Happening> {
        let Happening::Lost(ticket, why) = happening else {
            return Some(happening);
        };
        match (self.at(side), why) {
            (Some(Bug::LossUntold), _) if ticket != Ticket::NONE => None,
            (Some(Bug::NewestDropped), LostMessage::Dropped) => {
                Some(Happening::Lost(ticket, LostMessage::Replaced))
            }
            (Some(Bug::OldestKept), LostMessage::Replaced) => {
                Some(Happening::Lost(ticket, LostMessage::Dropped))
            }
            _ => Some(happening),
        }
    }

    /// What a session reads of a stretch that is not its first.
    pub(crate) fn answered(&self, side: Side, load: &Load, loaded: &mut Loaded) {
        let is_later = matches!(load.from, Key::Outgoing(from) if from > 0);
        if self.at(side) == Some(Bug::LoadCutShort) && is_later && loaded.records.len() > 1 {
            loaded.records.pop();
            loaded.complete = true;
        }
    }

    /// What a new process reads of a record, if it reads it at all.
    pub(crate) fn loaded(&self, side: Side, record: Record) -> Option<Record> {
        match (self.at(side), record) {
            (
                Some(Bug::RestoredAsNew),
                Record::Message {
                    seq,
                    accepted,
                    deadline,
                    via,
                    message,
                    ..
                },
            ) => Some(Record::Message {
                seq,
                packet_id: None,
                accepted,
                deadline,
                via,
                message,
            }),
            (Some(Bug::ReleaseForgotten), Record::Released { .. })
            | (Some(Bug::ReceivedForgotten), Record::Received { .. }) => None,
            (_, record) => Some(record),
        }
    }
}

/// The Receive Maximum as one understands it who is off by one.
fn more(bug: Bug, maximum: Option<NonZeroU16>) -> Option<NonZeroU16> {
    maximum
        .filter(|_| bug == Bug::QuotaOffByOne)?
        .checked_add(1)
}

fn renumbered(delivery: Delivery, id: PacketId) -> Delivery {
    match delivery {
        Delivery::AtMostOnce => delivery,
        Delivery::AtLeastOnce { dup, .. } => Delivery::AtLeastOnce { packet_id: id, dup },
        Delivery::ExactlyOnce { dup, .. } => Delivery::ExactlyOnce { packet_id: id, dup },
    }
}
