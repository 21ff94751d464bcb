//! What a server session is told once, what it is told when a client is accepted, and what it is told of a routed message.

use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;
use ohmqtt_codec::{ConnAckProperties, SubscriptionId, SubscriptionOptions};

use crate::{Flows, OutboxConfig, OutboxLimits};

/// What a server session is told once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long a client may take from the stream's coming to its CONNECT.
    pub connect_timeout: Duration,
    /// How many unacknowledged messages of QoS 1 and 2 a client may have under way. Told in CONNACK unless it is 65,535.
    pub receive_maximum: NonZeroU16,
    /// The largest packet a client may send, in bytes. Told in CONNACK when it is there; the decoder upholds it.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// How many topic aliases a client may use. Told in CONNACK unless it is 0.
    pub topic_alias_maximum: u16,
    /// The Keep Alive the server insists on, in seconds, in place of the client's.
    pub server_keep_alive: Option<u16>,
    /// How much may wait for a client.
    pub outbox: OutboxConfig,
    /// Whether there is a store: operations are emitted by `poll_store` and packets wait for them. A session that ends with its
    /// connection (section 3.1.2.11.2) is not stored. What the store holds of a session that is begun anew is the caller's to remove.
    pub durable: bool,
    /// A QoS 2 message whose record cannot be stored is refused. For who stores the message in one step with its record, so that when one
    /// fails the other does; without this the record is asked for until it is stored.
    pub refuse_unstored: bool,
}

impl Default for ServerConfig {
    /// Ten seconds to CONNECT, 1,024 unacknowledged messages, no limit on packets, no aliases, the client's Keep Alive.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            receive_maximum: NonZeroU16::new(1024).unwrap_or(NonZeroU16::MAX),
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            server_keep_alive: None,
            outbox: OutboxConfig {
                limits: OutboxLimits {
                    messages: 10_000,
                    bytes: 32 * 1024 * 1024,
                },
                ..OutboxConfig::default()
            },
            durable: false,
            refuse_unstored: false,
        }
    }
}

/// A client is accepted with this.
#[derive(Debug, Default)]
pub struct Accept {
    /// The client's old session, from its last connection or from a store. The CONNECT's Clean Start decides whether it is used. While it
    /// is not [open](Flows::is_open) it is read first, and nothing is said to the client.
    pub session: Option<Flows>,
    /// What else CONNACK says: an assigned identifier, the Maximum QoS, what is available. The session adds its own limits, and upholds
    /// what is said here: a client that uses what is not available is disconnected.
    pub properties: ConnAckProperties,
}

/// One subscription of a client that a message matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The options, with the QoS that was granted.
    pub options: SubscriptionOptions,
    /// The Subscription Identifier, if the client gave one.
    pub identifier: Option<SubscriptionId>,
}

/// Why a message is routed to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// It was published just now, by another client.
    Published,
    /// It was published just now, by this client.
    Own,
    /// It was retained, and the client subscribed.
    Retained,
}
