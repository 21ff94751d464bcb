//! What the stores on disk share: making a file that only its owner reads, taking it away again, and the words for what went wrong.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// A file that is there. One that was made just now goes again unless it is [kept](Self::keep).
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    made: bool,
}

impl Found {
    /// Makes the file unless it is there.
    pub(crate) fn or_make(path: &Path) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(|cause| io(path, cause))?;
        let made = match private(&mut OpenOptions::new())
            .write(true)
            .create_new(true)
            .open(&path)
        {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) if is_there(&path) => return Err(not_writable(&path, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::NoFolder { path });
            }
            Err(error) => return Err(not_writable(&path, error)),
        };
        if path.is_dir() {
            return Err(StoreError::NotAStore {
                path,
                what: "it is a folder".to_owned(),
            });
        }
        Ok(Self { path, made })
    }

    /// The file stays, and so does its name in the folder, whatever becomes of the power.
    pub(crate) fn keep(mut self) -> Result<PathBuf, StoreError> {
        if self.made {
            sync_folder(&self.path).map_err(|cause| io(&self.path, cause))?;
            self.made = false;
        }
        Ok(std::mem::take(&mut self.path))
    }

    /// The file has another user by now, who keeps it.
    pub(crate) fn leave(mut self) {
        self.made = false;
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        if self.made {
            // It is empty or holds nothing that was accepted: a failure leaves no more than its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
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
