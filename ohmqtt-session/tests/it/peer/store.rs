//! A store in memory that confirms or fails when told, and survives its session.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ohmqtt_session::*;

/// What is kept, and what was asked for and not answered yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) kept: BTreeMap<Key, Record>,
    pub(crate) pending: VecDeque<(Lsn, StoreOp)>,
    /// Answer only when told.
    pub(crate) held: bool,
    /// Read nothing.
    pub(crate) held_loads: bool,
    /// What the clock says when something is read.
    pub(crate) now: Instant,
}

impl Store {
    /// Serves a session: takes its operations, confirms them unless held, reads what it wants to read. True: there was something.
    pub(crate) fn serve(&mut self, session: &mut impl Session) -> bool {
        let mut any = false;
        while let Some((lsn, op)) = session.poll_store() {
            let op = (lsn, written(op));
            let last = self.pending.back().map(|(lsn, _)| *lsn);
            assert!(last < Some(op.0), "operations come in order");
            self.pending.push_back(op);
            any = true;
        }
        if !self.held && !self.pending.is_empty() {
            self.confirm(session, usize::MAX);
            any = true;
        }
        while !self.held_loads
            && let Some(load) = session.poll_load()
        {
            session.handle_loaded(self.now, self.load(load));
            any = true;
        }
        any
    }

    pub(crate) fn load(&self, load: Load) -> Loaded {
        let mut loaded = Loaded {
            complete: true,
            ..Loaded::default()
        };
        let mut bytes = 0;
        for (key, record) in self.kept.range(load.from..) {
            if load.to.is_some_and(|to| *key >= to) {
                break;
            }
            if loaded.records.len() == load.max || bytes >= load.bytes.max(1) {
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

    /// The session that is kept here, for a server.
    pub(crate) fn open(&self, config: OutboxConfig) -> Flows {
        let mut flows = Flows::open(config);
        while let Some(load) = flows.poll_load() {
            flows.handle_loaded(self.load(load));
        }
        flows
    }

    /// Stores the first `n` operations that wait, and says so.
    pub(crate) fn confirm(&mut self, session: &mut impl Session, n: usize) {
        if let Some(upto) = self.store(n) {
            session.handle_stored(upto);
        }
    }

    /// Stores the first `n` operations that wait. Nobody hears of it.
    pub(crate) fn store(&mut self, n: usize) -> Option<Lsn> {
        let mut upto = None;
        for (lsn, op) in self.pending.drain(..n.min(self.pending.len())) {
            match op {
                StoreOp::Put(record) => drop(self.kept.insert(record.key(), record)),
                StoreOp::Delete(key) => drop(self.kept.remove(&key)),
            }
            upto = Some(lsn);
        }
        upto
    }

    /// Fails the first `n` operations that wait.
    pub(crate) fn fail(&mut self, session: &mut impl Session, n: usize) {
        let failed = self.pending.drain(..n.min(self.pending.len())).next_back();
        if let Some((upto, _)) = failed {
            session.handle_store_failed(upto);
        }
    }

    /// The process ends: what was not stored is gone.
    pub(crate) fn crash(&mut self) {
        self.pending.clear();
    }

    /// What waits, such as `put message 0 #1`, `put released 0 #1`, `put received #1`, `delete 0`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.pending.iter().map(|(_, op)| brief(op)).collect()
    }
}

/// The operation as bytes in a file would be: its payload is not the one in memory.
fn written(mut op: StoreOp) -> StoreOp {
    if let StoreOp::Put(Record::Message { message, .. }) = &mut op {
        message.payload = Bytes::copy_from_slice(&message.payload);
    }
    op
}

fn brief(op: &StoreOp) -> String {
    match op {
        StoreOp::Put(Record::Message { seq, packet_id, .. }) => match packet_id {
            Some(id) => format!("put message {seq} #{}", id.get()),
            None => format!("put message {seq}"),
        },
        StoreOp::Put(Record::Released { seq, packet_id }) => {
            format!("put released {seq} #{}", packet_id.get())
        }
        StoreOp::Put(Record::Received { packet_id }) => {
            format!("put received #{}", packet_id.get())
        }
        StoreOp::Put(Record::Backlog(Backlog {
            first,
            next,
            messages,
            ..
        })) => format!("put backlog {first}..{next} ({messages})"),
        StoreOp::Delete(Key::Backlog) => "delete backlog".to_owned(),
        StoreOp::Delete(Key::Outgoing(seq)) => format!("delete {seq}"),
        StoreOp::Delete(Key::Received(id)) => format!("delete received #{}", id.get()),
    }
}
