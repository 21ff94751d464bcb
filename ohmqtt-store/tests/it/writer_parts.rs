//! The writer beyond one session: several at once, raw keys, attachments, and a session that is cleared.

use std::sync::mpsc::{Receiver, channel};

use ohmqtt_session::{Key, StoreOp};
use ohmqtt_store::{Batch, Durability, MemoryStore, StoreError, Writer};

use crate::gated::{
    Commit, Gate, Gated, Verdict, delete, prefix, put, put_bytes, put_received, soon, stored,
    submit, tell,
};

type Answer<T> = Receiver<Result<T, StoreError>>;

#[test]
fn parts_of_several_sessions_and_raw_keys_are_one_commit_in_their_order() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    let mut extra = raw(&[(b"m1", b"shared"), (b"m2", b"gone")]);
    extra.delete(b"m2");
    extra.delete(&prefix("b").key(Key::Outgoing(3)));
    let parts = [
        ("a", put(1)),
        ("b", put(2)),
        ("b", put(3)),
        ("a", delete(0)),
    ];
    let answer = submit_all(&writer, &parts, extra);
    gate.decide(Verdict::Pass);
    let ops = 4 + 4;
    assert_eq!(
        gate.pass(),
        Commit {
            ops,
            durability: Durability::Safe
        }
    );
    soon(&answer).unwrap();
    assert_eq!(stored(&writer, "a"), [1]);
    assert_eq!(stored(&writer, "b"), [2]);
    assert_eq!(
        soon(&scan(&writer, b"", b"m", 10, 1000)).unwrap(),
        [(b"m1".to_vec(), b"shared".to_vec())]
    );
}

#[test]
fn parts_that_find_no_room_are_not_stored_at_all() {
    let writer = Writer::spawn(MemoryStore::with_limit(2_000), Durability::Safe).unwrap();
    let parts = [("a", put(1)), ("b", put_bytes(2, 3_000))];
    let answer = submit_all(&writer, &parts, raw(&[(b"m", b"")]));
    assert!(matches!(soon(&answer), Err(StoreError::Full { .. })));
    assert_eq!(stored(&writer, "a"), []);
    assert_eq!(soon(&scan(&writer, b"", b"", 10, 1000)).unwrap(), []);
}

#[test]
fn what_several_submit_at_once_counts_for_room() {
    let (writer, gate) = gated(MemoryStore::default());
    submit_all(
        &writer,
        &[("a", put_bytes(1, 1_000)), ("b", put_bytes(1, 2_000))],
        raw(&[(b"m", &[0; 3_000])]),
    );
    let shown = format!("{writer:?}");
    let bytes: String = shown.chars().filter(char::is_ascii_digit).collect();
    assert!((6_000..8_000).contains(&bytes.parse().unwrap()), "{shown}");
    drop(gate);
}

#[test]
fn a_session_is_cleared_with_its_attachments_and_no_other() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    for id in ["a", "aa", "b"] {
        submit(&writer, id, [put(1), put(2), put_received(3)].concat());
    }
    let attached = prefix("a").attachment(0, b"expiry");
    submit_all(&writer, &[], raw(&[(&attached, b"60"), (b"m1", b"")]));
    soon(&clear(&writer, "a")).unwrap();
    assert_eq!(stored(&writer, "a"), []);
    assert_eq!(stored(&writer, "aa"), [1, 2, 3]);
    assert_eq!(stored(&writer, "b"), [1, 2, 3]);
    let left = soon(&scan(&writer, b"", b"", 100, 10_000)).unwrap();
    assert_eq!(left.len(), 7, "{left:?}");
}

#[test]
fn a_session_is_cleared_in_the_order_of_submissions_and_in_one_commit_with_the_others() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", put(0));
    gate.next();
    submit(&writer, "a", put(1));
    let cleared = clear(&writer, "a");
    submit(&writer, "a", put(2));
    submit(&writer, "b", put(3));
    gate.decide(Verdict::Pass);
    // Three puts, and two deletes of what was put before.
    assert_eq!(gate.pass().ops, 5);
    soon(&cleared).unwrap();
    assert_eq!(stored(&writer, "a"), [2]);
    assert_eq!(stored(&writer, "b"), [3]);
    assert_eq!(gate.seen(), []);
}

#[test]
fn clearing_what_is_not_there_costs_no_commit() {
    let (writer, gate) = gated(MemoryStore::default());
    soon(&clear(&writer, "a")).unwrap();
    assert_eq!(gate.seen(), []);
}

#[test]
fn a_session_of_many_records_is_cleared_in_stretches_between_its_neighbours() {
    let (writer, gate) = gated(MemoryStore::default());
    let many = (0..10_000).flat_map(put).collect();
    submit(&writer, "a", many);
    gate.next();
    let before = submit(&writer, "b", put(1));
    let cleared = clear(&writer, "a");
    let behind = submit(&writer, "a", put(2));
    (0..6).for_each(|_| gate.decide(Verdict::Pass));
    for answer in [before, cleared, behind] {
        soon(&answer).unwrap();
    }
    let ops: Vec<_> = gate.seen().iter().map(|commit| commit.ops).collect();
    assert_eq!(ops, [1, 4096, 4096, 10_000 - 2 * 4096, 1]);
    assert_eq!(stored(&writer, "a"), [2]);
    assert_eq!(stored(&writer, "b"), [1]);
}

#[test]
fn an_error_while_a_session_is_cleared_reaches_who_asked_for_it() {
    let (writer, gate) = gated(MemoryStore::default());
    submit(&writer, "a", (0..5_000).flat_map(put).collect());
    gate.next();
    let before = submit(&writer, "b", put(1));
    let cleared = clear(&writer, "a");
    let behind = submit(&writer, "b", put(2));
    let fail = || {
        Verdict::Fail(StoreError::Damaged {
            record: "a page".to_owned(),
            what: "its checksum".to_owned(),
        })
    };
    for verdict in [Verdict::Pass, Verdict::Pass, fail(), Verdict::Pass] {
        gate.decide(verdict);
    }
    soon(&before).unwrap();
    assert!(matches!(soon(&cleared), Err(StoreError::Damaged { .. })));
    soon(&behind).unwrap();
    assert_eq!(stored(&writer, "a").len(), 5_000);
    drop(gate);
    soon(&clear(&writer, "a")).unwrap();
    assert_eq!(stored(&writer, "a"), []);
}

#[test]
fn a_scan_ends_with_the_record_that_reaches_its_bounds() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    let records: [(&[u8], &[u8]); 4] = [
        (b"m1", b"12345678"),
        (b"m2", b"12345678"),
        (b"m3", b"12345678"),
        (b"n", b""),
    ];
    submit_all(&writer, &[], raw(&records));
    let check = |from: &[u8], max, max_bytes, want: &[&[u8]]| {
        let found = soon(&scan(&writer, from, b"m", max, max_bytes)).unwrap();
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_slice()).collect();
        assert_eq!(keys, want, "from {from:?}, {max}, {max_bytes} bytes");
    };
    check(b"", 10, 1000, &[b"m1", b"m2", b"m3"]);
    check(b"m2", 10, 1000, &[b"m2", b"m3"]);
    check(b"m1\0", 1, 1000, &[b"m2"]);
    check(b"", 10, 10, &[b"m1"]);
    check(b"", 10, 11, &[b"m1", b"m2"]);
    check(b"", 10, 1, &[b"m1"]);
    check(b"", 10, 0, &[]);
    check(b"", 0, 1000, &[]);
}

#[test]
fn attachments_stand_before_the_records_of_their_session_which_do_not_see_them() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    let place = prefix("a");
    let keys = [
        place.attachment(0, b""),
        place.attachment(1, b"filter/#"),
        place.attachment(7, &[0xff; 100]),
    ];
    let records: Vec<_> = keys.iter().map(|key| (key.as_slice(), &b"x"[..])).collect();
    let parts = [("a", [put(0), put(5), put_received(9)].concat())];
    submit_all(&writer, &parts, raw(&records));
    assert_eq!(stored(&writer, "a"), [0, 5, 9]);
    let found = soon(&scan(&writer, b"", place.as_bytes(), 100, 10_000)).unwrap();
    let found: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
    assert_eq!(found.len(), 6);
    assert_eq!(found[..3], keys);
    assert_eq!(place.attachment(8, b""), keys[0], "there are eight kinds");
}

fn gated(memory: MemoryStore) -> (Writer, Gate) {
    let (store, gate) = Gated::new(memory);
    (Writer::spawn(store, Durability::Safe).unwrap(), gate)
}

fn raw(records: &[(&[u8], &[u8])]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in records {
        batch.put(key, value);
    }
    batch
}

fn submit_all(writer: &Writer, parts: &[(&str, Vec<StoreOp>)], extra: Batch) -> Answer<()> {
    let (send, answer) = channel();
    let parts = parts.iter().map(|(id, ops)| (prefix(id), ops.clone()));
    writer.submit_all(parts.collect(), extra, tell(send));
    answer
}

fn clear(writer: &Writer, client_id: &str) -> Answer<()> {
    let (send, answer) = channel();
    writer.clear(&prefix(client_id), tell(send));
    answer
}

fn scan(
    writer: &Writer,
    from: &[u8],
    prefix: &[u8],
    max: usize,
    max_bytes: usize,
) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
    let (send, answer) = channel();
    writer.scan(from.to_vec(), prefix.to_vec(), max, max_bytes, tell(send));
    answer
}
