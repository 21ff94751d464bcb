//! What writing to a store costs by itself: batches of records as messages are kept, over records of before, so that a store stays small.

use ohmqtt_client::Durability;
use ohmqtt_store::Batch;

use super::open;
use crate::{Case, Run};

/// A record of a message of 256 bytes, about.
const RECORD: [u8; 300] = [b'x'; 300];
/// So many records are written over and over.
const RECORDS: u64 = 1_000;

/// Each backend: one record and a hundred in a batch; on disk with a sync each time, and with one now and then.
pub const CASES: &[Case] = &[
    Case::new("memory/1", || writing("memory", 1, Durability::Fast)),
    Case::new("memory/100", || writing("memory", 100, Durability::Fast)),
    Case::new("redb/safe/1", || writing("redb", 1, Durability::Safe)),
    Case::new("redb/safe/100", || writing("redb", 100, Durability::Safe)),
    Case::new("redb/fast/100", || writing("redb", 100, Durability::Fast)),
    Case::new("sqlite/safe/1", || writing("sqlite", 1, Durability::Safe)),
    Case::new("sqlite/safe/100", || {
        writing("sqlite", 100, Durability::Safe)
    }),
    Case::new("sqlite/fast/100", || {
        writing("sqlite", 100, Durability::Fast)
    }),
];

/// Writes one batch after the other, of so many records.
fn writing(store: &str, records: u64, durability: Durability) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(store, folder.path()).expect("a store");
    let mut batch = Batch::new();
    let mut next = 0_u64;
    Box::new(move |n| {
        // Until the last run the files stay.
        let _ = &folder;
        for _ in 0..n {
            batch.clear();
            for _ in 0..records {
                next = (next + 1) % RECORDS;
                batch.put(&next.to_be_bytes(), &RECORD);
            }
            if let Err(error) = store.apply(&batch, durability) {
                panic!("{error}");
            }
        }
    })
}
