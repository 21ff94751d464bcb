//! Wireshark's dissector: a capture in, PDML out, which has a line for each field, with its value and its bytes.

use std::path::Path;
use std::process::Command;

use ohmqtt_codec::PacketType;

use crate::capture;
use crate::fields::Fields;
use crate::{Reading, Result};

/// Nothing of the machine's own settings, and MQTT 5 without a CONNECT before.
const OPTIONS: &[&str] = &["-n", "-o", "mqtt.default_version:MQTT v5.0", "-T", "pdml"];

/// What it reads in each packet.
pub(crate) fn read(tshark: &str, folder: &Path, frames: &[Vec<u8>]) -> Result<Vec<Reading>> {
    let file = folder.join("packets.pcap");
    std::fs::write(&file, capture::file(frames)?)?;
    let mut command = Command::new(tshark);
    command.args(OPTIONS).arg("-r").arg(file);
    command.env("WIRESHARK_CONFIG_DIR", folder.join("wireshark"));
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("tshark: {}: {said}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split("<packet>").skip(1).map(packet).collect())
}

/// An element of PDML. A line end in a text is one there too, so lines mean nothing.
struct Field<'a> {
    name: &'a str,
    show: &'a str,
    /// Its bytes, as digits.
    value: &'a str,
}

impl<'a> Field<'a> {
    /// Reads what stands behind a `<`.
    fn of(text: &'a str) -> Option<Self> {
        let text = text
            .strip_prefix("field ")
            .or_else(|| text.strip_prefix("proto "))?;
        let attribute = |name: &str| {
            let (_, rest) = text.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        Some(Self {
            name: attribute("name")?,
            show: attribute(" show").unwrap_or_default(),
            value: attribute(" value").unwrap_or_default(),
        })
    }

    fn flag(&self) -> u8 {
        u8::from(matches!(self.show, "1" | "True"))
    }

    fn number(&self) -> u64 {
        match self.show.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(u64::MAX),
            None => self.show.parse().unwrap_or(u64::MAX),
        }
    }
}

fn packet(text: &str) -> Reading {
    let fields: Vec<_> = text.split('<').filter_map(Field::of).collect();
    if fields.iter().any(|field| field.name == "_ws.malformed") {
        return Err("refuses it".to_owned());
    }
    let number = fields.iter().find(|field| field.name == "mqtt.msgtype");
    let number = number.ok_or("takes it for something else")?.number();
    let known = PacketType::ALL.iter().find(|it| **it as u64 == number);
    let Some(&packet_type) = known else {
        return Err(format!("reads type {number}"));
    };
    let mut it = Fields::new(packet_type.name());
    // Where properties stand, and which of them is being told.
    let (mut will, mut id, mut key) = (false, 0, "");
    let (mut filters, mut options, mut codes) = (0, 0, 0);
    let has_will = fields
        .iter()
        .any(|field| field.name == "mqtt.conflag.willflag" && field.flag() == 1);
    for field in &fields {
        match field.name {
            "mqtt.conflag.cleansess" => it.push("clean start", field.flag()),
            "mqtt.kalive" => it.push("keep alive", field.show),
            "mqtt.clientid" => it.push("client id", field.value),
            "mqtt.conflag.qos" if has_will => it.push("will qos", field.show),
            "mqtt.conflag.retain" if has_will => it.push("will retain", field.flag()),
            "mqtt.willtopic" => it.push("will topic", field.value),
            "mqtt.willmsg" => it.push("will payload", field.value),
            "mqtt.username" => it.push("user name", field.value),
            "mqtt.passwd" => it.push("password", field.value),
            "mqtt.conack.flags.sp" => it.push("session present", field.flag()),
            "mqtt.dupflag" => it.push("dup", field.flag()),
            "mqtt.qos" => it.push("qos", field.show),
            "mqtt.retain" => it.push("retain", field.flag()),
            "mqtt.msgid" => it.push("id", field.show),
            "mqtt.topic" if packet_type == PacketType::Publish => it.push("topic", field.value),
            "mqtt.topic" => {
                it.push(format!("filter {filters}"), field.value);
                filters += 1;
            }
            "mqtt.subscription_options" => {
                it.push(format!("options {options}"), field.number());
                options += 1;
            }
            "mqtt.msg" => it.push("payload", field.value),
            "mqtt.suback.reason_code" | "mqtt.unsuback.reason_code" => {
                it.push(format!("code {codes}"), field.show);
                codes += 1;
            }
            name if name.ends_with(".reason_code") => it.push("reason", field.show),
            "mqtt.properties" => will = false,
            "mqtt.will_properties" => will = true,
            "mqtt.property_id" => id = u8::try_from(field.number()).unwrap_or(0),
            "mqtt.prop_number" | "mqtt.property.max_qos" | "mqtt.property.topic_alias" => {
                it.push_property(will, id, field.show);
            }
            // With its length.
            "mqtt.property.content_type" => {
                it.push_property(will, id, field.value.get(4..).unwrap_or_default());
            }
            "mqtt.prop_string" => it.push_property(will, id, field.value),
            "mqtt.prop_key" => key = field.value,
            "mqtt.prop_value" => it.push_property(will, id, format!("{key}:{}", field.value)),
            _ => {}
        }
    }
    // It does not tell what is empty or left out.
    for name in absent(packet_type) {
        if !it.has(name) {
            it.push(*name, if *name == "reason" { "0" } else { "" });
        }
    }
    Ok(it)
}

/// What is 0 or empty where the dissector shows no field.
fn absent(packet_type: PacketType) -> &'static [&'static str] {
    match packet_type {
        PacketType::Publish => &["topic", "payload"],
        PacketType::Connect => &["client id"],
        PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubRel
        | PacketType::PubComp
        | PacketType::Disconnect
        | PacketType::Auth => &["reason"],
        _ => &[],
    }
}
