//! Wills, but for their delays.

use crate::bytes::{Connect, property};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, same};
use crate::wire::Wire;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a will is published when the connection breaks",
        &["3.1.2-7", "3.1.2-8"],
        |bench| {
            for qos in 0..3 {
                let (mut other, wire) = couple(bench, qos)?;
                wire.cut();
                let message = other.message()?;
                same("its payload", &message.rest, &b"gone".to_vec())?;
                same("its QoS", &message.qos, &qos)?;
                other.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "DISCONNECT of reason 0 deletes the will",
        &["3.1.2-8", "3.1.2-10", "3.14.4-3"],
        |bench| {
            let (mut other, wire) = couple(bench, 1)?;
            wire.leave(0)?;
            other.nothing()?;
            bench.connect("c")?.cut();
            bench.connect("c")?.leave(0)?;
            other.nothing()
        },
    ),
    scene(
        "DISCONNECT of any other reason has the will published",
        &["3.1.2-8"],
        |bench| {
            for reason in [0x04, 0x80, 0x83, 0x99] {
                let (mut other, wire) = couple(bench, 0)?;
                wire.leave(reason)?;
                other.payloads(&["gone"])?;
            }
            Ok(())
        },
    ),
    scene(
        "a will is published when the server closes the connection for an error",
        &["3.1.2-8", "4.13.1-1"],
        |bench| {
            let (mut other, mut wire) = couple(bench, 0)?;
            wire.send([0, 0]);
            wire.refused()?;
            other.payloads(&["gone"])
        },
    ),
    scene(
        "a will is published when its client is taken over and starts anew",
        &["3.1.2-8", "3.1.4-3"],
        |bench| {
            let (mut other, mut wire) = couple(bench, 0)?;
            let _new = bench.connect("c")?;
            wire.refused()?;
            other.payloads(&["gone"])
        },
    ),
    scene("a published will is gone", &["3.1.2-10"], |bench| {
        let (mut other, wire) = couple(bench, 0)?;
        wire.cut();
        other.payloads(&["gone"])?;
        bench.connect("c")?.cut();
        bench.connect("c")?.leave(0x04)?;
        other.nothing()
    }),
    scene(
        "a will is retained when Will Retain says so, and only then",
        &["3.1.2-14", "3.1.2-15"],
        |bench| {
            let topic = bench.topic("will");
            for (flags, count) in [(1, 0), (5, 1)] {
                let mut other = bench.connect("other")?;
                other.subscribe(&topic, 8 | 1)?;
                let connect = bench.who("c").will(flags, &[], &topic, "gone");
                bench.connect_as("c", &connect)?.0.leave(0x04)?;
                let message = other.message()?;
                same("its RETAIN", &message.retain, &(flags == 5))?;
                let mut late = bench.connect("late")?;
                late.subscribe(&topic, 0)?;
                same("what is retained", &late.everything()?.len(), &count)?;
            }
            Ok(())
        },
    ),
    scene(
        "a will comes with its properties, User Properties in their order",
        &["3.1.3-10", "3.1.2-9"],
        |bench| {
            let topic = bench.topic("will");
            let mut other = bench.connect("other")?;
            other.subscribe(&topic, 0)?;
            let user = USER.map(|(name, value)| property::user(name, value));
            let about = [
                property::text(0x03, "content"),
                user.concat(),
                property::text(0x08, "answer"),
                property::text(0x09, b"\0\xFF"),
                property::byte(0x01, 1),
            ];
            let connect = bench.who("c").will(0, &about.concat(), &topic, "gone");
            bench.connect_as("c", &connect)?.0.cut();
            let message = other.message()?;
            same(
                "User Properties",
                &message.user_properties(),
                &user.concat(),
            )?;
            for (id, value) in [
                (0x03, &b"content"[..]),
                (0x08, b"answer"),
                (0x09, b"\0\xFF"),
                (0x01, &[1]),
            ] {
                let what = format!("property {id:#04X}");
                same(&what, &message.property(id), &Some(value))?;
            }
            Ok(())
        },
    ),
];

/// User Properties that a map would put in another order, or lose.
pub(super) const USER: [(&str, &str); 6] = [
    ("z", "1"),
    ("a", "2"),
    ("z", "1"),
    ("", ""),
    ("m", "\u{feff}\u{1d6c0}"),
    ("a", "0"),
];

/// Who subscribed to the will of a client, and the client.
fn couple(bench: &Bench, qos: u8) -> Outcome<(Wire, Wire)> {
    let topic = bench.topic("will");
    let mut other = bench.connect("other")?;
    other.subscribe(&topic, 2)?;
    let connect: Connect = bench.who("c").will(qos, &[], &topic, "gone");
    Ok((other, bench.connect_as("c", &connect)?.0))
}
