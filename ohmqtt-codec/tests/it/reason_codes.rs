//! Every reason code in every packet, by `spec/reason-codes.tsv`.

use std::collections::{BTreeMap, BTreeSet};

use ohmqtt_codec::{PacketType, ReasonCode};

use crate::tables::{packets, reason_codes};
use crate::wire::{decode_one, encode, hex, packet};

/// By code, the packets it may stand in.
fn table() -> BTreeMap<u8, BTreeSet<String>> {
    let mut table: BTreeMap<u8, BTreeSet<String>> = BTreeMap::new();
    for row in reason_codes() {
        let code = row["dec"].parse().unwrap();
        table
            .entry(code)
            .or_default()
            .extend(packets(&row).into_iter().map(str::to_owned));
    }
    table
}

/// A packet with this code, which may have been left out of the table.
fn with_code(name: &str, code: u8) -> Option<Vec<u8>> {
    let (first, before, after) = match name {
        "CONNACK" => (0x20, "00", "00"),
        "PUBACK" => (0x40, "0001", ""),
        "PUBREC" => (0x50, "0001", ""),
        "PUBREL" => (0x62, "0001", ""),
        "PUBCOMP" => (0x70, "0001", ""),
        "SUBACK" => (0x90, "0001 00 00", ""),
        "UNSUBACK" => (0xB0, "0001 00 00", ""),
        "DISCONNECT" => (0xE0, "", ""),
        "AUTH" => (0xF0, "", "04 15 0001 'm'"),
        _ => return None,
    };
    Some(packet(
        first,
        &[hex(before), vec![code], hex(after)].concat(),
    ))
}

fn check(names: &[&str]) {
    let table = table();
    for name in names {
        let packet_type = PacketType::ALL
            .iter()
            .find(|packet| packet.name() == *name)
            .unwrap();
        for code in 0..=255u8 {
            let want = table
                .get(&code)
                .is_some_and(|packets| packets.contains(*name));
            let bytes = with_code(name, code).unwrap();
            match decode_one(&bytes) {
                Ok(decoded) => {
                    assert!(want, "{code:#04X} in {name}");
                    assert_eq!(decode_one(&encode(&decoded)).unwrap(), decoded);
                }
                Err(error) => {
                    assert!(!want, "{code:#04X} in {name}: {error}");
                    assert_eq!(
                        (error.field, error.reason()),
                        ("reason code", ReasonCode::ProtocolError)
                    );
                }
            }
            let ours =
                ReasonCode::try_from(code).is_ok_and(|reason| reason.allowed_in(*packet_type));
            assert_eq!(ours, want, "{code:#04X} in {name}");
        }
    }
}

/// [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
#[test]
fn acknowledgements_have_the_listed_codes_only() {
    check(&["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"]);
}

/// [MQTT-3.9.3-2], [MQTT-3.11.3-2]
#[test]
fn answers_to_subscriptions_have_the_listed_codes_only() {
    check(&["SUBACK", "UNSUBACK"]);
}

/// [MQTT-3.2.2-8], [MQTT-3.14.2-1], [MQTT-3.15.2-1]
#[test]
fn connack_disconnect_and_auth_have_the_listed_codes_only() {
    check(&["CONNACK", "DISCONNECT", "AUTH"]);
}

#[test]
fn packets_without_a_reason_code_allow_none() {
    for packet_type in PacketType::ALL
        .iter()
        .filter(|packet| with_code(packet.name(), 0).is_none())
    {
        assert!(
            ReasonCode::ALL
                .iter()
                .all(|reason| !reason.allowed_in(*packet_type))
        );
    }
}

#[test]
fn codes_and_names_are_the_tables() {
    let table = table();
    assert!(
        ReasonCode::ALL
            .iter()
            .map(|reason| u8::from(*reason))
            .eq(table.keys().copied())
    );
    for code in 0..=255u8 {
        assert_eq!(
            ReasonCode::try_from(code).is_ok(),
            table.contains_key(&code)
        );
    }
    for row in reason_codes() {
        let code: u8 = row["dec"].parse().unwrap();
        let reason = ReasonCode::try_from(code).unwrap();
        assert_eq!(reason.is_error(), code >= 0x80);
        if code != 0 {
            assert_eq!(reason.name(), row["name"]);
            assert_eq!(
                reason.to_string(),
                format!("{} ({})", row["name"], row["code"])
            );
        }
    }
    assert_eq!(ReasonCode::NORMAL_DISCONNECTION, ReasonCode::Success);
    assert_eq!(ReasonCode::GRANTED_QOS_0, ReasonCode::Success);
    assert_eq!(
        ReasonCode::try_from(0x7F).unwrap_err().to_string(),
        "reason code 0x7f is not defined: see section 2.4 of MQTT 5.0 for those that are"
    );
}
