//! A server that takes no QoS 2 and retains nothing: it says so, and keeps to it.

use crate::bytes::{Connect, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a server that does not take every QoS, or does not retain, says so",
        &["3.2.2-9"],
        |bench| {
            bench.go_to_limited();
            let (_wire, connack) = bench.connect_as("c", &bench.who("c"))?;
            same("Maximum QoS", &connack.number(0x24), &Some(1))?;
            same("Retain Available", &connack.number(0x25), &Some(0))
        },
    ),
    scene(
        "a will above the Maximum QoS is refused with QoS not supported",
        &["3.2.2-12"],
        |bench| {
            let topic = bench.topic("will");
            turned_away(bench, |connect| connect.will(2, &[], &topic, "x"), 0x9B)?;
            let allowed = bench.who("c").will(1, &[], &topic, "x");
            bench.connect_as("c", &allowed)?.0.leave(0)
        },
    ),
    scene(
        "a retained will is refused with Retain not supported where nothing is retained",
        &["3.2.2-13"],
        |bench| {
            let topic = bench.topic("will");
            turned_away(bench, |connect| connect.will(4, &[], &topic, "x"), 0x9A)
        },
    ),
    scene(
        "a subscription may ask for more than the Maximum QoS, and what is granted is delivered",
        &["3.2.2-10", "3.8.4-8"],
        |bench| {
            bench.go_to_limited();
            let (mut wire, topic) = (bench.connect("c")?, bench.topic("a"));
            let codes = wire.subscribe_all(&[], &[(&topic, 0), (&topic, 1), (&topic, 2)])?;
            let are_granted =
                codes.len() == 3 && codes.iter().zip(0..).all(|(code, qos)| *code <= qos);
            holds(are_granted, "what was asked for at most", &codes)?;
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            let message = wire.message()?;
            same("its QoS", &message.qos, &1)
        },
    ),
    scene(
        "a message above the Maximum QoS, or a retained one, ends the connection with its reason",
        &["3.2.2-9", "4.13.1-1"],
        |bench| {
            bench.go_to_limited();
            let topic = bench.topic("a");
            for (message, reason) in [
                (publish(&topic, "x").qos(2).id(1), 0x9B),
                (publish(&topic, "x").retain(), 0x9A),
            ] {
                let mut wire = bench.connect("c")?;
                wire.send(message.bytes());
                same("the reason", &wire.refused()?, &Some(reason))?;
            }
            Ok(())
        },
    ),
];

/// A CONNECT to the server with limits is answered by this, and by the end.
fn turned_away(bench: &mut Bench, with: impl FnOnce(Connect) -> Connect, reason: u8) -> Outcome {
    bench.go_to_limited();
    let mut wire = bench.open("c")?;
    wire.send(with(bench.who("c")).bytes());
    same("the reason of CONNACK", &wire.turned_away()?, &Some(reason))
}
