//! What happens to a session, made of any bytes.

use arbitrary::Arbitrary;
use ohmqtt_codec::{ReasonCode, TopicName};
use ohmqtt_session::Message;

use super::Word;
use super::said::{Said, qos};

/// One thing that happens. Identifiers are few, so that packets meet.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Step {
    /// A packet comes.
    Said(Said),
    /// Bytes come.
    Bytes(Vec<u8>),
    /// The right answer to one of the packets that were sent, counted from the last.
    Reply(u8),
    /// A stream comes, and a handshake as it should be.
    Handshake,
    /// A stream comes.
    Dial,
    /// The stream ends.
    Cut,
    /// The application has a message to send.
    Publish(Outgoing),
    /// The application answers a message that came, counted from the last.
    Answer { back: u8, reason: Answer },
    /// Something only one role does.
    Word(Word),
    /// Time passes.
    Wait(u8),
    /// The store holds so many operations more.
    Confirm(u8),
    /// The store fails so many operations.
    Fail(u8),
    /// So many packets are taken to be written.
    Poll(u8),
}

/// A message of the application.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Outgoing {
    qos: u8,
    topic: bool,
    len: u8,
    retain: bool,
    expiry: Option<u8>,
}

impl Outgoing {
    pub(crate) fn message(&self) -> Message {
        let topic = TopicName::new(if self.topic { "t" } else { "u/v" }).expect("a topic");
        let mut message = Message::new(topic, vec![7; usize::from(self.len)]);
        message.qos = qos(self.qos);
        message.retain = self.retain;
        if let Some(expiry) = self.expiry {
            let properties = &mut message.properties;
            properties.set_message_expiry_interval(u32::from(expiry));
        }
        message
    }
}

/// How an application answers a message.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Answer {
    Taken,
    Alone,
    Refused,
}

impl Answer {
    pub(crate) fn code(self) -> ReasonCode {
        match self {
            Self::Taken => ReasonCode::Success,
            Self::Alone => ReasonCode::NoMatchingSubscribers,
            Self::Refused => ReasonCode::QuotaExceeded,
        }
    }
}
