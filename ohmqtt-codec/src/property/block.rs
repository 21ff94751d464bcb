//! A block of properties as its wire bytes: reading, setting, removing, writing. What may be in it is `check`'s.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use super::PropertyId;
use super::table::rule;
use crate::value::str_of;
use crate::wire::{
    append, put, put_prefixed, put_u8, put_u16, put_u32, put_varint, read_varint, varint_len,
};

/// A property's wire type and range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A byte that is 0 or 1.
    Flag,
    /// As a flag: the absence is the third value.
    MaximumQos,
    U16,
    NonZeroU16,
    TopicAlias,
    U32,
    NonZeroU32,
    SubscriptionId,
    Text,
    Topic,
    Binary,
    AuthMethod,
    AuthData,
    Pair,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(super) id: PropertyId,
    pub(super) kind: Kind,
    /// A bit for each place it may stand in.
    pub(super) places: u16,
}

/// A value to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Byte(u8),
    U16(u16),
    U32(u32),
    Varint(u32),
    Prefixed(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

impl Value<'_> {
    /// At most 131,074: two lengths and two strings.
    fn len(self) -> usize {
        match self {
            Self::Byte(_) => 1,
            Self::U16(_) => 2,
            Self::U32(_) => 4,
            Self::Varint(value) => varint_len(value as usize),
            Self::Prefixed(bytes) => 2 + bytes.len(),
            Self::Pair(name, value) => 4 + name.len() + value.len(),
        }
    }

    fn put(self, id: PropertyId, out: &mut Vec<u8>) {
        put_u8(out, id as u8);
        match self {
            Self::Byte(value) => put_u8(out, value),
            Self::U16(value) => put_u16(out, value),
            Self::U32(value) => put_u32(out, value),
            Self::Varint(value) => put_varint(out, value),
            Self::Prefixed(bytes) => put_prefixed(out, bytes),
            Self::Pair(name, value) => {
                put_prefixed(out, name);
                put_prefixed(out, value);
            }
        }
    }
}

/// One property of a block.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    pub(super) id: PropertyId,
    kind: Kind,
    /// The value as on the wire, with its lengths.
    wire: &'a [u8],
    /// Where in the block it stands, with its identifier.
    range: Range<usize>,
}

impl<'a> Entry<'a> {
    /// The value of a number, however wide.
    pub(super) fn number(&self) -> u32 {
        match (self.kind, self.wire) {
            (Kind::SubscriptionId, wire) => read_varint(wire)
                .ok()
                .flatten()
                .map_or(0, |(value, _)| value),
            (_, wire) => wire
                .iter()
                .take(4)
                .fold(0, |value, &byte| value << 8 | u32::from(byte)),
        }
    }

    pub(super) fn number16(&self) -> Option<u16> {
        u16::try_from(self.number()).ok()
    }

    /// The value of a string or of binary data.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.wire.get(2..).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &'a str {
        str_of(self.bytes())
    }

    /// The value of a pair.
    pub(super) fn pair(&self) -> (&'a str, &'a str) {
        let name = prefixed_len(self.wire).unwrap_or(0);
        let (name, value) = self.wire.split_at_checked(name).unwrap_or_default();
        (
            str_of(name.get(2..).unwrap_or_default()),
            str_of(value.get(2..).unwrap_or_default()),
        )
    }
}

/// The properties of validated bytes, one by one. It would end at bytes it cannot read.
#[derive(Clone)]
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (&id, rest) = self.bytes.get(self.at..)?.split_first()?;
        let rule = rule(id)?;
        let wire = rest.get(..wire_len(rule.kind, rest)?)?;
        let start = self.at;
        self.at += 1 + wire.len();
        Some(Entry {
            id: rule.id,
            kind: rule.kind,
            wire,
            range: start..self.at,
        })
    }
}

/// How many of the bytes are the value, lengths included; `None` when they cannot tell. It may be more than there are.
#[inline]
pub(super) fn wire_len(kind: Kind, bytes: &[u8]) -> Option<usize> {
    match kind {
        Kind::Flag | Kind::MaximumQos => Some(1),
        Kind::U16 | Kind::NonZeroU16 | Kind::TopicAlias => Some(2),
        Kind::U32 | Kind::NonZeroU32 => Some(4),
        Kind::SubscriptionId => read_varint(bytes).ok()?.map(|(_, len)| len),
        Kind::Text | Kind::Topic | Kind::Binary | Kind::AuthMethod | Kind::AuthData => {
            prefixed_len(bytes)
        }
        Kind::Pair => {
            let name = prefixed_len(bytes)?;
            Some(name + prefixed_len(bytes.get(name..)?)?)
        }
    }
}

#[inline]
fn prefixed_len(bytes: &[u8]) -> Option<usize> {
    bytes
        .first_chunk::<2>()
        .map(|len| 2 + usize::from(u16::from_be_bytes(*len)))
}

/// Validated wire bytes of a block, without the length before them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Block(Bytes);

impl Block {
    /// Wraps bytes that [`check`](Self::check) has passed.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    pub(crate) fn wire_len(&self) -> usize {
        varint_len(self.0.len()) + self.0.len()
    }

    /// Writes the length and the block. The packet has been found to be of a size that can be said.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the packet's length, which is more, was checked before"
    )]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        // [MQTT-2.2.2-1] No properties is a length of 0.
        if self.0.is_empty() {
            put_u8(out, 0);
        } else {
            put_varint(out, self.0.len() as u32);
            put(out, &self.0);
        }
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries {
            bytes: &self.0,
            at: 0,
        }
    }

    /// The number a property has in validated bytes that no block holds yet.
    pub(crate) fn number_in(bytes: &[u8], id: PropertyId) -> Option<u16> {
        Entries { bytes, at: 0 }
            .find(|entry| entry.id == id)?
            .number16()
    }

    #[inline]
    pub(super) fn find(&self, id: PropertyId) -> Option<Entry<'_>> {
        // Most blocks are.
        if self.0.is_empty() {
            return None;
        }
        self.look_for(id)
    }

    #[inline(never)]
    fn look_for(&self, id: PropertyId) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.id == id)
    }

    /// Where the value of a property stands in the block.
    pub(crate) fn value_range(&self, id: PropertyId) -> Option<Range<usize>> {
        self.find(id)
            .map(|entry| entry.range.start + 1..entry.range.end)
    }

    /// Replaces the property where it stands, or adds it at the end.
    pub(super) fn set(&mut self, id: PropertyId, value: Value<'_>) {
        let Some(Entry { range, .. }) = self.find(id) else {
            return self.add(id, value);
        };
        let mut bytes = Vec::with_capacity(self.0.len() - range.len() + 1 + value.len());
        put(&mut bytes, self.0.get(..range.start).unwrap_or_default());
        value.put(id, &mut bytes);
        put(&mut bytes, self.0.get(range.end..).unwrap_or_default());
        self.0 = bytes.into();
    }

    /// Adds the property at the end, whatever is there.
    pub(super) fn add(&mut self, id: PropertyId, value: Value<'_>) {
        append(&mut self.0, 1 + value.len(), |bytes| value.put(id, bytes));
    }

    /// Removes each of this property; tells whether there was one.
    pub(super) fn remove(&mut self, id: PropertyId) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        if self.entries().all(|entry| entry.id == id) {
            // A message's Subscription Identifiers are often all it has.
            self.0 = Bytes::new();
            return true;
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        for entry in self.entries().filter(|entry| entry.id != id) {
            put(&mut bytes, self.0.get(entry.range).unwrap_or_default());
        }
        self.0 = bytes.into();
        true
    }

    #[inline]
    pub(crate) fn detached(self) -> Self {
        Self(if self.0.is_empty() {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&self.0)
        })
    }

    /// Shows the properties under the name of their type.
    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(name);
        for entry in self.entries() {
            let value: &dyn fmt::Debug = match entry.kind {
                Kind::Flag => &(entry.number() != 0),
                Kind::Text | Kind::Topic | Kind::AuthMethod => &entry.text(),
                Kind::Binary => &format_args!("<{} bytes>", entry.bytes().len()),
                Kind::AuthData => &format_args!("<hidden>"),
                Kind::Pair => &entry.pair(),
                _ => &entry.number(),
            };
            shown.field(entry.id.name(), value);
        }
        shown.finish()
    }
}
