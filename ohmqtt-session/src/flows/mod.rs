//! What survives a connection: Packet Identifiers, messages on their way out, identifiers of messages on their way in, and the
//! operations the store has not confirmed. A server moves it from an old connection to a new one (take-over, resume).

mod ids;
mod receiver;
mod sender;

use alloc::collections::{BTreeMap, VecDeque};
use ohmqtt_codec::{AckProperties, Packet, Qos, ReasonCode};

pub(crate) use self::receiver::{Arrival, Outlets, Receiver};
pub(crate) use self::sender::{Request, RequestKind, Sender, Wire};
use crate::Message;
use crate::message::{LostMessage, Ticket};
use crate::record::{Lsn, Record, StoreLog, StoreOp};

/// Packets that wait for a record to be stored, in order; their numbers never fall but for a retried record.
pub(crate) type Gated = VecDeque<(Lsn, Packet)>;

/// What survives the stream (section 4.1): one side's half of the Session State.
#[derive(Debug, Default)]
pub struct Flows {
    pub(crate) log: StoreLog,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

impl Flows {
    /// An empty session state. With `durable`, everything that must survive a crash is asked to be stored, and waited for.
    pub fn new(limits: OutboxLimits, durable: bool) -> Self {
        Self {
            log: StoreLog::new(durable),
            sender: Sender::new(limits),
            receiver: Receiver::default(),
        }
    }

    /// Messages accepted and not finished, and their size in bytes.
    pub fn queued(&self) -> (usize, usize) {
        self.sender.queued()
    }

    /// Takes back one record that a store kept, of a session that is begun anew from it: before anything else, and in key order.
    pub fn restore(&mut self, record: Record) {
        match record {
            Record::Received { packet_id } => self.receiver.restore(packet_id),
            record => self.sender.restore(&mut self.log, record),
        }
    }

    /// The answers to what was asked of the store go elsewhere from here on: it is asked again.
    pub(crate) fn rewind(&mut self) {
        self.log.rewind();
        self.sender.rewind();
    }

    pub(crate) fn handle_stored(&mut self, upto: Lsn, events: &mut impl FnMut(FlowEvent)) {
        self.log.handle_stored(upto);
        self.sender.handle_stored(&self.log, events);
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
            if self.sender.fail_unstored(&mut self.log, old, &op, events) {
                continue;
            }
            let follower = latest.get(&op.key()).copied().filter(|lsn| *lsn != old);
            let new = follower.unwrap_or_else(|| self.log.push(|| op.clone()));
            latest.insert(op.key(), new);
            match &op {
                StoreOp::Put(Record::Received { packet_id }) => {
                    self.receiver.regate(*packet_id, old, new);
                }
                StoreOp::Put(Record::Released { packet_id, .. }) => {
                    self.sender.regate(*packet_id, old, new);
                }
                StoreOp::Delete(_) => self.sender.hold_again(old, new),
                StoreOp::Put(Record::Message { .. }) => {}
            }
            for (lsn, _) in gated.iter_mut().filter(|(lsn, _)| *lsn == old) {
                *lsn = new;
            }
        }
        self.sender.handle_failed(upto);
    }

    /// The other side has no session: what was sent under it fails, is sent anew, or all is cleared.
    pub(crate) fn lose_session(&mut self, policy: SessionLoss, events: &mut impl FnMut(FlowEvent)) {
        self.sender.lose_session(&mut self.log, policy, events);
        self.receiver.lose_session(&mut self.log);
    }
}

/// How much the outbox holds: messages accepted and not finished, in flight or waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many bytes, counted as packets.
    pub bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 64 * 1024 * 1024,
        }
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
