//! The broker's own records as bytes.
//!
//! ```text
//! place of a session  0x00                 format (1 byte)  interval, expiry (postcard)
//! place of a session  0x01  filter         format (1 byte)  options, identifier (postcard)
//! place of a session  0x02                 format (1 byte)  QoS, time (postcard)  PUBLISH at QoS 0: a will, and when it is to be published
//! place of a session  0x03                 format (1 byte)  the user it belongs to, if that has a name (postcard)
//! place of a session  0x04                 format (1 byte)  QoS, delay (postcard)  PUBLISH at QoS 0: the will of a client that is connected
//! 'p'  topic                               format (1 byte)  Client Identifier and user who published what is retained (postcard)
//! 'r'  topic                               format (1 byte)  QoS, time (postcard)  PUBLISH at QoS 0
//! ```
//!
//! The last stands, with the user, also where nothing else of a session is kept.
//!
//! A change of what postcard writes is a new format number, and the formats before it stay readable.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::{
    Delivery, EncodeBuf, Limits, MqttString, Packet, PublishTopic, Qos, RetainHandling,
    SubscriptionId, SubscriptionOptions, TopicFilter, TopicName, decode,
};
use ohmqtt_session::{Instant, Message, Subscription};
use ohmqtt_store::{Prefix, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::access::User;
use crate::retained::Publisher;

/// The format that is written, and the newest that can be read.
const FORMAT: u8 = 1;

/// The kinds of what is attached to a session.
pub(crate) const SESSION: u8 = 0;
pub(crate) const SUBSCRIPTION: u8 = 1;
pub(crate) const WILL: u8 = 2;
pub(crate) const OWNER: u8 = 3;
pub(crate) const STANDING: u8 = 4;
/// The kinds from this one on are the flows' records.
pub(crate) const FLOWS: u8 = 8;

/// The first byte of the keys of retained messages.
pub(crate) const RETAINED: u8 = b'r';

/// The first byte of the keys of who published them.
pub(crate) const PUBLISHER: u8 = b'p';

/// How long a session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The Session Expiry Interval that was granted, in seconds; `u32::MAX` for ever.
    pub(crate) interval: u32,
    /// When it ends, if its client is gone and it ends at all.
    pub(crate) expires: Option<Instant>,
}

/// A retained message, and since when it is.
#[derive(Clone, Debug)]
pub(crate) struct Retained {
    pub(crate) message: Message,
    pub(crate) since: Instant,
}

/// Format 1. Fields are told apart by their order: it stays as it is. So do the other two.
#[derive(Serialize, Deserialize)]
struct KeptRecord {
    interval: u32,
    /// Microseconds since the Unix epoch.
    expires: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct SubscriptionRecord {
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: u8,
    identifier: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct MessageRecord {
    qos: u8,
    /// Microseconds since the Unix epoch; of a will that stands, those of its delay.
    at: u64,
}

pub(crate) fn owner_key(prefix: &Prefix) -> Vec<u8> {
    prefix.attachment(OWNER, b"")
}

/// `None`: there is nothing to be said of a user without a name.
pub(crate) fn owner_value(user: &User) -> Option<Vec<u8>> {
    user.name().map(|name| write(&name))
}

pub(crate) fn read_owner(client_id: &MqttString, value: &[u8]) -> Result<User, StoreError> {
    let name = || format!("the user of session \"{client_id}\"");
    let (user, rest) = read::<String>(&name, value)?;
    nothing_follows(&name, rest)?;
    Ok(User::named(user))
}

pub(crate) fn publisher_key(topic: &TopicName) -> Vec<u8> {
    [&[PUBLISHER], topic.as_bytes()].concat()
}

pub(crate) fn publisher_value(publisher: &Publisher) -> Vec<u8> {
    write(&(publisher.client_id.as_str(), publisher.user.name()))
}

/// Reads who published what is retained on a topic.
pub(crate) fn read_publisher(key: &[u8], value: &[u8]) -> Result<(Bytes, Publisher), StoreError> {
    let topic = Bytes::copy_from_slice(key.get(1..).unwrap_or_default());
    let name = || format!("who published on \"{}\"", topic.escape_ascii());
    let ((client_id, user), rest) = read::<(String, Option<String>)>(&name, value)?;
    nothing_follows(&name, rest)?;
    let client_id = MqttString::try_from(client_id).map_err(|error| damaged(&name, error))?;
    let user = user.map_or_else(User::anonymous, User::named);
    Ok((topic, Publisher { client_id, user }))
}

pub(crate) fn kept_key(prefix: &Prefix) -> Vec<u8> {
    prefix.attachment(SESSION, b"")
}

pub(crate) fn kept_value(kept: Kept) -> Vec<u8> {
    write(&KeptRecord {
        interval: kept.interval,
        expires: kept.expires.map(Instant::unix_micros),
    })
}

pub(crate) fn read_kept(client_id: &MqttString, value: &[u8]) -> Result<Kept, StoreError> {
    let name = || format!("session \"{client_id}\"");
    let (record, rest) = read::<KeptRecord>(&name, value)?;
    nothing_follows(&name, rest)?;
    Ok(Kept {
        interval: record.interval,
        expires: record.expires.map(Instant::from_unix_micros),
    })
}

pub(crate) fn subscription_key(prefix: &Prefix, filter: &TopicFilter) -> Vec<u8> {
    prefix.attachment(SUBSCRIPTION, filter.as_bytes())
}

pub(crate) fn subscription_value(subscription: Subscription) -> Vec<u8> {
    let options = subscription.options;
    write(&SubscriptionRecord {
        qos: options.qos.into(),
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        retain_handling: match options.retain_handling {
            RetainHandling::SendAtSubscribe => 0,
            RetainHandling::SendIfNew => 1,
            RetainHandling::DoNotSend => 2,
        },
        identifier: subscription.identifier.map(SubscriptionId::get),
    })
}

/// Reads a subscription: `filter` is what stands behind its kind in the key.
pub(crate) fn read_subscription(
    client_id: &MqttString,
    filter: &[u8],
    value: &[u8],
) -> Result<(TopicFilter, Subscription), StoreError> {
    let shown = filter.escape_ascii();
    let name = || format!("subscription \"{shown}\" of session \"{client_id}\"");
    let filter = TopicFilter::try_from(Bytes::copy_from_slice(filter));
    let filter = filter.map_err(|error| damaged(&name, error))?;
    let (record, rest) = read::<SubscriptionRecord>(&name, value)?;
    nothing_follows(&name, rest)?;
    let retain_handling = match record.retain_handling {
        0 => RetainHandling::SendAtSubscribe,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        other => return Err(damaged(&name, format!("retain handling {other}"))),
    };
    let identifier = record.identifier.map(|identifier| {
        SubscriptionId::new(identifier)
            .ok_or_else(|| damaged(&name, format!("Subscription Identifier {identifier}")))
    });
    let subscription = Subscription {
        options: SubscriptionOptions {
            qos: qos(&name, record.qos)?,
            no_local: record.no_local,
            retain_as_published: record.retain_as_published,
            retain_handling,
        },
        identifier: identifier.transpose()?,
    };
    Ok((filter, subscription))
}

pub(crate) fn retained_key(topic: &TopicName) -> Vec<u8> {
    [&[RETAINED], topic.as_bytes()].concat()
}

pub(crate) fn will_key(prefix: &Prefix) -> Vec<u8> {
    prefix.attachment(WILL, b"")
}

/// Reads a will, and when it is to be published.
pub(crate) fn read_will(
    client_id: &MqttString,
    value: &[u8],
) -> Result<(Instant, Message), StoreError> {
    let name = || format!("the will of session \"{client_id}\"");
    read_message(&name, value)
}

pub(crate) fn standing_key(prefix: &Prefix) -> Vec<u8> {
    prefix.attachment(STANDING, b"")
}

/// The will of a client that is connected, and for how long it is delayed. `None` as with [`message_value`].
pub(crate) fn standing_value(delay: Duration, will: &Message) -> Option<Vec<u8>> {
    let micros = u64::try_from(delay.as_micros()).ok()?;
    message_value(Instant::from_unix_micros(micros), will)
}

pub(crate) fn read_standing(
    client_id: &MqttString,
    value: &[u8],
) -> Result<(Duration, Message), StoreError> {
    let name = || format!("the will of client \"{client_id}\"");
    let (delay, will) = read_message(&name, value)?;
    Ok((Duration::from_micros(delay.unix_micros()), will))
}

/// A message, and a moment that belongs to it. `None`: it is too large for a packet, now that its topic is not an alias.
pub(crate) fn message_value(at: Instant, message: &Message) -> Option<Vec<u8>> {
    let mut value = write(&MessageRecord {
        qos: message.qos.into(),
        at: at.unix_micros(),
    });
    let mut packet = EncodeBuf::new();
    let publish = message.to_publish(Delivery::AtMostOnce);
    Packet::Publish(publish).encode(&mut packet).ok()?;
    packet
        .slices()
        .for_each(|slice| value.extend_from_slice(slice));
    Some(value)
}

pub(crate) fn read_retained(key: &[u8], value: &[u8]) -> Result<Retained, StoreError> {
    let topic = key.get(1..).unwrap_or_default();
    let shown = topic.escape_ascii();
    let name = || format!("the message retained on \"{shown}\"");
    let (since, message) = read_message(&name, value)?;
    if message.topic.as_bytes() != topic {
        return Err(damaged(&name, "it stands under another topic"));
    }
    Ok(Retained { message, since })
}

/// Reads what [`message_value`] wrote.
fn read_message(
    name: &impl Fn() -> String,
    value: &[u8],
) -> Result<(Instant, Message), StoreError> {
    let (record, packet) = read::<MessageRecord>(name, value)?;
    let mut buf = BytesMut::from(packet);
    let packet = decode(&mut buf, &Limits::default()).map_err(|error| damaged(name, error))?;
    nothing_follows(name, &buf)?;
    let Some(Packet::Publish(publish)) = packet else {
        return Err(damaged(name, "it has no PUBLISH"));
    };
    let PublishTopic::Name(topic) = publish.topic else {
        return Err(damaged(name, "its topic is an alias"));
    };
    let message = Message {
        topic,
        qos: qos(name, record.qos)?,
        retain: publish.retain,
        properties: publish.properties,
        payload: publish.payload,
    };
    Ok((Instant::from_unix_micros(record.at), message))
}

fn write(record: &impl Serialize) -> Vec<u8> {
    // Writing numbers to memory never fails; what it would leave is refused as damaged.
    postcard::to_extend(record, vec![FORMAT]).unwrap_or_default()
}

/// Reads what stands behind the format, and gives what stands behind that.
fn read<'a, T: DeserializeOwned>(
    name: &impl Fn() -> String,
    value: &'a [u8],
) -> Result<(T, &'a [u8]), StoreError> {
    let (format, rest) = value
        .split_first()
        .ok_or_else(|| damaged(name, "the value is empty"))?;
    if !(1..=FORMAT).contains(format) {
        return Err(StoreError::UnknownFormat {
            record: name(),
            found: u32::from(*format),
            newest: u32::from(FORMAT),
        });
    }
    postcard::take_from_bytes(rest).map_err(|error| damaged(name, error))
}

fn qos(name: &impl Fn() -> String, qos: u8) -> Result<Qos, StoreError> {
    Qos::try_from(qos).map_err(|_| damaged(name, format!("QoS {qos}")))
}

fn nothing_follows(name: &impl Fn() -> String, rest: &[u8]) -> Result<(), StoreError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(damaged(name, "bytes follow the record"))
}

fn damaged(name: &impl Fn() -> String, what: impl Display) -> StoreError {
    StoreError::Damaged {
        record: name(),
        what: what.to_string(),
    }
}
