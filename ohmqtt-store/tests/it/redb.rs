//! The store in a redb file: the contract, and what is particular to it.

use std::path::Path;

use ohmqtt_store::{RedbStore, StoreError};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::contract::{Place, contract};
use crate::files::{Kind, files};

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
