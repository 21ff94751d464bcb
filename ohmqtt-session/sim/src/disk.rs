//! A store that confirms late, fails batches, and forgets at a crash what it had not committed.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use ohmqtt_codec::PacketId;
use ohmqtt_session::{Backlog, Key, Load, Loaded, Lsn, Record, StoreOp};

type Batch = Vec<(Lsn, StoreOp)>;

/// The store of one side.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    committed: BTreeMap<Key, Record>,
    /// Handed over and not in a batch yet.
    open: Batch,
    /// Written one after the other, each whole or not at all.
    batches: VecDeque<Batch>,
    /// How many of the first batches were handed over by a session that does not listen any more.
    orphans: usize,
    /// Words that the session has not heard yet.
    answers: VecDeque<(Lsn, bool)>,
}

impl Disk {
    pub(crate) fn submit(&mut self, lsn: Lsn, op: StoreOp) {
        self.open.push((lsn, op));
    }

    /// Closes the batch that is gathering.
    pub(crate) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.batches.push_back(std::mem::take(&mut self.open));
        }
    }

    /// Writes the next batch and gives its operations.
    pub(crate) fn commit(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.answered(&batch, true);
        self.apply(&batch);
        Some(batch)
    }

    /// Fails the next batch and gives its operations.
    pub(crate) fn fail(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.answered(&batch, false);
        Some(batch)
    }

    fn answered(&mut self, batch: &[(Lsn, StoreOp)], stored: bool) {
        if self.orphans > 0 {
            self.orphans -= 1;
        } else if let Some((upto, _)) = batch.last() {
            self.answers.push_back((*upto, stored));
        }
    }

    /// The flows move to another session: what was handed over is written, and nobody hears of it.
    pub(crate) fn orphan(&mut self) {
        self.seal();
        self.orphans = self.batches.len();
        self.answers.clear();
    }

    pub(crate) fn answer(&mut self) -> Option<(Lsn, bool)> {
        self.answers.pop_front()
    }

    /// The process ends: of the batches under way, some of the first are committed all the same. Gives their operations.
    pub(crate) fn crash(&mut self, rng: &mut Rng) -> Batch {
        let survivors = rng.usize(..=self.batches.len());
        let mut done = Batch::new();
        for batch in self.batches.drain(..).take(survivors) {
            done.extend(batch);
        }
        self.apply(&done);
        self.batches.clear();
        self.open.clear();
        self.answers.clear();
        self.orphans = 0;
        done
    }

    /// The session that was kept here is replaced by a new one.
    pub(crate) fn wipe(&mut self) {
        *self = Self::default();
    }

    fn apply(&mut self, batch: &[(Lsn, StoreOp)]) {
        for (_, op) in batch {
            match op {
                StoreOp::Put(record) => {
                    self.committed.insert(record.key(), record.clone());
                }
                StoreOp::Delete(key) => {
                    self.committed.remove(key);
                }
            }
        }
    }

    pub(crate) fn load(&self, load: Load) -> Loaded {
        let mut loaded = Loaded {
            complete: true,
            ..Loaded::default()
        };
        let mut bytes = 0;
        let stretch = self.committed.range(load.from..);
        for (_, record) in stretch.take_while(|(key, _)| load.to.is_none_or(|to| **key < to)) {
            let full = bytes >= load.bytes && !loaded.records.is_empty();
            if loaded.records.len() >= load.max || full {
                loaded.complete = false;
                break;
            }
            if let Record::Message { message, .. } = record {
                bytes += message.size();
            }
            loaded.records.push(record.clone());
        }
        loaded
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.committed.values()
    }

    /// What the session said of the messages behind its window.
    pub(crate) fn backlog(&self) -> Option<&Backlog> {
        match self.committed.get(&Key::Backlog)? {
            Record::Backlog(backlog) => Some(backlog),
            _ => None,
        }
    }

    pub(crate) fn has_received(&self, id: PacketId) -> bool {
        self.committed.contains_key(&Key::Received(id))
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.batches.is_empty() && self.answers.is_empty()
    }
}
