//! A full disk: the batch that finds no room fails, what was accepted stays, and when there is room again there is no error left.
//!
//! A process has its files limited by the system, which is possible everywhere; where this one may mount, another has a small disk.

use std::fs;
use std::path::Path;

use ohmqtt_store::{Durability, Store, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::child::{Process, hear, say};
use crate::files::{Kind, batch, count};

/// A file that grows beyond the limit gives an error, and no signal that ends the process.
const LIMITED: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

/// A disk of its own that goes with the process.
const SMALL_DISK: &str = r#"
    disk=$(dirname "$OHMQTT_STORE_PATH")
    exec unshare --mount sh -c '
        mount -t tmpfs -o size=6m tmpfs "$0" || exit 1
        shift; exec "$@"' "$disk" "$disk" "$0" "$@"
"#;

/// Records of a batch.
const STEP: u32 = 500;

pub(crate) fn check<K: Kind>() {
    for (script, room) in [(LIMITED, "limit"), (SMALL_DISK, "disk")] {
        for durability in ["safe", "fast"] {
            let folder = TempDir::new().unwrap();
            let role = format!("fill {}", K::NAME);
            let mut process = Process::start_by(script, &role, &folder.path().join("store"));
            let Some(line) = process.line() else {
                assert_eq!(room, "disk", "the process did not start");
                // No right to mount.
                return;
            };
            assert_eq!(line, "ready");
            process.tell(room);
            process.tell(durability);
            assert_eq!(process.line().as_deref(), Some("passed"));
            assert!(process.finish());
        }
    }
}

/// Fills the disk, makes room, and goes on.
pub(crate) fn play<K: Kind>(path: &Path) {
    say("ready");
    let is_limited = hear().unwrap() == "limit";
    let durability = if hear().unwrap() == "safe" {
        Durability::Safe
    } else {
        Durability::Fast
    };
    let filler = path.with_file_name("filler");
    let make_room = || {
        if is_limited {
            limit_files(None);
        } else {
            fs::remove_file(&filler).unwrap();
        }
    };
    let mut store = K::open(path).unwrap();
    if is_limited {
        limit_files(Some(2 * 1024 * 1024));
    } else {
        fs::write(&filler, vec![1; 3 * 1024 * 1024]).unwrap();
    }

    let (stored, error) = fill(&mut store, 0, durability);
    let is_clear = match &error {
        StoreError::DiskFull { path: named } => named == path,
        // SQLite tells of a limit on files as of any other failure.
        StoreError::Io { path: named, .. } => is_limited && named == path,
        _ => false,
    };
    assert!(is_clear, "{error:?}");
    assert!(stored >= STEP, "nothing was stored before: {error}");
    for _ in 0..3 {
        // What redb has not synced yet, it may have no room to show.
        match count(&store) {
            Err(StoreError::DiskFull { .. }) if durability == Durability::Fast => (),
            kept => assert_eq!(kept.unwrap(), stored, "what was accepted is kept"),
        }
        let again = store.apply(&batch(stored..stored + 200 * STEP), durability);
        assert!(again.is_err(), "more than the whole room");
    }

    make_room();
    store
        .apply(&batch(stored..stored + STEP), durability)
        .unwrap();
    assert_eq!(count(&store).unwrap(), stored + STEP);
    drop(store);
    assert_eq!(count(&K::open(path).unwrap()).unwrap(), stored + STEP);
    say("passed");
}

/// Writes batches from a number on until there is no room. What is stored then, and the error.
fn fill(store: &mut impl Store, from: u32, durability: Durability) -> (u32, StoreError) {
    let mut next = from;
    loop {
        match store.apply(&batch(next..next + STEP), durability) {
            Ok(()) => next += STEP,
            Err(error) => return (next, error),
        }
    }
}

fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let current = bytes.or(maximum);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}
