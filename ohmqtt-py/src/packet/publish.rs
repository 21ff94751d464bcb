//! PUBLISH.

use ohmqtt_codec::{Delivery, PacketRef, Publish, PublishProperties, PublishTopic, Qos};
use pyo3::exceptions::PyValueError;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;
use pyo3::{PyErr, PyResult};

use super::{packet, set};
use crate::codes::Code;
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// PUBLISH: a message.
    ///
    /// message_expiry_interval is in seconds. packet_id is for QoS 1 and 2, and needed there; duplicate likewise. The
    /// topic may be empty when there is a topic_alias.
    PublishPacket(Publish) = "PublishPacket" match ["topic" "payload"];
    write |this| PacketRef::Publish(this);
    (
        topic: PyBackedStr => |this, _py| match &this.topic {
            PublishTopic::Name(name) => name.as_str(),
            PublishTopic::Alias(_) => "",
        };
        payload: Blob => |this, _py| &this.payload[..];
    )
    {
        qos: i64 [int] = 0 => |this, py| Code::Qos.member(py, this.delivery.qos())?;
        retain: bool = false => |this, _py| this.retain;
        packet_id: Option<Int> = None => |this, _py| this.delivery.packet_id().map(ohmqtt_codec::PacketId::get);
        duplicate: bool = false => |this, _py| this.delivery.dup();
        payload_format_indicator: i64 [int] = 0
            => |this, _py| u8::from(this.properties.payload_format_indicator() == Some(true));
        message_expiry_interval: Option<Int> = None => |this, _py| this.properties.message_expiry_interval();
        content_type: Option<PyBackedStr> = None => |this, _py| this.properties.content_type();
        response_topic: Option<PyBackedStr> = None => |this, _py| this.properties.response_topic();
        correlation_data: Option<Blob> = None => |this, _py| this.properties.correlation_data();
        subscription_ids: Option<Vec<Int>> = None => |this, py| {
            let ids = this.properties.subscription_identifiers().map(ohmqtt_codec::SubscriptionId::get);
            PyTuple::new(py, ids.collect::<Vec<_>>())?
        };
        topic_alias: Option<Int> = None => |this, _py| match this.topic {
            PublishTopic::Name(_) => this.properties.topic_alias(),
            PublishTopic::Alias(alias) => Some(alias),
        }.map(ohmqtt_codec::TopicAlias::get);
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = PublishProperties::default();
        if convert::bit("payload_format_indicator", payload_format_indicator)? {
            properties.set_payload_format_indicator(true);
        }
        set!(properties.set_message_expiry_interval(whole32(message_expiry_interval)));
        set!(properties.set_content_type(&text(content_type)));
        set!(properties.set_response_topic(&topic(response_topic)));
        set!(properties.set_correlation_data(&binary(correlation_data)));
        for id in subscription_ids.unwrap_or_default() {
            properties.add_subscription_identifier(convert::subscription_id("subscription_ids", id)?);
        }
        let alias = topic_alias.map(|alias| convert::alias("topic_alias", alias)).transpose()?;
        let topic = match alias {
            Some(alias) if topic.is_empty() => PublishTopic::Alias(alias),
            _ => PublishTopic::Name(convert::topic("topic", topic)?),
        };
        if let (PublishTopic::Name(_), Some(alias)) = (&topic, alias) {
            properties.set_topic_alias(alias);
        }
        set!(properties.add_user_property(user_properties));
        Ok(Publish {
            topic,
            delivery: delivery(convert::qos("qos", qos)?, packet_id, duplicate)?,
            retain,
            properties,
            payload: payload.0,
        })
    }
}

fn delivery(qos: Qos, packet_id: Option<Int>, dup: bool) -> PyResult<Delivery> {
    let refused = |message: &str| Err::<Delivery, PyErr>(PyValueError::new_err(message.to_owned()));
    if qos == Qos::AtMostOnce {
        if packet_id.is_some() {
            return refused("packet_id: there is none at QoS 0");
        }
        if dup {
            return refused("duplicate: is False at QoS 0");
        }
        return Ok(Delivery::AtMostOnce);
    }
    let Some(packet_id) = packet_id else {
        return refused("packet_id: QoS 1 and 2 need one, from 1 to 65535");
    };
    let packet_id = convert::packet_id(packet_id)?;
    Ok(if qos == Qos::AtLeastOnce {
        Delivery::AtLeastOnce { packet_id, dup }
    } else {
        Delivery::ExactlyOnce { packet_id, dup }
    })
}
