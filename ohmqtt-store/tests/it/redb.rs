//! The store in a redb file: the contract, and what is particular to it.

use ohmqtt_store::RedbStore;
use tempfile::TempDir;

use crate::contract::{Place, contract};

struct Redb {
    folder: TempDir,
    limit: u64,
}

impl Place for Redb {
    type Store = RedbStore;

    fn new(room: usize) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            limit: 4 * room as u64,
        }
    }

    fn open(&self) -> RedbStore {
        RedbStore::open_with_limit(self.folder.path().join("store.redb"), self.limit).unwrap()
    }
}

contract!(contract_of_the_redb_store, super::Redb);
