//! The one pass that validates a block of properties. It allocates nothing.
//!
//! The pass is written once and compiled twice: without faults, which keeps it short and in registers, and, when that
//! refused, once more with them, to tell why.

use super::block::{Block, Kind};
use super::place::Place;
use super::table::rule;
use crate::error::Fault;
use crate::value::{TextFault, check_text, check_topic};
use crate::wire::{VarintFault, read_varint};

/// What is wrong, under the name of the property, or of the block when no property is known.
pub(crate) type PropertyFault = (&'static str, Fault);

/// What the pass says of a fault: nothing, or all.
trait Refusal: Sized {
    fn because(fault: Fault) -> Self;
    fn under(self, name: impl FnOnce() -> &'static str) -> Self;
}

/// It was refused; why is not asked.
struct Refused;

impl Refusal for Refused {
    #[inline]
    fn because(_: Fault) -> Self {
        Self
    }

    #[inline]
    fn under(self, _: impl FnOnce() -> &'static str) -> Self {
        self
    }
}

impl Refusal for PropertyFault {
    fn because(fault: Fault) -> Self {
        ("", fault)
    }

    fn under(self, name: impl FnOnce() -> &'static str) -> Self {
        (name(), self.1)
    }
}

impl Block {
    /// Refuses bytes that are no block of properties for this place.
    ///
    /// Its time is linear in the length of the block, however many properties there are.
    pub(crate) fn check(bytes: &[u8], place: Place) -> Result<(), PropertyFault> {
        match check::<Refused>(bytes, place) {
            Ok(()) => Ok(()),
            Err(Refused) => explain(bytes, place),
        }
    }
}

#[cold]
fn explain(bytes: &[u8], place: Place) -> Result<(), PropertyFault> {
    check::<PropertyFault>(bytes, place)
}

#[inline]
fn check<R: Refusal>(bytes: &[u8], place: Place) -> Result<(), R> {
    let mut rest = bytes;
    let mut seen: u64 = 0;
    while let Some((&id, value)) = rest.split_first() {
        let Some(rule) = rule(id) else {
            return Err(R::because(Fault::UnknownProperty(id)).under(|| place.field()));
        };
        if !rule.allows(place) {
            return Err(R::because(Fault::MisplacedProperty(rule.id)).under(|| place.field()));
        }
        rest = match after::<R>(rule.kind, value) {
            Ok(rest) => rest,
            Err(refusal) => return Err(refusal.under(|| rule.id.name())),
        };
        let bit = 1 << (id & 63);
        if seen & bit != 0 && !may_repeat(rule.kind, place) {
            return Err(R::because(Fault::RepeatedProperty).under(|| rule.id.name()));
        }
        seen |= bit;
    }
    match place.check_authentication(seen) {
        Ok(()) => Ok(()),
        Err((name, fault)) => Err(R::because(fault).under(|| name)),
    }
}

fn may_repeat(kind: Kind, place: Place) -> bool {
    match kind {
        Kind::Pair => true,
        Kind::SubscriptionId => place == Place::Publish,
        _ => false,
    }
}

/// Checks the value at the front of `bytes`; gives what follows it.
#[inline]
fn after<R: Refusal>(kind: Kind, bytes: &[u8]) -> Result<&[u8], R> {
    match kind {
        Kind::Flag | Kind::MaximumQos => match *bytes {
            [0 | 1, ref rest @ ..] => Ok(rest),
            [value, ..] => out_of_range(value.into(), "0 and 1"),
            [] => refuse(Fault::Truncated),
        },
        Kind::U16 => number::<2, R>(bytes).map(|(_, rest)| rest),
        Kind::U32 => number::<4, R>(bytes).map(|(_, rest)| rest),
        Kind::NonZeroU16 => match number(bytes)? {
            ([0, 0], _) => out_of_range(0, "1 to 65535"),
            (_, rest) => Ok(rest),
        },
        Kind::NonZeroU32 => match number(bytes)? {
            ([0, 0, 0, 0], _) => out_of_range(0, "1 to 4294967295"),
            (_, rest) => Ok(rest),
        },
        Kind::TopicAlias => match number(bytes)? {
            // [MQTT-3.3.2-8] No Topic Alias is 0.
            ([0, 0], _) => refuse(Fault::ZeroTopicAlias),
            (_, rest) => Ok(rest),
        },
        Kind::SubscriptionId => match read_varint(bytes) {
            Ok(Some((0, _))) => out_of_range(0, "1 to 268435455"),
            Ok(Some((_, len))) => Ok(bytes.get(len..).unwrap_or_default()),
            Ok(None) => refuse(Fault::Truncated),
            Err(VarintFault::TooLong) => refuse(Fault::VarintTooLong),
            Err(VarintFault::NotMinimal) => refuse(Fault::VarintNotMinimal),
        },
        // [MQTT-3.3.2-19] Content Type is a UTF-8 string, as each of these is.
        Kind::Text | Kind::AuthMethod => text(bytes),
        Kind::Topic => match prefixed(bytes)? {
            ([], _) => refuse(Fault::EmptyTopic),
            // [MQTT-3.3.2-13] A Response Topic is a UTF-8 string [MQTT-3.3.2-14] without wildcards.
            (topic, rest) => checked(check_topic(topic), rest),
        },
        Kind::Binary | Kind::AuthData => prefixed(bytes).map(|(_, rest)| rest),
        // [MQTT-1.5.7-1] Both halves are UTF-8 strings.
        Kind::Pair => text(text(bytes)?),
    }
}

#[inline]
fn refuse<T, R: Refusal>(fault: Fault) -> Result<T, R> {
    Err(R::because(fault))
}

#[inline]
fn out_of_range<T, R: Refusal>(value: u32, allowed: &'static str) -> Result<T, R> {
    refuse(Fault::OutOfRange { value, allowed })
}

#[inline]
fn number<const N: usize, R: Refusal>(bytes: &[u8]) -> Result<([u8; N], &[u8]), R> {
    match bytes.split_first_chunk::<N>() {
        Some((value, rest)) => Ok((*value, rest)),
        None => refuse(Fault::Truncated),
    }
}

#[inline]
fn text<R: Refusal>(bytes: &[u8]) -> Result<&[u8], R> {
    let (text, rest) = prefixed(bytes)?;
    checked(check_text(text), rest)
}

#[inline]
fn checked<R: Refusal>(check: Result<(), TextFault>, rest: &[u8]) -> Result<&[u8], R> {
    match check {
        Ok(()) => Ok(rest),
        Err(fault) => refuse(fault.into()),
    }
}

/// Bytes with a length of two bytes before them, and what follows them.
#[inline]
fn prefixed<R: Refusal>(bytes: &[u8]) -> Result<(&[u8], &[u8]), R> {
    if let Some((len, rest)) = bytes.split_first_chunk::<2>()
        && let Some(split) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
    {
        return Ok(split);
    }
    refuse(Fault::Truncated)
}
