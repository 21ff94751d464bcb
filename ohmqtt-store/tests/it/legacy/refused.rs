//! What is not a database of 1.x, or is in use, or damaged: a clear error, and nothing changes.

use std::fs;
use std::path::Path;

use ohmqtt_store::{Durability, SqliteStore, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Legacy, tables};
use crate::files::{batch, contents};

/// The error of opening a file. Nothing in the folder changes by it.
fn refused(path: &Path) -> StoreError {
    let folder = path.parent().unwrap();
    let before = contents(folder);
    let error = SqliteStore::open_or_import(path).expect_err("it is refused");
    assert!(contents(folder) == before, "the folder changed: {error}");
    let name = path.display().to_string();
    assert!(error.to_string().contains(&name), "{error}");
    error
}

#[test]
fn tables_that_are_not_those_of_1_x_are_left_alone() {
    let changes = [
        ("PRAGMA user_version = 7", "user_version is 7"),
        ("PRAGMA user_version = -1", "user_version is -1"),
        ("PRAGMA application_id = 5", "another program"),
        ("DROP TABLE received", "\"received\""),
        ("ALTER TABLE messages ADD COLUMN more TEXT", "\"messages\""),
        (
            "ALTER TABLE messages RENAME COLUMN topic TO subject",
            "\"messages\"",
        ),
        (
            "DROP TABLE client_id; CREATE TABLE client_id (id INTEGER, client_id BLOB) STRICT",
            "\"client_id\"",
        ),
        (
            "DROP TABLE received; CREATE TABLE received (packet_id INTEGER PRIMARY KEY)",
            "\"received\"",
        ),
        (
            "DROP TABLE received; CREATE VIEW received AS SELECT 1 AS packet_id",
            "\"received\"",
        ),
        ("CREATE TABLE invoices (id)", "table \"invoices\""),
        (
            "CREATE TABLE records (key BLOB, value BLOB)",
            "table \"records\"",
        ),
        (
            "CREATE VIEW late AS SELECT * FROM messages",
            "view \"late\"",
        ),
        (
            "CREATE TRIGGER lost AFTER DELETE ON messages BEGIN DELETE FROM received; END",
            "trigger \"lost\"",
        ),
        (
            "DROP TABLE received; DROP TABLE messages; DROP TABLE client_id",
            "no database",
        ),
    ];
    for (change, want) in changes {
        for (fast, killed) in [(false, false), (true, false), (true, true)] {
            let legacy = Legacy::new(fast);
            legacy.run(change);
            let (_folder, path) = if killed {
                legacy.kill()
            } else {
                legacy.close()
            };
            let error = refused(&path);
            assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
            assert!(error.to_string().contains(want), "{change}: {error}");
        }
    }
}

#[test]
fn an_index_of_ones_own_is_no_hindrance() {
    let legacy = Legacy::new(false);
    legacy.add("a", b"1", 1, None);
    legacy.run("CREATE INDEX by_topic ON messages (topic); ANALYZE");
    let (_folder, path) = legacy.close();
    assert_eq!(super::import(&path).1.messages, 1);
}

#[test]
fn what_is_no_database_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, "a letter to somebody\n").unwrap();
    assert!(matches!(refused(&path), StoreError::NotAStore { .. }));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(refused(&path), StoreError::NotAStore { .. }));
    let error = SqliteStore::open_or_import(path.join("none/store")).unwrap_err();
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error:?}");
}

#[test]
fn a_newer_store_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    drop(SqliteStore::open_or_import(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    connection.close().unwrap();
    let error = refused(&path);
    assert!(
        matches!(error, StoreError::UnknownFormat { found: 2, .. }),
        "{error:?}"
    );
}

#[test]
fn who_does_not_ask_for_it_takes_nothing_over() {
    for fast in [false, true] {
        let legacy = Legacy::new(fast);
        legacy.add("a", b"1", 1, None);
        let (folder, path) = legacy.close();
        let before = contents(folder.path());
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
        assert!(contents(folder.path()) == before);
    }
}

#[test]
fn one_that_1_x_is_writing_is_in_use() {
    for fast in [false, true] {
        let legacy = Legacy::new(fast);
        legacy.add("a", b"1", 1, None);
        if !fast {
            legacy.run("BEGIN IMMEDIATE");
        }
        let path = legacy.folder.path().join("store");
        let error = SqliteStore::open_or_import(&path).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        let (_folder, path) = legacy.close();
        assert_eq!(super::import(&path).1.messages, 1);
    }
}

/// The store is locked against 1.x, and against a second store.
#[test]
fn what_was_taken_over_is_in_use_until_it_is_closed() {
    let legacy = Legacy::new(false);
    legacy.add("a", b"1", 1, None);
    let path = legacy.folder.path().join("store");
    let (store, _) = super::import(&path);
    let second = SqliteStore::open_or_import(&path).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
    let insert = "INSERT INTO received VALUES (1)";
    let error = legacy.connection.execute(insert, ()).unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    drop(store);
}

#[test]
fn damage_is_an_error_that_changes_nothing() {
    let legacy = Legacy::new(false);
    for _ in 0..300 {
        legacy.add("a/topic", &[7; 200], 1, None);
    }
    let (folder, path) = legacy.close();
    let whole = fs::read(&path).unwrap();
    let want = tables(&path);
    let mut seen = 0;
    for page in 0..whole.len() / 4096 {
        for fill in [0, 0xff] {
            let mut damaged = whole.clone();
            damaged[page * 4096..][..4096].fill(fill);
            fs::write(&path, &damaged).unwrap();
            match SqliteStore::open_or_import(&path) {
                Err(error) => {
                    seen += 1;
                    let left = contents(folder.path());
                    assert!(
                        left.len() == 1 && left[&path] == damaged,
                        "page {page}, {fill:#x}: changed: {error}"
                    );
                    let is_clear = matches!(
                        error,
                        StoreError::Damaged { .. } | StoreError::NotAStore { .. }
                    );
                    assert!(is_clear, "page {page}, {fill:#x}: {error:?}");
                }
                // A page that is not read, such as one of an index.
                Ok((mut store, _)) => store.apply(&batch(0..3), Durability::Safe).unwrap(),
            }
        }
    }
    assert!(seen > 20, "{seen} of the damaged files were seen to be so");
    // Cut short.
    for len in [100, 4096, 5000, whole.len() - 4096, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = refused(&path);
        let is_clear = matches!(
            error,
            StoreError::Damaged { .. } | StoreError::NotAStore { .. }
        );
        assert!(is_clear, "{len}: {error:?}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(super::import(&path).1.messages, 300);
    assert_eq!(tables(&path), want);
}
