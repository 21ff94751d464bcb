//! Files that say who may do what, and what may be wrong with them.

use std::io;
use std::path::{Path, PathBuf};

/// A file that says who may do what cannot be used. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read, or not written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A line is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// The number of the line; the first is 1.
        line: usize,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

/// A file that can be read again while the broker runs.
pub(crate) trait Reload: Send + Sync {
    /// Reads it, and gives what puts the new contents in the place of the old ones. Blocks the thread for the disk.
    fn read(&self) -> Result<Box<dyn FnOnce() + Send + '_>, FileError>;
}

/// Reads a file of text.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|error| io_error(path, error))
}

/// Its lines that are neither empty nor comments, trimmed, with their numbers.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(text.lines());
    numbered
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

pub(crate) fn io_error(path: &Path, error: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        error,
    }
}

pub(crate) fn line_error(path: &Path, line: usize, problem: impl Into<String>) -> FileError {
    FileError::Line {
        path: path.to_owned(),
        line,
        problem: problem.into(),
    }
}
