//! The native half of the toolkit: `ohmqtt.packet`, `ohmqtt.property`, `ohmqtt.topic_filter`, `ohmqtt.connection.Address`.
//!
//! The classes are Python's, mutable and lenient; what a packet may hold is the codec's to say, when they are encoded and
//! decoded. For the rest of the crate:
//! - [`blocks::of_object`]: what an `MQTTPublishProps` or its kin has, as the codec's properties;
//! - [`packets::of_packet`]: a packet of `ohmqtt.packet` as one of the codec;
//! - [`objects`]: a packet of the codec as a packet of `ohmqtt.packet`, a block as properties of `ohmqtt.property`.

pub(crate) mod address;
pub(crate) mod blocks;
mod names;
pub(crate) mod objects;
pub(crate) mod packets;
pub(crate) mod topics;
