//! The form of PUBLISH.

use super::connect_form::BAD_TEXT;
use super::flags::refused;
use crate::bytes::{packet, property, publish, string};
use crate::check::{Case, Check, case};

pub(super) const CHECKS: &[Check] = &[
    refused(
        "a PUBLISH of QoS 0 with DUP is refused",
        &["3.3.1-2", "4.3.1-1"],
        || vec![case("DUP", publish("a", "x").dup().bytes())],
    ),
    refused("a PUBLISH of QoS 3 is refused", &["3.3.1-4"], || {
        [0x36, 0x37, 0x3E, 0x3F]
            .map(|first| case("QoS 3", packet(first, &[b"\0\x01a\0\x01\0"])))
            .into()
    }),
    refused(
        "a PUBLISH with Packet Identifier 0 is refused",
        &["2.2.1-4", "4.13.1-1"],
        || {
            [1, 2]
                .map(|qos| case(format!("QoS {qos}"), publish("a", "x").qos(qos).bytes()))
                .into()
        },
    ),
    refused(
        "wildcards in a Topic Name are refused",
        &["3.3.2-2", "4.7.0-1"],
        || {
            ["#", "+", "a/#", "a/+/b", "a+", "a#b"]
                .map(|topic| case(topic, publish(topic, "x").bytes()))
                .into()
        },
    ),
    refused(
        "an empty Topic Name without an alias is refused",
        &["4.7.3-1"],
        || {
            [0, 1, 2]
                .map(|qos| case("no topic", publish("", "x").qos(qos).id(1).bytes()))
                .into()
        },
    ),
    refused(
        "text of a PUBLISH that is no UTF-8 is refused",
        &["3.3.2-1", "3.3.2-13", "3.3.2-19", "1.5.7-1", "1.5.4-1"],
        || {
            BAD_TEXT
                .iter()
                .flat_map(|(what, text)| texts(what, text))
                .collect()
        },
    ),
    refused(
        "U+0000 in the text of a PUBLISH is refused",
        &["4.7.3-2", "1.5.4-2", "1.5.7-1"],
        || texts("U+0000", b"a\0b"),
    ),
    refused(
        "wildcards in a Response Topic are refused",
        &["3.3.2-14"],
        || {
            ["#", "+", "a/#", "a/+/b"]
                .map(|topic| with(topic, &property::text(0x08, topic)))
                .into()
        },
    ),
    refused("Topic Alias 0 is refused", &["3.3.2-8"], || {
        vec![with("Topic Alias 0", &property::two(0x23, 0))]
    }),
    refused(
        "a Topic Alias that names nothing is refused",
        &["3.3.2-7", "4.13.1-1"],
        || {
            let alias = property::two(0x23, 1);
            vec![case("no topic", publish("", "x").with(&alias).bytes())]
        },
    ),
    refused(
        "values of properties of PUBLISH outside their range are refused",
        &["4.13.1-1"],
        || {
            vec![
                with("Payload Format Indicator 2", &property::byte(0x01, 2)),
                with("a property that does not exist", &[0x7F, 0]),
                with("a property of two bytes of identifier", &[0x81, 0x01, 0]),
                with("a property cut short", &[0x02, 0, 0]),
            ]
        },
    ),
];

fn with(what: &str, property: &[u8]) -> Case {
    case(what, publish("a", "x").with(property).bytes())
}

/// This text in each place of a PUBLISH that has text.
fn texts(what: &str, text: &[u8]) -> Vec<Case> {
    let bad = string(text);
    let name = [&[0x26], &bad[..], &string("v")].concat();
    let value = [&[0x26], &string("n")[..], &bad].concat();
    vec![
        case(format!("{what} in the topic"), publish(text, "x").bytes()),
        with(
            &format!("{what} in a Response Topic"),
            &property::text(0x08, text),
        ),
        with(
            &format!("{what} in a Content Type"),
            &property::text(0x03, text),
        ),
        with(&format!("{what} in a property's name"), &name),
        with(&format!("{what} in a property's value"), &value),
    ]
}
