//! What a durable outbox costs: a client with a store in a file, and a server in memory that acknowledges everything at once.

mod peer;
pub mod writes;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, Durability, MemoryStore, RedbStore, SqliteStore, Store,
};
use ohmqtt_store::{Batch, StoreError, Visit};

pub use self::peer::{Acking, Nowhere};
pub use crate::process::{cpu, memory};

/// What the programs here return.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A backend by its name.
pub fn open(name: &str, folder: &Path) -> Result<Box<dyn Store>> {
    Ok(match name {
        "memory" => Box::new(MemoryStore::with_limit(usize::MAX)),
        "redb" => Box::new(RedbStore::open(file(name, folder))?),
        "sqlite" => Box::new(SqliteStore::open(file(name, folder))?),
        other => return Err(format!("there is no store {other}: memory, redb or sqlite").into()),
    })
}

/// Where a backend keeps its records.
pub fn file(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("outbox.{name}"))
}

/// A client that keeps its outbox in this store. It tries again at once when it finds nobody.
pub fn client(store: impl Store, durability: Durability) -> ClientBuilder {
    Client::builder("mqtt://in.memory")
        .client_id("bench")
        .backoff(Duration::from_millis(10), Duration::from_millis(100))
        .store(store, durability)
}

/// A store that counts its commits.
pub struct Counted<S> {
    inner: S,
    commits: Arc<AtomicU64>,
}

impl<S> Counted<S> {
    /// Counts what is done to a store.
    pub fn new(inner: S) -> (Self, Arc<AtomicU64>) {
        let commits = Arc::<AtomicU64>::default();
        let counted = Self {
            inner,
            commits: Arc::clone(&commits),
        };
        (counted, commits)
    }
}

impl<S: Store> Store for Counted<S> {
    fn scan(
        &self,
        from: &[u8],
        prefix: &[u8],
        visit: &mut Visit<'_>,
    ) -> std::result::Result<(), StoreError> {
        self.inner.scan(from, prefix, visit)
    }

    fn apply(
        &mut self,
        batch: &Batch,
        durability: Durability,
    ) -> std::result::Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.inner.apply(batch, durability)
    }
}

impl<S> std::fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
