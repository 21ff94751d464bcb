//! Topic names (section 4.7): where a message goes.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use super::filter::FilterFault;
use super::string::{InvalidString, MqttString, check_string, shortened, str_of};
use super::text::{TextFault, check_topic};

/// A topic name: an [`MqttString`] of at least one character without the wildcards `+` and `#`.
///
/// [Section 4.7](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901241)
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Bytes);

impl TopicName {
    /// Makes a topic name of text; copies it.
    pub fn new(topic: impl AsRef<str>) -> Result<Self, InvalidTopic> {
        Self::try_from(topic.as_ref())
    }

    /// Wraps bytes that [`check_topic`] has passed and that are 1 to 65,535.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text; looks at the bytes again, as [`MqttString::as_str`] does.
    pub fn as_str(&self) -> &str {
        str_of(&self.0)
    }

    /// The bytes of the text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the text, sharing their memory.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Length in bytes, 1 to 65,535.
    #[expect(clippy::len_without_is_empty, reason = "a topic name is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The error of making a [`TopicName`] or a [`TopicFilter`](crate::TopicFilter) of something that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic:?}: {fault}")]
#[non_exhaustive]
pub struct InvalidTopic {
    /// The first characters of what was given, at most 64.
    pub topic: String,
    /// What is wrong with it.
    pub fault: TopicFault,
}

/// What is wrong with a topic name or a topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicFault {
    /// It is empty.
    #[error("is empty: give it at least one character")]
    Empty,
    /// A topic name with a wildcard.
    #[error(
        "contains the wildcard '{0}': a message goes to one topic, only a subscription has wildcards"
    )]
    Wildcard(char),
    /// A topic filter that breaks the rules of filters.
    #[error("{0}")]
    Filter(FilterFault),
    /// No Local was asked for on a shared subscription.
    #[error("is a shared subscription: leave No Local off")]
    NoLocalOnShared,
    /// It is not an MQTT string.
    #[error("{0}")]
    String(InvalidString),
}

impl InvalidTopic {
    pub(crate) fn new(topic: &[u8], fault: TopicFault) -> Self {
        Self {
            topic: shortened(topic),
            fault,
        }
    }
}

fn check_topic_name(bytes: &[u8]) -> Result<(), InvalidTopic> {
    // [MQTT-4.7.3-1] At least one character. [MQTT-4.7.3-3] At most 65,535 bytes, as any string.
    if bytes.is_empty() {
        return Err(InvalidTopic::new(bytes, TopicFault::Empty));
    }
    check_string(bytes).map_err(|error| InvalidTopic::new(bytes, TopicFault::String(error)))?;
    match check_topic(bytes) {
        Err(TextFault::Wildcard(wildcard)) => {
            Err(InvalidTopic::new(bytes, TopicFault::Wildcard(wildcard)))
        }
        _ => Ok(()),
    }
}

impl TryFrom<Bytes> for TopicName {
    type Error = InvalidTopic;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidTopic> {
        check_topic_name(&bytes)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for TopicName {
    type Error = InvalidTopic;

    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::try_from(Bytes::from(text))
    }
}

impl TryFrom<&str> for TopicName {
    type Error = InvalidTopic;

    fn try_from(text: &str) -> Result<Self, InvalidTopic> {
        check_topic_name(text.as_bytes())?;
        Ok(Self(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl TryFrom<&String> for TopicName {
    type Error = InvalidTopic;

    fn try_from(text: &String) -> Result<Self, InvalidTopic> {
        Self::try_from(text.as_str())
    }
}

impl TryFrom<MqttString> for TopicName {
    type Error = InvalidTopic;

    fn try_from(text: MqttString) -> Result<Self, InvalidTopic> {
        Self::try_from(text.to_bytes())
    }
}

impl From<TopicName> for MqttString {
    fn from(topic: TopicName) -> Self {
        Self::trusted(topic.0)
    }
}

impl AsRef<[u8]> for TopicName {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for TopicName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for TopicName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
