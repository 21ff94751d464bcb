//! A full outbox: what makes room, what is told of it, and that a message has its deadline wherever it waits.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// An outbox for three messages that does this when it is full, and holds so many of them in memory.
fn full(overflow: Overflow, window: usize) -> impl Fn(&mut OutboxConfig) + Copy {
    move |outbox| {
        outbox.limits.messages = 3;
        outbox.overflow = overflow;
        outbox.window.messages = window;
    }
}

/// One that is offline.
fn offline<S: Side>(overflow: Overflow, window: usize) -> Script<S> {
    let mut script = S::durable_with(full(overflow, window));
    script.cut();
    script.events();
    script
}

fn on(name: &str, payload: &str) -> Message {
    let mut message = message(QOS1, payload);
    message.topic = topic(name);
    message
}

fn until(script: &Script<impl Session>, seconds: u64, n: u64) -> PublishOptions {
    PublishOptions {
        deadline: Some(script.now + secs(seconds)),
        ..ticket(n)
    }
}

impl<S: Side> Script<S> {
    fn offer(&mut self, message: Message, options: PublishOptions) -> Result<(), PublishError> {
        let taken = self.session.submit(self.now, message, options);
        self.serve();
        taken.map_err(|rejected| rejected.error)
    }

    fn is_full(&mut self, message: Message) -> bool {
        matches!(
            self.offer(message, ticket(99)),
            Err(PublishError::Full { .. })
        )
    }

    fn take(&mut self, message: Message, n: u64) {
        self.offer(message, ticket(n)).unwrap();
    }
}

#[test]
fn drop_oldest_drops_the_oldest_that_was_not_sent_and_says_so() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::DropOldest, 10);
        for n in 1..=5 {
            script.take(message(QOS1, &n.to_string()), n);
        }
        let told: Vec<_> = script
            .events()
            .into_iter()
            .filter(|event| event.starts_with("lost"))
            .collect();
        assert_eq!(told, ["lost 1 Dropped", "lost 2 Dropped"]);
        assert_eq!(
            S::resume(&mut script, 10),
            ["PUBLISH 1 #1 3", "PUBLISH 1 #2 4", "PUBLISH 1 #3 5"]
        );
        // What was sent is not taken back.
        script.events();
        assert!(script.is_full(message(QOS1, "6")));
        assert_eq!(script.events(), [""; 0]);
        let counters = script.session.counters();
        assert_eq!(
            (counters.accepted, counters.dropped, counters.refused),
            (5, 2, 1)
        );
    }
    both_roles!(check);
}

#[test]
fn there_is_room_where_some_can_be_made() {
    for (overflow, can_be_made) in [
        (Overflow::Refuse, [false, false]),
        (Overflow::DropOldest, [true, true]),
        (Overflow::KeepNewest, [true, false]),
    ] {
        let mut script = offline::<ClientSession>(overflow, 10);
        for (n, topic) in ["a", "b", "c"].into_iter().enumerate() {
            let next = on(topic, "1");
            assert!(script.session.has_room(&next));
            script.take(next, n as u64);
        }
        for (topic, is_made) in ["a", "new"].into_iter().zip(can_be_made) {
            let next = on(topic, "2");
            assert_eq!(script.session.has_room(&next), is_made, "{overflow:?}");
            assert_eq!(!script.is_full(next), is_made, "{overflow:?}");
        }
        // What was sent is not taken back.
        ClientSession::resume(&mut script, 10);
        assert!(!script.session.has_room(&on("a", "3")));
        assert!(script.is_full(on("a", "3")));
    }
}

#[test]
fn drop_oldest_drops_across_qos_in_the_order_of_publishing() {
    let mut script = offline::<ClientSession>(Overflow::DropOldest, 10);
    let kept = |n| PublishOptions {
        keep_offline: true,
        ..ticket(n)
    };
    for (n, qos) in [
        (1, QOS0),
        (2, QOS1),
        (3, QOS0),
        (4, QOS1),
        (5, QOS0),
        (6, QOS0),
    ] {
        script.offer(message(qos, &n.to_string()), kept(n)).unwrap();
    }
    let lost = |n| format!("lost {n} Dropped");
    let events = script.events();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.starts_with("lost"))
        .collect();
    assert_eq!(told, [&lost(1), &lost(2), &lost(3)]);
}

#[test]
fn drop_oldest_reads_what_it_drops_next() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::DropOldest, 1);
        for n in 1..=3 {
            script.take(message(QOS1, &n.to_string()), n);
        }
        script.store.held_loads = true;
        script.take(message(QOS1, "4"), 4);
        // The oldest one is on the disk now; nothing newer goes in its place.
        assert!(script.is_full(message(QOS1, "5")));
        script.store.held_loads = false;
        script.serve();
        script.take(message(QOS1, "5"), 5);
        let events = script.events();
        for n in 1..=5 {
            let dropped = events.contains(&format!("lost {n} Dropped"));
            assert_eq!(dropped, n <= 2, "{events:?}");
        }
        assert_eq!(
            S::resume(&mut script, 10),
            ["PUBLISH 1 #1 3", "PUBLISH 1 #2 4", "PUBLISH 1 #3 5"]
        );
    }
    both_roles!(check);
}

#[test]
fn keep_newest_keeps_the_newest_of_each_topic_wherever_the_others_stand() {
    fn check<S: Side>() {
        for window in [10, 1] {
            for stored in [true, false] {
                let mut script = offline::<S>(Overflow::KeepNewest, window);
                script.store.held = !stored;
                script.take(on("a", "a1"), 1);
                script.take(on("b", "b1"), 2);
                script.take(on("a", "a2"), 3);
                script.take(on("c", "c1"), 4);
                // Now each is the newest on its topic, and only one of its own can go.
                assert!(script.is_full(on("d", "d1")));
                script.take(on("b", "b2"), 5);
                let events = script.events();
                let told: Vec<_> = events
                    .iter()
                    .filter(|event| event.starts_with("lost"))
                    .collect();
                assert_eq!(told, ["lost 1 Replaced", "lost 2 Replaced"]);
                script.store.held = false;
                script.serve();
                assert_eq!(
                    S::resume(&mut script, 10),
                    ["PUBLISH 1 #1 a2", "PUBLISH 1 #2 c1", "PUBLISH 1 #3 b2"]
                );
                script.exchange([puback(1), puback(2), puback(3)]);
                assert_eq!(script.session.queued(), (0, 0));
                assert!(script.store.kept.is_empty());
                assert_eq!(script.session.counters().replaced, 2);
            }
        }
    }
    both_roles!(check);
}

#[test]
fn keep_newest_drops_one_that_has_a_newer_before_the_newest_of_another_topic() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::KeepNewest, 10);
        for (n, name) in (1..).zip(["a", "a", "b", "b"]) {
            script.take(on(name, &n.to_string()), n);
        }
        let mut events = script.events();
        events.retain(|event| event.starts_with("lost"));
        assert_eq!(events, ["lost 1 Replaced"]);
        assert_eq!(
            S::resume(&mut script, 10),
            ["PUBLISH 1 #1 2", "PUBLISH 1 #2 3", "PUBLISH 1 #3 4"]
        );
    }
    both_roles!(check);
}

#[test]
fn drop_oldest_makes_room_in_bytes_too_at_every_qos() {
    for qos in [QOS0, QOS1] {
        let large = message(qos, &"x".repeat(100));
        let bytes = 2 * large.size();
        let mut script = ClientSession::durable_with(|outbox| {
            outbox.overflow = Overflow::DropOldest;
            outbox.limits.bytes = bytes;
        });
        script.cut();
        script.events();
        for n in 1..=3 {
            let options = PublishOptions {
                keep_offline: true,
                ..ticket(n)
            };
            script.offer(large.clone(), options).unwrap();
        }
        let mut events = script.events();
        events.retain(|event| event.starts_with("lost"));
        assert_eq!(events, ["lost 1 Dropped"]);
        assert_eq!(script.session.queued(), (2, bytes));
    }
}

#[test]
fn keep_newest_knows_the_topics_of_its_backlog_after_a_restart() {
    let config = |config: &mut ClientConfig| {
        config.durable = true;
        full(Overflow::KeepNewest, 1)(&mut config.outbox);
    };
    let mut script = Script::client(config);
    for (n, name) in [(1, "a"), (2, "b"), (3, "a")] {
        script.take(on(name, &n.to_string()), n);
    }
    let store = script.store;
    script = Script::client(config);
    script.session = {
        let mut anew = ClientConfig::new(text("c"));
        config(&mut anew);
        ClientSession::new(anew)
    };
    script.store = store;
    script.serve();
    script.take(on("c", "4"), 4);
    assert!(script.is_full(on("d", "5")), "each is the newest");
    script.take(on("b", "6"), 6);
    assert_eq!(
        script.reconnect(connack(false)),
        ["PUBLISH 1 #1 3", "PUBLISH 1 #2 4", "PUBLISH 1 #3 6"]
    );
    assert_eq!(script.session.counters().replaced, 2);
}

#[test]
fn nothing_is_dropped_for_a_message_that_finds_no_room_all_the_same() {
    fn check<S: Side>() {
        for overflow in [Overflow::DropOldest, Overflow::KeepNewest] {
            let mut script = S::durable_with(|outbox| {
                outbox.limits.bytes = 1500;
                outbox.overflow = overflow;
            });
            script.take(on("sent", &"x".repeat(1000)), 1);
            script.sent();
            script.cut();
            script.take(on("a", "a1"), 2);
            script.take(on("a", "a2"), 3);
            script.events();
            assert!(script.is_full(on("a", &"x".repeat(600))), "{overflow:?}");
            assert_eq!(script.events(), [""; 0]);
            assert_eq!(script.session.queued().0, 3);
        }
    }
    both_roles!(check);
}

#[test]
fn a_qos0_message_that_is_not_kept_takes_nobodys_room() {
    let mut script = offline::<ClientSession>(Overflow::DropOldest, 10);
    for n in 1..=3 {
        script.take(message(QOS1, "kept"), n);
    }
    script.events();
    script.take(message(QOS0, "gone"), 4);
    assert_eq!(script.events(), ["lost 4 Offline"]);
    assert_eq!(script.session.queued().0, 3);
}

/// Drops of messages that were read back without identifiers do not keep the others from their turn.
#[test]
fn a_stream_of_drops_does_not_keep_messages_from_being_sent() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::DropOldest, 10);
        let mut next = 0;
        let mut publish = |script: &mut Script<S>| {
            next += 1;
            let text = next.to_string();
            script
                .session
                .submit(script.now, message(QOS1, &text), ticket(next))
                .unwrap();
        };
        (0..3).for_each(|_| publish(&mut script));
        script.serve();
        script.store.held = true;
        publish(&mut script);
        S::resume(&mut script, 1);
        // Between any two words of the store another message comes.
        let mut sent = Vec::new();
        for _ in 0..4 {
            let asked = script.store.pending.len();
            publish(&mut script);
            script.store.confirm(&mut script.session, asked);
            sent.extend(script.sent());
        }
        assert_eq!(sent.len(), 1, "{sent:?}");
    }
    both_roles!(check);
}

#[test]
fn a_deadline_behind_does_not_keep_those_before_it_from_being_sent() {
    fn check<S: Side>() {
        let mut script = S::durable_with(|outbox| outbox.window.messages = 2);
        script.cut();
        for n in 1..=2 {
            script.take(message(QOS1, &n.to_string()), n);
        }
        let options = until(&script, 5, 3);
        script.offer(message(QOS1, "late"), options).unwrap();
        assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #1 1"]);
        script.store.held = true;
        script.after(secs(5));
        assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #2 2"]);
    }
    both_roles!(check);
}

#[test]
fn who_asks_hears_at_the_deadline_also_offline_and_of_what_is_in_the_store_alone() {
    fn check<S: Side>() {
        for window in [1, 10] {
            let mut script = offline::<S>(Overflow::Refuse, window);
            script.take(message(QOS1, "first"), 1);
            let options = until(&script, 30, 2);
            script.offer(message(QOS1, "late"), options).unwrap();
            script.events();
            assert_eq!(script.timeout(), Some(secs(30)));
            script.after(secs(29));
            assert_eq!(script.events(), [""; 0]);
            script.after(secs(1));
            script.serve();
            assert_eq!(script.events(), ["lost 2 DeadlinePassed"]);
            assert_eq!(script.timeout(), None);
            assert_eq!(script.session.queued().0, 1);
            assert_eq!(S::resume(&mut script, 10), ["PUBLISH 1 #1 first"]);
            script.exchange([puback(1)]);
            assert!(script.store.kept.is_empty());
        }
    }
    both_roles!(check);
}

#[test]
fn where_nobody_asks_a_deadline_is_looked_at_as_the_message_enters_the_window() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::Refuse, 1);
        script.take(message(QOS1, "first"), 1);
        let options = until(&script, 30, 0);
        script.offer(message(QOS1, "late"), options).unwrap();
        let mut expiring = message(QOS1, "expired");
        expiring.properties.set_message_expiry_interval(30);
        script.take(expiring, 0);
        script.events();
        assert_eq!(script.timeout(), None);
        script.after(secs(30));
        assert_eq!(script.session.queued().0, 3, "nobody has looked");
        assert_eq!(S::resume(&mut script, 10), ["PUBLISH 1 #1 first"]);
        assert_eq!(script.session.queued().0, 1);
        let counters = script.session.counters();
        assert_eq!((counters.deadline_passed, counters.expired), (1, 1));
    }
    both_roles!(check);
}

/// The index by topic has no more of it either.
#[test]
fn a_message_that_missed_its_deadline_on_the_disk_is_not_dropped_a_second_time() {
    fn check<S: Side>() {
        let mut script = offline::<S>(Overflow::KeepNewest, 1);
        script.take(on("a", "1"), 1);
        let options = until(&script, 30, 2);
        script.offer(on("b", "2"), options).unwrap();
        script.take(on("c", "3"), 3);
        script.after(secs(30));
        script.serve();
        script.take(on("b", "4"), 4);
        assert!(script.is_full(on("d", "5")));
        assert_eq!(script.session.queued().0, 3);
        let counters = script.session.counters();
        assert_eq!((counters.deadline_passed, counters.replaced), (1, 0));
    }
    both_roles!(check);
}

#[test]
fn what_is_over_makes_room_at_once_in_memory_and_after_a_look_on_the_disk() {
    fn check<S: Side>() {
        for (window, at_once) in [(10, true), (1, false)] {
            let mut script = offline::<S>(Overflow::Refuse, window);
            script.take(message(QOS1, "first"), 1);
            for n in [2, 3] {
                let mut expiring = message(QOS1, &n.to_string());
                expiring.properties.set_message_expiry_interval(30);
                script.take(expiring, n);
            }
            script.now = script.now + secs(30);
            assert_eq!(script.is_full(message(QOS1, "4")), !at_once);
            if !at_once {
                assert_eq!(script.timeout(), Some(secs(0)));
                script.after(secs(0));
                script.serve();
                script.take(message(QOS1, "4"), 4);
            }
            let counters = script.session.counters();
            assert_eq!(
                (counters.expired, counters.refused),
                (2, u64::from(!at_once))
            );
            assert_eq!(script.session.queued().0, 2);
        }
    }
    both_roles!(check);
}

#[test]
fn a_full_outbox_looks_through_its_disk_now_and_then_until_there_is_room() {
    let mut script = offline::<ClientSession>(Overflow::Refuse, 1);
    for n in 1..=3 {
        script.take(message(QOS1, &n.to_string()), n);
    }
    assert!(script.is_full(message(QOS1, "4")));
    script.after(secs(0));
    script.serve();
    let next = script.timeout().unwrap();
    assert!(next > secs(0));
    let sent = script.reconnect(connack(false));
    assert_eq!(sent.len(), 3);
    script.exchange([puback(1)]);
    script.cut();
    script.after(next);
    assert_eq!(script.timeout(), None);
}

#[test]
fn when_the_store_hangs_messages_wait_outside_until_it_comes_on() {
    fn check<S: Side>() {
        for overflow in [Overflow::Refuse, Overflow::DropOldest] {
            let mut script = S::durable_with(|outbox| {
                outbox.overflow = overflow;
                outbox.limits.messages = if overflow == Overflow::Refuse {
                    100_000
                } else {
                    10
                };
            });
            script.cut();
            script.store.held = true;
            let payload = "x".repeat(10_000);
            let refused = (0..2000).find_map(|_| {
                let taken = script
                    .session
                    .submit(script.now, message(QOS1, &payload), ticket(0));
                taken.err().map(|rejected| rejected.error)
            });
            assert_eq!(refused, Some(PublishError::StoreBehind), "{overflow:?}");
            let kept = PublishOptions {
                keep_offline: true,
                ..ticket(0)
            };
            let without_record = message(QOS0, "");
            assert_eq!(script.offer(without_record, kept), Ok(()));
            script.store.held = false;
            script.serve();
            assert_eq!(script.offer(message(QOS1, &payload), ticket(0)), Ok(()));
        }
    }
    both_roles!(check);
}

#[test]
fn each_message_is_counted_once_as_what_became_of_it() {
    let mut script = Script::client(|config| {
        config.durable = true;
        full(Overflow::DropOldest, 1)(&mut config.outbox);
    });
    script.take(message(QOS0, "offline"), 1);
    for n in 2..=5 {
        script.take(message(QOS1, &n.to_string()), n);
    }
    let sent = script.reconnect(connack(false));
    assert_eq!(sent.len(), 3);
    script.exchange([puback(1)]);
    script.cut();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    script.sent();
    script.store.held = true;
    script.offer(message(QOS1, "failed"), ticket(6)).unwrap();
    script.store.fail(&mut script.session, usize::MAX);
    script.serve();
    let counters = script.session.counters();
    assert_eq!(counters.accepted, 6);
    assert_eq!(counters.delivered, 1);
    let each = [
        counters.dropped,
        counters.session_lost,
        counters.store_failed,
        counters.other,
    ];
    assert_eq!(each, [1, 2, 1, 1]);
    assert_eq!(counters.accepted, counters.delivered + counters.lost());
}

/// [MQTT-3.2.2-11] Given up for the server's new limits, it is told once, and its identifier released.
#[test]
fn a_sent_message_that_is_given_up_is_not_counted_again_when_its_identifier_is_free() {
    let mut script = Script::connected();
    script.submit(message(QOS2, "a"), 1);
    script.sent();
    let mut lower = connack(true);
    lower.properties.set_maximum_qos(QOS1);
    script.cut();
    assert_eq!(script.reconnect(lower), ["PUBREL #1"]);
    script.exchange([pubcomp(1)]);
    let counters = script.session.counters();
    assert_eq!(
        (counters.accepted, counters.delivered, counters.lost()),
        (1, 0, 1)
    );
    assert_eq!(script.session.queued(), (0, 0));
}
