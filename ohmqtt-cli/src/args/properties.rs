//! `-D COMMAND NAME VALUE`: properties of MQTT 5.0 by their names.
//!
//! Which property may stand where, and what its value may be, is codec's business: here they are written down as bytes, and it
//! looks at those.

use bytes::Bytes;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use ohmqtt_client::{ConnectProperties, DisconnectProperties, PublishProperties, WillProperties};
use ohmqtt_codec::{InvalidProperties, PropertyId, PropertyType, SubscribeProperties};

use crate::failure::Failure;

/// Properties of MQTT, each as it was given: command, name, value, and of a user property the second value.
#[derive(Debug, Default)]
pub(crate) struct PropertyArgs {
    values: Vec<Vec<String>>,
}

const ID: &str = "property";

/// By hand: the derive does not tell one `-D` from the next.
impl Args for PropertyArgs {
    fn augment_args(command: Command) -> Command {
        let help = "A property of connect, publish, subscribe or will, as in `-D publish content-type text/plain`; a \
            user-property has a name and a value. May be given again";
        let property = Arg::new(ID)
            .short('D')
            .long(ID)
            .num_args(3..=4)
            .value_names(["COMMAND", "NAME", "VALUE"])
            .action(ArgAction::Append)
            .help_heading("Broker")
            .help(help);
        command.arg(property)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PropertyArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.get_occurrences::<String>(ID).into_iter().flatten();
        Ok(Self {
            values: given.map(|values| values.cloned().collect()).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Which packet a property is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
    Will,
    Disconnect,
}

const PLACES: &[(&str, Place)] = &[
    ("connect", Place::Connect),
    ("publish", Place::Publish),
    ("subscribe", Place::Subscribe),
    ("unsubscribe", Place::Unsubscribe),
    ("will", Place::Will),
    ("disconnect", Place::Disconnect),
];

/// A block of properties that can be read from the bytes of one.
pub(crate) trait PropertyBlock: TryFrom<Bytes, Error = InvalidProperties> {
    const PLACE: Place;
}

macro_rules! blocks {
    ($($block:ident $place:ident)*) => {$(
        impl PropertyBlock for $block {
            const PLACE: Place = Place::$place;
        }
    )*};
}

blocks! {
    ConnectProperties Connect
    PublishProperties Publish
    SubscribeProperties Subscribe
    WillProperties Will
    DisconnectProperties Disconnect
}

impl PropertyArgs {
    /// The properties of one packet.
    pub(crate) fn of<B: PropertyBlock>(&self) -> Result<B, Failure> {
        let mut bytes = Vec::new();
        for (place, rest) in self.parsed()? {
            if place == B::PLACE {
                let (name, value, second) = match rest {
                    [name, value] => (name, value, None),
                    [name, value, second] => (name, value, Some(second.as_bytes())),
                    _ => {
                        return Err(Failure::usage(
                            "-D: a property has a command, a name and a value",
                        ));
                    }
                };
                write(name, value.as_bytes(), second, &mut bytes)
                    .map_err(|error| Failure::usage(format!("-D {}: {error}", name_of(place))))?;
            }
        }
        B::try_from(Bytes::from(bytes)).map_err(|error| {
            let place = name_of(B::PLACE);
            Failure::usage(format!("-D {place}: {error}"))
        })
    }

    /// Refuses what this command has no use for.
    pub(crate) fn only_for(&self, places: &[Place]) -> Result<(), Failure> {
        for (place, _) in self.parsed()? {
            if !places.contains(&place) {
                let (place, known) = (name_of(place), places.iter().map(|place| name_of(*place)));
                let known: Vec<_> = known.collect();
                let known = known.join(", ");
                return Err(Failure::usage(format!(
                    "-D {place}: not of this command; it has properties of {known}"
                )));
            }
        }
        Ok(())
    }

    fn parsed(&self) -> Result<Vec<(Place, &[String])>, Failure> {
        self.values
            .iter()
            .map(|values| {
                let (given, rest) = values.split_first().ok_or_else(unknown_place)?;
                let place = PLACES.iter().find(|(name, _)| name == given);
                let (_, place) = place.ok_or_else(unknown_place)?;
                Ok((*place, rest))
            })
            .collect()
    }
}

fn unknown_place() -> Failure {
    let known: Vec<_> = PLACES.iter().map(|(name, _)| *name).collect();
    let known = known.join(", ");
    Failure::usage(format!("-D: the first of its values is one of {known}"))
}

fn name_of(place: Place) -> &'static str {
    PLACES
        .iter()
        .find(|(_, known)| *known == place)
        .map_or("", |(name, _)| name)
}

/// The name that the command line has for a property: `content-type`.
pub(crate) fn option_name(id: PropertyId) -> String {
    id.name().to_ascii_lowercase().replace(' ', "-")
}

/// Writes one property as it stands on the wire (section 2.2.2).
pub(crate) fn write(
    name: &str,
    value: &[u8],
    second: Option<&[u8]>,
    bytes: &mut Vec<u8>,
) -> Result<(), String> {
    let id = PropertyId::ALL.iter().find(|id| option_name(**id) == name);
    let Some(id) = id else {
        return Err(format!(
            "{name}: no property of MQTT 5.0; they are named as in the standard, such as message-expiry-interval"
        ));
    };
    let kind = id.value_type();
    if (kind == PropertyType::Utf8StringPair) != second.is_some() {
        return Err(match second {
            Some(_) => format!("{name}: it has one value, not two"),
            None => format!("{name}: it has a name and a value"),
        });
    }
    bytes.push(*id as u8);
    let number = |most: u32| {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let parsed = text.parse::<u32>().ok().filter(|number| *number <= most);
        parsed.ok_or_else(|| format!("{name} {text}: not a whole number up to {most}"))
    };
    match kind {
        PropertyType::Byte => bytes.extend(number(1)?.to_be_bytes().last()),
        PropertyType::TwoByteInteger => {
            let [_, _, low @ ..] = number(u16::MAX.into())?.to_be_bytes();
            bytes.extend_from_slice(&low);
        }
        PropertyType::FourByteInteger => bytes.extend_from_slice(&number(u32::MAX)?.to_be_bytes()),
        PropertyType::VariableByteInteger => {
            let mut rest = number(268_435_455)?;
            while rest > 0x7F {
                let [.., low] = rest.to_be_bytes();
                bytes.push(low | 0x80);
                rest >>= 7;
            }
            bytes.extend(rest.to_be_bytes().last());
        }
        PropertyType::Utf8String | PropertyType::BinaryData => prefixed(name, value, bytes)?,
        PropertyType::Utf8StringPair => {
            prefixed(name, value, bytes)?;
            prefixed(name, second.unwrap_or_default(), bytes)?;
        }
    }
    Ok(())
}

fn prefixed(name: &str, value: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    let length = u16::try_from(value.len())
        .map_err(|_| format!("{name}: {} bytes; at most 65535", value.len()))?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(values: &[&[&str]]) -> PropertyArgs {
        let values = values
            .iter()
            .map(|values| values.iter().map(|&value| value.to_owned()).collect());
        PropertyArgs {
            values: values.collect(),
        }
    }

    #[test]
    fn properties_are_read_by_their_names() {
        let args = args(&[
            &["publish", "content-type", "text/plain"],
            &["publish", "message-expiry-interval", "70000"],
            &["publish", "payload-format-indicator", "1"],
            &["publish", "user-property", "a", "b"],
            &["publish", "user-property", "a", "c"],
            &["connect", "receive-maximum", "258"],
        ]);
        let publish: PublishProperties = args.of().unwrap();
        assert_eq!(publish.content_type(), Some("text/plain"));
        assert_eq!(publish.message_expiry_interval(), Some(70_000));
        assert_eq!(publish.payload_format_indicator(), Some(true));
        let pairs: Vec<_> = publish.user_properties().collect();
        assert_eq!(pairs, [("a", "b"), ("a", "c")]);
        let connect: ConnectProperties = args.of().unwrap();
        assert_eq!(connect.receive_maximum().unwrap().get(), 258);
        assert!(args.only_for(&[Place::Publish]).is_err());
        args.only_for(&[Place::Publish, Place::Connect]).unwrap();
    }

    fn check_wrong(values: &[&str]) {
        let args = args(&[values]);
        assert!(args.of::<PublishProperties>().is_err(), "{values:?}");
    }

    #[test]
    fn a_property_that_may_not_stand_there_is_refused() {
        check_wrong(&["publish", "content-kind", "x"]);
        check_wrong(&["publish", "topic-alias", "65536"]);
        check_wrong(&["publish", "topic-alias", "0"]);
        check_wrong(&["publish", "payload-format-indicator", "2"]);
        check_wrong(&["publish", "receive-maximum", "1"]);
        check_wrong(&["publish", "content-type", "x", "y"]);
        check_wrong(&["publish", "user-property", "x"]);
        check_wrong(&["publish", "response-topic", "a/#"]);
        check_wrong(&["publishing", "content-type", "x"]);
    }
}
