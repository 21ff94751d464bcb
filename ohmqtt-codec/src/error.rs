//! What a peer's packet can have wrong: where, what, and what to answer.

use core::fmt;

use crate::packet::PacketType;
use crate::property::PropertyId;
use crate::reason::ReasonCode;
use crate::value::{FilterFault, TextFault};
use crate::wire::VarintFault;

/// A packet that breaks the format. The stream has no next packet to find: end the connection.
///
/// Reads as `PUBLISH: topic name: contains the wildcard '+'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The packet, when its first byte named one.
    pub packet: Option<PacketType>,
    /// The field, in the words of the specification.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Type 0 is reserved.
    #[error("type 0 is reserved")]
    ReservedType,
    /// Reserved bits do not have their value, or bits contradict each other. The byte is as received.
    #[error("bits {0:#010b} are not allowed")]
    Bits(u8),
    /// Both QoS bits are set.
    #[error("QoS 3 does not exist")]
    Qos3,
    /// DUP without acknowledgement.
    #[error("DUP is set at QoS 0")]
    DupAtQos0,
    /// A variable byte integer of five bytes or more.
    #[error("the variable byte integer is longer than four bytes")]
    VarintTooLong,
    /// A variable byte integer that fits in fewer bytes.
    #[error("the variable byte integer is longer than it need be")]
    VarintNotMinimal,
    /// The packet is over the receiver's limit. Sizes in bytes, fixed header included.
    #[error("{size} bytes are over the limit of {limit}")]
    TooLarge {
        /// Of the whole packet.
        size: u32,
        /// What [`Limits`](crate::Limits) allow.
        limit: u32,
    },
    /// The packet ends before the field does.
    #[error("the packet ends before it does")]
    Truncated,
    /// The packet has bytes after its last field; how many.
    #[error("{0} bytes follow the last field")]
    TrailingBytes(usize),
    /// Not UTF-8.
    #[error("is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// U+0000 in a string.
    #[error("has U+0000 at byte {0}")]
    Nul(usize),
    /// A wildcard where a topic name must be.
    #[error("contains the wildcard {0:?}")]
    Wildcard(char),
    /// A topic name without a character where it must have one.
    #[error("is empty")]
    EmptyTopic,
    /// A PUBLISH with neither topic name nor topic alias.
    #[error("is empty and there is no Topic Alias")]
    NoTopic,
    /// A malformed topic filter.
    #[error("{0}")]
    Filter(FilterFault),
    /// No Local on a shared subscription.
    #[error("No Local is set on a shared subscription")]
    NoLocalOnShared,
    /// Packet identifier 0.
    #[error("is 0")]
    ZeroPacketId,
    /// Topic Alias 0.
    #[error("is 0")]
    ZeroTopicAlias,
    /// No property has this identifier.
    #[error("identifier {0:#04x} is of no property")]
    UnknownProperty(u8),
    /// The property has no place in this packet.
    #[error("{} is not allowed here", .0.name())]
    MisplacedProperty(PropertyId),
    /// The property may stand only once.
    #[error("stands there twice")]
    RepeatedProperty,
    /// A number outside its range.
    #[error("is {value}, allowed are {allowed}")]
    OutOfRange {
        /// What was received.
        value: u32,
        /// What is allowed, as text.
        allowed: &'static str,
    },
    /// Authentication Data, or an AUTH packet, without an Authentication Method.
    #[error("is missing")]
    NoAuthenticationMethod,
    /// The protocol is not called `MQTT`.
    #[error("is not \"MQTT\"")]
    UnknownProtocol,
    /// A version of MQTT other than 5.
    #[error("is {0}, only 5 is spoken here")]
    UnsupportedVersion(u8),
    /// Session Present with a reason code other than Success.
    #[error("is set with the reason code {0}")]
    SessionPresentWithFailure(ReasonCode),
    /// The reason code is undefined.
    #[error("{0:#04x} is not defined")]
    UndefinedReasonCode(u8),
    /// The reason code is not for this packet.
    #[error("{0} is not for this packet")]
    MisplacedReasonCode(ReasonCode),
    /// A list that must hold something does not.
    #[error("there is none")]
    Missing,
}

impl DecodeError {
    /// The reason code a DISCONNECT (or, of a CONNECT, a CONNACK) should carry.
    ///
    /// [Section 4.13](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901258)
    pub fn reason(&self) -> ReasonCode {
        self.fault.reason()
    }
}

impl Fault {
    /// The reason code that answers it, as [`DecodeError::reason`].
    pub fn reason(&self) -> ReasonCode {
        match self {
            // What cannot be parsed.
            Fault::ReservedType
            | Fault::Bits(_)
            | Fault::Qos3
            | Fault::DupAtQos0
            | Fault::VarintTooLong
            | Fault::VarintNotMinimal
            | Fault::Truncated
            | Fault::TrailingBytes(_)
            | Fault::NotUtf8(_)
            | Fault::Nul(_)
            | Fault::UnknownProperty(_)
            | Fault::MisplacedProperty(_) => ReasonCode::MalformedPacket,
            // What can be parsed and is not allowed.
            Fault::NoTopic
            | Fault::NoLocalOnShared
            | Fault::ZeroPacketId
            | Fault::RepeatedProperty
            | Fault::OutOfRange { .. }
            | Fault::NoAuthenticationMethod
            | Fault::SessionPresentWithFailure(_)
            | Fault::UndefinedReasonCode(_)
            | Fault::MisplacedReasonCode(_)
            | Fault::Missing => ReasonCode::ProtocolError,
            // What has a reason code of its own.
            Fault::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Fault::Wildcard(_) | Fault::EmptyTopic => ReasonCode::TopicNameInvalid,
            Fault::Filter(_) => ReasonCode::TopicFilterInvalid,
            Fault::ZeroTopicAlias => ReasonCode::TopicAliasInvalid,
            Fault::UnknownProtocol | Fault::UnsupportedVersion(_) => {
                ReasonCode::UnsupportedProtocolVersion
            }
        }
    }
}

impl core::error::Error for DecodeError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(packet) = self.packet {
            write!(f, "{packet}: ")?;
        }
        write!(f, "{}: {}", self.field, self.fault)
    }
}

impl From<TextFault> for Fault {
    fn from(fault: TextFault) -> Self {
        match fault {
            TextFault::Utf8 { at } => Self::NotUtf8(at),
            TextFault::Nul { at } => Self::Nul(at),
            TextFault::Wildcard(wildcard) => Self::Wildcard(wildcard),
        }
    }
}

impl From<VarintFault> for Fault {
    fn from(fault: VarintFault) -> Self {
        match fault {
            VarintFault::TooLong => Self::VarintTooLong,
            VarintFault::NotMinimal => Self::VarintNotMinimal,
        }
    }
}
