//! DISCONNECT.

use super::properties::{end_with, misplaced};
use crate::bytes::{DISCONNECT, PING, packet, property, publish};
use crate::check::{Check, scene};
use crate::fault::{holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "DISCONNECT with reserved flags is answered by Malformed Packet",
        &["2.1.3-1", "3.14.1-1", "3.14.2-1"],
        |bench| {
            for flags in 1..16 {
                let mut wire = bench.connect("c")?;
                wire.send(packet(DISCONNECT << 4 | flags, &[]));
                same("DISCONNECT", &wire.closed()?, &Some(0x81))?;
            }
            Ok(())
        },
    ),
    scene(
        "properties that may not stand in a DISCONNECT make it an error that does not delete the will",
        &["4.13.1-1"],
        |bench| {
            let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
            other.subscribe(&topic, 0)?;
            for case in misplaced("DISCONNECT", |bytes| end_with(DISCONNECT, bytes)) {
                let connect = bench.who("c").will(0, &[], &topic, &case.what);
                let (mut wire, _) = bench.connect_as("c", &connect)?;
                wire.send(case.bytes);
                wire.refused()?;
                other.payloads(&[&case.what])?;
            }
            Ok(())
        },
    ),
    scene(
        "DISCONNECT of each form ends the connection without an answer",
        &["3.14.4-1", "4.13.2-1"],
        |bench| {
            let reasons = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95];
            for reason in reasons {
                bench.connect("c")?.leave(reason)?;
            }
            for bytes in [&[0xE0, 0][..], &[0xE0, 1, 0]] {
                let mut wire = bench.connect("c")?;
                wire.send(bytes);
                same("DISCONNECT", &wire.closed()?, &None)?;
            }
            let about = [property::text(0x1F, "why"), property::user("n", "v")];
            bench.connect("c")?.leave_with(0x80, &about.concat())
        },
    ),
    scene(
        "nothing that follows a DISCONNECT is processed or answered",
        &["3.14.4-1"],
        |bench| {
            let topic = bench.topic("a");
            let mut other = bench.connect("other")?;
            other.subscribe(&topic, 0)?;
            let mut wire = bench.connect("c")?;
            let message = publish(&topic, "x").qos(1).id(1).bytes();
            wire.send([&[0xE0, 0][..], &message[..], &PING].concat());
            same("DISCONNECT", &wire.closed()?, &None)?;
            other.nothing()
        },
    ),
    scene(
        "the last word of a server has a listed reason, and the end follows it",
        &["3.14.2-1", "3.14.2-2", "3.14.4-1", "3.14.4-2", "4.13.2-1"],
        |bench| {
            let bad: [&[u8]; 4] = [
                &[0, 0],
                b"\x36\x04\0\x01a\0",
                b"\x80\x02\0\x01",
                b"\x30\x07\0\x01a\x03\x23\0\0",
            ];
            for bytes in bad {
                let mut wire = bench.connect("c")?;
                wire.send(bytes);
                let reason = wire.closed()?;
                holds(
                    reason.is_none_or(|reason| reason >= 0x80),
                    "an error, if there is a last word",
                    reason,
                )?;
            }
            Ok(())
        },
    ),
];
