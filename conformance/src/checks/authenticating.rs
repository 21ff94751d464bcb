//! Enhanced authentication, as a server that has no method answers it.

use crate::bytes::{AUTH, Connect, block, packet, property};
use crate::check::{Check, Run, case, scene};
use crate::fault::{holds, same};

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
];
