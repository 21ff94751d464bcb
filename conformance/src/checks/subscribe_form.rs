//! The form of SUBSCRIBE and UNSUBSCRIBE.

use super::connect_form::BAD_TEXT;
use super::flags::refused;
use crate::bytes::{packet, property, string, subscribe};
use crate::check::{Case, Check, Run, case};

const fn denied(
    name: &'static str,
    statements: &'static [&'static str],
    cases: fn() -> Vec<Case>,
) -> Check {
    let run = Run::Denied(cases);
    Check {
        name,
        statements,
        run,
    }
}

pub(super) const CHECKS: &[Check] = &[
    refused(
        "a SUBSCRIBE without a filter is refused",
        &["3.8.3-2"],
        || vec![case("no filter", subscribe(1, &[], &[]))],
    ),
    refused(
        "an UNSUBSCRIBE without a filter is refused",
        &["3.10.3-2"],
        || vec![case("no filter", packet(0xA2, &[&[0, 1, 0]]))],
    ),
    refused(
        "filters that are no UTF-8 are refused",
        &["3.8.3-1", "3.10.3-1", "1.5.4-1"],
        || {
            BAD_TEXT
                .iter()
                .flat_map(|(what, text)| both(what, text))
                .collect()
        },
    ),
    refused(
        "U+0000 in a filter is refused",
        &["4.7.3-2", "1.5.4-2"],
        || both("U+0000", b"a\0b"),
    ),
    denied("an empty filter is refused", &["4.7.3-1"], || {
        both("an empty filter", b"")
    }),
    denied(
        "# anywhere but alone at the end is refused",
        &["4.7.1-1"],
        || filters(&["a#", "#/a", "a/#/b", "a/b#", "##", "+#"]),
    ),
    denied(
        "+ that does not fill a level is refused",
        &["4.7.1-2"],
        || filters(&["a+", "+a", "a/b+/c", "++", "a/+b"]),
    ),
    denied(
        "$share without a name or a filter is refused",
        &["4.8.2-1", "4.8.2-2"],
        || filters(&["$share//a", "$share/g", "$share/g/", "$share/"]),
    ),
    denied(
        "a ShareName with wildcards is refused",
        &["4.8.2-2"],
        || filters(&["$share/g+/a", "$share/#/a", "$share/+/a", "$share/g#/a"]),
    ),
    refused(
        "No Local on a shared subscription is refused",
        &["3.8.3-4"],
        || vec![case("No Local", subscribe(1, &[], &[("$share/g/a", 4)]))],
    ),
    refused(
        "reserved bits of subscription options are refused",
        &["3.8.3-5"],
        || {
            [0x40, 0x80, 0xC0, 0x81]
                .map(|options| options_of("reserved bits", options))
                .into()
        },
    ),
    refused(
        "a subscription of QoS 3 or Retain Handling 3 is refused",
        &["3.8.3-5", "4.13.1-1"],
        || {
            vec![
                options_of("QoS 3", 3),
                options_of("Retain Handling 3", 0x30),
            ]
        },
    ),
    refused(
        "a SUBSCRIBE or UNSUBSCRIBE with Packet Identifier 0 is refused",
        &["2.2.1-6", "4.13.1-1"],
        || {
            vec![
                case("SUBSCRIBE", subscribe(0, &[], &[("a", 0)])),
                case("UNSUBSCRIBE", packet(0xA2, &[&[0, 0, 0], &string("a")])),
            ]
        },
    ),
    refused(
        "a SUBSCRIBE with Subscription Identifier 0 or two of them is refused",
        &["4.13.1-1"],
        || {
            let zero = property::number(0x0B, 0);
            let two = [property::number(0x0B, 1), property::number(0x0B, 2)].concat();
            vec![
                case("0", subscribe(1, &zero, &[("a", 0)])),
                case("two", subscribe(1, &two, &[("a", 0)])),
            ]
        },
    ),
    refused(
        "a SUBSCRIBE whose last filter lacks its options is refused",
        &["4.13.1-1", "3.8.3-2"],
        || vec![case("no options", packet(0x82, &[b"\0\x01\0\0\x01a"]))],
    ),
];

fn options_of(what: &str, options: u8) -> Case {
    case(what, subscribe(1, &[], &[("a", options)]))
}

fn filters(filters: &[&str]) -> Vec<Case> {
    let one = |filter: &&str| case(*filter, subscribe(1, &[], &[(*filter, 0)]));
    filters.iter().map(one).collect()
}

/// This filter in a SUBSCRIBE and in an UNSUBSCRIBE.
fn both(what: &str, filter: &[u8]) -> Vec<Case> {
    let filter = string(filter);
    vec![
        case(
            format!("{what} in SUBSCRIBE"),
            packet(0x82, &[&[0, 1, 0], &filter, &[0]]),
        ),
        case(
            format!("{what} in UNSUBSCRIBE"),
            packet(0xA2, &[&[0, 1, 0], &filter]),
        ),
    ]
}
