//! The writer when the store fails: who hears of it, and what goes on.

use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use ohmqtt_codec::TopicName;
use ohmqtt_session::{Instant, Key, Message, Record, StoreOp};
use ohmqtt_store::{Batch, Durability, MemoryStore, Store, StoreError, Writer};

use crate::gated::{
    Commit, Gate, Gated, Verdict, delete, load, prefix, put, put_bytes, soon, stored, submit, tell,
};

#[test]
fn an_error_reaches_the_submissions_of_its_commit_and_no_others() {
    let (writer, gate) = gated(MemoryStore::default());
    let before = submit(&writer, "a", put(1));
    gate.next();
    let failed = [submit(&writer, "a", put(2)), submit(&writer, "b", put(3))];
    gate.decide(Verdict::Pass);
    assert_eq!(gate.next().ops, 2);
    let after = submit(&writer, "a", put(4));
    gate.decide(Verdict::Fail(damaged()));
    drop(gate);

    soon(&before).unwrap();
    for answer in &failed {
        assert!(matches!(soon(answer), Err(StoreError::Damaged { .. })));
    }
    soon(&after).unwrap();
    assert_eq!(stored(&writer, "a"), [1, 4]);
    assert_eq!(stored(&writer, "b"), []);
}

#[test]
fn where_the_store_is_full_what_fits_is_stored() {
    let (writer, gate) = gated(MemoryStore::with_limit(10_000));
    submit(&writer, "a", put(0));
    gate.next();
    let small: Vec<_> = (1..5).map(|seq| submit(&writer, "a", put(seq))).collect();
    let large = submit(&writer, "b", put_bytes(5, 20_000));
    let behind: Vec<_> = (6..9).map(|seq| submit(&writer, "a", put(seq))).collect();
    drop(gate);

    assert!(
        matches!(soon(&large), Err(StoreError::Full { limit: 10_000, needed }) if needed > 20_000)
    );
    for answer in small.iter().chain(&behind) {
        soon(answer).unwrap();
    }
    assert_eq!(stored(&writer, "a"), [0, 1, 2, 3, 4, 6, 7, 8]);
    assert_eq!(stored(&writer, "b"), []);
}

#[test]
fn a_store_that_is_full_for_everyone_is_not_tried_for_each() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    let refused: Vec<_> = (1..1_000)
        .map(|seq| submit(&writer, "a", put(seq)))
        .collect();
    gate.decide(Verdict::Pass);
    for _ in 0..100 {
        gate.decide(Verdict::Fail(StoreError::Full {
            needed: 2,
            limit: 1,
        }));
    }
    for answer in &refused {
        assert!(matches!(soon(answer), Err(StoreError::Full { .. })));
    }
    let tries = gate.seen().len();
    assert!((10..=40).contains(&tries), "{tries} tries");
    drop((writer, gate));
}

#[test]
fn where_the_disk_is_full_what_fits_is_stored() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    let answers: Vec<_> = (1..9).map(|seq| submit(&writer, "a", put(seq))).collect();
    gate.decide(Verdict::Pass);
    // All eight; the first four; the last four; of these the first two and the last two.
    for fits in [false, true, false, true, false, false, false] {
        gate.decide(if fits { Verdict::Pass } else { full_disk() });
    }
    for (at, answer) in answers.iter().enumerate() {
        match soon(answer) {
            Ok(()) => assert!(at < 6, "message {}", at + 1),
            Err(StoreError::DiskFull { .. }) => assert!(at >= 6, "message {}", at + 1),
            Err(error) => panic!("{error:?}"),
        }
    }
    let commits: Vec<_> = gate.seen().iter().map(|commit| commit.ops).collect();
    assert_eq!(commits, [8, 4, 4, 2, 2, 1, 1]);
    drop(gate);
    assert_eq!(stored(&writer, "a"), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_disk_that_is_full_for_everyone_is_tried_a_few_times() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    let refused: Vec<_> = (1..1_000)
        .map(|seq| submit(&writer, "a", put(seq)))
        .collect();
    gate.decide(Verdict::Pass);
    for _ in 0..100 {
        gate.decide(full_disk());
    }
    for answer in &refused {
        assert!(matches!(soon(answer), Err(StoreError::DiskFull { .. })));
    }
    let tries = gate.seen().len();
    assert!((5..=10).contains(&tries), "{tries} tries");
    drop((writer, gate));
}

#[test]
fn a_full_store_takes_deletes_and_then_messages_again() {
    let writer = Writer::spawn(MemoryStore::with_limit(2_000), Durability::Safe).unwrap();
    soon(&submit(&writer, "a", put_bytes(1, 1_500))).unwrap();
    assert!(matches!(
        soon(&submit(&writer, "a", put_bytes(2, 1_500))),
        Err(StoreError::Full { .. })
    ));
    soon(&submit(&writer, "a", delete(1))).unwrap();
    soon(&submit(&writer, "a", put_bytes(3, 1_500))).unwrap();
    assert_eq!(stored(&writer, "a"), [3]);
}

#[test]
fn a_submission_is_stored_whole_or_not_at_all() {
    let writer = Writer::spawn(MemoryStore::with_limit(2_000), Durability::Safe).unwrap();
    let ops = [put(1), put_bytes(2, 5_000), put(3)].concat();
    assert!(matches!(
        soon(&submit(&writer, "a", ops)),
        Err(StoreError::Full { .. })
    ));
    assert_eq!(stored(&writer, "a"), []);
}

#[test]
fn a_message_too_large_for_a_packet_fails_its_own_submission() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    let before = submit(&writer, "a", put(1));
    let message = Message::new(
        TopicName::new("t").unwrap(),
        Bytes::from(vec![0; 268_435_455]),
    );
    let too_large = StoreOp::Put(Record::Message {
        seq: 3,
        packet_id: None,
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: None,
        message,
    });
    let failed = submit(&writer, "a", [put(2), vec![too_large]].concat());
    let behind = submit(&writer, "a", put(4));
    gate.decide(Verdict::Pass);
    assert_eq!(gate.pass().ops, 2);

    soon(&before).unwrap();
    assert!(matches!(soon(&failed), Err(StoreError::TooLarge { .. })));
    soon(&behind).unwrap();
    drop(gate);
    assert_eq!(stored(&writer, "a"), [0, 1, 4]);
}

#[test]
fn a_damaged_record_fails_the_load_and_nothing_else() {
    let mut memory = MemoryStore::default();
    let writer = Writer::spawn(memory.clone(), Durability::Safe).unwrap();
    for seq in 1..4 {
        soon(&submit(&writer, "a", put(seq))).unwrap();
    }
    let mut batch = Batch::new();
    batch.put(&prefix("a").key(Key::Outgoing(2)), b"\x01nonsense");
    memory.apply(&batch, Durability::Safe).unwrap();

    let error = soon(&load(&writer, "a", Key::Outgoing(0), 10)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("outgoing message 2 of session \"a\""),
        "{error}"
    );
    assert_eq!(
        soon(&load(&writer, "a", Key::Outgoing(0), 1))
            .unwrap()
            .records
            .len(),
        1,
        "before it"
    );
    assert_eq!(
        soon(&load(&writer, "a", Key::Outgoing(3), 9))
            .unwrap()
            .records
            .len(),
        1,
        "behind it"
    );
    soon(&submit(&writer, "a", put(2))).unwrap();
    assert_eq!(stored(&writer, "a"), [1, 2, 3]);
}

#[test]
fn a_panic_of_the_store_is_an_error_from_then_on() {
    let (writer, gate) = gated(MemoryStore::default());
    let panicked = submit(&writer, "a", put(1));
    gate.next();
    let behind = submit(&writer, "a", put(2));
    gate.decide(Verdict::Panic("the disk is on fire"));
    for answer in [&panicked, &behind] {
        let error = soon(answer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store panicked and is not used any more: the disk is on fire"
        );
    }
    let loaded = soon(&load(&writer, "a", Key::Outgoing(0), 10));
    assert!(
        matches!(loaded, Err(StoreError::Panicked { .. })),
        "{loaded:?}"
    );
    let (send, flushed) = channel();
    writer.flush(tell(send));
    assert!(matches!(soon(&flushed), Err(StoreError::Panicked { .. })));
    assert_eq!(gate.seen(), [], "the store is not touched again");
}

#[test]
fn a_panic_of_one_who_is_answered_hurts_nobody_else() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    writer.submit(&prefix("a"), put(1), |_| {
        panic!("a bug of the one who is answered")
    });
    let behind = submit(&writer, "a", put(2));
    drop(gate);
    soon(&behind).unwrap();
    assert_eq!(stored(&writer, "a"), [0, 1, 2]);
}

#[test]
fn a_failed_flush_says_so_and_the_next_tries_again() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Fast).unwrap();
    // Both are asked for before the thread would do it by itself.
    submit(&writer, "a", put(1));
    gate.next();
    let flushed = [flush(&writer), flush(&writer)];
    gate.decide(Verdict::Pass);
    gate.decide(Verdict::Fail(damaged()));
    gate.decide(Verdict::Pass);
    assert!(soon(&flushed[0]).is_err());
    soon(&flushed[1]).unwrap();
    let safe = || Commit {
        ops: 0,
        durability: Durability::Safe,
    };
    assert_eq!(gate.seen(), [safe(), safe()]);
}

#[test]
fn what_could_not_be_made_safe_in_time_is_tried_again() {
    let (store, gate) = Gated::new(MemoryStore::default());
    let writer = Writer::spawn(store, Durability::Fast).unwrap();
    let stored = submit(&writer, "a", put(1));
    gate.pass();
    soon(&stored).unwrap();
    for verdict in [Verdict::Fail(damaged()), Verdict::Pass] {
        gate.decide(verdict);
        assert_eq!(
            gate.next(),
            Commit {
                ops: 0,
                durability: Durability::Safe
            }
        );
    }
    soon(&flush(&writer)).unwrap();
    assert_eq!(gate.seen(), [], "it is safe");
}

fn flush(writer: &Writer) -> Receiver<Result<(), StoreError>> {
    let (send, flushed) = channel();
    writer.flush(tell(send));
    flushed
}

fn gated(memory: MemoryStore) -> (Writer, Gate) {
    let (store, gate) = Gated::new(memory);
    (Writer::spawn(store, Durability::Safe).unwrap(), gate)
}

fn full_disk() -> Verdict {
    Verdict::Fail(StoreError::DiskFull {
        path: "outbox.db".into(),
    })
}

fn damaged() -> StoreError {
    StoreError::Damaged {
        record: "a page".to_owned(),
        what: "its checksum".to_owned(),
    }
}
