//! How much the broker takes: every queue and table in it has a bound here.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use ohmqtt_codec::{ConnAckProperties, Qos, ReasonCode, Will};

/// How much a broker holds and waits for. The defaults suit a small site; each may be changed.
///
/// Most bounds are for one client, so that who exceeds one hurts itself: what a broker holds altogether is at most what one may hold,
/// times the number of sessions or connections. A broker that strangers reach wants both smaller. Connections take open files: their
/// number, those half open included, belongs below what the system gives a process (`ulimit -n`).
///
/// ```
/// let mut limits = ohmqtt_broker::Limits::default();
/// limits.connections = 100;
/// limits.session_queue_bytes = 1024 * 1024;
/// # let _ = ohmqtt_broker::Broker::builder().limits(limits);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Clients connected at once. One more is refused with Server busy (0x89).
    pub connections: usize,
    /// Connections that have not finished their CONNECT. One more ends the oldest of them.
    pub half_open: usize,
    /// How long the handshakes below MQTT may take, and after them the CONNECT.
    pub connect_timeout: Duration,
    /// The largest CONNECT, in bytes, where that is less than `packet_size`: no more does a connection hold that has not said who it is.
    /// A larger one ends its connection by its header.
    pub connect_packet_size: NonZeroU32,
    /// The largest packet a client may send, in bytes. Told in CONNACK; a larger one is refused by its header with Packet too large (0x95).
    pub packet_size: NonZeroU32,
    /// User properties of a message or a will. One with more is refused with Quota exceeded (0x97).
    pub user_properties: usize,
    /// All properties of a message or a will, in bytes. One with more is refused with Quota exceeded (0x97).
    pub property_bytes: usize,
    /// Unacknowledged QoS 1 and 2 messages of a client. Told in CONNACK.
    pub receive_maximum: NonZeroU16,
    /// Topic aliases of a client; each may hold a topic of up to 65,535 bytes. Told in CONNACK.
    pub topic_aliases: u16,
    /// Levels of a topic or a filter. A deeper topic is refused with Topic Name invalid (0x90), a filter with Topic Filter invalid (0x8F).
    pub topic_levels: usize,
    /// Sessions, of connected clients and kept for absent ones. One more client is refused with Quota exceeded (0x97).
    pub sessions: usize,
    /// How long a session is kept for an absent client at most, whatever it asked for. `None`: as long as it asked.
    /// A client that gets less than it asked for is told in CONNACK.
    pub session_expiry: Option<Duration>,
    /// Subscriptions of one session. One more is refused with Quota exceeded (0x97).
    pub subscriptions: usize,
    /// What they may take, in bytes: each counts its filter and 128 for every level.
    pub subscription_bytes: usize,
    /// The longest Keep Alive, in seconds. A client that asks for a longer one, or for none, is told this one in CONNACK and has to keep to
    /// it. `None`: each has what it asks for.
    pub keep_alive: Option<NonZeroU16>,
    /// Messages queued for one session, in flight or waiting. [`when_full`](Self::when_full) says what becomes of what does not fit,
    /// retained messages for a new subscription among it.
    pub session_queue: usize,
    /// The same in bytes.
    pub session_queue_bytes: usize,
    /// What gives way when the queue of a session is full. The publisher is never told.
    pub when_full: WhenFull,
    /// What the queues of all sessions may hold together, in bytes: each message counts whole in each queue, though its payload is
    /// shared. Beyond it nothing more is queued for clients that are not there or have 8 messages waiting: it is dropped for them, and
    /// for them alone. It is measured at least every 10 seconds, and when it seems to be reached.
    pub queued_bytes: usize,
    /// Retained messages. One more is refused with Quota exceeded (0x97).
    pub retained: usize,
    /// What they may take, in bytes: each counts its packet and 128 for every level of its topic.
    pub retained_bytes: usize,
    /// The highest QoS clients may publish with. Told in CONNACK; a message above it ends its connection with `QoS` not supported (0x9B), a
    /// will above it is refused with that, and of a subscription that asks for more this much is granted.
    pub maximum_qos: Qos,
    /// Whether messages are retained. If not, CONNACK says so, a retained message ends its connection with Retain not supported (0x9A), and a
    /// retained will is refused with that. What a store has retained is kept there, and not delivered.
    pub retain_available: bool,
    /// Whether subscriptions may have wildcards. If not, CONNACK says so, and one ends its connection with 0xA2. Those that a kept session
    /// has stay.
    pub wildcard_subscription_available: bool,
    /// The same of shared subscriptions, with 0x9E.
    pub shared_subscription_available: bool,
    /// The same of Subscription Identifiers, with 0xA1.
    pub subscription_identifier_available: bool,
    /// How often the topics below `$SYS/broker` are published. `None`: never, and there are none.
    pub sys_interval: Option<Duration>,
}

/// What gives way when the queue of a session is full. Whatever it is, it is counted, as
/// [`dropped`](crate::Metrics::dropped) and on `$SYS/broker/publish/messages/dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The message that does not fit.
    #[default]
    DropNewest,
    /// The oldest that were not sent yet, until it fits. What was sent is not taken back.
    DropOldest,
    /// The connection, with Quota exceeded (0x97), for a message of QoS 1 or 2 that does not fit; the message too. The session stays, and
    /// with it what it has. For a client that is not connected, at QoS 0, and for a shared subscription it is the newest.
    Disconnect,
}

impl Default for Limits {
    /// 10,000 connections, 1,024 of them half open for at most 10 seconds; packets of 2 MiB, a CONNECT of 64 KiB; 1,000 user properties,
    /// 256 KiB of properties; 20,000 sessions with 10,000 subscriptions (8 MiB) and 65,536 queued messages (64 MiB) each, 1 GiB for all;
    /// 50,000 retained messages (32 MiB), which all fit into an empty queue; topics of 128 levels; 16 aliases; all of MQTT; `$SYS` every
    /// 10 seconds.
    fn default() -> Self {
        Self {
            connections: 10_000,
            half_open: 1024,
            connect_timeout: Duration::from_secs(10),
            connect_packet_size: NonZeroU32::MIN.saturating_add((64 << 10) - 1),
            packet_size: NonZeroU32::MIN.saturating_add((2 << 20) - 1),
            user_properties: 1000,
            property_bytes: 256 << 10,
            receive_maximum: NonZeroU16::MIN.saturating_add(1023),
            topic_aliases: 16,
            topic_levels: 128,
            sessions: 20_000,
            session_expiry: None,
            subscriptions: 10_000,
            subscription_bytes: 8 << 20,
            keep_alive: None,
            session_queue: 65_536,
            session_queue_bytes: 64 << 20,
            when_full: WhenFull::DropNewest,
            queued_bytes: 1 << 30,
            retained: 50_000,
            retained_bytes: 32 << 20,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            wildcard_subscription_available: true,
            shared_subscription_available: true,
            subscription_identifier_available: true,
            sys_interval: Some(Duration::from_secs(10)),
        }
    }
}

/// What one user property takes at least, in bytes: its identifier and the lengths of its two strings.
const USER_PROPERTY: usize = 5;

impl Limits {
    /// Tells a client what is not to be had here. The session upholds it from there on.
    ///
    // [MQTT-3.2.2-9] A Maximum QoS below 2 is told.
    pub(crate) fn tell(&self, properties: &mut ConnAckProperties) {
        if self.maximum_qos < Qos::ExactlyOnce {
            properties.set_maximum_qos(self.maximum_qos);
        }
        if !self.retain_available {
            properties.set_retain_available(false);
        }
        if !self.wildcard_subscription_available {
            properties.set_wildcard_subscription_available(false);
        }
        if !self.shared_subscription_available {
            properties.set_shared_subscription_available(false);
        }
        if !self.subscription_identifier_available {
            properties.set_subscription_identifier_available(false);
        }
    }

    /// Whether a will may be as it is, its properties aside.
    pub(crate) fn check_will(&self, will: &Will) -> Result<(), ReasonCode> {
        // [MQTT-3.2.2-12] [MQTT-3.2.2-13] Before anything becomes of the CONNECT.
        if will.qos > self.maximum_qos {
            return Err(ReasonCode::QosNotSupported);
        }
        if will.retain && !self.retain_available {
            return Err(ReasonCode::RetainNotSupported);
        }
        if levels(will.topic.as_bytes()) > self.topic_levels {
            return Err(ReasonCode::TopicNameInvalid);
        }
        Ok(())
    }

    /// Whether a message may have these properties: so many bytes, and of them these user properties.
    pub(crate) fn allow_properties<'a>(
        &self,
        bytes: &[u8],
        user_properties: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> bool {
        bytes.len() <= self.property_bytes
            // In few bytes there are few: those are not counted.
            && (bytes.len() / USER_PROPERTY <= self.user_properties
                || user_properties.count() <= self.user_properties)
    }
}

/// What a level of a topic costs in a tree beside its bytes.
const LEVEL_COST: usize = 128;

/// How many levels a topic or a filter has.
pub(crate) fn levels(topic: &[u8]) -> usize {
    topic.split(|&byte| byte == b'/').count()
}

/// What a topic or a filter costs in a tree, in bytes.
pub(crate) fn cost(topic: &[u8]) -> usize {
    topic.len() + LEVEL_COST * levels(topic)
}
