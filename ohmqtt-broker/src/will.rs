//! From a will (section 3.1.2.5) to the message it becomes.

use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Binary, MqttString, PublishProperties, TopicName, Will};
use ohmqtt_session::Message;

use crate::store::record;

/// The message that a will asks for, in memory of its own.
pub(crate) fn message_of(will: &Will) -> Message {
    let mut message = Message::new(will.topic.clone(), will.payload.to_bytes());
    message.qos = will.qos;
    // [MQTT-3.1.2-14] [MQTT-3.1.2-15] Published as retained or not, as Will Retain says.
    message.retain = will.retain;
    message.properties = properties_of(will);
    message.detached()
}

/// How long it waits after the end of its connection.
pub(crate) fn delay_of(will: &Will) -> Duration {
    let seconds = will.properties.will_delay_interval().unwrap_or(0);
    Duration::from_secs(u64::from(seconds))
}

/// The same as a store keeps it while its client is connected.
pub(crate) fn standing_of(will: &Will) -> Option<Bytes> {
    record::standing_value(delay_of(will), &message_of(will)).map(Bytes::from)
}

fn properties_of(will: &Will) -> PublishProperties {
    let from = &will.properties;
    let mut to = PublishProperties::default();
    if let Some(flag) = from.payload_format_indicator() {
        to.set_payload_format_indicator(flag);
    }
    if let Some(seconds) = from.message_expiry_interval() {
        to.set_message_expiry_interval(seconds);
    }
    // What a decoded block holds is valid, so these never fail.
    if let Some(Ok(text)) = from.content_type().map(MqttString::try_from) {
        to.set_content_type(&text);
    }
    if let Some(Ok(topic)) = from.response_topic().map(TopicName::try_from) {
        to.set_response_topic(&topic);
    }
    if let Some(Ok(data)) = from.correlation_data().map(Binary::try_from) {
        to.set_correlation_data(&data);
    }
    // [MQTT-3.1.3-10] In their order.
    for (name, value) in from.user_properties() {
        if let (Ok(name), Ok(value)) = (MqttString::try_from(name), MqttString::try_from(value)) {
            to.add_user_property(&name, &value);
        }
    }
    to
}
