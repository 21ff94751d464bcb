//! What a power cut leaves of a store, and what a disk does to it that fails for a while.
//!
//! The disk here keeps what was synced. Of what was not, a power cut keeps some sectors and loses others, by chance.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::RedbStore;
use super::disk::Disk;
use crate::{Batch, Durability, Store, StoreError};

/// What a disk writes at once, in bytes.
const SECTOR: usize = 512;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A disk. A clone is the same one.
#[derive(Clone, Debug, Default)]
struct Platter(Arc<Mutex<Content>>);

#[derive(Clone, Debug, Default)]
struct Content {
    synced: Vec<u8>,
    now: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many changes and syncs there were.
    calls: usize,
    /// When to keep a copy for a power cut, and the copy.
    cut_at: Option<usize>,
    cut: Option<Box<Content>>,
    /// Which calls fail.
    fails: std::ops::Range<usize>,
    /// The batches that are safe, and all that were begun.
    safe: usize,
    begun: usize,
}

#[derive(Clone, Debug)]
enum Change {
    SetLen(usize),
    Write(usize, Vec<u8>),
}

impl Platter {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    fn open(&self) -> Result<RedbStore, StoreError> {
        RedbStore::open_on(PathBuf::from("store"), Disk::new(self.clone(), None))
    }

    fn call(&self) -> io::Result<MutexGuard<'_, Content>> {
        let mut content = self.lock();
        content.calls += 1;
        if content.cut_at == Some(content.calls) {
            let copy = content.clone();
            content.cut = Some(Box::new(copy));
        }
        if content.fails.contains(&content.calls) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(content)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut content = self.call()?;
        change.apply(&mut content.now);
        content.unsynced.push(change);
        Ok(())
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
        }
    }
}

impl Content {
    /// What is on the disk after a power cut.
    fn after_power_cut(self, rng: &mut fastrand::Rng) -> Platter {
        let mut bytes = self.synced;
        // Sometimes nothing of it, sometimes all, mostly some.
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][rng.usize(..5)];
        for change in self.unsynced {
            match change {
                Change::SetLen(_) if rng.f64() < kept => change.apply(&mut bytes),
                Change::SetLen(_) => (),
                Change::Write(at, data) => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.f64() < kept {
                            Change::Write(at + n * SECTOR, sector.to_vec()).apply(&mut bytes);
                        }
                    }
                }
            }
        }
        Platter(Arc::new(Mutex::new(Self {
            now: bytes.clone(),
            synced: bytes,
            ..Self::default()
        })))
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.lock();
        let at = usize::try_from(offset).unwrap();
        let found = content.now.get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.call()?;
        for change in std::mem::take(&mut content.unsynced) {
            change.apply(&mut content.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        self.change(Change::Write(at, data.to_vec()))
    }
}

/// A batch by chance, and what the records are after it.
fn any_batch(rng: &mut fastrand::Rng, records: &mut Records) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rng.usize(1..30) {
        let key = rng.u16(..500).to_be_bytes();
        if rng.u8(..4) == 0 {
            batch.delete(&key);
            records.remove(&key[..]);
        } else {
            let value = vec![rng.u8(..); rng.usize(..400)];
            batch.put(&key, &value);
            records.insert(key.to_vec(), value);
        }
    }
    batch
}

fn any_durability(rng: &mut fastrand::Rng) -> Durability {
    if rng.bool() {
        Durability::Safe
    } else {
        Durability::Fast
    }
}

fn records_of(store: &RedbStore) -> Result<Records, StoreError> {
    let mut records = Records::new();
    store.scan(b"", b"", &mut |key, value| {
        records.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

#[test]
fn after_a_power_cut_everything_safe_is_there_and_what_follows_in_order() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let platter = Platter::default();
        let mut store = platter.open().unwrap();
        let opened = platter.lock().calls;
        platter.lock().cut_at = Some(opened + rng.usize(1..150));
        // What the records are after each batch.
        let mut states = vec![Records::new()];
        while platter.lock().cut.is_none() {
            let mut records = states.last().unwrap().clone();
            let batch = any_batch(&mut rng, &mut records);
            states.push(records);
            platter.lock().begun = states.len() - 1;
            let durability = any_durability(&mut rng);
            store.apply(&batch, durability).unwrap();
            if durability == Durability::Safe {
                platter.lock().safe = states.len() - 1;
            }
        }
        let cut = *platter.lock().cut.take().unwrap();
        let (safe, begun) = (cut.safe, cut.begun);

        let platter = cut.after_power_cut(&mut rng);
        let mut store = platter
            .open()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = records_of(&store).unwrap();
        let state = (safe..=begun).rfind(|n| states[*n] == found);
        let state = state.unwrap_or_else(|| panic!("seed {seed}: neither {safe} to {begun}"));
        lost += begun - state;
        kept += state - safe;

        // It is as good as new.
        let mut records = found;
        for _ in 0..3 {
            let batch = any_batch(&mut rng, &mut records);
            store.apply(&batch, Durability::Safe).unwrap();
        }
        let platter = platter.lock().clone().after_power_cut(&mut rng);
        assert!(
            records_of(&platter.open().unwrap()).unwrap() == records,
            "seed {seed}"
        );
    }
    // The test is one of power cuts: they lost what was not safe, and not always all of it.
    assert!(lost > 100 && kept > 0, "{lost} batches lost, {kept} kept");
}

#[test]
fn a_disk_that_fails_for_a_while_loses_nothing_that_was_accepted() {
    let (mut failed, mut passed) = (0, 0);
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let platter = Platter::default();
        let mut store = platter.open().unwrap();
        let first = platter.lock().calls + rng.usize(1..100);
        platter.lock().fails = first..first + rng.usize(1..40);
        let mut records = Records::new();
        for _ in 0..60 {
            let before = records.clone();
            let batch = any_batch(&mut rng, &mut records);
            match store.apply(&batch, any_durability(&mut rng)) {
                Ok(()) => passed += 1,
                Err(error) => {
                    assert!(
                        matches!(error, StoreError::DiskFull { .. }),
                        "seed {seed}: {error}"
                    );
                    records = before;
                    failed += 1;
                }
            }
            // While the disk fails nothing may be readable; what is read is right.
            if let Ok(found) = records_of(&store) {
                assert!(found == records, "seed {seed}: other records");
            }
        }
        platter.lock().fails = 0..0;
        assert!(
            records_of(&store).unwrap() == records,
            "seed {seed}: in the end"
        );
        drop(store);
        let reopened = platter.open().unwrap();
        assert!(
            records_of(&reopened).unwrap() == records,
            "seed {seed}: reopened"
        );
    }
    assert!(
        failed > 100 && passed > 100,
        "{failed} batches failed, {passed} passed"
    );
}

/// Each write and each sync, from the first of a new file on.
#[test]
fn each_of_the_first_500_writes_and_syncs_may_fail_once() {
    const CALLS: usize = 500;
    let mut untold = 0;
    for call in 1..=CALLS {
        let mut rng = fastrand::Rng::with_seed(call as u64);
        let mut platter = Platter::default();
        platter.lock().fails = call..call + 1;
        let mut errors = Vec::new();
        let mut store = platter.open().unwrap_or_else(|error| {
            errors.push(error);
            // A file that could not be made is taken away: see `file::make`.
            platter = Platter::default();
            platter.open().unwrap()
        });
        let mut records = Records::new();
        // It fails, and goes on for a while.
        while platter.lock().calls < call + 30 {
            let before = records.clone();
            let batch = any_batch(&mut rng, &mut records);
            let durability = any_durability(&mut rng);
            let calls = platter.lock().calls;
            if let Err(error) = store.apply(&batch, durability) {
                errors.push(error);
                records = before;
            } else if (calls..platter.lock().calls).contains(&(call - 1)) {
                // The batch was safe by then: it was redb's work behind the commit.
                assert_eq!(durability, Durability::Safe, "call {call}");
                let after = platter.lock().clone().after_power_cut(&mut rng);
                let kept = records_of(&after.open().unwrap()).unwrap();
                assert!(kept == records, "call {call}: not safe");
                untold += 1;
            }
            assert!(
                records_of(&store).unwrap() == records,
                "call {call}: other records"
            );
        }
        let is_clear = |error: &StoreError| matches!(error, StoreError::DiskFull { .. });
        assert!(
            errors.len() <= 1 && errors.iter().all(is_clear),
            "call {call}: {errors:?}"
        );
        store.apply(&Batch::new(), Durability::Safe).unwrap();
        drop(store);
        assert!(
            records_of(&platter.open().unwrap()).unwrap() == records,
            "call {call}: reopened"
        );
    }
    assert!(untold < 10, "{untold} of {CALLS} were not told");
}
