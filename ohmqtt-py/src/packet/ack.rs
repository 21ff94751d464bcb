//! PUBACK, PUBREC, PUBREL and PUBCOMP.

use ohmqtt_codec::{Ack, AckProperties, PacketRef, PacketType};
use pyo3::pybacked::PyBackedStr;

use super::{packet, set};
use crate::codes::Code;
use crate::convert::{self, Int, Pairs, int, tuple_of_pairs};

macro_rules! ack {
    ($(#[doc = $doc:literal])* $class:ident = $name:literal $variant:ident) => {
        packet! {
            $(#[doc = $doc])*
            $class(Ack) = $name match ["packet_id" "reason_code"];
            write |this| PacketRef::$variant(this);
            (
                packet_id: Int => |this, _py| this.packet_id.get();
            )
            {
                reason_code: i64 [int] = 0 => |this, py| Code::$variant.member(py, this.reason)?;
                reason_str: Option<PyBackedStr> = None => |this, _py| this.properties.reason_string();
                user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
            }
            new {
                let mut properties = AckProperties::default();
                set!(properties.set_reason_string(&text(reason_str)));
                set!(properties.add_user_property(user_properties));
                Ok(Ack {
                    packet_id: convert::packet_id(packet_id)?,
                    reason: convert::reason(PacketType::$variant, reason_code)?,
                    properties,
                })
            }
        }
    };
}

ack! {
    /// PUBACK: the end of a QoS 1 delivery.
    PubAckPacket = "PubAckPacket" PubAck
}
ack! {
    /// PUBREC: step two of a QoS 2 delivery.
    PubRecPacket = "PubRecPacket" PubRec
}
ack! {
    /// PUBREL: step three of a QoS 2 delivery.
    PubRelPacket = "PubRelPacket" PubRel
}
ack! {
    /// PUBCOMP: the end of a QoS 2 delivery.
    PubCompPacket = "PubCompPacket" PubComp
}
