//! What the stores on disk share: making a file that only its owner reads, taking it away again, and the words for what went wrong.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// What the name of a file that is being made ends in.
const NEW: &str = ".new";

/// Makes a file unless there is one with something in it. It gets its name when it is written, so that a crash leaves all of it or
/// nothing; the lock goes with it. `None`: it was there.
pub(crate) fn make<T>(
    path: &Path,
    write: impl FnOnce(&File) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    if has_content(path)? {
        return Ok(None);
    }
    let new = with_suffix(path, NEW);
    let file = open_new(path, &new)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(in_use(path)),
        // Where files cannot be locked, nothing better is to be had.
        Ok(()) | Err(TryLockError::Error(_)) => (),
    }
    // Another may have made it until the lock was there.
    if has_content(path)? {
        return Ok(None);
    }
    let made = file
        .set_len(0)
        .map_err(|cause| io(path, cause))
        .and_then(|()| write(&file))
        .and_then(|made| {
            fs::rename(&new, path)
                .and_then(|()| sync_folder(path))
                .map_err(|cause| io(path, cause))?;
            Ok(made)
        });
    if made.is_err() {
        // Nothing was accepted yet: what cannot be taken away does no harm.
        let _ = fs::remove_file(&new);
    }
    made.map(Some)
}

fn open_new(path: &Path, new: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    private(options.read(true).write(true).create(true))
        .open(new)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => StoreError::NoFolder {
                path: path.to_owned(),
            },
            _ => not_writable(path, error),
        })
}

/// Whether there is a file with something in it. A folder is an error.
fn has_content(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(not_a_store(path, "it is a folder")),
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(StoreError::NoFolder {
            path: path.to_owned(),
        }),
        Err(error) => Err(not_writable(path, error)),
    }
}

/// The path from the root on, which is what errors name.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|cause| io(path, cause))
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// What the system said of a file, as an error of the store.
pub(crate) fn io(path: &Path, cause: io::Error) -> StoreError {
    let path = path.to_owned();
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::DiskFull { path }
        }
        ErrorKind::UnexpectedEof => damaged(&path, "it is cut short"),
        _ => StoreError::Io {
            path,
            cause: Arc::new(cause),
        },
    }
}

pub(crate) fn not_writable(path: &Path, cause: io::Error) -> StoreError {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => io(path, cause),
        _ => StoreError::NotWritable {
            path: path.to_owned(),
            cause: Arc::new(cause),
        },
    }
}

pub(crate) fn not_a_store(path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::NotAStore {
        path: path.to_owned(),
        what: what.into(),
    }
}

pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged {
        record: path.display().to_string(),
        what: what.into(),
    }
}

pub(crate) fn in_use(path: &Path) -> StoreError {
    StoreError::InUse {
        path: path.to_owned(),
    }
}

pub(crate) fn unknown_format(path: &Path, found: u32, newest: u32) -> StoreError {
    StoreError::UnknownFormat {
        record: path.display().to_string(),
        found,
        newest,
    }
}

use self::system::{private, sync_folder};

#[cfg(unix)]
mod system {
    use super::{File, OpenOptions, Path, io};
    use std::os::unix::fs::OpenOptionsExt;

    /// What is made is for its owner alone: messages are nobody else's business.
    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(not(unix))]
mod system {
    use super::{OpenOptions, Path, io};

    /// The folder says who may read.
    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    /// Folders cannot be synced.
    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}
