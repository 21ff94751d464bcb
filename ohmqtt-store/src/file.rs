//! What the stores on disk share: making a file that only its owner reads, taking it away again, and the words for what went wrong.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// What may stand beside a file of SQLite.
const BESIDE: [&str; 3] = ["", "-wal", "-journal"];

/// A file that is there. One that was made just now goes again unless it is [kept](Self::keep).
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    made: bool,
}

impl Found {
    /// Makes the file unless it is there.
    pub(crate) fn or_make(path: &Path) -> Result<Self, StoreError> {
        let path = absolute(path)?;
        let made = !is_there(&path)?;
        if made {
            match make(&path, OpenOptions::new().create_new(true)) {
                Ok(_) => (),
                // Another was faster.
                Err(StoreError::NotWritable { cause, .. })
                    if cause.kind() == ErrorKind::AlreadyExists =>
                {
                    return Err(in_use(&path));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { path, made })
    }

    /// The file stays, and so does its name in the folder, whatever becomes of the power.
    pub(crate) fn keep(mut self) -> Result<(), StoreError> {
        if self.made {
            sync_folder(&self.path).map_err(|cause| io(&self.path, cause))?;
            self.made = false;
        }
        Ok(())
    }

    /// The file has another user by now, who keeps it.
    pub(crate) fn leave(mut self) {
        self.made = false;
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        if self.made {
            // Nothing was accepted yet: what cannot be taken away does no harm.
            for beside in BESIDE {
                let _ = fs::remove_file(with_suffix(&self.path, beside));
            }
        }
    }
}

/// The path from the root on, which is what errors name.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|cause| io(path, cause))
}

/// Whether there is a file. A folder is an error.
pub(crate) fn is_there(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(not_a_store(path, "it is a folder")),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(not_writable(path, error)),
    }
}

/// Opens a file for writing and makes it if need be.
pub(crate) fn make(path: &Path, options: &mut OpenOptions) -> Result<File, StoreError> {
    private(options)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => StoreError::NoFolder {
                path: path.to_owned(),
            },
            _ => not_writable(path, error),
        })
}

/// Gives a file its name for good, in place of an empty one if there is one.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to)
        .and_then(|()| sync_folder(to))
        .map_err(|cause| io(to, cause))
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
