//! A message on its way to a reader, before it is in anybody's hands: with its place in the order of arrival, and the word that is owed for
//! it to the server.

use ohmqtt_codec::{Qos, ReasonCode, TopicName};
use ohmqtt_session::Receipt;

use crate::message::Message;
use crate::owed::{Owed, Word};

/// A message for one stream.
#[derive(Clone, Debug)]
#[must_use = "it is handed over, passed on, released or abandoned"]
pub(crate) struct Arrived {
    message: Message,
    number: u64,
    owed: Option<Owed>,
}

impl Arrived {
    /// A message that is for so many streams.
    #[inline]
    pub(crate) fn new(
        message: Message,
        number: u64,
        receipt: Option<Receipt>,
        streams: usize,
    ) -> Self {
        Self {
            message,
            number,
            owed: receipt.map(|receipt| Owed::new(receipt, streams)),
        }
    }

    /// It goes to this subscription.
    #[inline]
    pub(crate) fn to(mut self, subscription: u64) -> Self {
        self.message.to(subscription);
        self
    }

    /// The same message for another of the streams it is for, which has a word of its own on it.
    pub(crate) fn for_another(&self) -> Self {
        self.clone()
    }

    /// Its place in the order of arrival.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.message.topic
    }

    pub(crate) fn qos(&self) -> Qos {
        self.message.qos
    }

    pub(crate) fn subscription(&self) -> u64 {
        self.message.subscription()
    }

    /// About what it occupies, in bytes.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.message.size()
    }

    pub(crate) fn wants_ack(&self) -> bool {
        self.owed.is_some()
    }

    /// Its stream is done with it, whether somebody has read it or it is out of the way. After that nothing is owed for it.
    #[inline]
    pub(crate) fn release(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed.settle(self.message.core(), Word::Said(ReasonCode::Success));
        }
    }

    /// Its stream will have no word on it. What was not answered is not acknowledged behind the application's back: it comes again.
    pub(crate) fn abandon(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed.abandon(self.message.core(), &self.message.topic, self.message.qos);
        }
    }

    /// The message in the hands of its reader, who has taken it by that.
    #[inline]
    pub(crate) fn taken(mut self) -> Message {
        self.release();
        self.message
    }

    /// The message in the hands of its reader, who is to have a word on it.
    pub(crate) fn owing(self) -> Message {
        let Self {
            mut message, owed, ..
        } = self;
        if let Some(owed) = owed {
            message.owe(owed);
        }
        message
    }
}
