//! The outbox: what it takes, what it drops, and when a message has waited too long.

use core::num::NonZeroU32;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn with_outbox(messages: usize, bytes: usize) -> Script<ClientSession> {
    Script::client_with(
        |config| config.outbox.limits = OutboxLimits { messages, bytes },
        connack(false),
    )
}

fn error(script: &mut Script<ClientSession>, message: Message) -> PublishError {
    let given = message.clone();
    let rejected = script
        .session
        .publish(script.now, message, ticket(1))
        .unwrap_err();
    assert_eq!(rejected.message, given, "the message is given back");
    rejected.error
}

#[test]
fn the_outbox_is_bounded_in_messages() {
    let mut script = with_outbox(2, 1000);
    script.submit(message(QOS1, "a"), 1);
    script.submit(message(QOS0, "b"), 2);
    let full = error(&mut script, message(QOS1, "c"));
    assert!(matches!(full, PublishError::Full { .. }), "{full:?}");
    assert!(!script.session.has_room(&message(QOS1, "")));
    // What is sent at QoS 0 and what is acknowledged at QoS 1 makes room.
    assert_eq!(script.sent().len(), 2);
    script.submit(message(QOS1, "c"), 3);
    error(&mut script, message(QOS1, "d"));
    script.receive(puback(1));
    script.submit(message(QOS1, "d"), 4);
}

#[test]
fn the_outbox_is_bounded_in_bytes() {
    let size = message(QOS1, "0123456789").size();
    let mut script = with_outbox(100, 2 * size);
    for n in 1..=2 {
        script.submit(message(QOS2, "0123456789"), n);
    }
    assert!(matches!(
        error(&mut script, message(QOS0, "")),
        PublishError::Full { .. }
    ));
    assert_eq!(
        error(&mut script, message(QOS1, &"x".repeat(100))),
        PublishError::TooLargeForOutbox {
            size: size + 90,
            limit: 2 * size
        }
    );
    script.sent();
    script.exchange([pubrec(1)]);
    let next = message(QOS2, "0123456789");
    assert!(!script.session.has_room(&next), "it is not finished");
    script.receive(pubcomp(1));
    assert!(script.session.has_room(&next));
    assert!(!script.session.has_room(&message(QOS2, &"x".repeat(100))));
    assert_eq!(script.session.queued(), (1, size));
}

#[test]
fn messages_wait_in_the_outbox_for_a_connection() {
    let mut script = Script::client(|_| {});
    for n in 1..=3 {
        script.submit(message(QOS1, &n.to_string()), n);
    }
    assert_eq!(script.events(), [""; 0]);
    assert_eq!(script.session.queued().0, 3);
    assert_eq!(
        script.reconnect(connack(false)),
        ["PUBLISH 1 #1 1", "PUBLISH 1 #2 2", "PUBLISH 1 #3 3"]
    );
}

#[test]
fn a_qos0_message_without_a_connection_is_dropped_unless_it_is_to_be_kept() {
    let mut script = Script::client(|_| {});
    let keep = |n| PublishOptions {
        keep_offline: true,
        ..ticket(n)
    };
    script.submit(message(QOS0, "dropped"), 1);
    script
        .session
        .publish(START, message(QOS0, "kept"), keep(2))
        .unwrap();
    assert_eq!(script.events(), ["lost 1 Offline"]);
    assert_eq!(script.session.queued().0, 1);
    assert_eq!(script.reconnect(connack(false)), ["PUBLISH 0 kept"]);
    script.events();
    // Accepted while connected, and not sent when the stream ends.
    script.submit(message(QOS0, "dropped"), 3);
    script
        .session
        .publish(START, message(QOS0, "kept"), keep(4))
        .unwrap();
    script.cut();
    assert_eq!(script.events()[0], "lost 3 Offline");
    assert_eq!(script.reconnect(connack(true)), ["PUBLISH 0 kept"]);
    assert_eq!(script.session.queued(), (0, 0));
}

/// [MQTT-3.1.2-25] [MQTT-3.1.2-24] A packet that is too large for the client is not sent, and the message is done.
#[test]
fn a_server_drops_what_is_too_large_for_the_client() {
    let mut connect = connect();
    connect
        .properties
        .set_maximum_packet_size(NonZeroU32::new(20).unwrap());
    let mut script = Script::server_with(ServerConfig::default(), connect, Accept::default());
    for (n, qos) in [(1, QOS0), (2, QOS1), (3, QOS2)] {
        script.submit(message(qos, &"x".repeat(20)), n);
        script.submit(message(qos, "fits"), 10 * n);
    }
    assert_eq!(
        script.sent(),
        ["PUBLISH 0 fits", "PUBLISH 1 #2 fits", "PUBLISH 2 #4 fits"]
    );
    let events = script.events();
    let lost =
        |ticket: u64, size: usize| format!("lost {ticket} TooLarge {{ size: {size}, limit: 20 }}");
    for (ticket, size) in [(1, 26), (2, 28), (3, 28)] {
        assert!(events.contains(&lost(ticket, size)), "{events:?}");
    }
    assert_eq!(script.session.in_flight(), 2);
    assert_eq!(script.session.queued().0, 2);
}

/// [MQTT-3.3.2-6] The interval that is sent is the one received less the time waited.
#[test]
fn the_message_expiry_interval_is_counted_down() {
    let mut script = Script::client(|_| {});
    let mut expiring = message(QOS1, "a");
    expiring.properties.set_message_expiry_interval(100);
    script.submit(expiring, 1);
    let mut interval = |wait: u64| {
        script.cut();
        script.now = script.now + secs(wait);
        script.dial();
        script.receive(Packet::ConnAck(connack(wait > 0).into()));
        match &script.packets()[..] {
            [Packet::Publish(publish)] => publish.properties.message_expiry_interval(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(interval(0), Some(100));
    assert_eq!(interval(30), Some(70));
    assert_eq!(interval(69), Some(1));
    // [MQTT-4.3.3-7] What was sent does not expire any more.
    assert_eq!(interval(1000), Some(1));
}

/// [MQTT-3.3.2-5] A message that has expired before it was sent is dropped, and told to be.
#[test]
fn a_message_that_expires_while_it_waits_is_dropped() {
    fn check<S: Side>() {
        let mut script = S::open(1);
        script.submit(message(QOS1, "first"), 1);
        for (n, interval) in [(2, 10), (3, 11)] {
            let mut expiring = message(QOS2, &n.to_string());
            expiring.properties.set_message_expiry_interval(interval);
            script.submit(expiring, n);
        }
        assert_eq!(script.sent(), ["PUBLISH 1 #1 first"]);
        script.now = script.now + secs(10);
        assert_eq!(script.exchange([puback(1)]), ["PUBLISH 2 #2 3"]);
        assert!(script.events().contains(&"lost 2 Expired".into()));
        assert_eq!(script.session.queued().0, 1);
    }
    both_roles!(check);
}

/// [MQTT-4.3.3-7] [MQTT-4.3.3-13] What was sent is sent again to its end, expired or not.
#[test]
fn a_message_that_expires_once_it_was_sent_goes_on() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        let mut expiring = message(QOS2, "a");
        expiring.properties.set_message_expiry_interval(5);
        script.submit(expiring, 1);
        script.sent();
        script.now = script.now + secs(60);
        assert_eq!(S::resume(&mut script, 10), ["PUBLISH 2 #1 dup a"]);
        script.now = script.now + secs(60);
        assert_eq!(script.exchange([pubrec(1)]), ["PUBREL #1"]);
        script.receive(pubcomp(1));
        assert!(script.events().contains(&"acked 1".into()));
    }
    both_roles!(check);
}

#[test]
fn a_message_is_dropped_when_it_could_not_be_sent_by_its_deadline() {
    fn check<S: Side>() {
        let mut script = S::open(1);
        script.submit(message(QOS1, "first"), 1);
        for (n, wait) in [(2, 9), (3, 10), (4, 11)] {
            let options = PublishOptions {
                deadline: Some(script.now + secs(wait)),
                ..ticket(n)
            };
            script
                .session
                .submit(script.now, message(QOS1, &n.to_string()), options)
                .unwrap();
        }
        script.sent();
        script.events();
        script.now = script.now + secs(10);
        assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #2 4"]);
        assert_eq!(
            script.events(),
            [
                "acked 1",
                "lost 2 DeadlinePassed",
                "lost 3 DeadlinePassed",
                "sent 4"
            ]
        );
        // Sent in time, it is sent again whenever.
        script.now = script.now + secs(10);
        assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #2 dup 4"]);
    }
    both_roles!(check);
}

#[test]
fn no_event_is_made_for_messages_that_nobody_asks_after_but_their_loss() {
    let mut script = Script::connected();
    for qos in [QOS0, QOS1, QOS2] {
        script.submit(message(qos, "a"), 0);
    }
    script.sent();
    script.receive(puback(1));
    script.receive(pubrec(2));
    script.receive(pubcomp(2));
    assert_eq!(script.events(), [""; 0]);
    script.cut();
    script.submit(message(QOS0, "a"), 0);
    assert!(script.events().contains(&"lost 0 Offline".into()));
}
