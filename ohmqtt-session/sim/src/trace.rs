//! What a run tells of itself, when it is replayed to be looked at, and how it fails.

use std::fmt;

use ohmqtt_codec::{Delivery, Packet, Publish, PublishTopic};
use ohmqtt_session::{Key, Record, StoreOp};

/// A rule was broken: what was seen, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Fails with a formatted sentence unless the condition holds.
macro_rules! rule {
    ($holds:expr, $($sentence:tt)*) => {
        if !$holds {
            return Err($crate::trace::Failure(format!($($sentence)*)));
        }
    };
}
pub(crate) use rule;

/// The lines of a run, kept only when asked for.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            lines: keep.then(Vec::new),
        }
    }

    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// The number of a simulated message stands at the front of its payload.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.get(..4)?.try_into().ok()?))
}

/// A packet in a few words.
pub(crate) fn packet(packet: &Packet) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::Publish(publish) => self::publish(publish),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!(
                "{name} id {} 0x{:02x}",
                ack.packet_id.get(),
                u8::from(ack.reason)
            )
        }
        Packet::Connect(connect) => format!(
            "{name} clean {} keep alive {} receive maximum {:?}",
            connect.clean_start,
            connect.keep_alive,
            connect.properties.receive_maximum()
        ),
        Packet::ConnAck(connack) => format!(
            "{name} present {} {} receive maximum {:?}",
            connack.session_present,
            connack.reason,
            connack.properties.receive_maximum()
        ),
        Packet::Disconnect(disconnect) => format!("{name} {}", disconnect.reason),
        Packet::Subscribe(subscribe) => format!("{name} id {}", subscribe.packet_id.get()),
        Packet::Unsubscribe(unsubscribe) => format!("{name} id {}", unsubscribe.packet_id.get()),
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => {
            format!("{name} id {}", suback.packet_id.get())
        }
        _ => name.to_string(),
    }
}

fn publish(publish: &Publish) -> String {
    let n = number(&publish.payload).unwrap_or_default();
    let topic = match &publish.topic {
        PublishTopic::Name(topic) => format!("'{}'", topic.as_str()),
        PublishTopic::Alias(_) => "alias".to_owned(),
    };
    let alias = publish
        .properties
        .topic_alias()
        .map_or(String::new(), |alias| format!(" ={}", alias.get()));
    let delivery = match publish.delivery {
        Delivery::AtMostOnce => "QoS 0".to_owned(),
        Delivery::AtLeastOnce { packet_id, dup } => {
            format!("QoS 1 id {} dup {dup}", packet_id.get())
        }
        Delivery::ExactlyOnce { packet_id, dup } => {
            format!("QoS 2 id {} dup {dup}", packet_id.get())
        }
    };
    format!("PUBLISH #{n} {delivery} {topic}{alias}")
}

/// A store operation in a few words.
pub(crate) fn operation(op: &StoreOp) -> String {
    match op {
        StoreOp::Put(Record::Message {
            seq,
            packet_id,
            message,
            ..
        }) => format!(
            "put message seq {seq} #{} id {:?}",
            number(&message.payload).unwrap_or_default(),
            packet_id.map(ohmqtt_codec::PacketId::get)
        ),
        StoreOp::Put(Record::Released { seq, packet_id }) => {
            format!("put released seq {seq} id {}", packet_id.get())
        }
        StoreOp::Put(Record::Received { packet_id }) => {
            format!("put received id {}", packet_id.get())
        }
        StoreOp::Delete(Key::Outgoing(seq)) => format!("delete outgoing seq {seq}"),
        StoreOp::Delete(Key::Received(id)) => format!("delete received id {}", id.get()),
        StoreOp::Put(Record::Backlog(backlog)) => format!("put {backlog:?}"),
        StoreOp::Delete(Key::Backlog) => "delete backlog".to_owned(),
    }
}
