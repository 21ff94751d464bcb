//! Rows of ohmqtt 1.x as records. What a row of such a kind cannot be is told in words, for whoever has to look after it.

use bytes::{BufMut, Bytes, BytesMut};
use ohmqtt_codec::{MqttString, PacketId, Qos};
use ohmqtt_session::{Instant, Message, Record};
use rusqlite::Row;
use rusqlite::types::FromSql;

use crate::record::read_message;

/// The columns that [`outgoing`] reads, in the order of 1.x: that of publishing.
pub(super) const MESSAGES: &str = "SELECT id, topic, payload, qos, retain, properties, received, packet_id FROM messages ORDER BY id";
/// What [`received`] reads.
pub(super) const RECEIVED: &str = "SELECT packet_id FROM received ORDER BY packet_id";
/// What [`client_id`] reads.
pub(super) const CLIENT_ID: &str = "SELECT client_id FROM client_id WHERE id = 0";

/// The largest remaining length of a packet.
const REMAINING_MAX: usize = 268_435_455;

/// What is known of a row, or why it cannot be taken over.
type Read<T> = Result<T, String>;

/// An outgoing message as the record at this place.
///
/// 1.x gave a message its identifier before it sent it, and kept it: with one it was sent, or was about to be. `dup` and `inflight` told
/// of the connection only.
pub(super) fn outgoing(row: &Row<'_>, seq: u64, accepted: Instant) -> Read<Record> {
    let packet_id: Option<i64> = column(row, "packet_id")?;
    let packet_id = packet_id.map(identifier).transpose()?;
    let qos = match column::<i64>(row, "qos")? {
        1 => Qos::AtLeastOnce,
        2 => Qos::ExactlyOnce,
        qos => {
            return Err(format!(
                "it is at QoS {qos}, where ohmqtt 1.x keeps 1 and 2"
            ));
        }
    };
    if !column::<Option<bool>>(row, "received")?.unwrap_or_default() {
        return Ok(Record::Message {
            seq,
            packet_id,
            accepted,
            deadline: None,
            via: None,
            message: message(row, qos)?,
        });
    }
    match (qos, packet_id) {
        (Qos::ExactlyOnce, Some(packet_id)) => Ok(Record::Released { seq, packet_id }),
        (Qos::ExactlyOnce, None) => Err("it was received without a Packet Identifier".into()),
        _ => Err("it was received, which is of QoS 2, and is at QoS 1".into()),
    }
}

/// The identifier of an incoming message.
pub(super) fn received(row: &Row<'_>) -> Read<Record> {
    let packet_id = identifier(column(row, "packet_id")?)?;
    Ok(Record::Received { packet_id })
}

/// The name of the session; there is none until the first connection.
pub(super) fn client_id(row: &Row<'_>) -> Read<Option<MqttString>> {
    let client_id: Option<String> = column(row, "client_id")?;
    let client_id = client_id.filter(|client_id| !client_id.is_empty());
    let client_id = client_id.map(MqttString::try_from).transpose();
    client_id.map_err(|error| error.to_string())
}

fn message(row: &Row<'_>, qos: Qos) -> Read<Message> {
    let topic: String = column(row, "topic")?;
    let properties: Option<Vec<u8>> = column(row, "properties")?;
    let retain: bool = column(row, "retain")?;
    // The codec looks at a packet with these two and nothing behind them.
    let head = head(&topic, properties.as_deref().unwrap_or(&[0]), retain)?;
    let mut message = read_message(&head, qos)?;
    if !message.payload.is_empty() {
        return Err("its properties are longer than they say".into());
    }
    // Both are of a connection, and 1.x kept them when a program had set them.
    message.properties.remove_topic_alias();
    message.properties.remove_subscription_identifiers();
    let payload = row
        .get_ref("payload")
        .and_then(|payload| Ok(payload.as_blob()?));
    message.payload = Bytes::copy_from_slice(payload.map_err(|error| error.to_string())?);
    Ok(message)
}

/// A PUBLISH at QoS 0 without a payload.
fn head(topic: &str, properties: &[u8], retain: bool) -> Read<BytesMut> {
    let topic_len = u16::try_from(topic.len()).map_err(|_| {
        format!(
            "its topic name has {} bytes, which is too long",
            topic.len()
        )
    })?;
    let remaining = 2 + topic.len() + properties.len();
    if remaining > REMAINING_MAX {
        return Err(format!("its properties have {} bytes", properties.len()));
    }
    let mut head = BytesMut::with_capacity(5 + remaining);
    head.put_u8(0x30 | u8::from(retain));
    let mut left = remaining;
    loop {
        let low = left.to_le_bytes()[0] & 0x7f;
        left >>= 7;
        if left == 0 {
            head.put_u8(low);
            break;
        }
        head.put_u8(low | 0x80);
    }
    head.put_u16(topic_len);
    head.put_slice(topic.as_bytes());
    head.put_slice(properties);
    Ok(head)
}

fn identifier(packet_id: i64) -> Read<PacketId> {
    let packet_id = u16::try_from(packet_id).ok().and_then(PacketId::new);
    packet_id.ok_or_else(|| "its Packet Identifier is not one of 1 to 65535".into())
}

fn column<T: FromSql>(row: &Row<'_>, name: &str) -> Read<T> {
    row.get(name).map_err(|error| error.to_string())
}
