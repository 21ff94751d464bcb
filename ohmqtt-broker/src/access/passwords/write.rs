//! Changing the file: whole or not at all, and for nobody else to read.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, PasswordHash};
use tempfile::NamedTempFile;

use crate::access::file::{self, FileError, io_error};

/// A file of passwords to be changed, for [`Builder::passwords`](crate::Builder::passwords). Each change writes a new file and puts it in
/// the place of the old one, so that a reader finds either. Only its owner can read it (0600, where the system has such). A running broker
/// takes it with [`Broker::reload_access`](crate::Broker::reload_access).
///
/// Every method blocks the thread for the disk. Of two changes at once one may be lost.
///
/// ```
/// use ohmqtt_broker::PasswordFile;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("passwords");
/// let file = PasswordFile::new(path);
/// file.set_user("alice", b"wonderland")?;
/// assert!(file.remove_user("alice")?);
/// assert!(!file.remove_user("alice")?);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    /// The file of this name. It need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Adds a user, or gives it another password, which is hashed with Argon2id. The other lines stay as they are.
    ///
    /// # Errors
    /// The file cannot be read or written; or a line cannot hold the name: it is empty, holds `:` or control characters, or begins with
    /// `#`, or begins or ends with white space.
    pub fn set_user(&self, name: &str, password: &[u8]) -> Result<(), FileError> {
        let is_whole = !name.starts_with('#') && name.trim() == name;
        if name.is_empty() || !is_whole || name.contains(|c: char| c == ':' || c.is_control()) {
            let why = format!("'{}' cannot be the name of a user", name.escape_debug());
            let error = io::Error::new(io::ErrorKind::InvalidInput, why);
            return Err(io_error(&self.path, error));
        }
        let hash: PasswordHash = Argon2::default()
            .hash_password(password)
            .map_err(|error| io_error(&self.path, io::Error::other(error.to_string())))?;
        self.change(name, Some(&format!("{name}:{hash}")))?;
        Ok(())
    }

    /// Removes a user. Tells whether there was one.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn remove_user(&self, name: &str) -> Result<bool, FileError> {
        self.change(name, None)
    }

    /// Puts this line in the place of the user's. Tells whether there was one.
    fn change(&self, name: &str, line: Option<&str>) -> Result<bool, FileError> {
        let old = match file::read(&self.path) {
            Err(FileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                String::new()
            }
            other => other?,
        };
        let is_theirs = |line: &str| {
            let found = line.trim().split_once(':');
            found.is_some_and(|(found, _)| found == name)
        };
        let was_there = old.lines().any(is_theirs);
        if line.is_none() && !was_there {
            return Ok(false);
        }
        let others = old.lines().filter(|line| !is_theirs(line));
        let new: Vec<_> = others.chain(line).flat_map(|line| [line, "\n"]).collect();
        replace(&self.path, &new.concat()).map_err(|error| io_error(&self.path, error))?;
        Ok(was_there)
    }
}

/// Writes a file beside the old one, and puts it in its place when it is on the disk.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    // It is made with 0600.
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
