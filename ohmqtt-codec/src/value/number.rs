//! The small numbers: quality of service, packet identifiers, topic aliases, subscription identifiers.

use core::fmt;
use core::num::NonZeroU16;

use crate::wire::MAX_VARINT;

/// Quality of service: how often a message may arrive.
///
/// [Section 4.3](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901234)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0: sent once, never acknowledged; it may be lost.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: sent until it is acknowledged; it may arrive twice.
    AtLeastOnce = 1,
    /// QoS 2: arrives exactly once.
    ExactlyOnce = 2,
}

/// `QoS 1`, and so on.
impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QoS {}", u8::from(*self))
    }
}

impl From<Qos> for u8 {
    fn from(qos: Qos) -> Self {
        qos as u8
    }
}

/// The error of making a [`Qos`] from a number that is not 0, 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("QoS {0} does not exist: use 0, 1 or 2")]
pub struct UndefinedQos(pub u8);

impl TryFrom<u8> for Qos {
    type Error = UndefinedQos;

    fn try_from(number: u8) -> Result<Self, UndefinedQos> {
        match number {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(UndefinedQos(number)),
        }
    }
}

macro_rules! non_zero {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU16);

        impl $name {
            /// Makes one of a number; `None` for 0.
            pub const fn new(number: u16) -> Option<Self> {
                match NonZeroU16::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number, 1 to 65,535.
            pub const fn get(self) -> u16 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

non_zero! {
    /// A packet identifier, 1 to 65,535: it joins a packet to its acknowledgements.
    ///
    /// [Section 2.2.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901026)
    PacketId
}

non_zero! {
    /// A topic alias, 1 to 65,535: a number in place of a topic name, for one connection and one direction.
    ///
    /// [Section 3.3.2.3.4](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901113)
    TopicAlias
}

/// A subscription identifier, 1 to 268,435,455: the client's name for a subscription, repeated in what it brings.
///
/// [Section 3.8.2.1.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901166)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(core::num::NonZeroU32);

impl SubscriptionId {
    /// Makes one of a number; `None` for 0 and above 268,435,455.
    pub const fn new(number: u32) -> Option<Self> {
        match core::num::NonZeroU32::new(number) {
            Some(id) if number <= MAX_VARINT => Some(Self(id)),
            _ => None,
        }
    }

    /// The number, 1 to 268,435,455.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
