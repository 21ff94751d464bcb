//! What a server session tells the broker it works for.

use alloc::boxed::Box;
use ohmqtt_codec::{AckProperties, Binary, Connect, ReasonCode, Subscribe, Unsubscribe, Will};

use crate::flows::FlowEvent;
use crate::{DisconnectCause, LostMessage, Message, Receipt, Ticket};

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client asks to connect. Answer with `accept` or `refuse`; until then the session takes no other packet.
    Connect(Box<Connect>),
    /// The client sent what it was asked for, or begins to authenticate again (section 4.12). Answer with `authenticate` for more;
    /// else before it was accepted with `accept` or `refuse`, later with `authenticated` or `disconnect`.
    Authenticate {
        /// What the method says of it.
        data: Option<Binary>,
    },
    /// The client published a message. Route it, then `acknowledge` it when it has a receipt.
    Message {
        /// The message, with its topic resolved.
        message: Message,
        /// To be given to `acknowledge`, for QoS 1 and 2.
        receipt: Option<Receipt>,
    },
    /// The client subscribes. Answer with `suback`: one code for each filter, in their order.
    Subscribe(Subscribe),
    /// The client unsubscribes. Answer with `unsuback`: one code for each filter, in their order.
    Unsubscribe(Unsubscribe),
    /// A delivered message is in the store. Comes only with a store.
    Accepted {
        /// Whose delivery.
        ticket: Ticket,
    },
    /// A delivered message was given to the connection.
    Sent {
        /// Whose delivery.
        ticket: Ticket,
    },
    /// The client acknowledged a message.
    Acked {
        /// Whose delivery.
        ticket: Ticket,
        /// The client's word.
        reason: ReasonCode,
        /// And what it added.
        properties: AckProperties,
    },
    /// A delivered message will not arrive.
    Lost {
        /// Whose delivery, or `Ticket::NONE`.
        ticket: Ticket,
        /// What became of it.
        why: LostMessage,
    },
    /// Messages that were [in doubt](crate::ServerSession::doubt_unsent) have come from the store. Answer with `settle_doubts` for the
    /// topics of `doubted_topics`; until then they are not sent.
    Doubts,
    /// The connection ended. Comes once for each connection.
    Disconnected {
        /// Why.
        cause: DisconnectCause,
        /// The will to be published after its delay, unless the client comes back first. `None`: there is none, or it was revoked.
        will: Option<Box<Will>>,
        /// How long the session is to be kept from now on, in seconds; `u32::MAX` for ever.
        session_expiry_interval: u32,
    },
}

impl From<FlowEvent> for ServerEvent {
    fn from(event: FlowEvent) -> Self {
        match event {
            FlowEvent::Accepted { ticket } => Self::Accepted { ticket },
            FlowEvent::Sent { ticket } => Self::Sent { ticket },
            FlowEvent::Acked {
                ticket,
                reason,
                properties,
                ..
            } => Self::Acked {
                ticket,
                reason,
                properties,
            },
            FlowEvent::Lost { ticket, why } => Self::Lost { ticket, why },
        }
    }
}
