//! What one packet alone shows to be wrong, a test for each kind: where, what, and the reason code to answer.

use crate::wire::{decode_one, hex, packet, prefixed, refused};

/// Refused as hex with this message and reason code.
#[track_caller]
fn check(text: &str, message: &str, reason: u8) {
    refused(&hex(text), message, reason);
}

#[test]
fn type_0_is_reserved() {
    check("00", "packet type: type 0 is reserved", 0x81);
}

/// [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.15.1-1]
#[test]
fn reserved_flags_are_refused_from_the_first_byte() {
    for (packet_type, name, flags) in [
        (1, "CONNECT", 0),
        (2, "CONNACK", 0),
        (4, "PUBACK", 0),
        (5, "PUBREC", 0),
        (6, "PUBREL", 2),
        (7, "PUBCOMP", 0),
        (8, "SUBSCRIBE", 2),
        (9, "SUBACK", 0),
        (10, "UNSUBSCRIBE", 2),
        (11, "UNSUBACK", 0),
        (12, "PINGREQ", 0),
        (13, "PINGRESP", 0),
        (14, "DISCONNECT", 0),
        (15, "AUTH", 0),
    ] {
        for wrong in (0..16u8).filter(|wrong| *wrong != flags) {
            let first = packet_type << 4 | wrong;
            refused(
                &[first],
                &format!("{name}: flags: bits {first:#010b} are not allowed"),
                0x81,
            );
        }
    }
}

/// [MQTT-3.14.1-1]
#[test]
fn disconnect_with_flags_is_malformed() {
    check(
        "E1 00",
        "DISCONNECT: flags: bits 0b11100001 are not allowed",
        0x81,
    );
}

/// [MQTT-3.3.1-4]
#[test]
fn qos_3_is_malformed() {
    for first in [0x36, 0x37, 0x3E, 0x3F] {
        refused(&[first], "PUBLISH: flags: QoS 3 does not exist", 0x81);
    }
}

/// [MQTT-3.3.1-2]
#[test]
fn dup_at_qos_0_is_malformed() {
    for first in [0x38, 0x39] {
        refused(&[first], "PUBLISH: flags: DUP is set at QoS 0", 0x81);
    }
}

/// [MQTT-1.5.5-1]
#[test]
fn a_remaining_length_is_minimal_and_of_four_bytes_at_most() {
    let longer = "PINGREQ: remaining length: the variable byte integer is longer than it need be";
    check("C0 80 00", longer, 0x81);
    check("C0 80 80 80 00", longer, 0x81);
    check(
        "C0 80 80 80 80",
        "PINGREQ: remaining length: the variable byte integer is longer than four bytes",
        0x81,
    );
}

/// [MQTT-1.5.4-1], [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.3-12]
#[test]
fn strings_of_connect_are_utf8() {
    let connect = |flags: u8, payload: &str| {
        packet(
            0x10,
            &[
                hex("0004 'MQTT' 05"),
                vec![flags],
                hex("0000 00"),
                hex(payload),
            ]
            .concat(),
        )
    };
    let not_utf8 = |field| format!("CONNECT: {field}: is not UTF-8 from byte 1 on");
    refused(
        &connect(0, "0003 'a' C0 80"),
        &not_utf8("client identifier"),
        0x81,
    );
    refused(
        &connect(4, "0000 00 0004 'a' ED A0 80 0000"),
        &not_utf8("will topic"),
        0x81,
    );
    refused(
        &connect(0x80, "0000 0002 'a' FF"),
        &not_utf8("user name"),
        0x81,
    );
}

/// [MQTT-1.5.4-1], [MQTT-3.3.2-1], [MQTT-3.8.3-1], [MQTT-3.10.3-1]
#[test]
fn topics_and_filters_are_utf8() {
    // Overlong, beyond U+10FFFF, a surrogate, cut short.
    for bad in ["C1 BF", "F4 90 80 80", "ED BF BF", "E2 82"] {
        let bad = prefixed(&[b"ok", &hex(bad)[..]].concat());
        let after_id = |first, tail: &[u8]| packet(first, &[&[0, 1, 0], &bad[..], tail].concat());
        let message = |packet, field| format!("{packet}: {field}: is not UTF-8 from byte 2 on");
        refused(
            &packet(0x30, &[&bad[..], &[0]].concat()),
            &message("PUBLISH", "topic name"),
            0x81,
        );
        refused(
            &after_id(0x82, &[0]),
            &message("SUBSCRIBE", "topic filter"),
            0x81,
        );
        refused(
            &after_id(0xA2, &[]),
            &message("UNSUBSCRIBE", "topic filter"),
            0x81,
        );
    }
}

/// [MQTT-1.5.4-2], [MQTT-4.7.3-2]
#[test]
fn u_0000_is_malformed() {
    check(
        "30 06 0003 'a' 00 'b' 00",
        "PUBLISH: topic name: has U+0000 at byte 1",
        0x81,
    );
    check(
        "82 07 0001 00 0001 00 00",
        "SUBSCRIBE: topic filter: has U+0000 at byte 0",
        0x81,
    );
    check(
        "10 0E 0004 'MQTT' 05 00 0000 00 0001 00",
        "CONNECT: client identifier: has U+0000 at byte 0",
        0x81,
    );
}

/// [MQTT-1.5.4-3]
#[test]
fn a_byte_order_mark_is_data() {
    let bytes = hex("30 07 0004 EF BB BF 'a' 00");
    let ohmqtt_codec::Packet::Publish(publish) = decode_one(&bytes).unwrap() else {
        panic!("no PUBLISH")
    };
    let ohmqtt_codec::PublishTopic::Name(name) = publish.topic else {
        panic!("no name")
    };
    assert_eq!(name.as_str(), "\u{FEFF}a");
}

#[test]
fn packet_identifier_0_is_refused() {
    for (text, name) in [
        ("32 06 0001 'a' 0000 00", "PUBLISH"),
        ("34 06 0001 'a' 0000 00", "PUBLISH"),
        ("40 02 0000", "PUBACK"),
        ("50 02 0000", "PUBREC"),
        ("62 02 0000", "PUBREL"),
        ("70 03 0000 00", "PUBCOMP"),
        ("40 04 0000 00 00", "PUBACK"),
        ("82 07 0000 00 0001 'a' 00", "SUBSCRIBE"),
        ("90 04 0000 00 00", "SUBACK"),
        ("A2 06 0000 00 0001 'a'", "UNSUBSCRIBE"),
        ("B0 04 0000 00 00", "UNSUBACK"),
    ] {
        check(text, &format!("{name}: packet identifier: is 0"), 0x82);
    }
}

/// [MQTT-2.2.1-2]
#[test]
fn a_qos_0_publish_has_no_packet_identifier() {
    // What would be one is the properties' length and a payload.
    let ohmqtt_codec::Packet::Publish(publish) =
        decode_one(&hex("30 06 0001 'a' 00 01 00")).unwrap()
    else {
        panic!("no PUBLISH")
    };
    assert_eq!(publish.delivery.packet_id(), None);
    assert_eq!(publish.payload, [1, 0][..]);
}

/// [MQTT-3.3.2-2], [MQTT-4.7.0-1]
#[test]
fn wildcards_in_topic_names_are_refused() {
    check(
        "30 06 0003 'a/+' 00",
        "PUBLISH: topic name: contains the wildcard '+'",
        0x90,
    );
    check(
        "30 04 0001 '#' 00",
        "PUBLISH: topic name: contains the wildcard '#'",
        0x90,
    );
    check(
        "30 0D 000A 'a long #to' 00",
        "PUBLISH: topic name: contains the wildcard '#'",
        0x90,
    );
    check(
        "30 07 0004 'é+' 61 00".replace('é', "' C3A9 '").as_str(),
        "PUBLISH: topic name: contains the wildcard '+'",
        0x90,
    );
    check(
        "10 14 0004 'MQTT' 05 04 0000 00 0000 00 0002 'a#' 0001 'p'",
        "CONNECT: will topic: contains the wildcard '#'",
        0x90,
    );
}

#[test]
fn wildcards_in_response_topics_are_refused() {
    check(
        "30 08 0001 'a' 04 08 0001 '+'",
        "PUBLISH: Response Topic: contains the wildcard '+'",
        0x90,
    );
    check(
        "30 07 0001 'a' 03 08 0000",
        "PUBLISH: Response Topic: is empty",
        0x90,
    );
}

/// [MQTT-4.7.3-1]
#[test]
fn an_empty_topic_is_refused() {
    check(
        "30 03 0000 00",
        "PUBLISH: topic name: is empty and there is no Topic Alias",
        0x82,
    );
    check(
        "10 13 0004 'MQTT' 05 04 0000 00 0000 00 0000 0001 'p'",
        "CONNECT: will topic: is empty",
        0x90,
    );
    check(
        "82 06 0001 00 0000 00",
        "SUBSCRIBE: topic filter: is empty: give it at least one character",
        0x8F,
    );
}

#[test]
fn topic_alias_0_is_refused() {
    check("30 06 0000 03 23 0000", "PUBLISH: Topic Alias: is 0", 0x94);
}

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2]
#[test]
fn malformed_filters_are_refused() {
    let hash = "has a '#' that is not the whole last level";
    let plus = "has a '+' that is not a whole level";
    for (filter, fault) in [
        ("a#", hash),
        ("#/a", hash),
        ("a/#/b", hash),
        ("##", hash),
        ("a+", plus),
        ("+a", plus),
        ("a/b+/c", plus),
        ("++", plus),
        ("$share/g/a#", hash),
        ("$share/g/a+", plus),
    ] {
        let filter = prefixed(filter.as_bytes());
        let body = [&[0, 1, 0], &filter[..]].concat();
        refused(
            &packet(0xA2, &body),
            &format!("UNSUBSCRIBE: topic filter: {fault}"),
            0x8F,
        );
        let body = [&body[..], &[0]].concat();
        refused(
            &packet(0x82, &body),
            &format!("SUBSCRIBE: topic filter: {fault}"),
            0x8F,
        );
    }
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
#[test]
fn malformed_shared_filters_are_refused() {
    let share = "is not $share/NAME/FILTER with a NAME without wildcards";
    for filter in [
        "$share/",
        "$share/g",
        "$share//a",
        "$share/+/a",
        "$share/#/a",
        "$share/g#/a",
        "$share/g+h/a",
    ] {
        let body = [&[0, 1, 0], &prefixed(filter.as_bytes())[..]].concat();
        refused(
            &packet(0xA2, &body),
            &format!("UNSUBSCRIBE: topic filter: {share}"),
            0x8F,
        );
    }
    let body = [&[0, 1, 0], &prefixed(b"$share/g/")[..]].concat();
    refused(
        &packet(0xA2, &body),
        "UNSUBSCRIBE: topic filter: is empty: give it at least one character",
        0x8F,
    );
}

/// [MQTT-3.8.3-4]
#[test]
fn no_local_on_a_shared_filter_is_refused() {
    let body = [&[0, 1, 0], &prefixed(b"$share/g/a")[..], &[4]].concat();
    let message = "SUBSCRIBE: subscription options: No Local is set on a shared subscription";
    refused(&packet(0x82, &body), message, 0x82);
}

/// [MQTT-3.8.3-5]
#[test]
fn subscription_options_are_checked() {
    let options = |options: u8| packet(0x82, &[&hex("0001 00 0001 'a'")[..], &[options]].concat());
    refused(
        &options(0x40),
        "SUBSCRIBE: subscription options: bits 0b01000000 are not allowed",
        0x81,
    );
    refused(
        &options(0x80),
        "SUBSCRIBE: subscription options: bits 0b10000000 are not allowed",
        0x81,
    );
    refused(
        &options(0x03),
        "SUBSCRIBE: subscription options: is 3, allowed are 0 to 2",
        0x82,
    );
    refused(
        &options(0x30),
        "SUBSCRIBE: subscription options: is 3, allowed are 0 to 2",
        0x82,
    );
    check(
        "82 06 0001 00 0001 'a'",
        "SUBSCRIBE: subscription options: the packet ends before it does",
        0x81,
    );
}

/// [MQTT-3.2.2-1]
#[test]
fn reserved_acknowledge_flags_are_refused() {
    check(
        "20 03 02 00 00",
        "CONNACK: acknowledge flags: bits 0b00000010 are not allowed",
        0x81,
    );
    check(
        "20 03 81 00 00",
        "CONNACK: acknowledge flags: bits 0b10000001 are not allowed",
        0x81,
    );
}

/// [MQTT-3.2.2-6]
#[test]
fn session_present_with_a_failure_is_refused() {
    check(
        "20 03 01 87 00",
        "CONNACK: session present: is set with the reason code Not authorized (0x87)",
        0x82,
    );
}

/// [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-13]
#[test]
fn will_flags_without_a_will_and_the_reserved_flag_are_refused() {
    for flags in [0x01, 0x08, 0x10, 0x18, 0x20, 0x38] {
        let bytes = packet(
            0x10,
            &[
                &hex("0004 'MQTT' 05")[..],
                &[flags],
                &hex("0000 00 0000")[..],
            ]
            .concat(),
        );
        refused(
            &bytes,
            &format!("CONNECT: connect flags: bits {flags:#010b} are not allowed"),
            0x81,
        );
    }
}

/// [MQTT-3.1.2-12]
#[test]
fn will_qos_3_is_malformed() {
    check(
        "10 14 0004 'MQTT' 05 1C 0000 00 0000 00 0001 'a' 0001 'p'",
        "CONNECT: will QoS: QoS 3 does not exist",
        0x81,
    );
}

/// [MQTT-3.1.2-9], [MQTT-3.1.2-17], [MQTT-3.1.2-19]
#[test]
fn what_the_connect_flags_promise_must_be_there() {
    let connect = |flags: u8, payload: &str| {
        packet(
            0x10,
            &[
                hex("0004 'MQTT' 05"),
                vec![flags],
                hex("0000 00 0000"),
                hex(payload),
            ]
            .concat(),
        )
    };
    let missing = |field| format!("CONNECT: {field}: the packet ends before it does");
    refused(&connect(0x04, ""), &missing("will properties"), 0x81);
    refused(&connect(0x04, "00"), &missing("will topic"), 0x81);
    refused(
        &connect(0x04, "00 0001 'a'"),
        &missing("will payload"),
        0x81,
    );
    refused(&connect(0x80, ""), &missing("user name"), 0x81);
    refused(&connect(0x40, ""), &missing("password"), 0x81);
    refused(&connect(0xC0, "0001 'u'"), &missing("password"), 0x81);
    refused(
        &hex("10 0B 0004 'MQTT' 05 00 0000 00"),
        &missing("client identifier"),
        0x81,
    );
}

/// [MQTT-3.1.2-16], [MQTT-3.1.2-18]
#[test]
fn what_the_connect_flags_deny_must_not_be_there() {
    let user = "CONNECT: end of packet: 3 bytes follow the last field";
    check("10 10 0004 'MQTT' 05 02 0000 00 0000 0001 'u'", user, 0x81);
    check(
        "10 13 0004 'MQTT' 05 82 0000 00 0000 0001 'u' 0001 'p'",
        user,
        0x81,
    );
}

/// [MQTT-3.1.2-1], [MQTT-3.1.2-2]
#[test]
fn another_protocol_or_version_has_its_own_reason_code() {
    check(
        "10 0C 0004 'MQTT' 04 02 003C 0000",
        "CONNECT: protocol version: is 4, only 5 is spoken here",
        0x84,
    );
    check(
        "10 0E 0006 'MQIsdp' 03 02 003C 0000",
        "CONNECT: protocol name: is not \"MQTT\"",
        0x84,
    );
    check(
        "10 0D 0004 'mqtt' 05 02 003C 00 0000",
        "CONNECT: protocol name: is not \"MQTT\"",
        0x84,
    );
}

/// [MQTT-3.8.3-2], [MQTT-3.10.3-2]
#[test]
fn empty_lists_are_refused() {
    check(
        "82 03 0001 00",
        "SUBSCRIBE: topic filter: there is none",
        0x82,
    );
    check(
        "A2 03 0001 00",
        "UNSUBSCRIBE: topic filter: there is none",
        0x82,
    );
    check("90 03 0001 00", "SUBACK: reason code: there is none", 0x82);
    check(
        "B0 03 0001 00",
        "UNSUBACK: reason code: there is none",
        0x82,
    );
}

#[test]
fn trailing_bytes_are_malformed() {
    for (text, name) in [
        ("10 0E 0004 'MQTT' 05 02 0000 00 0000 FF", "CONNECT"),
        ("20 04 00 00 00 FF", "CONNACK"),
        ("40 05 0001 00 00 FF", "PUBACK"),
        ("C0 01 FF", "PINGREQ"),
        ("D0 01", "PINGRESP"),
        ("E0 03 00 00 FF", "DISCONNECT"),
        ("F0 07 00 04 15 0001 'm' FF", "AUTH"),
    ] {
        check(
            text,
            &format!("{name}: end of packet: 1 bytes follow the last field"),
            0x81,
        );
    }
}

#[test]
fn a_packet_that_ends_within_a_field_is_malformed() {
    let message = |packet, field| format!("{packet}: {field}: the packet ends before it does");
    for (text, packet, field) in [
        ("10 00", "CONNECT", "protocol name"),
        ("20 01 00", "CONNACK", "reason code"),
        ("20 02 00 00", "CONNACK", "properties"),
        ("30 00", "PUBLISH", "topic name"),
        ("30 02 0005", "PUBLISH", "topic name"),
        ("32 04 0001 'a' 00", "PUBLISH", "packet identifier"),
        ("40 00", "PUBACK", "packet identifier"),
        ("40 01 00", "PUBACK", "packet identifier"),
        ("82 02 0001", "SUBSCRIBE", "properties"),
        ("82 05 0001 00 0001", "SUBSCRIBE", "topic filter"),
        ("90 01 00", "SUBACK", "packet identifier"),
        ("A2 04 0001 00 00", "UNSUBSCRIBE", "topic filter"),
        ("F0 01 18", "AUTH", "properties"),
    ] {
        check(text, &message(packet, field), 0x81);
    }
}

#[test]
fn a_reason_code_of_another_packet_or_of_none_is_refused() {
    check(
        "40 03 0001 92",
        "PUBACK: reason code: Packet Identifier not found (0x92) is not for this packet",
        0x82,
    );
    check(
        "62 03 0001 10",
        "PUBREL: reason code: No matching subscribers (0x10) is not for this packet",
        0x82,
    );
    check(
        "E0 01 7F",
        "DISCONNECT: reason code: 0x7f is not defined",
        0x82,
    );
}
