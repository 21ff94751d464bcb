//! Binary data (section 1.5.6): bytes with a length of two bytes before them.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

/// Binary data as MQTT has it: any bytes, at most 65,535.
///
/// `Debug` shows the length only: what is in it may be a password.
///
/// [Section 1.5.6](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901012)
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Binary(Bytes);

impl Binary {
    /// Wraps bytes that are at most 65,535.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, sharing their memory.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Length in bytes, 0 to 65,535.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there no byte?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The error of making a [`Binary`] of more than 65,535 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes of binary data: an MQTT field has at most 65535, send them as a payload")]
pub struct InvalidBinary {
    /// How many bytes there were.
    pub len: usize,
}

impl TryFrom<Bytes> for Binary {
    type Error = InvalidBinary;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidBinary> {
        if bytes.len() > usize::from(u16::MAX) {
            Err(InvalidBinary { len: bytes.len() })
        } else {
            Ok(Self(bytes))
        }
    }
}

impl TryFrom<Vec<u8>> for Binary {
    type Error = InvalidBinary;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBinary> {
        Self::try_from(Bytes::from(bytes))
    }
}

impl TryFrom<&[u8]> for Binary {
    type Error = InvalidBinary;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidBinary> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(InvalidBinary { len: bytes.len() });
        }
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}
