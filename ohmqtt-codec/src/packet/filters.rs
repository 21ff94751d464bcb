//! The lists of SUBSCRIBE and UNSUBSCRIBE: topic filters as validated wire bytes, never none.

use core::fmt;

use bytes::{Buf, Bytes};

use crate::error::{DecodeError, Fault};
use crate::reader::{Reader, share};
use crate::value::{InvalidTopic, Qos, TopicFault, TopicFilter};
use crate::wire::{append, put_prefixed, put_u8};

/// What a subscription asks for.
///
/// [Section 3.8.3.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901169)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubscriptionOptions {
    /// The highest QoS to deliver with.
    pub qos: Qos,
    /// Leave out what this client publishes itself. Not for shared subscriptions.
    pub no_local: bool,
    /// Deliver messages with the retain flag they were published with.
    pub retain_as_published: bool,
    /// Which retained messages to send at once.
    pub retain_handling: RetainHandling,
}

/// Which retained messages a subscription wants at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    SendAtSubscribe = 0,
    /// All that match, if the subscription is new.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RESERVED: u8 = 0xC0;

impl SubscriptionOptions {
    /// At most this QoS, all else as by default.
    pub fn new(qos: Qos) -> Self {
        Self {
            qos,
            ..Self::default()
        }
    }
}

impl From<SubscriptionOptions> for u8 {
    fn from(options: SubscriptionOptions) -> Self {
        let no_local = if options.no_local { NO_LOCAL } else { 0 };
        let retain_as_published = if options.retain_as_published {
            RETAIN_AS_PUBLISHED
        } else {
            0
        };
        Self::from(options.qos)
            | no_local
            | retain_as_published
            | (options.retain_handling as Self) << 4
    }
}

/// The options that the byte after a topic filter says.
impl TryFrom<u8> for SubscriptionOptions {
    type Error = Fault;

    fn try_from(byte: u8) -> Result<Self, Fault> {
        // [MQTT-3.8.3-5] The reserved bits are 0.
        if byte & RESERVED != 0 {
            return Err(Fault::Bits(byte));
        }
        let out_of_range = Fault::OutOfRange {
            value: 3,
            allowed: "0 to 2",
        };
        Ok(Self {
            qos: Qos::try_from(byte & 3).map_err(|_| out_of_range)?,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling: match byte >> 4 & 3 {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(out_of_range),
            },
        })
    }
}

/// Whether the options can be made of this byte, without making them.
#[inline]
fn is_options(byte: u8) -> bool {
    byte & RESERVED == 0 && byte & 3 != 3 && byte & 0x30 != 0x30
}

#[cold]
fn refuse_options(reader: &Reader<'_>, byte: u8) -> DecodeError {
    let fault = SubscriptionOptions::try_from(byte).err();
    reader.fail("subscription options", fault.unwrap_or(Fault::Bits(byte)))
}

/// The topic filters of a SUBSCRIBE with their options, in order. Never none.
#[derive(Clone, PartialEq, Eq)]
pub struct Filters {
    wire: Bytes,
    len: usize,
}

impl Filters {
    /// A list of one.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn new(filter: &TopicFilter, options: SubscriptionOptions) -> Result<Self, InvalidTopic> {
        let mut filters = Self {
            wire: Bytes::new(),
            len: 0,
        };
        filters.push(filter, options)?;
        Ok(filters)
    }

    /// Adds one at the end.
    ///
    /// # Errors
    /// [`InvalidTopic`] for No Local on a shared filter; nothing is added.
    pub fn push(
        &mut self,
        filter: &TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<(), InvalidTopic> {
        // [MQTT-3.8.3-4] No Local is not for shared subscriptions.
        if options.no_local && filter.is_shared() {
            return Err(InvalidTopic::new(
                filter.as_bytes(),
                TopicFault::NoLocalOnShared,
            ));
        }
        append(&mut self.wire, filter.as_bytes().len() + 3, |wire| {
            put_prefixed(wire, filter.as_bytes());
            put_u8(wire, options.into());
        });
        self.len += 1;
        Ok(())
    }

    /// The filters with their options. Each shares the memory of the list.
    pub fn iter(&self) -> impl Iterator<Item = (TopicFilter, SubscriptionOptions)> {
        let mut left = self.wire.clone();
        core::iter::from_fn(move || {
            let filter = next_filter(&mut left)?;
            let options = left.try_get_u8().ok()?;
            Some((filter, SubscriptionOptions::try_from(options).ok()?))
        })
    }

    /// How many there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "the list is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        // [MQTT-3.8.3-2] At least one filter with options.
        decode_list(reader, frame, |reader| {
            let shared = reader.topic_filter()?;
            let options = reader.u8("subscription options")?;
            if !is_options(options) {
                return Err(refuse_options(reader, options));
            }
            // [MQTT-3.8.3-4] No Local is not for shared subscriptions.
            if shared && options & NO_LOCAL != 0 {
                return Err(reader.fail("subscription options", Fault::NoLocalOnShared));
            }
            Ok(())
        })
        .map(|(wire, len)| Self { wire, len })
    }
}

/// The topic filters of an UNSUBSCRIBE, in order. Never none.
#[derive(Clone, PartialEq, Eq)]
pub struct UnsubscribeFilters {
    wire: Bytes,
    len: usize,
}

impl UnsubscribeFilters {
    /// A list of one.
    pub fn new(filter: &TopicFilter) -> Self {
        let mut filters = Self {
            wire: Bytes::new(),
            len: 0,
        };
        filters.push(filter);
        filters
    }

    /// Adds one at the end.
    pub fn push(&mut self, filter: &TopicFilter) {
        append(&mut self.wire, filter.as_bytes().len() + 2, |wire| {
            put_prefixed(wire, filter.as_bytes());
        });
        self.len += 1;
    }

    /// The filters. Each shares the memory of the list.
    pub fn iter(&self) -> impl Iterator<Item = TopicFilter> {
        let mut left = self.wire.clone();
        core::iter::from_fn(move || next_filter(&mut left))
    }

    /// How many there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "the list is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        // [MQTT-3.10.3-2] At least one filter.
        decode_list(reader, frame, |reader| reader.topic_filter().map(drop))
            .map(|(wire, len)| Self { wire, len })
    }
}

/// Reads entries to the end of the packet: their bytes and how many there are.
#[inline]
fn decode_list(
    reader: &mut Reader<'_>,
    frame: &Bytes,
    mut entry: impl FnMut(&mut Reader<'_>) -> Result<(), DecodeError>,
) -> Result<(Bytes, usize), DecodeError> {
    let wire = share(frame, reader.rest());
    let mut len = 0;
    while !reader.is_empty() {
        entry(reader)?;
        len += 1;
    }
    if len == 0 {
        Err(reader.fail("topic filter", Fault::Missing))
    } else {
        Ok((wire, len))
    }
}

/// Takes the next filter off validated bytes.
fn next_filter(left: &mut Bytes) -> Option<TopicFilter> {
    let len = usize::from(left.try_get_u16().ok()?);
    if len > left.len() {
        return None;
    }
    Some(TopicFilter::trusted(left.split_to(len)))
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for UnsubscribeFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-3.8.3-5]
    #[test]
    fn a_byte_is_options_when_they_can_be_made_of_it() {
        for byte in 0..=255 {
            assert_eq!(
                is_options(byte),
                SubscriptionOptions::try_from(byte).is_ok(),
                "{byte:#04x}"
            );
        }
    }
}
