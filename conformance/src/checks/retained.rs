//! Retained messages.

use crate::bytes::{property, publish};
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, same};

const ONCE: u8 = 0x10;
const NEVER: u8 = 0x20;
const AS_PUBLISHED: u8 = 0x08;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "the retained message of a topic is the last one",
        &["3.3.1-5", "3.3.1-9"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            for (qos, payload) in [(0, "1"), (1, "2"), (2, "3")] {
                wire.publish_all(&[publish(&topic, payload).qos(qos).retain()])?;
                retained(bench, &topic, 0, &[payload])?;
            }
            let other = bench.topic("b");
            wire.publish_all(&[publish(other, "4").qos(1).retain()])?;
            retained(bench, &topic, 0, &["3"])?;
            retained(bench, &bench.topic("+"), 0, &["3", "4"])
        },
    ),
    scene(
        "an empty retained message removes what is retained, and is not retained itself",
        &["3.3.1-6", "3.3.1-7"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, AS_PUBLISHED)?;
            for qos in 0..3 {
                wire.publish_all(&[
                    publish(&topic, "x").qos(qos).retain(),
                    publish(&topic, "").qos(qos).retain(),
                ])?;
                // Who is subscribed gets it like any other.
                wire.payloads(&["x", ""])?;
                retained(bench, &topic, 0, &[])?;
            }
            Ok(())
        },
    ),
    scene(
        "a message without RETAIN leaves what is retained alone",
        &["3.3.1-8"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            retained(bench, &topic, 0, &[])?;
            wire.publish_all(&[
                publish(&topic, "kept").qos(1).retain(),
                publish(&topic, "x").qos(1),
                publish(&topic, "").qos(1),
            ])?;
            retained(bench, &topic, 0, &["kept"])
        },
    ),
    scene(
        "Retain Handling 0 sends what is retained with each SUBSCRIBE",
        &["3.3.1-9", "3.8.4-4"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.publish_all(&[publish(&topic, "x").qos(1).retain()])?;
            for _ in 0..3 {
                wire.subscribe(&topic, 1)?;
                let message = wire.message()?;
                same("its RETAIN", &message.retain, &true)?;
                wire.nothing()?;
            }
            Ok(())
        },
    ),
    scene(
        "Retain Handling 1 sends what is retained if the subscription is new",
        &["3.3.1-10"],
        |bench| {
            let topic = bench.topic("a");
            let mut wire = bench.resume("c", 60, false)?;
            wire.publish_all(&[publish(&topic, "x").qos(1).retain()])?;
            wire.subscribe(&topic, ONCE | 1)?;
            wire.payloads(&["x"])?;
            wire.subscribe(&topic, ONCE | 1)?;
            wire.nothing()?;
            wire.leave(0)?;
            let mut wire = bench.resume("c", 60, true)?;
            wire.subscribe(&topic, ONCE)?;
            wire.nothing()?;
            wire.unsubscribe(&[&topic])?;
            wire.subscribe(&topic, ONCE)?;
            wire.payloads(&["x"])
        },
    ),
    scene(
        "Retain Handling 2 sends nothing that is retained",
        &["3.3.1-11"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.publish_all(&[publish(&topic, "x").qos(1).retain()])?;
            wire.subscribe(&topic, NEVER | 1)?;
            wire.nothing()?;
            wire.publish_all(&[publish(&topic, "y").qos(1)])?;
            wire.payloads(&["y"])
        },
    ),
    scene(
        "Retain As Published 0 clears RETAIN of what is forwarded",
        &["3.3.1-12"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 2)?;
            for qos in 0..3 {
                wire.publish_all(&[publish(&topic, "x").qos(qos).retain()])?;
                same("its RETAIN", &wire.message()?.retain, &false)?;
            }
            Ok(())
        },
    ),
    scene(
        "Retain As Published 1 keeps RETAIN of what is forwarded as it was",
        &["3.3.1-13"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, AS_PUBLISHED | 2)?;
            for qos in 0..3 {
                wire.publish_all(&[publish(&topic, "x").qos(qos).retain()])?;
                same("its RETAIN", &wire.message()?.retain, &true)?;
                wire.publish_all(&[publish(&topic, "x").qos(qos)])?;
                same("its RETAIN", &wire.message()?.retain, &false)?;
            }
            Ok(())
        },
    ),
    scene(
        "what is retained comes with the QoS that is granted, its properties and the subscription's identifier",
        &["3.8.4-8", "3.3.2-17", "3.3.4-3"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            let about = [property::user("n", "v"), property::text(0x03, "t")].concat();
            wire.publish_all(&[publish(&topic, "x").qos(2).retain().with(&about)])?;
            for granted in 0..3 {
                let id = property::number(0x0B, 300);
                wire.subscribe_all(&id, &[(&topic, granted)])?;
                let message = wire.message()?;
                same("its QoS", &message.qos, &granted)?;
                same("its identifiers", &message.subscriptions(), &vec![300])?;
                let user = property::user("n", "v");
                same("its User Properties", &message.user_properties(), &user)?;
                let content = Some(&b"t"[..]);
                same("its Content Type", &message.property(0x03), &content)?;
            }
            Ok(())
        },
    ),
];

/// What a client gets that subscribes now, with RETAIN.
fn retained(bench: &Bench, filter: &str, options: u8, wanted: &[&str]) -> Outcome {
    let mut wire = bench.connect("late")?;
    wire.subscribe(filter, options)?;
    let came = wire.everything()?;
    let mut payloads: Vec<_> = came
        .iter()
        .map(|message| String::from_utf8_lossy(&message.rest).into_owned())
        .collect();
    payloads.sort();
    let wanted: Vec<String> = wanted.iter().map(|payload| (*payload).to_owned()).collect();
    same("what is retained", &payloads, &wanted)?;
    let all = came.iter().all(|message| message.retain);
    same("the RETAIN of each", &all, &true)
}
