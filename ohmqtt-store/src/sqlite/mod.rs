//! A store in an SQLite file: one table, in WAL mode, for one process at a time.
//!
//! `identity` says whose file it is, `legacy` takes over what ohmqtt 1.x has left in one, `room` looks after the disk's.

mod identity;
mod legacy;
mod room;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

use self::identity::{FORMAT, Owner, Taken, Welcome};
pub use self::legacy::Imported;
use self::room::Room;
use crate::file;
use crate::{Batch, Durability, Op, Store, StoreError, Visit};

/// About 4 MiB of log, then it goes over into the database.
const CHECKPOINT_PAGES: u32 = 1000;
/// How far below the limit a batch may be said to be beyond it, in bytes: pages are filled to a part only.
const NEAR: u64 = 64 * 1024;
/// What the log keeps of its length after a large batch, in bytes.
const LOG_LIMIT: u32 = 16 * 1024 * 1024;

/// A store in an SQLite file. SQLite itself is built in.
///
/// Beside the file stands its log, the same name with `-wal` behind it, as long as the store is open and after a crash. The two
/// belong together: copy or move both. Only the owner of the file may read it.
///
/// - [`Durability::Safe`]: `synchronous=FULL`, the log is synced in each commit.
/// - [`Durability::Fast`]: `synchronous=NORMAL`. A crash of the process loses nothing; a power cut loses what was written since the
///   last sync, which a [`Writer`](crate::Writer) does some 30 times a second.
///
/// The file does not shrink when records are deleted; what comes next uses the room. The log goes over into it when it has some 4 MiB, and
/// earlier on a disk that has less to spare. Of such a disk new records leave 128 KiB free where they make the file longer, so that
/// records can be deleted that nobody could delete otherwise. (Elsewhere than on Unix the log goes over once a batch has found no room.)
///
/// ```
/// use ohmqtt_store::{Durability, SqliteStore, StoreError, Writer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("outbox.db");
/// let writer = Writer::spawn(SqliteStore::open(&path)?, Durability::Safe)?;
///
/// let second = SqliteStore::open(&path);
/// assert!(matches!(second, Err(StoreError::InUse { .. })));
/// # drop(writer);
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    limit: Option<u64>,
    /// What `synchronous` is set to.
    synchronous: Durability,
    /// Something was written that a power cut may take.
    unsafe_yet: bool,
    room: Room,
    /// Behind the connection, which closes first.
    _taken: Taken,
}

impl SqliteStore {
    /// Opens the store in this file, or makes it; its folder has to exist. The file is locked against all others as long as the
    /// store is open.
    ///
    /// # Errors
    ///
    /// [`NoFolder`](StoreError::NoFolder), [`NotWritable`](StoreError::NotWritable), [`NotAStore`](StoreError::NotAStore),
    /// [`UnknownFormat`](StoreError::UnknownFormat), [`Damaged`](StoreError::Damaged), [`InUse`](StoreError::InUse),
    /// [`DiskFull`](StoreError::DiskFull), [`Io`](StoreError::Io). The file is then as it was, and was not made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), None, Welcome::Ours).map(|(store, _)| store)
    }

    /// Opens or makes the store as [`open`](Self::open) does, and lets it grow to `limit` bytes and no further: a batch that does
    /// not fit fails with [`StoreError::Full`]. The log, some 4 MiB or once the largest batch, is not counted.
    pub fn open_with_limit(path: impl AsRef<Path>, limit: u64) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), Some(limit), Welcome::Ours).map(|(store, _)| store)
    }

    /// Opens or makes the store as [`open`](Self::open) does, and takes over the database of the Python package ohmqtt 1.x, should that
    /// be what stands there: it says what that was, once, and `None` of a file that is a store already or was not there.
    ///
    /// The records are those of the session [without a client identifier](crate::Prefix::session): what was queued, sent and not
    /// acknowledged, received and not released, in its order, with its Packet Identifiers. The identifier that the server knows is
    /// [attached](crate::Prefix::attachment) to it as kind 0, with nothing behind it. Of the properties, a Topic Alias and Subscription
    /// Identifiers are left out, which are of one connection and of the server. A Message Expiry Interval counts from now, as 1.x did not
    /// keep when a message was accepted. A row that cannot be sent is [left and named](Imported::left), and the others are taken over.
    ///
    /// All is one transaction. The tables of 1.x stay as they are and nothing reads or writes them any more; drop them whenever you like.
    /// 1.x itself refuses the file from then on, by its `user_version`: it cannot be gone back to with this file. The file keeps the
    /// rights it has. End the program that uses it first: as long as that is not writing, it cannot be seen.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). [`NotAStore`](StoreError::NotAStore) of a database whose `user_version` or whose tables are neither ours
    /// nor those of 1.x, or that has others beside them. The file is then as it was, but that a transaction 1.x had left unfinished is
    /// rolled back, as by whoever opens it.
    pub fn open_or_import(path: impl AsRef<Path>) -> Result<(Self, Option<Imported>), StoreError> {
        Self::open_file(path.as_ref(), None, Welcome::Legacy)
    }

    fn open_file(
        path: &Path,
        limit: Option<u64>,
        welcome: Welcome,
    ) -> Result<(Self, Option<Imported>), StoreError> {
        let path = &file::absolute(path)?;
        identity::make(path)?;
        let taken = Taken::take(path)?;
        identity::probe(path, welcome)?;
        let fault = |error| store_error(path, &error);
        // A connection of one thread at a time needs no mutex of its own.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        // Until it is known that the file is sound, closing changes nothing.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(fault)?;
        connection.busy_timeout(Duration::ZERO).map_err(fault)?;
        if connection.is_readonly("main").map_err(fault)? {
            let cause = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(file::not_writable(path, cause));
        }
        // From the first look on nobody else gets at the file.
        connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .map_err(fault)?;
        let imported = match identity::check_identity(&connection, path, welcome)? {
            Owner::Us => None,
            Owner::Legacy => Some(legacy::import(&mut connection, path)?),
        };
        set_up(&connection, limit).map_err(fault)?;
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
            .map_err(fault)?;
        let room = Room::of(&connection, path).map_err(fault)?;
        let store = Self {
            connection,
            path: path.to_owned(),
            limit,
            synchronous: Durability::Safe,
            unsafe_yet: false,
            room,
            _taken: taken,
        };
        Ok((store, imported))
    }

    fn write(&mut self, batch: &Batch, durability: Durability) -> rusqlite::Result<()> {
        if durability != self.synchronous {
            let level = match durability {
                Durability::Safe => "FULL",
                Durability::Fast => "NORMAL",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.synchronous = durability;
        }
        let mut little = None;
        if self.room.is_little(&self.connection, batch) {
            // As long as that can be done. Whether it could is seen by what is left.
            let _ = self.shorten_log();
            little = self.room.little(&self.connection, batch);
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if batch.is_empty() {
            // The log is synced by a commit that writes to it.
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO records (key, value) VALUES (?1, ?2)")?;
            let mut delete = transaction.prepare_cached("DELETE FROM records WHERE key = ?1")?;
            for op in batch.iter() {
                match op {
                    Op::Put { key, value } => put.execute((key, value))?,
                    Op::Delete { key } => delete.execute((key,))?,
                };
            }
        }
        if let Some(little) = little
            && !little.suffices(&transaction)?
        {
            return Err(room::full());
        }
        transaction.commit()
    }

    fn try_write(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        self.write(batch, durability)
            .map_err(|error| self.fault(&error, batch))
    }

    /// Brings the log over into the database and gives back its room.
    fn shorten_log(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
    }

    fn fault(&self, error: &rusqlite::Error, batch: &Batch) -> StoreError {
        let error = store_error(&self.path, error);
        let (StoreError::DiskFull { .. }, Some(limit)) = (&error, self.limit) else {
            return error;
        };
        // SQLite does not say which of the two it was: the limit, or the disk before it was reached.
        let used = room::length(&self.connection).unwrap_or_default();
        let needed = used + 2 * batch.bytes() as u64 + NEAR;
        if needed > limit {
            StoreError::Full { needed, limit }
        } else {
            error
        }
    }
}

impl Store for SqliteStore {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut scan = || {
            let mut select = self
                .connection
                .prepare_cached("SELECT key, value FROM records WHERE key >= ?1 ORDER BY key")?;
            // From the first key on that can begin with the prefix, all that do stand together.
            let mut rows = select.query((from.max(prefix),))?;
            while let Some(row) = rows.next()? {
                let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
                if !key.starts_with(prefix) || visit(key, value).is_break() {
                    break;
                }
            }
            Ok(())
        };
        scan().map_err(|error| store_error(&self.path, &error))
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        if batch.is_empty() && (durability == Durability::Fast || !self.unsafe_yet) {
            return Ok(());
        }
        let mut written = self.try_write(batch, durability);
        if matches!(written, Err(StoreError::DiskFull { .. })) && self.shorten_log().is_ok() {
            self.room.ask_again();
            written = self.try_write(batch, durability);
        }
        written?;
        self.unsafe_yet = durability == Durability::Fast;
        Ok(())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn set_up(connection: &Connection, limit: Option<u64>) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = {LOG_LIMIT};
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;"
    ))?;
    if let Some(limit) = limit {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        // SQLite counts pages in 32 bits.
        let pages = u32::try_from(limit / u64::from(page.max(1))).unwrap_or(u32::MAX);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    // Welcome the lock, when nothing before did, and finds a table that is not there.
    connection.query_row(
        "SELECT count(*) FROM (SELECT 1 FROM records LIMIT 1)",
        (),
        |_| Ok(()),
    )
}

fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let what = error.to_string();
    let cause = |kind| io::Error::new(kind, what.clone());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => file::not_a_store(path, "it is no SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => file::damaged(path, what),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => file::in_use(path),
        Some(ErrorCode::DiskFull) => file::io(path, cause(io::ErrorKind::StorageFull)),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            file::not_writable(path, cause(io::ErrorKind::PermissionDenied))
        }
        Some(ErrorCode::SystemIoFailure)
            if error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHORT_READ) =>
        {
            file::damaged(path, "it is cut short")
        }
        _ => file::io(path, cause(io::ErrorKind::Other)),
    }
}
