//! `%j` and `%J`: messages as the JSON of mosquitto's commands.

use ohmqtt_client::{Message, PublishProperties};
use ohmqtt_codec::PropertyValue;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::option_name;
use crate::clock::Moment;

/// A message; the order of the fields is theirs.
#[derive(Serialize)]
struct Shown<'a> {
    tst: String,
    topic: &'a str,
    qos: u8,
    retain: u8,
    payloadlen: usize,
    #[serde(skip_serializing_if = "Map::is_empty")]
    properties: Map<String, Value>,
    payload: Value,
}

/// With the payload as a text. Bytes that are no text show as the replacement character; `--json` loses nothing.
pub(super) fn write(message: &Message, now: &Moment, pretty: bool, line: &mut Vec<u8>) {
    let payload = Value::from(String::from_utf8_lossy(&message.payload));
    put(message, payload, now, pretty, line);
}

/// With the payload as the JSON it is to be; the error says that it is none.
pub(super) fn write_json(
    message: &Message,
    now: &Moment,
    pretty: bool,
    line: &mut Vec<u8>,
) -> Result<(), String> {
    let payload = if message.payload.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&message.payload).map_err(|error| {
            format!(
                "message payload is not valid JSON on topic {}: {error}",
                message.topic
            )
        })?
    };
    put(message, payload, now, pretty, line);
    Ok(())
}

fn put(message: &Message, payload: Value, now: &Moment, pretty: bool, line: &mut Vec<u8>) {
    let shown = Shown {
        tst: now.iso_with_microseconds(),
        topic: message.topic.as_str(),
        qos: message.qos.into(),
        retain: message.retain.into(),
        payloadlen: message.payload.len(),
        properties: properties(&message.properties),
        payload,
    };
    let written = if pretty {
        serde_json::to_writer_pretty(&mut *line, &shown)
    } else {
        serde_json::to_writer(&mut *line, &shown)
    };
    // Strings and numbers into memory: there is nothing that can fail.
    debug_assert!(written.is_ok());
}

/// Of a name that repeats the last value counts, as it does there.
fn properties(all: &PublishProperties) -> Map<String, Value> {
    let mut shown = Map::new();
    for (id, value) in all.iter() {
        let value = match value {
            PropertyValue::Byte(number) => number.into(),
            PropertyValue::TwoByteInteger(number) => number.into(),
            PropertyValue::FourByteInteger(number) | PropertyValue::VariableByteInteger(number) => {
                number.into()
            }
            PropertyValue::Utf8String(text) => text.into(),
            PropertyValue::BinaryData(bytes) => String::from_utf8_lossy(bytes).into(),
            PropertyValue::Utf8StringPair(name, value) => {
                let pairs = shown
                    .entry("user-properties")
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(pairs) = pairs {
                    pairs.insert(name.to_owned(), value.into());
                }
                continue;
            }
        };
        shown.insert(option_name(id), value);
    }
    shown
}
