//! The store in an SQLite file: the contract, and what is particular to it.

use ohmqtt_store::SqliteStore;
use tempfile::TempDir;

use crate::contract::{Place, contract};

struct Sqlite {
    folder: TempDir,
    limit: u64,
}

impl Place for Sqlite {
    type Store = SqliteStore;

    fn new(room: usize) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            limit: 2 * room as u64,
        }
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open_with_limit(self.folder.path().join("store.db"), self.limit).unwrap()
    }
}

contract!(contract_of_the_sqlite_store, super::Sqlite);
