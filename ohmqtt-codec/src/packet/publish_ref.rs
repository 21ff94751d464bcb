//! PUBLISH by its parts, for who has them and no packet.

use core::fmt;

use bytes::Bytes;

use super::{Delivery, Publish, PublishTopic, with_header};
use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::property::PublishProperties;
use crate::value::TopicName;
use crate::wire::{put, put_prefixed, put_u16};

/// A message to a topic name, whose parts are somebody else's: to be encoded without a [`Publish`] of its own.
///
/// [Section 3.3](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901100)
#[derive(Clone, Copy)]
pub struct PublishRef<'a> {
    /// As [`Publish::topic`], which is a name.
    pub topic: &'a TopicName,
    /// As [`Publish::delivery`].
    pub delivery: Delivery,
    /// As [`Publish::retain`].
    pub retain: bool,
    /// As [`Publish::properties`].
    pub properties: &'a PublishProperties,
    /// As [`Publish::payload`].
    pub payload: &'a Bytes,
}

impl PublishRef<'_> {
    /// As [`Publish::encoded_len`].
    pub fn encoded_len(&self) -> usize {
        with_header(self.head_len().saturating_add(self.payload.len()))
    }

    /// As [`Packet::encode`](crate::Packet::encode).
    ///
    /// # Errors
    /// As there.
    pub fn encode(&self, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let (head, payload) = (self.head_len(), self.payload);
        let chained = payload.len() >= EncodeBuf::CHAIN;
        let copied = if chained { head } else { head + payload.len() };
        // DUP, QoS and RETAIN are the low bits of the first byte.
        let dup = u8::from(self.delivery.dup()) << 3;
        let flags = dup | u8::from(self.delivery.qos()) << 1 | u8::from(self.retain);
        let tail = out.begin(0x30 | flags, head.saturating_add(payload.len()), copied)?;
        put_prefixed(tail, self.topic.as_bytes());
        if let Some(packet_id) = self.delivery.packet_id() {
            put_u16(tail, packet_id.get());
        }
        self.properties.block().put(tail);
        if chained {
            out.chain(payload.clone());
        } else {
            put(tail, payload);
        }
        Ok(())
    }

    /// A packet of the same, whose parts share their memory with these.
    pub fn to_publish(&self) -> Publish {
        Publish {
            topic: PublishTopic::Name(self.topic.clone()),
            delivery: self.delivery,
            retain: self.retain,
            properties: self.properties.clone(),
            payload: self.payload.clone(),
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
        2 + self.topic.len() + packet_id + self.properties.wire_len()
    }
}

/// The payload is shown by its length.
impl fmt::Debug for PublishRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRef")
            .field("topic", &self.topic)
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::PacketId;
    use crate::{Packet, TopicAlias};

    #[test]
    fn parts_are_encoded_as_the_packet_of_them() {
        let packet_id = PacketId::new(7).unwrap();
        let deliveries = [
            Delivery::AtMostOnce,
            Delivery::AtLeastOnce {
                packet_id,
                dup: true,
            },
            Delivery::ExactlyOnce {
                packet_id,
                dup: false,
            },
        ];
        for delivery in deliveries {
            for length in [0, 200, EncodeBuf::CHAIN] {
                for alias in [None, TopicAlias::new(3)] {
                    check(delivery, length, alias);
                }
            }
        }
    }

    fn check(delivery: Delivery, length: usize, alias: Option<TopicAlias>) {
        let topic = TopicName::new("a/b").unwrap();
        let mut publish = Publish::new(topic.clone(), alloc::vec![7; length]);
        publish.delivery = delivery;
        publish.retain = length > 0;
        if let Some(alias) = alias {
            publish.properties.set_topic_alias(alias);
        }
        let parts = PublishRef {
            topic: &topic,
            delivery,
            retain: publish.retain,
            properties: &publish.properties,
            payload: &publish.payload,
        };
        assert_eq!(parts.encoded_len(), publish.encoded_len());
        assert_eq!(parts.to_publish(), publish);
        let (mut got, mut want) = (EncodeBuf::new(), EncodeBuf::new());
        parts.encode(&mut got).unwrap();
        Packet::Publish(publish).encode(&mut want).unwrap();
        assert_eq!(got.into_bytes(), want.into_bytes());
    }
}
