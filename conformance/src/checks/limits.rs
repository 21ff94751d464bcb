//! What a client says that it takes: Maximum Packet Size, Topic Alias Maximum, Request Problem Information.

use crate::bytes::{
    Connect, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, ack,
};
use crate::bytes::{property, publish, subscribe, unsubscribe};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, holds, same};
use crate::packet::Packet;
use crate::wire::Wire;

/// What CONNACK fits into, and no Reason String of more than a few words.
const SMALL: u16 = 48;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a message above the client's Maximum Packet Size is dropped as if it had been sent",
        &["3.1.2-24", "3.1.2-25"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut connect = bench.who("c").resume(60).size(100);
            connect = connect.with(&property::two(0x21, 2));
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            wire.subscribe(&topic, 2)?;
            let large = "x".repeat(200);
            for qos in 0..3 {
                // More of them than may be in flight.
                for _ in 0..3 {
                    other.publish_all(&[publish(&topic, &large).qos(qos)])?;
                }
                other.publish_all(&[publish(&topic, "small").qos(qos)])?;
                wire.payloads(&["small"])?;
            }
            wire.cut();
            bench.resume("c", 60, true)?.nothing()
        },
    ),
    scene(
        "a message that is too large for one client comes to the others",
        &["3.1.2-25", "4.5.0-1"],
        |bench| {
            let topic = bench.topic("a");
            let (mut wire, _) = bench.connect_as("c", &bench.who("c").size(100))?;
            let mut other = bench.connect("other")?;
            wire.subscribe(&topic, 1)?;
            other.subscribe(&topic, 1)?;
            let large = "x".repeat(200);
            other.publish_all(&[publish(&topic, &large).qos(1)])?;
            other.payloads(&[&large])?;
            wire.nothing()
        },
    ),
    scene(
        "a CONNACK that would be too large lacks its Reason String and User Properties, or does not come",
        &["3.2.2-19", "3.2.2-20", "3.1.2-24"],
        |bench| {
            for size in [5, 8, 16, 24, SMALL] {
                let mut wire = bench.open("c")?;
                let connect = bench.who("c").size(size);
                let method = property::text(0x15, "NO-SUCH-METHOD");
                wire.send(connect.with(&method).bytes());
                if let Some(connack) = wire.answer()? {
                    let length = connack.bytes.len();
                    let fits = length <= size.into() && connack.reason >= 0x80;
                    holds(fits, "a refusal that fits", length)?;
                    wire.closed()?;
                }
            }
            Ok(())
        },
    ),
    scene(
        "PUBACK, PUBREC, SUBACK and UNSUBACK of errors fit into the client's Maximum Packet Size",
        &[
            "3.4.2-2", "3.4.2-3", "3.5.2-2", "3.5.2-3", "3.9.2-1", "3.9.2-2", "3.11.2-1",
            "3.11.2-2",
        ],
        |bench| {
            let connect = bench.who("c").size(SMALL);
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            errors(bench, &mut wire).map(|_| ())
        },
    ),
    scene(
        "PUBREL and PUBCOMP of errors fit into the client's Maximum Packet Size",
        &[
            "3.6.2-1", "3.6.2-2", "3.6.2-3", "3.7.2-1", "3.7.2-2", "3.7.2-3",
        ],
        |bench| {
            let connect = bench.who("c").size(SMALL);
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            wire.send(ack(PUBREL, 77, 0));
            wire.expect_ack(PUBCOMP, 77)?;
            wire.send(ack(PUBREC, 78, 0));
            wire.expect_ack(PUBREL, 78)?;
            wire.nothing()
        },
    ),
    scene(
        "a DISCONNECT that would be too large lacks its Reason String and User Properties",
        &["3.14.2-3", "3.14.2-4"],
        |bench| {
            for size in [24, SMALL] {
                let mut wire = bench.open("c")?;
                let connack = wire.connect(&bench.who("c").size(size))?;
                if connack.reason == 0 {
                    wire.send([0, 0]);
                    wire.refused()?;
                }
            }
            Ok(())
        },
    ),
    scene(
        "who does not request problem information gets it with CONNACK, PUBLISH and DISCONNECT alone",
        &["3.1.2-29"],
        |bench| {
            let none = property::byte(0x17, 0);
            let (mut wire, _) = bench.connect_as("c", &bench.who("c").with(&none))?;
            let topic = bench.topic("a");
            wire.subscribe(&topic, 2)?;
            let about = property::user("n", "v");
            wire.publish_all(&[publish(&topic, "x").qos(2).with(&about)])?;
            let message = wire.message()?;
            same("User Properties", &message.user_properties(), &about)?;
            for packet in errors(bench, &mut wire)? {
                if packet.kind == DISCONNECT {
                    continue;
                }
                let is_bare =
                    packet.property(0x1F).is_none() && packet.user_properties().is_empty();
                holds(is_bare, "no Reason String, no User Property", &packet)?;
            }
            Ok(())
        },
    ),
    scene(
        "no alias is used to a client that takes none",
        &["3.1.2-27", "3.3.2-11"],
        |bench| {
            for connect in [bench.who("c"), bench.who("c").aliases(0)] {
                many_topics(bench, &connect, 3)?;
            }
            Ok(())
        },
    ),
    scene(
        "no alias is above the client's Topic Alias Maximum, and each names the topic it was given",
        &["3.1.2-26", "3.3.2-11", "3.3.2-8"],
        |bench| {
            for maximum in [1, 2, 65_535] {
                many_topics(bench, &bench.who("c").aliases(maximum), 5)?;
            }
            Ok(())
        },
    ),
    scene(
        "the aliases of a server end with the connection",
        &["3.3.2-7"],
        |bench| {
            let connect = bench.who("c").resume(60).aliases(10);
            let (mut other, topic) = (bench.connect("other")?, bench.topic("a"));
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            wire.subscribe(&topic, 1)?;
            for _ in 0..2 {
                for payload in ["1", "2"] {
                    other.publish_all(&[publish(&topic, payload).qos(1)])?;
                }
                let (first, second) = (wire.message()?, wire.message()?);
                same("the first topic", &first.topic, &topic.clone().into_bytes())?;
                same(
                    "the second topic",
                    &second.topic,
                    &topic.clone().into_bytes(),
                )?;
                wire.leave(0)?;
                // Its reader knows no alias of an earlier connection.
                wire = bench.connect_as("c", &connect)?.0;
            }
            Ok(())
        },
    ),
    scene(
        "a server takes every alias up to its maximum, and none above it",
        &["3.3.2-12", "3.3.2-7"],
        own_aliases,
    ),
];

/// The answers to what a server that has nothing to say refuses: topics of its own, subscriptions that are not there.
fn errors(bench: &Bench, wire: &mut Wire) -> Outcome<Vec<Packet>> {
    let mut answers = Vec::new();
    for (id, qos, kind) in [(101, 1, PUBACK), (102, 2, PUBREC)] {
        let topic = format!("$SYS/{}", bench.client("x"));
        wire.send(publish(topic, "x").qos(qos).id(id).bytes());
        answers.push(wire.expect(kind)?);
    }
    wire.send(unsubscribe(
        104,
        &[&bench.topic("never"), &bench.topic("ever")],
    ));
    answers.push(wire.expect(UNSUBACK)?);
    wire.send(ack(PUBREL, 105, 0));
    answers.push(wire.expect(PUBCOMP)?);
    wire.nothing()?;
    // A filter of more levels than anybody needs; it may end the connection.
    wire.send(subscribe(103, &[], &[(&deep(), 0)]));
    if let Some(answer) = wire.answer()? {
        holds(
            [SUBACK, DISCONNECT].contains(&answer.kind),
            "SUBACK",
            &answer,
        )?;
        answers.push(answer);
    }
    Ok(answers)
}

/// A filter of 300 levels.
pub(super) fn deep() -> String {
    format!("a{}", "/".repeat(300))
}

/// Messages on many topics, in turn, come on those topics.
fn many_topics(bench: &Bench, connect: &Connect, count: usize) -> Outcome {
    let (mut wire, _) = bench.connect_as("c", connect)?;
    let mut other = bench.connect("other")?;
    wire.subscribe(&bench.topic("#"), 0)?;
    for number in (0..count).chain(0..count).chain((0..count).rev()) {
        let topic = bench.topic(&number.to_string());
        other.publish_all(&[publish(&topic, "x").qos(1)])?;
        let message = wire.expect(PUBLISH)?;
        same("its topic", &message.topic, &topic.into_bytes())?;
    }
    wire.leave(0)
}

fn own_aliases(bench: &mut Bench) -> Outcome {
    let mut other = bench.connect("other")?;
    other.subscribe(&bench.topic("#"), 0)?;
    let (mut wire, connack) = bench.connect_as("c", &bench.who("c"))?;
    let maximum = connack.number(0x22).unwrap_or(0);
    let maximum = u16::try_from(maximum).unwrap_or(u16::MAX);
    let some = maximum.min(64);
    for named in [true, false] {
        for alias in (1..=some).chain([maximum]).filter(|alias| *alias > 0) {
            let topic = bench.topic(&alias.to_string());
            let shown = if named { &topic[..] } else { "" };
            let message = publish(shown, "x").qos(1).with(&property::two(0x23, alias));
            wire.publish_all(&[message])?;
            let came = other.message()?;
            same("its topic", &came.topic, &topic.into_bytes())?;
            same("a Topic Alias", &came.property(0x23), &None)?;
        }
    }
    let Some(above) = maximum.checked_add(1) else {
        return Ok(());
    };
    let alias = property::two(0x23, above);
    wire.send(publish(bench.topic("a"), "x").with(&alias).bytes());
    wire.refused()?;
    // What an alias of that connection named, it does not name in the next.
    let mut wire = bench.connect("c")?;
    wire.send(publish("", "x").with(&property::two(0x23, 1)).bytes());
    wire.refused()?;
    other.nothing()
}
