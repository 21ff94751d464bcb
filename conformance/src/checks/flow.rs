//! Flow control: Receive Maximum.

use crate::bytes::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, property, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, holds, same};
use crate::wire::Wire;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "no more messages are in flight to a client than its Receive Maximum",
        &["3.3.4-9", "4.9.0-1", "4.9.0-2"],
        |bench| {
            for maximum in [1, 2, 5] {
                let (_other, mut wire) = crowd(bench, maximum)?;
                let mut flying = Vec::new();
                for _ in 0..maximum {
                    flying.push(wire.expect(PUBLISH)?);
                }
                wire.nothing()?;
                // Each that is done makes room for one.
                for _ in 0..3 {
                    let done = flying.remove(0);
                    finish(&mut wire, done.id, done.qos)?;
                    flying.push(wire.expect(PUBLISH)?);
                    wire.nothing()?;
                }
                wire.leave(0)?;
            }
            Ok(())
        },
    ),
    scene(
        "a client with as much in flight as it takes still gets everything else",
        &["3.3.4-10", "4.9.0-3"],
        |bench| {
            let (mut other, mut wire) = crowd(bench, 1)?;
            wire.expect(PUBLISH)?;
            let (quiet, topic) = (bench.topic("quiet"), bench.topic("b"));
            wire.subscribe(&quiet, 0)?;
            other.publish_all(&[publish(&quiet, "QoS 0").qos(1)])?;
            let message = wire.expect(PUBLISH)?;
            same("a message of QoS 0", &message.rest, &b"QoS 0".to_vec())?;
            wire.publish_all(&[publish(&topic, "x").qos(1), publish(&topic, "x").qos(2)])?;
            same("UNSUBACK", &wire.unsubscribe(&[&quiet])?, &vec![0])?;
            wire.nothing()
        },
    ),
    scene(
        "an error in PUBACK or PUBREC makes room like any answer, and PUBREC of success does not",
        &["4.9.0-2", "4.4.0-2"],
        |bench| {
            let (_other, mut wire) = crowd(bench, 1)?;
            let one = wire.expect(PUBLISH)?;
            same("the QoS of the first", &one.qos, &1)?;
            wire.send(ack(PUBACK, one.id, 0x83));
            let two = wire.expect(PUBLISH)?;
            same("the QoS of the second", &two.qos, &2)?;
            wire.send(ack(PUBREC, two.id, 0x83));
            let three = wire.expect(PUBLISH)?;
            wire.send(ack(PUBACK, three.id, 0));
            let four = wire.expect(PUBLISH)?;
            wire.send(ack(PUBREC, four.id, 0));
            wire.expect_ack(PUBREL, four.id)?;
            wire.nothing()?;
            wire.send(ack(PUBCOMP, four.id, 0));
            wire.expect(PUBLISH).map(|_| ())
        },
    ),
    scene(
        "a client that comes back sets another Receive Maximum",
        &["4.9.0-1", "3.3.4-9", "4.4.0-1"],
        |bench| {
            let (mut other, topic) = (bench.connect("other")?, bench.topic("a"));
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 1)?;
            let payloads = ["1", "2", "3", "4"];
            other.publish_all(&payloads.map(|payload| publish(&topic, payload).qos(1)))?;
            for _ in payloads {
                wire.expect(PUBLISH)?;
            }
            wire.cut();
            let connect = bench.who("c").resume(60).with(&property::two(0x21, 2));
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            let (first, second) = (wire.expect(PUBLISH)?, wire.expect(PUBLISH)?);
            wire.nothing()?;
            for message in [first, second] {
                wire.send(ack(PUBACK, message.id, 0));
            }
            wire.payloads(&["3", "4"])
        },
    ),
    scene(
        "a server takes as many messages at once as its Receive Maximum says",
        &["3.3.4-1", "4.3.3-8", "4.9.0-1"],
        |bench| {
            let (mut wire, connack) = bench.connect_as("c", &bench.who("c"))?;
            let maximum = connack.number(0x21).unwrap_or(65_535).min(100);
            let maximum = u16::try_from(maximum).unwrap_or(1);
            let topic = bench.topic("a");
            for id in 1..=maximum {
                wire.send(publish(&topic, "x").qos(2).id(id).bytes());
            }
            for id in 1..=maximum {
                holds(wire.expect_ack(PUBREC, id)? < 0x80, "it is taken", id)?;
            }
            for id in 1..=maximum {
                wire.send(ack(PUBREL, id, 0));
            }
            for id in 1..=maximum {
                same("PUBCOMP", &wire.expect_ack(PUBCOMP, id)?, &0)?;
            }
            wire.nothing()
        },
    ),
];

/// Who has published twenty messages of QoS 1 and 2 in turn, and a client that takes so many at once.
fn crowd(bench: &Bench, maximum: u16) -> Outcome<(Wire, Wire)> {
    let topic = bench.topic("a");
    let mut other = bench.connect("other")?;
    let connect = bench.who("c").with(&property::two(0x21, maximum));
    let (mut wire, _) = bench.connect_as("c", &connect)?;
    wire.subscribe(&topic, 2)?;
    for number in 0..20_u8 {
        let message = publish(&topic, number.to_string()).qos(1 + number % 2);
        other.publish_all(&[message])?;
    }
    Ok((other, wire))
}

/// Does what is left of the flow of a message that came.
fn finish(wire: &mut Wire, id: u16, qos: u8) -> Outcome {
    match qos {
        0 => {}
        1 => wire.send(ack(PUBACK, id, 0)),
        _ => {
            wire.send(ack(PUBREC, id, 0));
            wire.expect_ack(PUBREL, id)?;
            wire.send(ack(PUBCOMP, id, 0));
        }
    }
    Ok(())
}
