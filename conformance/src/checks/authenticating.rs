//! Enhanced authentication, as a server that has no method answers it, and as one does that has one.

use crate::broker::{ANSWER, CHALLENGE, WATCHWORD};
use crate::bytes::{AUTH, CONNACK, Connect, block, packet, property};
use crate::check::{Bench, Check, Run, case, scene};
use crate::fault::{Outcome, holds, same};
use crate::packet::Packet;
use crate::wire::Wire;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "a method that the server does not have closes the connection",
        statements: &["4.12.0-1", "4.12.0-4", "3.1.4-2"],
        run: Run::First(|| {
            let method = property::text(0x15, "NO-SUCH-METHOD");
            let data = property::text(0x16, b"\0\x01");
            let connect = Connect::new("c").with(&method);
            vec![
                case("a method", connect.bytes()),
                case("a method with data", connect.with(&data).bytes()),
            ]
        }),
    },
    scene(
        "the answer to a method that the server does not have is Bad authentication method or Not authorized",
        &["4.12.0-1", "3.2.2-8", "4.13.2-1"],
        |bench| {
            let mut wire = bench.open("c")?;
            let method = property::text(0x15, "NO-SUCH-METHOD");
            wire.send(bench.who("c").with(&method).bytes());
            let reason = wire.turned_away()?;
            holds(
                reason.is_none_or(|reason| [0x8C, 0x87].contains(&reason)),
                "0x8C, 0x87 or no CONNACK",
                reason,
            )
        },
    ),
    scene(
        "a client without a method gets no AUTH, and no method in CONNACK",
        &["4.12.0-6"],
        |bench| {
            let (mut wire, connack) = bench.connect_as("c", &bench.who("c"))?;
            same("a method", &connack.property(0x15), &None)?;
            same("data", &connack.property(0x16), &None)?;
            wire.nothing()
        },
    ),
    scene(
        "AUTH of a client without a method is an error that closes the connection",
        &["4.12.1-2", "4.13.1-1", "3.15.2-1"],
        |bench| {
            let method = property::text(0x15, "NO-SUCH-METHOD");
            for reason in [0x00, 0x18, 0x19] {
                let mut wire = bench.connect("c")?;
                wire.send(packet(AUTH << 4, &[&[reason], &block(&method)]));
                wire.refused()?;
            }
            let mut wire = bench.connect("c")?;
            wire.send(packet(AUTH << 4, &[]));
            wire.refused().map(|_| ())
        },
    ),
    scene(
        "a server that asks for more says Continue authentication, and the method stands in all that it says",
        &["4.12.0-2", "4.12.0-5"],
        |bench| {
            let mut wire = asked(bench)?;
            let connack = wire.expect(CONNACK)?;
            same("the reason of CONNACK", &connack.reason, &0)?;
            has_method(&connack)?;
            // And when the client authenticates again.
            wire.send(auth(0x19, "again"));
            answer(&mut wire)?;
            let done = wire.expect(AUTH)?;
            same("the reason of the last AUTH", &done.reason, &0)?;
            has_method(&done)?;
            wire.nothing()
        },
    ),
    scene(
        "an AUTH that is wrong closes the connection of a client that has a method too",
        &["2.1.3-1", "3.15.1-1", "3.15.2-1", "4.13.1-1"],
        |bench| {
            let flags = (1..16_u8).map(|flags| {
                let mut bytes = auth(0x19, "again");
                bytes[0] |= flags;
                bytes
            });
            let reasons = [0x01, 0x17, 0x1A, 0x80, 0xFF].map(|reason| auth(reason, "again"));
            let two = [property::text(0x15, WATCHWORD), property::two(0x21, 1)].concat();
            let misplaced = packet(AUTH << 4, &[&[0x19], &block(&two)]);
            for bytes in flags.chain(reasons).chain([misplaced]) {
                let mut wire = asked(bench)?;
                wire.expect(CONNACK)?;
                wire.send(bytes);
                wire.refused()?;
            }
            Ok(())
        },
    ),
    scene(
        "an AUTH fits into the client's Maximum Packet Size, or does not come",
        &["3.15.2-2", "3.15.2-3", "3.14.0-1"],
        |bench| {
            bench.go_to_asking();
            // Four bytes, the method's twelve and the challenge's eight.
            for size in [5, 12, 23, 24, 25, 48] {
                let method = property::text(0x15, WATCHWORD);
                let connect = bench.who("c").size(size).with(&method);
                let mut wire = bench.open("c")?;
                wire.send(connect.bytes());
                if size < 24 {
                    // No DISCONNECT before a CONNACK either.
                    wire.turned_away()?;
                } else {
                    let length = wire.expect(AUTH)?.bytes.len();
                    holds(length <= size.into(), "an AUTH that fits", length)?;
                }
            }
            Ok(())
        },
    ),
];

/// A client that was asked for its word and has given it.
fn asked(bench: &mut Bench) -> Outcome<Wire> {
    bench.go_to_asking();
    let method = property::text(0x15, WATCHWORD);
    let mut wire = bench.open("c")?;
    wire.send(bench.who("c").with(&method).bytes());
    answer(&mut wire)?;
    Ok(wire)
}

/// The server asks, and is answered.
fn answer(wire: &mut Wire) -> Outcome {
    let asks = wire.expect(AUTH)?;
    same("the reason of AUTH", &asks.reason, &0x18)?;
    same(
        "the challenge",
        &asks.property(0x16),
        &Some(CHALLENGE.as_bytes()),
    )?;
    has_method(&asks)?;
    wire.send(auth(0x18, ANSWER));
    Ok(())
}

fn has_method(packet: &Packet) -> Outcome {
    same(
        "its method",
        &packet.property(0x15),
        &Some(WATCHWORD.as_bytes()),
    )
}

fn auth(reason: u8, data: &str) -> Vec<u8> {
    let said = [property::text(0x15, WATCHWORD), property::text(0x16, data)].concat();
    packet(AUTH << 4, &[&[reason], &block(&said)])
}
