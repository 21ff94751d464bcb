//! Payloads that several messages have in common: each stands once in the store, with the number of records that refer to it.
//!
//! ```text
//! 'b'  number (8 bytes)  0x00    the payload
//! 'b'  number (8 bytes)  0x01    how many records refer to it (8 bytes)
//! ```
//!
//! Numbers are big-endian. A record that refers to one says so in its own value ([`Reference`]). Whatever changes a count goes in the same
//! commit as the record that is the cause of it. A store without such payloads, every client's, is never asked for them.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use bytes::Bytes;
use ohmqtt_session::{Key, Record, StoreOp};

use crate::record::Reference;
use crate::{Batch, Prefix, Store, StoreError};

/// The first byte of all keys here.
const BODY: u8 = b'b';
const PAYLOAD: u8 = 0;
const COUNT: u8 = 1;

/// Payloads below this many bytes stand in each record: to look after a count costs more than it saves.
pub(super) const SHARED_FROM: usize = 128;

/// What is known of the store's shared payloads.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    /// The number of the next one; 0: the store has not been asked yet.
    next: u64,
    /// The store may have any.
    any: bool,
    step: Step,
}

/// What the commit that is being put together changes.
#[derive(Debug, Default)]
struct Step {
    next: u64,
    /// Records whose reference changes, by their keys.
    references: HashMap<Vec<u8>, Option<Reference>>,
    counts: BTreeMap<u64, u64>,
}

/// The payloads that a submission gives to more than one session, by where they are in memory. The submission keeps them there.
pub(super) type Common = HashMap<(*const u8, usize), Option<Reference>>;

impl Bodies {
    /// Another commit is put together; what the last one was to change, and did not, is forgotten.
    pub(super) fn begin(&mut self, store: &impl Store) -> Result<(), StoreError> {
        self.step = Step::default();
        if self.next == 0 {
            let last = last_number(store)?;
            self.any = last.is_some();
            self.next = last.map_or(1, |last| last.saturating_add(1));
        }
        self.step.next = self.next;
        Ok(())
    }

    /// The payloads that are to be stored once, of all that several sessions want stored in one step.
    pub(super) fn common(parts: &[(Prefix, Vec<StoreOp>)]) -> Common {
        if parts.len() < 2 {
            return Common::new();
        }
        let mut seen: HashMap<_, usize> = HashMap::new();
        let payloads = parts.iter().flat_map(|(_, ops)| ops).filter_map(payload);
        for payload in payloads {
            *seen.entry(place(payload)).or_default() += 1;
        }
        let common = seen.into_iter().filter(|(_, times)| *times > 1);
        common.map(|(place, _)| (place, None)).collect()
    }

    /// What the record refers to that this operation is to write. Counts with it.
    pub(super) fn refer(
        &mut self,
        store: &impl Store,
        prefix: &Prefix,
        op: &StoreOp,
        common: &mut Common,
        batch: &mut Batch,
    ) -> Result<Option<Reference>, StoreError> {
        let is_idle = !self.any && self.step.references.is_empty();
        let Key::Outgoing(_) = op.key() else {
            return Ok(None);
        };
        let Some(payload) = payload(op) else {
            // Where a message stood that had one, none is left.
            let has_payload = matches!(op, StoreOp::Put(Record::Message { .. }));
            if !is_idle && !has_payload {
                self.leave(store, prefix.key(op.key()))?;
            }
            return Ok(None);
        };
        if is_idle && common.is_empty() {
            return Ok(None);
        }
        let key = prefix.key(op.key());
        // A message that is written again is the one that it was.
        if let Some(reference) = self.reference(store, &key)? {
            return Ok(Some(reference));
        }
        let Some(reference) = common.get_mut(&place(payload)) else {
            return Ok(None);
        };
        let reference = *reference.get_or_insert_with(|| self.step.add(payload, batch));
        *self.step.counts.entry(reference.number).or_default() += 1;
        self.step.references.insert(key, Some(reference));
        Ok(Some(reference))
    }

    /// All that this commit puts under a prefix is deleted again.
    pub(super) fn leave_all(
        &mut self,
        store: &impl Store,
        prefix: &[u8],
    ) -> Result<(), StoreError> {
        let keys = self.step.references.keys();
        let under: Vec<_> = keys
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        under.into_iter().try_for_each(|key| self.leave(store, key))
    }

    /// Adds to the batch what becomes of the counts.
    pub(super) fn settle(&self, batch: &mut Batch) {
        for (number, count) in &self.step.counts {
            if *count == 0 {
                batch.delete(&key(*number, PAYLOAD));
                batch.delete(&key(*number, COUNT));
            } else {
                batch.put(&key(*number, COUNT), &count.to_be_bytes());
            }
        }
    }

    /// The commit is in the store.
    pub(super) fn stored(&mut self, store: &impl Store) {
        let step = std::mem::take(&mut self.step);
        if step.counts.is_empty() {
            return;
        }
        self.next = step.next;
        // When that cannot be told there may be some.
        self.any = step.counts.values().any(|count| *count > 0)
            || first_from(store, 0).map_or(true, |first| first.is_some());
    }

    /// The payload that a record refers to.
    pub(super) fn payload(
        store: &impl Store,
        reference: Reference,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        get(store, &key(reference.number, PAYLOAD), <[u8]>::to_vec)
    }

    /// The record under this key goes: counts one less where it refers to anything.
    pub(super) fn leave(&mut self, store: &impl Store, key: Vec<u8>) -> Result<(), StoreError> {
        let Some(Reference { number, .. }) = self.reference(store, &key)? else {
            return Ok(());
        };
        let count = match self.step.counts.get(&number) {
            Some(count) => *count,
            None => stored_count(store, number)?,
        };
        self.step.counts.insert(number, count.saturating_sub(1));
        self.step.references.insert(key, None);
        Ok(())
    }

    /// What the record under this key refers to, as this commit leaves it.
    fn reference(&self, store: &impl Store, key: &[u8]) -> Result<Option<Reference>, StoreError> {
        match self.step.references.get(key) {
            Some(reference) => Ok(*reference),
            None if !self.any => Ok(None),
            None => Ok(get(store, key, Reference::of)?.flatten()),
        }
    }
}

impl Step {
    fn add(&mut self, payload: &Bytes, batch: &mut Batch) -> Reference {
        let number = self.next;
        self.next = number.saturating_add(1);
        batch.put(&key(number, PAYLOAD), payload);
        Reference {
            number,
            len: payload.len(),
        }
    }
}

/// The payload of a message that is to be stored, if it is large enough to be shared.
fn payload(op: &StoreOp) -> Option<&Bytes> {
    match op {
        StoreOp::Put(Record::Message { message, .. }) if message.payload.len() >= SHARED_FROM => {
            Some(&message.payload)
        }
        _ => None,
    }
}

fn place(payload: &Bytes) -> (*const u8, usize) {
    (payload.as_ptr(), payload.len())
}

fn key(number: u64, kind: u8) -> [u8; 10] {
    let mut key = [BODY; 10];
    key[1..9].copy_from_slice(&number.to_be_bytes());
    key[9] = kind;
    key
}

fn stored_count(store: &impl Store, number: u64) -> Result<u64, StoreError> {
    let count = get(store, &key(number, COUNT), |value| value.try_into().ok())?;
    count
        .flatten()
        .map(u64::from_be_bytes)
        .ok_or_else(|| StoreError::Damaged {
            record: format!("the count of shared payload {number}"),
            what: "there is none, and a message refers to it".to_owned(),
        })
}

/// What stands under exactly this key.
fn get<R>(
    store: &impl Store,
    key: &[u8],
    read: impl Fn(&[u8]) -> R,
) -> Result<Option<R>, StoreError> {
    let mut found = None;
    store.scan(key, key, &mut |at, value| {
        // It stands before its extensions.
        found = (at == key).then(|| read(value));
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// The first number that is in use and not below this one.
fn first_from(store: &impl Store, number: u64) -> Result<Option<u64>, StoreError> {
    let mut first = None;
    store.scan(&key(number, PAYLOAD), &[BODY], &mut |at, _| {
        let number = at.get(1..9).and_then(|number| number.try_into().ok());
        first = number.map(u64::from_be_bytes);
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// The last number that is in use, by halving: a store reads forward only.
fn last_number(store: &impl Store) -> Result<Option<u64>, StoreError> {
    let Some(mut last) = first_from(store, 0)? else {
        return Ok(None);
    };
    let mut end = u64::MAX;
    while last < end {
        let middle = last + (end - last).div_ceil(2);
        match first_from(store, middle)? {
            Some(found) => last = found,
            None => end = middle - 1,
        }
    }
    Ok(Some(last))
}
