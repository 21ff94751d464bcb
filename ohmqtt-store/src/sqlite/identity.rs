//! Whose database it is: looking at one without touching it, making one or one's own, and who has one open in this process.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::{legacy, store_error};
use crate::{StoreError, file};

/// "OhmQ": what SQLite calls the application's identity.
const APPLICATION_ID: i32 = 0x4f68_6d51;
/// The format of the table, SQLite's `user_version`.
pub(super) const FORMAT: i32 = 1;

/// Whose files are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Welcome {
    /// Our own alone.
    Ours,
    /// Those of ohmqtt 1.x too.
    Legacy,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Ours.
    Us,
    /// That of ohmqtt 1.x.
    Legacy,
}

/// The files that are open in this process.
static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Keeps a file from being opened twice in this process: the locks of POSIX are those of a process, and all of them are gone as soon
/// as any file handle of it is closed.
#[derive(Debug)]
pub(super) struct Taken(PathBuf);

impl Taken {
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let name = fs::canonicalize(path).map_err(|cause| file::not_writable(path, cause))?;
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.insert(name.clone()) {
            Ok(Self(name))
        } else {
            Err(file::in_use(path))
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.0);
    }
}

/// Makes the database unless there is one.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    file::make(path, |mut file| {
        let image = image().map_err(|error| store_error(path, &error))?;
        file.write_all(&image)
            .and_then(|()| file.sync_all())
            .map_err(|cause| file::io(path, cause))
    })
    .map(drop)
}

/// The bytes of a database without records.
fn image() -> rusqlite::Result<Vec<u8>> {
    let mut connection = Connection::open_in_memory()?;
    claim(&connection)?;
    Ok(connection.serialize("main")?.to_vec())
}

/// Makes a database ours, without records: in one step, where a transaction is open.
pub(super) fn claim(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {FORMAT};
         CREATE TABLE records (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    ))
}

/// Looks at the file without a lock and without a change: whether it is one that is taken, and in a format that is known.
///
/// Nobody in this process may have the file open: closing it would take away all locks that the process has on it.
pub(super) fn probe(path: &Path, welcome: Welcome) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let looked = Connection::open_with_flags(immutable(path), flags)
        .map_err(|error| store_error(path, &error))
        .and_then(|connection| {
            let owner = check_identity(&connection, path, welcome);
            // What it is, may stand in the log alone.
            if welcome == Welcome::Legacy
                && owner.is_err()
                && is_unclaimed(&connection)
                && has_log(path)
            {
                return Ok(());
            }
            owner?;
            check_length(&connection, path)
        });
    match looked {
        // A crash while the log went over into the database: the log makes it whole. So does the journal that 1.x kept instead.
        Err(StoreError::Damaged { .. })
            if has_log(path) || (welcome == Welcome::Legacy && has_journal(path)) =>
        {
            Ok(())
        }
        looked => looked,
    }
}

/// Looks into the database. It is an error when it is none that is taken.
pub(super) fn check_identity(
    connection: &Connection,
    path: &Path,
    welcome: Welcome,
) -> Result<Owner, StoreError> {
    let identity = || {
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection.query_row(tables, (), |row| row.get(0))?;
        Ok((
            pragma(connection, "application_id")?,
            pragma(connection, "user_version")?,
            tables,
        ))
    };
    match identity().map_err(|error| store_error(path, &error))? {
        // What is shorter than a page is empty to SQLite.
        (0, 0, 0) => Err(file::not_a_store(path, "it holds no database")),
        (0, version, _) if welcome == Welcome::Legacy => {
            legacy::check_schema(connection, path, version)?;
            Ok(Owner::Legacy)
        }
        (APPLICATION_ID, FORMAT, 1..) => Ok(Owner::Us),
        (APPLICATION_ID, FORMAT, _) => Err(file::damaged(path, "its table is missing")),
        (APPLICATION_ID, found, _) => Err(file::unknown_format(
            path,
            found.unsigned_abs(),
            FORMAT.unsigned_abs(),
        )),
        (id, _, _) => Err(file::not_a_store(
            path,
            format!("it is a database of another program (application_id {id:#x})"),
        )),
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// No program has put its number into it.
fn is_unclaimed(connection: &Connection) -> bool {
    ["application_id", "user_version"]
        .iter()
        .all(|name| pragma(connection, name).is_ok_and(|number| number == 0))
}

/// A database ends with a whole page. That it is shorter by several, SQLite sees by itself.
fn check_length(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let page = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0));
    let page = page.map_err(|error| store_error(path, &error))?;
    let len = fs::metadata(path)
        .map_err(|cause| file::io(path, cause))?
        .len();
    if len % u64::from(page.max(1)) == 0 {
        Ok(())
    } else {
        Err(file::damaged(path, "it is cut short"))
    }
}

/// The name under which SQLite reads the file as one that never changes: no lock, no log, nothing written beside it.
fn immutable(path: &Path) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'.')
        .remove(b'-')
        .remove(b'_');
    // A drive of Windows stands behind a slash of its own.
    let slash = if path.has_root() && path.as_os_str().as_encoded_bytes().starts_with(b"/") {
        ""
    } else {
        "/"
    };
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), &KEPT);
    format!("file://{slash}{path}?immutable=1")
}

fn has_log(path: &Path) -> bool {
    fs::metadata(file::with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

fn has_journal(path: &Path) -> bool {
    fs::metadata(file::with_suffix(path, "-journal")).is_ok_and(|journal| journal.len() > 0)
}
