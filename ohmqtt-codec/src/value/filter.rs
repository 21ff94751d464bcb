//! Topic filters (sections 4.7 and 4.8): which messages a subscription is for.

use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::string::{MqttString, check_string, str_of};
use super::text::{check_text, visit_wildcards};
use super::topic::{InvalidTopic, TopicFault, TopicName};
use crate::error::Fault;

/// A topic filter, shared (`$share/NAME/filter`) or not, with `+` and `#` only where they may stand.
///
/// [Section 4.7](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901241),
/// [section 4.8.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901250)
#[derive(Clone)]
pub struct TopicFilter {
    text: Bytes,
    /// Where the matched part starts: 0, or after `$share/NAME/`.
    start: u16,
}

/// What is wrong with a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterFault {
    /// No character, or none after `$share/NAME/`.
    #[error("is empty: give it at least one character")]
    Empty,
    /// `#` before the end, or beside another character in its level.
    #[error("has a '#' that is not the whole last level")]
    MultiLevelWildcard,
    /// `+` beside another character in its level.
    #[error("has a '+' that is not a whole level")]
    SingleLevelWildcard,
    /// `$share/` without a name of at least one character and a `/` after it, or with a wildcard in the name.
    #[error("is not $share/NAME/FILTER with a NAME without wildcards")]
    ShareName,
}

const SHARE: &[u8] = b"$share/";

impl TopicFilter {
    /// Makes a topic filter of text; copies it.
    pub fn new(filter: impl AsRef<str>) -> Result<Self, InvalidTopic> {
        Self::try_from(filter.as_ref())
    }

    /// Wraps bytes that [`check_wire`](Self::check_wire) has passed.
    pub(crate) fn trusted(text: Bytes) -> Self {
        let start = share_of(&text).map_or(0, |name| SHARE.len() + name.len() + 1);
        // A filter is at most 65,535 bytes, so its start is.
        Self {
            start: u16::try_from(start).unwrap_or(0),
            text,
        }
    }

    /// Whether bytes of a packet are a filter of plain text that is not shared, as nearly all are. Those that are not need a look from
    /// [`check_wire`](Self::check_wire).
    #[inline]
    pub(crate) fn is_plain(bytes: &[u8]) -> bool {
        bytes.first() != Some(&b'$') && is_plainly_matched(bytes)
    }

    /// Refuses bytes of a packet that are no filter; tells whether the filter is shared.
    pub(crate) fn check_wire(bytes: &[u8]) -> Result<bool, Fault> {
        let (start, plain) = check_levels(bytes).map_err(Fault::Filter)?;
        // [MQTT-3.8.3-1], [MQTT-3.10.3-1] Topic filters are UTF-8 strings.
        if !plain {
            check_text(bytes)?;
        }
        Ok(start > 0)
    }

    /// The text, with `$share/NAME/`; looks at the bytes again, as [`MqttString::as_str`] does.
    pub fn as_str(&self) -> &str {
        str_of(&self.text)
    }

    /// The bytes of the text, with `$share/NAME/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The bytes of the text, sharing their memory.
    pub fn to_bytes(&self) -> Bytes {
        self.text.clone()
    }

    /// The name of the group of a shared subscription.
    pub fn share_name(&self) -> Option<&str> {
        share_of(&self.text).map(str_of)
    }

    /// The part that is matched against topic names: all, or what follows `$share/NAME/`.
    pub fn filter_bytes(&self) -> &[u8] {
        self.text.get(usize::from(self.start)..).unwrap_or_default()
    }

    /// Is it a shared subscription's?
    pub fn is_shared(&self) -> bool {
        self.start > 0
    }

    /// Has it `+` or `#`?
    pub fn has_wildcards(&self) -> bool {
        self.filter_bytes()
            .iter()
            .any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Is a message on this topic for this filter? The share name has no part in it.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let (filter, topic) = (self.filter_bytes(), topic.as_bytes());
        // [MQTT-4.7.2-1] A leading wildcard does not match a leading `$`.
        if topic.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
            return false;
        }
        let mut names = topic.split(|&byte| byte == b'/');
        for level in filter.split(|&byte| byte == b'/') {
            match (level, names.next()) {
                // `#` is also for the level above it: `a/#` matches `a`.
                (b"#", _) => return true,
                (b"+", Some(_)) => {}
                // [MQTT-4.7.3-4] Byte by byte, nothing normalized.
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

/// The share name of a validated filter.
fn share_of(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(SHARE)
        .and_then(|rest| rest.split(|&byte| byte == b'/').next())
}

/// Where the matched part of a filter starts, and whether all is known to be text already.
#[inline]
fn check_levels(filter: &[u8]) -> Result<(usize, bool), FilterFault> {
    match filter.strip_prefix(SHARE) {
        None => Ok((0, check_matched(filter)?)),
        Some(rest) => check_shared(filter, rest),
    }
}

fn check_shared(filter: &[u8], rest: &[u8]) -> Result<(usize, bool), FilterFault> {
    // [MQTT-4.8.2-1] A share name has at least one character, [MQTT-4.8.2-2] no wildcard, and a `/` and a filter follow.
    let end = rest
        .iter()
        .position(|&byte| byte == b'/')
        .ok_or(FilterFault::ShareName)?;
    let (name, matched) = rest.split_at(end);
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(FilterFault::ShareName);
    }
    let matched = matched.get(1..).unwrap_or_default();
    check_matched(matched)?;
    Ok((filter.len() - matched.len(), false))
}

/// How many bytes [`is_plainly_matched`] looks at together.
const LANES: usize = 16;

/// Whether this is a filter of ASCII without U+0000, which nearly all are; with fewer than 18 bytes it says no.
///
/// All bytes are looked at in the same way beside their neighbours, without a branch: compilers make a few vector instructions of it.
#[inline]
fn is_plainly_matched(filter: &[u8]) -> bool {
    let (Some([first, second, ..]), Some([.., before_last, last])) =
        (filter.first_chunk::<2>(), filter.last_chunk::<2>())
    else {
        return false;
    };
    let Some(end) = filter.last_chunk::<{ LANES + 2 }>() else {
        return false;
    };
    let mut wrong = [0; LANES];
    let mut rest = filter;
    while let Some(window) = rest.first_chunk() {
        note_wrong(window, &mut wrong);
        rest = rest.get(LANES..).unwrap_or_default();
    }
    note_wrong(end, &mut wrong);
    let starts_well = *first != b'#' && (*first != b'+' || *second == b'/');
    let ends_well = !matches!(last, b'+' | b'#') || *before_last == b'/';
    let is_text = first.wrapping_sub(1) < 0x7F && last.wrapping_sub(1) < 0x7F;
    starts_well && ends_well && is_text && wrong == [0; LANES]
}

/// Notes which bytes but the first and the last of these, which are their neighbours, may not stand between theirs, or are no plain text.
#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "no branch: that is what makes vectors of it"
)]
fn note_wrong(bytes: &[u8; LANES + 2], wrong: &mut [u8; LANES]) {
    for at in 0..LANES {
        let [before, byte, after] = [bytes[at], bytes[at + 1], bytes[at + 2]];
        // [MQTT-4.7.1-2] `+` is a whole level. [MQTT-4.7.1-1] `#` is the last one.
        let is_level = (before == b'/') & (after == b'/');
        let is_wrong =
            (byte == b'#') | ((byte == b'+') & !is_level) | (byte.wrapping_sub(1) >= 0x7F);
        wrong[at] |= u8::from(is_wrong);
    }
}

/// Refuses a filter that is none; tells whether it is known to be text.
fn check_matched(filter: &[u8]) -> Result<bool, FilterFault> {
    // [MQTT-4.7.3-1] At least one character.
    if filter.is_empty() {
        return Err(FilterFault::Empty);
    }
    let is_separator = |at: usize| filter.get(at) == Some(&b'/');
    visit_wildcards(filter, |at| {
        let (starts, ends) = (at == 0 || is_separator(at - 1), at + 1 == filter.len());
        match filter.get(at) {
            // [MQTT-4.7.1-1] `#` stands alone in the last level.
            Some(b'#') if !starts || !ends => Err(FilterFault::MultiLevelWildcard),
            // [MQTT-4.7.1-2] `+` is a whole level.
            Some(b'+') if !starts || !ends && !is_separator(at + 1) => {
                Err(FilterFault::SingleLevelWildcard)
            }
            _ => Ok(()),
        }
    })
}

fn check_filter(bytes: &[u8]) -> Result<(), InvalidTopic> {
    check_string(bytes).map_err(|error| InvalidTopic::new(bytes, TopicFault::String(error)))?;
    check_levels(bytes).map_err(|fault| InvalidTopic::new(bytes, TopicFault::Filter(fault)))?;
    Ok(())
}

impl TryFrom<Bytes> for TopicFilter {
    type Error = InvalidTopic;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidTopic> {
        check_filter(&bytes)?;
        Ok(Self::trusted(bytes))
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = InvalidTopic;

    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::try_from(Bytes::from(text))
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = InvalidTopic;

    fn try_from(text: &str) -> Result<Self, InvalidTopic> {
        check_filter(text.as_bytes())?;
        Ok(Self::trusted(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl TryFrom<MqttString> for TopicFilter {
    type Error = InvalidTopic;

    fn try_from(text: MqttString) -> Result<Self, InvalidTopic> {
        Self::try_from(text.to_bytes())
    }
}

impl AsRef<[u8]> for TopicFilter {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl PartialEq for TopicFilter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicFilter {}

impl PartialOrd for TopicFilter {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TopicFilter {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for TopicFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialEq<str> for TopicFilter {
    fn eq(&self, other: &str) -> bool {
        self.text == other.as_bytes()
    }
}

impl PartialEq<&str> for TopicFilter {
    fn eq(&self, other: &&str) -> bool {
        self.text == other.as_bytes()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// [MQTT-4.7.1-1], [MQTT-4.7.1-2]
    #[test]
    fn the_quick_look_accepts_what_the_slow_one_finds_plain() {
        let bytes = [b'+', b'#', b'/', b'a', 0, 1, 0x7F, 0x80, 0xFF];
        for len in 18..70 {
            for filler in [b'a', b'/'] {
                for at in 0..len {
                    for byte in bytes {
                        for next in bytes {
                            let mut filter = vec![filler; len];
                            filter[at] = byte;
                            filter[(at + 1) % len] = next;
                            let want = check_matched(&filter) == Ok(true);
                            assert_eq!(is_plainly_matched(&filter), want, "{filter:?}");
                        }
                    }
                }
            }
        }
    }
}
