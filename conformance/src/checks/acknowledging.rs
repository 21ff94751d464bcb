//! What a server answers to what is published.

use crate::bytes::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, publish};
use crate::check::{Check, scene};
use crate::fault::{holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a PUBLISH is answered as its QoS asks, with its identifier",
        &["3.3.4-1", "2.2.1-5", "4.3.2-4", "4.3.3-8", "4.3.3-11"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.send(publish(&topic, "x").bytes());
            wire.nothing()?;
            for id in [1, 2, 255, 256, 65_535] {
                wire.send(publish(&topic, "x").qos(1).id(id).bytes());
                holds(wire.expect_ack(PUBACK, id)? < 0x80, "it is taken", id)?;
                wire.send(publish(&topic, "x").qos(2).id(id).bytes());
                holds(wire.expect_ack(PUBREC, id)? < 0x80, "it is taken", id)?;
                wire.send(ack(PUBREL, id, 0));
                same("PUBCOMP", &wire.expect_ack(PUBCOMP, id)?, &0)?;
            }
            wire.nothing()
        },
    ),
    scene(
        "PUBACK and PUBREC have listed reasons, also when nobody subscribed",
        &["3.4.2-1", "3.5.2-1", "3.7.2-1"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            for qos in 1..3 {
                // The reader refuses what is not listed.
                let reason = wire.publish(&publish(&topic, "x").qos(qos))?;
                holds([0, 0x10].contains(&reason), "success", reason)?;
            }
            wire.nothing()
        },
    ),
    scene(
        "after PUBACK the same identifier is a new message, whatever DUP says",
        &["4.3.2-5"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            let message = publish(&topic, "x").qos(1).id(9);
            wire.publish_all(&[message.clone(), message.clone().dup(), message])?;
            wire.payloads(&["x", "x", "x"])
        },
    ),
    scene(
        "a QoS 2 PUBLISH that is repeated before PUBREL gets PUBREC again, and is delivered once",
        &["4.3.3-8", "4.3.3-10", "4.3.3-11"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            other.subscribe(&topic, 2)?;
            let mut wire = bench.connect("c")?;
            let message = publish(&topic, "x").qos(2).id(9);
            wire.send(message.bytes());
            holds(wire.expect_ack(PUBREC, 9)? < 0x80, "it is taken", 9)?;
            wire.send(message.dup().bytes());
            wire.expect_ack(PUBREC, 9)?;
            wire.send(ack(PUBREL, 9, 0));
            same("PUBCOMP", &wire.expect_ack(PUBCOMP, 9)?, &0)?;
            other.payloads(&["x"])
        },
    ),
    scene(
        "a QoS 2 PUBLISH that is repeated again and again, with DUP and without, is one message",
        &["4.3.3-10"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            let message = publish(&topic, "x").qos(2).id(9);
            for again in [&message, &message.clone().dup(), &message, &message] {
                wire.send(again.bytes());
                holds(wire.expect_ack(PUBREC, 9)? < 0x80, "it is taken", 9)?;
            }
            wire.send(ack(PUBREL, 9, 0));
            wire.expect_ack(PUBCOMP, 9)?;
            wire.payloads(&["x"])
        },
    ),
    scene(
        "after PUBCOMP the same identifier is a new message, whatever DUP says",
        &["4.3.3-12"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            let message = publish(&topic, "x").qos(2).id(9);
            wire.publish_all(&[message.clone(), message.clone().dup(), message])?;
            wire.payloads(&["x", "x", "x"])
        },
    ),
    scene(
        "a PUBREL for an identifier that is not in use is answered by PUBCOMP",
        &["4.3.3-11", "3.7.2-1"],
        |bench| {
            let mut wire = bench.connect("c")?;
            wire.send(ack(PUBREL, 9, 0));
            // Success, or Packet Identifier not found: the only codes there are.
            wire.expect_ack(PUBCOMP, 9)?;
            wire.nothing()
        },
    ),
    scene(
        "after PUBREC of an error the identifier is a new message",
        &["4.3.3-9"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            // Clients have no say in a server's own topics.
            let refused = publish(format!("$SYS/{}", bench.client("x")), "x");
            let reason = wire.publish(&refused.qos(2).id(9))?;
            holds(reason >= 0x80, "a PUBREC of an error", reason)?;
            wire.publish_all(&[publish(&topic, "new").qos(2).id(9)])?;
            wire.payloads(&["new"])
        },
    ),
    scene(
        "identifiers of PUBLISH and SUBSCRIBE from both sides do not meet",
        &["2.2.1-4", "2.2.1-5", "2.2.1-6"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            let mut other = bench.connect("other")?;
            wire.subscribe(&topic, 2)?;
            other.publish_all(&[publish(&topic, "x").qos(2)])?;
            let theirs = wire.expect(PUBLISH)?;
            let quiet = bench.topic("b");
            wire.send(publish(quiet, "y").qos(2).id(theirs.id).bytes());
            wire.expect_ack(PUBREC, theirs.id)?;
            wire.send(ack(PUBREC, theirs.id, 0));
            wire.expect_ack(PUBREL, theirs.id)?;
            wire.send(ack(PUBREL, theirs.id, 0));
            wire.expect_ack(PUBCOMP, theirs.id)?;
            wire.send(ack(PUBCOMP, theirs.id, 0));
            wire.nothing()
        },
    ),
];
