//! What is sent again when a session is taken up, and what is not.

use crate::bytes::{CONNACK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, property, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, same};
use crate::packet::Packet;
use crate::wire::Wire;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "an unacknowledged QoS 1 message is sent again as a duplicate, and only on resuming",
        &["3.3.1-1", "4.3.2-3", "4.4.0-1"],
        |bench| unacknowledged(bench, 1),
    ),
    scene(
        "an unacknowledged QoS 2 message is sent again as a duplicate, and only on resuming",
        &["3.3.1-1", "4.3.3-3", "4.4.0-1"],
        |bench| unacknowledged(bench, 2),
    ),
    scene(
        "CONNACK comes before what a session has waiting",
        &["3.2.0-1"],
        |bench| {
            let (_, wire, _) = in_flight(bench, 1)?;
            wire.cut();
            let mut wire = bench.open("c")?;
            wire.send(bench.who("c").resume(60).bytes());
            same("the first packet", &wire.next()?.kind, &CONNACK)?;
            same("the second packet", &wire.next()?.kind, &PUBLISH)
        },
    ),
    scene(
        "after PUBREC it is PUBREL that is sent again, never PUBLISH",
        &["4.3.3-4", "4.3.3-5", "4.3.3-6", "4.4.0-1"],
        |bench| {
            let (_, mut wire, message) = in_flight(bench, 2)?;
            wire.send(ack(PUBREC, message.id, 0));
            same("PUBREL", &wire.expect_ack(PUBREL, message.id)?, &0)?;
            wire.nothing()?;
            wire.cut();
            let mut wire = bench.resume("c", 60, true)?;
            let again = wire.next()?;
            same("a PUBREL", &(again.kind, again.id), &(PUBREL, message.id))?;
            wire.send(ack(PUBCOMP, message.id, 0));
            wire.nothing()
        },
    ),
    scene(
        "an error in PUBACK or PUBREC ends a message: it is not sent again",
        &["4.4.0-2"],
        |bench| {
            for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
                let (_, mut wire, message) = in_flight(bench, qos)?;
                wire.send(ack(kind, message.id, 0x80));
                wire.nothing()?;
                wire.cut();
                let mut wire = bench.resume("c", 60, true)?;
                wire.nothing()?;
                wire.leave_with(0, &property::expiry(0))?;
            }
            Ok(())
        },
    ),
    scene(
        "what is sent again keeps its order",
        &["4.4.0-1", "4.6.0-5"],
        |bench| {
            let topic = bench.topic("a");
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            let mut other = bench.connect("other")?;
            let payloads = ["1", "2", "3", "4", "5"];
            let messages = payloads.map(|payload| publish(&topic, payload).qos(2));
            other.publish_all(&messages)?;
            let mut ids = Vec::new();
            for _ in payloads {
                ids.push(wire.expect(PUBLISH)?.id);
            }
            wire.cut();
            let mut wire = bench.resume("c", 60, true)?;
            for (payload, id) in payloads.iter().zip(ids) {
                let again = wire.message()?;
                same("the payload", &again.rest, &payload.as_bytes().to_vec())?;
                same(
                    "its identifier, and DUP",
                    &(again.id, again.dup),
                    &(id, true),
                )?;
            }
            wire.nothing()
        },
    ),
    scene(
        "a QoS 2 identifier that a client uses is known after it comes back",
        &["4.3.3-10", "4.1.0-1"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            other.subscribe(&topic, 2)?;
            let message = publish(&topic, "x").qos(2).id(7);
            let mut wire = bench.resume("c", 60, false)?;
            wire.send(message.bytes());
            wire.expect_ack(PUBREC, 7)?;
            wire.cut();
            let mut wire = bench.resume("c", 60, true)?;
            wire.send(message.clone().dup().bytes());
            wire.expect_ack(PUBREC, 7)?;
            wire.send(ack(PUBREL, 7, 0));
            same("PUBCOMP", &wire.expect_ack(PUBCOMP, 7)?, &0)?;
            other.payloads(&["x"])
        },
    ),
];

/// A client with a kept session that has got a message of this QoS and not acknowledged it; and who published it.
fn in_flight(bench: &Bench, qos: u8) -> Outcome<(Wire, Wire, Packet)> {
    let topic = bench.topic("a");
    let mut wire = bench.resume("c", 60, false)?;
    wire.subscribe(&topic, qos)?;
    let mut other = bench.connect("other")?;
    other.publish_all(&[publish(&topic, "x").qos(qos)])?;
    let message = wire.expect(PUBLISH)?;
    same("QoS and DUP", &(message.qos, message.dup), &(qos, false))?;
    Ok((other, wire, message))
}

fn unacknowledged(bench: &mut Bench, qos: u8) -> Outcome {
    let (_, mut wire, message) = in_flight(bench, qos)?;
    wire.nothing()?;
    wire.cut();
    let mut wire = bench.resume("c", 60, true)?;
    let again = wire.message()?;
    same(
        "its identifier, and DUP",
        &(again.id, again.dup),
        &(message.id, true),
    )?;
    same("its payload", &again.rest, &message.rest)?;
    wire.nothing()?;
    wire.cut();
    bench.resume("c", 60, true)?.nothing()
}
