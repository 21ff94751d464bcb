//! What of a message reaches its subscribers, to whom it goes, and in which order.

use super::wills::USER;
use crate::bytes::{property, publish};
use crate::check::{Check, scene};
use crate::fault::{holds, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "the properties of a message are forwarded unchanged",
        &["3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-20"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 0)?;
            let answer = bench.topic("answer \u{feff}é");
            let about: [(u8, &[u8], Vec<u8>); 5] = [
                (0x01, &[1], property::byte(0x01, 1)),
                (0x03, b"text/plain", property::text(0x03, "text/plain")),
                (0x08, answer.as_bytes(), property::text(0x08, &answer)),
                (0x09, b"\0\xFF\xC3", property::text(0x09, b"\0\xFF\xC3")),
                (0x01, &[0], property::byte(0x01, 0)),
            ];
            for (id, value, bytes) in about {
                wire.publish_all(&[publish(&topic, "x").qos(1).with(&bytes)])?;
                let message = wire.message()?;
                // A Payload Format Indicator of 0 is the same as none.
                if value != [0] || message.property(id).is_some() {
                    same("the property", &message.property(id), &Some(value))?;
                }
            }
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            let message = wire.message()?;
            let some = [1, 2, 3, 8, 9].into_iter();
            let some: Vec<u8> = some.filter(|id| message.property(*id).is_some()).collect();
            same("properties that nobody set", &some, &Vec::new())
        },
    ),
    scene(
        "User Properties are forwarded unchanged and in their order",
        &["3.3.2-17", "3.3.2-18", "1.5.7-1"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 2)?;
            let user = USER.map(|(name, value)| property::user(name, value));
            for qos in 0..3 {
                let message = publish(&topic, "x").with(&user.concat());
                wire.publish_all(&[message.qos(qos)])?;
                let message = wire.message()?;
                same(
                    "User Properties",
                    &message.user_properties(),
                    &user.concat(),
                )?;
            }
            Ok(())
        },
    ),
    scene(
        "topic and payload are forwarded unchanged, an empty payload and a BOM too",
        &["1.5.4-3", "3.3.2-3", "2.2.1-2", "4.7.3-4"],
        |bench| {
            let mut wire = bench.connect("c")?;
            wire.subscribe(&bench.topic("+"), 0)?;
            for topic in [
                "\u{feff}a",
                "a\u{feff}",
                "é",
                "e\u{301}",
                "\u{1d6c0}",
                " ",
                "",
            ] {
                let topic = bench.topic(topic);
                for payload in [&b"\0\xFF\x30"[..], b"", b"\xEF\xBB\xBF"] {
                    wire.publish_all(&[publish(&topic, payload)])?;
                    let message = wire.message()?;
                    same("its topic", &message.topic, &topic.clone().into_bytes())?;
                    same("its payload", &message.rest, &payload.to_owned())?;
                }
            }
            wire.nothing()
        },
    ),
    scene(
        "a topic of 65,535 bytes is forwarded, or refused",
        &["4.7.3-3"],
        |bench| {
            let mut wire = bench.connect("c")?;
            let mut topic = bench.topic("");
            topic.push_str(&"x".repeat(65_535 - topic.len()));
            wire.subscribe(&bench.topic("+"), 1)?;
            let reason = wire.publish(&publish(&topic, "x").qos(1))?;
            same("PUBACK", &reason, &0)?;
            let message = wire.message()?;
            holds(
                message.topic == topic.as_bytes(),
                "the same topic",
                message.topic.len(),
            )?;
            wire.nothing()
        },
    ),
    scene(
        "a message goes to every client whose subscription matches, the absent ones too",
        &["4.5.0-1", "3.3.2-3"],
        |bench| {
            let topic = bench.topic("a/b");
            let filters = ["a/b", "a/+", "#", "+/b", "a/b/#", "a/#"];
            let mut clients = Vec::new();
            for (number, filter) in filters.iter().enumerate() {
                let name = format!("c{number}");
                let mut wire = bench.resume(&name, 60, false)?;
                wire.subscribe(&bench.topic(filter), 1)?;
                if number % 2 == 0 {
                    wire.leave(0)?;
                } else {
                    clients.push(wire);
                }
            }
            let mut stranger = bench.connect("stranger")?;
            for filter in ["a", "a/b/c", "a/b/+", "b", "A/b", "a/b "] {
                stranger.subscribe(&bench.topic(filter), 1)?;
            }
            stranger.publish_all(&[publish(&topic, "x").qos(1)])?;
            stranger.nothing()?;
            for mut wire in clients {
                wire.payloads(&["x"])?;
            }
            for number in [0, 2, 4] {
                let mut wire = bench.resume(&format!("c{number}"), 0, true)?;
                wire.payloads(&["x"])?;
            }
            Ok(())
        },
    ),
    scene(
        "messages of a topic come in the order in which they were published",
        &["4.6.0-5", "4.6.0-6"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut absent = bench.resume("absent", 60, false)?;
            absent.subscribe(&topic, 2)?;
            absent.leave(0)?;
            let mut wire = bench.connect("c")?;
            wire.subscribe(&topic, 2)?;
            let numbers: Vec<String> = (0..60).map(|number| format!("{number}")).collect();
            let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
            for qos in 0..3 {
                for number in &numbers {
                    other.publish_all(&[publish(&topic, number).qos(qos)])?;
                }
                wire.payloads(&numbers)?;
            }
            let mut absent = bench.resume("absent", 0, true)?;
            let came: Vec<_> = (0..120).map(|_| absent.message()).collect();
            let came = came.into_iter().collect::<Result<Vec<_>, _>>()?;
            let of = |qos: u8| -> Vec<String> {
                came.iter()
                    .filter(|message| message.qos == qos)
                    .map(|message| String::from_utf8_lossy(&message.rest).into_owned())
                    .collect()
            };
            for qos in 1..3 {
                same(
                    "the payloads of a QoS",
                    &of(qos),
                    &numbers.iter().map(|n| (*n).to_owned()).collect(),
                )?;
            }
            Ok(())
        },
    ),
    scene(
        "a client's mistakes do not disturb another client",
        &["4.13.1-1"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            other.subscribe(&bench.topic("#"), 0)?;
            for bytes in [
                &[0, 0][..],
                b"\x30\x04\0\x01\xFF\0",
                b"\x36\x04\0\x01a\0",
                b"\x10\0",
            ] {
                let mut wire = bench.connect("c")?;
                wire.send(publish(&topic, "x").bytes());
                wire.send(bytes);
                wire.refused()?;
                other.payloads(&["x"])?;
            }
            Ok(())
        },
    ),
];
