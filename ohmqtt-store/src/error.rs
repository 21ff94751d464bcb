//! Why something could not be stored or read.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why something could not be stored or read. What had been stored before is untouched.
///
/// It is cloned to everyone whose operations were in the commit that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for the batch. Batches that remove more than they add still go through, and make room.
    #[error(
        "the store is full: {needed} bytes would be used and its limit is {limit}; let messages drain or raise the limit"
    )]
    Full {
        /// What the store would hold with the batch, in bytes.
        needed: u64,
        /// What it may hold, in bytes.
        limit: u64,
    },
    /// A record, or the file, is not what this crate writes.
    #[error("the store is damaged: {record}: {what}")]
    Damaged {
        /// Which record: session, kind and number, or the key where that cannot be read. Or which file.
        record: String,
        /// What is wrong with it.
        what: String,
    },
    /// A record, or the file, was written by a version that is newer than this one.
    #[error(
        "{record} is in format {found} and this version reads formats up to {newest}: use the version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// Which record: session, kind and number. Or which file.
        record: String,
        /// The format it is in.
        found: u32,
        /// The newest format that can be read.
        newest: u32,
    },
    /// The message cannot be encoded: its packet would be longer than MQTT allows.
    #[error(
        "the message would be a packet of {size} bytes, more than MQTT 5.0 allows (section 2.1.4)"
    )]
    TooLarge {
        /// The size of the packet in bytes.
        size: usize,
    },
    /// The folder that the file is to stand in does not exist. Nothing was made.
    #[error("{} has no folder to stand in: make the folder, or give another path", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made, or not be opened for writing.
    #[error("{} cannot be opened for writing: {cause}; give the right to, or another path", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: Arc<io::Error>,
    },
    /// The file is something else. It is as it was.
    #[error("{} is not a store of ours and was left as it is: {what}; give another path", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is, as far as can be seen.
        what: String,
    },
    /// Another process has the file open, or another store in this one. A store has one user at a time.
    #[error("{} is in use by another process or another store: close that one, or give another path", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is no room on the disk. Nothing of the batch is stored; what had been stored is kept, and there will be room again for
    /// more as soon as the disk has it.
    #[error("there is no room on the disk for {}: make room; what was accepted is kept", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The system could not read or write the file.
    #[error("{} could not be read or written: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        cause: Arc<io::Error>,
    },
    /// The store's thread could not be started.
    #[error("the store's thread could not be started")]
    Thread(#[source] Arc<io::Error>),
    /// The store panicked, which is a bug in it. It is not used any more: open it again.
    #[error("the store panicked and is not used any more: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}
