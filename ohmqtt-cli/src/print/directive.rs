//! What the letters behind `%` stand for, and how wide they are written.

use ohmqtt_client::Message;
use ohmqtt_codec::{SubscriptionId, TopicAlias};

use super::mosquitto;
use crate::clock::Moment;

/// What a letter stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Directive {
    TopicAlias,
    ContentType,
    CorrelationData,
    Expiry,
    PayloadFormat,
    Iso,
    Json,
    JsonOfJson,
    Length,
    PacketId,
    Payload,
    UserProperties,
    Qos,
    ResponseTopic,
    Retain,
    SubscriptionId,
    Topic,
    Unix,
    LowerHex,
    UpperHex,
}

/// How wide, and where in it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Layout {
    /// The value stands at the left.
    pub(super) left: bool,
    /// Numbers and payloads are filled up with zeros.
    pub(super) zeros: bool,
    /// The least width, in bytes.
    pub(super) width: usize,
    /// The most bytes of a text.
    pub(super) most: Option<usize>,
}

impl Directive {
    pub(super) fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::TopicAlias,
            'C' => Self::ContentType,
            'D' => Self::CorrelationData,
            'E' => Self::Expiry,
            'F' => Self::PayloadFormat,
            'I' => Self::Iso,
            'j' => Self::Json,
            'J' => Self::JsonOfJson,
            'l' => Self::Length,
            'm' => Self::PacketId,
            'p' => Self::Payload,
            'P' => Self::UserProperties,
            'q' => Self::Qos,
            'R' => Self::ResponseTopic,
            'r' => Self::Retain,
            'S' => Self::SubscriptionId,
            't' => Self::Topic,
            'U' => Self::Unix,
            'x' => Self::LowerHex,
            'X' => Self::UpperHex,
            _ => return None,
        })
    }

    /// Writes what it stands for in this message. The error says why that cannot be.
    pub(super) fn write(
        self,
        message: &Message,
        layout: Layout,
        now: &Moment,
        pretty: bool,
        line: &mut Vec<u8>,
    ) -> Result<(), String> {
        let properties = &message.properties;
        match self {
            Self::TopicAlias => layout.number(properties.topic_alias().map(TopicAlias::get), line),
            Self::ContentType => layout.text(properties.content_type().unwrap_or_default(), line),
            Self::CorrelationData => {
                line.extend_from_slice(properties.correlation_data().unwrap_or_default());
            }
            Self::Expiry => layout.number(properties.message_expiry_interval(), line),
            Self::PayloadFormat => {
                layout.number(properties.payload_format_indicator().map(u8::from), line);
            }
            Self::Iso => layout.text(&now.iso(), line),
            Self::Json => mosquitto::write(message, now, pretty, line),
            Self::JsonOfJson => return mosquitto::write_json(message, now, pretty, line),
            Self::Length => layout.number(Some(message.payload.len()), line),
            // Not told by the client: it names a delivery, not a message.
            Self::PacketId => layout.number(Some(0), line),
            Self::Payload => layout.payload(&message.payload, line),
            Self::UserProperties => {
                let pairs = properties.user_properties();
                let pairs: Vec<_> = pairs
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect();
                line.extend_from_slice(pairs.join(" ").as_bytes());
            }
            Self::Qos => line.extend_from_slice(u8::from(message.qos).to_string().as_bytes()),
            Self::ResponseTopic => layout.text_if(properties.response_topic(), line),
            Self::Retain => line.push(if message.retain { b'1' } else { b'0' }),
            Self::SubscriptionId => {
                let first = properties.subscription_identifiers().next();
                layout.number(first.map(SubscriptionId::get), line);
            }
            Self::Topic => layout.text(message.topic.as_str(), line),
            Self::Unix => {
                let (seconds, nanoseconds) = now.unix();
                line.extend_from_slice(format!("{seconds}.{nanoseconds:09}").as_bytes());
            }
            Self::LowerHex => {
                let shown = layout.of_payload(&message.payload, 2);
                layout.payload(data_encoding::HEXLOWER.encode(shown).as_bytes(), line);
            }
            Self::UpperHex => {
                let shown = layout.of_payload(&message.payload, 2);
                layout.payload(data_encoding::HEXUPPER.encode(shown).as_bytes(), line);
            }
        }
        Ok(())
    }
}

impl Layout {
    /// A number; of one that is not there, its width.
    fn number(self, number: Option<impl Copy + ToString>, line: &mut Vec<u8>) {
        let digits = number.as_ref().map(ToString::to_string).unwrap_or_default();
        let is_blank = number.is_none() && !self.zeros;
        let fill = if self.zeros && !self.left && !is_blank {
            b'0'
        } else {
            b' '
        };
        self.put(digits.as_bytes(), fill, line);
    }

    fn text(self, text: &str, line: &mut Vec<u8>) {
        let mut end = self.most.unwrap_or(text.len()).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let shown = text.get(..end).unwrap_or(text);
        self.put(shown.as_bytes(), b' ', line);
    }

    /// A text; of one that is not there, nothing.
    fn text_if(self, text: Option<&str>, line: &mut Vec<u8>) {
        if let Some(text) = text {
            self.text(text, line);
        }
    }

    /// A payload: a width is the most of it that is shown, too.
    fn payload(self, bytes: &[u8], line: &mut Vec<u8>) {
        let fill = if self.zeros && !self.left { b'0' } else { b' ' };
        self.put(self.of_payload(bytes, 1), fill, line);
    }

    /// What of a payload has room, at so many characters a byte.
    fn of_payload(self, bytes: &[u8], characters: usize) -> &[u8] {
        let most = if self.width == 0 {
            bytes.len()
        } else {
            self.width / characters
        };
        bytes.get(..most).unwrap_or(bytes)
    }

    fn put(self, bytes: &[u8], fill: u8, line: &mut Vec<u8>) {
        let room = self.width.saturating_sub(bytes.len());
        let filled = std::iter::repeat_n(fill, room);
        if self.left {
            line.extend_from_slice(bytes);
            line.extend(filled);
        } else {
            line.extend(filled);
            line.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(left: bool, zeros: bool, width: usize, most: Option<usize>) -> Layout {
        Layout {
            left,
            zeros,
            width,
            most,
        }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn numbers_are_filled_up() {
        let number =
            |layout: Layout, number: Option<u32>| written(|line| layout.number(number, line));
        assert_eq!(number(layout(false, false, 4, None), Some(12)), "  12");
        assert_eq!(number(layout(false, true, 4, None), Some(12)), "0012");
        assert_eq!(number(layout(true, true, 4, None), Some(12)), "12  ");
        assert_eq!(number(layout(false, false, 1, None), Some(12)), "12");
        assert_eq!(number(layout(false, false, 3, None), None), "   ");
        assert_eq!(number(layout(false, true, 3, None), None), "000");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let text = |layout: Layout, text: &str| written(|line| layout.text(text, line));
        assert_eq!(text(layout(false, false, 5, Some(3)), "abcdef"), "  abc");
        assert_eq!(text(layout(true, true, 5, None), "abc"), "abc  ");
        assert_eq!(text(layout(false, false, 0, Some(2)), "aé"), "a");
    }
}
