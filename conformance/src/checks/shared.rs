//! Shared subscriptions.

use crate::bytes::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, same};
use crate::packet::Packet;
use crate::wire::Wire;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "each message of a shared subscription goes to one of its members, with the QoS of that member",
        &["4.8.2-3", "3.8.4-8"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let filter = format!("$share/{}/{topic}", bench.client("g"));
            let mut members = Vec::new();
            for qos in 0..3 {
                let mut wire = bench.connect(&format!("m{qos}"))?;
                wire.subscribe(&filter, qos)?;
                members.push((qos, wire));
            }
            let mut alone = bench.connect("alone")?;
            alone.subscribe(&topic, 0)?;
            for _ in 0..12 {
                other.publish_all(&[publish(&topic, "x").qos(2)])?;
            }
            same("what is not shared", &alone.everything()?.len(), &12)?;
            let mut count = 0;
            // Each stays to the end: what a member leaves behind may go to another.
            for (qos, wire) in &mut members {
                for message in wire.everything()? {
                    count += 1;
                    same("its QoS", &message.qos, qos)?;
                }
            }
            same("what is shared", &count, &12)
        },
    ),
    scene(
        "a message goes to each group of one filter",
        &["4.5.0-1", "4.8.2-1", "4.8.2-2"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut members = Vec::new();
            for name in ["g", "h"] {
                let mut wire = bench.connect(name)?;
                let filter = format!("$share/{}/{topic}", bench.client(name));
                wire.subscribe(&filter, 1)?;
                members.push(wire);
            }
            other.publish_all(&[publish(&topic, "x").qos(1)])?;
            for mut wire in members {
                wire.payloads(&["x"])?;
            }
            Ok(())
        },
    ),
    scene(
        "a QoS 2 message that one member has begun is finished with that member when it comes back",
        &["4.8.2-4", "4.4.0-1"],
        |bench| {
            let (topic, message, wire) = begun(bench, 2, 60)?;
            let mut second = bench.connect("second")?;
            join(bench, &mut second, &topic)?;
            wire.cut();
            let mut wire = bench.resume("first", 60, true)?;
            let again = wire.expect(PUBLISH)?;
            let wanted = (message.id, true);
            same("its identifier, and DUP", &(again.id, again.dup), &wanted)?;
            second.nothing()?;
            wire.send(ack(PUBREC, message.id, 0));
            wire.expect_ack(PUBREL, message.id)?;
            wire.cut();
            let mut wire = bench.resume("first", 60, true)?;
            let again = wire.next()?;
            same("a PUBREL", &(again.kind, again.id), &(PUBREL, message.id))?;
            wire.send(ack(PUBCOMP, message.id, 0));
            wire.nothing()?;
            second.nothing()
        },
    ),
    scene(
        "a QoS 2 message whose member's session ends goes to nobody else",
        &["4.8.2-5"],
        |bench| {
            let (topic, _, wire) = begun(bench, 2, 0)?;
            let mut second = bench.connect("second")?;
            join(bench, &mut second, &topic)?;
            wire.leave(0)?;
            second.nothing()
        },
    ),
    scene(
        "a message that its member refuses goes to nobody else",
        &["4.8.2-6", "4.4.0-2"],
        |bench| {
            for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
                let (topic, message, mut wire) = begun(bench, qos, 0)?;
                let mut second = bench.connect("second")?;
                join(bench, &mut second, &topic)?;
                wire.send(ack(kind, message.id, 0x87));
                wire.nothing()?;
                second.nothing()?;
                wire.leave(0)?;
                second.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "a shared subscription gets nothing that is retained when it begins",
        &["3.3.1-9"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.publish_all(&[publish(&topic, "x").qos(1).retain()])?;
            join(bench, &mut wire, &topic)?;
            wire.nothing()
        },
    ),
];

/// Subscribes to the group of the check.
fn join(bench: &Bench, wire: &mut Wire, topic: &str) -> Outcome {
    wire.subscribe(&format!("$share/{}/{topic}", bench.client("g")), 2)
}

/// A message that the only member of a group has got, and the member.
fn begun(bench: &Bench, qos: u8, expiry: u32) -> Outcome<(String, Packet, Wire)> {
    let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
    let mut wire = bench.resume("first", expiry, false)?;
    join(bench, &mut wire, &topic)?;
    other.publish_all(&[publish(&topic, "x").qos(qos)])?;
    let message = wire.expect(PUBLISH)?;
    Ok((topic, message, wire))
}
