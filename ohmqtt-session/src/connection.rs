//! What dies with the stream: packets on their way out, what the other side allows, keep alive, aliases, and how the end comes.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{
    Ack, Packet, PacketId, PacketType, PublishProperties, PublishTopic, Qos, ReasonCode,
    TopicAlias, TopicName,
};

use crate::aliases::OutboundAliases;
use crate::error::{DisconnectCause, ProtocolError};
use crate::flows::{Excess, Gated};
use crate::message::{LostMessage, Message};
use crate::{Instant, Lsn};

/// What the other side of a connection accepts and offers: from CONNECT at a server, from CONNACK at a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLimits {
    /// How many unacknowledged messages of QoS 1 and 2 it accepts.
    pub receive_maximum: NonZeroU16,
    /// The largest packet it accepts, in bytes.
    pub maximum_packet_size: u32,
    /// The highest QoS it accepts.
    pub maximum_qos: Qos,
    /// Whether it keeps retained messages.
    pub retain_available: bool,
    /// How many topic aliases it accepts.
    pub topic_alias_maximum: u16,
    /// Whether filters may hold wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_identifiers_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
}

/// The largest packet there can be, in bytes (section 1.5.5).
const LARGEST: u32 = 268_435_460;

impl Default for PeerLimits {
    /// What holds when the other side says nothing.
    fn default() -> Self {
        Self {
            receive_maximum: NonZeroU16::MAX,
            maximum_packet_size: LARGEST,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            topic_alias_maximum: 0,
            wildcard_subscription_available: true,
            subscription_identifiers_available: true,
            shared_subscription_available: true,
        }
    }
}

impl PeerLimits {
    pub(crate) fn packet_size(&self) -> usize {
        usize::try_from(self.maximum_packet_size.min(LARGEST)).unwrap_or(usize::MAX)
    }

    /// Why this message must not be sent to the other side, whatever its size.
    pub(crate) fn refuses(&self, message: &Message) -> Option<LostMessage> {
        // [MQTT-3.2.2-11] No PUBLISH above the server's Maximum QoS.
        if message.qos > self.maximum_qos {
            return Some(LostMessage::QosNotSupported {
                maximum: self.maximum_qos,
            });
        }
        // [MQTT-3.2.2-14] No RETAIN where the server does not keep it.
        if message.retain && !self.retain_available {
            return Some(LostMessage::RetainNotSupported);
        }
        None
    }
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// What is queued leaves, then this packet if there is one, then the stream is to end.
    Draining(Option<Box<Packet>>),
    /// These packets leave and nothing else, whatever is still queued; then the stream is to end.
    Aborted {
        connack: Option<Box<Packet>>,
        last: Option<Box<Packet>>,
    },
    /// All is said.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Connection {
    /// Packets that wait for nothing.
    pub(crate) control: VecDeque<Packet>,
    /// PUBACKs, which wait for nothing either and are the most, in little room.
    pub(crate) pubacks: VecDeque<(PacketId, ReasonCode)>,
    /// Of these, the ones that answer nothing: what this side asks for by itself.
    pub(crate) requests: VecDeque<Packet>,
    /// Packets that wait for the store.
    pub(crate) gated: Gated,
    pub(crate) peer: PeerLimits,
    /// Our own Receive Maximum.
    pub(crate) receive_maximum: u16,
    /// What becomes of more.
    pub(crate) excess: Excess,
    /// Since when messages wait because the other side's Receive Maximum is used up, as of the last poll.
    pub(crate) quota_full_since: Option<Instant>,
    /// Our own Topic Alias Maximum, and what the aliases used so far stand for.
    pub(crate) topic_alias_maximum: u16,
    // [MQTT-3.3.2-7] Aliases live as long as the connection.
    aliases: BTreeMap<u16, TopicName>,
    pub(crate) outbound_aliases: OutboundAliases,
    pub(crate) keep_alive: Duration,
    pub(crate) last_sent: Instant,
    pub(crate) last_received: Instant,
    end: End,
    cause: Option<DisconnectCause>,
}

impl Connection {
    pub(crate) fn new(now: Instant, receive_maximum: u16, topic_alias_maximum: u16) -> Self {
        Self {
            control: VecDeque::new(),
            pubacks: VecDeque::new(),
            requests: VecDeque::new(),
            gated: Gated::new(),
            peer: PeerLimits::default(),
            receive_maximum,
            excess: Excess::Refused,
            quota_full_since: None,
            topic_alias_maximum,
            aliases: BTreeMap::new(),
            outbound_aliases: OutboundAliases::default(),
            keep_alive: Duration::ZERO,
            last_sent: now,
            last_received: now,
            end: End::Open,
            cause: None,
        }
    }

    /// The handshake is over: what was made for its packets is given back.
    pub(crate) fn settle(&mut self) {
        self.control.shrink_to_fit();
    }

    /// The other side has said what it accepts.
    pub(crate) fn met(&mut self, peer: PeerLimits) {
        self.outbound_aliases = OutboundAliases::new(peer.topic_alias_maximum);
        self.peer = peer;
    }

    /// Ends the connection once what is queued has left, with this packet last.
    ///
    // [MQTT-3.14.4-2] The stream is closed behind DISCONNECT.
    pub(crate) fn finish(&mut self, last: Option<Packet>, cause: DisconnectCause) {
        if self.is_open() {
            self.end = End::Draining(last.map(Box::new));
            self.cause = Some(cause);
        }
    }

    /// Ends the connection at once: what was queued is dropped, and this packet is the last.
    ///
    // [MQTT-4.13.1-1] [MQTT-4.13.2-1] An error ends the connection, whether or not it can be told.
    pub(crate) fn abort(&mut self, last: Option<Packet>, cause: DisconnectCause) {
        if self.is_open() {
            let mut control = core::mem::take(&mut self.control).into_iter();
            // [MQTT-3.14.0-1] But the CONNACK that makes a DISCONNECT possible.
            let connack = control.find(|packet| matches!(packet, Packet::ConnAck(_)));
            self.end = End::Aborted {
                connack: connack.map(Box::new),
                last: last.map(Box::new),
            };
            self.cause = Some(cause);
        }
    }

    /// Ends the connection at once and without a word, also where one is waiting to be its last.
    pub(crate) fn abort_in_silence(&mut self, cause: DisconnectCause) {
        self.abort(None, cause);
        self.end = End::Aborted {
            connack: None,
            last: None,
        };
    }

    /// The stream has ended, and why.
    pub(crate) fn end(&mut self) -> DisconnectCause {
        self.close();
        self.quota_full_since = None;
        self.cause.take().unwrap_or(DisconnectCause::StreamEnded)
    }

    fn close(&mut self) {
        self.end = End::Closed;
        self.control = VecDeque::new();
        self.pubacks = VecDeque::new();
        self.requests = VecDeque::new();
        self.gated = Gated::new();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.end == End::Open
    }

    /// Whether [`poll`](Self::poll) may give anything.
    pub(crate) fn has_queued(&self) -> bool {
        let answers = self.control.is_empty() && self.pubacks.is_empty() && self.gated.is_empty();
        !answers || !self.requests.is_empty() || !self.is_open()
    }

    /// The next packet that waits for nothing but the store, or the last one.
    pub(crate) fn poll(&mut self, is_stored: impl Fn(Lsn) -> bool) -> Option<Packet> {
        match &mut self.end {
            End::Open | End::Draining(_) => {}
            End::Aborted { connack, last } => {
                return connack.take().or_else(|| last.take()).map(|last| *last);
            }
            End::Closed => return None,
        }
        if let Some(packet) = self.control.pop_front() {
            return Some(packet);
        }
        if let Some((packet_id, reason)) = self.pubacks.pop_front() {
            return Some(Packet::PubAck(Ack::with_reason(packet_id, reason)));
        }
        if let Some(packet) = self.requests.pop_front() {
            return Some(packet);
        }
        if self.gated.front().is_some_and(|(lsn, _)| is_stored(*lsn)) {
            return self.gated.pop_front().map(|(_, packet)| packet);
        }
        let End::Draining(last) = &mut self.end else {
            return None;
        };
        let last = last.take();
        // [MQTT-3.14.4-1] Nothing is sent after DISCONNECT, whatever the store or the application says from now on.
        self.close();
        last.map(|last| *last)
    }

    /// All that was to be sent is polled, and the stream is to end.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.end {
            End::Open | End::Draining(Some(_)) => false,
            End::Draining(None) => {
                self.control.is_empty() && self.pubacks.is_empty() && self.requests.is_empty()
            }
            End::Aborted { connack, last } => connack.is_none() && last.is_none(),
            End::Closed => true,
        }
    }

    /// Whether more answers wait to be sent than the other side can cause without fault: an acknowledgement for each message of both
    /// sides that is under way, and a few for all else. Then it has to read before it is heard again.
    ///
    /// What this side asks for does not count: two sides that each wait until the other reads would wait for ever.
    pub(crate) fn is_behind(&self, in_flight: usize) -> bool {
        let own = 2 * usize::from(self.receive_maximum);
        let answers = self.control.len() + self.pubacks.len() + self.gated.len();
        answers > OTHER_ANSWERS + own + in_flight
    }

    /// The topic of a PUBLISH, by its alias where it has one, which is taken out of the properties.
    #[inline]
    pub(crate) fn resolve(
        &mut self,
        topic: PublishTopic,
        properties: &mut PublishProperties,
    ) -> Result<TopicName, ProtocolError> {
        match (topic, properties.topic_alias()) {
            (PublishTopic::Name(name), None) => Ok(name),
            (topic, alias) => self.resolve_alias(topic, alias, properties),
        }
    }

    fn resolve_alias(
        &mut self,
        topic: PublishTopic,
        alias: Option<TopicAlias>,
        properties: &mut PublishProperties,
    ) -> Result<TopicName, ProtocolError> {
        let alias = alias.map(TopicAlias::get);
        if let Some(alias) = alias {
            // [MQTT-3.3.2-10] [MQTT-3.3.2-12] Every alias from 1 to our own maximum is accepted, and no other.
            if alias > self.topic_alias_maximum {
                return Err(ProtocolError::TopicAliasInvalid {
                    alias,
                    maximum: self.topic_alias_maximum,
                });
            }
            properties.remove_topic_alias();
        }
        match (topic, alias) {
            (PublishTopic::Name(name), None) => Ok(name),
            (PublishTopic::Name(name), Some(alias)) => {
                // What is kept is copied out of the buffer it was read into.
                let kept = TopicName::try_from(Bytes::copy_from_slice(name.as_bytes()));
                let kept = kept.unwrap_or(name);
                self.aliases.insert(alias, kept.clone());
                Ok(kept)
            }
            (PublishTopic::Alias(alias), _) => {
                let alias = alias.get();
                let unknown = ProtocolError::TopicAliasUnknown { alias };
                self.aliases.get(&alias).cloned().ok_or(unknown)
            }
        }
    }
}

/// How many answers to pings, subscriptions and the like may wait.
const OTHER_ANSWERS: usize = 64;

/// A packet that may not come in this situation.
pub(crate) fn unexpected(packet: PacketType, when: &'static str) -> ProtocolError {
    ProtocolError::Unexpected { packet, when }
}
