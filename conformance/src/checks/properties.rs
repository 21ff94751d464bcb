//! Every property in every packet where it may not stand, and twice where it may stand once.

use super::flags::refused;
use crate::bytes::{
    AUTH, Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, block, packet, property, publish, string,
    subscribe,
};
use crate::check::{Case, Check, Run, case};
use crate::table::{NAMES, PROPERTY, Property, Type};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "properties that may not stand in a CONNECT are refused",
        statements: &["3.1.4-1", "4.13.1-1"],
        run: Run::First(|| misplaced("CONNECT", connect)),
    },
    Check {
        name: "properties that may not stand in a will are refused",
        statements: &["3.1.4-1", "4.13.1-1"],
        run: Run::First(|| misplaced("WILL", will)),
    },
    Check {
        name: "properties of CONNECT and its will that stand twice are refused",
        statements: &["3.1.4-1", "4.13.1-1"],
        run: Run::First(|| [twice("CONNECT", connect), twice("WILL", will)].concat()),
    },
    refused(
        "properties that may not stand in a PUBLISH of a client are refused",
        &["4.13.1-1"],
        || misplaced("PUBLISH", publish_with),
    ),
    refused(
        "properties of a PUBLISH that stand twice are refused",
        &["4.13.1-1"],
        || twice("PUBLISH", publish_with),
    ),
    refused(
        "a Subscription Identifier in a PUBLISH of a client is refused",
        &["4.13.1-1"],
        || vec![case("it", publish_with(&property::number(0x0B, 1)))],
    ),
    refused(
        "properties that may not stand in a PUBACK are refused",
        &["4.13.1-1"],
        || misplaced("PUBACK", |bytes| ack_with(PUBACK, bytes)),
    ),
    refused(
        "properties that may not stand in a PUBREC are refused",
        &["4.13.1-1"],
        || misplaced("PUBREC", |bytes| ack_with(PUBREC, bytes)),
    ),
    refused(
        "properties that may not stand in a PUBREL are refused",
        &["4.13.1-1"],
        || misplaced("PUBREL", |bytes| ack_with(PUBREL, bytes)),
    ),
    refused(
        "properties that may not stand in a PUBCOMP are refused",
        &["4.13.1-1"],
        || misplaced("PUBCOMP", |bytes| ack_with(PUBCOMP, bytes)),
    ),
    refused(
        "a Reason String that stands twice is refused",
        &["4.13.1-1"],
        || {
            [PUBACK, PUBREC, PUBREL, PUBCOMP]
                .into_iter()
                .flat_map(|kind| twice(NAMES[usize::from(kind)], move |p| ack_with(kind, p)))
                .filter(|case| case.what.contains("Reason String"))
                .collect()
        },
    ),
    refused(
        "properties that may not stand in a SUBSCRIBE are refused",
        &["4.13.1-1"],
        || misplaced("SUBSCRIBE", |bytes| subscribe(1, bytes, &[("a", 0)])),
    ),
    refused(
        "properties that may not stand in an UNSUBSCRIBE are refused",
        &["4.13.1-1"],
        || {
            misplaced("UNSUBSCRIBE", |bytes| {
                packet(0xA2, &[&[0, 1], &block(bytes), &string("a")])
            })
        },
    ),
    refused(
        "properties that may not stand in an AUTH are refused",
        &["4.13.1-1"],
        || misplaced("AUTH", |bytes| end_with(AUTH, bytes)),
    ),
];

fn connect(properties: &[u8]) -> Vec<u8> {
    Connect::new("c").with(properties).bytes()
}

fn will(properties: &[u8]) -> Vec<u8> {
    Connect::new("c").will(0, properties, "w", "x").bytes()
}

fn publish_with(properties: &[u8]) -> Vec<u8> {
    publish("a", "x").with(properties).bytes()
}

fn ack_with(kind: u8, properties: &[u8]) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    packet(kind << 4 | flags, &[&[0, 1, 0], &block(properties)])
}

/// A DISCONNECT or AUTH of reason 0.
pub(super) fn end_with(kind: u8, properties: &[u8]) -> Vec<u8> {
    packet(kind << 4, &[&[0], &block(properties)])
}

/// A property with a value that it may have.
fn valid(property: &Property) -> Vec<u8> {
    let id = property.id;
    match property.kind {
        Type::Byte => property::byte(id, 1),
        Type::Two => property::two(id, 1),
        Type::Four => property::four(id, 1),
        Type::Variable => property::number(id, 1),
        Type::Text | Type::Binary => property::text(id, "x"),
        Type::Pair => property::user("n", "v"),
    }
}

/// Each property that may not stand in a packet, in it.
pub(super) fn misplaced(name: &str, write: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Case> {
    let wrong = PROPERTY.iter().filter(|row| !row.may_stand_in(name));
    wrong
        .map(|row| case(format!("{} in {name}", row.name), write(&valid(row))))
        .collect()
}

/// Each property twice that may stand once; the Subscription Identifier has checks of its own.
fn twice(name: &str, write: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Case> {
    let once = PROPERTY
        .iter()
        .filter(|row| row.may_stand_in(name) && !row.may_repeat && row.id != 0x0B);
    once.map(|row| {
        let bytes = write(&[valid(row), valid(row)].concat());
        case(format!("{} twice in {name}", row.name), bytes)
    })
    .collect()
}
