//! What a CONNACK says of a broker (section 3.2.2.3), each under a name that can be required.

use std::num::NonZeroU16;

use ohmqtt_client::ConnAck;

/// What a broker can do, or how much of it.
#[derive(Debug)]
pub(super) struct Feature {
    /// What it is required by.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// How much; of what there is or not, 1 or 0.
    pub(super) value: u64,
    pub(super) shown: String,
}

/// What is required: a feature, or so much of it.
#[derive(Debug, Clone)]
pub(super) struct Required {
    name: &'static str,
    least: u64,
}

const NAMES: &[&str] = &[
    "qos",
    "retain",
    "wildcard",
    "shared",
    "identifiers",
    "aliases",
    "receive-maximum",
    "packet-size",
    "session-expiry",
    "keep-alive",
];

/// The features of the broker that said this to a client that asked for so many seconds of Keep Alive.
pub(super) fn of(connack: &ConnAck, keep_alive: u16) -> Vec<Feature> {
    let properties = &connack.properties;
    let is_there = |name, title, answer: Option<bool>| {
        let there = answer.unwrap_or(true);
        let shown = if there { "yes" } else { "no" };
        Feature {
            name,
            title,
            value: there.into(),
            shown: shown.to_owned(),
        }
    };
    let amount = |name, title, value: u64, unit: &str| Feature {
        name,
        title,
        value,
        shown: format!("{value}{unit}"),
    };
    let qos = properties.maximum_qos().map_or(2, u8::from);
    let receive = properties.receive_maximum().map_or(65_535, NonZeroU16::get);
    // Without a word the format's own limit holds: a Remaining Length of four bytes, and the header.
    let size = properties.maximum_packet_size();
    let largest = size.map_or(268_435_460, |most| u64::from(most.get()));
    let session = properties.session_expiry_interval().unwrap_or(u32::MAX);
    let alive = properties.server_keep_alive().unwrap_or(keep_alive);
    let mut features = vec![
        amount("qos", "maximum QoS", qos.into(), ""),
        is_there("retain", "retained messages", properties.retain_available()),
        is_there(
            "wildcard",
            "wildcard subscriptions",
            properties.wildcard_subscription_available(),
        ),
        is_there(
            "shared",
            "shared subscriptions",
            properties.shared_subscription_available(),
        ),
        is_there(
            "identifiers",
            "subscription identifiers",
            properties.subscription_identifier_available(),
        ),
        amount(
            "aliases",
            "topic aliases",
            properties.topic_alias_maximum().unwrap_or(0).into(),
            "",
        ),
        amount(
            "receive-maximum",
            "messages under way",
            receive.into(),
            " of QoS 1 and 2",
        ),
        amount("packet-size", "largest packet", largest, " bytes"),
        amount("session-expiry", "longest session", session.into(), " s"),
        amount("keep-alive", "keep alive", alive.into(), " s"),
    ];
    for feature in &mut features {
        match (feature.name, feature.value) {
            ("session-expiry", value) if value == u64::from(u32::MAX) => {
                feature.shown = String::from("for ever");
            }
            ("keep-alive", 0) => feature.shown = String::from("none"),
            _ => {}
        }
    }
    features
}

impl Required {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (given, least) = match text.split_once('=') {
            Some((name, least)) => {
                let least = least.parse().map_err(|_| "not a whole number".to_owned())?;
                (name, least)
            }
            None => (text, 1),
        };
        let name = NAMES.iter().find(|name| **name == given);
        let name = name.ok_or_else(|| format!("one of {}", NAMES.join(", ")))?;
        Ok(Self { name, least })
    }

    /// What of it is missing, in words.
    pub(super) fn missing(&self, features: &[Feature]) -> Option<String> {
        let feature = features.iter().find(|feature| feature.name == self.name)?;
        (feature.value < self.least).then(|| match (self.least, feature.value) {
            (1, 0) => feature.title.to_owned(),
            (least, _) => format!("{} of {least} (it is {})", feature.title, feature.shown),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ohmqtt_client::{ConnAckProperties, ReasonCode};

    #[test]
    fn what_is_not_said_is_as_the_standard_says() {
        let connack = ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: ConnAckProperties::default(),
        };
        let features = of(&connack, 60);
        let names: Vec<_> = features.iter().map(|feature| feature.name).collect();
        assert_eq!(names, NAMES);
        let values: Vec<_> = features.iter().map(|feature| feature.value).collect();
        assert_eq!(
            values,
            [2, 1, 1, 1, 1, 0, 65_535, 268_435_460, 4_294_967_295, 60]
        );
        let missing = |text: &str| Required::parse(text).unwrap().missing(&features);
        assert_eq!(missing("shared"), None);
        assert_eq!(missing("qos=2"), None);
        assert_eq!(missing("aliases"), Some("topic aliases".to_owned()));
        assert_eq!(
            missing("aliases=5"),
            Some("topic aliases of 5 (it is 0)".to_owned())
        );
        assert!(Required::parse("colour").is_err());
        assert!(Required::parse("qos=many").is_err());
    }
}
