//! A store that waits for the test before each commit, and the few words in which tests speak with a writer.

use std::fmt::Debug;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ohmqtt_codec::{MqttString, PacketId, Qos, TopicName};
use ohmqtt_session::{Instant, Key, Load, Loaded, Message, Record, StoreOp};
use ohmqtt_store::{Batch, Durability, MemoryStore, Prefix, Store, StoreError, Visit, Writer};

/// How long one side waits for the other before the test counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store in memory whose commits the test lets through, one by one.
pub(crate) struct Gated {
    inner: MemoryStore,
    commits: Sender<Commit>,
    verdicts: Receiver<Verdict>,
}

/// The test's side of a [`Gated`] store.
pub(crate) struct Gate {
    commits: Receiver<Commit>,
    verdicts: Sender<Verdict>,
}

/// A commit that waits at the gate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) ops: usize,
    pub(crate) durability: Durability,
}

/// What becomes of a commit.
pub(crate) enum Verdict {
    Pass,
    Fail(StoreError),
    Panic(&'static str),
}

impl Gated {
    pub(crate) fn new(inner: MemoryStore) -> (Self, Gate) {
        let (commits, waiting) = channel();
        let (verdicts, decided) = channel();
        (
            Self {
                inner,
                commits,
                verdicts: decided,
            },
            Gate {
                commits: waiting,
                verdicts,
            },
        )
    }
}

impl Gate {
    /// Waits until a commit has reached the gate.
    pub(crate) fn next(&self) -> Commit {
        soon(&self.commits)
    }

    /// Says what becomes of the next commit.
    pub(crate) fn decide(&self, verdict: Verdict) {
        self.verdicts.send(verdict).unwrap();
    }

    /// Lets through the commit that comes next and says what it was.
    pub(crate) fn pass(&self) -> Commit {
        self.decide(Verdict::Pass);
        self.next()
    }

    /// The commits that have come and were let through, or all of them once the store is closed.
    pub(crate) fn seen(&self) -> Vec<Commit> {
        self.commits.try_iter().collect()
    }
}

impl Store for Gated {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        // A test that has ended, or failed and waits for the writer to end, lets everything through.
        let _ = self.commits.send(Commit {
            ops: batch.len(),
            durability,
        });
        match self.verdicts.recv_timeout(PATIENCE) {
            Ok(Verdict::Fail(error)) => Err(error),
            Ok(Verdict::Panic(message)) => panic!("{message}"),
            Ok(Verdict::Pass) | Err(_) => self.inner.apply(batch, durability),
        }
    }
}

/// What comes, and no test hangs when nothing does.
pub(crate) fn soon<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(PATIENCE)
        .expect("an answer within a minute")
}

/// Submits and gives back where the answer will come.
pub(crate) fn submit(
    writer: &Writer,
    client_id: &str,
    ops: Vec<StoreOp>,
) -> Receiver<Result<(), StoreError>> {
    let (send, answer) = channel();
    writer.submit(&prefix(client_id), ops, tell(send));
    answer
}

/// The numbers of the messages and identifiers that are stored for a session, in order.
pub(crate) fn stored(writer: &Writer, client_id: &str) -> Vec<u64> {
    numbers(soon(&load(writer, client_id, Key::Outgoing(0), usize::MAX)))
}

pub(crate) fn load(
    writer: &Writer,
    client_id: &str,
    from: Key,
    max: usize,
) -> Receiver<Result<Loaded, StoreError>> {
    let (send, answer) = channel();
    writer.load(&prefix(client_id), all(from, max), tell(send));
    answer
}

/// At most so many records, from here to the end.
pub(crate) fn all(from: Key, max: usize) -> Load {
    Load {
        from,
        to: None,
        max,
        bytes: usize::MAX,
    }
}

pub(crate) fn numbers(loaded: Result<Loaded, StoreError>) -> Vec<u64> {
    let number = |record: Record| match record.key() {
        Key::Backlog => 0,
        Key::Outgoing(seq) => seq,
        Key::Received(packet_id) => u64::from(packet_id.get()),
    };
    let records = loaded.unwrap().records;
    records.into_iter().map(number).collect()
}

/// An answer that goes to a channel, as long as somebody listens.
pub(crate) fn tell<T: Debug>(send: Sender<T>) -> impl FnOnce(T) {
    move |answer| drop(send.send(answer))
}

pub(crate) fn put(seq: u64) -> Vec<StoreOp> {
    put_bytes(seq, 10)
}

pub(crate) fn put_bytes(seq: u64, payload: usize) -> Vec<StoreOp> {
    let mut message = Message::new(TopicName::new("t").unwrap(), vec![0x5a; payload]);
    message.qos = Qos::AtLeastOnce;
    vec![StoreOp::Put(Record::Message {
        seq,
        packet_id: None,
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: None,
        message,
    })]
}

pub(crate) fn put_received(packet_id: u16) -> Vec<StoreOp> {
    vec![StoreOp::Put(Record::Received {
        packet_id: id(packet_id),
    })]
}

pub(crate) fn delete(seq: u64) -> Vec<StoreOp> {
    vec![StoreOp::Delete(Key::Outgoing(seq))]
}

pub(crate) fn prefix(client_id: &str) -> Prefix {
    Prefix::session(&MqttString::try_from(client_id).unwrap())
}

pub(crate) fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}
