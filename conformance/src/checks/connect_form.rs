//! The form of CONNECT, and that it is the first packet.

use crate::bytes::{
    CONNECT, Connect, DISCONNECT, PUBLISH, connect_of, packet, property, publish, string,
};
use crate::check::{Bench, Case, Check, Run, case, scene};
use crate::fault::{Outcome, same};
use crate::table::NAMES;

const fn first(
    name: &'static str,
    statements: &'static [&'static str],
    cases: fn() -> Vec<Case>,
) -> Check {
    let run = Run::First(cases);
    Check {
        name,
        statements,
        run,
    }
}

pub(super) const CHECKS: &[Check] = &[
    first(
        "a protocol name other than MQTT is refused",
        &["3.1.2-1", "3.1.4-1"],
        || {
            ["MQTX", "mqtt", "", "MQTTS"]
                .map(|name| {
                    let head = [&string(name)[..], &[5, 2, 0, 0, 0], &string("c")].concat();
                    case(
                        format!("the protocol name {name:?}"),
                        packet(0x10, &[&head]),
                    )
                })
                .into()
        },
    ),
    first(
        "a version that does not exist is refused",
        &["3.1.2-2", "3.2.2-7"],
        || {
            [0_u8, 1, 2, 6, 7, 127]
                .map(|version| {
                    let head = [&string("MQTT")[..], &[version, 2, 0, 0, 0]].concat();
                    let bytes = packet(0x10, &[&head, &string("c")]);
                    case(format!("version {version}"), bytes)
                })
                .into()
        },
    ),
    first(
        "a CONNECT whose reserved flag is set is refused",
        &["3.1.2-3", "3.1.4-1"],
        || {
            vec![case(
                "connect flags 0000 0011",
                connect_of(3, &[0, 0], &[0], &string("c")),
            )]
        },
    ),
    first(
        "will flags that do not fit each other are refused",
        &["3.1.2-11", "3.1.2-12", "3.1.2-13"],
        || {
            let will = [&string("c")[..], &[0], &string("w"), &string("x")].concat();
            vec![
                case("a will QoS without a will", raw(0x0A, &string("c"))),
                case("a will QoS 2 without a will", raw(0x12, &string("c"))),
                case(
                    "a will to be retained without a will",
                    raw(0x22, &string("c")),
                ),
                case("a will of QoS 3", raw(0x1E, &will)),
            ]
        },
    ),
    first(
        "a payload that lacks what the flags tell of is refused",
        &["3.1.2-9", "3.1.2-17", "3.1.2-19", "3.1.3-3"],
        || {
            let (id, topic) = (string("c"), string("w"));
            vec![
                case("no will", raw(0x06, &id)),
                case("no will topic", raw(0x06, &[&id[..], &[0]].concat())),
                case(
                    "no will payload",
                    raw(0x06, &[&id[..], &[0], &topic].concat()),
                ),
                case(
                    "no will properties",
                    raw(0x06, &[&id[..], &topic, &topic].concat()),
                ),
                case("no user name", raw(0x82, &id)),
                case("no password", raw(0x42, &id)),
                case(
                    "one of user name and password",
                    raw(0xC2, &[id, topic].concat()),
                ),
                case("no Client Identifier", raw(0x02, &[])),
                case("half a Client Identifier", raw(0x02, &[0, 2, b'c'])),
            ]
        },
    ),
    first(
        "a payload that has what the flags do not tell of is refused",
        &["3.1.2-16", "3.1.2-18"],
        || {
            let text = [string("c"), string("u")].concat();
            let both = [&text[..], &string("p")].concat();
            vec![
                case("a user name", raw(0x02, &text)),
                case("a password behind the user name", raw(0x82, &both)),
                case("a user name before the password", raw(0x42, &both)),
                case("a byte", raw(0x02, &[0, 1, b'c', 0])),
            ]
        },
    ),
    first(
        "text of a CONNECT that is no UTF-8 is refused",
        &["1.5.4-1", "3.1.3-4", "3.1.3-11", "3.1.3-12"],
        || {
            BAD_TEXT
                .iter()
                .flat_map(|(what, text)| strings(what, text))
                .collect()
        },
    ),
    first(
        "U+0000 in the text of a CONNECT is refused",
        &["1.5.4-2"],
        || strings("U+0000", b"a\0b"),
    ),
    first(
        "values of properties of CONNECT outside their range are refused",
        &["3.1.4-1", "4.13.1-1"],
        || {
            let with = |what: &str, property: Vec<u8>| {
                case(what, Connect::new("c").with(&property).bytes())
            };
            vec![
                with("Receive Maximum 0", property::two(0x21, 0)),
                with("Maximum Packet Size 0", property::four(0x27, 0)),
                with("Request Problem Information 2", property::byte(0x17, 2)),
                with("Request Response Information 2", property::byte(0x19, 2)),
                with(
                    "Authentication Data without a Method",
                    property::text(0x16, "x"),
                ),
            ]
        },
    ),
    first(
        "any other packet than CONNECT as the first closes the connection without an answer",
        &["3.14.0-1", "3.2.0-1", "4.13.1-1"],
        || {
            let all = (0..16_u8).filter(|kind| *kind != CONNECT);
            all.map(|kind| {
                let bytes = match kind {
                    PUBLISH => publish("a", "x").bytes(),
                    6 => packet(0x62, &[&[0, 1]]),
                    8 => packet(0x82, &[&[0, 1, 0], &string("a"), &[0]]),
                    10 => packet(0xA2, &[&[0, 1, 0], &string("a")]),
                    2 | 4 | 5 | 7 => packet(kind << 4, &[&[0, 1]]),
                    9 | 11 => packet(kind << 4, &[&[0, 1, 0, 0]]),
                    _ => packet(kind << 4, &[]),
                };
                case(NAMES[usize::from(kind)], bytes)
            })
            .collect()
        },
    ),
    first(
        "a CONNECT whose Remaining Length is not as short as it can be is refused",
        &["1.5.5-1"],
        || {
            let connect = Connect::new("c").bytes();
            let length = |bytes: &[u8]| [&[0x10], bytes, &connect[2..]].concat();
            let rest = connect[1];
            vec![
                case("two bytes for one", length(&[rest | 0x80, 0])),
                case("five bytes", length(&[rest | 0x80, 0x80, 0x80, 0x80, 0])),
            ]
        },
    ),
    scene(
        "a second CONNECT closes the connection, without a second CONNACK",
        &["3.1.0-2", "3.2.0-2"],
        |bench| {
            let mut wire = bench.connect("c")?;
            wire.send(bench.who("c").bytes());
            wire.refused().map(|_| ())
        },
    ),
    scene(
        "the fields of a CONNECT are taken in their order",
        &["3.1.3-1", "3.1.2-9", "3.1.2-17", "3.1.2-19"],
        fields_in_order,
    ),
    scene(
        "a password may stand without a user name",
        &["3.1.2-16", "3.1.2-19"],
        |bench| {
            let connect = bench.who("c").password("p");
            bench.connect_as("c", &connect)?.0.nothing()
        },
    ),
];

/// Text that is not well formed; the lone surrogate is what only careless decoders take.
pub(super) const BAD_TEXT: &[(&str, &[u8])] = &[
    ("a byte that begins nothing", b"a\xFF"),
    ("a sequence cut short", b"a\xC3"),
    ("a surrogate", b"a\xED\xA0\x80"),
    ("a code point in too many bytes", b"a\xC0\xAF"),
    ("a code point above U+10FFFF", b"a\xF4\x90\x80\x80"),
];

/// A CONNECT with connect flags of one's own.
fn raw(flags: u8, payload: &[u8]) -> Vec<u8> {
    connect_of(flags, &[0, 0], &[0], payload)
}

/// This text in each place of a CONNECT that has text.
fn strings(what: &str, text: &[u8]) -> Vec<Case> {
    let (id, bad) = (string("c"), string(text));
    let will = [&id[..], &[0], &bad, &string("x")].concat();
    let user = [&id[..], &bad].concat();
    let method = property::text(0x15, text);
    let name = [&[0x26], &bad[..], &string("v")].concat();
    let value = [&[0x26], &string("n")[..], &bad].concat();
    let with = |property: &[u8]| Connect::new("c").with(property).bytes();
    vec![
        case(format!("{what} in the Client Identifier"), raw(2, &bad)),
        case(format!("{what} in the will topic"), raw(6, &will)),
        case(format!("{what} in the user name"), raw(0x82, &user)),
        case(format!("{what} in a method"), with(&method)),
        case(format!("{what} in a property's name"), with(&name)),
        case(format!("{what} in a property's value"), with(&value)),
    ]
}

fn fields_in_order(bench: &mut Bench) -> Outcome {
    let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
    other.subscribe(&topic, 0)?;
    let about = [
        property::byte(0x01, 1),
        property::text(0x03, "content"),
        property::user("n", "v"),
    ];
    let connect = bench
        .who("c")
        .will(0, &about.concat(), &topic, "last words");
    let (mut wire, _) = bench.connect_as("c", &connect.user("user").password("secret"))?;
    wire.send(packet(DISCONNECT << 4, &[&[4]]));
    let message = other.message()?;
    same("the topic of the will", &message.topic, &topic.into_bytes())?;
    same("its payload", &message.rest, &b"last words".to_vec())?;
    let content = Some(&b"content"[..]);
    same("its Content Type", &message.property(0x03), &content)
}
