//! Who may read a store, and a store that may not be written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ohmqtt_store::{Durability, Store};
use tempfile::TempDir;

use crate::child::Process;
use crate::files::{Kind, batch, contents};

/// What is made is for its owner alone, also what stands beside it.
pub(crate) fn check_privacy<K: Kind>() {
    let folder = TempDir::new().unwrap();
    let mut store = K::open(&folder.path().join("store")).unwrap();
    store.apply(&batch(0..10), Durability::Safe).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

/// A folder that may not be written has no store made in it, and a store in it that may only be read is left alone.
pub(crate) fn check_rights<K: Kind>() {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("folder");
    let stands = folder.join("stands");
    fs::create_dir(&folder).unwrap();
    let mut store = K::open(&stands).unwrap();
    store.apply(&batch(0..10), Durability::Safe).unwrap();
    drop(store);
    allow(outer.path(), 0o755);
    allow(&stands, 0o444);
    allow(&folder, 0o555);

    let before = contents(&folder);
    for path in [folder.join("new"), stands] {
        let role = format!("open {}", K::NAME);
        let mut process = Process::start_without_rights(&role, &path, outer.path());
        let said = process.line().unwrap();
        let want = format!("{} cannot be opened for writing", path.display());
        assert!(said.starts_with(&want), "{said}");
        assert!(process.finish());
        assert!(contents(&folder) == before, "the folder changed: {said}");
    }
    // The folder goes with what is in it.
    allow(&folder, 0o755);
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
