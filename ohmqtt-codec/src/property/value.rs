//! Properties one after another, whichever they are: for those who show, copy or make blocks and know no single property.

use bytes::Bytes;

use super::PropertyId;
use super::block::{Block, Entry, Kind};
use super::place::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    PublishProperties, SubAckProperties, SubscribeProperties, UnsubscribeProperties,
    WillProperties,
};
use super::table::rule;
use crate::error::Fault;

/// What a property's value is on the wire.
///
/// [Section 2.2.2.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901029)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PropertyType {
    /// One byte; each property of this type is 0 or 1.
    Byte,
    /// Two bytes, the high one first.
    TwoByteInteger,
    /// Four bytes, the highest first.
    FourByteInteger,
    /// One to four bytes of seven bits each, the lowest first.
    VariableByteInteger,
    /// Text with two bytes of length before it.
    Utf8String,
    /// Bytes with two bytes of length before them.
    BinaryData,
    /// Two texts, each with its length.
    Utf8StringPair,
}

/// A property's value as it stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// 0 or 1.
    Byte(u8),
    /// A number of 16 bits.
    TwoByteInteger(u16),
    /// A number of 32 bits.
    FourByteInteger(u32),
    /// A number of up to 268,435,455.
    VariableByteInteger(u32),
    /// A text.
    Utf8String(&'a str),
    /// Any bytes.
    BinaryData(&'a [u8]),
    /// A name and its value.
    Utf8StringPair(&'a str, &'a str),
}

/// A block of properties that may not stand where it should.
///
/// Reads as `Topic Alias: is 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
#[non_exhaustive]
pub struct InvalidProperties {
    /// The property's name, or `properties` where it is of none.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Kind {
    fn property_type(self) -> PropertyType {
        match self {
            Self::Flag | Self::MaximumQos => PropertyType::Byte,
            Self::U16 | Self::NonZeroU16 | Self::TopicAlias => PropertyType::TwoByteInteger,
            Self::U32 | Self::NonZeroU32 => PropertyType::FourByteInteger,
            Self::SubscriptionId => PropertyType::VariableByteInteger,
            Self::Text | Self::Topic | Self::AuthMethod => PropertyType::Utf8String,
            Self::Binary | Self::AuthData => PropertyType::BinaryData,
            Self::Pair => PropertyType::Utf8StringPair,
        }
    }
}

impl PropertyId {
    /// The type of its value.
    pub fn value_type(self) -> PropertyType {
        // The table has each.
        rule(self as u8).map_or(PropertyType::Byte, |rule| rule.kind.property_type())
    }
}

impl<'a> Entry<'a> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a byte was read as a number"
    )]
    fn value(&self) -> PropertyValue<'a> {
        match self.id.value_type() {
            PropertyType::Byte => PropertyValue::Byte(self.number() as u8),
            PropertyType::TwoByteInteger => {
                PropertyValue::TwoByteInteger(self.number16().unwrap_or(0))
            }
            PropertyType::FourByteInteger => PropertyValue::FourByteInteger(self.number()),
            PropertyType::VariableByteInteger => PropertyValue::VariableByteInteger(self.number()),
            PropertyType::Utf8String => PropertyValue::Utf8String(self.text()),
            PropertyType::BinaryData => PropertyValue::BinaryData(self.bytes()),
            PropertyType::Utf8StringPair => {
                let (name, value) = self.pair();
                PropertyValue::Utf8StringPair(name, value)
            }
        }
    }
}

macro_rules! generic_access {
    ($($place:ident)*) => {$(
        impl $place {
            /// All properties in their order on the wire; one that repeats comes as often as it stands there.
            pub fn iter(&self) -> impl Iterator<Item = (PropertyId, PropertyValue<'_>)> {
                self.0.entries().map(|entry| (entry.id, entry.value()))
            }
        }

        /// The properties that these bytes are on the wire, without the length before them; their memory is shared.
        ///
        /// [`InvalidProperties`] for bytes that a packet with them could not be decoded of.
        impl TryFrom<Bytes> for $place {
            type Error = InvalidProperties;

            fn try_from(bytes: Bytes) -> Result<Self, InvalidProperties> {
                match Block::check(&bytes, Self::PLACE) {
                    Ok(()) => Ok(Self::trusted(bytes)),
                    Err((field, fault)) => Err(InvalidProperties { field, fault }),
                }
            }
        }
    )*};
}

generic_access! {
    ConnectProperties WillProperties ConnAckProperties PublishProperties AckProperties SubscribeProperties
    SubAckProperties UnsubscribeProperties DisconnectProperties AuthProperties
}
