//! What is sent again, and when (section 4.4), and what is not delivered twice.

use ohmqtt_codec::*;

use crate::peer::*;

/// [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.6.0-1] PUBRELs, then the messages with DUP in their order, then what is new.
#[test]
fn releases_go_first_then_messages_in_their_order_then_new_ones() {
    fn check<S: Side>() {
        let mut script = S::open(5);
        for (n, qos) in [QOS2, QOS1, QOS2, QOS1, QOS2, QOS1].into_iter().enumerate() {
            script.submit(message(qos, &n.to_string()), 0);
        }
        assert_eq!(script.sent().len(), 5);
        assert_eq!(
            script.exchange([pubrec(3), pubrec(1)]),
            ["PUBREL #3", "PUBREL #1"]
        );
        assert_eq!(
            S::resume(&mut script, 100),
            [
                "PUBREL #3",
                "PUBREL #1",
                "PUBLISH 1 #2 dup 1",
                "PUBLISH 1 #4 dup 3",
                "PUBLISH 2 #5 dup 4",
                "PUBLISH 1 #6 5"
            ]
        );
    }
    both_roles!(check);
}

/// [MQTT-4.4.0-1] Nothing is sent again but on a new connection.
#[test]
fn nothing_is_sent_again_while_the_connection_stands() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS1, "a"), 0);
        script.submit(message(QOS2, "b"), 0);
        script.sent();
        script.exchange([pubrec(2)]);
        script.after(secs(30));
        assert!(!script.sent().iter().any(|packet| packet.starts_with("PUB")));
    }
    both_roles!(check);
}

/// [MQTT-4.6.0-1] The order is that of the messages, not of their identifiers.
#[test]
fn the_order_is_kept_when_identifiers_have_wrapped_and_over_several_connections() {
    fn check<S: Side>() {
        let mut script = S::open(u16::MAX);
        // Up to three identifiers before the end of the ring.
        for n in 1..=65_532_u16 {
            script.submit(message(QOS1, ""), 0);
            script.packets();
            script.receive(puback(n));
        }
        for n in 0..6 {
            script.submit(
                message(if n % 2 == 0 { QOS1 } else { QOS2 }, &n.to_string()),
                0,
            );
        }
        script.sent();
        let again = [
            "PUBLISH 1 #65533 dup 0",
            "PUBLISH 2 #65534 dup 1",
            "PUBLISH 1 #65535 dup 2",
            "PUBLISH 2 #1 dup 3",
            "PUBLISH 1 #2 dup 4",
            "PUBLISH 2 #3 dup 5",
        ];
        for _ in 0..3 {
            assert_eq!(S::resume(&mut script, 10), again);
        }
        assert_eq!(S::resume(&mut script, 2), again[..2]);
        assert_eq!(S::resume(&mut script, 10), again);
        script.receive(pubrec(1));
        assert_eq!(script.sent(), ["PUBREL #1"]);
        let mut rest = again.to_vec();
        rest[3] = "PUBREL #1";
        rest[..=3].rotate_right(1);
        assert_eq!(S::resume(&mut script, 10), rest);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-6] Behind PUBREL the PUBLISH is not sent again.
#[test]
fn a_released_message_is_not_published_again() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS2, "a"), 0);
        script.sent();
        // The PUBREL does not even leave on the first connection.
        script.receive(pubrec(1));
        for _ in 0..3 {
            assert_eq!(S::resume(&mut script, 10), ["PUBREL #1"]);
        }
        assert_eq!(script.exchange([pubcomp(1)]), [""; 0]);
        assert_eq!(S::resume(&mut script, 10), [""; 0]);
    }
    both_roles!(check);
}

#[test]
fn an_acknowledgement_of_what_is_not_sent_again_yet_is_taken() {
    fn check<S: Side>() {
        let mut script = S::open(3);
        for n in 0..3 {
            script.submit(message(if n == 1 { QOS2 } else { QOS1 }, &n.to_string()), 0);
        }
        script.sent();
        assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #1 dup 0"]);
        assert_eq!(script.exchange([puback(3), pubrec(2)]), ["PUBREL #2"]);
        assert_eq!(script.exchange([puback(1)]), [""; 0]);
        assert_eq!(script.exchange([pubcomp(2)]), [""; 0]);
        assert_eq!(script.session.queued(), (0, 0));
        assert_eq!(script.session.in_flight(), 0);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-10] Not delivered twice: repeated while the application has it, and when it has taken it on an earlier connection.
#[test]
fn an_incoming_qos2_message_is_delivered_once_over_several_connections() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 9, "a"));
        assert_eq!(script.events()[0..], ["message a"]);
        for _ in 0..3 {
            S::resume(&mut script, 10);
            assert_eq!(script.exchange([again(publish(QOS2, 9, "a"))]), [""; 0]);
            assert_eq!(script.session.unacknowledged(), 1);
        }
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #9"]);
        S::resume(&mut script, 10);
        assert_eq!(
            script.exchange([again(publish(QOS2, 9, "a"))]),
            ["PUBREC #9"]
        );
        S::resume(&mut script, 10);
        assert_eq!(script.exchange([pubrel(9)]), ["PUBCOMP #9"]);
        S::resume(&mut script, 10);
        assert_eq!(script.exchange([pubrel(9)]), ["PUBCOMP #9 0x92"]);
        assert!(!script.events().contains(&"message a".into()));
    }
    both_roles!(check);
}

#[test]
fn a_word_on_a_message_of_an_earlier_connection_is_remembered_at_qos2_and_nothing_at_qos1() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 1, "two"));
        script.receive(publish(QOS1, 2, "one"));
        script.events();
        script.cut();
        script.answer(0);
        script.answer(1);
        assert_eq!(script.sent(), [""; 0]);
        S::resume(&mut script, 10);
        script.events();
        script.receive(again(publish(QOS2, 1, "two")));
        script.receive(again(publish(QOS1, 2, "one")));
        assert_eq!(script.sent(), ["PUBREC #1"]);
        assert_eq!(script.events(), ["message one"]);
        script.answer(1);
        assert_eq!(script.sent(), [""; 0], "an old receipt");
        script.answer(2);
        assert_eq!(script.sent(), ["PUBACK #2"]);
    }
    both_roles!(check);
}

#[test]
fn a_word_that_waits_for_an_earlier_message_is_remembered_when_the_connection_ends() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for n in 1..=3 {
            script.receive(publish(QOS2, n, "a"));
        }
        script.events();
        script.answer(1);
        let receipt = script.receipts[2];
        script.session.answer(receipt, ReasonCode::QuotaExceeded);
        assert_eq!(script.sent(), [""; 0]);
        S::resume(&mut script, 10);
        script.events();
        let repeat = (1..=3).map(|n| again(publish(QOS2, n, "a")));
        assert_eq!(script.exchange(repeat), [""; 0], "PUBRECs have an order");
        // The first is still held; the third was refused, and so comes again.
        assert_eq!(script.events(), ["message a"]);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #1", "PUBREC #2"]);
    }
    both_roles!(check);
}

#[test]
fn a_message_refused_after_its_connection_has_ended_comes_again() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 1, "a"));
        script.events();
        script.cut();
        let receipt = script.receipts[0];
        script.session.answer(receipt, ReasonCode::QuotaExceeded);
        S::resume(&mut script, 10);
        script.events();
        script.receive(again(publish(QOS2, 1, "a")));
        assert_eq!(script.events(), ["message a"]);
    }
    both_roles!(check);
}

#[test]
fn messages_held_since_an_earlier_connection_are_acknowledged_in_the_order_they_come_again() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for n in 1..=3 {
            script.receive(publish(QOS2, n, "a"));
        }
        script.events();
        S::resume(&mut script, 10);
        for n in 1..=3 {
            script.receive(again(publish(QOS2, n, "a")));
        }
        script.receive(publish(QOS1, 4, "b"));
        script.events();
        for at in [3, 2, 1] {
            script.answer(at);
        }
        assert_eq!(script.sent(), [""; 0]);
        script.answer(0);
        assert_eq!(
            script.sent(),
            ["PUBACK #4", "PUBREC #1", "PUBREC #2", "PUBREC #3"]
        );
    }
    both_roles!(check);
}

/// Cuts a connection after every number of packets, in every direction, and looks at what arrived in the end.
fn cut_everywhere(qos: Qos, check: impl Fn(&[String])) {
    for from in From::BOTH {
        for cuts in 0..12 {
            for again in 0..6 {
                let mut pair = Pair::connected(|_, _| {});
                for n in 0..3 {
                    pair.submit(from, message(qos, &n.to_string()));
                }
                pair.drive_packets(cuts);
                pair.cut();
                pair.dial();
                pair.drive_packets(again);
                pair.cut();
                pair.reconnect();
                check(pair.got(from));
                assert_eq!(pair.client.session.queued(), (0, 0));
                assert_eq!(pair.server.session.queued(), (0, 0));
                assert_eq!(pair.client.session.in_flight(), 0);
                assert_eq!(pair.server.session.in_flight(), 0);
            }
        }
    }
}

/// [MQTT-4.3.3-10] [MQTT-4.4.0-1] Exactly once, wherever the exchange is cut.
#[test]
fn a_qos2_message_arrives_once_wherever_the_connection_is_cut() {
    cut_everywhere(QOS2, |got| assert_eq!(got, ["0", "1", "2"]));
}

/// [MQTT-4.4.0-1] At least once, and each for the first time in order.
#[test]
fn a_qos1_message_arrives_wherever_the_connection_is_cut() {
    cut_everywhere(QOS1, |got| {
        let mut first = got.to_vec();
        let mut seen = std::collections::BTreeSet::new();
        first.retain(|payload| seen.insert(payload.clone()));
        assert_eq!(first, ["0", "1", "2"]);
    });
}

#[test]
fn a_message_that_the_application_holds_over_a_cut_is_delivered_once() {
    for from in From::BOTH {
        let mut pair = Pair::connected(|_, _| {});
        pair.acknowledging = false;
        pair.submit(from, message(QOS2, "a"));
        pair.drive();
        for _ in 0..3 {
            pair.cut();
            pair.reconnect();
        }
        pair.acknowledging = true;
        pair.drive();
        assert_eq!(pair.got(from), ["a"]);
        assert_eq!(pair.client.session.queued(), (0, 0));
        assert_eq!(pair.server.session.queued(), (0, 0));
    }
}
