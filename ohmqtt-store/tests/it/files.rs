//! What every store in a file does with files that are not there, not its own, not sound or not free. A backend runs it all with
//! one line: `files!(module, Kind)`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ohmqtt_store::{Batch, Durability, Store, StoreError};
use tempfile::TempDir;

use crate::child::{Process, hear, say};

/// A kind of store in a file.
pub(crate) trait Kind {
    type Store: Store + Debug;
    /// What a process is called that plays a role on such a store.
    const NAME: &'static str;

    fn open(path: &Path) -> Result<Self::Store, StoreError>;

    /// Makes a database of another program, closed well.
    fn make_foreign(path: &Path);

    /// Makes of a store one in a format that is newer by one.
    fn make_newer(path: &Path);
}

/// Runs all of it on a [`Kind`].
macro_rules! files {
    ($name:ident, $kind:ty) => {
        files!($name, $kind:
            a_missing_folder_is_named_and_not_made,
            a_folder_in_place_of_the_file_is_refused,
            a_file_that_is_no_database_is_left_alone,
            a_database_of_another_program_is_left_alone,
            a_newer_format_is_left_alone,
            a_truncated_file_is_left_alone,
            damage_is_an_error_and_never_a_panic,
            an_empty_file_becomes_a_store,
            a_store_in_use_is_refused_to_the_same_process,
            a_store_in_use_is_refused_to_another_process,
            a_store_held_by_a_killed_process_is_free,
            a_million_records_are_found_in_order,
        );
    };
    ($name:ident, $kind:ty: $($fact:ident,)*) => {
        mod $name {
            $(#[test]
            fn $fact() {
                $crate::files::$fact::<$kind>();
            })*
        }
    };
}
pub(crate) use files;

pub(crate) fn a_missing_folder_is_named_and_not_made<K: Kind>() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("none/store");
    let error = refused::<K>(&path, folder.path());
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error:?}");

    fs::write(folder.path().join("file"), "").unwrap();
    let error = refused::<K>(&folder.path().join("file/store"), folder.path());
    let is_clear = matches!(
        error,
        StoreError::NoFolder { .. } | StoreError::NotWritable { .. }
    );
    assert!(is_clear, "{error:?}");
}

pub(crate) fn a_folder_in_place_of_the_file_is_refused<K: Kind>() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("store")).unwrap();
    let error = refused::<K>(&folder.path().join("store"), folder.path());
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
}

pub(crate) fn a_file_that_is_no_database_is_left_alone<K: Kind>() {
    let contents = [
        b"x".to_vec(),
        b"a letter to somebody\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 100_000],
        vec![b'S'; 512],
    ];
    for content in contents {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        fs::write(&path, &content).unwrap();
        let error = refused::<K>(&path, folder.path());
        assert!(
            matches!(error, StoreError::NotAStore { .. }),
            "{} bytes: {error:?}",
            content.len()
        );
    }
}

pub(crate) fn a_database_of_another_program_is_left_alone<K: Kind>() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    K::make_foreign(&path);
    let error = refused::<K>(&path, folder.path());
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
    assert!(error.to_string().contains("another program"), "{error}");
}

pub(crate) fn a_newer_format_is_left_alone<K: Kind>() {
    let (folder, path) = filled::<K>(10);
    K::make_newer(&path);
    let error = refused::<K>(&path, folder.path());
    assert!(
        matches!(
            error,
            StoreError::UnknownFormat {
                found: 2,
                newest: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

pub(crate) fn a_truncated_file_is_left_alone<K: Kind>() {
    let (folder, path) = filled::<K>(1000);
    let whole = fs::read(&path).unwrap();
    for part in [1, 2, 50, 100, 1000] {
        for len in [whole.len() * part / 1001, whole.len() - part] {
            fs::write(&path, &whole[..len]).unwrap();
            let error = refused::<K>(&path, folder.path());
            let is_clear = matches!(
                error,
                StoreError::Damaged { .. } | StoreError::NotAStore { .. }
            );
            assert!(is_clear, "{len} of {}: {error:?}", whole.len());
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(count(&K::open(&path).unwrap()).unwrap(), 1000);
}

pub(crate) fn damage_is_an_error_and_never_a_panic<K: Kind>() {
    let (_folder, path) = filled::<K>(1000);
    let whole = fs::read(&path).unwrap();
    let mut seen = 0;
    // Pages that hold something.
    let pages = (0..whole.len() / 4096).filter(|n| whole[n * 4096..][..4096] != [0; 4096]);
    for page in pages {
        for fill in [0, 0xff] {
            let mut damaged = whole.clone();
            damaged[page * 4096..][..4096].fill(fill);
            fs::write(&path, &damaged).unwrap();
            let error = match K::open(&path) {
                Err(error) => {
                    assert_eq!(fs::read(&path).unwrap(), damaged, "changed though refused");
                    error
                }
                Ok(mut store) => {
                    let found = count(&store);
                    let written = store.apply(&batch(2000..2100), Durability::Safe);
                    let more = count(&store);
                    let Some(error) = found.err().or(written.err()).or(more.err()) else {
                        // Some pages hold nothing, and nobody sees a value that is another.
                        continue;
                    };
                    error
                }
            };
            seen += 1;
            assert!(names(&error, &path), "page {page}, {fill:#x}: {error}");
            let is_clear = matches!(
                error,
                StoreError::Damaged { .. }
                    | StoreError::NotAStore { .. }
                    | StoreError::UnknownFormat { .. }
            );
            assert!(is_clear, "page {page}, {fill:#x}: {error:?}");
        }
    }
    assert!(seen > 10, "{seen} of the damaged files were seen to be so");
}

pub(crate) fn an_empty_file_becomes_a_store<K: Kind>() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, "").unwrap();
    let mut store = K::open(&path).unwrap();
    store.apply(&batch(0..3), Durability::Safe).unwrap();
    drop(store);
    assert_eq!(count(&K::open(&path).unwrap()).unwrap(), 3);
}

pub(crate) fn a_store_in_use_is_refused_to_the_same_process<K: Kind>() {
    let (_folder, path) = filled::<K>(3);
    let mut store = K::open(&path).unwrap();
    store.apply(&batch(3..4), Durability::Safe).unwrap();
    // Reading the file here, to compare it, would take away the locks of this process on it.
    for _ in 0..3 {
        let error = K::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        assert!(names(&error, &path), "{error}");
    }
    // It is still locked against others: looking has not taken the lock away.
    let mut other = Process::start(&format!("open {}", K::NAME), &path);
    assert_eq!(other.line().as_deref(), Some("in use"));
    store.apply(&batch(4..5), Durability::Safe).unwrap();
    assert_eq!(count(&store).unwrap(), 5);
    drop(store);
    assert_eq!(count(&K::open(&path).unwrap()).unwrap(), 5);
}

pub(crate) fn a_store_in_use_is_refused_to_another_process<K: Kind>() {
    let (folder, path) = filled::<K>(3);
    let mut other = Process::start(&format!("open {}", K::NAME), &path);
    assert_eq!(other.line().as_deref(), Some("open"));
    let error = refused::<K>(&path, folder.path());
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    other.tell("write");
    assert_eq!(other.line().as_deref(), Some("written"));
    let error = refused::<K>(&path, folder.path());
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(other.finish());
    assert_eq!(count(&K::open(&path).unwrap()).unwrap(), 4);
}

pub(crate) fn a_store_held_by_a_killed_process_is_free<K: Kind>() {
    let (_folder, path) = filled::<K>(3);
    let mut other = Process::start(&format!("open {}", K::NAME), &path);
    assert_eq!(other.line().as_deref(), Some("open"));
    other.tell("write");
    assert_eq!(other.line().as_deref(), Some("written"));
    drop(other);
    assert_eq!(count(&K::open(&path).unwrap()).unwrap(), 4);
}

pub(crate) fn a_million_records_are_found_in_order<K: Kind>() {
    const RECORDS: u32 = 1_000_000;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut store = K::open(&path).unwrap();
    for start in (0..RECORDS).step_by(20_000) {
        let durability = Durability::Fast;
        store
            .apply(&batch(start..start + 20_000), durability)
            .unwrap();
    }
    drop(store);
    let store = K::open(&path).unwrap();
    assert_eq!(count(&store).unwrap(), RECORDS);
    let mut last = Vec::new();
    let from = (RECORDS - 2).to_be_bytes();
    let scanned = store.scan(&from, b"", &mut |key, _| {
        last.push(key.to_vec());
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(
        last,
        [RECORDS - 2, RECORDS - 1].map(|n| n.to_be_bytes().to_vec())
    );
}

/// The error of opening a file. Nothing in the folder changes by it.
pub(crate) fn refused<K: Kind>(path: &Path, folder: &Path) -> StoreError {
    let before = contents(folder);
    let error = K::open(path).expect_err("it is refused");
    assert!(contents(folder) == before, "the folder changed: {error}");
    assert!(names(&error, path), "{error}");
    error
}

fn names(error: &StoreError, path: &Path) -> bool {
    error.to_string().contains(&path.display().to_string())
}

/// What stands in a folder, all the way down.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// A store with so many records, closed.
fn filled<K: Kind>(records: u32) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut store = K::open(&path).unwrap();
    store.apply(&batch(0..records), Durability::Safe).unwrap();
    drop(store);
    (folder, path)
}

/// Puts of these numbers.
pub(crate) fn batch(numbers: std::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    for n in numbers {
        batch.put(&n.to_be_bytes(), &n.to_le_bytes().repeat(5));
    }
    batch
}

/// How many records there are, from 0 on without a gap.
pub(crate) fn count(store: &impl Store) -> Result<u32, StoreError> {
    let mut next = 0_u32;
    store.scan(b"", b"", &mut |key, value| {
        // Damage that a store cannot see ends the count.
        if key != next.to_be_bytes() || value.len() != 20 {
            return ControlFlow::Break(());
        }
        next += 1;
        ControlFlow::Continue(())
    })?;
    Ok(next)
}

/// What this binary does as another process.
pub(crate) fn play(role: &str, path: &Path) {
    match role {
        #[cfg(feature = "sqlite")]
        "open sqlite" => play_open::<crate::sqlite::Sqlite>(path),
        #[cfg(feature = "redb")]
        "open redb" => play_open::<crate::redb::Redb>(path),
        #[cfg(all(unix, feature = "sqlite"))]
        "fill sqlite" => crate::full::play::<crate::sqlite::Sqlite>(path),
        #[cfg(all(unix, feature = "sqlite"))]
        "fill and empty sqlite" => crate::sqlite_room::play(path),
        #[cfg(all(unix, feature = "sqlite"))]
        "write sqlite" => crate::sqlite_power::play(path),
        #[cfg(all(unix, feature = "sqlite"))]
        "import sqlite" => crate::legacy::crash::play(path),
        #[cfg(all(unix, feature = "redb"))]
        "fill redb" => crate::full::play::<crate::redb::Redb>(path),
        _ => panic!("no role is called {role}"),
    }
}

/// Opens the store, holds it, and writes one record whenever it is told to.
fn play_open<K: Kind>(path: &Path) {
    let mut store = match K::open(path) {
        Ok(store) => store,
        Err(StoreError::InUse { .. }) => return say("in use"),
        Err(error) => return say(error),
    };
    let mut next = count(&store).unwrap();
    say("open");
    while hear().is_some() {
        store
            .apply(&batch(next..next + 1), Durability::Safe)
            .unwrap();
        next += 1;
        say("written");
    }
}
