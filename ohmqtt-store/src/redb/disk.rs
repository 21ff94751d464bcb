//! What stands between redb and the file: nothing is changed before the file is known to be ours and sound, and the file grows to
//! its limit and no further.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// How far beyond its limit a store may grow to delete: redb writes anew what it changes, and only then frees the old.
const RESERVE: u64 = 1024 * 1024;

/// What stands before redb's pages, in bytes: it says which of them are in use.
const HEADER: usize = 320;
/// Where in the header the commits stand. Before it stands the layout, which changes without one.
const COMMITS: usize = 64;

/// The file, for as long as the store is open. Databases on it come and go with errors, its lock stays.
#[derive(Debug)]
pub(super) struct Disk {
    file: Box<dyn StorageBackend>,
    limit: Option<u64>,
    /// What is going on makes room.
    makes_room: AtomicBool,
    /// The length that was refused last, and was not told of yet. 0: none.
    refused: AtomicU64,
    header: Mutex<Header>,
    /// How many commits were synced.
    commits: AtomicU64,
}

/// The header as it is in the file. When a commit fails as late as with its sync, nobody knows which one the next look would find; the
/// one before is still true of all pages.
#[derive(Debug, Default)]
struct Header {
    /// Not known after a write that failed.
    now: Option<Vec<u8>>,
    synced: Vec<u8>,
}

impl Disk {
    pub(super) fn new(file: impl StorageBackend, limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            file: Box::new(file),
            limit,
            makes_room: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            header: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }

    /// How many commits are safe by now. The difference of two calls tells.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// What comes next removes more than it adds, or it does not.
    pub(super) fn set_makes_room(&self, makes_room: bool) {
        self.makes_room.store(makes_room, Ordering::Relaxed);
    }

    /// The length that would have been needed and the limit, if it was the limit that stood in the way.
    pub(super) fn take_refused(&self) -> Option<(u64, u64)> {
        let needed = self.refused.swap(0, Ordering::Relaxed);
        self.limit
            .filter(|_| needed > 0)
            .map(|limit| (needed, limit))
    }

    /// Whether the file begins with these bytes, as far as it goes.
    pub(super) fn begins_with(&self, start: &[u8]) -> io::Result<bool> {
        let len = usize::try_from(self.file.len()?).map_or(start.len(), |len| len.min(start.len()));
        let mut found = vec![0; len];
        self.file.read(0, &mut found)?;
        Ok(start.starts_with(&found))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let into = part(0, HEADER as u64, offset, offset + data.len() as u64);
        if into.is_empty() {
            return self.file.write(offset, data);
        }
        let header = &mut *lock(&self.header);
        let mut now = header.now.take().unwrap_or_default();
        self.file.write(offset, data)?;
        // redb writes it as a whole.
        now.resize(now.len().max(into.end), 0);
        now[into.clone()].copy_from_slice(&data[..into.len()]);
        header.now = Some(now);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        let header = &mut *lock(&self.header);
        if let Some(now) = &header.now {
            if now.get(COMMITS..) != header.synced.get(COMMITS..) {
                self.commits.fetch_add(1, Ordering::Relaxed);
            }
            header.synced.clone_from(now);
        }
        Ok(())
    }

    /// The header to go back to, unless it is the one in the file.
    fn last_synced(&self) -> io::Result<Option<Vec<u8>>> {
        let header = &mut *lock(&self.header);
        if header.synced.is_empty() {
            let len = usize::try_from(self.file.len()?).map_or(HEADER, |len| len.min(HEADER));
            header.synced.resize(len, 0);
            self.file.read(0, &mut header.synced)?;
            header.now = Some(header.synced.clone());
        }
        let is_other = header.now.as_ref() != Some(&header.synced);
        Ok(is_other.then(|| header.synced.clone()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if let Some(limit) = self.limit {
            let reserve = if self.makes_room.load(Ordering::Relaxed) {
                RESERVE
            } else {
                0
            };
            if len > limit.saturating_add(reserve) && len > self.file.len()? {
                self.refused.store(len, Ordering::Relaxed);
                return Err(ErrorKind::StorageFull.into());
            }
        }
        self.file.set_len(len)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Closing the file alone would leave the lock to a process that is being started at this moment.
        let _ = self.file.close();
    }
}

/// The way of one database to the file.
#[derive(Clone, Debug)]
pub(super) struct Way {
    disk: Arc<Disk>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    /// Changes are kept in memory, in their order.
    Held(Held),
    /// Changes are made.
    Open,
    /// Changes fail: the database is not to be trusted.
    Cut,
}

#[derive(Debug)]
struct Held {
    len: u64,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Way {
    /// A way on which changes are held. What a failed commit may have left is not seen on it.
    pub(super) fn held(disk: &Arc<Disk>) -> io::Result<Self> {
        let header = disk.last_synced()?;
        let held = Held {
            len: disk.file.len()?,
            changes: header
                .map(|bytes| Change::Write(0, bytes))
                .into_iter()
                .collect(),
        };
        Ok(Self {
            disk: Arc::clone(disk),
            state: Arc::new(Mutex::new(State::Held(held))),
        })
    }

    /// Makes the changes that were held, in their order and with their syncs, so that a power cut leaves what redb can repair.
    pub(super) fn open(&self) -> io::Result<()> {
        let State::Held(held) = mem::replace(&mut *lock(&self.state), State::Open) else {
            return Ok(());
        };
        for change in held.changes {
            match change {
                Change::SetLen(len) => self.disk.set_len(len)?,
                Change::Write(offset, data) => self.disk.write(offset, &data)?,
                Change::Sync => self.disk.sync()?,
            }
        }
        Ok(())
    }

    /// From now on nothing that the database does reaches the file, also not its last words.
    pub(super) fn cut(&self) {
        *lock(&self.state) = State::Cut;
    }
}

impl StorageBackend for Way {
    fn len(&self) -> io::Result<u64> {
        match &*lock(&self.state) {
            State::Held(held) => Ok(held.len),
            State::Open => self.disk.file.len(),
            State::Cut => Err(cut()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*lock(&self.state) {
            State::Held(held) => return held.read(&*self.disk.file, offset, out),
            State::Open => (),
            State::Cut => return Err(cut()),
        }
        self.disk.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match &mut *lock(&self.state) {
            State::Held(held) => {
                held.len = len;
                held.changes.push(Change::SetLen(len));
                Ok(())
            }
            State::Open => self.disk.set_len(len),
            State::Cut => Err(cut()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match &mut *lock(&self.state) {
            State::Held(held) => {
                held.changes.push(Change::Sync);
                Ok(())
            }
            State::Open => self.disk.sync(),
            State::Cut => Err(cut()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &mut *lock(&self.state) {
            State::Held(held) => {
                held.changes.push(Change::Write(offset, data.to_vec()));
                Ok(())
            }
            State::Open => self.disk.write(offset, data),
            State::Cut => Err(cut()),
        }
    }
}

impl Held {
    /// Reads what would be there had the changes been made.
    fn read(&self, file: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let there = part(offset, end, 0, file.len()?);
        let (there, gone) = out.split_at_mut(there.end);
        file.read(offset, there)?;
        gone.fill(0);
        for change in &self.changes {
            match change {
                Change::SetLen(len) => {
                    let kept = part(offset, end, 0, *len).end;
                    out[kept..].fill(0);
                }
                Change::Write(at, data) => {
                    let stop = at + data.len() as u64;
                    let into = part(offset, end, *at, stop);
                    let from = part(*at, stop, offset, end);
                    out[into].copy_from_slice(&data[from]);
                }
                Change::Sync => (),
            }
        }
        Ok(())
    }
}

/// Which part of the bytes from `start` to `end` lies between `from` and `to`, counted from `start`.
fn part(start: u64, end: u64, from: u64, to: u64) -> std::ops::Range<usize> {
    let place = |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap_or(usize::MAX);
    place(from)..place(to)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cut() -> io::Error {
    io::Error::other("the database is closed after an error")
}
