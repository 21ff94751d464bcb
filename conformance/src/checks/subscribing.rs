//! SUBSCRIBE and UNSUBSCRIBE: their answers, and what they change.

use super::limits::deep;
use crate::bytes::{DISCONNECT, PUBACK, PUBLISH, PUBREC, SUBACK, UNSUBACK, ack, property, publish};
use crate::bytes::{subscribe, unsubscribe};
use crate::check::{Check, scene};
use crate::fault::{holds, same};
use crate::packet::Packet;

const NO_LOCAL: u8 = 0x04;

pub(super) const CHECKS: &[Check] = &[
    scene(
        "SUBSCRIBE is answered by SUBACK of its identifier, with a code for each filter in their order",
        &["3.8.4-1", "3.8.4-2", "3.8.4-6", "3.8.4-7", "3.9.3-1"],
        |bench| {
            let mut wire = bench.connect("c")?;
            let topics = [2, 0, 1, 1, 0, 2].map(|qos| (bench.topic(&format!("{qos}/+")), qos));
            for id in [1, 255, 256, 65_535] {
                for count in 1..topics.len() {
                    let filters = topics.iter().take(count);
                    let filters: Vec<(&str, u8)> = filters.map(|(f, q)| (&f[..], *q)).collect();
                    wire.send(subscribe(id, &[], &filters));
                    let suback = wire.expect(SUBACK)?;
                    same("its identifier", &suback.id, &id)?;
                    let codes: Vec<u8> = filters.iter().map(|(_, qos)| *qos).collect();
                    same("its codes", &suback.rest, &codes)?;
                }
            }
            wire.nothing()
        },
    ),
    scene(
        "UNSUBSCRIBE is answered by UNSUBACK of its identifier, with a code for each filter in their order",
        &["3.10.4-4", "3.10.4-5", "3.10.4-6", "3.11.3-1", "2.2.1-6"],
        |bench| {
            let mut wire = bench.connect("c")?;
            let (a, b, c) = (bench.topic("a"), bench.topic("b"), bench.topic("c"));
            for id in [1, 255, 256, 65_535] {
                wire.subscribe(&b, 0)?;
                wire.send(unsubscribe(id, &[&a, &b, &b, &c]));
                let unsuback = wire.expect(UNSUBACK)?;
                same("its identifier", &unsuback.id, &id)?;
                same("its codes", &unsuback.rest, &vec![0x11, 0, 0x11, 0x11])?;
            }
            wire.nothing()
        },
    ),
    scene(
        "the codes of SUBACK and UNSUBACK are listed ones, those of refusals too",
        &["3.9.3-2", "3.11.3-2", "2.2.1-6"],
        |bench| {
            let mut wire = bench.connect("c")?;
            let (deep, good) = (deep(), bench.topic("a"));
            same(
                "UNSUBACK",
                &wire.unsubscribe(&[&good, &good])?,
                &vec![0x11; 2],
            )?;
            // The reader refuses what is not listed. To end the connection is a server's right.
            wire.send(subscribe(9, &[], &[(&deep, 2), (&good, 1)]));
            match wire.answer()? {
                Some(answer) if answer.kind == SUBACK => {
                    same("how many codes", &answer.rest.len(), &2)?;
                    same("the code of the second", &answer.rest[1], &1)
                }
                Some(answer) => same("a DISCONNECT", &answer.kind, &DISCONNECT),
                None => Ok(()),
            }
        },
    ),
    scene(
        "several filters in one SUBSCRIBE are as one after the other",
        &["3.8.4-5", "3.8.4-3"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.publish_all(&[publish(&topic, "retained").qos(1).retain()])?;
            let filters = [(&topic[..], 2), (&topic[..], 0), (&topic[..], 1)];
            let codes = wire.subscribe_all(&[], &filters)?;
            same("the codes", &codes, &vec![2, 0, 1])?;
            let sent = wire.everything()?.len();
            same("how often what is retained comes", &sent, &3)?;
            let wanted = "the last one's QoS";
            wire.publish_all(&[publish(&topic, "x").qos(2)])?;
            same(wanted, &wire.message()?.qos, &1)?;
            wire.nothing()
        },
    ),
    scene(
        "a SUBSCRIBE with the same filter replaces the subscription",
        &["3.8.4-3"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            for (options, id) in [(1, 1), (2, 2), (NO_LOCAL, 3), (0, 4)] {
                let id_of = property::number(0x0B, id);
                wire.subscribe_all(&id_of, &[(&topic, options)])?;
                wire.publish_all(&[publish(&topic, "x").qos(2)])?;
                if options != NO_LOCAL {
                    let message = wire.message()?;
                    same("its QoS", &message.qos, &options)?;
                    let id = u32::try_from(id).unwrap_or_default();
                    same("its identifiers", &message.subscriptions(), &vec![id])?;
                }
                wire.nothing()?;
            }
            wire.subscribe(&topic, 0)?;
            wire.publish_all(&[publish(&topic, "x").qos(2)])?;
            same(
                "its identifiers",
                &wire.message()?.subscriptions(),
                &Vec::new(),
            )
        },
    ),
    scene(
        "replacing a subscription loses no message",
        &["3.8.4-4"],
        |bench| {
            let topic = bench.topic("a");
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            let mut other = bench.connect("other")?;
            let one_at_a_time = property::two(0x21, 1);
            wire.cut();
            let connect = bench.who("c").resume(60).with(&one_at_a_time);
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            other.publish_all(&["1", "2", "3"].map(|payload| publish(&topic, payload).qos(2)))?;
            wire.subscribe(&topic, 2)?;
            wire.payloads(&["1", "2", "3"])
        },
    ),
    scene(
        "No Local keeps a client's own messages from it, and no others",
        &["3.8.3-3"],
        |bench| {
            let topic = bench.topic("a");
            let (mut wire, mut other) = (bench.connect("c")?, bench.connect("other")?);
            wire.subscribe(&topic, NO_LOCAL | 2)?;
            for qos in 0..3 {
                wire.publish_all(&[publish(&topic, "own").qos(qos)])?;
                wire.nothing()?;
                other.publish_all(&[publish(&topic, "other").qos(qos)])?;
                wire.payloads(&["other"])?;
            }
            wire.publish_all(&[publish(&topic, "own").qos(1).retain()])?;
            wire.nothing()
        },
    ),
    scene(
        "a message of overlapping subscriptions comes with the highest QoS of them",
        &["3.3.4-2", "3.8.4-8"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            let (all, plus) = (bench.topic("#"), bench.topic("+"));
            wire.subscribe_all(&[], &[(&all, 0), (&topic, 2), (&plus, 1)])?;
            for qos in 0..3 {
                wire.publish_all(&[publish(&topic, "x").qos(qos)])?;
                let first = wire.message()?;
                let mut highest = first.qos;
                for other in wire.everything()? {
                    highest = highest.max(other.qos);
                }
                same("the highest QoS", &highest, &qos)?;
            }
            Ok(())
        },
    ),
    scene(
        "messages carry the identifiers of the subscriptions that match",
        &["3.3.4-3", "3.3.4-4", "3.3.4-5"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            let filters = [
                ("#", 1),
                ("a", 128),
                ("+", 268_435_455),
                ("b", 7),
                ("a", 16_384),
            ];
            for (filter, id) in filters {
                let id = property::number(0x0B, id);
                wire.subscribe_all(&id, &[(&bench.topic(filter), 0)])?;
            }
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            let copies = wire.everything()?;
            let mut ids: Vec<u32> = copies.iter().flat_map(Packet::subscriptions).collect();
            ids.sort_unstable();
            // One copy has them all; of several each has its own.
            same("the identifiers", &ids, &vec![1, 16_384, 268_435_455])?;
            let each = copies.iter().all(|copy| copy.subscriptions().len() == 1);
            holds(
                copies.len() == 1 || each,
                "one copy, or one identifier on each",
                copies.len(),
            )
        },
    ),
    scene(
        "UNSUBSCRIBE ends the subscription of that very filter, and no other",
        &["3.10.4-1", "3.10.4-2", "3.10.4-5"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 1)?;
            let near = ["#", "+", "A", "a/", "a/#", "/a"].map(|filter| bench.topic(filter));
            let near: Vec<&str> = near.iter().map(String::as_str).collect();
            same("the codes", &wire.unsubscribe(&near)?, &vec![0x11; 6])?;
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            wire.payloads(&["x"])?;
            same("the code", &wire.unsubscribe(&[&topic])?, &vec![0])?;
            wire.publish_all(&[publish(&topic, "x").qos(1)])?;
            wire.nothing()?;
            same("the code", &wire.unsubscribe(&[&topic])?, &vec![0x11])
        },
    ),
    scene(
        "what was begun before UNSUBSCRIBE is finished after it",
        &["3.10.4-3"],
        |bench| {
            let topic = bench.topic("a");
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            wire.publish_all(&[publish(&topic, "1").qos(1), publish(&topic, "2").qos(2)])?;
            let (first, second) = (wire.expect(PUBLISH)?, wire.expect(PUBLISH)?);
            wire.unsubscribe(&[&topic])?;
            wire.cut();
            let mut wire = bench.resume("c", 60, true)?;
            for message in [first, second] {
                let again = wire.expect(PUBLISH)?;
                same(
                    "its identifier, and DUP",
                    &(again.id, again.dup),
                    &(message.id, true),
                )?;
                let kind = if message.qos == 1 { PUBACK } else { PUBREC };
                wire.send(ack(kind, message.id, 0));
                if kind == PUBREC {
                    wire.release(message.id)?;
                }
            }
            wire.nothing()
        },
    ),
];
