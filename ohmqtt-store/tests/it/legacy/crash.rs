//! A process that ends while it takes over a database of 1.x, at any write or any moment: all of it was taken over, or nothing.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ohmqtt_session::Record;
use ohmqtt_store::SqliteStore;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::{Legacy, records, tables};
use crate::child::{Process, hear, say};
use crate::files::contents;

/// A file that grows beyond the limit gives an error, where otherwise it ends the process.
const LIMITED: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

/// What a crash must leave whole.
struct Original {
    folder: TempDir,
    tables: Vec<String>,
    records: (Option<String>, Vec<Record>),
}

impl Original {
    /// The files of a program that was killed, which with `fast` has all but its tables in the log.
    fn new(fast: bool, messages: u64) -> Self {
        let legacy = Legacy::new(fast);
        legacy.run("BEGIN");
        for n in 0..messages {
            legacy.add("a/topic", &n.to_string().repeat(60).into_bytes(), 2, None);
        }
        legacy.send(5);
        legacy.run(
            "UPDATE messages SET received = 1 WHERE id < 3;
             INSERT INTO received VALUES (1), (7);
             UPDATE client_id SET client_id = 'c';
             COMMIT",
        );
        let (folder, path) = legacy.kill();
        let copy = copy(folder.path());
        let (store, _) = super::import(&copy.path().join("store"));
        let records = records(&store);
        drop(store);
        let tables = tables(&copy.path().join("store"));
        assert_eq!(records.1.len() as u64, messages + 3, "{}", path.display());
        Self {
            folder,
            tables,
            records,
        }
    }

    /// What a crash has left is as it was, or as it is to be. True: it is as it was.
    fn check(&self, folder: &Path, when: &str) -> bool {
        let path = folder.join("store");
        let (store, imported) = SqliteStore::open_or_import(&path).unwrap();
        assert!(records(&store) == self.records, "{when}");
        drop(store);
        let (store, again) = SqliteStore::open_or_import(&path).unwrap();
        assert_eq!(again, None, "{when}");
        assert!(records(&store) == self.records, "{when}");
        drop(store);
        assert!(tables(&path) == self.tables, "{when}");
        imported.is_some()
    }
}

fn copy(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for (path, bytes) in contents(folder) {
        fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    copy
}

#[test]
fn a_crash_at_any_write_leaves_all_or_nothing() {
    for fast in [false, true] {
        let original = Original::new(fast, 200);
        let (mut nothing, mut all) = (0, 0);
        for limit in limits() {
            let folder = copy(original.folder.path());
            let mut process = Process::start("import sqlite", &folder.path().join("store"));
            process.tell(&limit.to_string());
            let is_done = process.line().is_some();
            assert_eq!(process.finish(), is_done);
            if original.check(folder.path(), &format!("fast: {fast}, limit: {limit}")) {
                assert!(!is_done);
                nothing += 1;
            } else {
                all += 1;
            }
        }
        assert!(nothing > 10 && all > 2, "fast: {fast}: {nothing}, {all}");
    }
}

#[test]
fn without_room_nothing_is_taken_over_and_nothing_changes() {
    for fast in [false, true] {
        let original = Original::new(fast, 200);
        let mut failed = 0;
        for limit in limits() {
            let folder = copy(original.folder.path());
            let path = folder.path().join("store");
            let mut process = Process::start_by(LIMITED, "import sqlite", &path);
            process.tell(&limit.to_string());
            let said = process.line().unwrap();
            assert!(process.finish());
            let left = contents(folder.path());
            let when = format!("fast: {fast}, limit: {limit}: {said}");
            if !original.check(folder.path(), &when) {
                continue;
            }
            failed += 1;
            assert!(said.contains(&path.display().to_string()), "{said}");
            let before = contents(original.folder.path());
            assert_eq!(left.len(), before.len(), "{when}: {:?}", left.keys());
            for ((path, is), was) in left.iter().zip(before.values()) {
                // What was not committed may stand behind the log's end.
                let is_longer = path.ends_with("store-wal") && is.starts_with(was);
                assert!(is == was || is_longer, "{when}: {}", path.display());
            }
        }
        assert!(failed > 10, "fast: {fast}: {failed}");
    }
}

/// Within the first pages, where the journal ends, and then every page, and within some.
fn limits() -> impl Iterator<Item = u64> {
    let pages = (1..50).map(|page| page * 4096 + page % 3 * 500);
    [0, 10, 100, 600, 1000].into_iter().chain(pages)
}

#[test]
fn a_kill_at_any_moment_leaves_all_or_nothing() {
    let mut rng = fastrand::Rng::with_seed(8);
    for fast in [false, true] {
        let original = Original::new(fast, 3000);
        // How long it takes.
        let folder = copy(original.folder.path());
        let mut process = Process::start("import sqlite", &folder.path().join("store"));
        let start = Instant::now();
        process.tell("none");
        assert!(process.line().is_some() && process.finish());
        let took = start.elapsed();
        assert!(!original.check(folder.path(), "at its end"));

        let mut nothing = 0;
        for _ in 0..20 {
            let folder = copy(original.folder.path());
            let mut process = Process::start("import sqlite", &folder.path().join("store"));
            process.tell("none");
            let wait = took.mul_f64(rng.f64());
            thread::sleep(wait.min(Duration::from_secs(5)));
            drop(process);
            nothing +=
                u32::from(original.check(folder.path(), &format!("fast: {fast}, after {wait:?}")));
        }
        assert!(nothing > 0, "fast: {fast}: nothing was killed in time");
    }
}

/// Takes over what is there, with files that may grow so far.
pub(crate) fn play(path: &Path) {
    if let Ok(limit) = hear().unwrap().parse() {
        // What ends the process is to leave nothing behind.
        limit_to(Resource::Core, 0);
        limit_to(Resource::Fsize, limit);
    }
    match SqliteStore::open_or_import(path) {
        Ok((_, imported)) => say(format!("{imported:?}")),
        Err(error) => say(error),
    }
}

fn limit_to(resource: Resource, limit: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum,
        },
    )
    .unwrap();
}
