//! UTF-8 strings (section 1.5.4), held as the bytes they came in.

use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::text::{TextFault, check_text};

/// A string as MQTT has them: well-formed UTF-8 without U+0000, at most 65,535 bytes.
///
/// Cloning counts a reference. A decoded string is a slice of its read chunk and keeps that chunk alive.
///
/// [Section 1.5.4](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901010)
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MqttString(Bytes);

impl MqttString {
    /// Wraps bytes that [`check_text`] has passed and that are at most 65,535.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text.
    ///
    /// Looks at the bytes again (safe code has no other way from bytes to `str`), which costs a pass over the string;
    /// where bytes will do, use [`as_bytes`](Self::as_bytes).
    pub fn as_str(&self) -> &str {
        str_of(&self.0)
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the text, sharing their memory.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Length in bytes, 0 to 65,535.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is it the empty string?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Validated bytes as text. The bytes are UTF-8 by the invariant of whoever holds them.
pub(crate) fn str_of(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// The error of making an [`MqttString`] of something that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidString {
    /// More than 65,535 bytes.
    #[error("{start:?} is {len} bytes long: an MQTT string has at most 65535, shorten it")]
    TooLong {
        /// The first characters, at most 64.
        start: String,
        /// Length in bytes.
        len: usize,
    },
    /// Holds U+0000.
    #[error("{start:?} has U+0000 at byte {at}: remove it")]
    Nul {
        /// The first characters, at most 64.
        start: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// The bytes are not UTF-8.
    #[error(
        "{start:?} is not UTF-8 from byte {at} on: encode it as UTF-8, or send it as binary data"
    )]
    NotUtf8 {
        /// The first characters, at most 64, with U+FFFD for what is none.
        start: String,
        /// Where, in bytes from the start.
        at: usize,
    },
}

impl InvalidString {
    fn of(bytes: &[u8], fault: TextFault) -> Self {
        let start = shortened(bytes);
        match fault {
            TextFault::Nul { at } => Self::Nul { start, at },
            TextFault::Utf8 { at } => Self::NotUtf8 { start, at },
            // `check_text` does not look for wildcards.
            TextFault::Wildcard(_) => Self::NotUtf8 { start, at: 0 },
        }
    }
}

/// The first 64 characters of a value, for an error message.
pub(crate) fn shortened(bytes: &[u8]) -> String {
    let bytes = bytes.get(..256).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).chars().take(64).collect()
}

pub(crate) fn check_string(bytes: &[u8]) -> Result<(), InvalidString> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(InvalidString::TooLong {
            start: shortened(bytes),
            len: bytes.len(),
        });
    }
    check_text(bytes).map_err(|fault| InvalidString::of(bytes, fault))
}

impl TryFrom<Bytes> for MqttString {
    type Error = InvalidString;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidString> {
        check_string(&bytes)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MqttString {
    type Error = InvalidString;

    fn try_from(text: String) -> Result<Self, InvalidString> {
        Self::try_from(Bytes::from(text))
    }
}

impl TryFrom<&str> for MqttString {
    type Error = InvalidString;

    fn try_from(text: &str) -> Result<Self, InvalidString> {
        check_string(text.as_bytes())?;
        Ok(Self(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl AsRef<[u8]> for MqttString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

// As `Bytes` and `[u8]` hash, so that a map may be asked with borrowed bytes.
impl Hash for MqttString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq<str> for MqttString {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for MqttString {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for MqttString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for MqttString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
