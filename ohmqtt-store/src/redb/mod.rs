//! A store in a redb file: one table for the records, and one that says whose file it is.
//!
//! `disk` is what redb works on; `tests` cut its power.

mod disk;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    BackendError, Builder, Database, ReadableDatabase, StorageBackend, TableDefinition, TableError,
};

use self::disk::{Disk, Way};
use crate::file;
use crate::{Batch, Durability, Op, Store, StoreError, Visit};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Whose file it is, and in which format.
const IDENTITY: TableDefinition<'_, &str, u32> = TableDefinition::new("ohmqtt-store");
const FORMAT: u32 = 1;

/// What a redb file begins with.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// How much of the file redb keeps in memory, in bytes.
const CACHE: usize = 16 * 1024 * 1024;

/// How much may be written before it is synced even with [`Durability::Fast`], in bytes and in operations. It is kept twice, and after
/// an error it has to fit into redb's cache: the disk may be full.
const UNSAFE_BYTES: usize = 1024 * 1024;
const UNSAFE_OPS: usize = 4096;

/// A store in a redb file. redb is Rust alone. Only the owner of the file may read it.
///
/// - [`Durability::Safe`]: each commit is synced.
/// - [`Durability::Fast`]: commits are kept in memory until the next that is synced. A crash of the process as well as a power cut
///   loses what was written since then; a [`Writer`](crate::Writer) syncs some 30 times a second. On a full disk the store may not be
///   readable until there is room again; then all that was written is there.
///
/// After a crash, opening reads the whole file once to repair it. The file does not shrink when records are deleted; what comes
/// next uses the room.
///
/// ```
/// use ohmqtt_store::{Durability, RedbStore, StoreError, Writer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("outbox.redb");
/// let writer = Writer::spawn(RedbStore::open(&path)?, Durability::Safe)?;
///
/// let second = RedbStore::open(&path);
/// assert!(matches!(second, Err(StoreError::InUse { .. })));
/// # drop(writer);
/// # Ok(())
/// # }
/// ```
pub struct RedbStore {
    path: PathBuf,
    disk: Arc<Disk>,
    /// Not there after an error, until it is opened again.
    open: RefCell<Option<Open>>,
    /// What was written since the last sync: it is written again should the database have to be opened again.
    unsafe_yet: Batch,
}

struct Open {
    database: Database,
    way: Way,
}

impl RedbStore {
    /// Opens the store in this file, or makes it; its folder has to exist. The file is locked against all others as long as the
    /// store is open.
    ///
    /// # Errors
    ///
    /// [`NoFolder`](StoreError::NoFolder), [`NotWritable`](StoreError::NotWritable), [`NotAStore`](StoreError::NotAStore),
    /// [`UnknownFormat`](StoreError::UnknownFormat), [`Damaged`](StoreError::Damaged), [`InUse`](StoreError::InUse),
    /// [`DiskFull`](StoreError::DiskFull), [`Io`](StoreError::Io). The file is then as it was, and was not made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), None)
    }

    /// Opens or makes the store as [`open`](Self::open) does, and lets it grow to `limit` bytes: a batch that does not fit fails with
    /// [`StoreError::Full`]. To delete, a mebibyte more may be used.
    pub fn open_with_limit(path: impl AsRef<Path>, limit: u64) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), Some(limit))
    }

    fn open_file(path: &Path, limit: Option<u64>) -> Result<Self, StoreError> {
        let path = file::absolute(path)?;
        // redb takes a file that a crash kept it from finishing for a foreign one.
        let made = file::make(&path, |file| {
            let file = file.try_clone().map_err(|cause| file::io(&path, cause))?;
            Self::open_on(path.clone(), Disk::new(lock(&path, file)?, limit))
        })?;
        if let Some(store) = made {
            return Ok(store);
        }
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|cause| file::not_writable(&path, cause))?;
        let file = lock(&path, file)?;
        Self::open_on(path, Disk::new(file, limit))
    }

    /// Opens or makes the store on a file that is locked.
    fn open_on(path: PathBuf, disk: Arc<Disk>) -> Result<Self, StoreError> {
        if !disk
            .begins_with(MAGIC)
            .map_err(|cause| file::io(&path, cause))?
        {
            return Err(file::not_a_store(&path, "it is no redb database"));
        }
        let store = Self {
            path,
            disk,
            open: RefCell::new(None),
            unsafe_yet: Batch::new(),
        };
        store.with(|_| Ok(()))?;
        Ok(store)
    }

    /// Runs something on the database, which is opened for it if it is not. After an error it is closed: redb does nothing more
    /// with one that has failed.
    fn with<T>(
        &self,
        run: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut slot = self.open.borrow_mut();
        let open = match slot.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        match self.guarded(|| run(&open.database)) {
            Ok(result) => {
                *slot = Some(open);
                Ok(result)
            }
            Err(error) => {
                self.close(open);
                Err(error)
            }
        }
    }

    fn reopen(&self) -> Result<Open, StoreError> {
        let way = Way::held(&self.disk).map_err(|cause| file::io(&self.path, cause))?;
        let opened = self.guarded(|| {
            let database = Builder::new()
                .set_cache_size(CACHE)
                .create_with_backend(way.clone())?;
            Ok(database)
        });
        let database = opened.inspect_err(|_| way.cut())?;
        let open = Open { database, way };
        match self.take_over(&open) {
            Ok(()) => Ok(open),
            Err(error) => {
                self.close(open);
                Err(error)
            }
        }
    }

    /// Makes sure that the database is ours, and brings it to where it was before an error.
    fn take_over(&self, open: &Open) -> Result<(), StoreError> {
        let is_new = match self.guarded(|| identity(&open.database))? {
            Identity::Ours(FORMAT) => false,
            Identity::Ours(found) => return Err(file::unknown_format(&self.path, found, FORMAT)),
            Identity::None => true,
            Identity::Other => {
                return Err(file::not_a_store(
                    &self.path,
                    "it is a redb database of another program",
                ));
            }
        };
        open.way
            .open()
            .map_err(|cause| file::io(&self.path, cause))?;
        if is_new {
            self.guarded(|| make(&open.database))?;
        }
        if !self.unsafe_yet.is_empty() {
            self.guarded(|| write(&open.database, &self.unsafe_yet, redb::Durability::None))?;
        }
        Ok(())
    }

    /// Closes a database that has failed. It says nothing more to the file.
    fn close(&self, open: Open) {
        open.way.cut();
        // Whatever it thinks of that.
        let _ = self.guarded(|| {
            drop(open);
            Ok(())
        });
    }

    /// Runs what redb does. It takes its own data for sound: where they are not, it may panic.
    fn guarded<T>(&self, run: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result.map_err(|error| self.fault(error)),
            Err(panic) => Err(file::damaged(&self.path, message_of(&*panic))),
        }
    }

    fn fault(&self, error: redb::Error) -> StoreError {
        let path = &self.path;
        match error {
            redb::Error::Io(cause) => match self.disk.take_refused() {
                Some((needed, limit)) => StoreError::Full { needed, limit },
                None => file::io(path, cause),
            },
            redb::Error::Corrupted(what) => file::damaged(path, what),
            redb::Error::UpgradeRequired(format) => {
                file::not_a_store(path, format!("it is a redb database in format {format}"))
            }
            redb::Error::DatabaseAlreadyOpen => file::in_use(path),
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => file::damaged(path, error.to_string()),
            error => file::io(path, io::Error::other(error)),
        }
    }
}

impl Store for RedbStore {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            // From the first key on that can begin with the prefix, all that do stand together.
            let range = (Bound::Included(from.max(prefix)), Bound::Unbounded);
            for record in table.range::<&[u8]>(range)? {
                let (key, value) = record?;
                if !key.value().starts_with(prefix) || visit(key.value(), value.value()).is_break()
                {
                    break;
                }
            }
            Ok(())
        })
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let is_safe = durability == Durability::Safe
            || self.unsafe_yet.bytes() + batch.bytes() > UNSAFE_BYTES
            || self.unsafe_yet.len() + batch.len() > UNSAFE_OPS;
        if batch.is_empty() && (self.unsafe_yet.is_empty() || !is_safe) {
            return Ok(());
        }
        self.disk.set_makes_room(makes_room(batch));
        let durability = if is_safe {
            redb::Durability::Immediate
        } else {
            redb::Durability::None
        };
        let mut commits = u64::MAX;
        let written = self.with(|database| {
            commits = self.disk.commits();
            write(database, batch, durability)
        });
        match written {
            // What redb does after the commit has failed, and nothing else: the batch is safe.
            Err(_) if is_safe && self.disk.commits() > commits => (),
            written => written?,
        }
        if is_safe {
            self.unsafe_yet.clear();
        } else {
            batch.iter().for_each(|op| self.unsafe_yet.push(op));
        }
        Ok(())
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        let _ = self.apply(&Batch::new(), Durability::Safe);
        if let Some(open) = self.open.take() {
            let _ = self.guarded(|| {
                drop(open);
                Ok(())
            });
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

enum Identity {
    Ours(u32),
    /// Nothing is in it yet.
    None,
    Other,
}

fn identity(database: &Database) -> Result<Identity, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(IDENTITY) {
        Ok(table) => {
            let format = table.get("format")?;
            Ok(format.map_or(Identity::Other, |format| Identity::Ours(format.value())))
        }
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => {
            let is_empty = read.list_tables()?.next().is_none()
                && read.list_multimap_tables()?.next().is_none();
            Ok(if is_empty {
                Identity::None
            } else {
                Identity::Other
            })
        }
    }
}

fn make(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(IDENTITY)?.insert("format", FORMAT)?;
    write.open_table(RECORDS)?;
    Ok(write.commit()?)
}

fn write(
    database: &Database,
    batch: &Batch,
    durability: redb::Durability,
) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(durability)?;
    if !batch.is_empty() {
        let mut table = write.open_table(RECORDS)?;
        for op in batch.iter() {
            match op {
                Op::Put { key, value } => drop(table.insert(key, value)?),
                Op::Delete { key } => drop(table.remove(key)?),
            }
        }
    }
    Ok(write.commit()?)
}

/// Whether a batch looks as if it removed more than it adds.
fn makes_room(batch: &Batch) -> bool {
    let deletes = batch
        .iter()
        .filter(|op| matches!(op, Op::Delete { .. }))
        .count();
    2 * deletes >= batch.len()
}

/// Takes the file's lock.
fn lock(path: &Path, file: File) -> Result<FileBackend, StoreError> {
    let file = FileBackend::new(file).map_err(|error| file::io(path, io::Error::other(error)))?;
    match file.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        // Where a file cannot be locked, nothing better is to be had.
        Ok(true) | Err(BackendError::Unsupported) => Ok(file),
        Ok(false) => Err(file::in_use(path)),
        Err(error) => Err(file::io(path, error.into())),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("redb gave up").to_owned()
}
