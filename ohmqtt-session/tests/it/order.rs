//! Message ordering (section 4.6).

use crate::peer::*;

/// [MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACKs and PUBRECs leave in the order of the messages, whatever the order of the words.
#[test]
fn acknowledgements_leave_in_the_order_of_the_messages() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for n in 1..=6 {
            script.receive(publish(if n % 2 == 0 { QOS1 } else { QOS2 }, n, "a"));
        }
        script.events();
        for at in [5, 2, 3] {
            script.answer(at);
            assert_eq!(script.sent(), [""; 0]);
        }
        script.answer(0);
        assert_eq!(script.sent(), ["PUBREC #1"]);
        script.answer(1);
        assert_eq!(script.sent(), ["PUBACK #2", "PUBACK #4", "PUBREC #3"]);
        script.answer(4);
        assert_eq!(script.sent(), ["PUBACK #6", "PUBREC #5"]);
    }
    both_roles!(check);
}

/// [MQTT-4.6.0-4] PUBRELs leave in the order of the PUBRECs.
#[test]
fn releases_leave_in_the_order_of_the_pubrecs() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        (0..4).for_each(|_| script.submit(message(QOS2, "a"), 0));
        script.sent();
        assert_eq!(
            script.exchange([pubrec(3), pubrec(1), pubrec(4)]),
            ["PUBREL #3", "PUBREL #1", "PUBREL #4"]
        );
        assert_eq!(
            S::resume(&mut script, 10),
            ["PUBREL #3", "PUBREL #1", "PUBREL #4", "PUBLISH 2 #2 dup a"]
        );
    }
    both_roles!(check);
}

/// [MQTT-4.6.0-5] [MQTT-4.6.0-6] Messages go out in the order they came in.
#[test]
fn messages_go_out_in_the_order_they_were_accepted() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        for (n, qos) in [QOS1, QOS0, QOS2, QOS0, QOS1].into_iter().enumerate() {
            script.submit(message(qos, &n.to_string()), 0);
        }
        assert_eq!(
            script.sent(),
            [
                "PUBLISH 1 #1 0",
                "PUBLISH 0 1",
                "PUBLISH 2 #2 2",
                "PUBLISH 0 3",
                "PUBLISH 1 #3 4"
            ]
        );
    }
    both_roles!(check);
}

#[test]
fn qos0_overtakes_only_what_cannot_go() {
    fn check<S: Side>() {
        let mut script = S::open(1);
        for (n, qos) in [QOS1, QOS1, QOS0, QOS1, QOS0].into_iter().enumerate() {
            script.submit(message(qos, &n.to_string()), 0);
        }
        assert_eq!(
            script.sent(),
            ["PUBLISH 1 #1 0", "PUBLISH 0 2", "PUBLISH 0 4"]
        );
        script.submit(message(QOS0, "5"), 0);
        assert_eq!(
            script.exchange([puback(1)]),
            ["PUBLISH 1 #2 1", "PUBLISH 0 5"]
        );
    }
    both_roles!(check);
}
