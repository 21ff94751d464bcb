//! The store in an SQLite file: the contract, and what is particular to it.

use std::fs;
use std::path::Path;

use ohmqtt_store::{Durability, SqliteStore, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{Place, contract};
use crate::files::{Kind, batch, contents, files, refused};

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

#[cfg(unix)]
#[test]
fn only_its_owner_reads_a_store() {
    crate::rights::check_privacy::<Sqlite>();
}

#[cfg(unix)]
#[test]
fn where_it_may_not_write_it_says_so_and_changes_nothing() {
    crate::rights::check_rights::<Sqlite>();
}

/// Its log is not its own, and nothing of the two changes.
#[test]
fn a_foreign_database_that_was_not_closed_is_left_alone() {
    let outer = TempDir::new().unwrap();
    let foreign = outer.path().join("foreign");
    let connection = Connection::open(&foreign).unwrap();
    let made = connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA application_id = 7;
         CREATE TABLE records (key, value);
         INSERT INTO records VALUES (1, 2);",
    );
    made.unwrap();
    // What a crash would leave, with the identity in the log alone and in the database too.
    for is_over in [false, true] {
        if is_over {
            let over = connection.query_row("PRAGMA wal_checkpoint", (), |_| Ok(()));
            over.unwrap();
            connection.execute("DELETE FROM records", ()).unwrap();
        }
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        fs::copy(&foreign, &path).unwrap();
        fs::copy(
            outer.path().join("foreign-wal"),
            folder.path().join("store-wal"),
        )
        .unwrap();
        let error = refused::<Sqlite>(&path, folder.path());
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
    }
}

#[test]
fn the_log_goes_when_the_store_is_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut store = SqliteStore::open(&path).unwrap();
    store.apply(&batch(0..1000), Durability::Fast).unwrap();
    assert!(folder.path().join("store-wal").exists());
    drop(store);
    let left: Vec<_> = contents(folder.path()).into_keys().collect();
    assert_eq!(left, [path]);
}

#[test]
fn the_log_does_not_grow_without_bound() {
    let folder = TempDir::new().unwrap();
    let mut store = SqliteStore::open(folder.path().join("store")).unwrap();
    for _ in 0..300 {
        store.apply(&batch(0..2000), Durability::Fast).unwrap();
    }
    let len = fs::metadata(folder.path().join("store-wal")).unwrap().len();
    assert!(len < 8 * 1024 * 1024, "{len} bytes");
}
