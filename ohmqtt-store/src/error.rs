//! Why something could not be stored or read.

use std::io;
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
    /// A record is not what this crate writes.
    #[error("the store is damaged: {record}: {what}")]
    Damaged {
        /// Which record: session, kind and number, or the key where that cannot be read.
        record: String,
        /// What is wrong with it.
        what: String,
    },
    /// A record was written by a version that is newer than this one.
    #[error(
        "{record} is in format {found} and this version reads formats up to {newest}: use the version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// Which record: session, kind and number.
        record: String,
        /// The format it is in.
        found: u8,
        /// The newest format that can be read.
        newest: u8,
    },
    /// The message cannot be encoded: its packet would be longer than MQTT allows.
    #[error(
        "the message would be a packet of {size} bytes, more than MQTT 5.0 allows (section 2.1.4)"
    )]
    TooLarge {
        /// The size of the packet in bytes.
        size: usize,
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
