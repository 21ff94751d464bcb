//! Messages as JSON, one object a line: what `sub --json` prints and `pub --json` reads.

use data_encoding::BASE64;
use ohmqtt_client::{Message, PublishProperties, Qos};
use ohmqtt_codec::{PropertyId, PropertyValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::args::{option_name, write_property};
use crate::clock::Moment;

/// A message as it is printed.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    /// When it came, to the microsecond.
    time: String,
    topic: &'a str,
    qos: u8,
    retain: bool,
    /// The payload, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// The payload in base64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    properties: Map<String, Value>,
}

/// Writes the message as a line, without its end.
pub(crate) fn write(message: &Message, now: &Moment, pretty: bool, out: &mut Vec<u8>) {
    let text = message.text().ok();
    let shown = Shown {
        time: now.iso_with_microseconds(),
        topic: message.topic.as_str(),
        qos: message.qos.into(),
        retain: message.retain,
        payload: text,
        payload_base64: text.is_none().then(|| BASE64.encode(&message.payload)),
        properties: properties(&message.properties),
    };
    let written = if pretty {
        serde_json::to_writer_pretty(&mut *out, &shown)
    } else {
        serde_json::to_writer(&mut *out, &shown)
    };
    // Strings and numbers into memory: there is nothing that can fail.
    debug_assert!(written.is_ok());
}

/// The properties by the names of `-D`; binary data that is no text under its name with `-base64`.
fn properties(all: &PublishProperties) -> Map<String, Value> {
    let mut shown = Map::new();
    for (id, value) in all.iter() {
        let name = option_name(id);
        let (name, value) = match value {
            PropertyValue::Byte(number) => (name, number.into()),
            PropertyValue::TwoByteInteger(number) => (name, number.into()),
            PropertyValue::FourByteInteger(number) => (name, number.into()),
            PropertyValue::Utf8String(text) => (name, text.into()),
            PropertyValue::BinaryData(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (name, text.into()),
                Err(_) => (name + "-base64", BASE64.encode(bytes).into()),
            },
            PropertyValue::VariableByteInteger(number) => {
                push(&mut shown, "subscription-identifiers", number.into());
                continue;
            }
            PropertyValue::Utf8StringPair(name, value) => {
                let pair = Value::Array(vec![name.into(), value.into()]);
                push(&mut shown, "user-properties", pair);
                continue;
            }
        };
        shown.insert(name, value);
    }
    shown
}

fn push(shown: &mut Map<String, Value>, name: &str, value: Value) {
    let values = shown
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(values) = values {
        values.push(value);
    }
}

/// A message as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// When it was printed: nothing comes of it.
    #[serde(rename = "time")]
    _time: Option<String>,
    topic: Option<String>,
    qos: Option<u8>,
    retain: Option<bool>,
    payload: Option<String>,
    payload_base64: Option<String>,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// A message that was read; what it does not say is as the command line says.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) topic: Option<String>,
    pub(crate) qos: Option<Qos>,
    pub(crate) retain: Option<bool>,
    pub(crate) payload: Vec<u8>,
    pub(crate) properties: PublishProperties,
}

/// Reads a line.
pub(crate) fn parse(line: &[u8]) -> Result<Parsed, String> {
    let given: Given = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let payload = match (given.payload, given.payload_base64) {
        (Some(_), Some(_)) => return Err("it has both payload and payload_base64".to_owned()),
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => decode("payload_base64", &text)?,
        (None, None) => Vec::new(),
    };
    let qos = given.qos.map(Qos::try_from).transpose();
    let qos = qos.map_err(|_| "qos: a QoS is 0, 1 or 2".to_owned())?;
    let mut block = Vec::new();
    for (name, value) in given.properties {
        write_given(&name, &value, &mut block).map_err(|error| format!("properties: {error}"))?;
    }
    let properties = PublishProperties::try_from(bytes::Bytes::from(block));
    Ok(Parsed {
        topic: given.topic,
        qos,
        retain: given.retain,
        payload,
        properties: properties.map_err(|error| format!("properties: {error}"))?,
    })
}

fn write_given(name: &str, value: &Value, block: &mut Vec<u8>) -> Result<(), String> {
    // They were of the way the message came, not of the message.
    if name == "subscription-identifiers" || name == option_name(PropertyId::TopicAlias) {
        return Ok(());
    }
    if name == "user-properties" {
        let pairs: Vec<(String, String)> = Deserialize::deserialize(value)
            .map_err(|_| format!("{name}: an array of pairs of texts is wanted"))?;
        for (first, second) in pairs {
            write_property(
                "user-property",
                first.as_bytes(),
                Some(second.as_bytes()),
                block,
            )?;
        }
        return Ok(());
    }
    match (name.strip_suffix("-base64"), value) {
        (Some(name), Value::String(text)) => {
            write_property(name, &decode(name, text)?, None, block)
        }
        (_, Value::String(text)) => write_property(name, text.as_bytes(), None, block),
        (_, Value::Number(number)) => {
            write_property(name, number.to_string().as_bytes(), None, block)
        }
        _ => Err(format!("{name}: a text or a number is wanted")),
    }
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, String> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_properties_is_read_back() {
        let line = br#"{"topic":"a","qos":1,"payload_base64":"/w==","properties":{"content-type":"x",
            "correlation-data-base64":"/w==","user-properties":[["a","b"],["a","c"]],"message-expiry-interval":7,
            "subscription-identifiers":[1]}}"#;
        let parsed = parse(line).unwrap();
        assert_eq!(parsed.payload, [0xFF]);
        let shown = Value::Object(properties(&parsed.properties)).to_string();
        assert_eq!(
            shown,
            r#"{"content-type":"x","correlation-data-base64":"/w==","user-properties":[["a","b"],["a","c"]],"message-expiry-interval":7}"#
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        for line in [
            "[]",
            r#"{"topics":"a"}"#,
            r#"{"qos":3}"#,
            r#"{"payload":"a","payload_base64":""}"#,
            r#"{"payload_base64":"?"}"#,
            r#"{"properties":{"content-kind":"x"}}"#,
            r#"{"properties":{"user-properties":["x"]}}"#,
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
