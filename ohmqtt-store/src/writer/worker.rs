//! What the store's thread does: take what has gathered, write it in one commit, answer, then read what was asked for.

use std::any::Any;
use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ohmqtt_session::{Load, Loaded, Record, StoreOp};

use super::bodies::{Bodies, Common};
use super::queue::{Change, Done, Gathered, Queue, Raw, Read, Submission, Turn};
use crate::record::Reference;
use crate::{Batch, Durability, Encoder, Op, Prefix, Store, StoreError, decode_record};

/// What is removed of a session in one commit, in records and in bytes of keys.
const STRETCH: usize = 4096;
const STRETCH_BYTES: usize = 4 * 1024 * 1024;

/// How long what was written with [`Durability::Fast`] may wait until it begins to be made safe. It is to be safe within 50 milliseconds,
/// and a disk takes its time.
const FAST_LIMIT: Duration = Duration::from_millis(30);

/// How often in a turn a group may turn out to be too large and be halved: on a disk each of these takes its time.
const REFUSALS: usize = 16;
/// And where it is the disk that is full: a store may have to look through all that it has after that.
const DISK_REFUSALS: usize = 4;

pub(super) struct Worker<S> {
    store: S,
    durability: Durability,
    queue: Arc<Queue>,
    encoder: Encoder,
    batch: Batch,
    bodies: Bodies,
    /// When the first was written of what a power cut may take.
    unsafe_since: Option<Instant>,
    /// How often it was full in this turn.
    refusals: usize,
    /// The store has panicked and is not touched again.
    broken: Option<StoreError>,
}

impl<S: Store> Worker<S> {
    pub(super) fn new(store: S, durability: Durability, queue: Arc<Queue>) -> Self {
        Self {
            store,
            durability,
            queue,
            encoder: Encoder::new(),
            batch: Batch::new(),
            bodies: Bodies::default(),
            unsafe_since: None,
            refusals: 0,
            broken: None,
        }
    }

    /// Until the last handle is gone and nothing is left to do.
    pub(super) fn run(mut self) {
        let mut gathered = Gathered::default();
        // What the store has is asked before anybody waits. If that fails, the first commit asks again, and tells.
        let _ = self.guarded(Self::begin);
        loop {
            match self.queue.take(&mut gathered, self.safe_by()) {
                Turn::Requests => self.serve(&mut gathered),
                Turn::Nothing => {
                    if self.make_safe().is_err() {
                        // Everyone has been answered. Whoever writes next hears of it, if it is still so.
                        self.unsafe_since = Some(Instant::now());
                    }
                }
                Turn::End => break,
            }
        }
        // Nobody is left who could be told.
        let _ = self.make_safe();
    }

    fn safe_by(&self) -> Option<Instant> {
        self.unsafe_since.map(|since| since + FAST_LIMIT)
    }

    fn serve(&mut self, gathered: &mut Gathered) {
        let mut outcomes = Vec::with_capacity(gathered.submissions.len());
        self.refusals = 0;
        self.store_group(&mut gathered.submissions, &mut outcomes);
        // The room is there before the answers: who is answered may submit at once.
        self.queue.release(gathered.bytes());
        for (submission, outcome) in gathered.submissions.drain(..).zip(outcomes) {
            answer(submission.done, outcome);
        }
        for read in gathered.reads.drain(..) {
            match read {
                Read::Load { prefix, load, done } => {
                    let records = self.guarded(|worker| worker.load(&prefix, load));
                    answer(done, records);
                }
                Read::Scan {
                    from,
                    prefix,
                    max,
                    max_bytes,
                    done,
                } => {
                    let raw = self.guarded(|worker| worker.scan(&from, &prefix, max, max_bytes));
                    answer(done, raw);
                }
                Read::Flush { done } => {
                    let flushed = self.make_safe();
                    answer(done, flushed);
                }
            }
        }
    }

    /// Stores a group and says what became of each. A session of many records is cleared between what stands before that and
    /// what stands behind; all else is one commit.
    fn store_group(
        &mut self,
        mut group: &mut [Submission],
        outcomes: &mut Vec<Result<(), StoreError>>,
    ) {
        while let Some((at, prefix)) = self.first_long_clear(group) {
            let (before, rest) = mem::take(&mut group).split_at_mut(at);
            self.store_at_once(before, outcomes);
            let cleared = self.guarded(|worker| worker.clear_stretches(&prefix));
            outcomes.push(cleared);
            group = &mut rest[1..];
        }
        self.store_at_once(group, outcomes);
    }

    /// Stores a group in one commit and says what became of each. Where the store or its disk is full, what fits is stored, in
    /// halves, as far as that can be found out with a few tries.
    fn store_at_once(
        &mut self,
        group: &mut [Submission],
        outcomes: &mut Vec<Result<(), StoreError>>,
    ) {
        if group.is_empty() {
            return;
        }
        match self.guarded(|worker| worker.commit(group)) {
            Err(ref error) if group.len() > 1 && self.refusals < refusals(error) => {
                self.refusals += 1;
                let (first, second) = group.split_at_mut(group.len() / 2);
                self.store_at_once(first, outcomes);
                self.store_at_once(second, outcomes);
            }
            result => {
                for submission in group {
                    outcomes.push(submission.fault.take().map_or_else(|| result.clone(), Err));
                }
            }
        }
    }

    /// Leaves out, with its fault, a submission that cannot be encoded.
    fn commit(&mut self, group: &mut [Submission]) -> Result<(), StoreError> {
        while let Some((at, fault)) = self.gather(group)? {
            group[at].fault = Some(fault);
        }
        let sound = group.iter().filter(|submission| submission.fault.is_none());
        let must_be_safe = sound.into_iter().any(|sound| sound.change.must_be_safe());
        self.write(if must_be_safe {
            Durability::Safe
        } else {
            self.durability
        })
    }

    /// Puts a commit together of what has no fault. Gives the first that turns out to have one: then it is to be done again without it.
    fn gather(&mut self, group: &[Submission]) -> Result<Option<(usize, StoreError)>, StoreError> {
        self.begin()?;
        for (at, submission) in group.iter().enumerate() {
            if submission.fault.is_some() {
                continue;
            }
            match self.add(&submission.change) {
                Err(fault @ StoreError::TooLarge { .. }) => return Ok(Some((at, fault))),
                result => result?,
            }
        }
        Ok(None)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.batch.clear();
        self.bodies.begin(&self.store)
    }

    /// Adds what is asked for to the batch.
    fn add(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::One(prefix, ops) => self.encode(prefix, ops, &mut Common::new()),
            Change::All(parts, extra) => {
                let mut common = Bodies::common(parts);
                for (prefix, ops) in parts {
                    self.encode(prefix, ops, &mut common)?;
                }
                for op in extra.iter() {
                    if let Op::Delete { key } = op {
                        self.bodies.leave(&self.store, key.to_vec())?;
                    }
                    self.batch.push(op);
                }
                Ok(())
            }
            Change::Clear(prefix) => {
                // What this very commit puts there goes too.
                let prefix = prefix.as_bytes();
                let mut new = Batch::new();
                for op in self.batch.iter() {
                    if let Op::Put { key, .. } = op
                        && key.starts_with(prefix)
                    {
                        new.delete(key);
                    }
                }
                new.iter().for_each(|op| self.batch.push(op));
                self.bodies.leave_all(&self.store, prefix)?;
                self.add_stretch(prefix).map(drop)
            }
        }
    }

    fn encode(
        &mut self,
        prefix: &Prefix,
        ops: &[StoreOp],
        common: &mut Common,
    ) -> Result<(), StoreError> {
        for op in ops {
            let (bodies, batch) = (&mut self.bodies, &mut self.batch);
            let payload = bodies.refer(&self.store, prefix, op, common, batch)?;
            self.encoder.encode_with(prefix, op, payload, batch)?;
        }
        Ok(())
    }

    /// Adds to the batch the deletion of what begins with the prefix, as far as one stretch goes. Says whether there is more.
    fn add_stretch(&mut self, prefix: &[u8]) -> Result<bool, StoreError> {
        let mut room = Room::new(STRETCH, STRETCH_BYTES);
        let mut is_more = false;
        let mut references = Vec::new();
        self.store.scan(prefix, prefix, &mut |key, value| {
            is_more = room.is_used_up();
            if is_more {
                return ControlFlow::Break(());
            }
            self.batch.delete(key);
            if Reference::of(value).is_some() {
                references.push(key.to_vec());
            }
            room.take(key.len());
            ControlFlow::Continue(())
        })?;
        for key in references {
            self.bodies.leave(&self.store, key)?;
        }
        Ok(is_more)
    }

    fn clear_stretches(&mut self, prefix: &Prefix) -> Result<(), StoreError> {
        let mut is_more = true;
        while is_more {
            self.begin()?;
            is_more = self.add_stretch(prefix.as_bytes())?;
            self.write(Durability::Safe)?;
        }
        Ok(())
    }

    /// The first submission that clears a session with more than one stretch of records.
    fn first_long_clear(&mut self, group: &[Submission]) -> Option<(usize, Prefix)> {
        group.iter().enumerate().find_map(|(at, submission)| {
            let Change::Clear(prefix) = &submission.change else {
                return None;
            };
            let is_more = self.guarded(|worker| {
                worker.begin()?;
                worker.add_stretch(prefix.as_bytes())
            });
            // What goes wrong goes wrong again, and is told, when it is done.
            matches!(is_more, Ok(true)).then(|| (at, prefix.clone()))
        })
    }

    /// Writes the batch.
    fn write(&mut self, durability: Durability) -> Result<(), StoreError> {
        self.bodies.settle(&mut self.batch);
        if self.batch.is_empty() {
            return Ok(());
        }
        // Where there is always something to write, nothing else would make it safe.
        let is_due = self.safe_by().is_some_and(|by| by <= Instant::now());
        let durability = if is_due { Durability::Safe } else { durability };
        self.store.apply(&self.batch, durability)?;
        self.bodies.stored(&self.store);
        self.unsafe_since = match durability {
            Durability::Safe => None,
            Durability::Fast => self.unsafe_since.or_else(|| Some(Instant::now())),
        };
        Ok(())
    }

    fn load(&self, prefix: &Prefix, load: Load) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded {
            complete: true,
            ..Loaded::default()
        };
        let end = load.to.map(|to| prefix.key(to));
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        let mut fault = None;
        self.store.scan(
            &prefix.key(load.from),
            prefix.as_bytes(),
            &mut |key, value| {
                if end.as_ref().is_some_and(|end| key >= end.as_slice()) {
                    return ControlFlow::Break(());
                }
                if found.len() >= load.max || bytes >= load.bytes && !found.is_empty() {
                    loaded.complete = false;
                    return ControlFlow::Break(());
                }
                bytes = bytes.saturating_add(value.len());
                if let Some((payload, head)) = Reference::split(value) {
                    bytes = bytes.saturating_add(payload.len);
                    found.push(Found::Headed(key.to_vec(), head.to_vec(), payload));
                    return ControlFlow::Continue(());
                }
                match decode_record(key, value) {
                    Ok(record) => found.push(Found::Whole(record)),
                    Err(error) => fault = Some(error),
                }
                if fault.is_some() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        for found in found {
            loaded.records.push(match found {
                Found::Whole(record) => record,
                Found::Headed(key, mut value, payload) => {
                    // Where it is gone the record is found to be cut short, and the error says which one.
                    let payload = Bodies::payload(&self.store, payload)?;
                    value.extend_from_slice(&payload.unwrap_or_default());
                    decode_record(&key, &value)?
                }
            });
        }
        Ok(loaded)
    }

    fn scan(
        &self,
        from: &[u8],
        prefix: &[u8],
        max: usize,
        max_bytes: usize,
    ) -> Result<Raw, StoreError> {
        let mut raw = Raw::new();
        let mut room = Room::new(max, max_bytes);
        if room.is_used_up() {
            return Ok(raw);
        }
        self.store.scan(from, prefix, &mut |key, value| {
            raw.push((key.to_vec(), value.to_vec()));
            room.take(key.len() + value.len());
            if room.is_used_up() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(raw)
    }

    fn make_safe(&mut self) -> Result<(), StoreError> {
        self.guarded(|worker| {
            if worker.unsafe_since.is_some() {
                worker.batch.clear();
                worker.store.apply(&worker.batch, Durability::Safe)?;
                worker.unsafe_since = None;
            }
            Ok(())
        })
    }

    /// Runs what touches the store. After a panic nobody knows what the store is like, so it is not touched again.
    fn guarded<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        catch_unwind(AssertUnwindSafe(|| run(self))).unwrap_or_else(|panic| {
            let error = StoreError::Panicked {
                message: message_of(&*panic),
            };
            self.broken = Some(error.clone());
            Err(error)
        })
    }
}

/// A record as a scan finds it.
enum Found {
    Whole(Record),
    /// Its key, and its value without the payload, which stands elsewhere.
    Headed(Vec<u8>, Vec<u8>, Reference),
}

/// How much more a scan may take.
struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    fn new(records: usize, bytes: usize) -> Self {
        Self { records, bytes }
    }

    fn take(&mut self, bytes: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_used_up(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// How often this error halves a group.
fn refusals(error: &StoreError) -> usize {
    match error {
        StoreError::Full { .. } => REFUSALS,
        StoreError::DiskFull { .. } => DISK_REFUSALS,
        _ => 0,
    }
}

/// Tells one who asked. Its panic, which has been printed, is not to take the store away from the others.
fn answer<T>(done: Done<T>, result: Result<T, StoreError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("without a message").to_owned()
}
