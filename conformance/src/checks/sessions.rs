//! Sessions: begun, taken up, thrown away.

use crate::bytes::{disconnect, property, publish};
use crate::check::{Check, scene};
use crate::fault::same;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "Clean Start throws the old session away",
        &["3.1.2-4", "3.1.4-4", "3.2.2-2"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 1)?;
            wire.leave(0)?;
            other.publish_all(&[publish(&topic, "waits").qos(1)])?;
            let (mut wire, connack) = bench.connect_as("c", &bench.who("c"))?;
            same("Session Present", &connack.session_present, &false)?;
            other.publish_all(&[publish(&topic, "later").qos(1)])?;
            wire.nothing()
        },
    ),
    scene(
        "without Clean Start a session is taken up if there is one",
        &["3.1.2-5", "3.1.2-6", "3.1.2-23", "3.1.3-2", "3.2.2-3"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 1)?;
            wire.leave(0)?;
            other.publish_all(&[publish(&topic, "waits").qos(1)])?;
            // Another client's session is another one.
            bench.resume("d", 60, false)?.nothing()?;
            let mut wire = bench.resume("c", 60, true)?;
            wire.payloads(&["waits"])?;
            other.publish_all(&[publish(&topic, "later").qos(1)])?;
            wire.payloads(&["later"])
        },
    ),
    scene(
        "a session is kept when the connection breaks",
        &["3.1.2-23", "3.1.2-5"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            wire.cut();
            let mut wire = bench.resume("c", 60, true)?;
            other.publish_all(&[publish(&topic, "later").qos(2)])?;
            wire.payloads(&["later"])
        },
    ),
    scene(
        "a session of Session Expiry Interval 0 ends with its connection",
        &["4.1.0-2", "3.2.2-3"],
        |bench| {
            let mut wire = bench.resume("c", 0, false)?;
            wire.subscribe(&bench.topic("a"), 1)?;
            wire.leave(0)?;
            bench.resume("c", 0, false)?.nothing()
        },
    ),
    scene(
        "DISCONNECT may change how long the session is kept",
        &["4.1.0-2", "3.1.2-23"],
        |bench| {
            let wire = bench.resume("c", 60, false)?;
            wire.leave_with(0, &property::expiry(0))?;
            let wire = bench.resume("c", 1, false)?;
            wire.leave_with(0, &property::expiry(60))?;
            bench.resume("c", 60, true)?.nothing()
        },
    ),
    scene(
        "a DISCONNECT that makes a session outlive a connection that was to end it is refused",
        &["4.13.1-1"],
        |bench| {
            let mut wire = bench.connect("c")?;
            wire.send(disconnect(0, &property::expiry(60)));
            wire.refused()?;
            bench.resume("c", 0, false)?.nothing()
        },
    ),
    scene(
        "subscriptions are part of the session, and stay while it is taken over",
        &["3.1.2-5", "4.1.0-1", "3.1.4-3"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut old = bench.resume("c", 60, false)?;
            old.subscribe(&topic, 1)?;
            let mut new = bench.resume("c", 60, true)?;
            old.refused()?;
            other.publish_all(&[publish(&topic, "x").qos(1)])?;
            new.payloads(&["x"])
        },
    ),
];
