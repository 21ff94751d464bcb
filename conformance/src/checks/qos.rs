//! What a server sends: QoS, Packet Identifiers, DUP, and the flows that it begins.

use std::collections::HashSet;

use crate::bytes::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, packet, publish};
use crate::check::{Check, scene};
use crate::fault::{holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a message comes with the lower of its QoS and the one that was granted",
        &["3.8.4-8", "2.2.1-2", "4.3.1-1"],
        |bench| {
            for granted in 0..3 {
                let mut wire = bench.connect("c")?;
                let topic = bench.topic("a");
                wire.subscribe(&topic, granted)?;
                for published in 0..3 {
                    wire.publish_all(&[publish(&topic, "x").qos(published)])?;
                    let message = wire.message()?;
                    same("its QoS", &message.qos, &published.min(granted))?;
                    same("its payload", &message.rest, &b"x".to_vec())?;
                    same("its DUP", &message.dup, &false)?;
                }
                wire.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "messages in flight have Packet Identifiers that differ and are not 0",
        &["2.2.1-4", "4.3.2-1", "4.3.2-2", "4.3.3-1", "4.3.3-2"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.connect("c")?;
            wire.subscribe(&topic, 2)?;
            let mut ids = HashSet::new();
            for number in 0..16_u8 {
                let message = publish(&topic, "x").qos(1 + number % 2);
                other.publish_all(&[message])?;
            }
            for number in 0..16_u8 {
                let message = wire.expect(PUBLISH)?;
                same("its QoS", &message.qos, &(1 + number % 2))?;
                same("its DUP", &message.dup, &false)?;
                holds(ids.insert(message.id), "an unused identifier", message.id)?;
            }
            wire.nothing()
        },
    ),
    scene(
        "the DUP of a message that comes is not the DUP of the one that leaves",
        &["3.3.1-3"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 2)?;
            for qos in 1..3 {
                wire.publish_all(&[publish(&topic, "x").qos(qos).dup()])?;
                same("its DUP", &wire.message()?.dup, &false)?;
            }
            Ok(())
        },
    ),
    scene(
        "PUBREC is answered by PUBREL with its identifier",
        &["4.3.3-4", "4.3.3-5", "2.2.1-5"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 2)?;
            wire.publish_all(&[1, 2].map(|_| publish(&topic, "x").qos(2)))?;
            let ids = [wire.expect(PUBLISH)?.id, wire.expect(PUBLISH)?.id];
            for id in ids {
                wire.send(ack(PUBREC, id, 0x10));
                same("PUBREL", &wire.expect_ack(PUBREL, id)?, &0)?;
            }
            for id in ids {
                wire.send(ack(PUBCOMP, id, 0));
            }
            wire.nothing()
        },
    ),
    scene(
        "acknowledgements may be of each form: without a reason code, without properties, with them",
        &["4.3.2-3", "4.3.3-4"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 1)?;
            for tail in [
                &[][..],
                &[0],
                &[0, 0],
                b"\0\x0B\x1F\0\x01w\x26\0\x01n\0\x01v",
            ] {
                wire.publish_all(&[publish(&topic, "x").qos(1)])?;
                let [high, low] = wire.expect(PUBLISH)?.id.to_be_bytes();
                wire.send(packet(PUBACK << 4, &[&[high, low], tail]));
                wire.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "a client that acknowledges what was never sent harms nobody",
        &["3.6.2-1", "4.3.3-4"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 1)?;
            wire.send(ack(PUBREC, 999, 0));
            // Success, or Packet Identifier not found: the only codes there are.
            wire.expect_ack(PUBREL, 999)?;
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            wire.payloads(&["x"])
        },
    ),
];
