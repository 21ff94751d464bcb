//! First bytes and lengths: reserved flags, packets that a client does not send, and reason codes that do not exist.

use crate::bytes::{
    AUTH, CONNACK, Connect, DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, packet,
    string,
};
use crate::check::{Case, Check, Run, case};
use crate::table::{NAMES, is_reason};

pub(super) const fn refused(
    name: &'static str,
    statements: &'static [&'static str],
    cases: fn() -> Vec<Case>,
) -> Check {
    let run = Run::Refused(cases);
    Check {
        name,
        statements,
        run,
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "CONNECT with reserved flags is refused",
        statements: &["2.1.3-1", "3.1.4-1"],
        run: Run::First(|| with_flags(0x10, 0, &Connect::new("c").bytes()[2..])),
    },
    refused(
        "PUBACK with reserved flags is refused",
        &["2.1.3-1"],
        || with_flags(0x40, 0, &[0, 1]),
    ),
    refused(
        "PUBREC with reserved flags is refused",
        &["2.1.3-1"],
        || with_flags(0x50, 0, &[0, 1]),
    ),
    refused(
        "PUBREL with other flags than 0010 is refused",
        &["2.1.3-1", "3.6.1-1"],
        || with_flags(0x60, 2, &[0, 1]),
    ),
    refused(
        "PUBCOMP with reserved flags is refused",
        &["2.1.3-1"],
        || with_flags(0x70, 0, &[0, 1]),
    ),
    refused(
        "SUBSCRIBE with other flags than 0010 is refused",
        &["2.1.3-1", "3.8.1-1"],
        || with_flags(0x80, 2, &[&[0, 1, 0], &string("a")[..], &[0]].concat()),
    ),
    refused(
        "UNSUBSCRIBE with other flags than 0010 is refused",
        &["2.1.3-1", "3.10.1-1"],
        || with_flags(0xA0, 2, &[&[0, 1, 0], &string("a")[..]].concat()),
    ),
    refused(
        "PINGREQ with reserved flags is refused",
        &["2.1.3-1"],
        || with_flags(0xC0, 0, &[]),
    ),
    refused(
        "AUTH with reserved flags is refused",
        &["2.1.3-1", "3.15.1-1"],
        || with_flags(0xF0, 0, &[]),
    ),
    refused(
        "packets that only servers send are refused",
        &["4.13.1-1"],
        || {
            vec![
                case("CONNACK", packet(CONNACK << 4, &[&[0, 0, 0]])),
                case("SUBACK", packet(SUBACK << 4, &[&[0, 1, 0, 0]])),
                case("UNSUBACK", packet(UNSUBACK << 4, &[&[0, 1, 0, 0]])),
                case("PINGRESP", [0xD0, 0]),
            ]
        },
    ),
    refused("the reserved packet type is refused", &["4.13.1-1"], || {
        (0..16).map(|flags| case("type 0", [flags, 0])).collect()
    }),
    refused(
        "lengths that are not as short as they can be are refused",
        &["1.5.5-1"],
        || {
            vec![
                case("PINGREQ with a length of two bytes", [0xC0, 0x80, 0]),
                case("PINGREQ with one of four", [0xC0, 0x80, 0x80, 0x80, 0]),
                case("a Property Length of two bytes", b"\x30\x05\0\x01a\x80\0"),
                case(
                    "a Subscription Identifier of two bytes",
                    b"\x82\x0A\0\x01\x03\x0B\x81\0\0\x01a\0",
                ),
            ]
        },
    ),
    refused(
        "a length of five bytes is refused",
        &["1.5.5-1", "4.13.1-1"],
        || {
            vec![
                case("PINGREQ", [0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
                case("a Property Length", b"\x30\x08\0\x01a\xFF\xFF\xFF\xFF\x01"),
            ]
        },
    ),
    refused(
        "a packet without its Property Length is refused",
        &["2.2.2-1"],
        || {
            vec![
                case("PUBLISH", b"\x30\x03\0\x01a"),
                case("SUBSCRIBE", b"\x82\x02\0\x01"),
                case("UNSUBSCRIBE", b"\xA2\x02\0\x01"),
                case("PUBLISH with one beyond its end", b"\x30\x04\0\x01a\x05"),
            ]
        },
    ),
    refused(
        "a packet that ends too early or too late is refused",
        &["4.13.1-1"],
        || {
            vec![
                case("PUBLISH without a topic", [0x30, 0]),
                case("PUBLISH with half a topic", b"\x30\x03\0\x05a"),
                case("PUBLISH of QoS 1 without an identifier", b"\x32\x03\0\x01a"),
                case("PUBACK with half an identifier", [0x40, 1, 0]),
                case("PUBACK with bytes behind its end", b"\x40\x05\0\x01\0\0\0"),
                case("PINGREQ with a body", [0xC0, 1, 0]),
            ]
        },
    ),
    refused(
        "an acknowledgement of Packet Identifier 0 is refused",
        &["2.2.1-5"],
        || {
            [PUBACK, PUBREC, PUBREL, PUBCOMP]
                .map(|kind| {
                    let flags = if kind == PUBREL { 2 } else { 0 };
                    let bytes = packet(kind << 4 | flags, &[&[0, 0]]);
                    case(NAMES[usize::from(kind)], bytes)
                })
                .into()
        },
    ),
    refused(
        "a PUBACK with a reason code that is not listed is refused",
        &["3.4.2-1"],
        || with_reasons(PUBACK),
    ),
    refused(
        "a PUBREC with a reason code that is not listed is refused",
        &["3.5.2-1"],
        || with_reasons(PUBREC),
    ),
    refused(
        "a PUBREL with a reason code that is not listed is refused",
        &["3.6.2-1"],
        || with_reasons(PUBREL),
    ),
    refused(
        "a PUBCOMP with a reason code that is not listed is refused",
        &["3.7.2-1"],
        || with_reasons(PUBCOMP),
    ),
    refused(
        "a DISCONNECT with a reason code that is not listed is refused",
        &["3.14.2-1"],
        || with_reasons(DISCONNECT),
    ),
    refused(
        "an AUTH with a reason code that is not listed is refused",
        &["3.15.2-1"],
        || with_reasons(AUTH),
    ),
];

/// A packet with each value of its flags but the right one.
fn with_flags(first: u8, right: u8, body: &[u8]) -> Vec<Case> {
    let wrong = (0..16).filter(|flags| *flags != right);
    wrong
        .map(|flags| case(format!("flags {flags:04b}"), packet(first | flags, &[body])))
        .collect()
}

/// A packet with some reason codes that its type does not have.
fn with_reasons(kind: u8) -> Vec<Case> {
    let name = NAMES[usize::from(kind)];
    let flags = if kind == PUBREL { 2 } else { 0 };
    let id: &[u8] = if kind < SUBACK { &[0, 1] } else { &[] };
    [0x01, 0x02, 0x03, 0x0F, 0x11, 0x7F, 0xA3, 0xFF]
        .into_iter()
        .filter(|code| !is_reason(name, *code))
        .map(|code| {
            let bytes = packet(kind << 4 | flags, &[id, &[code, 0]]);
            case(format!("reason code {code:#04X}"), bytes)
        })
        .collect()
}
