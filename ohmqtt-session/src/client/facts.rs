//! What a client session knows of how things stand: for whoever asks why nothing flows. It changes nothing.

use super::{ClientSession, Phase};
use crate::Instant;

impl ClientSession {
    /// Whether the server kept the session that this side goes on with, on the connection that stands; `None` without one that was
    /// accepted.
    pub fn session_present(&self) -> Option<bool> {
        self.session_present
    }

    /// When the last packet came, on the connection that stands; `None` without one that was accepted.
    ///
    /// While the session is [held back](Self::is_held_back) the server is not heard, whatever it says.
    pub fn last_heard(&self) -> Option<Instant> {
        let is_connected = matches!(self.phase, Phase::Connected { .. });
        is_connected.then_some(self.exchange.connection.last_received)
    }

    /// When the first PINGREQ left, or was to leave, that the server has not answered; or whose answer stands unread while the session
    /// is [held back](Self::is_held_back).
    pub fn ping_unanswered_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connected { ping } => ping.map(|ping| ping.since),
            Phase::Offline | Phase::AwaitConnAck { .. } => None,
        }
    }

    /// Since when messages of QoS 1 and 2 wait for nothing but acknowledgements, because the server's Receive Maximum is used up.
    ///
    /// It begins anew with each message that goes: an old moment means a server that acknowledges nothing, not one that is slow.
    pub fn quota_full_since(&self) -> Option<Instant> {
        self.exchange.connection.quota_full_since
    }

    /// Operations that wait for the store, and about what they occupy in memory, in bytes. Messages that were published while the
    /// session is read back count among them.
    pub fn store_waiting(&self) -> (usize, usize) {
        let flows = &self.exchange.flows;
        flows.sender.waits_for_store(&flows.log)
    }

    /// Messages that were [abandoned](Self::abandon) on the connection that stands: what the server sent behind them cannot be
    /// acknowledged before the next one.
    pub fn abandoned(&self) -> usize {
        self.exchange.flows.receiver.abandoned()
    }

    /// Whether nothing is taken from the server until the application acknowledges.
    ///
    /// That is so when the server has sent more messages of QoS 1 and 2 than our Receive Maximum, as some do with a backlog. One such
    /// message is taken, so the application holds at most Receive Maximum + 1 messages, and the rest stays in the stream; that it came
    /// is no reason to end the connection as long as an acknowledgement of the application's can mend it. The server's answers stand
    /// unread behind it: PINGREQ goes on, and no answer to it is missed. That a server has gone is noticed when something is sent to
    /// it, at the latest with the next PINGREQ.
    ///
    /// An application may itself be waiting for what stands there, such as the acknowledgement of what it published. So when an answer
    /// to a message or a request is due for a minute without a word that mends it, the connection ends with 0x93 after all, and both
    /// come again on the next one.
    pub fn is_held_back(&self) -> bool {
        self.exchange.is_beyond()
    }
}
