//! A store that takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ohmqtt_store::{Batch, Durability, MemoryStore, Store, StoreError, Visit};

/// A store in memory whose every batch takes a while. Clones hold the same records.
#[derive(Clone, Default)]
pub(crate) struct Slow {
    store: MemoryStore,
    /// In microseconds.
    takes: Arc<AtomicU64>,
}

impl Slow {
    /// From now on a batch takes so long.
    pub(crate) fn set(&self, takes: Duration) {
        let micros = u64::try_from(takes.as_micros()).unwrap_or(u64::MAX);
        self.takes.store(micros, Ordering::Relaxed);
    }
}

impl Store for Slow {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        std::thread::sleep(Duration::from_micros(self.takes.load(Ordering::Relaxed)));
        self.store.apply(batch, durability)
    }
}
