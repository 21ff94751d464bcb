//! Receive Maximum (sections 3.3.4 and 4.9), in both directions.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// [MQTT-3.3.4-7] [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] Never more than the other side's Receive Maximum is on the wire.
#[test]
fn the_other_sides_receive_maximum_is_never_exceeded_and_always_used() {
    fn check<S: Side>() {
        let mut script = S::open(2);
        for n in 0..6 {
            script.submit(
                message(if n % 2 == 0 { QOS2 } else { QOS1 }, &n.to_string()),
                0,
            );
        }
        assert_eq!(script.sent(), ["PUBLISH 2 #1 0", "PUBLISH 1 #2 1"]);
        assert_eq!(script.exchange([pubrec(1)]), ["PUBREL #1"]);
        assert_eq!(script.exchange([pubcomp(1)]), ["PUBLISH 2 #3 2"]);
        assert_eq!(script.exchange([puback(2)]), ["PUBLISH 1 #4 3"]);
        let refused = because(pubrec(3), ReasonCode::QuotaExceeded);
        assert_eq!(script.exchange([refused]), ["PUBLISH 2 #5 4"]);
        let refused = because(puback(4), ReasonCode::QuotaExceeded);
        assert_eq!(script.exchange([refused]), ["PUBLISH 1 #6 5"]);
        assert_eq!(script.session.in_flight(), 2);
    }
    both_roles!(check);
}

/// [MQTT-3.3.4-8] [MQTT-3.3.4-10] [MQTT-4.9.0-3] A full window delays nothing else.
#[test]
fn a_full_window_delays_no_other_packet() {
    fn check<S: Side>() {
        let mut script = S::open(1);
        script.submit(message(QOS2, "a"), 0);
        script.submit(message(QOS1, "b"), 0);
        assert_eq!(script.sent(), ["PUBLISH 2 #1 a"]);
        script.submit(message(QOS0, "c"), 0);
        assert_eq!(script.sent(), ["PUBLISH 0 c"]);
        script.receive(publish(QOS1, 1, "x"));
        script.receive(publish(QOS2, 2, "y"));
        script.events();
        script.answer(0);
        script.answer(1);
        assert_eq!(script.sent(), ["PUBACK #1", "PUBREC #2"]);
        assert_eq!(script.exchange([pubrel(2)]), ["PUBCOMP #2"]);
        assert_eq!(script.exchange([pubrec(1)]), ["PUBREL #1"]);
        assert_eq!(script.exchange([pubcomp(1)]), ["PUBLISH 1 #2 b"]);
    }
    both_roles!(check);
    let mut script = Script::client_with(|_| {}, {
        let mut connack = connack(false);
        connack
            .properties
            .set_receive_maximum(core::num::NonZeroU16::MIN);
        connack
    });
    script.submit(message(QOS1, "a"), 0);
    script.sent();
    let subscribed =
        script
            .session
            .subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(1));
    assert!(subscribed.is_ok());
    assert_eq!(script.sent(), ["SUBSCRIBE #2"]);
}

/// A message beyond our own Receive Maximum is an error of the client: 0x93. What a server makes of one is in `excess`.
#[test]
fn one_message_more_than_our_receive_maximum_ends_the_connection() {
    fn check<S: Side>(first: Qos, second: Qos) {
        let mut script = S::accepting(2);
        script.receive(publish(first, 1, "a"));
        script.receive(publish(second, 2, "b"));
        assert_eq!(
            script.exchange([publish(QOS0, 0, "does not count")]),
            [""; 0]
        );
        script.receive(publish(QOS1, 3, "c"));
        assert_eq!(script.violated(), ["DISCONNECT 0x93"]);
        assert_eq!(
            script.events(),
            ["message a", "message b", "message does not count"]
        );
    }
    for first in [QOS1, QOS2] {
        for second in [QOS1, QOS2] {
            check::<ServerSession>(first, second);
        }
    }
}

#[test]
fn our_receive_maximum_counts_from_publish_to_puback_pubcomp_or_an_error() {
    fn check<S: Side>() {
        let mut script = S::accepting(1);
        for n in 0..4 {
            let packet_id = u16::try_from(n).unwrap() + 1;
            let qos = if n % 2 == 0 { QOS1 } else { QOS2 };
            script.receive(publish(qos, packet_id, "a"));
            assert_eq!(script.events(), ["message a"]);
            let receipt = script.receipts[n];
            let refused = n >= 2;
            script.session.answer(
                receipt,
                if refused {
                    ReasonCode::QuotaExceeded
                } else {
                    ReasonCode::Success
                },
            );
            if qos == QOS2 && !refused {
                script.receive(pubrel(packet_id));
            }
            script.sent();
        }
    }
    both_roles!(check);
}

#[test]
fn a_client_whose_message_waits_for_its_pubrel_has_it_counted() {
    let mut script = ServerSession::accepting(1);
    script.receive(publish(QOS2, 9, "a"));
    script.events();
    script.answer(0);
    assert_eq!(script.sent(), ["PUBREC #9"]);
    script.receive(publish(QOS1, 10, "b"));
    assert_eq!(script.violated(), ["DISCONNECT 0x93"]);
}

#[test]
fn a_repeated_publish_counts_once() {
    fn check<S: Side>() {
        let mut script = S::accepting(1);
        for _ in 0..3 {
            script.receive(again(publish(QOS2, 1, "a")));
        }
        script.events();
        script.answer(0);
        for _ in 0..3 {
            script.receive(again(publish(QOS2, 1, "a")));
        }
        assert_eq!(script.exchange([pubrel(1)]).last().unwrap(), "PUBCOMP #1");
        script.receive(publish(QOS2, 2, "b"));
        assert_eq!(script.events(), ["message b"]);
    }
    both_roles!(check);
}

/// [MQTT-4.9.0-1] The quota of a new connection is that connection's Receive Maximum.
#[test]
fn the_quota_begins_anew_with_each_connection() {
    fn check<S: Side>() {
        let mut script = S::open(3);
        for n in 0..5 {
            script.submit(message(QOS1, &n.to_string()), 0);
        }
        assert_eq!(script.sent().len(), 3);
        assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #1 dup 0"]);
        assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #2 dup 1"]);
        assert_eq!(
            S::resume(&mut script, 10),
            [
                "PUBLISH 1 #2 dup 1",
                "PUBLISH 1 #3 dup 2",
                "PUBLISH 1 #4 3",
                "PUBLISH 1 #5 4"
            ]
        );
    }
    both_roles!(check);
}

#[test]
fn releases_of_an_earlier_connection_count_until_they_are_completed() {
    fn check<S: Side>() {
        let mut script = S::open(3);
        script.submit(message(QOS2, "a"), 0);
        script.submit(message(QOS2, "b"), 0);
        script.sent();
        script.exchange([pubrec(1), pubrec(2)]);
        script.submit(message(QOS1, "c"), 0);
        // More than the new Receive Maximum: what is released goes on all the same.
        assert_eq!(S::resume(&mut script, 1), ["PUBREL #1", "PUBREL #2"]);
        assert_eq!(script.exchange([pubcomp(1)]), [""; 0]);
        assert_eq!(script.exchange([pubcomp(2)]), ["PUBLISH 1 #3 c"]);
    }
    both_roles!(check);
}
