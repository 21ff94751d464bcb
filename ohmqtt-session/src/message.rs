//! An application message on its way out or in, without what belongs to one connection: no Packet Identifier, no alias, no DUP.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{
    Delivery, PacketId, Publish, PublishProperties, PublishRef, PublishTopic, Qos, TopicFilter,
    TopicName,
};

use crate::Instant;
use crate::aliases::AliasPolicy;

/// An application message (section 3.3).
///
/// `properties` holds no Topic Alias and, on the way out, no Subscription Identifier: the session adds what a connection needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is published.
    pub topic: TopicName,
    /// How surely it is delivered.
    pub qos: Qos,
    /// To a server: keep it for later subscribers. From a server: it was kept, or published so and the subscription asked to see it.
    pub retain: bool,
    /// Content type, expiry, user properties and so on.
    pub properties: PublishProperties,
    /// The application's bytes.
    pub payload: Bytes,
}

impl Message {
    /// A message at QoS 0, not retained, without properties.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            qos: Qos::AtMostOnce,
            retain: false,
            properties: PublishProperties::default(),
            payload: payload.into(),
        }
    }

    /// The same message with its bytes copied out of the buffer it was read into, for keeping.
    #[must_use]
    pub fn detached(self) -> Self {
        let qos = self.qos;
        let publish = self.to_publish(Delivery::AtMostOnce).detached();
        match publish.topic {
            PublishTopic::Name(topic) => Self {
                topic,
                qos,
                retain: publish.retain,
                properties: publish.properties,
                payload: publish.payload,
            },
            PublishTopic::Alias(_) => self,
        }
    }

    /// What the message costs in a queue, in bytes: as much as its packet.
    pub fn size(&self) -> usize {
        // Fixed header and Packet Identifier are counted at their largest.
        7 + 2 + self.topic.len() + self.properties.wire_len() + self.payload.len()
    }

    /// The packet that carries this message.
    pub fn to_publish(&self, delivery: Delivery) -> Publish {
        Publish {
            topic: PublishTopic::Name(self.topic.clone()),
            delivery,
            retain: self.retain,
            properties: self.properties.clone(),
            payload: self.payload.clone(),
        }
    }
}

/// Takes the time since then off the Message Expiry Interval.
pub(crate) fn shorten_expiry(properties: &mut PublishProperties, now: Instant, since: Instant) {
    if let Some(interval) = properties.message_expiry_interval() {
        let waited = u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX);
        if waited > 0 {
            properties.set_message_expiry_interval(interval.saturating_sub(waited).max(1));
        }
    }
}

/// The payload is shown by its length: logs are no place for it.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// A number of the caller's own that comes back with everything that happens to a message or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Nobody asks: no event is made for the milestones of this message.
    pub const NONE: Self = Self(0);

    /// The ticket of every message that was read back from a store and whose own ticket is gone or [was
    /// forgotten](crate::ClientSession::forget), and of any that whoever published it does not ask about. Its end still makes room.
    pub const RESTORED: Self = Self(u64::MAX);

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// Somebody asks about this very message.
    pub(crate) fn is_asked(self) -> bool {
        self != Self::NONE && self != Self::RESTORED
    }
}

/// How one message is to be handled on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// What the events about this message carry.
    pub ticket: Ticket,
    /// Drop the message, and say so, when it could not be sent by then.
    pub deadline: Option<Instant>,
    /// Whether it is sent with a topic alias.
    pub alias: AliasPolicy,
    /// Keep a QoS 0 message for the next connection when there is none now. Messages of higher QoS are always kept.
    pub keep_offline: bool,
    /// At a server: the shared subscription the message comes by. Should the session end first, it is [given
    /// back](crate::Flows::give_back) under this name.
    pub via: Option<Arc<TopicFilter>>,
}

/// A message the session has accepted and not finished.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// The place in the order of publishing.
    pub(crate) seq: u64,
    pub(crate) ticket: Ticket,
    pub(crate) accepted: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) keep_offline: bool,
    pub(crate) alias: AliasPolicy,
    /// The record it waits for: its latest.
    pub(crate) lsn: crate::Lsn,
    /// The record that makes it accepted: its first, or the next if that failed.
    pub(crate) first: crate::Lsn,
    /// The identifier in its record, when it has one.
    pub(crate) packet_id: Option<PacketId>,
    pub(crate) via: Option<Arc<TopicFilter>>,
    pub(crate) message: Message,
}

impl Outgoing {
    /// How it is delivered: DUP as asked.
    fn delivery(&self, packet_id: Option<PacketId>, dup: bool) -> Delivery {
        // [MQTT-4.3.1-1] At QoS 0 there is no DUP. [MQTT-3.3.1-3] DUP tells of this sender's retransmission and nothing else.
        match (self.message.qos, packet_id) {
            (Qos::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
            (Qos::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
            (Qos::AtMostOnce, _) | (_, None) => Delivery::AtMostOnce,
        }
    }

    /// The packet as it is to be sent now, when it is the message as it stands: without an alias, and for ever.
    pub(crate) fn as_publish(
        &self,
        packet_id: Option<PacketId>,
        dup: bool,
    ) -> Option<PublishRef<'_>> {
        let Message {
            topic,
            retain,
            properties,
            payload,
            ..
        } = &self.message;
        let is_plain =
            self.alias == AliasPolicy::Never && properties.message_expiry_interval().is_none();
        is_plain.then(|| PublishRef {
            topic,
            delivery: self.delivery(packet_id, dup),
            retain: *retain,
            properties,
            payload,
        })
    }

    /// The packet as it is to be sent now: the time waited taken off the Message Expiry Interval.
    pub(crate) fn to_publish(
        &self,
        now: Instant,
        packet_id: Option<PacketId>,
        dup: bool,
    ) -> Publish {
        let mut publish = self.message.to_publish(self.delivery(packet_id, dup));
        // [MQTT-3.3.2-6] The interval sent is the interval received less the time waited.
        shorten_expiry(&mut publish.properties, now, self.accepted);
        publish
    }

    /// Why an unsent message is not to be sent any more.
    pub(crate) fn is_over(&self, now: Instant) -> Option<LostMessage> {
        LostMessage::of_wait(now, self.accepted, self.deadline, &self.message)
    }

    /// When that begins.
    pub(crate) fn over_at(&self) -> Option<Instant> {
        let interval = self.message.properties.message_expiry_interval();
        let expiry = interval.map(|s| self.accepted + Duration::from_secs(s.into()));
        self.deadline.into_iter().chain(expiry).min()
    }
}

/// Why an accepted message will not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LostMessage {
    /// A QoS 0 message, and no connection to send it on.
    #[error("not connected, and a QoS 0 message is only kept when asked")]
    Offline,
    /// Its deadline passed while it waited.
    #[error("the deadline passed before the message could be sent")]
    DeadlinePassed,
    /// Its Message Expiry Interval passed while it waited.
    #[error("the Message Expiry Interval passed before the message could be sent")]
    Expired,
    /// It was sent, not acknowledged, and the server no longer has the session in which it was sent.
    #[error(
        "the server lost the session in which the message was sent: it may or may not have arrived"
    )]
    SessionLost,
    /// The packet is larger than the other side accepts.
    #[error("the packet has {size} bytes and the other side accepts {limit}")]
    TooLarge {
        /// The size of the packet in bytes.
        size: usize,
        /// The Maximum Packet Size of the other side.
        limit: u32,
    },
    /// Its QoS is above the server's Maximum QoS.
    #[error("the server's Maximum QoS is {}", u8::from(*maximum))]
    QosNotSupported {
        /// What the server offers.
        maximum: Qos,
    },
    /// The server does not keep retained messages.
    #[error("the server does not support retained messages")]
    RetainNotSupported,
    /// The session was closed before it was acknowledged.
    #[error("closed before the message was acknowledged")]
    Closed,
    /// The outbox was full, and newer messages took its place.
    #[error("the outbox was full, and a newer message took this one's place")]
    Dropped,
    /// The outbox was full, and a newer message on its topic took its place.
    #[error("the outbox was full, and a newer message on the same topic took this one's place")]
    Replaced,
    /// Its receiver may not have it any more.
    #[error("the receiver has lost the right to get the message")]
    Withdrawn,
    /// The store could not keep it.
    #[error("the store could not keep the message")]
    StoreFailed,
}

impl LostMessage {
    /// Why a message that has waited since `accepted` is not to be sent any more.
    pub(crate) fn of_wait(
        now: Instant,
        accepted: Instant,
        deadline: Option<Instant>,
        message: &Message,
    ) -> Option<Self> {
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Self::DeadlinePassed);
        }
        // [MQTT-3.3.2-5] A message whose interval has passed before its delivery began is deleted.
        let interval = message.properties.message_expiry_interval()?;
        (now.since(accepted).as_secs() >= u64::from(interval)).then_some(Self::Expired)
    }
}
