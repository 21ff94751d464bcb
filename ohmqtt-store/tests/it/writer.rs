//! The writer: group commit, order, loads, bounds, its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use ohmqtt_codec::Qos;
use ohmqtt_session::{Key, Load, Record, StoreOp};
use ohmqtt_store::{Durability, MemoryStore, Writer};

use crate::gated::{
    Commit, Gated, Verdict, all, delete, id, load, numbers, prefix, put, put_bytes, put_received,
    soon, stored, submit, tell,
};

#[test]
fn what_gathers_during_a_commit_is_one_commit() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    let first = submit(&writer, "a", put(1));
    assert_eq!(
        gate.next(),
        Commit {
            ops: 1,
            durability: Durability::Safe
        }
    );

    // The first is in its commit: these gather, from several sessions and handles.
    let other = writer.clone();
    let gathered: Vec<_> = (2..52)
        .map(|seq| submit(&other, &format!("{}", seq % 7), put(seq)))
        .collect();
    assert!(first.try_recv().is_err(), "answered before it was stored");
    gate.decide(Verdict::Pass);
    soon(&first).unwrap();

    assert_eq!(
        gate.pass(),
        Commit {
            ops: 50,
            durability: Durability::Safe
        }
    );
    for answer in &gathered {
        soon(answer).unwrap();
    }
    assert_eq!(stored(&writer, "3"), [3, 10, 17, 24, 31, 38, 45]);
    assert_eq!(gate.seen(), [], "no commit more");
}

#[test]
fn answers_come_in_the_order_of_submissions_and_each_once() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    let (send, answers) = channel();
    for n in 0..100 {
        let send = send.clone();
        writer.submit(&prefix("a"), put(n), move |result| {
            tell(send)((n, result.is_ok()));
        });
    }
    drop((send, gate));
    let order: Vec<_> = answers.iter().collect();
    assert_eq!(order, (0..100).map(|n| (n, true)).collect::<Vec<_>>());
}

#[test]
fn operations_of_a_session_take_effect_in_their_order() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    submit(&writer, "a", put(0));
    gate.next();
    // All of these are in one commit.
    submit(&writer, "a", put(1));
    submit(&writer, "a", [delete(1), put(2), put(3)].concat());
    submit(&writer, "a", delete(2));
    submit(
        &writer,
        "a",
        vec![StoreOp::Put(Record::Released {
            seq: 3,
            packet_id: id(9),
        })],
    );
    drop(gate);
    let loaded = soon(&load(&writer, "a", Key::Outgoing(1), 10)).unwrap();
    assert_eq!(
        loaded.records,
        [Record::Released {
            seq: 3,
            packet_id: id(9)
        }]
    );
}

#[test]
fn a_submission_without_operations_is_answered_without_a_commit() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    soon(&submit(&writer, "a", Vec::new())).unwrap();
    assert_eq!(gate.seen(), []);
}

#[test]
fn a_load_sees_what_was_submitted_before_it() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    submit(&writer, "a", put(1));
    gate.next();
    submit(&writer, "a", put(2));
    let loaded = load(&writer, "a", Key::Outgoing(0), 10);
    let late = submit(&writer, "a", put(3));
    assert!(loaded.try_recv().is_err());
    drop(gate);
    assert_eq!(numbers(soon(&loaded)), [1, 2, 3]);
    // What a load has seen has been answered.
    late.try_recv().unwrap().unwrap();
}

#[test]
fn a_load_gives_a_stretch_of_one_session_in_the_order_of_keys() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    for seq in [5, 1, 300, 70_000, 2, 4] {
        submit(&writer, "b", put(seq));
    }
    submit(&writer, "b", put_received(7));
    submit(&writer, "a", put(3));
    submit(&writer, "ba", put(3));
    let check = |from, max, want: &[u64]| {
        assert_eq!(
            numbers(soon(&load(&writer, "b", from, max))),
            want,
            "{from:?}"
        );
    };
    check(Key::Outgoing(0), 100, &[1, 2, 4, 5, 300, 70_000, 7]);
    check(Key::Outgoing(2), 3, &[2, 4, 5]);
    check(Key::Outgoing(3), 3, &[4, 5, 300]);
    check(Key::Outgoing(70_001), 10, &[7]);
    check(Key::Received(id(7)), 10, &[7]);
    check(Key::Received(id(8)), 10, &[]);
    check(Key::Outgoing(0), 0, &[]);
    assert_eq!(stored(&writer, "c"), []);
}

#[test]
fn a_task_waits_for_room_and_is_woken_when_there_is() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Safe).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);

    let half = submit(&writer, "a", put_bytes(1, Writer::LIMIT / 2));
    gate.next();
    assert_eq!(
        writer.poll_room(&mut cx),
        Poll::Ready(()),
        "half of the limit"
    );
    let rest = submit(&writer, "a", put_bytes(2, Writer::LIMIT / 2));
    assert_eq!(
        writer.poll_room(&mut cx),
        Poll::Pending,
        "what is being stored counts until it is answered"
    );
    assert_eq!(writer.poll_room(&mut cx), Poll::Pending);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);

    gate.decide(Verdict::Pass);
    soon(&half).unwrap();
    assert_eq!(gate.next().ops, 1);
    assert_eq!(
        woken.0.load(Ordering::SeqCst),
        1,
        "once, though it asked twice"
    );
    assert_eq!(writer.poll_room(&mut cx), Poll::Ready(()));
    drop(gate);
    soon(&rest).unwrap();
    assert_eq!(format!("{writer:?}"), "Writer { unanswered_bytes: 0 }");
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_flush_makes_fast_commits_safe_and_costs_nothing_after_safe_ones() {
    let safe_commits = |durability| {
        let (store, gate) = Gated::new(MemoryStore::default());
        let writer = Writer::spawn(store, durability).unwrap();
        submit(&writer, "a", put(1));
        assert_eq!(gate.next(), Commit { ops: 1, durability });
        let (send, flushed) = channel();
        writer.flush(tell(send));
        gate.decide(Verdict::Pass);
        gate.decide(Verdict::Pass);
        soon(&flushed).unwrap();
        gate.seen()
    };
    assert_eq!(safe_commits(Durability::Safe), []);
    assert_eq!(
        safe_commits(Durability::Fast),
        [Commit {
            ops: 0,
            durability: Durability::Safe
        }]
    );
}

#[test]
fn what_both_sides_remember_of_qos_2_is_safe_also_where_all_else_is_fast() {
    let durability_of = |ops: Vec<StoreOp>| {
        let (store, gate) = Gated::new(MemoryStore::default());
        let writer = Writer::spawn(store, Durability::Fast).unwrap();
        submit(&writer, "a", ops);
        let durability = gate.pass().durability;
        // What is made safe at the end waits for nobody.
        drop(gate);
        durability
    };
    let message = |qos, packet_id| {
        let mut ops = put(1);
        if let StoreOp::Put(Record::Message {
            packet_id: id,
            message,
            ..
        }) = &mut ops[0]
        {
            (*id, message.qos) = (packet_id, qos);
        }
        ops
    };
    let released = Record::Released {
        seq: 1,
        packet_id: id(1),
    };
    for safe in [
        message(Qos::ExactlyOnce, Some(id(1))),
        vec![StoreOp::Put(released)],
        put_received(1),
        vec![StoreOp::Delete(Key::Received(id(1)))],
    ] {
        assert_eq!(durability_of(safe.clone()), Durability::Safe, "{safe:?}");
    }
    for fast in [
        message(Qos::ExactlyOnce, None),
        message(Qos::AtLeastOnce, Some(id(1))),
        delete(1),
    ] {
        assert_eq!(durability_of(fast.clone()), Durability::Fast, "{fast:?}");
    }
}

#[test]
fn what_is_fast_is_made_safe_soon_though_nothing_follows() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Fast).unwrap();
    let stored = submit(&writer, "a", put(1));
    assert_eq!(gate.pass().durability, Durability::Fast);
    soon(&stored).unwrap();
    let safe = Commit {
        ops: 0,
        durability: Durability::Safe,
    };
    assert_eq!(gate.pass(), safe);
}

#[test]
fn what_is_fast_is_made_safe_though_there_is_always_more() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Fast).unwrap();
    submit(&writer, "a", put(0));
    gate.next();
    // While a commit is under way the next one gathers, so that there is never nothing to do.
    let commits = (1..).map(|seq| {
        submit(&writer, "a", put(seq));
        gate.pass()
    });
    let safe = { commits }.find(|commit| commit.durability == Durability::Safe);
    drop(gate);
    assert_eq!(safe.unwrap().ops, 1, "it rides along with what is written");
}

#[test]
fn dropping_the_last_handle_stores_and_answers_everything_first() {
    for durability in [Durability::Safe, Durability::Fast] {
        let memory = MemoryStore::default();
        let (store, gate) = Gated::new(memory.clone());
        let writer = Writer::spawn(store, durability).unwrap();
        let other = writer.clone();
        let mut answers: Vec<_> = (0..10).map(|seq| submit(&writer, "a", put(seq))).collect();
        drop(writer);
        answers.push(submit(&other, "a", put(10)));
        let loaded = load(&other, "a", Key::Outgoing(0), 100);
        (0..20).for_each(|_| gate.decide(Verdict::Pass));
        drop(other);

        // All of it has happened by now; the store is closed.
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.try_recv(), Ok(Ok(()))))
        );
        assert_eq!(numbers(loaded.try_recv().unwrap()).len(), 11);
        assert_eq!(gate.seen().last().unwrap().durability, Durability::Safe);
        let writer = Writer::spawn(memory, durability).unwrap();
        assert_eq!(stored(&writer, "a").len(), 11, "reopened");
    }
}

#[test]
fn the_last_handle_may_be_dropped_by_an_answer() {
    let memory = MemoryStore::default();
    let writer = Writer::spawn(memory, Durability::Safe).unwrap();
    let (send, answered) = channel();
    let inner = writer.clone();
    let owner = Arc::new(Mutex::new(Some(writer)));
    let taken = Arc::clone(&owner);
    inner.submit(&prefix("a"), put(1), move |result| {
        let last = taken.lock().unwrap().take();
        drop(last);
        tell(send)(result);
    });
    drop(inner);
    soon(&answered).unwrap();
    // The thread ends, and with it the closure goes.
    while Arc::strong_count(&owner) > 1 {
        thread::yield_now();
    }
}

#[test]
fn an_answer_may_submit_and_load() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    let (send, loaded) = channel();
    let inner = writer.clone();
    writer.submit(&prefix("a"), put(1), move |_| {
        inner.submit(&prefix("a"), put(2), |_| ());
        inner.load(&prefix("a"), all(Key::Outgoing(0), 10), tell(send));
    });
    assert_eq!(numbers(soon(&loaded)), [1, 2]);
}

#[test]
fn many_threads_lose_nothing() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let writer = writer.clone();
            thread::spawn(move || {
                let answers: Vec<_> = (0..200)
                    .map(|seq| submit(&writer, &format!("{thread}"), put(seq)))
                    .collect();
                for answer in &answers {
                    soon(answer).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for thread in 0..8 {
        assert_eq!(
            stored(&writer, &format!("{thread}")),
            (0..200).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_load_ends_before_a_key_or_at_a_count_or_at_a_number_of_bytes() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    for n in 1..=5 {
        submit(&writer, "a", put_bytes(n, 100));
    }
    let read = |load: Load| {
        let (send, answer) = channel();
        writer.load(&prefix("a"), load, tell(send));
        let loaded = soon(&answer);
        let complete = loaded.as_ref().unwrap().complete;
        (numbers(loaded), complete)
    };
    let everything = all(Key::Outgoing(2), 10);
    assert_eq!(read(everything), (vec![2, 3, 4, 5], true));
    let before = Some(Key::Outgoing(4));
    assert_eq!(
        read(Load {
            to: before,
            ..everything
        }),
        (vec![2, 3], true)
    );
    assert_eq!(read(all(Key::Outgoing(2), 3)), (vec![2, 3, 4], false));
    // As many as were asked for may be all there are.
    assert_eq!(read(all(Key::Outgoing(2), 4)), (vec![2, 3, 4, 5], true));
    let bytes = |bytes| Load {
        bytes,
        ..everything
    };
    assert_eq!(read(bytes(150)), (vec![2, 3], false));
    assert_eq!(read(bytes(0)), (vec![2], false), "one in any case");
}
