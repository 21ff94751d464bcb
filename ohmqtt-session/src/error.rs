//! What the other side did wrong, and what ended a connection.

use alloc::boxed::Box;
use ohmqtt_codec::{ConnAck, DecodeError, Disconnect, PacketId, PacketType, Qos, ReasonCode};

/// The other side broke a rule of MQTT. The session says so in a DISCONNECT, where it may, and ends the connection (section 4.13).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Bytes that are no packet.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// A packet that may not come here, or not now.
    #[error("unexpected {packet} {when}")]
    Unexpected {
        /// Which packet came.
        packet: PacketType,
        /// In which situation.
        when: &'static str,
    },
    /// An acknowledgement that does not fit the state of its Packet Identifier.
    #[error("{packet} for packet identifier {}, which does not wait for one", packet_id.get())]
    UnexpectedAck {
        /// The identifier it named.
        packet_id: PacketId,
        /// Which acknowledgement.
        packet: &'static str,
    },
    /// More unacknowledged messages than this side's Receive Maximum.
    #[error("more than {maximum} unacknowledged messages: our Receive Maximum is exceeded")]
    ReceiveMaximumExceeded {
        /// This side's Receive Maximum.
        maximum: u16,
    },
    /// A Topic Alias above this side's maximum.
    #[error("topic alias {alias} is invalid: our maximum is {maximum}")]
    TopicAliasInvalid {
        /// The alias.
        alias: u16,
        /// This side's Topic Alias Maximum.
        maximum: u16,
    },
    /// A Topic Alias that names no topic yet.
    #[error("topic alias {alias} names no topic: an alias needs a topic before it is used")]
    TopicAliasUnknown {
        /// The alias.
        alias: u16,
    },
    /// A QoS above this server's Maximum QoS.
    #[error("a message above our Maximum QoS, {}", u8::from(*maximum))]
    QosNotSupported {
        /// What this server offers.
        maximum: Qos,
    },
    /// RETAIN, though this server said it keeps nothing.
    #[error("a retained message, which this server said it does not support")]
    RetainNotSupported,
    /// A subscription with wildcards, though this server said it has none.
    #[error("a wildcard subscription, which this server said it does not support")]
    WildcardsNotSupported,
    /// A shared subscription, though this server said it has none.
    #[error("a shared subscription, which this server said it does not support")]
    SharedNotSupported,
    /// A Subscription Identifier, though this server said it has none.
    #[error("a subscription identifier, which this server said it does not support")]
    IdentifiersNotSupported,
    /// A field that only the other role may send.
    #[error("{packet} with {field}, which only the other side may send")]
    WrongDirection {
        /// Which packet.
        packet: PacketType,
        /// Which field.
        field: &'static str,
    },
    /// Session Present 1 in answer to a clean start.
    #[error("the server resumes a session, but this side has none")]
    SessionPresent,
    /// A SUBACK or UNSUBACK whose codes do not fit its request.
    #[error("{packet} with {got} reason codes for {want} filters")]
    CodesMismatch {
        /// Which packet.
        packet: PacketType,
        /// How many codes came.
        got: usize,
        /// How many filters were asked for.
        want: usize,
    },
}

impl ProtocolError {
    /// What the DISCONNECT says.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Malformed(error) => error.reason(),
            Self::ReceiveMaximumExceeded { .. } => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicAliasInvalid { .. } => ReasonCode::TopicAliasInvalid,
            Self::QosNotSupported { .. } => ReasonCode::QosNotSupported,
            Self::RetainNotSupported => ReasonCode::RetainNotSupported,
            Self::WildcardsNotSupported => ReasonCode::WildcardSubscriptionsNotSupported,
            Self::SharedNotSupported => ReasonCode::SharedSubscriptionsNotSupported,
            Self::IdentifiersNotSupported => ReasonCode::SubscriptionIdentifiersNotSupported,
            Self::Unexpected { .. }
            | Self::UnexpectedAck { .. }
            | Self::TopicAliasUnknown { .. }
            | Self::WrongDirection { .. }
            | Self::SessionPresent
            | Self::CodesMismatch { .. } => ReasonCode::ProtocolError,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectCause {
    /// This side asked for it.
    #[error("disconnected on request")]
    Requested,
    /// The stream ended without a DISCONNECT.
    #[error("the connection ended without a DISCONNECT")]
    StreamEnded,
    /// The other side said DISCONNECT.
    #[error("disconnected by the other side: {}", .0.reason)]
    ByPeer(Box<Disconnect>),
    /// The server refused the CONNECT.
    #[error("the server refused the connection: {}", .0.reason)]
    Refused(Box<ConnAck>),
    /// The other side broke a rule.
    #[error("the other side broke the protocol: {0}")]
    Protocol(#[source] ProtocolError),
    /// Nothing came for too long: no PINGRESP at a client, no packet for 1.5 times the Keep Alive at a server.
    #[error("nothing was heard from the other side within the keep alive time")]
    KeepAliveTimeout,
    /// No CONNACK, or at a server no CONNECT, in the time given.
    #[error("the handshake was not finished in time")]
    ConnectTimeout,
    /// This side ended the connection and said why: a server for any reason, a client because authentication failed.
    #[error("ended by this side: {0}")]
    ByUs(ReasonCode),
}
