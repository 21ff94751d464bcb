//! Every property in every packet, by `spec/properties.tsv`.

use ohmqtt_codec::{PropertyId, ReasonCode};

use crate::tables::{Row, packets, properties};
use crate::wire::{decode_one, encode, hex, varint, with_properties};

const PLACES: [&str; 14] = [
    "CONNECT",
    "WILL",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "DISCONNECT",
    "AUTH",
];

const AUTHENTICATION_METHOD: u8 = 0x15;
const AUTHENTICATION_DATA: u8 = 0x16;

fn id(row: &Row) -> u8 {
    row["id"].parse().unwrap()
}

/// A valid value of the row's type.
fn valid(row: &Row) -> Vec<u8> {
    hex(match row["type"].as_str() {
        "Byte" => "01",
        "Two Byte Integer" => "0001",
        "Four Byte Integer" => "00000001",
        "Variable Byte Integer" => "8001",
        "UTF-8 String" => "0003 'a/b'",
        "Binary Data" => "0002 00FF",
        "UTF-8 String Pair" => "0001 'n' 0002 'vv'",
        other => panic!("{other} is no type"),
    })
}

fn with_id(id: u8, value: &[u8]) -> Vec<u8> {
    [&[id], value].concat()
}

/// A packet with these properties and what else the place cannot do without.
fn in_place(place: &str, id: u8, block: &[u8]) -> Vec<u8> {
    let method = with_id(AUTHENTICATION_METHOD, &hex("0001 'm'"));
    let has_method = matches!(place, "CONNECT" | "CONNACK" | "AUTH");
    let wants_method =
        has_method && (id == AUTHENTICATION_DATA || place == "AUTH") && id != AUTHENTICATION_METHOD;
    let block = if wants_method {
        [&method, block].concat()
    } else {
        block.to_vec()
    };
    with_properties(place, &block)
}

/// [MQTT-2.2.2-1]
#[test]
fn a_property_stands_where_the_table_has_it_and_nowhere_else() {
    for row in properties() {
        let (id, block) = (id(&row), with_id(id(&row), &valid(&row)));
        for place in PLACES {
            let bytes = in_place(place, id, &block);
            let decoded = decode_one(&bytes);
            if packets(&row).contains(&place) {
                let decoded =
                    decoded.unwrap_or_else(|error| panic!("{} in {place}: {error}", row["name"]));
                assert_eq!(encode(&decoded), bytes);
                assert!(format!("{decoded:?}").contains(&row["name"]), "{decoded:?}");
            } else {
                let error = decoded.expect_err(&row["name"]);
                assert_eq!(
                    error.reason(),
                    ReasonCode::MalformedPacket,
                    "{} in {place}",
                    row["name"]
                );
                assert!(
                    error
                        .to_string()
                        .ends_with(&format!("{} is not allowed here", row["name"])),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_property_repeats_where_the_table_lets_it_and_nowhere_else() {
    for row in properties() {
        let (id, block) = (id(&row), with_id(id(&row), &valid(&row)).repeat(2));
        for place in packets(&row) {
            let may = row["may_repeat"] == "yes" || row["may_repeat"].starts_with(place);
            let decoded = decode_one(&in_place(place, id, &block));
            if may {
                assert!(decoded.is_ok(), "{} in {place}", row["name"]);
            } else {
                let error = decoded.expect_err(&row["name"]);
                assert_eq!(
                    error.reason(),
                    ReasonCode::ProtocolError,
                    "{} in {place}",
                    row["name"]
                );
                assert_eq!(
                    (error.field, error.fault.to_string().as_str()),
                    (&*row["name"], "stands there twice")
                );
            }
        }
    }
}

/// [MQTT-3.3.2-8], [MQTT-3.3.2-13], [MQTT-3.3.2-14], [MQTT-3.3.2-19], [MQTT-1.5.7-1]
#[test]
fn a_value_outside_the_tables_range_is_refused() {
    for row in properties() {
        let strings = [
            ("0002 C328", 0x81),
            ("0001 00", 0x81),
            ("0003 EDA080", 0x81),
        ];
        let wrong: Vec<(&str, u8)> = match (row["type"].as_str(), row["values"].as_str()) {
            ("Byte", "0 or 1") => vec![("02", 0x82), ("FF", 0x82)],
            ("Two Byte Integer", range) if range.starts_with("1..receiver") => vec![("0000", 0x94)],
            ("Two Byte Integer", range) if range.starts_with("1..") => vec![("0000", 0x82)],
            ("Four Byte Integer", range) if range.starts_with("1..") => vec![("00000000", 0x82)],
            ("Variable Byte Integer", _) => {
                vec![
                    ("00", 0x82),
                    ("8000", 0x81),
                    ("FFFFFFFF01", 0x81),
                    ("80", 0x81),
                ]
            }
            ("UTF-8 String", "no wildcards") => [
                &strings[..],
                &[("0003 'a/+'", 0x90), ("0001 '#'", 0x90), ("0000", 0x90)],
            ]
            .concat(),
            ("UTF-8 String", _) => strings.to_vec(),
            ("UTF-8 String Pair", _) => {
                vec![
                    ("0001 00 0000", 0x81),
                    ("0000 0001 00", 0x81),
                    ("0001 80 0000", 0x81),
                    ("0000 0001 FE", 0x81),
                ]
            }
            // Any value will do.
            _ => vec![],
        };
        for place in packets(&row) {
            for (value, reason) in &wrong {
                let bytes = in_place(place, id(&row), &with_id(id(&row), &hex(value)));
                let error = decode_one(&bytes).expect_err(&row["name"]);
                assert_eq!(
                    u8::from(error.reason()),
                    *reason,
                    "{} {value} in {place}: {error}",
                    row["name"]
                );
                assert_eq!(error.field, row["name"]);
            }
            // Cut short by the end of the properties.
            let value = valid(&row);
            for end in 0..value.len() {
                let error = decode_one(&in_place(
                    place,
                    id(&row),
                    &with_id(id(&row), &value[..end]),
                ));
                assert_eq!(
                    error.expect_err(&row["name"]).reason(),
                    ReasonCode::MalformedPacket
                );
            }
        }
    }
}

#[test]
fn an_identifier_of_no_property_is_refused() {
    let known: Vec<u8> = properties().iter().map(id).collect();
    for unknown in (0..=255u8).filter(|id| !known.contains(id)) {
        for place in PLACES {
            let error =
                decode_one(&with_properties(place, &[unknown, 1, 0, 0, 0, 0])).expect_err(place);
            assert_eq!(error.reason(), ReasonCode::MalformedPacket);
        }
    }
}

#[test]
fn names_and_identifiers_are_the_tables() {
    let ours: Vec<(u8, &str)> = PropertyId::ALL
        .iter()
        .map(|id| (*id as u8, id.name()))
        .collect();
    let rows = properties();
    let theirs: Vec<(u8, &str)> = rows
        .iter()
        .map(|row| (id(row), row["name"].as_str()))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn authentication_data_without_a_method_is_refused() {
    for place in ["CONNECT", "CONNACK", "AUTH"] {
        let error = decode_one(&with_properties(place, &hex("16 0001 00"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{place}: Authentication Method: is missing")
        );
        assert_eq!(error.reason(), ReasonCode::ProtocolError);
    }
    let error = decode_one(&with_properties("AUTH", &[])).unwrap_err();
    assert_eq!(error.to_string(), "AUTH: Authentication Method: is missing");
}

#[test]
fn the_length_of_the_properties_is_checked() {
    // Longer than the packet, not minimal, of five bytes, cut short.
    for (text, message) in [
        (
            "30 05 0001 'a' 02 01",
            "PUBLISH: properties: the packet ends before it does",
        ),
        (
            "30 05 0001 'a' 80 00",
            "PUBLISH: properties: the variable byte integer is longer than it need be",
        ),
        (
            "30 08 0001 'a' 80 80 80 80 00",
            "PUBLISH: properties: the variable byte integer is longer than four bytes",
        ),
        (
            "30 04 0001 'a' 80",
            "PUBLISH: properties: the packet ends before it does",
        ),
        (
            "30 03 0001 'a'",
            "PUBLISH: properties: the packet ends before it does",
        ),
    ] {
        crate::wire::refused(&hex(text), message, 0x81);
    }
}

#[test]
fn a_block_of_more_than_127_bytes_has_a_longer_length() {
    for len in [120, 127, 128, 16_383, 16_384, 60_000] {
        let block = with_id(0x03, &crate::wire::prefixed(&vec![b'x'; len - 3]));
        let bytes = with_properties("PUBLISH", &block);
        assert_eq!(
            bytes[1 + varint(bytes.len() - 2).len()..].len(),
            3 + varint(len).len() + len
        );
        assert_eq!(encode(&decode_one(&bytes).unwrap()), bytes);
    }
}
