//! Payloads that messages of several sessions have in common: stored once, for as long as one of those messages is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::channel;

use bytes::Bytes;
use ohmqtt_codec::{Qos, TopicName};
use ohmqtt_session::{Instant, Key, Message, Record, StoreOp};
use ohmqtt_store::{Batch, Durability, MemoryStore, Store, StoreError, Writer};
use proptest::prelude::*;

use crate::gated::{delete, id, load, prefix, soon, submit, tell};

const CLIENTS: [&str; 3] = ["a", "aa", "b"];

fn message(seq: u64, packet_id: Option<u16>, payload: &Bytes) -> Record {
    let mut message = Message::new(TopicName::new("t").unwrap(), payload.clone());
    message.qos = Qos::AtLeastOnce;
    Record::Message {
        seq,
        packet_id: packet_id.map(id),
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: None,
        message,
    }
}

fn put(seq: u64, payload: &Bytes) -> StoreOp {
    StoreOp::Put(message(seq, None, payload))
}

/// A payload that is known from every other.
fn payload(number: u8, len: usize) -> Bytes {
    vec![number; len].into()
}

fn try_share(writer: &Writer, parts: Vec<(&str, Vec<StoreOp>)>) -> Result<(), StoreError> {
    let (send, answer) = channel();
    let parts = parts.into_iter().map(|(id, ops)| (prefix(id), ops));
    writer.submit_all(parts.collect(), Batch::new(), tell(send));
    soon(&answer)
}

/// Gives one payload to all clients.
fn share(writer: &Writer, seq: u64, payload: &Bytes) {
    let parts = CLIENTS.map(|client| (client, vec![put(seq, payload)]));
    try_share(writer, parts.to_vec()).unwrap();
}

fn clear(writer: &Writer, client: &str) {
    let (send, answer) = channel();
    writer.clear(&prefix(client), tell(send));
    soon(&answer).unwrap();
}

fn records(writer: &Writer, client: &str) -> Vec<Record> {
    soon(&load(writer, client, Key::Backlog, usize::MAX))
        .unwrap()
        .records
}

/// How often these bytes stand in the store.
fn copies(store: &MemoryStore, payload: &[u8]) -> usize {
    let mut copies = 0;
    let mut look = |_: &[u8], value: &[u8]| {
        copies += usize::from(value.windows(payload.len()).any(|bytes| bytes == payload));
        ControlFlow::Continue(())
    };
    store.scan(b"", b"", &mut look).unwrap();
    copies
}

/// How many keys are there for payloads that are shared.
fn bodies(store: &MemoryStore) -> usize {
    let mut bodies = 0;
    let mut look = |_: &[u8], _: &[u8]| {
        bodies += 1;
        ControlFlow::Continue(())
    };
    store.scan(b"", b"b", &mut look).unwrap();
    bodies
}

#[test]
fn a_message_for_three_sessions_is_stored_once_until_the_last_is_done() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    let payload = payload(7, 1000);
    share(&writer, 1, &payload);
    assert_eq!(copies(&store, &payload), 1);
    for client in CLIENTS {
        assert_eq!(records(&writer, client), [message(1, None, &payload)]);
    }
    for (client, left) in CLIENTS.into_iter().zip([1, 1, 0]) {
        soon(&submit(&writer, client, delete(1))).unwrap();
        assert_eq!(records(&writer, client), []);
        assert_eq!(copies(&store, &payload), left, "after {client}");
    }
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_message_of_one_session_and_a_small_one_stand_in_their_records() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    share(&writer, 1, &payload(1, 127));
    try_share(&writer, vec![("a", vec![put(2, &payload(2, 1000))])]).unwrap();
    soon(&submit(&writer, "b", vec![put(2, &payload(3, 1000))])).unwrap();
    assert_eq!(bodies(&store), 0);
    share(&writer, 3, &payload(4, 128));
    assert_eq!(bodies(&store), 2, "a payload and its count");
}

#[test]
fn a_message_that_is_written_again_goes_on_sharing_and_one_that_is_released_does_not() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    let payload = payload(7, 1000);
    share(&writer, 1, &payload);
    let named = message(1, Some(9), &payload);
    for client in CLIENTS {
        let again = vec![StoreOp::Put(named.clone())];
        soon(&submit(&writer, client, again)).unwrap();
        assert_eq!(records(&writer, client), std::slice::from_ref(&named));
    }
    assert_eq!(copies(&store, &payload), 1);
    let released = Record::Released {
        seq: 1,
        packet_id: id(9),
    };
    for client in CLIENTS {
        let op = vec![StoreOp::Put(released.clone())];
        soon(&submit(&writer, client, op)).unwrap();
        assert_eq!(records(&writer, client), std::slice::from_ref(&released));
    }
    assert_eq!((copies(&store, &payload), bodies(&store)), (0, 0));
}

#[test]
fn what_is_put_and_deleted_in_one_commit_leaves_nothing() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    let payload = payload(7, 1000);
    let both = || vec![put(1, &payload), StoreOp::Delete(Key::Outgoing(1))];
    try_share(&writer, vec![("a", both()), ("b", both())]).unwrap();
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_session_that_is_cleared_counts_for_none_of_its_messages() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    for seq in 0..10_u8 {
        share(&writer, seq.into(), &payload(seq, 1000));
    }
    clear(&writer, "a");
    clear(&writer, "aa");
    assert_eq!(bodies(&store), 20);
    assert_eq!(records(&writer, "b").len(), 10);
    clear(&writer, "b");
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_session_cleared_in_several_steps_counts_for_none_of_its_messages() {
    const MESSAGES: u64 = 5000;
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    let payload = payload(7, 200);
    let many = || (0..MESSAGES).map(|seq| put(seq, &payload)).collect();
    try_share(&writer, vec![("a", many()), ("b", many())]).unwrap();
    clear(&writer, "a");
    assert_eq!((copies(&store, &payload), bodies(&store)), (1, 2));
    clear(&writer, "b");
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_writer_that_comes_later_goes_on_with_what_is_shared() {
    let store = MemoryStore::default();
    let (first, second) = (payload(1, 1000), payload(2, 1000));
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    share(&writer, 1, &first);
    drop(writer);
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    share(&writer, 2, &second);
    assert_eq!((copies(&store, &first), copies(&store, &second)), (1, 1));
    for client in CLIENTS {
        let expected = [message(1, None, &first), message(2, None, &second)];
        assert_eq!(records(&writer, client), expected);
        clear(&writer, client);
    }
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_commit_that_finds_no_room_changes_no_count() {
    let store = MemoryStore::with_limit(5000);
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    let first = payload(1, 1000);
    share(&writer, 1, &first);
    let too_much = payload(2, 9000);
    let parts = CLIENTS.map(|client| {
        let ops = vec![StoreOp::Delete(Key::Outgoing(1)), put(2, &too_much)];
        (client, ops)
    });
    let refused = try_share(&writer, parts.to_vec());
    assert!(matches!(refused, Err(StoreError::Full { .. })));
    for client in CLIENTS {
        assert_eq!(records(&writer, client), [message(1, None, &first)]);
        soon(&submit(&writer, client, delete(1))).unwrap();
    }
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_shared_payload_that_is_gone_is_told_with_the_message_that_misses_it() {
    let store = MemoryStore::default();
    let writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
    share(&writer, 1, &payload(1, 1000));
    let mut keys = Batch::new();
    let mut note = |key: &[u8], _: &[u8]| {
        keys.delete(key);
        ControlFlow::Continue(())
    };
    store.scan(b"", b"b", &mut note).unwrap();
    store.clone().apply(&keys, Durability::Safe).unwrap();
    let error = soon(&load(&writer, "aa", Key::Backlog, 10)).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("message 1 of session \"aa\""), "{shown}");
}

#[test]
fn a_stretch_that_is_loaded_counts_shared_payloads_too() {
    let writer = Writer::spawn(MemoryStore::default(), Durability::Safe).unwrap();
    for seq in 0..10_u8 {
        share(&writer, seq.into(), &payload(seq, 1000));
    }
    let (send, answer) = channel();
    let three = ohmqtt_session::Load {
        from: Key::Backlog,
        to: None,
        max: 10,
        bytes: 2500,
    };
    writer.load(&prefix("a"), three, tell(send));
    assert_eq!(soon(&answer).unwrap().records.len(), 3);
}

/// What happens to the sessions in a random run.
#[derive(Clone, Debug)]
enum Step {
    Share(Vec<usize>, u8, usize),
    Write(usize, u8, u16),
    Release(usize, u8),
    Delete(usize, u8),
    Clear(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS.len();
    let some = proptest::sample::subsequence(vec![0, 1, 2], 1..=3);
    prop_oneof![
        6 => (some, any::<u8>(), 100_usize..300).prop_map(|(who, fill, len)| Step::Share(who, fill, len)),
        3 => (client.clone(), any::<u8>(), 1_u16..9).prop_map(|(who, at, id)| Step::Write(who, at, id)),
        2 => (client.clone(), any::<u8>()).prop_map(|(who, at)| Step::Release(who, at)),
        5 => (client.clone(), any::<u8>()).prop_map(|(who, at)| Step::Delete(who, at)),
        1 => client.prop_map(Step::Clear),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is shared, written again, released, deleted or cleared: each session has its own, and in the end nothing is left.
    #[test]
    fn sharing_is_not_to_be_seen_in_what_sessions_have(steps in prop::collection::vec(step(), 1..40)) {
        let store = MemoryStore::default();
        let mut writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
        let mut model: [BTreeMap<u64, Record>; 3] = Default::default();
        let nth = |records: &BTreeMap<u64, Record>, at: u8| {
            let seq = records.keys().nth(usize::from(at) % records.len().max(1));
            seq.copied()
        };
        for (seq, step) in (0..).zip(steps) {
            match step {
                Step::Share(who, fill, len) => {
                    let payload = payload(fill, len);
                    let parts = who.iter().map(|who| (CLIENTS[*who], vec![put(seq, &payload)]));
                    try_share(&writer, parts.collect()).unwrap();
                    for who in who {
                        model[who].insert(seq, message(seq, None, &payload));
                    }
                }
                Step::Write(who, at, packet_id) => {
                    let Some(seq) = nth(&model[who], at) else { continue };
                    let Some(Record::Message { message: known, .. }) = model[who].get(&seq) else { continue };
                    // What was read back is in memory of its own.
                    let record = message(seq, Some(packet_id), &Bytes::copy_from_slice(&known.payload));
                    soon(&submit(&writer, CLIENTS[who], vec![StoreOp::Put(record.clone())])).unwrap();
                    model[who].insert(seq, record);
                }
                Step::Release(who, at) => {
                    let Some(seq) = nth(&model[who], at) else { continue };
                    let record = Record::Released { seq, packet_id: id(1) };
                    soon(&submit(&writer, CLIENTS[who], vec![StoreOp::Put(record.clone())])).unwrap();
                    model[who].insert(seq, record);
                }
                Step::Delete(who, at) => {
                    let Some(seq) = nth(&model[who], at) else { continue };
                    soon(&submit(&writer, CLIENTS[who], delete(seq))).unwrap();
                    model[who].remove(&seq);
                }
                Step::Clear(who) => {
                    clear(&writer, CLIENTS[who]);
                    model[who].clear();
                }
                Step::Reopen => {
                    drop(writer);
                    writer = Writer::spawn(store.clone(), Durability::Safe).unwrap();
                }
            }
            for (client, model) in CLIENTS.iter().zip(&model) {
                let expected: Vec<_> = model.values().cloned().collect();
                prop_assert_eq!(records(&writer, client), expected);
            }
        }
        for client in CLIENTS {
            clear(&writer, client);
        }
        prop_assert_eq!(bodies(&store), 0);
    }
}
