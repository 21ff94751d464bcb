//! Packets and events as short text, so that a test reads as a list of what happened.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use super::payload;

/// Such as `PUBLISH 2 #7 dup hello`, `PUBREC #7 0x97`, `CONNACK present`, `DISCONNECT 0x82`.
pub(crate) fn brief(packet: &Packet) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::ConnAck(connack) => {
            let present = if connack.session_present {
                " present"
            } else {
                ""
            };
            format!("{name}{present}{}", error(connack.reason))
        }
        Packet::Publish(publish) => {
            let id = publish
                .delivery
                .packet_id()
                .map_or(String::new(), |id| format!(" #{}", id.get()));
            let dup = if publish.delivery.dup() { " dup" } else { "" };
            let text = String::from_utf8_lossy(&publish.payload);
            format!(
                "{name} {}{id}{dup} {text}",
                u8::from(publish.delivery.qos())
            )
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!("{name} #{}{}", ack.packet_id.get(), error(ack.reason))
        }
        Packet::Subscribe(Subscribe { packet_id, .. })
        | Packet::SubAck(SubAck { packet_id, .. })
        | Packet::UnsubAck(SubAck { packet_id, .. })
        | Packet::Unsubscribe(Unsubscribe { packet_id, .. }) => {
            format!("{name} #{}", packet_id.get())
        }
        Packet::Disconnect(disconnect) => format!("{name}{}", error(disconnect.reason)),
        Packet::Connect(_) | Packet::PingReq | Packet::PingResp | Packet::Auth(_) => {
            name.to_string()
        }
    }
}

pub(crate) fn briefs(packets: &[Packet]) -> Vec<String> {
    packets.iter().map(brief).collect()
}

fn error(reason: ReasonCode) -> String {
    match reason {
        ReasonCode::Success => String::new(),
        reason => format!(" 0x{:02X}", u8::from(reason)),
    }
}

fn codes(answer: &SubAck) -> String {
    answer.codes.iter().fold(String::new(), |text, code| {
        format!("{text} {:02X}", u8::from(code))
    })
}

/// Such as `acked 7 0x97` or `lost 7 SessionLost`.
pub(super) fn client_event(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Connected(connack) if connack.session_present => "connected present".into(),
        ClientEvent::Connected(_) => "connected".into(),
        ClientEvent::Disconnected(cause) => format!("disconnected: {cause}"),
        ClientEvent::SessionLost {
            messages,
            bytes,
            sent,
        } => format!("session lost: {messages} messages of {bytes} bytes, {sent} sent"),
        ClientEvent::Message { message, .. } => format!("message {}", payload(message)),
        ClientEvent::Accepted { ticket } => format!("accepted {}", ticket.0),
        ClientEvent::Sent { ticket } => format!("sent {}", ticket.0),
        ClientEvent::Acked { ticket, reason, .. } => {
            format!("acked {}{}", ticket.0, error(*reason))
        }
        ClientEvent::Lost { ticket, why } => format!("lost {} {why:?}", ticket.0),
        ClientEvent::Subscribed { ticket, suback } => {
            format!("subscribed {}{}", ticket.0, codes(suback))
        }
        ClientEvent::Unsubscribed { ticket, unsuback } => {
            format!("unsubscribed {}{}", ticket.0, codes(unsuback))
        }
        ClientEvent::RequestLost { ticket } => format!("request lost {}", ticket.0),
        other => format!("{other:?}"),
    }
}

/// As [`client_event`], for a server.
pub(super) fn server_event(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Connect(connect) => format!("connect {}", connect.client_id),
        ServerEvent::Message { message, .. } => format!("message {}", payload(message)),
        ServerEvent::Subscribe(subscribe) => format!("subscribe #{}", subscribe.packet_id.get()),
        ServerEvent::Unsubscribe(it) => format!("unsubscribe #{}", it.packet_id.get()),
        ServerEvent::Accepted { ticket } => format!("accepted {}", ticket.0),
        ServerEvent::Sent { ticket } => format!("sent {}", ticket.0),
        ServerEvent::Acked { ticket, reason, .. } => {
            format!("acked {}{}", ticket.0, error(*reason))
        }
        ServerEvent::Lost { ticket, why } => format!("lost {} {why:?}", ticket.0),
        ServerEvent::Disconnected { cause, .. } => format!("disconnected: {cause}"),
        other => format!("{other:?}"),
    }
}
