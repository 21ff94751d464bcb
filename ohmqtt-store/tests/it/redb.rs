//! The store in a redb file: the contract, and what is particular to it.

use std::fs;
use std::path::Path;

use ohmqtt_store::{RedbStore, StoreError};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::contract::{Place, contract};
use crate::files::{Kind, contents, files, refused};

pub(crate) struct Redb {
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

impl Kind for Redb {
    type Store = RedbStore;
    const NAME: &'static str = "redb";

    fn open(path: &Path) -> Result<RedbStore, StoreError> {
        RedbStore::open(path)
    }

    fn make_foreign(path: &Path) {
        let records: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(records).unwrap();
        write.commit().unwrap();
    }

    fn make_newer(path: &Path) {
        let identity: TableDefinition<'_, &str, u32> = TableDefinition::new("ohmqtt-store");
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        let mut table = write.open_table(identity).unwrap();
        table.insert("format", 2).unwrap();
        drop(table);
        write.commit().unwrap();
    }
}

contract!(contract_of_the_redb_store, super::Redb);
files!(files_of_the_redb_store, super::Redb);

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_and_is_usable_when_it_has_room() {
    crate::full::check::<Redb>();
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_a_store() {
    crate::rights::check_privacy::<Redb>();
}

#[cfg(unix)]
#[test]
fn where_it_may_not_write_it_says_so_and_changes_nothing() {
    crate::rights::check_rights::<Redb>();
}

#[test]
fn a_foreign_database_that_was_not_closed_is_left_alone() {
    let outer = TempDir::new().unwrap();
    let foreign = outer.path().join("foreign");
    let database = Database::create(&foreign).unwrap();
    let write = database.begin_write().unwrap();
    let table: TableDefinition<'_, u64, u64> = TableDefinition::new("theirs");
    write.open_table(table).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    // What a crash would leave: it is to be repaired.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::copy(&foreign, &path).unwrap();
    drop(database);
    let error = refused::<Redb>(&path, folder.path());
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
}

#[test]
fn what_was_left_of_making_a_store_is_no_hindrance() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(folder.path().join("store.new"), [0; 5000]).unwrap();
    drop(RedbStore::open(&path).unwrap());
    let left: Vec<_> = contents(folder.path()).into_keys().collect();
    assert_eq!(left, [path]);
}
