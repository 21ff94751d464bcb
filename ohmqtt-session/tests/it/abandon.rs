//! Messages that the application lets go of without a word: the server keeps them, and sends them again.

use ohmqtt_session::*;

use crate::peer::*;

impl Script<ClientSession> {
    /// The application lets go of the `n`th message that came.
    fn abandon(&mut self, n: usize) {
        self.session.abandon(self.receipts[n]);
    }

    /// The stream ends and another comes, on which the server goes on with the session.
    fn come_again(&mut self) {
        self.cut();
        self.events();
        assert_eq!(self.reconnect(connack(true)), [""; 0]);
    }
}

#[test]
fn an_abandoned_message_is_not_acknowledged_and_comes_again_at_the_next_resume() {
    for (qos, answer) in [(QOS1, "PUBACK #1"), (QOS2, "PUBREC #1")] {
        let mut script = Script::connected();
        script.receive(publish(qos, 1, "a"));
        assert_eq!(script.events(), ["message a"]);
        script.abandon(0);
        assert_eq!(script.sent(), [""; 0]);
        assert_eq!(script.session.unacknowledged(), 1);
        assert_eq!(script.session.abandoned(), 1);
        script.come_again();
        assert_eq!(script.session.abandoned(), 0);
        script.receive(again(publish(qos, 1, "a")));
        assert_eq!(script.events(), ["message a"]);
        script.answer(1);
        assert_eq!(script.sent(), [answer]);
    }
}

/// [MQTT-4.6.0-2] [MQTT-4.6.0-3] Acknowledgements behind it wait for one that does not come on this connection.
#[test]
fn what_came_behind_an_abandoned_message_waits_for_the_next_connection() {
    let mut script = Script::connected();
    for n in 1..=4 {
        let qos = if n % 2 == 0 { QOS2 } else { QOS1 };
        script.receive(publish(qos, n, &n.to_string()));
    }
    script.events();
    script.answer(0);
    script.abandon(1);
    script.answer(2);
    script.answer(3);
    assert_eq!(script.sent(), ["PUBACK #1"]);
    script.come_again();
    script.receive(again(publish(QOS2, 2, "2")));
    script.receive(again(publish(QOS1, 3, "3")));
    script.receive(again(publish(QOS2, 4, "4")));
    // The word on the fourth was not lost.
    assert_eq!(script.events(), ["message 2", "message 3"]);
    script.answer(4);
    script.answer(5);
    assert_eq!(script.sent(), ["PUBACK #3", "PUBREC #2", "PUBREC #4"]);
}

#[test]
fn the_first_of_two_words_counts() {
    let mut script = Script::connected();
    script.receive(publish(QOS2, 1, "a"));
    script.receive(publish(QOS2, 2, "b"));
    script.events();
    script.abandon(0);
    script.answer(0);
    script.answer(1);
    script.abandon(1);
    assert_eq!(script.sent(), [""; 0]);
    assert_eq!(script.session.abandoned(), 1);
    script.come_again();
    script.answer(0);
    script.receive(again(publish(QOS2, 1, "a")));
    script.receive(again(publish(QOS2, 2, "b")));
    assert_eq!(script.events(), ["message a"]);
    // The receipt is that of the first time.
    script.answer(0);
    assert_eq!(script.sent(), [""; 0]);
    script.answer(2);
    assert_eq!(script.sent(), ["PUBREC #1", "PUBREC #2"]);
}

#[test]
fn a_message_of_an_earlier_connection_is_abandoned_too() {
    // Before it comes again.
    let mut script = Script::connected();
    script.receive(publish(QOS2, 1, "a"));
    script.events();
    script.cut();
    script.events();
    script.abandon(0);
    script.answer(0);
    script.reconnect(connack(true));
    script.receive(again(publish(QOS2, 1, "a")));
    assert_eq!(script.events(), ["message a"]);
    // Behind that, the application has it still.
    script.come_again();
    script.receive(again(publish(QOS2, 1, "a")));
    assert_eq!(script.events(), [""; 0]);
    script.abandon(1);
    script.come_again();
    script.receive(again(publish(QOS2, 1, "a")));
    assert_eq!(script.events(), ["message a"]);
    script.answer(2);
    assert_eq!(script.sent(), ["PUBREC #1"]);
    // One of QoS 1 comes again in any case.
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    script.come_again();
    script.abandon(3);
    script.receive(again(publish(QOS1, 2, "b")));
    assert_eq!(script.events(), ["message b"]);
}

/// [MQTT-4.3.3-11] [MQTT-4.3.3-12] The server may give it up.
#[test]
fn a_release_of_an_abandoned_message_is_completed_and_lets_those_behind_it_go() {
    let mut script = Script::connected();
    script.receive(publish(QOS2, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    script.abandon(0);
    script.answer(1);
    assert_eq!(
        script.exchange([pubrel(1)]),
        ["PUBACK #2", "PUBCOMP #1"],
        "as for any message without a word"
    );
    assert_eq!(script.session.abandoned(), 0);
    script.receive(publish(QOS2, 1, "new"));
    assert_eq!(script.events(), ["message new"]);
    // And of one that is not remembered.
    script.cut();
    script.abandon(2);
    script.reconnect(connack(true));
    assert_eq!(script.exchange([pubrel(1)]), ["PUBCOMP #1 0x92"]);
}

#[test]
fn an_abandoned_message_is_no_message_of_the_next_session() {
    let mut script = Script::connected();
    script.receive(publish(QOS2, 1, "a"));
    script.events();
    script.abandon(0);
    script.cut();
    script.reconnect(connack(false));
    script.receive(publish(QOS2, 1, "new"));
    assert_eq!(script.events(), ["message new"]);
    script.abandon(0);
    script.answer(1);
    assert_eq!(script.sent(), ["PUBREC #1"]);
}

#[test]
fn a_durable_client_stores_nothing_of_an_abandoned_message() {
    let mut script = ClientSession::durable();
    script.receive(publish(QOS2, 1, "a"));
    script.events();
    script.abandon(0);
    script.cut();
    script.sent();
    assert!(script.store.kept.is_empty());
    ClientSession::restart(&mut script);
    script.receive(again(publish(QOS2, 1, "a")));
    assert_eq!(script.events(), ["message a"]);
}
