//! MQTT 5.0 packets to bytes and back: strict, zero-copy, `no_std`.
//!
//! [`decode`] takes whole packets off the front of a [`bytes::BytesMut`] and refuses whatever one packet alone shows to
//! be wrong; [`Packet::encode`] writes the shortest form of a packet into an [`EncodeBuf`] that leaves by vectored
//! write. Strings, topics, properties and payloads are slices of the read chunk, counted by reference: decoding a
//! PUBLISH or an acknowledgement allocates nothing.
//!
//! What is not here: who may send which packet, what a packet means for a session, time, and I/O. The codec has no role
//! and no state between two packets; the rules that need either are in `ohmqtt-session`.
//!
//! ```
//! use bytes::BytesMut;
//! use ohmqtt_codec::{EncodeBuf, Limits, Packet, Publish, TopicName, decode};
//!
//! let mut out = EncodeBuf::new();
//! let topic = TopicName::new("kitchen/temperature")?;
//! Packet::Publish(Publish::new(topic, "21.5")).encode(&mut out)?;
//!
//! let mut read = BytesMut::from(&out.into_bytes()[..]);
//! match decode(&mut read, &Limits::default())? {
//!     Some(Packet::Publish(publish)) => assert_eq!(&publish.payload[..], b"21.5"),
//!     other => panic!("not a whole PUBLISH: {other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A property has methods only where the specification lets it stand, so this does not compile:
//!
//! ```compile_fail,E0599
//! # use ohmqtt_codec::{AckProperties, TopicAlias};
//! let mut properties = AckProperties::default();
//! properties.set_topic_alias(TopicAlias::new(1).unwrap());
//! ```

#![no_std]
#![warn(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]

extern crate alloc;

mod decode;
mod encode_buf;
mod error;
mod packet;
mod property;
mod reader;
mod reason;
mod value;
mod wire;

pub use decode::{Limits, decode};
pub use encode_buf::{EncodeBuf, TooLarge};
pub use error::{DecodeError, Fault};
pub use packet::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Filters, Packet, PacketRef, PacketType,
    Publish, PublishRef, PublishTopic, ReasonCodes, RetainHandling, SubAck, Subscribe,
    SubscriptionOptions, Unsubscribe, UnsubscribeFilters, Will,
};
pub use property::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    InvalidProperties, PropertyId, PropertyType, PropertyValue, PublishProperties,
    SubAckProperties, SubscribeProperties, UnsubscribeProperties, WillProperties,
};
pub use reason::{ReasonCode, UndefinedReasonCode};
pub use value::{
    Binary, FilterFault, InvalidBinary, InvalidString, InvalidTopic, MqttString, PacketId, Qos,
    SubscriptionId, TopicAlias, TopicFault, TopicFilter, TopicName, UndefinedQos,
};
