//! A session with a store: nothing leaves before its record is stored, and what a store that fails does.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A durable session whose store answers only when told.
fn held<S: Side>() -> Script<S> {
    let mut script = S::durable();
    script.store.held = true;
    script
}

impl<S: Side> Script<S> {
    fn asked(&mut self) -> Vec<String> {
        self.serve();
        self.store.asked()
    }

    fn confirm(&mut self, n: usize) -> Vec<String> {
        self.serve();
        self.store.confirm(&mut self.session, n);
        self.sent()
    }

    fn fail(&mut self, n: usize) -> Vec<String> {
        self.serve();
        self.store.fail(&mut self.session, n);
        self.sent()
    }
}

#[test]
fn a_message_is_accepted_and_sent_when_its_record_is_stored() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.submit(message(QOS1, "a"), 1);
        script.submit(message(QOS2, "b"), 2);
        assert_eq!(script.sent(), [""; 0]);
        assert_eq!(script.events(), [""; 0]);
        assert_eq!(script.asked(), ["put message 0 #1", "put message 1 #2"]);
        assert_eq!(script.confirm(1), ["PUBLISH 1 #1 a"]);
        assert_eq!(script.events(), ["accepted 1", "sent 1"]);
        assert_eq!(script.confirm(1), ["PUBLISH 2 #2 b"]);
        assert_eq!(script.events(), ["accepted 2", "sent 2"]);
    }
    both_roles!(check);
}

#[test]
fn qos0_waits_for_no_record_and_has_none() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.submit(message(QOS1, "a"), 1);
        script.submit(message(QOS0, "b"), 2);
        assert_eq!(script.sent(), ["PUBLISH 0 b"]);
        assert_eq!(script.asked(), ["put message 0 #1"]);
        assert_eq!(script.events(), ["sent 2"]);
    }
    both_roles!(check);
}

#[test]
fn pubrel_waits_for_the_record_of_the_release() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.submit(message(QOS2, "a"), 1);
        assert_eq!(script.confirm(1), ["PUBLISH 2 #1 a"]);
        assert_eq!(script.exchange([pubrec(1)]), [""; 0]);
        assert_eq!(script.asked(), ["put released 0 #1"]);
        assert_eq!(script.confirm(1), ["PUBREL #1"]);
        assert_eq!(script.exchange([pubcomp(1)]), [""; 0]);
        // The deletion is waited for by nothing.
        assert_eq!(script.events().last().unwrap(), "acked 1");
        assert_eq!(script.asked(), ["delete 0"]);
        script.confirm(1);
        assert!(script.store.kept.is_empty());
    }
    both_roles!(check);
}

#[test]
fn pubrec_waits_for_the_record_of_the_message_and_pubcomp_for_its_deletion() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS2, 9, "a"));
        assert_eq!(script.asked(), [""; 0], "it is the application's turn");
        script.events();
        script.answer(0);
        assert_eq!(script.sent(), [""; 0]);
        assert_eq!(script.asked(), ["put received #9"]);
        assert_eq!(script.confirm(1), ["PUBREC #9"]);
        assert_eq!(script.exchange([pubrel(9)]), [""; 0]);
        assert_eq!(script.asked(), ["delete received #9"]);
        assert_eq!(script.confirm(1), ["PUBCOMP #9"]);
        assert!(script.store.kept.is_empty());
    }
    both_roles!(check);
}

#[test]
fn a_repeated_publish_is_answered_when_the_record_is_stored() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS2, 9, "a"));
        script.events();
        script.answer(0);
        script.receive(again(publish(QOS2, 9, "a")));
        assert_eq!(script.sent(), [""; 0]);
        assert_eq!(script.confirm(1), ["PUBREC #9", "PUBREC #9"]);
    }
    both_roles!(check);
}

#[test]
fn a_refusal_and_puback_wait_for_no_record() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS2, 8, "a"));
        script.receive(publish(QOS1, 9, "b"));
        script.events();
        let receipt = script.receipts[0];
        script.session.answer(receipt, ReasonCode::QuotaExceeded);
        script.answer(1);
        assert_eq!(script.sent(), ["PUBACK #9", "PUBREC #8 0x97"]);
        assert_eq!(script.asked(), [""; 0]);
    }
    both_roles!(check);
}

#[test]
fn pubcomp_for_a_release_that_comes_again_waits_for_the_deletion() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS2, 9, "a"));
        script.events();
        script.answer(0);
        assert_eq!(script.confirm(1), ["PUBREC #9"]);
        script.receive(pubrel(9));
        script.serve();
        // The identifier is forgotten here and not in the store: told so now, its next use would be taken for the old message.
        assert_eq!(script.exchange([pubrel(9)]), [""; 0]);
        assert_eq!(script.confirm(1), ["PUBCOMP #9", "PUBCOMP #9 0x92"]);
        assert_eq!(script.exchange([pubrel(9)]), ["PUBCOMP #9 0x92"]);
    }
    both_roles!(check);
}

#[test]
fn identifiers_of_messages_accepted_offline_are_recorded_in_one_batch_before_they_are_used() {
    let mut script = Script::client(|config| config.durable = true);
    for n in 0..300 {
        script.submit(message(QOS1, &n.to_string()), n + 1);
    }
    script.serve();
    script.store.held = true;
    assert_eq!(script.events().len(), 300);
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.sent(), [""; 0]);
    let asked = script.asked();
    assert_eq!(asked.len(), 256);
    assert_eq!(asked[255], "put message 255 #256");
    let sent = script.confirm(256);
    assert_eq!(sent.len(), 256);
    assert_eq!(script.asked().len(), 44);
    assert_eq!(script.confirm(44).len(), 44);
    assert!(!script.events().contains(&"accepted 1".into()), "once");
}

#[test]
fn a_message_whose_record_fails_is_lost_and_the_next_one_is_not() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        for n in 1..=3 {
            script.submit(message(QOS2, &n.to_string()), n);
        }
        assert_eq!(script.fail(2), [""; 0]);
        assert_eq!(
            script.events(),
            ["lost 1 StoreFailed", "lost 2 StoreFailed"]
        );
        assert_eq!(script.asked(), ["put message 2 #3"]);
        assert_eq!(script.confirm(1), ["PUBLISH 2 #3 3"]);
        assert_eq!(script.events(), ["accepted 3", "sent 3"]);
        assert_eq!(script.session.queued().0, 1);
        // Their identifiers are free again.
        script.submit(message(QOS1, "4"), 4);
        assert_eq!(script.confirm(1), ["PUBLISH 1 #4 4"]);
    }
    both_roles!(check);
}

#[test]
fn protocol_records_that_fail_are_asked_for_again_and_hold_their_flow() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.submit(message(QOS2, "a"), 1);
        script.submit(message(QOS2, "b"), 2);
        assert_eq!(script.confirm(2).len(), 2);
        script.receive(publish(QOS2, 9, "x"));
        script.events();
        script.answer(0);
        assert_eq!(script.confirm(1), ["PUBREC #9"]);
        script.receive(pubrec(1));
        for _ in 0..3 {
            assert_eq!(script.asked(), ["put released 0 #1"]);
            assert_eq!(script.fail(1), [""; 0]);
        }
        // What comes behind waits for what is before it.
        script.receive(pubrec(2));
        assert_eq!(script.asked(), ["put released 0 #1", "put released 1 #2"]);
        assert_eq!(script.confirm(2), ["PUBREL #1", "PUBREL #2"]);
        script.receive(pubrel(9));
        script.receive(pubcomp(1));
        assert_eq!(script.fail(2), [""; 0]);
        assert_eq!(script.asked(), ["delete received #9", "delete 0"]);
        assert_eq!(script.confirm(2), ["PUBCOMP #9"]);
        assert_eq!(script.store.kept.len(), 1);
    }
    both_roles!(check);
}

#[test]
fn the_record_of_what_the_application_has_is_asked_for_again() {
    let mut script = held::<ClientSession>();
    script.receive(publish(QOS2, 9, "x"));
    script.events();
    script.answer(0);
    for _ in 0..3 {
        assert_eq!(script.asked(), ["put received #9"]);
        assert_eq!(script.fail(1), [""; 0]);
    }
    assert_eq!(script.confirm(1), ["PUBREC #9"]);
}

#[test]
fn a_server_refuses_what_its_store_does_not_take_when_it_is_told_to() {
    let mut config = ServerConfig::default();
    (config.durable, config.refuse_unstored) = (true, true);
    let mut script = Script::server_with(config, connect(), Accept::default());
    script.store.held = true;
    script.receive(publish(QOS2, 9, "x"));
    script.events();
    script.answer(0);
    script.receive(again(publish(QOS2, 9, "x")));
    assert_eq!(script.asked(), ["put received #9"]);
    assert_eq!(script.fail(1), ["PUBREC #9 0x83", "PUBREC #9 0x83"]);
    assert_eq!(script.asked(), [""; 0]);
    // The identifier means a new message.
    script.receive(publish(QOS2, 9, "y"));
    assert_eq!(script.events(), ["message y"]);
    script.answer(1);
    assert_eq!(script.confirm(1), ["PUBREC #9"]);
}

/// [MQTT-4.6.0-3] What is stored of a message in one step with its record does not wait for the words on earlier messages.
#[test]
fn the_record_of_a_taken_message_is_asked_for_before_its_answer_has_its_turn() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS1, 8, "a"));
        script.receive(publish(QOS2, 9, "b"));
        script.events();
        script.answer(1);
        assert_eq!(script.asked(), ["put received #9"]);
        assert_eq!(script.confirm(1), [""; 0]);
        script.answer(0);
        assert_eq!(script.sent(), ["PUBACK #8", "PUBREC #9"]);
        assert_eq!(script.asked(), [""; 0]);
    }
    both_roles!(check);
}

#[test]
fn a_message_whose_record_fails_before_its_answer_has_its_turn_is_refused_in_its_turn() {
    let mut config = ServerConfig::default();
    (config.durable, config.refuse_unstored) = (true, true);
    let mut script = Script::server_with(config, connect(), Accept::default());
    script.store.held = true;
    script.receive(publish(QOS1, 8, "a"));
    script.receive(publish(QOS2, 9, "b"));
    script.events();
    script.answer(1);
    assert_eq!(script.fail(1), [""; 0]);
    script.answer(0);
    assert_eq!(script.sent(), ["PUBACK #8", "PUBREC #9 0x83"]);
    assert_eq!(script.asked(), [""; 0]);
}

#[test]
fn behind_a_deletion_that_failed_nothing_new_is_sent_until_it_is_stored() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.submit(message(QOS1, "a"), 1);
        assert_eq!(script.confirm(1), ["PUBLISH 1 #1 a"]);
        script.receive(puback(1));
        script.serve();
        script.submit(message(QOS1, "b"), 2);
        assert_eq!(script.fail(1), [""; 0]);
        assert_eq!(script.asked(), ["put message 1 #2", "delete 0"]);
        assert_eq!(
            script.confirm(1),
            [""; 0],
            "its identifier might be that of 0"
        );
        assert_eq!(script.confirm(1), ["PUBLISH 1 #2 b"]);
    }
    both_roles!(check);
}

#[test]
fn a_record_that_fails_in_an_earlier_batch_holds_what_is_behind_it_in_a_later_one() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        (1..=2).for_each(|n| script.submit(message(QOS2, "a"), n));
        script.confirm(2);
        script.receive(pubrec(1));
        script.serve();
        script.receive(pubrec(2));
        script.serve();
        script.store.fail(&mut script.session, 1);
        assert_eq!(script.confirm(1), [""; 0], "PUBRELs keep their order");
        assert_eq!(script.asked(), ["put released 0 #1"]);
        assert_eq!(script.confirm(1), ["PUBREL #1", "PUBREL #2"]);
    }
    both_roles!(check);
}

/// A record of a lost session that failed is not asked for again behind its deletion.
#[test]
fn a_record_that_fails_is_not_repeated_when_its_deletion_follows() {
    let mut script = held::<ClientSession>();
    script.submit(message(QOS2, "a"), 1);
    script.confirm(1);
    script.receive(pubrec(1));
    script.receive(publish(QOS2, 9, "x"));
    script.events();
    script.answer(0);
    script.serve();
    script.cut();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(
        script.asked(),
        [
            "put released 0 #1",
            "put received #9",
            "delete 0",
            "delete received #9"
        ]
    );
    script.fail(2);
    assert_eq!(script.asked(), ["delete 0", "delete received #9"]);
    script.fail(2);
    script.confirm(2);
    assert!(script.store.kept.is_empty());
}

#[test]
fn what_waits_for_a_record_that_another_one_replaces_waits_for_that() {
    fn check<S: Side>() {
        let mut script = held::<S>();
        script.receive(publish(QOS2, 9, "x"));
        script.events();
        script.answer(0);
        script.serve();
        // It releases what was not received yet, as far as it can know.
        script.receive(pubrel(9));
        assert_eq!(script.asked(), ["put received #9", "delete received #9"]);
        assert_eq!(script.fail(1), [""; 0]);
        assert_eq!(script.asked(), ["delete received #9"]);
        assert_eq!(script.confirm(1), ["PUBREC #9", "PUBCOMP #9"]);
        assert!(script.store.kept.is_empty());
    }
    both_roles!(check);
}

#[test]
fn messages_behind_one_that_was_given_up_wait_until_it_is_forgotten() {
    fn check<S: Side>() {
        let mut script = S::durable();
        script.cut();
        let late = PublishOptions {
            deadline: Some(script.now),
            ..ticket(1)
        };
        script
            .session
            .submit(script.now, message(QOS1, "late"), late)
            .unwrap();
        script.submit(message(QOS1, "next"), 2);
        script.serve();
        script.store.held = true;
        S::resume(&mut script, 10);
        // With the record of the first one a restart would take the second one for not sent.
        assert_eq!(script.asked(), ["delete 0", "put message 1 #1"]);
        assert_eq!(script.fail(1), [""; 0]);
        assert_eq!(script.asked(), ["put message 1 #1", "delete 0"]);
        assert_eq!(script.confirm(1), [""; 0]);
        assert_eq!(script.confirm(1), ["PUBLISH 1 #1 next"]);
    }
    both_roles!(check);
}

/// A client that is offline accepts a message, then comes a connection; both of its records are under way.
fn with_two_records_under_way() -> Script<ClientSession> {
    let mut script = Script::client(|config| config.durable = true);
    script.store.held = true;
    script.submit(message(QOS1, "a"), 1);
    script.serve();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    script.events();
    // The identifier is asked for once the message is stored; the answer to that is not heard before.
    let upto = script.store.store(1).unwrap();
    script.session.handle_stored(upto);
    assert_eq!(script.sent(), [""; 0]);
    assert_eq!(script.events(), ["accepted 1"]);
    assert_eq!(script.asked(), ["put message 0 #1"]);
    script
}

#[test]
fn an_accepted_message_stays_accepted_when_the_record_of_its_identifier_fails() {
    let mut script = with_two_records_under_way();
    for _ in 0..3 {
        assert_eq!(script.fail(1), [""; 0]);
        assert_eq!(script.events(), [""; 0]);
        assert_eq!(script.asked(), ["put message 0 #1"]);
    }
    assert_eq!(script.confirm(1), ["PUBLISH 1 #1 a"]);
    assert_eq!(script.events(), ["sent 1"]);
}

/// Another record would leave the old one, and its identifier, to be taken for a message that is done.
#[test]
fn a_message_sent_again_after_a_lost_session_keeps_its_record() {
    let change = |config: &mut ClientConfig| {
        config.durable = true;
        config.session_loss = SessionLoss::Resend;
    };
    let mut script = Script::client_with(change, connack(false));
    script.submit(message(QOS1, "a"), 1);
    script.submit(message(QOS2, "b"), 2);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 a", "PUBLISH 2 #2 b"]);
    script.cut();
    script.store.held = true;
    assert_eq!(
        script.reconnect(connack(false)),
        ["PUBLISH 1 #1 a", "PUBLISH 2 #2 b"]
    );
    assert_eq!(script.asked(), [""; 0]);
    script.submit(message(QOS1, "c"), 3);
    script.serve();
    assert_eq!(script.asked(), ["put message 2 #3"]);
}

#[test]
fn a_cleared_message_is_not_accepted_afterwards() {
    let change = |config: &mut ClientConfig| {
        config.durable = true;
        config.connect = connect();
        config.session_loss = SessionLoss::Clear;
    };
    let mut script = Script::client_with(change, connack(false));
    script.store.held = true;
    script.submit(message(QOS1, "a"), 1);
    script.serve();
    script.cut();
    script.events();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    let told = format!(
        "session lost: 1 messages of {} bytes, 0 sent",
        message(QOS1, "a").size()
    );
    assert_eq!(script.events(), ["connected", &told, "lost 1 SessionLost"]);
    assert_eq!(script.confirm(2), [""; 0]);
    assert_eq!(script.events(), [""; 0]);
    assert!(script.store.kept.is_empty());
}

#[test]
fn connect_waits_until_the_session_is_read_back() {
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    let mut script = Script::new(ClientSession::new(config));
    script.session.handle_connected(START);
    assert_eq!(script.session.poll_packet(START), None);
    let load = script.session.poll_load().unwrap();
    assert_eq!(script.session.poll_load(), None, "asked once");
    assert_eq!(load.from, Key::Backlog);
    assert_eq!(script.session.poll_packet(START), None);
    script.session.handle_loaded(START, Loaded::default());
    script.serve();
    assert_eq!(script.sent(), ["CONNECT"]);
}

#[test]
fn a_server_that_speaks_before_the_session_is_read_back_is_left() {
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    let mut script = Script::new(ClientSession::new(config));
    script.session.handle_connected(START);
    script.receive(Packet::ConnAck(connack(false).into()));
    assert!(script.session.poll_close());
}

#[test]
fn a_client_read_back_asks_for_its_session() {
    let mut script = Script::client_with(|config| config.durable = true, connack(false));
    script.submit(message(QOS1, "a"), 1);
    script.sent();
    script.store.crash();
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    assert!(config.connect.clean_start);
    script.session = ClientSession::new(config);
    script.serve();
    assert!(!script.dial().clean_start);
}

#[test]
fn a_long_session_is_read_back_in_stretches() {
    let mut script = Script::client(|config| config.durable = true);
    for n in 0..2500 {
        script.submit(message(QOS1, &n.to_string()), 0);
    }
    script.serve();
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    script.session = ClientSession::new(config);
    let mut loads = 0;
    while let Some(load) = script.session.poll_load() {
        loads += 1;
        let loaded = script.store.load(load);
        script.session.handle_loaded(START, loaded);
    }
    assert_eq!(loads, 3);
    assert_eq!(script.session.queued().0, 2500);
    let sent = script.reconnect(connack(true));
    assert_eq!(sent.len(), 2500);
    assert_eq!(sent[2499], "PUBLISH 1 #2500 2499");
}

#[test]
fn what_is_published_before_the_session_is_read_back_goes_behind_it() {
    let mut script = Script::client_with(|config| config.durable = true, connack(false));
    script.cut();
    script.submit(message(QOS1, "old"), 1);
    script.serve();
    script.store.crash();
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    config.outbox.limits.messages = 3;
    script.session = ClientSession::new(config);
    script.events();
    script.submit(message(QOS1, "new"), 2);
    let keep = PublishOptions {
        keep_offline: true,
        ..ticket(3)
    };
    script
        .session
        .publish(START, message(QOS0, "kept"), keep)
        .unwrap();
    assert_eq!(script.session.queued().0, 2);
    script.submit(message(QOS0, "dropped"), 4);
    assert_eq!(script.events(), ["lost 4 Offline"]);
    script.serve();
    assert_eq!(script.session.queued().0, 3);
    let rejected = script.session.publish(START, message(QOS1, "x"), ticket(5));
    assert!(matches!(
        rejected.unwrap_err().error,
        PublishError::Full { .. }
    ));
    assert_eq!(
        script.reconnect(connack(true)),
        ["PUBLISH 0 kept", "PUBLISH 1 #1 old", "PUBLISH 1 #2 new"]
    );
}

/// [MQTT-3.1.2-4]
#[test]
fn a_client_whose_store_is_empty_begins_anew_where_it_was_told_to() {
    let mut script = Script::client(|config| config.durable = true);
    assert!(script.dial().clean_start);
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.events(), ["connected"]);
}
