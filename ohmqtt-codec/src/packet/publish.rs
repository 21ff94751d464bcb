//! PUBLISH (section 3.3): a message on its way.

use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::{Packet, PacketType, with_header};
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::{Block, Place, PropertyId, PublishProperties};
use crate::reader::Reader;
use crate::value::{PacketId, Qos, TopicAlias, TopicName};
use crate::wire::{put, put_prefixed, put_u16, put_varint, varint_len};

/// A message. `Debug` shows the payload's length only.
///
/// A decoded PUBLISH shares the memory of its read chunk and keeps it alive; [`detached`](Self::detached) ends that.
///
/// [Section 3.3](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901100)
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where it goes.
    pub topic: PublishTopic,
    /// QoS, with the packet identifier and DUP where there is one.
    pub delivery: Delivery,
    /// To a server: keep it for later subscribers. From a server: it was kept.
    pub retain: bool,
    /// Its properties.
    pub properties: PublishProperties,
    /// The application's bytes.
    pub payload: Bytes,
}

/// Where a PUBLISH goes.
///
/// A name together with a Topic Alias in the properties sets the alias: both are on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishTopic {
    /// To this topic.
    Name(TopicName),
    /// To the topic this alias was last sent with; the topic on the wire is empty.
    ///
    /// Encoding writes this alias, in place of a Topic Alias in the properties or before them. Decoding leaves the
    /// property in the properties as well.
    Alias(TopicAlias),
}

/// How a PUBLISH is delivered, with what that needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// QoS 0: nobody acknowledges it.
    AtMostOnce,
    /// QoS 1: PUBACK ends it.
    AtLeastOnce {
        /// What the PUBACK will name.
        packet_id: PacketId,
        /// It may have been sent before.
        dup: bool,
    },
    /// QoS 2: PUBREC, PUBREL and PUBCOMP end it.
    ExactlyOnce {
        /// What these will name.
        packet_id: PacketId,
        /// It may have been sent before.
        dup: bool,
    },
}

impl Delivery {
    /// Its quality of service.
    pub const fn qos(self) -> Qos {
        match self {
            Self::AtMostOnce => Qos::AtMostOnce,
            Self::AtLeastOnce { .. } => Qos::AtLeastOnce,
            Self::ExactlyOnce { .. } => Qos::ExactlyOnce,
        }
    }

    /// Its packet identifier; `None` at QoS 0.
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }

    /// May it have been sent before? Never at QoS 0.
    pub const fn dup(self) -> bool {
        match self {
            // [MQTT-3.3.1-2] DUP is 0 at QoS 0.
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }

    /// The same with this DUP, which does nothing at QoS 0.
    #[must_use]
    pub const fn with_dup(self, dup: bool) -> Self {
        match self {
            Self::AtMostOnce => self,
            Self::AtLeastOnce { packet_id, .. } => Self::AtLeastOnce { packet_id, dup },
            Self::ExactlyOnce { packet_id, .. } => Self::ExactlyOnce { packet_id, dup },
        }
    }
}

const DUP: u8 = 0b1000;
const RETAIN: u8 = 0b0001;

impl Publish {
    /// A message to this topic: QoS 0, not retained, without properties.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: PublishTopic::Name(topic),
            delivery: Delivery::AtMostOnce,
            retain: false,
            properties: PublishProperties::default(),
            payload: payload.into(),
        }
    }

    /// How many bytes it is encoded, fixed header included, as [`Packet::encoded_len`](crate::Packet::encoded_len).
    pub fn encoded_len(&self) -> usize {
        with_header(self.body_len())
    }

    /// The same message in one piece of memory of its own: topic, properties and payload copied out of the read chunk
    /// they came in, which can go then.
    #[must_use]
    pub fn detached(self) -> Self {
        let Self {
            topic,
            delivery,
            retain,
            properties,
            payload,
        } = self;
        let name = match &topic {
            PublishTopic::Name(name) => name.as_bytes(),
            PublishTopic::Alias(_) => &[],
        };
        let block = properties.as_bytes();
        let mut own = Vec::with_capacity(name.len() + block.len() + payload.len());
        put(&mut own, name);
        put(&mut own, block);
        put(&mut own, &payload);
        let (name_len, block_len) = (name.len(), block.len());
        let mut own = Bytes::from(own);
        let own_name = own.split_to(name_len);
        let own_block = if block_len == 0 {
            Bytes::new()
        } else {
            own.split_to(block_len)
        };
        Self {
            topic: match topic {
                PublishTopic::Name(_) => PublishTopic::Name(TopicName::trusted(own_name)),
                alias @ PublishTopic::Alias(_) => alias,
            },
            delivery,
            retain,
            properties: PublishProperties::trusted(own_block),
            payload: own,
        }
    }

    /// What is on the wire as the topic name.
    #[inline]
    fn name(&self) -> &[u8] {
        match &self.topic {
            PublishTopic::Name(name) => name.as_bytes(),
            PublishTopic::Alias(_) => &[],
        }
    }

    /// All but the payload.
    #[inline]
    fn head_len(&self) -> usize {
        let packet_id = if self.delivery == Delivery::AtMostOnce {
            0
        } else {
            2
        };
        2 + self.name().len() + packet_id + self.block_len()
    }

    /// Of the properties with their length, and with the alias that encoding adds.
    #[inline]
    fn block_len(&self) -> usize {
        match self.topic {
            PublishTopic::Name(_) => self.properties.wire_len(),
            PublishTopic::Alias(_) => self.block_len_with_alias(),
        }
    }

    #[inline(never)]
    fn block_len_with_alias(&self) -> usize {
        let added = if self.alias_at().is_some() {
            0
        } else {
            ALIAS_LEN
        };
        let len = self.properties.as_bytes().len() + added;
        varint_len(len) + len
    }

    fn alias_at(&self) -> Option<usize> {
        self.properties
            .block()
            .value_range(PropertyId::TopicAlias)
            .map(|range| range.start)
    }

    pub(super) fn body_len(&self) -> usize {
        self.head_len().saturating_add(self.payload.len())
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let head = self.head_len();
        let chained = self.payload.len() >= EncodeBuf::CHAIN;
        let copied = if chained {
            head
        } else {
            head + self.payload.len()
        };
        let flags =
            |qos: Qos, dup: bool| u8::from(dup) << 3 | u8::from(qos) << 1 | u8::from(self.retain);
        let (flags, packet_id) = match self.delivery {
            // [MQTT-3.3.1-2] DUP is 0 at QoS 0. [MQTT-2.2.1-2] There is no packet identifier.
            Delivery::AtMostOnce => (flags(Qos::AtMostOnce, false), None),
            Delivery::AtLeastOnce { packet_id, dup } => {
                (flags(Qos::AtLeastOnce, dup), Some(packet_id))
            }
            Delivery::ExactlyOnce { packet_id, dup } => {
                (flags(Qos::ExactlyOnce, dup), Some(packet_id))
            }
        };
        let tail = out.begin(
            first | flags,
            head.saturating_add(self.payload.len()),
            copied,
        )?;
        put_prefixed(tail, self.name());
        if let Some(packet_id) = packet_id {
            put_u16(tail, packet_id.get());
        }
        match self.topic {
            PublishTopic::Name(_) => self.properties.block().put(tail),
            PublishTopic::Alias(alias) => self.put_block_with(alias, tail),
        }
        if chained {
            out.chain(self.payload.clone());
        } else {
            put(tail, &self.payload);
        }
        Ok(())
    }

    #[inline(never)]
    fn put_block_with(&self, alias: TopicAlias, tail: &mut Vec<u8>) {
        let block = self.properties.as_bytes();
        let (before, after) = match self.alias_at() {
            Some(at) => (block.get(..at), block.get(at + 2..)),
            None => (None, Some(block)),
        };
        let before = before.unwrap_or(&[PropertyId::TopicAlias as u8]);
        let after = after.unwrap_or_default();
        // At most the packet's length, which was checked.
        let len = u32::try_from(before.len() + 2 + after.len()).unwrap_or(u32::MAX);
        put_varint(tail, len);
        put(tail, before);
        put_u16(tail, alias.get());
        put(tail, after);
    }
}

/// Bytes of a Topic Alias among the properties.
const ALIAS_LEN: usize = 3;

pub(super) fn check_flags(flags: u8) -> Result<(), Fault> {
    match flags >> 1 & 3 {
        // [MQTT-3.3.1-4] QoS is 0, 1 or 2.
        3 => Err(Fault::Qos3),
        // [MQTT-3.3.1-2] DUP is 0 at QoS 0.
        0 if flags & DUP != 0 => Err(Fault::DupAtQos0),
        _ => Ok(()),
    }
}

/// Takes a PUBLISH of `size` bytes, `header` of them its fixed header, off `buf`, which has them all.
///
/// All is checked on the bytes where they lie; only then are they shared.
#[inline(never)]
pub(super) fn take(
    buf: &mut BytesMut,
    flags: u8,
    header: usize,
    size: usize,
) -> Result<Option<Packet>, DecodeError> {
    let Some(body) = buf.get(header..size) else {
        return Ok(None);
    };
    let mut reader = Reader::new(PacketType::Publish, body);
    // [MQTT-3.3.2-1] The topic name comes first.
    let name = reader.topic_name("topic name")?;
    let dup = flags & DUP != 0;
    let delivery = match flags >> 1 & 3 {
        // [MQTT-2.2.1-2] No packet identifier at QoS 0.
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce {
            packet_id: reader.packet_id()?,
            dup,
        },
        _ => Delivery::ExactlyOnce {
            packet_id: reader.packet_id()?,
            dup,
        },
    };
    let block = reader.properties(Place::Publish)?;
    let alias = if name.is_empty() {
        Block::number_in(block, PropertyId::TopicAlias).and_then(TopicAlias::new)
    } else {
        None
    };
    if name.is_empty() && alias.is_none() {
        return Err(reader.fail("topic name", Fault::NoTopic));
    }
    let (name, block, payload) = (name.len(), block.len(), reader.rest().len());

    let mut frame = buf.split_to(size).freeze();
    let properties = if block == 0 {
        PublishProperties::default()
    } else {
        let end = frame.len() - payload;
        PublishProperties::trusted(frame.slice(end - block..end))
    };
    let topic = match alias {
        None => {
            let start = header + 2;
            PublishTopic::Name(TopicName::trusted(frame.slice(start..start + name)))
        }
        Some(alias) => PublishTopic::Alias(alias),
    };
    frame.advance(frame.len() - payload);
    let retain = flags & RETAIN != 0;
    Ok(Some(Packet::Publish(Publish {
        topic,
        delivery,
        retain,
        properties,
        payload: frame,
    })))
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload", &format_args!("<{} bytes>", self.payload.len()))
            .finish()
    }
}
