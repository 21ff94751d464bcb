//! The server has lost the session (section 3.2.2.1.1): what becomes of what was sent under it.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A client with one message sent at each QoS above 0, one released, one incoming, and two waiting for quota; then the session is lost.
fn lost(policy: SessionLoss) -> (Script<ClientSession>, Vec<String>, Vec<String>) {
    let mut connack = connack(false);
    connack
        .properties
        .set_receive_maximum(core::num::NonZeroU16::new(3).unwrap());
    let mut script = Script::client_with(|config| config.session_loss = policy, connack);
    for n in 1..=5 {
        script.submit(message(if n == 2 { QOS1 } else { QOS2 }, &n.to_string()), n);
    }
    assert_eq!(script.sent().len(), 3);
    script.exchange([pubrec(3), publish(QOS2, 9, "incoming")]);
    script.events();
    script.answer(0);
    assert_eq!(script.sent(), ["PUBREC #9"]);
    script.cut();
    script.events();
    script.dial();
    script.receive(Packet::ConnAck(crate::peer::connack(false).into()));
    let sent = script.sent();
    let mut events = script.events();
    let size = message(QOS2, "1").size();
    let told = format!("session lost: 5 messages of {} bytes, 3 sent", 5 * size);
    assert_eq!(events.remove(1), told);
    (script, sent, events)
}

/// [MQTT-3.2.2-5] What was sent under the lost session fails; what was not goes out in order.
#[test]
fn by_default_messages_that_were_sent_fail_and_the_others_go_out() {
    let (script, sent, events) = lost(SessionLoss::Fail);
    assert_eq!(sent, ["PUBLISH 2 #4 4", "PUBLISH 2 #5 5"]);
    assert_eq!(
        events,
        [
            "connected",
            "lost 1 SessionLost",
            "lost 2 SessionLost",
            "lost 3 SessionLost",
            "sent 4",
            "sent 5"
        ]
    );
    assert_eq!(script.session.queued().0, 2);
    assert_eq!(script.session.in_flight(), 2);
}

/// [MQTT-3.2.2-5] [MQTT-4.4.0-1] They go out as new messages: new identifiers, no DUP.
#[test]
fn on_request_messages_that_were_sent_are_sent_as_new_ones() {
    let (script, sent, events) = lost(SessionLoss::Resend);
    assert_eq!(
        sent,
        [
            "PUBLISH 2 #4 1",
            "PUBLISH 1 #5 2",
            "PUBLISH 2 #6 4",
            "PUBLISH 2 #7 5"
        ]
    );
    // The third was the server's already.
    assert_eq!(events[..2], ["connected", "lost 3 SessionLost"]);
    assert_eq!(script.session.queued().0, 4);
}

/// [MQTT-3.2.2-5] All that is held for the session goes.
#[test]
fn on_request_all_messages_fail() {
    let (mut script, sent, events) = lost(SessionLoss::Clear);
    assert_eq!(sent, [""; 0]);
    assert_eq!(
        events,
        [
            "connected",
            "lost 1 SessionLost",
            "lost 2 SessionLost",
            "lost 3 SessionLost",
            "lost 4 SessionLost",
            "lost 5 SessionLost"
        ]
    );
    assert_eq!(script.session.queued(), (0, 0));
    script.submit(message(QOS2, "next"), 0);
    assert_eq!(script.sent(), ["PUBLISH 2 #4 next"]);
}

/// [MQTT-3.2.2-5] The identifiers of the server's old messages mean nothing any more.
#[test]
fn incoming_identifiers_of_the_lost_session_mean_new_messages() {
    for policy in [SessionLoss::Fail, SessionLoss::Resend, SessionLoss::Clear] {
        let (mut script, _, _) = lost(policy);
        script.receive(publish(QOS2, 9, "new"));
        assert_eq!(script.events(), ["message new"]);
        assert_eq!(script.exchange([pubcomp(3)]), [""; 0]);
    }
}

#[test]
fn a_word_on_a_message_of_the_lost_session_does_nothing() {
    let mut script = Script::connected();
    script.receive(publish(QOS2, 1, "old"));
    script.events();
    script.cut();
    script.reconnect(connack(false));
    script.receive(publish(QOS2, 1, "new"));
    assert_eq!(script.events(), ["message new"]);
    script.answer(0);
    assert_eq!(script.sent(), [""; 0]);
    script.answer(1);
    assert_eq!(script.sent(), ["PUBREC #1"]);
}

#[test]
fn the_loss_of_a_session_that_was_to_be_kept_is_told_before_what_is_lost_by_it() {
    let keep = |config: &mut ClientConfig| config.connect = connect();
    let mut script = Script::client_with(keep, connack(false));
    let again = |script: &mut Script<ClientSession>, answer: ConnAck| {
        script.cut();
        script.events();
        script.dial();
        script.receive(Packet::ConnAck(answer.into()));
        script.events()
    };
    let nothing = "session lost: 0 messages of 0 bytes, 0 sent";
    assert_eq!(again(&mut script, connack(false)), ["connected", nothing]);
    assert_eq!(again(&mut script, connack(true)), ["connected present"]);
    script.submit(message(QOS1, "a"), 1);
    script.sent();
    script.submit(message(QOS1, "b"), 2);
    let size = message(QOS1, "a").size();
    assert_eq!(
        again(&mut script, connack(false)),
        [
            "connected".to_owned(),
            format!("session lost: 2 messages of {} bytes, 1 sent", 2 * size),
            "lost 1 SessionLost".to_owned()
        ]
    );
    // The server has said that it keeps none.
    let mut answer = connack(false);
    answer.properties.set_session_expiry_interval(0);
    assert_eq!(script.sent(), ["PUBLISH 1 #2 b"]);
    script.receive(puback(2));
    assert_eq!(again(&mut script, answer.clone()), ["connected", nothing]);
    assert_eq!(again(&mut script, answer), ["connected"]);
}

#[test]
fn a_first_connection_loses_no_session() {
    let vouching = |config: &mut ClientConfig| {
        config.connect = connect();
        config.connect.clean_start = false;
    };
    let mut script = Script::client(vouching);
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.events(), ["connected"]);
    let mut script = ClientSession::durable();
    script.submit(message(QOS1, "a"), 1);
    script.sent();
    script.cut();
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    script.session = ClientSession::new(config);
    script.serve();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    let events = script.events();
    assert!(
        events[1].starts_with("session lost: 1 messages"),
        "{events:?}"
    );
}

fn clear_a_kept_session(config: &mut ClientConfig) {
    config.connect = connect();
    config.session_loss = SessionLoss::Clear;
}

#[test]
fn without_a_session_to_lose_nothing_is_cleared() {
    let mut script = Script::client_with(
        |config| {
            config.connect.clean_start = false;
            config.session_loss = SessionLoss::Clear;
        },
        connack(false),
    );
    // Its session ended with its connection, and nothing was sent under it.
    script.cut();
    script.events();
    script.submit(message(QOS1, "a"), 1);
    assert_eq!(script.reconnect(connack(false)), ["PUBLISH 1 #1 a"]);
    assert_eq!(script.events(), ["sent 1"]);
}

#[test]
fn messages_kept_at_qos0_are_cleared_too() {
    let mut script = Script::client_with(clear_a_kept_session, connack(false));
    script.cut();
    script.events();
    let keep = PublishOptions {
        keep_offline: true,
        ..ticket(1)
    };
    script
        .session
        .publish(START, message(QOS0, "a"), keep)
        .unwrap();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    let told = format!(
        "session lost: 1 messages of {} bytes, 0 sent",
        message(QOS0, "a").size()
    );
    assert_eq!(script.events(), ["connected", &told, "lost 1 SessionLost"]);
    assert_eq!(script.session.queued(), (0, 0));
}

#[test]
fn a_session_that_is_present_loses_nothing() {
    let mut script = Script::client_with(
        |config| config.session_loss = SessionLoss::Clear,
        connack(false),
    );
    script.submit(message(QOS1, "a"), 1);
    script.sent();
    script.events();
    script.cut();
    script.events();
    assert_eq!(script.reconnect(connack(true)), ["PUBLISH 1 #1 dup a"]);
}

#[test]
fn a_durable_client_forgets_a_lost_session_in_its_store() {
    for policy in [SessionLoss::Fail, SessionLoss::Resend, SessionLoss::Clear] {
        let change = |config: &mut ClientConfig| {
            config.durable = true;
            config.session_loss = policy;
        };
        let mut script = Script::client_with(change, connack(false));
        for n in 1..=3 {
            script.submit(message(QOS2, &n.to_string()), n);
        }
        script.sent();
        script.exchange([pubrec(1), publish(QOS2, 9, "incoming")]);
        script.events();
        script.answer(0);
        script.sent();
        assert_eq!(script.store.kept.len(), 4);
        script.cut();
        let sent = script.reconnect(connack(false));
        let want = if policy == SessionLoss::Resend { 2 } else { 0 };
        assert_eq!(sent.len(), want);
        assert_eq!(script.store.kept.len(), want);
        let kept = script.store.kept.keys();
        assert!(kept.into_iter().all(|key| matches!(key, Key::Outgoing(_))));
        // What the store keeps is what is in flight.
        let again = ClientSession::restart(&mut script);
        let expected: Vec<_> = sent
            .iter()
            .map(|packet| {
                let (head, payload) = packet.rsplit_once(' ').unwrap();
                format!("{head} dup {payload}")
            })
            .collect();
        assert_eq!(again, expected);
    }
}
