//! What a power cut leaves of an SQLite store: another process writes and is stopped, its files are copied, and the log is cut where
//! the disk may have stopped.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use ohmqtt_store::{Durability, SqliteStore, Writer};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::child::{Process, hear, say};
use crate::files::{batch, count};
use crate::gated::{soon, tell};

/// Commits that are accepted, one after the other, before the one that is stopped.
const COMMITS: u32 = 60;
/// Records of the commit that is stopped.
const LAST: u32 = 20_000;

/// The log's header, and one of its frames.
const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// The files of a store whose writer was stopped.
struct Stopped {
    database: Vec<u8>,
    log: Vec<u8>,
    /// How many records were accepted, and how long the log was then.
    accepted: u32,
    accepted_len: usize,
}

#[test]
fn wherever_the_log_ends_everything_accepted_is_there_and_in_order() {
    let stopped = (0..50).map(|_| stop_a_writer()).find(|stopped| {
        // One that was stopped in time.
        stopped.log.len() > stopped.accepted_len + FRAME
    });
    let stopped = stopped.expect("one of 50 writers is stopped in a commit");
    assert!(stopped.accepted >= COMMITS);

    let mut rng = fastrand::Rng::with_seed(4);
    let frames = (HEADER..=stopped.log.len()).step_by(FRAME);
    for len in frames {
        check(&stopped, &stopped.log[..len]);
    }
    for n in 0..100 {
        let len = rng.usize(stopped.accepted_len..stopped.log.len());
        if n % 2 == 0 {
            check(&stopped, &stopped.log[..len]);
        } else {
            // Beyond what was synced, anything may stand.
            let mut log = stopped.log.clone();
            let until = rng.usize(len..=log.len());
            rng.fill(&mut log[len..until]);
            check(&stopped, &log);
        }
    }
}

/// Opens the database with such a log.
fn check(stopped: &Stopped, log: &[u8]) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, &stopped.database).unwrap();
    fs::write(folder.path().join("store-wal"), log).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let found = count(&store).unwrap();
    if log.len() >= stopped.accepted_len {
        let whole = [stopped.accepted, stopped.accepted + LAST];
        assert!(whole.contains(&found), "{found} of {whole:?}");
    } else {
        assert!(found <= stopped.accepted, "{found}");
    }
}

fn stop_a_writer() -> Stopped {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let log = folder.path().join("store-wal");
    let mut process = Process::start("write sqlite", &path);
    let mut accepted = (0, 0);
    for _ in 0..COMMITS {
        accepted = numbers(&process.line().unwrap());
    }
    process.tell("go on");
    while fs::metadata(&log).unwrap().len() == accepted.1 {
        std::hint::spin_loop();
    }
    let id = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let stopped = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    // What it has said before it was stopped counts.
    kill_process(id, Signal::KILL).unwrap();
    while let Some(line) = process.line() {
        accepted = numbers(&line);
    }
    Stopped {
        database: stopped.0,
        log: stopped.1,
        accepted: u32::try_from(accepted.0).unwrap(),
        accepted_len: usize::try_from(accepted.1).unwrap(),
    }
}

/// Records and length of the log.
fn numbers(line: &str) -> (u64, u64) {
    let (records, len) = line.split_once(' ').unwrap();
    (records.parse().unwrap(), len.parse().unwrap())
}

/// Writes, and says after each commit what is accepted.
pub(crate) fn play(path: &Path) {
    let log = path.with_file_name("store-wal");
    let writer = Writer::spawn(SqliteStore::open(path).unwrap(), Durability::Safe).unwrap();
    let write = |from: u32, to: u32| {
        let (send, accepted) = channel();
        writer.submit_all(Vec::new(), batch(from..to), tell(send));
        soon(&accepted).unwrap();
        say(format!("{to} {}", fs::metadata(&log).unwrap().len()));
    };
    for n in 0..COMMITS {
        write(n, n + 1);
    }
    hear();
    write(COMMITS, COMMITS + LAST);
    // Until it is killed.
    hear();
}
