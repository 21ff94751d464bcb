//! What survives a connection: Packet Identifiers, messages on their way out, identifiers of messages on their way in, and the
//! operations the store has not confirmed. A server moves it from an old connection to a new one (take-over, resume).

mod given_back;
mod ids;
mod opening;
mod outbox;
mod receiver;
mod sender;

use alloc::collections::{BTreeMap, VecDeque};
use ohmqtt_codec::{AckProperties, Packet, PacketId, Qos, ReasonCode};

pub use self::given_back::{GivenBack, Unfinished};
use self::opening::Opening;
pub use self::outbox::{OutboxConfig, OutboxCounters, OutboxLimits, Overflow, Window};
pub(crate) use self::receiver::{Arrival, Excess, Outlets, Quota, Receiver};
pub(crate) use self::sender::{Request, RequestKind, Sender, Wire};
use crate::message::{LostMessage, Ticket};
use crate::record::{Key, Load, Loaded, Lsn, Record, StoreLog, StoreOp};
use crate::{Instant, Message};

/// Packets that wait for a record to be stored, in order; their numbers never fall but for a retried record.
pub(crate) type Gated = VecDeque<(Lsn, Packet)>;

/// What survives the stream (section 4.1): one side's half of the Session State.
#[derive(Debug, Default)]
pub struct Flows {
    pub(crate) log: StoreLog,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    /// While it is read back from its store.
    opening: Option<Opening>,
    /// Something was read back.
    was_kept: bool,
}

impl Flows {
    /// An empty session state. With `durable`, everything that must survive a crash is asked to be stored, and waited for.
    pub fn new(outbox: OutboxConfig, durable: bool) -> Self {
        Self {
            log: StoreLog::new(durable),
            sender: Sender::new(outbox),
            ..Self::default()
        }
    }

    /// A session state that is read back from its store, by [`poll_load`](Self::poll_load), before it is used.
    ///
    /// Only what may have been sent and the window are read; of what lies behind it, four numbers.
    pub fn open(outbox: OutboxConfig) -> Self {
        let mut flows = Self::new(outbox, true);
        flows.sender.begin_restoring();
        flows.opening = Some(Opening::default());
        flows
    }

    /// Messages accepted and not finished, and their size in bytes.
    pub fn queued(&self) -> (usize, usize) {
        self.sender.outbox.queued()
    }

    /// What became of messages since the session began, or was read back.
    pub fn counters(&self) -> OutboxCounters {
        self.sender.outbox.counters()
    }

    /// Whether it is read back, or was never stored.
    pub fn is_open(&self) -> bool {
        self.opening.is_none()
    }

    /// Whether its store held anything of it.
    pub fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// The next stretch to be read, until it [is open](Self::is_open); the answer goes to [`handle_loaded`](Self::handle_loaded).
    pub fn poll_load(&mut self) -> Option<Load> {
        self.opening.as_mut()?.poll_load()
    }

    /// The answer to [`poll_load`](Self::poll_load).
    pub fn handle_loaded(&mut self, loaded: Loaded) {
        let Some(opening) = self.opening.take() else {
            return;
        };
        self.was_kept |= !loaded.records.is_empty();
        self.opening = opening.handle_loaded(self, loaded);
        if self.opening.is_none() {
            self.sender.restored(&mut self.log);
        }
    }

    /// The next stretch to be read, while it is opened and later.
    pub(crate) fn poll_any_load(&mut self) -> Option<Load> {
        if self.opening.is_some() {
            return self.poll_load();
        }
        self.sender.outbox.poll_load(&self.log)
    }

    /// The answer to [`poll_any_load`](Self::poll_any_load).
    pub(crate) fn handle_any_loaded(
        &mut self,
        now: Instant,
        loaded: Loaded,
        events: &mut impl FnMut(FlowEvent),
    ) {
        if self.opening.is_some() {
            self.handle_loaded(loaded);
        } else {
            self.sender
                .handle_loaded(now, &mut self.log, loaded, events);
        }
    }

    /// What was asked for could not be read: it is asked for again.
    pub(crate) fn handle_load_failed(&mut self) {
        match &mut self.opening {
            Some(opening) => opening.handle_load_failed(),
            None => self.sender.outbox.handle_load_failed(),
        }
    }

    /// The next operation for the store; behind all others, where the messages lie that are not in memory.
    pub(crate) fn poll_store(&mut self) -> Option<(Lsn, StoreOp)> {
        if !self.log.has_unpolled()
            && self.opening.is_none()
            && let Some(op) = self.sender.outbox.poll_store()
        {
            let told = self.log.push(|| op);
            self.sender.outbox.handle_told(told);
        }
        self.log.poll()
    }

    /// The answers to what was asked of the store go elsewhere from here on: it is asked again, and so is what was to be read.
    pub(crate) fn rewind(&mut self) {
        self.log.rewind();
        self.sender.outbox.rewind();
        self.handle_load_failed();
    }

    pub(crate) fn handle_stored(&mut self, upto: Lsn, events: &mut impl FnMut(FlowEvent)) {
        self.log.handle_stored(upto);
        self.sender.outbox.handle_stored(&self.log, events);
    }

    /// The store failed: messages that were only just accepted fail, protocol records are asked for again and hold their flow.
    pub(crate) fn handle_store_failed(
        &mut self,
        upto: Lsn,
        gated: &mut Gated,
        events: &mut impl FnMut(FlowEvent),
    ) {
        let failed = self.log.handle_failed(upto);
        // What a key is to hold in the end: of a failed operation that another one on its key follows, nothing is left to do.
        let mut latest = BTreeMap::new();
        for (lsn, op) in failed.iter().chain(self.log.unstored()) {
            latest.insert(op.key(), *lsn);
        }
        for (old, op) in failed {
            if op.key() == Key::Backlog {
                self.sender.outbox.tell_again();
                continue;
            }
            if self.sender.fail_unstored(&mut self.log, old, &op, events) {
                continue;
            }
            let asked_twice = self.log.was_asked_twice(old);
            if let StoreOp::Put(Record::Received { packet_id }) = &op
                && !asked_twice
                && self.receiver.refuse_unstored(*packet_id, old, gated)
            {
                continue;
            }
            let follower = latest.get(&op.key()).copied().filter(|lsn| *lsn != old);
            let new = follower.unwrap_or_else(|| self.log.push(|| op.clone()));
            latest.insert(op.key(), new);
            if asked_twice {
                self.log.ask_twice(new);
            }
            match &op {
                StoreOp::Put(Record::Received { packet_id }) => {
                    self.receiver.regate(*packet_id, old, new);
                }
                StoreOp::Put(Record::Released { packet_id, .. }) => {
                    self.sender.regate(*packet_id, old, new);
                }
                // While its record is there, nothing is sent that may have its identifier.
                StoreOp::Delete(Key::Outgoing(seq)) => {
                    self.sender.outbox.hold_behind(*seq, new);
                }
                StoreOp::Delete(_) | StoreOp::Put(_) => {}
            }
            for (lsn, _) in gated.iter_mut().filter(|(lsn, _)| *lsn == old) {
                *lsn = new;
            }
        }
        self.sender.outbox.handle_failed(upto);
    }

    /// The other side has no session: what was sent under it fails, is sent anew, or all is cleared.
    pub(crate) fn lose_session(&mut self, policy: SessionLoss, events: &mut impl FnMut(FlowEvent)) {
        self.sender.lose_session(&mut self.log, policy, events);
        self.receiver.lose_session(&mut self.log);
    }
}

/// What becomes of messages that were sent and not acknowledged when the other side has lost the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionLoss {
    /// They fail with [`LostMessage::SessionLost`]; messages not sent yet go out in order.
    #[default]
    Fail,
    /// They are sent again as new messages, in order, ahead of those not sent yet. They may arrive twice.
    Resend,
    /// All messages fail, sent or not.
    Clear,
}

/// The name of one incoming message, for acknowledging it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub(crate) u64);

/// What happened to a message; the same for both roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlowEvent {
    Accepted {
        ticket: Ticket,
    },
    Sent {
        ticket: Ticket,
    },
    Acked {
        ticket: Ticket,
        packet_id: PacketId,
        reason: ReasonCode,
        properties: AckProperties,
    },
    Lost {
        ticket: Ticket,
        why: LostMessage,
    },
}

/// Why a message was not accepted. The caller erred, or has to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The outbox holds as much as it may.
    #[error("the outbox is full ({} messages or {} bytes): wait for acknowledgements, or give it more room", limits.messages, limits.bytes)]
    Full {
        /// What it may hold.
        limits: OutboxLimits,
    },
    /// The store is behind: what waits for it is as much as may be in memory.
    #[error("the store is behind: wait until it has taken what was published before")]
    StoreBehind,
    /// The message is larger than the outbox, and so will never fit.
    #[error(
        "the message has {size} bytes and the outbox holds {limit}: give it more room, or send less at once"
    )]
    TooLargeForOutbox {
        /// The size of the message in bytes.
        size: usize,
        /// What the outbox may hold in bytes.
        limit: usize,
    },
    /// The packet is larger than the other side accepts.
    #[error("the packet has {size} bytes and the server accepts {limit}: send less at once")]
    TooLarge {
        /// The size of the packet in bytes.
        size: usize,
        /// The server's Maximum Packet Size in bytes.
        limit: u32,
    },
    /// The QoS is above the server's Maximum QoS.
    #[error("the server's Maximum QoS is {}: publish at that or below", u8::from(*maximum))]
    QosNotSupported {
        /// What the server offers.
        maximum: Qos,
    },
    /// The server does not keep retained messages.
    #[error("the server does not support retained messages: publish without the retain flag")]
    RetainNotSupported,
    /// No topic alias is left for the message, which is not to be sent without one.
    #[error(
        "no topic alias is left ({maximum} at most on this connection): publish with another alias policy"
    )]
    NoTopicAlias {
        /// The Topic Alias Maximum of the other side; 0 without a connection.
        maximum: u16,
    },
    /// A message above QoS 0 that is not to be sent without an alias.
    #[error(
        "an alias cannot be kept above QoS 0, where a message may go again on another connection: publish at QoS 0, or with another alias policy"
    )]
    AliasNotKept,
    /// The properties hold what the session itself adds.
    #[error("a published message has no {0} of its own: the session adds what a connection needs")]
    PropertyNotAllowed(&'static str),
    /// The session has been closed, or at a server is not this client's any more.
    #[error("the session is closed")]
    Closed,
}

/// A message that was not accepted, given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// The message as it was given.
    pub message: Message,
    /// Why it was not accepted.
    pub error: PublishError,
}

impl Rejected {
    pub(crate) fn new(message: Message, error: PublishError) -> Self {
        Self { message, error }
    }
}
