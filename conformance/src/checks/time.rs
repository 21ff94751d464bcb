//! What waits for time to pass: expiry, keep alive, delays.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bytes::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, property, publish};
use crate::check::{Check, scene};
use crate::fault::{holds, same};

/// After it, what was to last for a second is over.
const PAST_A_SECOND: Duration = Duration::from_secs(3);

pub(super) const CHECKS: &[Check] = &[
    scene(
        "a client that is silent for one and a half times its Keep Alive is taken for gone",
        &["3.1.2-22", "3.2.2-22", "3.1.2-8"],
        |bench| {
            let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
            other.subscribe(&topic, 0)?;
            let connect = bench.who("c").keep_alive(2).will(0, &[], &topic, "gone");
            let began = Instant::now();
            let (mut wire, connack) = bench.connect_as("c", &connect)?;
            let seconds = connack.number(0x13).unwrap_or(2);
            let reason = wire.answer()?.map(|packet| packet.reason);
            holds(
                reason.is_none_or(|reason| reason == 0x8D),
                "the end, after Keep Alive timeout at most",
                reason,
            )?;
            let after = began.elapsed();
            let least = Duration::from_secs(seconds.into());
            holds(after >= least, "no end before the Keep Alive", after)?;
            other.payloads(&["gone"])
        },
    ),
    scene(
        "a client that says anything within its Keep Alive stays",
        &["3.2.2-22"],
        |bench| {
            let connect = bench.who("c").keep_alive(2);
            let (mut wire, _) = bench.connect_as("c", &connect)?;
            for _ in 0..6 {
                sleep(Duration::from_millis(700));
                wire.send(publish(bench.topic("a"), "x").bytes());
            }
            wire.nothing()
        },
    ),
    scene(
        "a session is thrown away once its Session Expiry Interval has passed",
        &["4.1.0-2"],
        |bench| {
            let mut wire = bench.resume("c", 1, false)?;
            wire.subscribe(&bench.topic("a"), 1)?;
            wire.cut();
            sleep(PAST_A_SECOND);
            bench.resume("c", 1, false)?.nothing()
        },
    ),
    scene(
        "a session does not expire while its client is connected",
        &["4.1.0-1"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 1, false)?;
            wire.subscribe(&topic, 1)?;
            sleep(PAST_A_SECOND);
            other.publish_all(&[publish(&topic, "x").qos(1)])?;
            wire.payloads(&["x"])
        },
    ),
    scene(
        "a message that expires before it is sent is not sent",
        &["3.3.2-5"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            wire.leave(0)?;
            let brief = property::four(0x02, 1);
            other.publish_all(&[
                publish(&topic, "brief").qos(1).with(&brief),
                publish(&topic, "brief").qos(2).with(&brief),
                publish(&topic, "lasting").qos(1),
            ])?;
            sleep(PAST_A_SECOND);
            bench.resume("c", 60, true)?.payloads(&["lasting"])
        },
    ),
    scene(
        "a retained message that expires is not sent",
        &["3.3.2-5"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            let brief = property::four(0x02, 1);
            wire.publish_all(&[publish(&topic, "x").qos(1).retain().with(&brief)])?;
            sleep(PAST_A_SECOND);
            wire.subscribe(&topic, 1)?;
            wire.nothing()
        },
    ),
    scene(
        "Message Expiry Interval is forwarded less the time that the message has waited",
        &["3.3.2-6"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 1)?;
            let lasting = publish(&topic, "x").qos(1).with(&property::four(0x02, 100));
            other.publish_all(std::slice::from_ref(&lasting))?;
            let now = wire.message()?.number(0x02).unwrap_or(0);
            holds((90..=100).contains(&now), "an interval of 100 s", now)?;
            wire.leave(0)?;
            other.publish_all(&[lasting])?;
            sleep(PAST_A_SECOND);
            let mut wire = bench.resume("c", 60, true)?;
            let later = wire.message()?.number(0x02).unwrap_or(0);
            holds((80..=98).contains(&later), "an interval of 97 s", later)
        },
    ),
    scene(
        "a QoS 2 message that was sent once does not expire",
        &["4.3.3-7"],
        |bench| {
            let (topic, mut other) = (bench.topic("a"), bench.connect("other")?);
            let mut wire = bench.resume("c", 60, false)?;
            wire.subscribe(&topic, 2)?;
            let brief = property::four(0x02, 1);
            other.publish_all(&[publish(&topic, "x").qos(2).with(&brief)])?;
            let message = wire.expect(PUBLISH)?;
            wire.cut();
            sleep(PAST_A_SECOND);
            let mut wire = bench.resume("c", 60, true)?;
            let again = wire.message()?;
            same(
                "its identifier, and DUP",
                &(again.id, again.dup),
                &(message.id, true),
            )?;
            wire.nothing()
        },
    ),
    scene(
        "the flow of a QoS 2 message goes on when it has expired",
        &["4.3.3-13"],
        |bench| {
            let mut wire = bench.connect("c")?;
            let brief = property::four(0x02, 1);
            let message = publish(bench.topic("a"), "x").qos(2).id(5).with(&brief);
            wire.send(message.bytes());
            wire.expect_ack(PUBREC, 5)?;
            sleep(PAST_A_SECOND);
            wire.send(message.dup().bytes());
            wire.expect_ack(PUBREC, 5)?;
            wire.send(ack(PUBREL, 5, 0));
            same("PUBCOMP", &wire.expect_ack(PUBCOMP, 5)?, &0)
        },
    ),
    scene(
        "nothing is sent again while the connection stands",
        &["4.4.0-1", "4.3.2-3"],
        |bench| {
            let (topic, mut wire) = (bench.topic("a"), bench.connect("c")?);
            wire.subscribe(&topic, 2)?;
            wire.publish_all(&[publish(&topic, "1").qos(1), publish(&topic, "2").qos(2)])?;
            let (first, second) = (wire.expect(PUBLISH)?, wire.expect(PUBLISH)?);
            sleep(PAST_A_SECOND);
            wire.nothing()?;
            wire.send(ack(PUBACK, first.id, 0));
            wire.send(ack(PUBREC, second.id, 0));
            wire.expect_ack(PUBREL, second.id)?;
            sleep(PAST_A_SECOND);
            wire.nothing()?;
            wire.send(ack(PUBCOMP, second.id, 0));
            wire.nothing()
        },
    ),
    scene(
        "a will is published once its delay has passed",
        &["3.1.2-8", "3.1.2-10"],
        |bench| {
            let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
            other.subscribe(&topic, 0)?;
            let delay = property::four(0x18, 2);
            let connect = bench.who("c").resume(60).will(0, &delay, &topic, "gone");
            let (wire, _) = bench.connect_as("c", &connect)?;
            let began = Instant::now();
            wire.cut();
            same("the will", &other.message()?.rest, &b"gone".to_vec())?;
            let after = began.elapsed();
            let least = Duration::from_secs(1);
            holds(after >= least, "a delay of two seconds", after)?;
            // It is not published a second time.
            bench.resume("c", 0, true)?.leave(0)?;
            other.nothing()
        },
    ),
    scene(
        "a client that is back before its Will Delay Interval has passed has no will published",
        &["3.1.3-9", "3.1.2-8"],
        |bench| {
            let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
            other.subscribe(&topic, 0)?;
            let delay = property::four(0x18, 3);
            let connect = bench.who("c").resume(60).will(0, &delay, &topic, "gone");
            bench.connect_as("c", &connect)?.0.cut();
            let mut wire = bench.resume("c", 60, true)?;
            sleep(Duration::from_millis(4_500));
            other.nothing()?;
            wire.nothing()
        },
    ),
    scene(
        "a will is published when the session ends before its delay has passed",
        &["3.1.2-8"],
        |bench| {
            let (topic, mut other) = (bench.topic("will"), bench.connect("other")?);
            other.subscribe(&topic, 0)?;
            let delay = property::four(0x18, 600);
            for expiry in [0, 1] {
                let connect = bench.who("c").with(&property::expiry(expiry));
                let connect = connect.will(0, &delay, &topic, "gone");
                bench.connect_as("c", &connect)?.0.cut();
                same("the will", &other.message()?.rest, &b"gone".to_vec())?;
            }
            // As it does when the client starts anew.
            let connect = bench.who("c").resume(60).will(0, &delay, &topic, "gone");
            bench.connect_as("c", &connect)?.0.cut();
            let _wire = bench.connect("c")?;
            same("the will", &other.message()?.rest, &b"gone".to_vec())?;
            other.nothing()
        },
    ),
];
