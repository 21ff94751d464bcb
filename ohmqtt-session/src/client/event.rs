//! What a client session tells its caller, and what it refuses.

use alloc::boxed::Box;
use ohmqtt_codec::{AckProperties, Binary, ConnAck, PacketId, ReasonCode, SubAck};

use crate::flows::FlowEvent;
use crate::{DisconnectCause, LostMessage, Message, Receipt, Ticket};

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server accepted the connection. With `session_present` false, subscriptions have to be made again.
    Connected(Box<ConnAck>),
    /// The connection ended, and this is why. Comes once for each connection, also for one that was never accepted.
    Disconnected(DisconnectCause),
    /// The server does not have the session any more that this side goes on with. Comes behind [`Connected`](Self::Connected) and before
    /// what it means for each message; [`SessionLoss`](crate::SessionLoss) decides on that.
    ///
    /// It does not come of a session that was to end with its connection (Session Expiry Interval 0) when nothing was sent under it.
    SessionLost {
        /// Messages accepted and not finished at that moment.
        messages: usize,
        /// Their size in bytes.
        bytes: usize,
        /// Of these messages, the ones that may have been sent under the lost session: they may have arrived or not.
        sent: usize,
    },
    /// A message came.
    Message {
        /// The message; its properties hold the Subscription Identifiers it matched.
        message: Message,
        /// To be given to `acknowledge`, for QoS 1 and 2.
        receipt: Option<Receipt>,
    },
    /// The message is in the store. Without a store a message is accepted when `publish` returns, and this does not come.
    Accepted {
        /// Whose message.
        ticket: Ticket,
    },
    /// The message was given to the connection. Of a QoS 0 message this is the last that is heard.
    Sent {
        /// Whose message.
        ticket: Ticket,
    },
    /// The server acknowledged the message: PUBACK at QoS 1, PUBREC and PUBCOMP at QoS 2. The reason may be an error.
    Acked {
        /// Whose message.
        ticket: Ticket,
        /// The identifier it had; another message may have it from now on.
        packet_id: PacketId,
        /// The server's word.
        reason: ReasonCode,
        /// And what it added.
        properties: AckProperties,
    },
    /// The message will not be acknowledged.
    Lost {
        /// Whose message, or `Ticket::NONE`.
        ticket: Ticket,
        /// What became of it.
        why: LostMessage,
    },
    /// The server answered a SUBSCRIBE: one code for each filter.
    Subscribed {
        /// Whose request.
        ticket: Ticket,
        /// The answer.
        suback: SubAck,
    },
    /// The server answered an UNSUBSCRIBE: one code for each filter.
    Unsubscribed {
        /// Whose request.
        ticket: Ticket,
        /// The answer.
        unsuback: SubAck,
    },
    /// The server asks for more to authenticate by (section 4.12). Answer with `authenticate`.
    Authenticate {
        /// What the method says of it.
        data: Option<Binary>,
    },
    /// The server accepts a connection whose CONNECT named a method. Answer with `verified`, or with `fail_authentication` when it is not
    /// who it should be; until then nothing else happens on the connection, and [`Connected`](Self::Connected) does not come.
    Verify {
        /// The last that the method says.
        data: Option<Binary>,
    },
    /// The server has accepted a re-authentication. When it is not who it should be, answer with `fail_authentication`.
    Authenticated {
        /// What the method says of it.
        data: Option<Binary>,
    },
    /// The connection ended before the server answered a SUBSCRIBE or UNSUBSCRIBE.
    RequestLost {
        /// Whose request.
        ticket: Ticket,
    },
}

impl From<FlowEvent> for ClientEvent {
    fn from(event: FlowEvent) -> Self {
        match event {
            FlowEvent::Accepted { ticket } => Self::Accepted { ticket },
            FlowEvent::Sent { ticket } => Self::Sent { ticket },
            FlowEvent::Acked {
                ticket,
                packet_id,
                reason,
                properties,
            } => Self::Acked {
                ticket,
                packet_id,
                reason,
                properties,
            },
            FlowEvent::Lost { ticket, why } => Self::Lost { ticket, why },
        }
    }
}

/// Why a SUBSCRIBE or UNSUBSCRIBE was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is no connection: subscribe again when there is.
    #[error("not connected: subscribe once the server has accepted the connection")]
    NotConnected,
    /// All 65,535 Packet Identifiers are in use.
    #[error("all packet identifiers are in use: wait for acknowledgements")]
    NoPacketId,
    /// The server does not offer what the filter needs.
    #[error("the server does not support {feature}, which '{filter}' needs")]
    NotSupported {
        /// Which of wildcard, shared or identified subscriptions.
        feature: &'static str,
        /// The filter.
        filter: alloc::string::String,
    },
    /// The packet is larger than the server accepts.
    #[error(
        "the packet has {size} bytes and the server accepts {limit}: name fewer filters at once"
    )]
    TooLarge {
        /// The size of the packet in bytes.
        size: usize,
        /// The server's Maximum Packet Size in bytes.
        limit: u32,
    },
}
