//! The process ends, at any point, and begins anew on what its store kept.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// [MQTT-3.3.1-1] [MQTT-4.4.0-1] What had an identifier may have been sent: it goes again with DUP; what had none goes as new.
#[test]
fn what_was_in_flight_goes_again_after_a_restart_and_the_rest_as_new() {
    fn check<S: Side>() {
        let mut script = S::durable();
        script.submit(message(QOS2, "released"), 1);
        script.submit(message(QOS1, "sent"), 2);
        script.submit(message(QOS1, "done"), 3);
        script.sent();
        script.exchange([pubrec(1), puback(3)]);
        script.cut();
        script.submit(message(QOS2, "waiting"), 4);
        script.serve();
        assert_eq!(
            S::restart(&mut script),
            ["PUBREL #1", "PUBLISH 1 #2 dup sent", "PUBLISH 2 #3 waiting"]
        );
        script.exchange([pubcomp(1), puback(2), pubrec(3), pubcomp(3)]);
        assert!(script.store.kept.is_empty());
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-10] What was received is remembered; what the application had and had not taken comes again.
#[test]
fn what_was_taken_before_a_restart_is_not_delivered_again() {
    fn check<S: Side>() {
        let mut script = S::durable();
        script.receive(publish(QOS2, 1, "taken"));
        script.receive(publish(QOS2, 2, "held"));
        script.events();
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #1"]);
        S::restart(&mut script);
        script.events();
        let repeat = [
            again(publish(QOS2, 1, "taken")),
            again(publish(QOS2, 2, "held")),
        ];
        assert_eq!(script.exchange(repeat), ["PUBREC #1"]);
        assert_eq!(script.events(), ["message held"]);
        assert_eq!(script.exchange([pubrel(1)]), ["PUBCOMP #1"]);
    }
    both_roles!(check);
}

/// Messages are numbered on where the store left off, and never in the place of one that is kept.
#[test]
fn messages_of_a_new_process_stand_behind_those_of_the_old_one() {
    fn check<S: Side>() {
        let mut script = S::durable();
        script.submit(message(QOS1, "old"), 1);
        script.sent();
        S::restart(&mut script);
        script.submit(message(QOS1, "new"), 2);
        assert_eq!(script.sent(), ["PUBLISH 1 #2 new"]);
        let keys: Vec<_> = script.store.kept.keys().copied().collect();
        assert_eq!(keys, [Key::Outgoing(0), Key::Outgoing(1)]);
    }
    both_roles!(check);
}

#[test]
fn a_message_whose_identifier_was_not_stored_was_not_sent_and_neither_were_those_behind_it() {
    fn check<S: Side>() {
        let mut script = S::durable();
        for n in 0..4 {
            let record = Record::Message {
                seq: n,
                packet_id: (n != 1).then(|| id(u16::try_from(n).unwrap() + 10)),
                accepted: START,
                deadline: None,
                via: None,
                message: message(QOS1, &n.to_string()),
            };
            script.store.kept.insert(record.key(), record);
        }
        assert_eq!(
            S::restart(&mut script),
            [
                "PUBLISH 1 #10 dup 0",
                "PUBLISH 1 #1 1",
                "PUBLISH 1 #12 2",
                "PUBLISH 1 #13 3"
            ]
        );
    }
    both_roles!(check);
}

#[test]
fn of_two_messages_with_one_identifier_the_earlier_one_has_it_and_of_two_releases_the_later_one() {
    fn check<S: Side>() {
        let mut script = S::durable();
        for n in 0..2 {
            let record = Record::Message {
                seq: n,
                packet_id: Some(id(5)),
                accepted: START,
                deadline: None,
                via: None,
                message: message(QOS1, &n.to_string()),
            };
            script.store.kept.insert(record.key(), record);
        }
        let released = Record::Released {
            seq: 2,
            packet_id: id(6),
        };
        script.store.kept.insert(released.key(), released);
        let released = Record::Released {
            seq: 3,
            packet_id: id(6),
        };
        script.store.kept.insert(released.key(), released);
        // While the record of the earlier message is there, the later one is not sent.
        assert_eq!(
            S::restart(&mut script),
            ["PUBREL #6", "PUBLISH 1 #5 dup 0", "PUBLISH 1 #1 1"]
        );
        assert_eq!(script.session.queued().0, 3);
        script.exchange([puback(5), puback(1), pubcomp(6)]);
        assert!(script.store.kept.is_empty());
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}

/// That it was sent shows that what came before it was done.
#[test]
fn of_a_message_and_a_release_with_one_identifier_the_release_has_it() {
    fn check<S: Side>(identifiers: &[Option<u16>], want: &[&str]) {
        let mut script = S::durable();
        for (seq, identifier) in (0..).zip(identifiers) {
            let record = Record::Message {
                seq,
                packet_id: identifier.map(id),
                accepted: START,
                deadline: None,
                via: None,
                message: message(QOS1, &seq.to_string()),
            };
            script.store.kept.insert(record.key(), record);
        }
        let released = Record::Released {
            seq: 9,
            packet_id: id(5),
        };
        script.store.kept.insert(released.key(), released);
        assert_eq!(S::restart(&mut script), want);
        script.exchange([puback(1), puback(2), pubcomp(5)]);
        assert!(script.store.kept.is_empty());
        assert_eq!(script.session.queued(), (0, 0));
    }
    fn both<S: Side>() {
        check::<S>(&[Some(5)], &["PUBREL #5"]);
        // What stands behind a message without an identifier was not sent, and goes with another.
        let want = ["PUBREL #5", "PUBLISH 1 #1 0", "PUBLISH 1 #2 1"];
        check::<S>(&[None, Some(5)], &want);
    }
    both_roles!(both);
}

#[test]
fn records_that_no_session_writes_harm_nothing() {
    fn check<S: Side>() {
        let mut script = S::durable();
        for seq in [3, u64::MAX] {
            let record = Record::Message {
                seq,
                packet_id: None,
                accepted: START,
                deadline: None,
                via: None,
                message: message(if seq == 3 { QOS0 } else { QOS1 }, "odd"),
            };
            script.store.kept.insert(record.key(), record);
        }
        assert_eq!(S::restart(&mut script), ["PUBLISH 1 #1 odd"]);
        script.submit(message(QOS1, "next"), 1);
        script.submit(message(QOS1, "and next"), 2);
        script.sent();
    }
    both_roles!(check);
}

#[test]
fn a_deadline_and_an_expiry_hold_over_a_restart() {
    fn check<S: Side>() {
        let mut script = S::durable();
        script.cut();
        let mut expiring = message(QOS1, "expiring");
        expiring.properties.set_message_expiry_interval(100);
        script.submit(expiring.clone(), 1);
        let late = PublishOptions {
            deadline: Some(script.now + secs(50)),
            ..ticket(2)
        };
        script
            .session
            .submit(script.now, message(QOS1, "late"), late)
            .unwrap();
        script.serve();
        script.now = script.now + secs(60);
        assert_eq!(S::restart(&mut script), ["PUBLISH 1 #1 expiring"]);
        script.now = script.now + secs(60);
        assert_eq!(S::restart(&mut script), ["PUBLISH 1 #1 dup expiring"]);
    }
    both_roles!(check);
}

/// Crashes either side at every point of an exchange, with every number of operations stored before it.
fn crash_everywhere(qos: Qos, check: impl Fn(&[String], &str)) {
    for from in From::BOTH {
        for who in From::BOTH {
            for packets in 0..12 {
                for stored in 0..4 {
                    let mut pair = Pair::connected(|client, server| {
                        client.durable = true;
                        server.durable = true;
                    });
                    for n in 0..2 {
                        pair.submit(from, message(qos, &n.to_string()));
                    }
                    // What was accepted is what must arrive.
                    pair.drive_packets(0);
                    pair.drive_packets(packets);
                    pair.store(who).held = true;
                    pair.drive_packets(1);
                    pair.store(who).store(stored);
                    pair.crash(who);
                    pair.store(who).held = false;
                    pair.reconnect();
                    let at = format!("{from:?} {who:?} {packets} {stored}");
                    check(pair.got(from), &at);
                    assert_eq!(pair.client.session.queued(), (0, 0), "{at}");
                    assert_eq!(pair.server.session.queued(), (0, 0), "{at}");
                    assert!(pair.client.store.kept.is_empty(), "{at}");
                    assert!(pair.server.store.kept.is_empty(), "{at}");
                }
            }
        }
    }
}

/// [MQTT-4.3.3-10] [MQTT-4.4.0-1] Exactly once, whoever crashes whenever: but what the application had and had not taken comes again.
#[test]
fn a_qos2_message_arrives_once_whoever_crashes_at_whatever_point() {
    crash_everywhere(QOS2, |got, at| {
        let mut taken = got.to_vec();
        // The store was held while the last message was being taken: whether it was is not known to anybody.
        taken.dedup();
        assert_eq!(taken, ["0", "1"], "{at}");
    });
}

/// [MQTT-4.4.0-1] At least once.
#[test]
fn a_qos1_message_arrives_whoever_crashes_at_whatever_point() {
    crash_everywhere(QOS1, |got, at| {
        for payload in ["0", "1"] {
            assert!(got.iter().any(|got| got == payload), "{at}: {got:?}");
        }
    });
}
