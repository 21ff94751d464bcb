//! What lies behind the window of a durable outbox: it costs no memory, it is read in order, and no failure, restart or take-over loses
//! or repeats it.

use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// An outbox that holds so many unsent messages in memory.
fn window(messages: usize) -> impl Fn(&mut OutboxConfig) + Copy {
    move |outbox| outbox.window.messages = messages
}

/// One that is offline, with the messages `0` to before `n` in its store and these as their tickets plus one.
fn with_backlog<S: Side>(in_window: usize, n: u64) -> Script<S> {
    let mut script = S::durable_with(window(in_window));
    script.cut();
    script.events();
    script.publish_all(0..n);
    script
}

impl<S: Side> Script<S> {
    fn publish_all(&mut self, numbers: core::ops::Range<u64>) {
        for n in numbers {
            self.submit(message(QOS1, &n.to_string()), n + 1);
            self.serve();
        }
    }

    /// Acknowledges what was sent, and what is sent then, until nothing is. Gives the payloads in order.
    fn drain(&mut self, mut sent: Vec<String>) -> Vec<String> {
        let mut payloads = Vec::new();
        while !sent.is_empty() {
            let mut acks = Vec::new();
            for publish in &sent {
                let (id, payload) = publish
                    .split_once('#')
                    .and_then(|(_, rest)| rest.split_once(' '))
                    .unwrap();
                acks.push(puback(id.parse().unwrap()));
                payloads.push(payload.trim_start_matches("dup ").to_owned());
            }
            sent = self.exchange(acks);
        }
        payloads
    }

    fn backlog(&self) -> Option<Backlog> {
        match self.store.kept.get(&Key::Backlog) {
            Some(Record::Backlog(backlog)) => Some(*backlog),
            _ => None,
        }
    }

    /// As a driver does it, but that what is read stays unread.
    fn asked_load(&mut self) -> Option<Load> {
        self.store.held_loads = true;
        self.serve();
        self.session.poll_load()
    }

    fn answer_load(&mut self, load: Load) {
        let loaded = self.store.load(load);
        self.session.handle_loaded(self.now, loaded);
        self.store.held_loads = false;
    }
}

fn numbers(range: core::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn what_is_behind_the_window_is_four_numbers_and_no_payload_is_held() {
    fn check<S: Side>() {
        let mut script = S::durable_with(window(3));
        script.cut();
        let alive = Arc::new(());
        for n in 0..10 {
            let mut message = message(QOS1, "");
            message.payload = Bytes::from_owner(Payload(alive.clone()));
            script.submit(message, n);
        }
        // What is not stored yet is held, wherever it stands.
        assert_eq!(Arc::strong_count(&alive), 11);
        script.serve();
        assert_eq!(Arc::strong_count(&alive), 1 + 3);
        let size = message(QOS1, "payload").size() as u64;
        let behind = Backlog {
            first: 3,
            next: 10,
            messages: 7,
            bytes: 7 * size,
        };
        assert_eq!(script.backlog(), Some(behind));
        assert_eq!(script.session.queued().0, 10);
        assert_eq!(script.store.kept.len(), 1 + 10);
    }
    both_roles!(check);
}

struct Payload(#[expect(dead_code, reason = "it is counted while it is there")] Arc<()>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        b"payload"
    }
}

#[test]
fn a_backlog_is_sent_in_order_and_leaves_nothing_behind() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(3, 20);
        let sent = S::resume(&mut script, 2);
        assert_eq!(sent, ["PUBLISH 1 #1 0", "PUBLISH 1 #2 1"]);
        assert_eq!(script.drain(sent), numbers(0..20));
        assert_eq!(script.session.queued(), (0, 0));
        assert!(script.store.kept.is_empty());
        // Those who ask hear of each under its own ticket.
        let events = script.events();
        assert!(events.contains(&"sent 20".into()) && events.contains(&"acked 20".into()));
        let lost = script.session.counters().lost();
        assert_eq!((script.session.counters().delivered, lost), (20, 0));
    }
    both_roles!(check);
}

#[test]
fn what_is_published_while_a_backlog_drains_goes_behind_it() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(4, 10);
        let mut sent = S::resume(&mut script, 1);
        let mut arrived = Vec::new();
        for n in 10..14 {
            script.submit(message(QOS1, &n.to_string()), 0);
            arrived.push(sent[0].rsplit(' ').next().unwrap().to_owned());
            let id = sent[0].split(['#', ' ']).nth(3).unwrap();
            sent = script.exchange([puback(id.parse().unwrap())]);
        }
        arrived.extend(script.drain(sent));
        assert_eq!(arrived, numbers(0..14));
    }
    both_roles!(check);
}

#[test]
fn the_next_stretch_is_as_large_as_the_room_in_the_window_and_asked_for_when_half_is_empty() {
    fn check<S: Side>() {
        let size = message(QOS1, "0").size();
        let mut script = S::durable_with(|outbox| {
            outbox.window.messages = 4;
            outbox.window.bytes = 4 * size;
        });
        script.cut();
        script.publish_all(0..10);
        script.store.held_loads = true;
        assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #1 0"]);
        assert_eq!(script.asked_load(), None, "three of four are there");
        script.exchange([puback(1)]);
        let load = Load {
            from: Key::Outgoing(4),
            to: Some(Key::Outgoing(10)),
            max: 2,
            bytes: 2 * size,
        };
        assert_eq!(script.asked_load(), Some(load));
        assert_eq!(script.asked_load(), None, "one at a time");
        script.answer_load(load);
        assert_eq!(script.backlog().unwrap().first, 4, "not stored yet");
        script.serve();
        assert_eq!(script.backlog().unwrap().first, 6);
        let sent = script.exchange([puback(2)]);
        assert_eq!(script.drain(sent), numbers(2..10));
    }
    both_roles!(check);
}

#[test]
fn a_message_larger_than_the_window_passes_it_alone() {
    fn check<S: Side>() {
        let mut script = S::durable_with(|outbox| outbox.window.bytes = 50);
        script.cut();
        for (n, length) in [(1, 40), (2, 400), (3, 400), (4, 4)] {
            script.submit(message(QOS1, &n.to_string().repeat(length)), n);
            script.serve();
        }
        assert_eq!(script.backlog().unwrap().messages, 3);
        let sent = S::resume(&mut script, 1);
        let arrived = script.drain(sent);
        let firsts: Vec<_> = arrived.iter().map(|payload| &payload[..1]).collect();
        assert_eq!(firsts, ["1", "2", "3", "4"]);
    }
    both_roles!(check);
}

#[test]
fn identifiers_of_what_was_read_are_recorded_together_before_they_are_used() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(2, 4);
        script.store.held = true;
        assert_eq!(S::resume(&mut script, 10), [""; 0]);
        assert_eq!(
            script.store.asked(),
            ["put message 0 #1", "put message 1 #2"]
        );
        script.store.confirm(&mut script.session, usize::MAX);
        assert_eq!(script.sent(), ["PUBLISH 1 #1 0", "PUBLISH 1 #2 1"]);
        assert_eq!(
            script.store.asked(),
            ["delete backlog", "put message 2 #3", "put message 3 #4"]
        );
        script.store.confirm(&mut script.session, usize::MAX);
        assert_eq!(script.sent(), ["PUBLISH 1 #3 2", "PUBLISH 1 #4 3"]);
    }
    both_roles!(check);
}

#[test]
fn opening_reads_the_numbers_and_the_window_alone() {
    let mut script = with_backlog::<ClientSession>(4, 100);
    let queued = script.session.queued();
    let mut config = ClientConfig::new(text("c"));
    config.durable = true;
    window(4)(&mut config.outbox);
    script.session = ClientSession::new(config);
    let mut read = Vec::new();
    while let Some(load) = script.session.poll_load() {
        let loaded = script.store.load(load);
        read.push(loaded.records.len());
        script.session.handle_loaded(START, loaded);
    }
    assert_eq!(read, [1, 4, 0]);
    assert_eq!(script.session.queued(), queued);
}

/// [MQTT-4.3.3-10] [MQTT-4.4.0-1] Wherever the process ends while a backlog drains, it goes on there.
#[test]
fn a_restart_at_any_point_of_a_drain_loses_repeats_and_reorders_nothing() {
    for from in From::BOTH {
        for qos in [QOS1, QOS2] {
            for packets in 0..40 {
                for stored in 0..3 {
                    let mut pair = Pair::connected(|client, server| {
                        (client.durable, server.durable) = (true, true);
                        window(2)(&mut client.outbox);
                        window(2)(&mut server.outbox);
                    });
                    pair.cut();
                    for n in 0..7 {
                        pair.submit(from, message(qos, &n.to_string()));
                        pair.drive_packets(0);
                    }
                    pair.serve();
                    pair.dial();
                    pair.drive_packets(packets);
                    pair.store(from).held = true;
                    pair.drive_packets(1);
                    pair.store(from).store(stored);
                    pair.crash(from);
                    pair.store(from).held = false;
                    pair.reconnect();
                    let mut first = pair.got(from).to_vec();
                    let at = format!("{from:?} {qos:?} {packets} {stored}: {first:?}");
                    if qos == QOS1 {
                        let mut seen = std::collections::BTreeSet::new();
                        first.retain(|payload| seen.insert(payload.clone()));
                    }
                    assert_eq!(first, numbers(0..7), "{at}");
                    assert_eq!(pair.client.session.queued(), (0, 0), "{at}");
                    assert_eq!(pair.server.session.queued(), (0, 0), "{at}");
                    assert!(pair.store(from).kept.is_empty(), "{at}");
                }
            }
        }
    }
}

#[test]
fn qos0_does_not_wait_for_a_backlog_to_be_read() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(1, 3);
        script.store.held_loads = true;
        assert_eq!(S::resume(&mut script, 10), ["PUBLISH 1 #1 0"]);
        script.submit(message(QOS0, "now"), 0);
        assert_eq!(script.sent(), ["PUBLISH 0 now"]);
        script.store.held_loads = false;
        assert_eq!(script.sent(), ["PUBLISH 1 #2 1", "PUBLISH 1 #3 2"]);
    }
    both_roles!(check);
}

#[test]
fn a_stretch_that_could_not_be_read_is_asked_for_again() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(1, 3);
        script.store.held_loads = true;
        let sent = S::resume(&mut script, 10);
        let load = script.asked_load().unwrap();
        script.session.handle_load_failed();
        assert_eq!(script.asked_load(), Some(load));
        script.answer_load(load);
        assert_eq!(script.drain(sent), numbers(0..3));
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}

#[test]
fn a_take_over_while_a_stretch_is_read_reads_it_again() {
    let mut script = with_backlog::<ServerSession>(1, 4);
    script.store.held_loads = true;
    let sent = ServerSession::resume(&mut script, 1);
    assert_eq!(sent, ["PUBLISH 1 #1 0"]);
    let load = script.asked_load().unwrap();
    // The answer goes to the session that asked.
    assert_eq!(
        ServerSession::resume(&mut script, 1),
        ["PUBLISH 1 #1 dup 0"]
    );
    assert_eq!(script.asked_load(), Some(load));
    script.answer_load(load);
    assert_eq!(script.drain(sent), numbers(0..4));
}

#[test]
fn a_cleared_backlog_is_given_up_as_it_is_read() {
    let clear = |config: &mut ClientConfig| {
        config.durable = true;
        config.connect = connect();
        config.session_loss = SessionLoss::Clear;
        window(2)(&mut config.outbox);
    };
    let mut script = Script::client_with(clear, connack(false));
    script.cut();
    script.publish_all(0..10);
    script.events();
    script.dial();
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.sent(), [""; 0]);
    let lost = |n| format!("lost {n} SessionLost");
    let events = script.events();
    assert!((1..=10).all(|n| events.contains(&lost(n))), "{events:?}");
    assert_eq!(script.session.queued(), (0, 0));
    assert_eq!(script.session.counters().session_lost, 10);
    assert!(script.store.kept.is_empty());
    script.submit(message(QOS1, "new"), 11);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 new"]);
}

#[test]
fn what_a_failed_batch_was_to_hold_is_not_counted_for_ever() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(1, 2);
        script.store.held = true;
        script.publish_all(2..3);
        let failed = script.store.pending.len();
        script.publish_all(3..4);
        // The later batch is stored, and its numbers tell of both messages.
        script.store.fail(&mut script.session, failed);
        script.store.store(usize::MAX);
        assert!(script.events().contains(&"lost 3 StoreFailed".into()));
        assert_eq!(script.backlog().unwrap().messages, 3);
        let sent = S::restart_with(&mut script, window(1));
        assert_eq!(script.drain(sent), ["0", "1", "3"]);
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}

/// The backlog has come to its end, which the store could not be told; but it has the message `4`, published after that.
fn with_an_end_that_failed<S: Side>() -> Script<S> {
    let mut script = with_backlog::<S>(3, 4);
    assert_eq!(S::resume(&mut script, 1), ["PUBLISH 1 #1 0"]);
    script.store.held = true;
    assert_eq!(script.exchange([puback(1)]), ["PUBLISH 1 #2 1"]);
    script.publish_all(4..5);
    assert_eq!(
        script.store.asked(),
        ["delete 0", "delete backlog", "put message 4"]
    );
    script.store.confirm(&mut script.session, 1);
    script.store.fail(&mut script.session, 1);
    script.store.confirm(&mut script.session, 1);
    script
}

#[test]
fn no_message_is_lost_when_the_store_was_not_told_that_the_backlog_is_over() {
    fn check<S: Side>() {
        let mut script = with_an_end_that_failed::<S>();
        assert_eq!(script.backlog().map(|backlog| backlog.next), Some(4));
        let sent = S::restart_with(&mut script, window(3));
        assert_eq!(script.drain(sent), numbers(1..5));
        assert_eq!(script.session.queued(), (0, 0));
        assert!(script.store.kept.is_empty());
    }
    both_roles!(check);
}

#[test]
fn messages_behind_the_end_of_the_numbers_are_found() {
    fn check<S: Side>() {
        let mut script = with_backlog::<S>(1, 3);
        let told = script.store.kept[&Key::Backlog].clone();
        script.publish_all(3..6);
        script.store.kept.insert(Key::Backlog, told);
        let sent = S::restart_with(&mut script, window(1));
        assert_eq!(script.session.queued().0, 6);
        assert_eq!(script.drain(sent), numbers(0..6));
        assert_eq!(script.session.queued(), (0, 0));
        assert!(script.store.kept.is_empty());
    }
    both_roles!(check);
}

#[test]
fn nothing_new_is_sent_until_the_store_knows_where_the_backlog_begins() {
    fn check<S: Side>() {
        let mut script = with_an_end_that_failed::<S>();
        // A restart would take for unsent what the old numbers hide.
        assert_eq!(script.exchange([puback(2)]), [""; 0]);
        script.store.confirm(&mut script.session, usize::MAX);
        let sent = script.sent();
        assert_eq!(sent, ["PUBLISH 1 #3 2"]);
        script.store.held = false;
        assert_eq!(script.drain(sent), numbers(2..5));
    }
    both_roles!(check);
}

#[test]
fn a_message_that_was_given_up_is_not_read_back_before_its_record_is_gone() {
    fn check<S: Side>() {
        let mut script = S::durable_with(window(1));
        script.cut();
        script.publish_all(0..1);
        let late = PublishOptions {
            deadline: Some(script.now + secs(5)),
            ..ticket(2)
        };
        let session = &mut script.session;
        session
            .submit(script.now, message(QOS1, "late"), late)
            .unwrap();
        script.serve();
        script.publish_all(2..3);
        script.events();
        script.store.held_loads = true;
        let sent = S::resume(&mut script, 10);
        script.store.held = true;
        script.after(secs(5));
        assert_eq!(script.events().last().unwrap(), "lost 2 DeadlinePassed");
        let load = script.asked_load().unwrap();
        script.answer_load(load);
        script.store.held = false;
        let mut arrived = script.drain(sent);
        let sent = script.sent();
        arrived.extend(script.drain(sent));
        assert_eq!(arrived, ["0", "2"]);
        assert_eq!(script.session.counters().lost(), 1);
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}

#[test]
fn of_a_forgotten_message_nothing_is_kept_wherever_it_stands() {
    let mut script = Script::client(|config| {
        config.durable = true;
        window(1)(&mut config.outbox);
    });
    script.publish_all(0..2);
    script.store.held = true;
    let late = PublishOptions {
        deadline: Some(script.now + secs(5)),
        ..ticket(3)
    };
    script
        .session
        .publish(START, message(QOS1, "2"), late)
        .unwrap();
    assert_eq!(script.timeout(), Some(secs(5)));
    // One is in the store alone, one is not stored yet.
    script.session.forget(Ticket(2));
    script.session.forget(Ticket(3));
    assert_eq!(script.timeout(), None);
    script.store.held = false;
    let sent = script.reconnect(connack(false));
    assert_eq!(script.drain(sent), numbers(0..3));
    let events = script.events();
    let told = |n: u64| events.contains(&format!("acked {n}"));
    assert!(!told(2) && !told(3) && told(u64::MAX), "{events:?}");
}
