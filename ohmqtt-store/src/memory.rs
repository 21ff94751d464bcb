//! A store in memory: for tests, and for who wants the order and the bounds of a store without a disk.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Batch, Durability, Op, Store, StoreError, Visit};

/// A store in memory, bounded in bytes. What it holds ends with the process.
///
/// A clone is another handle to the same records, so that a test can drop everything that used the store, as a crash does, and
/// open it again with what had been written.
#[derive(Clone)]
pub struct MemoryStore {
    records: Arc<Mutex<Records>>,
    limit: usize,
}

#[derive(Default)]
struct Records {
    by_key: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// The sum of [`cost`] over the records.
    used: usize,
}

impl MemoryStore {
    /// The limit of [`MemoryStore::default`] in bytes: 64 MiB.
    pub const DEFAULT_LIMIT: usize = 64 * 1024 * 1024;

    /// What a record counts for beside its key and its value, in bytes: about what the map needs for it.
    pub const RECORD_OVERHEAD: usize = 64;

    /// An empty store that holds at most `limit` bytes: keys, values and [`RECORD_OVERHEAD`](Self::RECORD_OVERHEAD) for each.
    ///
    /// A batch that would go beyond it fails with [`StoreError::Full`], as it would on a full disk.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            records: Arc::default(),
            limit,
        }
    }

    /// How many bytes are used, by the same count as the limit.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// A panic of a visitor leaves the records whole: nothing in here can panic between two changes.
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("used", &self.used())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let records = self.lock();
        // From the first key on that can begin with the prefix, all that do stand together.
        let range = (Bound::Included(from.max(prefix)), Bound::Unbounded);
        for (key, value) in records.by_key.range::<[u8], _>(range) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch, _: Durability) -> Result<(), StoreError> {
        let mut records = self.lock();
        // The sum with nothing replaced and nothing removed decides nearly always; only else the exact one is worth its cost.
        let most = records.used + batch.bytes() + batch.len() * Self::RECORD_OVERHEAD;
        if most > self.limit {
            let needed = records.used_after(batch);
            if needed > self.limit {
                return Err(StoreError::Full {
                    needed: needed as u64,
                    limit: self.limit as u64,
                });
            }
        }
        for op in batch.iter() {
            records.apply(op);
        }
        Ok(())
    }
}

impl Records {
    fn apply(&mut self, op: Op<'_>) {
        let old = match op {
            Op::Put { key, value } => {
                self.used += cost(key, value);
                // A record that is written again keeps its key.
                match self.by_key.get_mut(key) {
                    Some(slot) => Some(std::mem::replace(slot, value.into())),
                    None => self.by_key.insert(key.into(), value.into()),
                }
            }
            Op::Delete { key } => self.by_key.remove(key),
        };
        if let Some(old) = old {
            let (Op::Put { key, .. } | Op::Delete { key }) = op;
            self.used -= cost(key, &old);
        }
    }

    /// What will be used once the batch is applied: of several operations on a key the last one counts.
    fn used_after(&self, batch: &Batch) -> usize {
        let mut last = BTreeMap::new();
        for op in batch.iter() {
            match op {
                Op::Put { key, value } => last.insert(key, cost(key, value)),
                Op::Delete { key } => last.insert(key, 0),
            };
        }
        let replaced: usize = last
            .keys()
            .filter_map(|key| self.by_key.get(*key).map(|value| cost(key, value)))
            .sum();
        self.used - replaced + last.values().sum::<usize>()
    }
}

/// What a record counts for.
fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + MemoryStore::RECORD_OVERHEAD
}
