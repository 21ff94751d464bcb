//! The store in memory: the contract, and what is particular to it.

use ohmqtt_store::{Batch, Durability, MemoryStore, Store, StoreError};

use crate::contract::{Place, contract};

struct Memory(MemoryStore);

impl Place for Memory {
    type Store = MemoryStore;

    fn new(room: usize) -> Self {
        Self(MemoryStore::with_limit(2 * room))
    }

    fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

contract!(contract_of_the_memory_store, super::Memory);

#[test]
fn used_bytes_are_those_of_keys_values_and_overhead() {
    let mut store = MemoryStore::default();
    apply(&mut store, &[(b"key", Some(b"value")), (b"k", Some(b""))]);
    assert_eq!(store.used(), 8 + 1 + 2 * MemoryStore::RECORD_OVERHEAD);
    apply(&mut store, &[(b"key", Some(b"v")), (b"none", None)]);
    assert_eq!(store.used(), 4 + 1 + 2 * MemoryStore::RECORD_OVERHEAD);
    apply(&mut store, &[(b"key", None), (b"k", None)]);
    assert_eq!(store.used(), 0);
}

#[test]
fn a_batch_may_fill_the_store_to_the_last_byte() {
    let limit = 2 * MemoryStore::RECORD_OVERHEAD + 10;
    let mut store = MemoryStore::with_limit(limit);
    apply(&mut store, &[(b"a", Some(b"1234")), (b"b", Some(b"1234"))]);
    assert_eq!(store.used(), limit);

    // What replaces counts once, and a delete in the same batch makes room.
    apply(&mut store, &[(b"a", Some(b"4321"))]);
    apply(&mut store, &[(b"c", Some(b"1234")), (b"b", None)]);
    assert_eq!(store.used(), limit);

    let mut batch = Batch::new();
    batch.put(b"a", b"54321");
    let error = store.apply(&batch, Durability::Safe).unwrap_err();
    assert!(
        matches!(error, StoreError::Full { needed, limit: l } if (needed, l) == (limit as u64 + 1, limit as u64))
    );
    assert_eq!(
        error.to_string(),
        "the store is full: 139 bytes would be used and its limit is 138; let messages drain or raise the limit"
    );
}

fn apply(store: &mut MemoryStore, ops: &[(&[u8], Option<&[u8]>)]) {
    let mut batch = Batch::new();
    for (key, value) in ops {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    store.apply(&batch, Durability::Fast).unwrap();
}
