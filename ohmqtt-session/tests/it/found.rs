//! What the simulator found: each a bug once.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

#[test]
fn a_word_that_waits_for_an_earlier_one_outlives_the_connection() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS2, 1, "a"));
        script.receive(publish(QOS2, 2, "b"));
        script.events();
        script.answer(1);
        assert_eq!(script.sent(), [""; 0]);
        assert_eq!(S::resume(&mut script, 10), [""; 0]);
        script.events();
        // Only the first one is still the application's to answer.
        script.receive(again(publish(QOS2, 1, "a")));
        script.receive(again(publish(QOS2, 2, "b")));
        assert_eq!(script.events(), [""; 0]);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #1", "PUBREC #2"]);
    }
    both_roles!(check);
}

/// [MQTT-4.6.0-3] A PUBREC of what was taken on an earlier connection waits for those of the messages before it.
#[test]
fn pubrecs_leave_in_order_when_some_messages_were_taken_before() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for (n, text) in [(1, "a"), (2, "b"), (3, "c")] {
            script.receive(publish(QOS2, n, text));
        }
        script.events();
        S::resume(&mut script, 10);
        script.answer(1);
        for (n, text) in [(1, "a"), (2, "b"), (3, "c")] {
            script.receive(again(publish(QOS2, n, text)));
        }
        assert_eq!(script.sent(), [""; 0]);
        script.answer(2);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #1", "PUBREC #2", "PUBREC #3"]);
        assert_eq!(
            script.exchange([pubrel(2), pubrel(1), pubrel(3)]),
            ["PUBCOMP #2", "PUBCOMP #1", "PUBCOMP #3"]
        );
    }
    both_roles!(check);
}

#[test]
fn a_pubcomp_that_answers_a_pubrel_sent_again_is_no_error_when_it_does_not_know_the_identifier() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.submit(message(QOS2, "a"), 7);
        script.sent();
        assert_eq!(script.exchange([pubrec(1)]), ["PUBREL #1"]);
        assert_eq!(S::resume(&mut script, 10), ["PUBREL #1"]);
        script.events();
        let unknown = ReasonCode::PacketIdentifierNotFound;
        script.receive(Packet::PubComp(Ack::with_reason(id(1), unknown)));
        assert_eq!(script.events(), ["acked 7"]);
        // On the connection of the PUBREC it is one.
        script.submit(message(QOS2, "b"), 8);
        script.sent();
        script.exchange([pubrec(2)]);
        script.events();
        script.receive(Packet::PubComp(Ack::with_reason(id(2), unknown)));
        assert_eq!(script.events(), ["acked 8 0x92"]);
    }
    both_roles!(check);
}

/// [MQTT-4.6.0-2] What is acknowledged while the end is under way does not leave in place of what was dropped.
#[test]
fn words_behind_a_violation_are_not_sent() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        script.receive(publish(QOS1, 1, "a"));
        script.receive(publish(QOS1, 2, "b"));
        script.events();
        script.answer(0);
        script.receive(Packet::Connect(connect().into()));
        script.answer(1);
        assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
    }
    both_roles!(check);
}

#[test]
fn a_record_that_may_be_stored_is_removed_when_its_message_fails_after_a_take_over() {
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut old = Script::server_with(config.clone(), connect(), Accept::default());
    old.submit(message(QOS1, "a"), 7);
    let (lsn, _) = old.session.poll_store().unwrap();
    let flows = old.session.take_flows(ReasonCode::SessionTakenOver);
    let mut new = ServerSession::new(START, config);
    let accept = Accept {
        session: Some(flows),
        ..Accept::default()
    };
    new.accept(START, accept);
    assert_eq!(new.poll_store().unwrap().0, lsn);
    // The old batch was stored, and nobody here heard of it; this one fails.
    new.handle_store_failed(lsn);
    let lost = new.poll_event().unwrap();
    assert!(matches!(
        lost,
        ServerEvent::Lost {
            ticket: Ticket(7),
            ..
        }
    ));
    let (_, op) = new.poll_store().unwrap();
    assert_eq!(op, StoreOp::Delete(Key::Outgoing(0)));
}

/// A record that may be stored already is not given up: an identifier that the store has and nobody else would swallow the next message.
#[test]
fn the_record_of_a_received_message_that_was_asked_for_twice_is_asked_for_until_it_is_stored() {
    let mut config = ServerConfig::default();
    (config.durable, config.refuse_unstored) = (true, true);
    let mut script = Script::server_with(config.clone(), connect(), Accept::default());
    script.store.held = true;
    script.receive(publish(QOS2, 9, "x"));
    script.events();
    script.answer(0);
    script.serve();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    // The old batch is stored, and nobody here hears of it; the same operation fails.
    script.store.store(1);
    let mut connect = connect();
    connect.clean_start = false;
    script.come_back(config, connect, Some(flows));
    for _ in 0..2 {
        assert_eq!(script.exchange([again(publish(QOS2, 9, "x"))]), [""; 0]);
        assert_eq!(script.store.asked(), ["put received #9"]);
        script.store.fail(&mut script.session, 1);
    }
    script.serve();
    script.store.confirm(&mut script.session, 1);
    assert_eq!(script.sent(), ["PUBREC #9", "PUBREC #9"]);
    assert!(!script.events().contains(&"message x".into()));
}

/// [MQTT-4.4.0-1] A client may be back before its session is read: what was sent goes again all the same.
#[test]
fn a_client_that_is_back_before_its_session_is_read_waits_for_that() {
    let mut script = ServerSession::durable();
    script.submit(message(QOS1, "a"), 1);
    script.submit(message(QOS2, "b"), 2);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 a", "PUBLISH 2 #2 b"]);
    script.exchange([pubrec(2)]);
    script.store.held_loads = true;
    let mut config = ServerConfig::default();
    config.durable = true;
    let flows = Flows::open(config.outbox);
    script.session = ServerSession::resting(script.now, config.clone(), flows);
    script.submit(message(QOS1, "c"), 3);
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    script.session = ServerSession::new(script.now, config);
    script.session.handle_connected(script.now);
    let mut connect = connect();
    connect.clean_start = false;
    script.receive(Packet::Connect(connect.into()));
    let accept = Accept {
        session: Some(flows),
        ..Accept::default()
    };
    script.session.accept(script.now, accept);
    assert_eq!(script.sent(), [""; 0]);
    assert!(!script.session.is_ready());
    script.store.held_loads = false;
    assert_eq!(
        script.sent(),
        [
            "CONNACK present",
            "PUBREL #2",
            "PUBLISH 1 #1 dup a",
            "PUBLISH 1 #3 c"
        ]
    );
    assert!(script.session.is_ready());
}

/// Section 3.1.2.11.2: a session that ends with its connection.
#[test]
fn a_server_session_without_an_expiry_interval_is_not_stored() {
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut connect = connect();
    connect.properties.remove_session_expiry_interval();
    let mut script = Script::server_with(config, connect, Accept::default());
    assert!(!script.session.is_durable());
    script.submit(message(QOS1, "a"), 1);
    script.store.held = true;
    assert_eq!(script.sent(), ["PUBLISH 1 #1 a"]);
    assert_eq!(script.store.asked(), [""; 0]);
}

/// [MQTT-3.1.2-25] A message that has grown too large for the other side is done; at QoS 2 its identifier is released first.
#[test]
fn a_sent_qos2_message_that_is_given_up_releases_its_identifier() {
    let mut script = Script::connected();
    script.submit(message(QOS2, &"a".repeat(100)), 7);
    script.submit(message(QOS1, &"b".repeat(100)), 8);
    script.sent();
    script.events();
    script.cut();
    let mut connack = connack(true);
    connack
        .properties
        .set_maximum_packet_size(50.try_into().unwrap());
    script.dial();
    script.receive(Packet::ConnAck(connack.into()));
    assert_eq!(script.sent(), ["PUBREL #1"]);
    let lost = script.events().split_off(2);
    assert!(lost[0].starts_with("lost 7 TooLarge") && lost[1].starts_with("lost 8 TooLarge"));
    assert_eq!(script.session.queued(), (1, 0));
    let unknown = ReasonCode::PacketIdentifierNotFound;
    script.receive(Packet::PubComp(Ack::with_reason(id(1), unknown)));
    assert_eq!(script.session.queued(), (0, 0));
    assert_eq!(script.events(), [""; 0]);
}

#[test]
fn a_release_of_what_the_application_still_has_ends_the_exchange() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for (n, text) in [(1, "a"), (2, "b")] {
            script.receive(publish(QOS2, n, text));
        }
        script.events();
        script.answer(1);
        assert_eq!(script.exchange([pubrel(1)]), ["PUBREC #2", "PUBCOMP #1"]);
        script.answer(0);
        assert_eq!(script.sent(), [""; 0]);
        // The identifier means a new message.
        script.receive(publish(QOS2, 1, "c"));
        assert_eq!(script.events(), ["message c"]);
    }
    both_roles!(check);
}

#[test]
fn a_stream_that_takes_nothing_gathers_one_pingreq() {
    let mut script = Script::client(|config| config.connect.keep_alive = 10);
    script.reconnect(connack(false));
    for _ in 0..10 {
        script.receive(publish(QOS0, 0, "a"));
        script.after(secs(5));
    }
    assert_eq!(script.sent(), ["PINGREQ"]);
}

#[test]
fn what_is_behind_a_message_given_up_waits_until_its_record_is_gone() {
    let mut script = Script::client(|config| config.durable = true);
    let mut soon = ticket(1);
    soon.deadline = Some(START + secs(1));
    script
        .session
        .publish(START, message(QOS1, "a"), soon)
        .unwrap();
    script.serve();
    script
        .session
        .publish(START, message(QOS1, "b"), ticket(2))
        .unwrap();
    script.serve();
    script.after(secs(2));
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    // The record of the first has no identifier: beside it that of the second would tell a new process that it was not sent.
    let mut stored = Lsn::NONE;
    loop {
        let packet = script.session.poll_packet(script.now);
        let op = script.session.poll_store();
        if let Some(packet) = packet {
            assert_eq!(brief(&packet), "PUBLISH 1 #1 b");
            break;
        }
        let (lsn, op) = op.unwrap();
        if let StoreOp::Delete(key) = op {
            assert_eq!(key, Key::Outgoing(0));
            assert_eq!(script.session.poll_packet(script.now), None);
        }
        stored = lsn.max(stored);
        script.session.handle_stored(stored);
    }
}

#[test]
fn what_is_behind_a_message_whose_record_is_in_doubt_waits_until_that_is_gone() {
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut script = Script::server_with(config.clone(), connect(), Accept::default());
    script.cut();
    script.store.held = true;
    script.submit(message(QOS1, "a"), 7);
    script.serve();
    // It is stored, without an identifier, and nobody hears of it.
    script.store.store(1);
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    let mut connect = connect();
    connect.clean_start = false;
    assert_eq!(script.come_back(config, connect, Some(flows)), [""; 0]);
    script.submit(message(QOS1, "b"), 8);
    script.serve();
    assert_eq!(script.store.asked(), ["put message 0", "put message 1"]);
    script.store.fail(&mut script.session, 1);
    assert_eq!(script.events(), ["lost 7 StoreFailed"]);
    script.serve();
    assert_eq!(script.store.asked(), ["put message 1", "delete 0"]);
    script.store.confirm(&mut script.session, 1);
    assert_eq!(script.sent(), [""; 0]);
    script.store.held = false;
    assert_eq!(script.sent(), ["PUBLISH 1 #1 b"]);
}
