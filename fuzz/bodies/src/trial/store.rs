//! A store in memory that confirms or fails when told, until it is let go.

use std::collections::{BTreeMap, VecDeque};

use ohmqtt_session::{Instant, Key, Load, Loaded, Lsn, Record, Session, StoreOp};

/// What is kept, and what was asked for and not answered yet.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) kept: BTreeMap<Key, Record>,
    pending: VecDeque<(Lsn, StoreOp)>,
    /// Answers only when told.
    pub(crate) held: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            pending: VecDeque::new(),
            held: true,
        }
    }
}

impl Store {
    /// Takes the operations, confirms them unless held, and reads what is to be read. True: there was something.
    pub(crate) fn serve(&mut self, now: Instant, session: &mut impl Session) -> bool {
        let mut any = false;
        loop {
            let mut more = false;
            while let Some((lsn, op)) = session.poll_store() {
                let last = self.pending.back().map(|(lsn, _)| *lsn);
                assert!(last < Some(lsn), "operations come in order");
                self.pending.push_back((lsn, op));
                more = true;
            }
            if !self.held && !self.pending.is_empty() {
                self.confirm(session, usize::MAX);
                more = true;
            }
            while let Some(load) = session.poll_load() {
                session.handle_loaded(now, self.load(load));
                more = true;
            }
            if !more {
                return any;
            }
            any = true;
        }
    }

    pub(crate) fn load(&self, load: Load) -> Loaded {
        let end = |key: &Key| load.to.is_some_and(|to| *key >= to);
        let mut records = self.kept.range(load.from..);
        let mut loaded = Loaded {
            complete: true,
            ..Loaded::default()
        };
        while let Some((_, record)) = records.next().filter(|(key, _)| !end(key)) {
            if loaded.records.len() == load.max {
                loaded.complete = false;
                break;
            }
            loaded.records.push(record.clone());
        }
        loaded
    }

    /// Stores the first `n` operations that wait, and says so.
    pub(crate) fn confirm(&mut self, session: &mut impl Session, n: usize) {
        let mut upto = None;
        for (lsn, op) in self.pending.drain(..n.min(self.pending.len())) {
            match op {
                StoreOp::Put(record) => drop(self.kept.insert(record.key(), record)),
                StoreOp::Delete(key) => drop(self.kept.remove(&key)),
            }
            upto = Some(lsn);
        }
        if let Some(upto) = upto {
            session.handle_stored(upto);
        }
    }

    /// Fails the first `n` operations that wait.
    pub(crate) fn fail(&mut self, session: &mut impl Session, n: usize) {
        let failed = self.pending.drain(..n.min(self.pending.len())).next_back();
        if let Some((upto, _)) = failed {
            session.handle_store_failed(upto);
        }
    }

    /// What was asked for and not stored is gone.
    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
    }
}
