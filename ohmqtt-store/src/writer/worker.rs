//! What the store's thread does: take what has gathered, write it in one commit, answer, then read what was asked for.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ohmqtt_session::{Load, Record};

use super::queue::{Done, Gathered, Queue, Read, Submission};
use crate::{Batch, Durability, Encoder, Prefix, Store, StoreError, decode_record};

pub(super) struct Worker<S> {
    store: S,
    durability: Durability,
    queue: Arc<Queue>,
    encoder: Encoder,
    batch: Batch,
    /// Something was written that a power cut may take.
    unsafe_yet: bool,
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
            unsafe_yet: false,
            broken: None,
        }
    }

    /// Until the last handle is gone and nothing is left to do.
    pub(super) fn run(mut self) {
        let mut gathered = Gathered::default();
        while self.queue.take(&mut gathered) {
            self.serve(&mut gathered);
        }
        // Nobody is left who could be told.
        let _ = self.make_safe();
    }

    fn serve(&mut self, gathered: &mut Gathered) {
        let mut outcomes = Vec::with_capacity(gathered.submissions.len());
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
                Read::Flush { done } => {
                    let flushed = self.make_safe();
                    answer(done, flushed);
                }
            }
        }
    }

    /// Stores a group in one commit and says what became of each. Where the store is full, what fits is stored, in halves.
    fn store_group(
        &mut self,
        group: &mut [Submission],
        outcomes: &mut Vec<Result<(), StoreError>>,
    ) {
        if group.is_empty() {
            return;
        }
        match self.guarded(|worker| worker.commit(group)) {
            Err(StoreError::Full { .. }) if group.len() > 1 => {
                let (first, second) = group.split_at_mut(group.len() / 2);
                self.store_group(first, outcomes);
                self.store_group(second, outcomes);
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
        self.batch.clear();
        for submission in group {
            let start = self.batch.len();
            let encoded = submission
                .ops
                .iter()
                .try_for_each(|op| self.encoder.encode(&submission.prefix, op, &mut self.batch));
            if let Err(fault) = encoded {
                self.batch.truncate(start);
                submission.fault = Some(fault);
            }
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        self.store.apply(&self.batch, self.durability)?;
        self.unsafe_yet = self.durability == Durability::Fast;
        Ok(())
    }

    fn load(&self, prefix: &Prefix, load: Load) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        let mut fault = None;
        if load.max == 0 {
            return Ok(records);
        }
        self.store.scan(
            &prefix.key(load.from),
            prefix.as_bytes(),
            &mut |key, value| {
                match decode_record(key, value) {
                    Ok(record) => records.push(record),
                    Err(error) => fault = Some(error),
                }
                if fault.is_some() || records.len() == load.max {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )?;
        fault.map_or(Ok(records), Err)
    }

    fn make_safe(&mut self) -> Result<(), StoreError> {
        self.guarded(|worker| {
            if worker.unsafe_yet {
                worker.batch.clear();
                worker.store.apply(&worker.batch, Durability::Safe)?;
                worker.unsafe_yet = false;
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
