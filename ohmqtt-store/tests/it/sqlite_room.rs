//! The store in an SQLite file on a disk that is smaller than its log would be. Where this process may mount, another has such a disk.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use ohmqtt_store::{Batch, Durability, SqliteStore, Store, StoreError};
use tempfile::TempDir;

use crate::child::{Process, hear, say};

/// A disk of two mebibytes that goes with the process.
const TINY_DISK: &str = r#"
    disk=$(dirname "$OHMQTT_STORE_PATH")
    exec unshare --mount sh -c '
        mount -t tmpfs -o size=2m tmpfs "$0" || exit 1
        shift; exec "$@"' "$disk" "$disk" "$0" "$@"
"#;
const DISK: usize = 2 * 1024 * 1024;

/// A message, in bytes: it needs a page of its own.
const MESSAGE: usize = 1000;

/// Each in a commit of its own, which takes five times its size of the log.
#[test]
fn a_small_disk_holds_messages_and_not_their_log() {
    for durability in ["safe", "fast"] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        let mut process = Process::start_by(TINY_DISK, "fill and empty sqlite", &path);
        let Some(line) = process.line() else {
            // No right to mount.
            return;
        };
        assert_eq!(line, "ready");
        process.tell(durability);
        assert_eq!(process.line().as_deref(), Some("passed"));
        assert!(process.finish());
    }
}

/// Fills the disk and empties it again, more than once, and nobody makes room for that.
pub(crate) fn play(path: &Path) {
    say("ready");
    let durability = match hear().as_deref() {
        Some("safe") => Durability::Safe,
        _ => Durability::Fast,
    };
    let mut store = SqliteStore::open(path).unwrap();
    let mut first = 0;
    for round in 0..3 {
        let stored = fill(&mut store, path, durability);
        assert!(stored * MESSAGE > DISK / 8, "only {stored} messages");
        // What was freed is used again.
        assert!(
            stored >= first,
            "{stored} messages in round {round}, {first} before"
        );
        first = stored;
        store = reopened(store, path, stored);
        for number in 0..stored {
            let mut batch = Batch::new();
            batch.delete(&number.to_be_bytes());
            let deleted = store.apply(&batch, durability);
            deleted.unwrap_or_else(|error| panic!("message {number} of {stored} stays: {error}"));
        }
        store = reopened(store, path, 0);
    }
    say("passed");
}

/// Stores message after message until there is no room, which is told as that. How many there are.
fn fill(store: &mut SqliteStore, path: &Path, durability: Durability) -> usize {
    for number in 0_usize.. {
        let mut batch = Batch::new();
        batch.put(&number.to_be_bytes(), &[7; MESSAGE]);
        match store.apply(&batch, durability) {
            Ok(()) => (),
            Err(StoreError::DiskFull { path: named }) if named == path => return number,
            Err(error) => panic!("{error:?}"),
        }
        let log = fs::metadata(path.with_file_name("store-wal"));
        assert!(log.unwrap().len() < DISK as u64);
    }
    unreachable!("the disk has no bound")
}

/// The store as it is found by the next process. All that was accepted is in it.
fn reopened(store: SqliteStore, path: &Path, stored: usize) -> SqliteStore {
    drop(store);
    let store = SqliteStore::open(path).unwrap();
    let mut found = 0_usize;
    let scanned = store.scan(b"", b"", &mut |key, value| {
        assert_eq!((key, value.len()), (&found.to_be_bytes()[..], MESSAGE));
        found += 1;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(found, stored);
    store
}
