//! The store in an SQLite file: the contract, and what is particular to it.

use std::path::Path;

use ohmqtt_store::{SqliteStore, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{Place, contract};
use crate::files::{Kind, files};

pub(crate) struct Sqlite {
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

impl Kind for Sqlite {
    type Store = SqliteStore;
    const NAME: &'static str = "sqlite";

    fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(path)
    }

    fn make_foreign(path: &Path) {
        let connection = Connection::open(path).unwrap();
        let made = connection.execute_batch("CREATE TABLE records (key, value);");
        made.unwrap();
    }

    fn make_newer(path: &Path) {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
    }
}

contract!(contract_of_the_sqlite_store, super::Sqlite);
files!(files_of_the_sqlite_store, super::Sqlite);

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_and_is_usable_when_it_has_room() {
    crate::full::check::<Sqlite>();
}
