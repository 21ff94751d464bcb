//! Keys as bytes: the order of the bytes is the order of [`Key`].
//!
//! ```text
//! 's'  length of the client identifier (2 bytes)  client identifier  kind (1 byte)  number (8 bytes)
//! ```
//!
//! Numbers are big-endian. The first byte leaves room for what belongs to no session; the length keeps the records of one
//! session apart from those of another whose identifier begins alike. Kinds below 0x08 are free for what a broker keeps beside
//! the records of a session, in keys of any length.

use std::fmt;

use bytes::Bytes;
use ohmqtt_codec::{MqttString, PacketId};
use ohmqtt_session::Key;

/// The first byte of the keys of sessions.
const SESSION: u8 = b's';

/// The kinds of records of a session, in the order of [`Key`], with room between them.
const BACKLOG: u8 = 0x08;
const OUTGOING: u8 = 0x10;
const RECEIVED: u8 = 0x20;

/// How many kinds of attachments there are.
const ATTACHMENTS: u8 = 0x08;

/// Where the records of one session stand: what all their keys begin with. A clone costs a reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Bytes);

impl Prefix {
    /// The place of the session with this client identifier.
    pub fn session(client_id: &MqttString) -> Self {
        let id = client_id.as_bytes();
        // An MqttString has at most 65,535 bytes.
        let len = u16::try_from(id.len()).unwrap_or(u16::MAX);
        Self([&[SESSION][..], &len.to_be_bytes(), id].concat().into())
    }

    /// Whose session a key belongs to, its place, and what stands behind that: the kind, and the rest. `None`: to no session.
    pub fn of_key(key: &[u8]) -> Option<(MqttString, Self, &[u8])> {
        let (&SESSION, rest) = key.split_first()? else {
            return None;
        };
        let (len, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let id = MqttString::try_from(Bytes::copy_from_slice(id)).ok()?;
        let prefix = Self::session(&id);
        Some((id, prefix, rest))
    }

    /// The bytes that the keys begin with.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The whole key of one record.
    pub fn key(&self, key: Key) -> Vec<u8> {
        [self.as_bytes(), &tail(key)].concat()
    }

    /// The key of something else that is kept with the session and goes when it is [cleared](crate::Writer::clear): a broker's
    /// subscriptions, its expiry. Such keys stand before those of the session's records, which never see them.
    ///
    /// There are eight kinds, 0 to 7; of a larger number the remainder counts. `tail` may be anything.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client_id = ohmqtt_codec::MqttString::try_from("sensor-7")?;
    /// let prefix = ohmqtt_store::Prefix::session(&client_id);
    /// let key = prefix.attachment(1, b"t/#");
    /// assert_eq!(ohmqtt_store::Prefix::of_key(&key), Some((client_id, prefix, &b"\x01t/#"[..])));
    /// # Ok(())
    /// # }
    /// ```
    pub fn attachment(&self, kind: u8, tail: &[u8]) -> Vec<u8> {
        [self.as_bytes(), &[kind % ATTACHMENTS], tail].concat()
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix(\"{}\")", self.0.escape_ascii())
    }
}

/// What stands behind the prefix.
pub(crate) fn tail(key: Key) -> [u8; 9] {
    let (kind, number) = match key {
        Key::Backlog => (BACKLOG, 0),
        Key::Outgoing(seq) => (OUTGOING, seq),
        Key::Received(packet_id) => (RECEIVED, u64::from(packet_id.get())),
    };
    let mut tail = [kind; 9];
    tail[1..].copy_from_slice(&number.to_be_bytes());
    tail
}

/// Reads a whole key: the client identifier and the place in its session. `None`: no version wrote such a key.
pub(crate) fn parse(key: &[u8]) -> Option<(&[u8], Key)> {
    let (&SESSION, rest) = key.split_first()? else {
        return None;
    };
    let (len, rest) = rest.split_first_chunk()?;
    let (client_id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let (kind, number) = rest.split_first()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    let key = match *kind {
        BACKLOG if number == 0 => Key::Backlog,
        OUTGOING => Key::Outgoing(number),
        RECEIVED => Key::Received(PacketId::new(u16::try_from(number).ok()?)?),
        _ => return None,
    };
    Some((client_id, key))
}

/// How an error calls the record under this key.
pub(crate) fn describe(key: &[u8]) -> String {
    match parse(key) {
        Some((client_id, Key::Backlog)) => {
            format!(
                "the backlog's numbers of session \"{}\"",
                shorten(client_id)
            )
        }
        Some((client_id, Key::Outgoing(seq))) => {
            format!(
                "outgoing message {seq} of session \"{}\"",
                shorten(client_id)
            )
        }
        Some((client_id, Key::Received(packet_id))) => {
            format!(
                "received identifier {} of session \"{}\"",
                packet_id.get(),
                shorten(client_id)
            )
        }
        None => format!("the record under the key \"{}\"", shorten(key)),
    }
}

fn shorten(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let dots = if bytes.len() > SHOWN { "..." } else { "" };
    format!("{}{dots}", bytes[..bytes.len().min(SHOWN)].escape_ascii())
}
