//! What a driver takes from a session: packets as bytes, events by the heap, and what of the store is urgent.

use std::collections::VecDeque;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A session with something of everything to send.
fn busy<S: Side>() -> Script<S> {
    let mut script = S::open(10);
    for (n, qos) in (1..).zip([QOS0, QOS1, QOS2, QOS1]) {
        script.submit(message(qos, "out"), n);
    }
    script.receive(publish(QOS1, 7, "in"));
    script.receive(publish(QOS2, 8, "in"));
    script.events();
    script.answer(0);
    script.answer(1);
    script
}

fn encoded_is_what_is_polled<S: Side>() {
    let (mut one, mut other) = (busy::<S>(), busy::<S>());
    let (mut want, mut got) = (EncodeBuf::new(), EncodeBuf::new());
    let mut types = Vec::new();
    for packet in one.packets() {
        types.push(packet.packet_type());
        packet.encode(&mut want).unwrap();
    }
    for packet_type in types {
        let polled = other.session.poll_encoded(other.now, &mut got);
        assert_eq!(polled, Some((packet_type, Ok(()))));
    }
    assert_eq!(other.session.poll_encoded(other.now, &mut got), None);
    assert_eq!(got.into_bytes(), want.into_bytes());
    assert_eq!(other.session.awaited(), 3);
    assert_eq!(other.session.awaited(), one.session.awaited());
}

#[test]
fn what_is_encoded_is_what_would_have_been_polled() {
    both_roles!(encoded_is_what_is_polled);
}

fn all_events_at_once<S: Side>() {
    let (mut one, mut other) = (S::open(10), S::open(10));
    let mut events = VecDeque::new();
    // Into an empty heap, and behind what is there.
    for n in [1, 3] {
        for script in [&mut one, &mut other] {
            script.receive(publish(QOS1, n, &n.to_string()));
            script.receive(publish(QOS1, n + 1, &(n + 1).to_string()));
        }
        other.session.poll_events(&mut events);
        assert!(other.session.poll_event().is_none());
    }
    let told: Vec<_> = events.iter().map(S::brief).collect();
    assert_eq!(told, ["message 1", "message 2", "message 3", "message 4"]);
    assert_eq!(one.events(), told);
}

#[test]
fn events_come_all_at_once_in_their_order() {
    both_roles!(all_events_at_once);
}

#[test]
fn a_session_that_waits_for_the_peer_is_ready_and_one_that_is_ending_says_so() {
    let mut script = ClientSession::open(10);
    assert!(script.session.is_ready());
    assert!(!script.session.is_ending());
    script.receive(Packet::ConnAck(connack(false).into()));
    assert!(script.session.is_ending());
}

/// Stores what the session asks for, and tells which of it may not be lost with the last moments of a store.
fn urgent(script: &mut Script<ClientSession>) -> Vec<bool> {
    let mut urgent = Vec::new();
    while let Some((lsn, op)) = script.session.poll_store() {
        urgent.push(op.must_be_safe());
        script.session.handle_stored(lsn);
    }
    urgent
}

#[test]
fn the_store_may_lose_the_last_moments_of_qos_1_and_not_the_identifiers_of_qos_2() {
    let mut script = ClientSession::durable();
    urgent(&mut script);
    let mut case = |packets: Vec<Packet>, qos: Option<Qos>, want: &[bool]| {
        if let Some(qos) = qos {
            script.submit(message(qos, "x"), 1);
        }
        for packet in packets {
            script.receive(packet);
        }
        script.events();
        while let Some(receipt) = script.receipts.pop() {
            script.session.answer(receipt, ReasonCode::Success);
        }
        assert_eq!(urgent(&mut script), want);
        script.sent();
    };
    case(vec![], Some(QOS1), &[false]);
    case(vec![puback(1)], None, &[false]);
    case(vec![], Some(QOS2), &[true]);
    // "Released" in place of the message.
    case(vec![pubrec(2)], None, &[true]);
    case(vec![pubcomp(2)], None, &[false]);
    // Received, and released.
    case(vec![publish(QOS2, 9, "in")], None, &[true]);
    case(vec![pubrel(9)], None, &[true]);
}

#[test]
fn keys_follow_one_another() {
    let received = |n| Key::Received(id(n));
    for (key, next) in [
        (Key::Backlog, Key::Outgoing(0)),
        (Key::Outgoing(7), Key::Outgoing(8)),
        (received(7), received(8)),
    ] {
        assert_eq!(key.next(), next);
        assert!(key < next);
    }
    // Behind the last there is none.
    assert_eq!(received(u16::MAX).next(), received(u16::MAX));
}

#[test]
fn a_detached_message_is_the_same_in_memory_of_its_own() {
    let chunk = bytes::Bytes::from("some bytes that were read, with a payload among them");
    let mut message = Message::new(topic("a/b"), chunk.slice(10..20));
    message.qos = QOS2;
    message.retain = true;
    message.properties.set_content_type(&text("text"));
    let own = message.clone().detached();
    assert_eq!(own, message);
    assert_ne!(own.payload.as_ptr(), message.payload.as_ptr());
}

#[test]
fn what_is_shown_of_a_message_is_not_its_payload() {
    let mut message = Message::new(topic("a/b"), "a secret");
    message.properties.set_content_type(&text("text"));
    let shown = format!("{message:?}");
    assert!(shown.contains("a/b") && shown.contains("payload_len: 8"));
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_server_sends_what_is_ready_before_it_says_goodbye() {
    let mut script = Script::accepted();
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    script.answer(0);
    let goodbye = || Disconnect::new(ReasonCode::ServerShuttingDown);
    script.session.finish(goodbye());
    assert!(script.session.is_ending());
    assert_eq!(script.sent(), ["PUBACK #1", "DISCONNECT 0x8B"]);
    assert!(script.session.poll_close());

    // Nobody was accepted: there is nothing to wait for, and nobody to tell.
    let mut script = Script::server(ServerConfig::default());
    script.session.finish(goodbye());
    assert_eq!(script.sent(), [""; 0]);
    assert!(script.session.poll_close());
}

/// [MQTT-3.3.2-5]
#[test]
fn messages_whose_time_has_passed_unsent_are_given_up() {
    let mut script = ServerSession::open(1);
    script.submit(message(QOS1, "sent"), 1);
    let mut short = message(QOS1, "short");
    short.properties.set_message_expiry_interval(5);
    script.submit(short, 2);
    script.submit(message(QOS1, "for ever"), 3);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 sent"]);
    let before = script.session.queued();
    assert!(!script.session.drop_expired(script.now), "none is over yet");
    assert_eq!(script.session.queued(), before);
    script.now = script.now + secs(6);
    assert!(script.session.drop_expired(script.now));
    assert_eq!(script.session.queued().0, before.0 - 1);
    assert!(
        !script.session.drop_expired(script.now),
        "it was the only one"
    );
    assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #2 for ever"]);
    assert_eq!(script.session.counters().expired, 1);
}
