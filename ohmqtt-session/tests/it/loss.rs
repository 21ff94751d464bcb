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
    let events = script.events();
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
fn messages_kept_at_qos0_are_cleared_too() {
    let mut script = Script::client_with(
        |config| config.session_loss = SessionLoss::Clear,
        connack(false),
    );
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
    assert_eq!(script.events(), ["connected", "lost 1 SessionLost"]);
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
