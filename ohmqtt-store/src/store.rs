//! The seam between this crate and whatever keeps the bytes: two methods.

use std::ops::ControlFlow;

use crate::{Batch, StoreError};

/// Bytes under ordered keys, on something that outlives the process.
///
/// Keys are compared byte by byte, a shorter key before its extensions. Keys and values are opaque to the store; a key has at
/// most 66 KiB, a value at most 257 MiB. A store is used by one thread at a time, and by one process at a time.
pub trait Store: Send + 'static {
    /// Calls `visit` with each key and value, in the order of the keys, that begins with `prefix` and is not before `from`.
    ///
    /// `visit` ends the scan with [`ControlFlow::Break`]; that is no error. An empty `prefix` stands for every key, an empty
    /// `from` for the first one. The cost is that of what is visited, not of what is stored. `visit` does not use the store.
    ///
    /// An error may come after some records were visited.
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Does all that the batch asks for, in its order, or nothing of it.
    ///
    /// Deleting what is not there is no error. With [`Durability::Safe`] the batch and everything before it survives a power
    /// cut once this returns, so an empty batch makes what was written with [`Durability::Fast`] safe. After an error the
    /// store holds what it held before.
    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        (**self).scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        (**self).apply(batch, durability)
    }
}

/// What is called with each key and value of a scan, until it breaks.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What has to happen before a message counts as accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// It is on the disk: neither a crash nor a power cut loses it.
    #[default]
    Safe,
    /// It is on its way there: a crash or a power cut may lose the last moments, how much is the backend's to say. What is
    /// older, and the order, stay.
    ///
    /// What both sides remember of a QoS 2 exchange is on the disk all the same, because the next message with an identifier that
    /// was forgotten on one side is lost: a QoS 2 message is as quick as this while there is no connection, and as safe as
    /// [`Safe`](Self::Safe), and as slow, once there is one.
    Fast,
}
