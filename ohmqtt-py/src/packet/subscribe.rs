//! SUBSCRIBE with its topic filters, and SUBACK.

use ohmqtt_codec::{
    Filters, PacketRef, PacketType, ReasonCodes, SubAck, SubAckProperties, Subscribe,
    SubscribeProperties, SubscriptionOptions, TopicFilter,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

use super::{packet, set};
use crate::codes::Code;
use crate::convert::{self, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// A topic filter of a SUBSCRIBE, and what is asked for.
    PyTopicFilter((TopicFilter, SubscriptionOptions)) = "TopicFilter" match ["pattern"];
    (
        pattern: PyBackedStr => |this, _py| this.0.as_str();
    )
    {
        max_qos: i64 [int] = 2 => |this, py| Code::Qos.member(py, this.1.qos)?;
        no_local: bool = false => |this, _py| this.1.no_local;
        retain_as_published: bool = true => |this, _py| this.1.retain_as_published;
        retain_handling: i64 [int] = 0
            => |this, py| Code::RetainHandling.member(py, this.1.retain_handling as u8)?;
    }
    new {
        let filter = convert::filter("pattern", pattern)?;
        let options = SubscriptionOptions {
            qos: convert::qos("max_qos", max_qos)?,
            no_local,
            retain_as_published,
            retain_handling: convert::retain_handling("retain_handling", retain_handling)?,
        };
        // What cannot be in a list is refused at once: No Local is all that a list adds to the filter's own rules.
        if no_local {
            Filters::new(&filter, options).map_err(|error| PyValueError::new_err(format!("no_local: {error}")))?;
        }
        Ok((filter, options))
    }
}

packet! {
    /// SUBSCRIBE: a client asks for messages. It has at least one topic filter.
    SubscribePacket(Subscribe) = "SubscribePacket" match ["packet_id" "topic_filters"];
    write |this| PacketRef::Subscribe(this);
    (
        packet_id: Int => |this, _py| this.packet_id.get();
        topic_filters: Vec<Py<PyTopicFilter>> => |this, py| {
            let filters = this.filters.iter().map(|filter| Py::new(py, PyTopicFilter(filter)));
            PyTuple::new(py, filters.collect::<PyResult<Vec<_>>>()?)?
        };
    )
    {
        subscription_id: Option<Int> = None
            => |this, _py| this.properties.subscription_identifier().map(ohmqtt_codec::SubscriptionId::get);
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = SubscribeProperties::default();
        set!(properties.set_subscription_identifier(subscription_id(subscription_id)));
        set!(properties.add_user_property(user_properties));
        let mut filters: Option<Filters> = None;
        for each in topic_filters {
            let (filter, options) = &each.get().0;
            let added = match &mut filters {
                Some(filters) => filters.push(filter, *options),
                None => Filters::new(filter, *options).map(|list| filters = Some(list)),
            };
            added.map_err(|error| PyValueError::new_err(format!("topic_filters: {error}")))?;
        }
        Ok(Subscribe {
            packet_id: convert::packet_id(packet_id)?,
            properties,
            filters: filters.ok_or_else(|| PyValueError::new_err("topic_filters: give at least one"))?,
        })
    }
}

/// SUBACK and UNSUBACK.
macro_rules! suback {
    ($(#[doc = $doc:literal])* $class:ident = $name:literal $variant:ident) => {
        packet! {
            $(#[doc = $doc])*
            $class(SubAck) = $name match ["packet_id" "reason_codes"];
            write |this| PacketRef::$variant(this);
            (
                packet_id: Int => |this, _py| this.packet_id.get();
                reason_codes: Vec<Int> => |this, py| {
                    let codes = this.codes.iter().map(|code| Code::$variant.member(py, code));
                    PyTuple::new(py, codes.collect::<PyResult<Vec<_>>>()?)?
                };
            )
            {
                reason_str: Option<PyBackedStr> = None => |this, _py| this.properties.reason_string();
                user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
            }
            new {
                let mut properties = SubAckProperties::default();
                set!(properties.set_reason_string(&text(reason_str)));
                set!(properties.add_user_property(user_properties));
                let codes = reason_codes.into_iter().map(|code| convert::reason(PacketType::$variant, code));
                let codes = ReasonCodes::from_iter_nonempty(codes.collect::<PyResult<Vec<_>>>()?);
                Ok(SubAck {
                    packet_id: convert::packet_id(packet_id)?,
                    properties,
                    codes: codes.ok_or_else(|| PyValueError::new_err("reason_codes: give at least one"))?,
                })
            }
        }
    };
}

suback! {
    /// SUBACK: the answer to a SUBSCRIBE, a reason code for each of its topic filters.
    SubAckPacket = "SubAckPacket" SubAck
}
suback! {
    /// UNSUBACK: the answer to an UNSUBSCRIBE, a reason code for each of its patterns.
    UnsubAckPacket = "UnsubAckPacket" UnsubAck
}
