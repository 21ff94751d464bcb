//! Records as bytes: a format number, a postcard envelope, and for a message the bytes of its own packet.
//!
//! ```text
//! format (1 byte)  envelope (postcard)  PUBLISH at QoS 0 (messages only)
//! ```
//!
//! Format 2 is a message that came by a shared subscription: between envelope and packet stands its filter, behind two bytes of length.
//! All else is written in format 1.
//!
//! The packet carries topic, retain flag, properties and payload, so a new property changes no format. What depends on the
//! delivery stands in the envelope: QoS, Packet Identifier, times. A change of the envelope is a new format number, and the
//! formats before it stay readable.
//!
//! Where several messages have a payload in common, that stands elsewhere, once, and the record names it:
//!
//! ```text
//! 0x80  number of the payload (8 bytes)  its length (4 bytes)  the record as above, without the payload at its end
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::{
    Delivery, EncodeBuf, Limits, Packet, PacketId, PublishTopic, Qos, TopicFilter, decode,
};
use ohmqtt_session::{Backlog, Instant, Key, Message, Record, StoreOp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::{Batch, Prefix, StoreError};

const FORMAT: u8 = 1;
/// A message with its shared subscription; the newest that can be read.
const SHARED: u8 = 2;

/// What stands in place of the format where the payload stands elsewhere.
const ELSEWHERE: u8 = 0x80;

/// The longest an envelope can be: a tag and four numbers of ten bytes.
const ENVELOPE_MAX: usize = 48;

/// Formats 1 and 2. Variants and fields are numbered by their order: it stays as it is.
#[derive(Serialize, Deserialize)]
enum Envelope {
    Message {
        qos: u8,
        packet_id: Option<u16>,
        /// Microseconds since the Unix epoch, like `deadline`.
        accepted: u64,
        deadline: Option<u64>,
    },
    Released {
        packet_id: u16,
    },
    Received,
    /// The numbers of the messages behind the window.
    Backlog {
        first: u64,
        next: u64,
        messages: u64,
        bytes: u64,
    },
}

/// Where the payload of a message stands that does not stand in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) number: u64,
    /// In bytes.
    pub(crate) len: usize,
}

impl Reference {
    /// What a value refers to, if it is that of such a record.
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        Self::split(value).map(|(reference, _)| reference)
    }

    /// The same, and the record without its payload.
    pub(crate) fn split(value: &[u8]) -> Option<(Self, &[u8])> {
        let (&ELSEWHERE, rest) = value.split_first()? else {
            return None;
        };
        let (number, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let reference = Self {
            number: u64::from_be_bytes(*number),
            len: usize::try_from(u32::from_be_bytes(*len)).ok()?,
        };
        Some((reference, rest))
    }

    fn head(self) -> [u8; 13] {
        let mut head = [ELSEWHERE; 13];
        head[1..9].copy_from_slice(&self.number.to_be_bytes());
        // A packet has at most 256 MiB.
        let len = u32::try_from(self.len).unwrap_or(u32::MAX);
        head[9..].copy_from_slice(&len.to_be_bytes());
        head
    }
}

/// Writes the operations of sessions as operations on bytes.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Room for a packet, kept from one message to the next.
    packet: EncodeBuf,
}

impl Encoder {
    /// An encoder that has not allocated yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one operation of the session at `prefix` to the batch.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] when the message is too large for a packet; the batch is then as it was.
    pub fn encode(
        &mut self,
        prefix: &Prefix,
        op: &StoreOp,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        self.encode_with(prefix, op, None, batch)
    }

    /// The same for a message whose payload may stand elsewhere.
    pub(crate) fn encode_with(
        &mut self,
        prefix: &Prefix,
        op: &StoreOp,
        payload: Option<Reference>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        match op {
            StoreOp::Put(record) => self.put(prefix, record, payload, batch),
            StoreOp::Delete(key) => {
                batch.delete_parts([prefix.as_bytes(), &key::tail(*key)]);
                Ok(())
            }
        }
    }

    pub(crate) fn put(
        &mut self,
        prefix: &Prefix,
        record: &Record,
        payload: Option<Reference>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        self.packet.clear();
        let mut shared = None;
        let envelope = match record {
            Record::Message {
                packet_id,
                accepted,
                deadline,
                via,
                message,
                ..
            } => {
                shared = via.as_deref();
                Packet::Publish(message.to_publish(Delivery::AtMostOnce))
                    .encode(&mut self.packet)
                    .map_err(|error| StoreError::TooLarge { size: error.size })?;
                Envelope::Message {
                    qos: message.qos.into(),
                    packet_id: packet_id.map(PacketId::get),
                    accepted: accepted.unix_micros(),
                    deadline: deadline.map(Instant::unix_micros),
                }
            }
            Record::Released { packet_id, .. } => Envelope::Released {
                packet_id: packet_id.get(),
            },
            Record::Received { .. } => Envelope::Received,
            Record::Backlog(backlog) => Envelope::Backlog {
                first: backlog.first,
                next: backlog.next,
                messages: backlog.messages,
                bytes: backlog.bytes,
            },
        };
        let mut buf = [0; ENVELOPE_MAX];
        let envelope =
            postcard::to_slice(&envelope, &mut buf).map_err(|error| StoreError::Damaged {
                record: key::describe(&prefix.key(record.key())),
                what: format!("its envelope cannot be written: {error}"),
            })?;
        let format = if shared.is_some() { SHARED } else { FORMAT };
        let filter = shared.map_or(&[][..], TopicFilter::as_bytes);
        // A TopicFilter has at most 65,535 bytes.
        let len = u16::try_from(filter.len()).unwrap_or(u16::MAX);
        let len = len.to_be_bytes();
        let len = shared.map_or(&[][..], |_| &len[..]);
        // The payload is the end of the packet.
        let packet_len: usize = self.packet.slices().map(<[u8]>::len).sum();
        let mut left = packet_len - payload.map_or(0, |payload| payload.len.min(packet_len));
        let packet = self.packet.slices().map(|slice| {
            let taken = &slice[..slice.len().min(left)];
            left -= taken.len();
            taken
        });
        let head = payload.map(Reference::head);
        batch.put_parts(
            [prefix.as_bytes(), &key::tail(record.key())],
            [
                head.as_ref().map_or(&[][..], |head| head),
                &[format],
                envelope,
                len,
                filter,
            ]
            .into_iter()
            .chain(packet),
        );
        self.packet.clear();
        Ok(())
    }
}

/// Reads what an [`Encoder`] wrote: the record under this whole key.
///
/// The message shares one allocation of its own, none with `value`. A payload that several messages have in common stands elsewhere:
/// such records are for [`Writer::load`](crate::Writer::load) to read.
///
/// # Errors
///
/// [`StoreError::UnknownFormat`] for what a newer version wrote, [`StoreError::Damaged`] for what no version wrote.
pub fn decode_record(key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
    read(key, value).map_err(|fault| match fault {
        Fault::Format(found) => StoreError::UnknownFormat {
            record: key::describe(key),
            found: found.into(),
            newest: SHARED.into(),
        },
        Fault::Damaged(what) => StoreError::Damaged {
            record: key::describe(key),
            what,
        },
    })
}

/// What is wrong with a record; which one it is, is added once, by [`decode_record`].
enum Fault {
    Format(u8),
    Damaged(String),
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

fn read(key: &[u8], value: &[u8]) -> Result<Record, Fault> {
    let (_, key) = key::parse(key).ok_or("no record stands under such a key")?;
    let (format, rest) = value.split_first().ok_or("the value is empty")?;
    if *format == ELSEWHERE {
        return Err("its payload stands elsewhere".into());
    }
    if !(FORMAT..=SHARED).contains(format) {
        return Err(Fault::Format(*format));
    }
    let (envelope, packet) = postcard::take_from_bytes(rest)
        .map_err(|error| Fault::Damaged(format!("envelope: {error}")))?;
    let (via, packet) = match *format {
        SHARED => read_filter(packet)?,
        _ => (None, packet),
    };
    let (record, packet) = match (key, envelope) {
        (
            Key::Outgoing(seq),
            Envelope::Message {
                qos,
                packet_id,
                accepted,
                deadline,
            },
        ) => {
            let qos = Qos::try_from(qos).map_err(|_| "the QoS is above 2")?;
            let record = Record::Message {
                seq,
                packet_id: packet_id.map(identifier).transpose()?,
                accepted: Instant::from_unix_micros(accepted),
                deadline: deadline.map(Instant::from_unix_micros),
                via,
                message: read_message(packet, qos).map_err(Fault::Damaged)?,
            };
            (record, &[][..])
        }
        (Key::Outgoing(seq), Envelope::Released { packet_id }) => (
            Record::Released {
                seq,
                packet_id: identifier(packet_id)?,
            },
            packet,
        ),
        (Key::Received(packet_id), Envelope::Received) => (Record::Received { packet_id }, packet),
        (
            Key::Backlog,
            Envelope::Backlog {
                first,
                next,
                messages,
                bytes,
            },
        ) => {
            let backlog = Backlog {
                first,
                next,
                messages,
                bytes,
            };
            (Record::Backlog(backlog), packet)
        }
        _ => return Err("the record belongs under another kind of key".into()),
    };
    if packet.is_empty() {
        Ok(record)
    } else {
        Err("bytes follow the record".into())
    }
}

/// The filter of a shared subscription, and what stands behind it.
fn read_filter(bytes: &[u8]) -> Result<(Option<Arc<TopicFilter>>, &[u8]), Fault> {
    const SHORT: &str = "the filter is cut short";
    let (len, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
    let len = usize::from(u16::from_be_bytes(*len));
    let (filter, rest) = rest.split_at_checked(len).ok_or(SHORT)?;
    let filter = TopicFilter::try_from(Bytes::copy_from_slice(filter))
        .map_err(|error| Fault::Damaged(error.to_string()))?;
    Ok((Some(Arc::new(filter)), rest))
}

/// The message of this packet at QoS 0.
pub(crate) fn read_message(packet: &[u8], qos: Qos) -> Result<Message, String> {
    let mut buf = BytesMut::from(packet);
    let decoded = decode(&mut buf, &Limits::default())
        .map_err(|error| error.to_string())?
        .ok_or("the packet is cut short")?;
    if !buf.is_empty() {
        return Err("bytes follow the packet".into());
    }
    let Packet::Publish(publish) = decoded else {
        return Err(format!("{} in place of PUBLISH", decoded.packet_type()));
    };
    match publish.topic {
        PublishTopic::Name(topic) if publish.delivery == Delivery::AtMostOnce => Ok(Message {
            topic,
            qos,
            retain: publish.retain,
            properties: publish.properties,
            payload: publish.payload,
        }),
        PublishTopic::Name(_) => Err("the packet is not at QoS 0".into()),
        PublishTopic::Alias(_) => Err("the packet has no topic".into()),
    }
}

fn identifier(packet_id: u16) -> Result<PacketId, Fault> {
    PacketId::new(packet_id).ok_or_else(|| "the Packet Identifier is 0".into())
}
