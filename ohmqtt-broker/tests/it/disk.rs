//! A store in memory that tests can stop, break, and copy as a crash would leave it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ohmqtt_broker::{Broker, Durability, Limits, MemoryStore, StartError, Store, StoreError};
use ohmqtt_store::{Batch, Visit};

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: MemoryStore,
    shut: Arc<(Mutex<bool>, Condvar)>,
    fails: Arc<AtomicBool>,
    /// What a crash behind each commit would leave, if that is wanted.
    history: Option<Arc<Mutex<Vec<MemoryStore>>>>,
}

impl Disk {
    /// A disk that remembers what it was like behind each commit.
    pub(crate) fn watched() -> Self {
        Self {
            history: Some(Arc::default()),
            ..Self::default()
        }
    }

    /// A broker on this disk.
    pub(crate) async fn broker(&self) -> Broker {
        self.start(Limits::default()).await.unwrap()
    }

    pub(crate) async fn start(&self, limits: Limits) -> Result<Broker, StartError> {
        let builder = Broker::builder()
            .listen("mqtt://127.0.0.1:0")
            .limits(limits);
        builder.store(self.clone(), Durability::Safe).start().await
    }

    /// What is on the disk in this moment, for a process that comes after a crash.
    pub(crate) fn after_crash(&self) -> Self {
        Self::of(copy(&self.records))
    }

    /// The same for a crash behind each of the commits so far.
    pub(crate) fn after_each_commit(&self) -> Vec<Self> {
        let history = self.history.as_ref().unwrap().lock().unwrap();
        history.iter().map(|then| Self::of(copy(then))).collect()
    }

    fn of(records: MemoryStore) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// From now on commits wait.
    pub(crate) fn shut(&self) {
        *self.shut.0.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.shut.0.lock().unwrap() = false;
        self.shut.1.notify_all();
    }

    /// Whether commits fail from now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The keys there are, with this at the beginning.
    pub(crate) fn keys(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        self.records
            .scan(b"", prefix, &mut |key, _| {
                keys.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        keys
    }

    /// Writes as no broker does.
    pub(crate) fn put(&self, key: &[u8], value: &[u8]) {
        let mut batch = Batch::new();
        batch.put(key, value);
        let mut records = self.records.clone();
        records.apply(&batch, Durability::Safe).unwrap();
    }
}

fn copy(records: &MemoryStore) -> MemoryStore {
    let mut batch = Batch::new();
    records
        .scan(b"", b"", &mut |key, value| {
            batch.put(key, value);
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut copied = MemoryStore::default();
    copied.apply(&batch, Durability::Safe).unwrap();
    copied
}

impl Store for Disk {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.records.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let shut = self.shut.0.lock().unwrap();
        drop(self.shut.1.wait_while(shut, |shut| *shut).unwrap());
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Full {
                needed: 2,
                limit: 1,
            });
        }
        self.records.apply(batch, durability)?;
        if let Some(history) = &self.history {
            history.lock().unwrap().push(copy(&self.records));
        }
        Ok(())
    }
}
