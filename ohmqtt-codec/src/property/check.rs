//! The one pass that validates a block of properties. It allocates nothing.

use super::block::{Block, Kind};
use super::place::Place;
use super::table::rule;
use crate::error::Fault;
use crate::value::{check_text, check_topic};
use crate::wire::read_varint;

/// What is wrong, under the name of the property, or of the block when no property is known.
type PropertyFault = (&'static str, Fault);

impl Block {
    /// Refuses bytes that are no block of properties for this place.
    ///
    /// Its time is linear in the length of the block, however many properties there are.
    pub(crate) fn check(bytes: &[u8], place: Place) -> Result<(), PropertyFault> {
        let mut rest = bytes;
        let mut seen: u64 = 0;
        while let Some((&id, value)) = rest.split_first() {
            let Some(rule) = rule(id) else {
                return Err((place.field(), Fault::UnknownProperty(id)));
            };
            if !rule.allows(place) {
                return Err((place.field(), Fault::MisplacedProperty(rule.id)));
            }
            rest = match after(rule.kind, value) {
                Ok(rest) => rest,
                Err(fault) => return Err((rule.id.name(), fault)),
            };
            let bit = 1 << (id & 63);
            if seen & bit != 0 && !may_repeat(rule.kind, place) {
                return Err((rule.id.name(), Fault::RepeatedProperty));
            }
            seen |= bit;
        }
        place.check_authentication(seen)
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
fn after(kind: Kind, bytes: &[u8]) -> Result<&[u8], Fault> {
    match kind {
        Kind::Flag | Kind::MaximumQos => match *bytes {
            [0 | 1, ref rest @ ..] => Ok(rest),
            [value, ..] => Err(Fault::OutOfRange {
                value: value.into(),
                allowed: "0 and 1",
            }),
            [] => Err(Fault::Truncated),
        },
        Kind::U16 => number::<2>(bytes, None),
        Kind::U32 => number::<4>(bytes, None),
        Kind::NonZeroU16 => number::<2>(
            bytes,
            Some(Fault::OutOfRange {
                value: 0,
                allowed: "1 to 65535",
            }),
        ),
        Kind::NonZeroU32 => number::<4>(
            bytes,
            Some(Fault::OutOfRange {
                value: 0,
                allowed: "1 to 4294967295",
            }),
        ),
        // [MQTT-3.3.2-8] No Topic Alias is 0.
        Kind::TopicAlias => number::<2>(bytes, Some(Fault::ZeroTopicAlias)),
        Kind::SubscriptionId => match read_varint(bytes)? {
            Some((0, _)) => Err(Fault::OutOfRange {
                value: 0,
                allowed: "1 to 268435455",
            }),
            Some((_, len)) => bytes.get(len..).ok_or(Fault::Truncated),
            None => Err(Fault::Truncated),
        },
        // [MQTT-3.3.2-19] Content Type is a UTF-8 string, as each of these is.
        Kind::Text | Kind::AuthMethod => text(bytes),
        Kind::Topic => {
            let (topic, rest) = prefixed(bytes)?;
            if topic.is_empty() {
                return Err(Fault::EmptyTopic);
            }
            // [MQTT-3.3.2-13] A Response Topic is a UTF-8 string [MQTT-3.3.2-14] without wildcards.
            check_topic(topic)?;
            Ok(rest)
        }
        Kind::Binary | Kind::AuthData => prefixed(bytes).map(|(_, rest)| rest),
        // [MQTT-1.5.7-1] Both halves are UTF-8 strings.
        Kind::Pair => text(text(bytes)?),
    }
}

/// A number of this many bytes, which is not 0 if that is a fault.
#[inline]
fn number<const N: usize>(bytes: &[u8], zero: Option<Fault>) -> Result<&[u8], Fault> {
    match (bytes.split_first_chunk::<N>(), zero) {
        (Some((value, _)), Some(zero)) if *value == [0; N] => Err(zero),
        (Some((_, rest)), _) => Ok(rest),
        (None, _) => Err(Fault::Truncated),
    }
}

#[inline]
fn text(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (text, rest) = prefixed(bytes)?;
    check_text(text)?;
    Ok(rest)
}

#[inline]
fn prefixed(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or(Fault::Truncated)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
        .ok_or(Fault::Truncated)
}
