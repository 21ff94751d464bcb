//! A store whose disk may be full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ohmqtt_store::{Batch, Durability, Store, StoreError, Visit};

/// Another store, which takes nothing while `full` is set.
pub(super) struct Disk {
    pub(super) store: Box<dyn Store>,
    pub(super) full: Arc<AtomicBool>,
}

impl Store for Disk {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            let path = "a store behind Faults::fill_disk".into();
            return Err(StoreError::DiskFull { path });
        }
        self.store.apply(batch, durability)
    }
}
