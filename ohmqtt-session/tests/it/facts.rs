//! What a client session says of how things stand.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

#[test]
fn the_quota_is_full_since_the_last_message_that_went() {
    let mut script = ClientSession::open(2);
    let full = |script: &Script<ClientSession>| script.session.quota_full_since();
    script.submit(message(QOS1, "a"), 0);
    script.submit(message(QOS2, "b"), 0);
    script.sent();
    assert_eq!(full(&script), None, "nothing waits for it");
    script.after(secs(1));
    script.submit(message(QOS1, "c"), 0);
    script.submit(message(QOS1, "d"), 0);
    assert_eq!(script.sent(), [""; 0]);
    let first = script.now;
    assert_eq!(full(&script), Some(first));
    script.after(secs(1));
    // A message at QoS 0 does not need it.
    script.submit(message(QOS0, "e"), 0);
    assert_eq!(script.sent(), ["PUBLISH 0 e"]);
    assert_eq!(full(&script), Some(first));
    assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #3 c"]);
    assert_eq!(full(&script), Some(script.now));
    assert_eq!(script.exchange([puback(3)]), ["PUBLISH 1 #4 d"]);
    assert_eq!(full(&script), None);
    script.submit(message(QOS1, "f"), 0);
    script.sent();
    assert!(full(&script).is_some());
    script.cut();
    assert_eq!(full(&script), None);
    // What goes again waits for it too.
    ClientSession::resume(&mut script, 1);
    assert_eq!(full(&script), Some(script.now));
}

#[test]
fn the_server_was_heard_when_its_last_packet_came() {
    let mut script = Script::client(|config| {
        config.connect.keep_alive = 10;
        config.ping_timeout = secs(5);
    });
    script.dial();
    assert_eq!(script.session.last_heard(), None);
    script.after(secs(1));
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.session.last_heard(), Some(script.now));
    let heard = script.now;
    script.after(secs(10));
    assert_eq!(script.sent(), ["PINGREQ"]);
    let asked = script.now;
    assert_eq!(script.session.last_heard(), Some(heard));
    assert_eq!(script.session.ping_unanswered_since(), Some(asked));
    script.after(secs(4));
    script.receive(publish(QOS0, 0, "a"));
    assert_eq!(script.session.last_heard(), Some(script.now));
    assert_eq!(script.session.ping_unanswered_since(), Some(asked));
    script.after(secs(1));
    script.receive(Packet::PingResp);
    assert_eq!(script.session.ping_unanswered_since(), None);
    script.after(secs(10));
    script.sent();
    script.cut();
    assert_eq!(script.session.ping_unanswered_since(), None);
    assert_eq!(script.session.last_heard(), None);
}

#[test]
fn whether_the_session_is_present_is_known_of_the_connection_that_stands() {
    let mut script = Script::client(|_| {});
    assert_eq!(script.session.session_present(), None);
    for present in [false, true, false] {
        script.dial();
        assert_eq!(script.session.session_present(), None);
        script.receive(Packet::ConnAck(connack(present).into()));
        assert_eq!(script.session.session_present(), Some(present));
        script.cut();
        assert_eq!(script.session.session_present(), None);
    }
}

#[test]
fn what_waits_for_the_store_is_counted_in_operations_and_bytes() {
    let mut script = ClientSession::durable();
    assert_eq!(script.session.store_waiting(), (0, 0));
    script.store.held = true;
    script.submit(message(QOS1, &"x".repeat(1000)), 1);
    script.submit(message(QOS0, "not stored"), 0);
    script.sent();
    let (operations, bytes) = script.session.store_waiting();
    assert_eq!(operations, 1);
    assert!((1000..2000).contains(&bytes), "{bytes}");
    script.receive(publish(QOS2, 1, "a"));
    script.events();
    script.answer(0);
    script.sent();
    assert_eq!(script.session.store_waiting().0, 2);
    script.store.confirm(&mut script.session, 1);
    let (operations, bytes) = script.session.store_waiting();
    assert_eq!(operations, 1);
    assert!(bytes < 1000, "{bytes}");
    script.store.confirm(&mut script.session, 1);
    assert_eq!(script.session.store_waiting(), (0, 0));
    // Before the session is read back nothing can be asked of the store.
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    script.session = ClientSession::new(config);
    script.submit(message(QOS1, "early"), 1);
    let size = message(QOS1, "early").size();
    assert_eq!(script.session.store_waiting(), (1, size));
}
