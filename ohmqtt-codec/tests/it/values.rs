//! The values packets are made of: what they take, what they refuse, and what they say.

use bytes::Bytes;
use ohmqtt_codec::*;
use proptest::prelude::*;

use crate::generate::{topic_filter, topic_name};

fn name(topic: &str) -> TopicName {
    TopicName::new(topic).unwrap()
}

fn filter(filter: &str) -> TopicFilter {
    TopicFilter::new(filter).unwrap()
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.4-3]
#[test]
fn a_string_is_utf8_without_u_0000_and_of_65535_bytes_at_most() {
    assert_eq!(
        MqttString::try_from("\u{FEFF}é").unwrap().as_bytes(),
        "\u{FEFF}é".as_bytes()
    );
    assert_eq!(
        MqttString::try_from("a\0b").unwrap_err().to_string(),
        r#""a\0b" has U+0000 at byte 1: remove it"#
    );
    assert_eq!(
        MqttString::try_from(Bytes::from_static(b"ab\xED\xA0\x80"))
            .unwrap_err()
            .to_string(),
        "\"ab\u{FFFD}\u{FFFD}\u{FFFD}\" is not UTF-8 from byte 2 on: encode it as UTF-8, or send it as binary data"
    );
    assert_eq!(
        MqttString::try_from("x".repeat(65_535)).unwrap().len(),
        65_535
    );
    let error = MqttString::try_from("x".repeat(65_536))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "\"{}\" is 65536 bytes long: an MQTT string has at most 65535, shorten it",
            "x".repeat(64)
        )
    );
}

#[test]
fn a_string_is_text_in_every_way() {
    let text = MqttString::try_from("a\"b").unwrap();
    assert!(text == "a\"b" && text == *"a\"b" && text.as_str() == "a\"b" && !text.is_empty());
    assert_eq!(
        (text.to_string(), format!("{text:?}")),
        ("a\"b".to_owned(), "\"a\\\"b\"".to_owned())
    );
    assert_eq!(text.to_bytes().as_ptr(), text.as_bytes().as_ptr());
    assert!(MqttString::default().is_empty());
    assert!(MqttString::try_from("a").unwrap() < MqttString::try_from("b").unwrap());
}

#[test]
fn binary_data_is_65535_bytes_at_most_and_never_shown() {
    let binary = Binary::try_from(vec![7; 65_535]).unwrap();
    assert_eq!(
        (format!("{binary:?}"), binary.len()),
        ("<65535 bytes>".to_owned(), 65_535)
    );
    assert_eq!(
        Binary::try_from(vec![7; 65_536]).unwrap_err().to_string(),
        "65536 bytes of binary data: an MQTT field has at most 65535, send them as a payload"
    );
    assert!(Binary::try_from(vec![0; 65_535].as_slice()).is_ok());
    assert!(Binary::try_from(vec![0; 70_000].as_slice()).is_err());
}

/// [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3]
#[test]
fn a_topic_name_is_a_string_with_a_character_and_without_wildcards() {
    assert_eq!(name("/").as_str(), "/");
    for (topic, message) in [
        ("", "topic \"\": is empty: give it at least one character"),
        (
            "a/+",
            "topic \"a/+\": contains the wildcard '+': a message goes to one topic, only a subscription has wildcards",
        ),
        (
            "#",
            "topic \"#\": contains the wildcard '#': a message goes to one topic, only a subscription has wildcards",
        ),
        (
            "a\0",
            r#"topic "a\0": "a\0" has U+0000 at byte 1: remove it"#,
        ),
    ] {
        assert_eq!(TopicName::new(topic).unwrap_err().to_string(), message);
    }
    assert!(TopicName::new("x".repeat(65_535)).is_ok());
    assert!(TopicName::new("x".repeat(65_536)).is_err());
}

/// [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3], [MQTT-4.7.1-1], [MQTT-4.7.1-2]
#[test]
fn a_topic_filter_has_wildcards_where_they_may_be() {
    for good in [
        "#",
        "+",
        "/",
        "a/#",
        "+/+/#",
        "a//b",
        "/+",
        "$SYS/#",
        "$share",
        "$shared/a",
        "$Share/g/a",
        "+/a/+",
    ] {
        let filter = filter(good);
        assert!(
            filter == good && !filter.is_shared() && filter.share_name().is_none(),
            "{good}"
        );
        assert_eq!(filter.filter_bytes(), good.as_bytes());
        assert_eq!(filter.has_wildcards(), good.contains(['+', '#']));
    }
    for bad in [
        "", "a#", "#/", "a/#/b", "a+", "+a", "a/+b/c", "##", "++", "a\0",
    ] {
        assert!(TopicFilter::new(bad).is_err(), "{bad}");
    }
    assert!(TopicFilter::new("x".repeat(65_536)).is_err());
    assert_eq!(
        TopicFilter::new("a/b#").unwrap_err().to_string(),
        "topic \"a/b#\": has a '#' that is not the whole last level"
    );
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
#[test]
fn a_shared_filter_has_a_name_and_a_filter() {
    let shared = filter("$share/group é/a/+");
    assert!(shared.is_shared() && shared.has_wildcards());
    assert_eq!(
        (shared.share_name(), shared.filter_bytes()),
        (Some("group é"), &b"a/+"[..])
    );
    assert_eq!(shared.as_str(), "$share/group é/a/+");
    assert_eq!(filter("$share/g//").filter_bytes(), b"/");
    assert!(!filter("$share/g/a").has_wildcards());
    for bad in [
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
    ] {
        assert!(TopicFilter::new(bad).is_err(), "{bad}");
    }
}

/// Two of a type that are equal, and one behind them, as any key of a map needs them.
fn is_a_key<T: Ord + std::hash::Hash + std::fmt::Debug>(small: &T, same: &T, large: &T) {
    use std::collections::{BTreeSet, HashSet};
    assert_eq!(small, same);
    assert_ne!(small, large);
    assert!(small < large && large > same);
    assert_eq!(BTreeSet::from([large, same, small]).first(), Some(&small));
    assert_eq!(HashSet::from([small, same, large]).len(), 2);
}

#[test]
fn topics_and_filters_are_keys_by_their_text() {
    is_a_key(&name("a/b"), &name("a/b"), &name("a/c"));
    is_a_key(&filter("a/+"), &filter("a/+"), &filter("a/b"));
    let text = MqttString::try_from("a/b").unwrap();
    assert_eq!(TopicName::try_from(text.clone()).unwrap(), name("a/b"));
    let same = TopicFilter::try_from(text).unwrap();
    assert_eq!(same, filter("a/b"));
    assert_eq!(same, *"a/b");
    assert_eq!(same, "a/b");
    assert_eq!(same.to_string(), "a/b");
    assert_eq!(same.as_ref(), b"a/b");
    assert_eq!(same.to_bytes(), "a/b");
    let wrong = MqttString::try_from("a/#/b").unwrap();
    assert!(TopicFilter::try_from(wrong.clone()).is_err());
    assert!(TopicName::try_from(wrong).is_err());
}

/// [MQTT-4.7.2-1], [MQTT-4.7.3-4]
#[test]
fn filters_match_as_section_4_7_says() {
    for (pattern, topic, want) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        (
            "sport/tennis/player1/#",
            "sport/tennis/player1/ranking",
            true,
        ),
        (
            "sport/tennis/player1/#",
            "sport/tennis/player1/score/wimbledon",
            true,
        ),
        ("sport/#", "sport", true),
        ("#", "a/b", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/x", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("a", "A", false),
        ("a/b", "a/b/", false),
        ("a/b/", "a/b", false),
        ("a/b", "a/b", true),
        ("caf\u{E9}", "cafe\u{301}", false),
        ("$share/g/a/+", "a/b", true),
        ("$share/g/a/+", "$share/g/a/b", false),
        ("$share/g/#", "$SYS/x", false),
    ] {
        assert_eq!(
            filter(pattern).matches(&name(topic)),
            want,
            "{pattern} {topic}"
        );
    }
}

proptest! {
    #[test]
    fn a_filter_matches_as_a_recursive_definition_says(filter in topic_filter(), topic in topic_name()) {
        fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
            match (filter, topic) {
                (["#"], _) | ([], []) => true,
                ([first, filter @ ..], [name, topic @ ..]) => {
                    (*first == "+" || first == name) && levels_match(filter, topic)
                }
                _ => false,
            }
        }
        let matched = std::str::from_utf8(filter.filter_bytes()).unwrap();
        let hidden = topic.as_str().starts_with('$') && matched.starts_with(['+', '#']);
        let (levels, names) = (matched.split('/').collect::<Vec<_>>(), topic.as_str().split('/').collect::<Vec<_>>());
        prop_assert_eq!(filter.matches(&topic), !hidden && levels_match(&levels, &names));
    }

    #[test]
    fn a_topic_matches_itself_as_a_filter(topic in topic_name()) {
        if let Ok(filter) = TopicFilter::new(topic.as_str()) && !filter.is_shared() {
            prop_assert!(filter.matches(&topic));
        }
    }
}

#[test]
fn numbers_keep_their_ranges() {
    assert_eq!(PacketId::new(0), None);
    assert_eq!(PacketId::new(65_535).unwrap().get(), 65_535);
    assert_eq!(TopicAlias::new(0), None);
    assert_eq!(SubscriptionId::new(0), None);
    assert_eq!(SubscriptionId::new(268_435_456), None);
    assert_eq!(SubscriptionId::new(268_435_455).unwrap().get(), 268_435_455);
    assert_eq!(
        [0, 1, 2].map(|qos| u8::from(Qos::try_from(qos).unwrap())),
        [0, 1, 2]
    );
    assert_eq!(
        Qos::try_from(3).unwrap_err().to_string(),
        "QoS 3 does not exist: use 0, 1 or 2"
    );
    assert!(Qos::AtMostOnce < Qos::AtLeastOnce && Qos::AtLeastOnce < Qos::ExactlyOnce);
    assert_eq!(PacketType::PubAck.to_string(), "PUBACK");
}
