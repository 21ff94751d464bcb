//! How a session is read back from its store: what lies behind the window in numbers, then what stands before it, then what stands
//! behind the numbers' end, where they could not be written, and the identifiers received; and under
//! [`Overflow::KeepNewest`](super::Overflow) the topics of all that is not in memory.

use super::{Flows, Record};
use crate::record::{Key, Load, Loaded};

/// How much is read at once.
const RECORDS: usize = 1024;
const BYTES: usize = 4 * 1024 * 1024;

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    step: Step,
    /// The answer is awaited.
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Backlog,
    /// From this place in the order of publishing to before that.
    Outgoing(u64, u64),
    /// From this key on: what is behind the end of what the numbers tell, and the identifiers received.
    Rest(Key),
    Topics(u64, u64),
}

impl Default for Opening {
    fn default() -> Self {
        Self::at(Step::Backlog)
    }
}

impl Opening {
    fn at(step: Step) -> Self {
        Self { step, asked: false }
    }

    pub(super) fn poll_load(&mut self) -> Option<Load> {
        if core::mem::replace(&mut self.asked, true) {
            return None;
        }
        let (from, to) = match self.step {
            Step::Backlog => (Key::Backlog, Some(Key::Backlog.next())),
            Step::Outgoing(from, to) | Step::Topics(from, to) => {
                (Key::Outgoing(from), Some(Key::Outgoing(to)))
            }
            Step::Rest(from) => (from, None),
        };
        Some(Load {
            from,
            to,
            max: RECORDS,
            bytes: BYTES,
        })
    }

    pub(super) fn handle_load_failed(&mut self) {
        self.asked = false;
    }

    /// Takes the records, and says how it goes on; `None` when all is read.
    pub(super) fn handle_loaded(self, flows: &mut Flows, loaded: Loaded) -> Option<Self> {
        let last = loaded.records.last().map(Record::key);
        // An answer that holds nothing has nothing behind it.
        let more = last.filter(|_| !loaded.complete).map(Key::next);
        for record in loaded.records {
            self.take(flows, record);
        }
        let step = match (self.step, more) {
            (Step::Backlog, _) => {
                let behind = flows.sender.outbox.behind();
                Step::Outgoing(0, behind.map_or(u64::MAX, |behind| behind.first))
            }
            (Step::Outgoing(_, to), Some(Key::Outgoing(from))) => Step::Outgoing(from, to),
            (Step::Outgoing(..), _) => match flows.sender.outbox.behind() {
                Some(behind) => Step::Rest(Key::Outgoing(behind.next)),
                None => Step::Rest(Key::BEHIND_OUTGOING),
            },
            (Step::Rest(_), Some(from)) => Step::Rest(from),
            (Step::Rest(_), None) => {
                let unread = flows.sender.outbox.wants_topics()?;
                Step::Topics(unread.first, unread.next)
            }
            (Step::Topics(_, to), Some(Key::Outgoing(from))) => Step::Topics(from, to),
            (Step::Topics(..), _) => return None,
        };
        Some(Self::at(step))
    }

    fn take(self, flows: &mut Flows, record: Record) {
        match (self.step, record) {
            (Step::Topics(..), Record::Message { seq, message, .. }) => {
                flows.sender.outbox.restore_topic(seq, &message);
            }
            (Step::Topics(..), _) => {}
            (Step::Rest(_), Record::Message { seq, message, .. })
                if flows.sender.outbox.behind().is_some() =>
            {
                flows.sender.outbox.restore_behind(seq, message.size());
            }
            (_, Record::Backlog(backlog)) => flows.sender.outbox.restore_backlog(backlog),
            (_, Record::Received { packet_id }) => flows.receiver.restore(packet_id),
            (_, record) => flows.sender.restore(&mut flows.log, record),
        }
    }
}
