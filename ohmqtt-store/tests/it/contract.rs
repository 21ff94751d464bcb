//! What every store keeps. A backend runs it all with one line: `contract!(module, Place)`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ohmqtt_store::{Batch, Durability, Op, Store, StoreError};
use proptest::prelude::*;

/// Somewhere a store can be opened, and opened again with what it held.
pub(crate) trait Place {
    type Store: Store;

    /// A place that holds nothing yet and has room for at least `room` bytes of keys and values, and not for ten times as many.
    fn new(room: usize) -> Self;

    /// Opens the store. One that was opened before has been dropped.
    fn open(&self) -> Self::Store;
}

/// Runs the contract on the stores of a [`Place`].
macro_rules! contract {
    ($name:ident, $place:ty) => {
        contract!($name, $place:
            a_scan_visits_what_has_the_prefix_in_the_order_of_keys,
            a_scan_starts_at_the_first_key_wanted,
            a_scan_ends_when_the_visitor_says_so,
            the_last_of_several_operations_on_a_key_wins,
            deleting_what_is_not_there_is_no_error,
            an_empty_batch_changes_nothing,
            what_was_applied_is_there_after_reopening,
            a_batch_that_finds_no_room_is_not_applied_at_all,
            a_full_store_has_room_again_after_deletes,
            a_large_value_comes_back_whole,
            a_hundred_thousand_records_are_found_in_order,
            any_batches_leave_what_a_sorted_map_would_hold,
        );
    };
    ($name:ident, $place:ty: $($fact:ident,)*) => {
        mod $name {
            $(#[test]
            fn $fact() {
                $crate::contract::$fact::<$place>();
            })*
        }
    };
}
pub(crate) use contract;

const MIB: usize = 1024 * 1024;

pub(crate) fn a_scan_visits_what_has_the_prefix_in_the_order_of_keys<P: Place>() {
    let mut store = P::new(MIB).open();
    let keys: [&[u8]; 9] = [
        b"b\xff\xff",
        b"a",
        b"b",
        b"c",
        b"b\x00",
        b"",
        b"b\xff",
        b"ba",
        b"\xff\xff",
    ];
    put(&mut store, keys.map(|key| (key, key)));
    assert_eq!(
        keys_of(&store, b"", b"b"),
        [&b"b"[..], b"b\x00", b"ba", b"b\xff", b"b\xff\xff"]
    );
    assert_eq!(
        keys_of(&store, b"", b"b\xff"),
        [&b"b\xff"[..], b"b\xff\xff"]
    );
    assert_eq!(keys_of(&store, b"", b"\xff"), [b"\xff\xff"]);
    assert_eq!(keys_of(&store, b"", b"bb").len(), 0);
    assert_eq!(keys_of(&store, b"", b"").len(), 9);
}

pub(crate) fn a_scan_starts_at_the_first_key_wanted<P: Place>() {
    let mut store = P::new(MIB).open();
    let keys: [&[u8]; 5] = [b"a", b"b1", b"b2", b"b3", b"c"];
    put(&mut store, keys.map(|key| (key, key)));
    assert_eq!(keys_of(&store, b"b2", b"b"), [b"b2", b"b3"]);
    assert_eq!(keys_of(&store, b"b1\x00", b"b"), [b"b2", b"b3"]);
    assert_eq!(
        keys_of(&store, b"a", b"b").len(),
        3,
        "from before the prefix"
    );
    assert_eq!(
        keys_of(&store, b"c", b"b").len(),
        0,
        "from behind the prefix"
    );
    assert_eq!(keys_of(&store, b"b3", b""), [&b"b3"[..], b"c"]);
}

pub(crate) fn a_scan_ends_when_the_visitor_says_so<P: Place>() {
    let mut store = P::new(MIB).open();
    put(&mut store, [b"1", b"2", b"3", b"4"].map(|key| (key, b"")));
    let mut seen = Vec::new();
    let scanned = store.scan(b"", b"", &mut |key, _| {
        seen.push(key.to_vec());
        if key == b"2" {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    scanned.unwrap();
    assert_eq!(seen, [b"1", b"2"]);
}

pub(crate) fn the_last_of_several_operations_on_a_key_wins<P: Place>() {
    let mut store = P::new(MIB).open();
    put(&mut store, [(b"old", b"0")]);
    let mut batch = Batch::new();
    batch.put(b"a", b"1");
    batch.put(b"a", b"2");
    batch.put(b"b", b"1");
    batch.delete(b"b");
    batch.delete(b"c");
    batch.put(b"c", b"3");
    batch.delete(b"old");
    batch.put(b"old", b"4");
    batch.delete(b"old");
    store.apply(&batch, Durability::Safe).unwrap();
    assert_eq!(
        all(&store),
        [
            (b"a".to_vec(), b"2".to_vec()),
            (b"c".to_vec(), b"3".to_vec())
        ]
    );
}

pub(crate) fn deleting_what_is_not_there_is_no_error<P: Place>() {
    let mut store = P::new(MIB).open();
    put(&mut store, [(b"a", b"1")]);
    let mut batch = Batch::new();
    batch.delete(b"b");
    batch.delete(b"");
    store.apply(&batch, Durability::Safe).unwrap();
    assert_eq!(keys_of(&store, b"", b""), [b"a"]);
}

pub(crate) fn an_empty_batch_changes_nothing<P: Place>() {
    let place = P::new(MIB);
    let mut store = place.open();
    let mut batch = Batch::new();
    batch.put(b"a", b"1");
    store.apply(&batch, Durability::Fast).unwrap();
    store.apply(&Batch::new(), Durability::Safe).unwrap();
    drop(store);
    assert_eq!(keys_of(&place.open(), b"", b""), [b"a"]);
}

pub(crate) fn what_was_applied_is_there_after_reopening<P: Place>() {
    let place = P::new(MIB);
    for (durability, n) in [
        (Durability::Safe, 1_u8),
        (Durability::Fast, 2),
        (Durability::Safe, 3),
    ] {
        let mut store = place.open();
        let mut batch = Batch::new();
        batch.put(&[n], b"value");
        batch.put(b"last", &[n]);
        batch.delete(&[n - 1]);
        store.apply(&batch, durability).unwrap();
        drop(store);
        let want = [(vec![n], b"value".to_vec()), (b"last".to_vec(), vec![n])];
        assert_eq!(all(&place.open()), want);
    }
}

pub(crate) fn a_batch_that_finds_no_room_is_not_applied_at_all<P: Place>() {
    let place = P::new(MIB);
    let mut store = place.open();
    put(&mut store, [(b"a", b"1"), (b"b", b"2")]);
    let before = all(&store);
    let mut batch = Batch::new();
    batch.delete(b"a");
    batch.put(b"b", b"changed");
    batch.put(b"c", b"new");
    batch.put(b"large", &vec![7; 10 * MIB]);
    let result = store.apply(&batch, Durability::Safe);
    assert!(matches!(result, Err(StoreError::Full { .. })), "{result:?}");
    assert_eq!(all(&store), before);
    drop(store);
    assert_eq!(all(&place.open()), before);
}

pub(crate) fn a_full_store_has_room_again_after_deletes<P: Place>() {
    const VALUE: [u8; 10_000] = [7; 10_000];
    let mut store = P::new(MIB).open();
    let mut stored = 0_u32;
    let error = loop {
        let mut batch = Batch::new();
        batch.put(&stored.to_be_bytes(), &VALUE);
        match store.apply(&batch, Durability::Safe) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "the store has no bound");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(
        stored as usize * VALUE.len() >= MIB,
        "{stored} records are less than a store of 1 MiB has to hold"
    );
    assert_eq!(
        keys_of(&store, b"", b"").len(),
        stored as usize,
        "what was there is kept"
    );

    let mut batch = Batch::new();
    for n in 0..stored / 2 {
        batch.delete(&n.to_be_bytes());
    }
    store.apply(&batch, Durability::Safe).unwrap();
    put(&mut store, [(b"again", &VALUE[..])]);
    assert_eq!(
        keys_of(&store, b"", b"").len(),
        (stored - stored / 2 + 1) as usize
    );
}

pub(crate) fn a_large_value_comes_back_whole<P: Place>() {
    let place = P::new(40 * MIB);
    let value: Vec<u8> = (0_u32..4 * 1024 * 1024)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let key = vec![0xa5; 65_600];
    let mut store = place.open();
    put(&mut store, [(&key[..], &value[..]), (b"small", b"1")]);
    drop(store);
    let found = all(&place.open());
    assert_eq!(found.len(), 2);
    assert!(found[1] == (key, value), "16 MiB came back changed");
}

pub(crate) fn a_hundred_thousand_records_are_found_in_order<P: Place>() {
    const RECORDS: u32 = 100_000;
    let place = P::new(32 * MIB);
    let mut store = place.open();
    let mut batch = Batch::new();
    // 65,537 is coprime to the count: each number once, far from its order.
    let numbers =
        (0..RECORDS).map(|n| u32::try_from(u64::from(n) * 65_537 % u64::from(RECORDS)).unwrap());
    for n in numbers {
        batch.put(&n.to_be_bytes(), &[0x5a; 100]);
        if batch.len() == 1_000 {
            store.apply(&batch, Durability::Fast).unwrap();
            batch.clear();
        }
    }
    drop(store);
    let store = place.open();
    let mut next = 0_u32;
    let scanned = store.scan(b"", b"", &mut |key, value| {
        assert_eq!((key, value.len()), (&next.to_be_bytes()[..], 100));
        next += 1;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(next, RECORDS);

    let from = (RECORDS - 3).to_be_bytes();
    assert_eq!(keys_of(&store, &from, b"").len(), 3);
}

pub(crate) fn any_batches_leave_what_a_sorted_map_would_hold<P: Place>() {
    let key = || prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x7f, 0xff]), 0..4);
    let op = (
        key(),
        prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..20)),
    );
    let batches = prop::collection::vec(prop::collection::vec(op, 0..20), 1..6);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    };
    let scans = prop::collection::vec((key(), key()), 10);
    proptest!(config, |(batches in batches, scans in scans)| {
        let place = P::new(MIB);
        let mut store = place.open();
        let mut model = BTreeMap::new();
        for ops in batches {
            let mut batch = Batch::new();
            for (key, value) in &ops {
                match value {
                    Some(value) => batch.put(key, value),
                    None => batch.delete(key),
                }
            }
            for op in batch.iter() {
                match op {
                    Op::Put { key, value } => model.insert(key.to_vec(), value.to_vec()),
                    Op::Delete { key } => model.remove(key),
                };
            }
            store.apply(&batch, Durability::Fast).unwrap();
        }
        prop_assert_eq!(&all(&store), &model.clone().into_iter().collect::<Vec<_>>());
        for (from, prefix) in scans {
            let want: Vec<_> = model.keys().filter(|key| **key >= from && key.starts_with(&prefix)).cloned().collect();
            prop_assert_eq!(keys_of(&store, &from, &prefix), want);
        }
    });
}

fn put<const N: usize>(store: &mut impl Store, records: [(impl AsRef<[u8]>, impl AsRef<[u8]>); N]) {
    let mut batch = Batch::new();
    for (key, value) in records {
        batch.put(key.as_ref(), value.as_ref());
    }
    store.apply(&batch, Durability::Safe).unwrap();
}

fn keys_of(store: &impl Store, from: &[u8], prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let scanned = store.scan(from, prefix, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    keys
}

fn all(store: &impl Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records = Vec::new();
    let scanned = store.scan(b"", b"", &mut |key, value| {
        records.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    records
}
