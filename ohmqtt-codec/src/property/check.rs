//! The one pass that validates a block of properties. It allocates nothing.

use super::block::{Block, Kind, wire_len};
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
        while let Some((&id, after)) = rest.split_first() {
            let Some(rule) = rule(id) else {
                return Err((place.field(), Fault::UnknownProperty(id)));
            };
            if !rule.allows(place) {
                return Err((place.field(), Fault::MisplacedProperty(rule.id)));
            }
            let value = take(rule.kind, after).map_err(|fault| (rule.id.name(), fault))?;
            check_value(rule.kind, value).map_err(|fault| (rule.id.name(), fault))?;
            let bit = 1 << rule.id as u8;
            if seen & bit != 0 && !may_repeat(rule.kind, place) {
                return Err((rule.id.name(), Fault::RepeatedProperty));
            }
            seen |= bit;
            rest = after.get(value.len()..).unwrap_or_default();
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

/// The bytes of a value, lengths included.
fn take(kind: Kind, bytes: &[u8]) -> Result<&[u8], Fault> {
    if kind == Kind::SubscriptionId {
        read_varint(bytes)?;
    }
    wire_len(kind, bytes)
        .and_then(|len| bytes.get(..len))
        .ok_or(Fault::Truncated)
}

fn check_value(kind: Kind, wire: &[u8]) -> Result<(), Fault> {
    let text = wire.get(2..).unwrap_or_default();
    match kind {
        Kind::Flag | Kind::MaximumQos => match *wire {
            [0 | 1] => Ok(()),
            [value, ..] => Err(Fault::OutOfRange {
                value: value.into(),
                allowed: "0 and 1",
            }),
            [] => Err(Fault::Truncated),
        },
        Kind::NonZeroU16 if wire == [0; 2] => Err(Fault::OutOfRange {
            value: 0,
            allowed: "1 to 65535",
        }),
        Kind::NonZeroU32 if wire == [0; 4] => Err(Fault::OutOfRange {
            value: 0,
            allowed: "1 to 4294967295",
        }),
        Kind::SubscriptionId if wire == [0] => Err(Fault::OutOfRange {
            value: 0,
            allowed: "1 to 268435455",
        }),
        // [MQTT-3.3.2-8] No Topic Alias is 0.
        Kind::TopicAlias if wire == [0; 2] => Err(Fault::ZeroTopicAlias),
        // [MQTT-3.3.2-19] Content Type is a UTF-8 string, as each of these is.
        Kind::Text | Kind::AuthMethod => Ok(check_text(text)?),
        // [MQTT-3.3.2-13] A Response Topic is a UTF-8 string [MQTT-3.3.2-14] without wildcards.
        Kind::Topic if text.is_empty() => Err(Fault::EmptyTopic),
        Kind::Topic => Ok(check_topic(text)?),
        Kind::Pair => {
            // [MQTT-1.5.7-1] Both halves are UTF-8 strings.
            let name = wire_len(Kind::Text, wire).unwrap_or_default();
            let (name, value) = wire.split_at_checked(name).unwrap_or_default();
            check_text(name.get(2..).unwrap_or_default())?;
            Ok(check_text(value.get(2..).unwrap_or_default())?)
        }
        _ => Ok(()),
    }
}
