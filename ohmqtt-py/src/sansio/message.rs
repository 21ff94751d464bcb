//! An application message, and a subscription that it matched.

use ohmqtt_codec::{SubscriptionId, SubscriptionOptions, TopicFilter};
use ohmqtt_session::{Message, Subscription};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

use crate::codes::Code;
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};
use crate::packet::{PyTopicFilter, packet, set};

packet! {
    /// An application message: a PUBLISH without what belongs to one connection, which the session adds.
    ///
    /// message_expiry_interval is in seconds. subscription_ids are for messages that come; a client sends none.
    PyMessage(Message) = "Message" in "ohmqtt.sansio" match ["topic" "payload"];
    (
        topic: PyBackedStr => |this, _py| this.topic.as_str();
        payload: Blob => |this, _py| &this.payload[..];
    )
    {
        qos: i64 [int] = 0 => |this, py| Code::Qos.member(py, this.qos)?;
        retain: bool = false => |this, _py| this.retain;
        payload_format_indicator: i64 [int] = 0
            => |this, _py| u8::from(this.properties.payload_format_indicator() == Some(true));
        message_expiry_interval: Option<Int> = None => |this, _py| this.properties.message_expiry_interval();
        content_type: Option<PyBackedStr> = None => |this, _py| this.properties.content_type();
        response_topic: Option<PyBackedStr> = None => |this, _py| this.properties.response_topic();
        correlation_data: Option<Blob> = None => |this, _py| this.properties.correlation_data();
        subscription_ids: Option<Vec<Int>> = None => |this, py| {
            let ids = this.properties.subscription_identifiers().map(SubscriptionId::get);
            PyTuple::new(py, ids.collect::<Vec<_>>())?
        };
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut message = Message::new(convert::topic("topic", topic)?, payload.0);
        message.qos = convert::qos("qos", qos)?;
        message.retain = retain;
        let properties = &mut message.properties;
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
        set!(properties.add_user_property(user_properties));
        Ok(message)
    }
}

packet! {
    /// A subscription of a client that a message matched: its topic filter with the QoS that was granted as max_qos, and
    /// the subscription_id if the client gave one.
    PySubscription(Matched) = "Subscription" in "ohmqtt.sansio" match ["topic_filter" "subscription_id"];
    (
        topic_filter: Py<PyTopicFilter> => |this, py| Py::new(py, PyTopicFilter((this.filter.clone(), this.options)))?;
    )
    {
        subscription_id: Option<Int> = None => |this, _py| this.identifier.map(SubscriptionId::get);
    }
    new {
        let (filter, options) = topic_filter.get().0.clone();
        let identifier = subscription_id.map(|id| convert::subscription_id("subscription_id", id)).transpose()?;
        Ok(Matched { filter, options, identifier })
    }
}

/// What a [`PySubscription`] is made of.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Matched {
    filter: TopicFilter,
    options: SubscriptionOptions,
    identifier: Option<SubscriptionId>,
}

impl From<&Matched> for Subscription {
    fn from(matched: &Matched) -> Self {
        Self {
            options: matched.options,
            identifier: matched.identifier,
        }
    }
}
