//! What CONNECT is answered by.

use crate::bytes::{CONNACK, Connect, PINGRESP, packet, property, publish, string};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "an accepted CONNECT is answered by one CONNACK of reason 0, before anything else",
        &["3.1.4-5", "3.2.0-1", "3.2.0-2", "3.2.2-1", "3.2.2-8"],
        |bench| {
            let mut wire = bench.open("c")?;
            wire.send([bench.who("c").bytes(), [0xC0, 0].into()].concat());
            let connack = wire.next()?;
            same("the first packet", &connack.kind, &CONNACK)?;
            same("its reason", &connack.reason, &0)?;
            same("the second packet", &wire.next()?.kind, &PINGRESP)?;
            wire.nothing()
        },
    ),
    scene("PINGREQ is answered by PINGRESP", &["3.12.4-1"], |bench| {
        let mut wire = bench.connect("c")?;
        for _ in 0..3 {
            wire.send([0xC0, 0, 0xC0, 0]);
            same("a packet", &wire.next()?.kind, &PINGRESP)?;
            same("a packet", &wire.next()?.kind, &PINGRESP)?;
        }
        wire.nothing()
    }),
    scene(
        "Client Identifiers of 1 to 23 letters and digits are accepted",
        &["3.1.3-5", "3.1.3-4"],
        |bench| {
            const ALL: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
            let mut ids: Vec<String> = (1..=22)
                .map(|length| format!("{}z", &ALL[62 - length..]))
                .collect();
            ids.extend(["0", "9", "A", "Z"].map(str::to_owned));
            ids.extend((0..3).map(|part| ALL[part * 20..part * 20 + 23 - part].to_owned()));
            for id in ids {
                let connect = Connect::new(id);
                bench.connect_as("c", &connect)?.0.leave(0)?;
            }
            Ok(())
        },
    ),
    scene(
        "a Client Identifier of 65,535 bytes is accepted, or refused and the connection closed",
        &["3.1.3-8"],
        |bench| {
            let mut wire = bench.open("c")?;
            wire.send(Connect::new("x".repeat(65_535)).bytes());
            // A server may say why it refuses, and need not.
            let Some(connack) = wire.answer()? else {
                return Ok(());
            };
            same("a CONNACK", &connack.kind, &CONNACK)?;
            if connack.reason == 0 {
                return wire.nothing();
            }
            holds(
                [0x85, 0x95, 0x97].contains(&connack.reason),
                "Client Identifier not valid",
                connack.reason,
            )?;
            let reason = wire.closed()?;
            holds(reason.is_none(), "no DISCONNECT", reason)
        },
    ),
    scene(
        "an empty Client Identifier gets one that nobody has, and is a client like any other",
        &["3.1.3-6", "3.1.3-7", "3.2.2-16"],
        assigned,
    ),
    scene(
        "a refused CONNECT is answered by an error at most, without a session, and the end",
        &["3.1.4-2", "3.2.2-6", "3.2.2-7", "3.2.2-8", "4.13.2-1"],
        |bench| {
            bench.resume("c", 60, false)?.leave(0)?;
            let mut wire = bench.open("c")?;
            let connect = bench.who("c").resume(60);
            wire.send(
                connect
                    .with(&property::text(0x15, "NO-SUCH-METHOD"))
                    .bytes(),
            );
            wire.turned_away().map(|_| ())
        },
    ),
    scene(
        "nothing that follows a refused CONNECT is processed",
        &["3.1.4-6"],
        |bench| {
            let topic = bench.topic("a");
            let method = property::text(0x15, "NO-SUCH-METHOD");
            let refused = [
                bench.who("c").with(&method).bytes(),
                packet(0x10, &[&string("MQTX"), &[5, 2, 0, 0, 0], &string("c")]),
            ];
            for connect in refused {
                let mut wire = bench.open("c")?;
                let message = publish(&topic, "x").retain().bytes();
                wire.send([connect, message, [0xC0, 0].into()].concat());
                wire.turned_away()?;
            }
            let mut other = bench.connect("other")?;
            other.subscribe(&topic, 0)?;
            other.nothing()
        },
    ),
    scene(
        "a server that names no Maximum QoS takes QoS 2, and SUBSCRIBE of each QoS whatever it names",
        &["3.2.2-9", "3.2.2-10"],
        |bench| {
            let (mut wire, connack) = bench.connect_as("c", &bench.who("c"))?;
            let (first, second, third) = (bench.topic("0"), bench.topic("1"), bench.topic("2"));
            let filters = [(&first[..], 0), (&second[..], 1), (&third[..], 2)];
            let codes = wire.subscribe_all(&[], &filters)?;
            holds(codes.iter().all(|code| *code < 3), "a granted QoS", &codes)?;
            let maximum = u8::try_from(connack.number(0x24).unwrap_or(2)).unwrap_or(2);
            wire.publish_all(&[publish(bench.topic("x"), "x").qos(maximum)])
        },
    ),
    scene(
        "no Response Information is sent to who did not request it",
        &["3.1.2-28"],
        |bench| {
            for requested in [&[][..], &property::byte(0x19, 0)] {
                let connect = bench.who("c").with(requested);
                let (_, connack) = bench.connect_as("c", &connect)?;
                same("Response Information", &connack.property(0x1A), &None)?;
            }
            Ok(())
        },
    ),
    scene(
        "a client that comes with the identifier of a connected one takes its place",
        &["3.1.4-3", "3.14.4-1", "3.14.4-2", "3.14.2-1", "3.14.2-2"],
        |bench| {
            for clean in [true, false] {
                let mut old = bench.connect("old")?;
                let mut connect = bench.who("old");
                connect.clean = clean;
                let (mut new, connack) = bench.connect_as("new", &connect)?;
                let present = connack.session_present && clean;
                same("Session Present after Clean Start", &present, &false)?;
                same("the old one's DISCONNECT", &old.closed()?, &Some(0x8E))?;
                new.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "the transport carries megabytes in order and unchanged",
        &["4.2.0-1"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            let payloads: Vec<Vec<u8>> = (0..8_u32).map(noise).collect();
            for payload in &payloads {
                wire.send(publish(&topic, payload).bytes());
            }
            for payload in &payloads {
                let message = wire.message()?;
                holds(message.rest == *payload, "the payload", message.rest.len())?;
            }
            wire.nothing()
        },
    ),
];

fn assigned(bench: &mut Bench) -> Outcome {
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let connect = Connect::new("").with(&property::expiry(60));
        let (mut wire, connack) = bench.connect_as(name, &connect)?;
        let id = connack.property(0x12).unwrap_or_default();
        let id = String::from_utf8_lossy(id).into_owned();
        holds(!id.is_empty(), "an Assigned Client Identifier", &connack)?;
        wire.subscribe(&bench.topic("a"), 1)?;
        wire.leave(0)?;
        ids.push(id);
    }
    holds(ids[0] != ids[1], "two different identifiers", &ids)?;
    let mut other = bench.connect("other")?;
    other.publish_all(&[publish(bench.topic("a"), "x").qos(1)])?;
    for id in ids {
        let connect = Connect::new(id).resume(0);
        let (mut wire, connack) = bench.connect_as("again", &connect)?;
        same("Session Present", &connack.session_present, &true)?;
        same("Assigned Client Identifier", &connack.property(0x12), &None)?;
        wire.payloads(&["x"])?;
        wire.leave(0)?;
    }
    Ok(())
}

/// 128 KiB that do not repeat.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..32 * 1024).flat_map(|_| next().to_be_bytes()).collect()
}
