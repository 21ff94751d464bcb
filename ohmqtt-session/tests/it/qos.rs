//! The flows of QoS 0, 1 and 2 (section 4.3) at both roles, as sender and as receiver.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// [MQTT-4.3.1-1] QoS 0 has no identifier, no DUP, and is done when it is sent.
#[test]
fn qos0_is_sent_and_done() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS0, "a"), 7);
        assert_eq!(script.sent(), ["PUBLISH 0 a"]);
        assert_eq!(script.events(), ["sent 7"]);
        assert_eq!(script.session.queued(), (0, 0));
        assert_eq!(script.session.in_flight(), 0);
    }
    both_roles!(check);
}

/// [MQTT-4.3.2-2] [MQTT-4.3.2-3] QoS 1 has an identifier and DUP 0, and is done with PUBACK.
#[test]
fn qos1_is_done_with_puback() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS1, "a"), 7);
        assert_eq!(script.sent(), ["PUBLISH 1 #1 a"]);
        assert_eq!(script.events(), ["sent 7"]);
        assert_eq!(script.session.queued().0, 1);
        assert_eq!(script.exchange([puback(1)]), [""; 0]);
        assert_eq!(script.events(), ["acked 7"]);
        assert_eq!(script.session.queued(), (0, 0));
        assert_eq!(script.session.in_flight(), 0);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] QoS 2 is done with PUBCOMP, and PUBREL has the PUBLISH's identifier.
#[test]
fn qos2_is_released_on_pubrec_and_done_with_pubcomp() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS2, "a"), 7);
        assert_eq!(script.sent(), ["PUBLISH 2 #1 a"]);
        assert_eq!(script.events(), ["sent 7"]);
        assert_eq!(script.exchange([pubrec(1)]), ["PUBREL #1"]);
        assert_eq!(script.events(), [""; 0]);
        assert_eq!(script.session.in_flight(), 1);
        assert_eq!(script.exchange([pubcomp(1)]), [""; 0]);
        assert_eq!(script.events(), ["acked 7"]);
        assert_eq!(script.session.queued(), (0, 0));
        assert_eq!(script.session.in_flight(), 0);
    }
    both_roles!(check);
}

/// [MQTT-4.3.2-4] [MQTT-2.2.1-5] [MQTT-3.3.4-1] PUBACK has the identifier of the PUBLISH, once the application has the message.
#[test]
fn an_incoming_qos1_message_is_acknowledged_when_it_was_taken() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        assert_eq!(script.exchange([publish(QOS1, 9, "a")]), [""; 0]);
        assert_eq!(script.events(), ["message a"]);
        assert_eq!(script.session.unacknowledged(), 1);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBACK #9"]);
        assert_eq!(script.session.unacknowledged(), 0);
        script.answer(0);
        assert_eq!(script.sent(), [""; 0], "the first word counts");
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-2.2.1-5] PUBREC once the application has the message, PUBCOMP for PUBREL.
#[test]
fn an_incoming_qos2_message_is_received_when_it_was_taken_and_completed_when_released() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        assert_eq!(script.exchange([publish(QOS2, 9, "a")]), [""; 0]);
        assert_eq!(script.events(), ["message a"]);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #9"]);
        assert_eq!(script.exchange([pubrel(9)]), ["PUBCOMP #9"]);
        assert_eq!(script.events(), [""; 0]);
    }
    both_roles!(check);
}

#[test]
fn an_incoming_qos0_message_has_no_receipt_and_no_answer() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        assert_eq!(script.exchange([publish(QOS0, 0, "a")]), [""; 0]);
        assert_eq!(script.events(), ["message a"]);
        assert!(script.receipts.is_empty());
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-10] Until PUBREL the same identifier is the same message, before the application has taken it and after.
#[test]
fn a_repeated_qos2_publish_is_answered_again_and_not_delivered_again() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 9, "a"));
        assert_eq!(script.exchange([again(publish(QOS2, 9, "a"))]), [""; 0]);
        assert_eq!(script.events(), ["message a"]);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #9"]);
        for _ in 0..3 {
            let repeated = again(publish(QOS2, 9, "a"));
            assert_eq!(script.exchange([repeated]), ["PUBREC #9"]);
        }
        assert_eq!(script.events(), [""; 0]);
        assert_eq!(script.exchange([pubrel(9)]), ["PUBCOMP #9"]);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-12] [MQTT-4.3.2-5] Behind PUBCOMP, and behind PUBACK whatever DUP says, the identifier means a new message.
#[test]
fn an_identifier_that_was_finished_means_a_new_message() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 9, "a"));
        script.events();
        script.answer(0);
        script.exchange([pubrel(9)]);
        script.receive(again(publish(QOS2, 9, "b")));
        assert_eq!(script.events(), ["message b"]);
        script.receive(publish(QOS1, 5, "c"));
        script.events();
        script.answer(1);
        script.answer(2);
        script.sent();
        script.receive(again(publish(QOS1, 5, "d")));
        assert_eq!(script.events(), ["message d"]);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-9] Behind a PUBREC of 0x80 or more the identifier means a new message.
/// [MQTT-4.5.0-2] A message the application does not want is answered as its QoS asks all the same.
#[test]
fn a_message_that_is_refused_is_told_so_and_its_identifier_is_free() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS1, 1, "a"));
        script.receive(publish(QOS2, 2, "b"));
        script.events();
        let receipts = script.receipts.clone();
        script
            .session
            .answer(receipts[0], ReasonCode::QuotaExceeded);
        script
            .session
            .answer(receipts[1], ReasonCode::NotAuthorized);
        assert_eq!(script.sent(), ["PUBACK #1 0x97", "PUBREC #2 0x87"]);
        script.receive(publish(QOS2, 2, "c"));
        assert_eq!(script.events(), ["message c"]);
        assert_eq!(script.session.unacknowledged(), 1);
    }
    both_roles!(check);
}

#[test]
fn an_answer_that_acknowledgements_do_not_have_is_unspecified() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS1, 1, "a"));
        script.events();
        let receipt = script.receipts[0];
        script.session.answer(receipt, ReasonCode::KeepAliveTimeout);
        assert_eq!(script.sent(), ["PUBACK #1 0x80"]);
    }
    both_roles!(check);
}

/// [MQTT-4.4.0-2] An error in PUBACK or PUBREC is data for the publisher, and ends the flow: nothing is sent again.
#[test]
fn an_error_code_ends_the_flow_and_is_told() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for n in 1..=2 {
            script.submit(message(QOS2, "a"), n);
        }
        script.submit(message(QOS1, "b"), 3);
        script.sent();
        script.events();
        let packets = [
            because(pubrec(1), ReasonCode::QuotaExceeded),
            pubrec(2),
            because(pubcomp(2), ReasonCode::PacketIdentifierNotFound),
            because(puback(3), ReasonCode::NotAuthorized),
        ];
        assert_eq!(script.exchange(packets), ["PUBREL #2"]);
        assert_eq!(
            script.events(),
            ["acked 1 0x97", "acked 2 0x92", "acked 3 0x87"]
        );
        assert_eq!(script.session.queued(), (0, 0));
        assert_eq!(S::resume(&mut script, 10), [""; 0]);
    }
    both_roles!(check);
}

#[test]
fn what_pubrec_said_comes_with_the_acknowledgement() {
    let mut script = Script::connected();
    script.submit(message(QOS2, "a"), 7);
    script.sent();
    script.events();
    let mut pubrec = Ack::with_reason(id(1), ReasonCode::NoMatchingSubscribers);
    pubrec.properties.set_reason_string(&text("nobody listens"));
    script.receive(Packet::PubRec(pubrec));
    script.receive(pubcomp(1));
    let events = script.events_in_full();
    let [
        ClientEvent::Acked {
            reason: ReasonCode::NoMatchingSubscribers,
            properties,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(properties.reason_string(), Some("nobody listens"));
}

/// [MQTT-4.3.3-4] A PUBREC that comes again is answered again; one that nobody waits for is answered so.
#[test]
fn unknown_identifiers_are_answered_with_0x92_where_there_is_an_answer() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        assert_eq!(script.exchange([pubrec(8)]), ["PUBREL #8 0x92"]);
        assert_eq!(script.exchange([pubrel(8)]), ["PUBCOMP #8 0x92"]);
        assert_eq!(script.exchange([puback(8), pubcomp(8)]), [""; 0]);
        let refused = because(pubrec(8), ReasonCode::QuotaExceeded);
        assert_eq!(script.exchange([refused]), [""; 0], "the flow is over");
        script.submit(message(QOS2, "a"), 0);
        script.sent();
        assert_eq!(
            script.exchange([pubrec(1), pubrec(1)]),
            ["PUBREL #1", "PUBREL #1"]
        );
        assert_eq!(script.events(), [""; 0]);
        assert_eq!(script.session.in_flight(), 1);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-11] The other side gives a message up that it does not send again: its identifier means another one from then on.
#[test]
fn a_release_of_a_message_that_the_application_holds_is_completed() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 1, "a"));
        script.events();
        assert_eq!(script.exchange([pubrel(1)]), ["PUBCOMP #1"]);
        assert_eq!(script.session.unacknowledged(), 0);
        script.receive(publish(QOS2, 1, "b"));
        assert_eq!(script.events(), ["message b"]);
        script.answer(0);
        assert_eq!(script.sent(), [""; 0]);
        script.answer(1);
        assert_eq!(script.sent(), ["PUBREC #1"]);
    }
    both_roles!(check);
}

#[test]
fn a_release_of_a_held_message_lets_those_behind_it_be_answered() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 1, "given up"));
        script.receive(publish(QOS2, 2, "b"));
        script.receive(publish(QOS1, 3, "c"));
        script.events();
        script.answer(1);
        script.answer(2);
        assert_eq!(script.sent(), [""; 0]);
        let mut sent = script.exchange([pubrel(1)]);
        sent.sort();
        assert_eq!(sent, ["PUBACK #3", "PUBCOMP #1", "PUBREC #2"]);
    }
    both_roles!(check);
}

/// [MQTT-3.3.1-3] DUP of an incoming message does not travel on.
#[test]
fn what_is_forwarded_has_a_dup_of_its_own() {
    let mut server = Script::accepted();
    server.receive(again(publish(QOS1, 3, "a")));
    let events = server.events_in_full();
    let [ServerEvent::Message { message, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    let message = message.clone();
    server.submit(message, 0);
    assert_eq!(server.sent(), ["PUBLISH 1 #1 a"]);
}

#[test]
fn a_message_travels_in_both_directions_at_every_qos() {
    let mut pair = Pair::connected(|_, _| {});
    for from in From::BOTH {
        for qos in [QOS0, QOS1, QOS2] {
            pair.submit(from, message(qos, &format!("{qos:?}")));
        }
        pair.drive();
        assert_eq!(pair.got(from), ["AtMostOnce", "AtLeastOnce", "ExactlyOnce"]);
    }
    assert_eq!(pair.client.session.queued(), (0, 0));
    assert_eq!(pair.server.session.queued(), (0, 0));
    let acked = |events: &[String]| events.iter().filter(|event| *event == "acked 1").count();
    assert_eq!(acked(&pair.client.events), 2);
    assert_eq!(acked(&pair.server.events), 2);
}
