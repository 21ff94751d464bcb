//! How much room is left on the disk. What is committed takes it twice, in the log and, when that goes over into the database, there: a
//! log that has grown until the disk is full can go nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ffi};

use self::system::free;
use crate::Batch;

/// What no commit that makes the database longer may take of the disk, in bytes: what deletes comes through the log too.
const RESERVE: u64 = 128 * 1024;
/// How much may be committed until the disk is asked again, in bytes, however large it is: others write on it too.
const EASE: u64 = 64 * 1024 * 1024;
/// Of what is left, the part that may be committed until then.
const EASE_PART: u64 = 4;
/// How many pages an operation may change, besides those its bytes fill: its own, those beside it, and those above.
const PAGES_PER_OP: u64 = 4;
/// And a commit, whatever its operations are.
const PAGES_PER_COMMIT: u64 = 8;

/// What is known of the room on the disk.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    page: u64,
    /// How much may be committed before the disk is asked.
    ease: u64,
}

/// A disk with little room, as a commit finds it.
#[derive(Debug)]
pub(super) struct Little {
    path: PathBuf,
    page: u64,
    /// What it has.
    free: u64,
    /// How long the database is, with its log.
    before: u64,
    /// How many pages that exist the commit changes, at most.
    changed: u64,
}

impl Room {
    pub(super) fn of(connection: &Connection, path: &Path) -> rusqlite::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            page: pragma(connection, "page_size")?.max(1),
            ease: 0,
        })
    }

    /// Whether there may be too little for this batch, where that can be known. Disks with room are hardly ever asked.
    pub(super) fn is_little(&mut self, connection: &Connection, batch: &Batch) -> bool {
        let most = changed(batch) * self.page + added(batch);
        if let Some(ease) = self.ease.checked_sub(most) {
            self.ease = ease;
            return false;
        }
        let (Some(free), Ok(len)) = (free(&self.path), length(connection)) else {
            return false;
        };
        let left = free.saturating_sub(still_to_grow(&self.path, len));
        self.ease = (left / EASE_PART).min(EASE);
        if let Some(ease) = self.ease.checked_sub(most) {
            self.ease = ease;
            return false;
        }
        left < 2 * most.min(len + added(batch)) + RESERVE
    }

    /// The disk is not what it was thought to be.
    pub(super) fn ask_again(&mut self) {
        self.ease = 0;
    }

    /// What there is, to be held against what the batch turns out to take.
    pub(super) fn little(&self, connection: &Connection, batch: &Batch) -> Option<Little> {
        let (free, before) = (free(&self.path)?, length(connection).ok()?);
        Some(Little {
            path: self.path.clone(),
            page: self.page,
            free,
            before,
            changed: changed(batch).min(before / self.page),
        })
    }
}

impl Little {
    /// Whether what stands in an open transaction can go into the log, and from there into the database, and leave enough to delete.
    /// What makes the database no longer always may: there is nothing to be had by refusing it.
    pub(super) fn suffices(&self, transaction: &Connection) -> rusqlite::Result<bool> {
        let after = length(transaction)?;
        let new = after.saturating_sub(self.before);
        let logged = new + self.changed * self.page;
        let needed = logged + still_to_grow(&self.path, after) + RESERVE;
        Ok(new == 0 || needed <= self.free)
    }
}

/// The length of the database with what stands in its log, in bytes.
pub(super) fn length(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(pragma(connection, "page_count")? * pragma(connection, "page_size")?)
}

/// What SQLite says when the disk is full.
pub(super) fn full() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    connection
        .pragma_query_value(None, name, |row| row.get::<_, u32>(0))
        .map(u64::from)
}

/// How many pages that exist a batch changes, at most.
fn changed(batch: &Batch) -> u64 {
    PAGES_PER_OP * batch.len() as u64 + PAGES_PER_COMMIT
}

/// What a batch adds, in bytes: pages are filled to a part only.
fn added(batch: &Batch) -> u64 {
    2 * batch.bytes() as u64
}

/// By how much the file is shorter than the database with its log.
fn still_to_grow(path: &Path, len: u64) -> u64 {
    let there = fs::metadata(path).map_or(0, |file| file.len());
    len.saturating_sub(there)
}

#[cfg(unix)]
mod system {
    use std::path::Path;

    /// What whoever this is may still write on the disk of a file, in bytes.
    pub(super) fn free(path: &Path) -> Option<u64> {
        let disk = rustix::fs::statvfs(path).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::Path;

    /// Nobody says: the log goes over when a commit has failed.
    pub(super) fn free(_: &Path) -> Option<u64> {
        None
    }
}
