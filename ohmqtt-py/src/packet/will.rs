//! The will of a CONNECT.

use ohmqtt_codec::{Will, WillProperties};
use pyo3::pybacked::PyBackedStr;

use super::{packet, set};
use crate::codes::Code;
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// What the server publishes when the connection ends without a DISCONNECT.
    ///
    /// Intervals are in seconds. A payload of None is an empty one.
    PyWill(Will) = "Will" match ["topic" "payload"];
    (
        topic: PyBackedStr => |this, _py| this.topic.as_str();
    )
    {
        payload: Option<Blob> = None => |this, _py| this.payload.as_bytes();
        qos: i64 [int] = 0 => |this, py| Code::Qos.member(py, this.qos)?;
        retain: bool = false => |this, _py| this.retain;
        payload_format_indicator: i64 [int] = 0
            => |this, _py| u8::from(this.properties.payload_format_indicator() == Some(true));
        message_expiry_interval: Option<Int> = None => |this, _py| this.properties.message_expiry_interval();
        content_type: Option<PyBackedStr> = None => |this, _py| this.properties.content_type();
        response_topic: Option<PyBackedStr> = None => |this, _py| this.properties.response_topic();
        correlation_data: Option<Blob> = None => |this, _py| this.properties.correlation_data();
        will_delay_interval: i64 [int] = 0
            => |this, _py| this.properties.will_delay_interval().unwrap_or_default();
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = WillProperties::default();
        if convert::bit("payload_format_indicator", payload_format_indicator)? {
            properties.set_payload_format_indicator(true);
        }
        set!(properties.set_message_expiry_interval(whole32(message_expiry_interval)));
        set!(properties.set_content_type(&text(content_type)));
        set!(properties.set_response_topic(&topic(response_topic)));
        set!(properties.set_correlation_data(&binary(correlation_data)));
        let will_delay_interval = Some(will_delay_interval).filter(|&seconds| seconds != 0);
        set!(properties.set_will_delay_interval(whole32(will_delay_interval)));
        set!(properties.add_user_property(user_properties));
        let payload = payload.map(|payload| convert::binary("payload", payload)).transpose()?;
        Ok(Will {
            topic: convert::topic("topic", topic)?,
            payload: payload.unwrap_or_default(),
            qos: convert::qos("qos", qos)?,
            retain,
            properties,
        })
    }
}
