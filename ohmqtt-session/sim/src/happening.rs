//! What a session tells, the same for both sides where it is the same.

use ohmqtt_codec::{PacketId, ReasonCode};
use ohmqtt_session::{
    ClientEvent, DisconnectCause, LostMessage, Message, Receipt, ServerEvent, Ticket,
};

/// An event.
#[derive(Debug)]
pub(crate) enum Happening {
    Message {
        message: Message,
        receipt: Option<Receipt>,
    },
    Accepted(Ticket),
    Sent(Ticket),
    Acked(Ticket, ReasonCode),
    Lost(Ticket, LostMessage),
    Own(Own),
}

/// An event for one side.
#[derive(Debug)]
pub(crate) enum Own {
    Connected {
        session_present: bool,
    },
    Disconnected(DisconnectCause),
    /// SUBACK or UNSUBACK came, or will not come.
    Answered(Ticket),
    Connect {
        clean_start: bool,
    },
    Subscribe(PacketId),
    Unsubscribe(PacketId),
    Other,
}

impl From<ClientEvent> for Happening {
    fn from(event: ClientEvent) -> Self {
        match event {
            ClientEvent::Connected(connack) => Self::Own(Own::Connected {
                session_present: connack.session_present,
            }),
            ClientEvent::Disconnected(cause) => Self::Own(Own::Disconnected(cause)),
            ClientEvent::Message { message, receipt } => Self::Message { message, receipt },
            ClientEvent::Accepted { ticket } => Self::Accepted(ticket),
            ClientEvent::Sent { ticket } => Self::Sent(ticket),
            ClientEvent::Acked { ticket, reason, .. } => Self::Acked(ticket, reason),
            ClientEvent::Lost { ticket, why } => Self::Lost(ticket, why),
            ClientEvent::Subscribed { ticket, .. }
            | ClientEvent::Unsubscribed { ticket, .. }
            | ClientEvent::RequestLost { ticket } => Self::Own(Own::Answered(ticket)),
            _ => Self::Own(Own::Other),
        }
    }
}

impl From<ServerEvent> for Happening {
    fn from(event: ServerEvent) -> Self {
        match event {
            ServerEvent::Connect(connect) => Self::Own(Own::Connect {
                clean_start: connect.clean_start,
            }),
            ServerEvent::Message { message, receipt } => Self::Message { message, receipt },
            ServerEvent::Subscribe(subscribe) => Self::Own(Own::Subscribe(subscribe.packet_id)),
            ServerEvent::Unsubscribe(unsubscribe) => {
                Self::Own(Own::Unsubscribe(unsubscribe.packet_id))
            }
            ServerEvent::Accepted { ticket } => Self::Accepted(ticket),
            ServerEvent::Sent { ticket } => Self::Sent(ticket),
            ServerEvent::Acked { ticket, reason, .. } => Self::Acked(ticket, reason),
            ServerEvent::Lost { ticket, why } => Self::Lost(ticket, why),
            ServerEvent::Disconnected { cause, .. } => Self::Own(Own::Disconnected(cause)),
            _ => Self::Own(Own::Other),
        }
    }
}
