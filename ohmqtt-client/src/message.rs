//! A message that came, and the acknowledging of it.

use std::fmt;
use std::str::Utf8Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ohmqtt_codec::{Binary, PublishProperties, Qos, ReasonCode, TopicName};
use ohmqtt_session::Receipt;

use crate::core::Core;
use crate::error::PublishError;
use crate::events::Event;
use crate::publish::Publish;

/// A message that came.
#[derive(Clone)]
#[non_exhaustive]
pub struct Message {
    /// Where it was published.
    pub topic: TopicName,
    /// The application's bytes.
    pub payload: Bytes,
    /// The QoS it was delivered with.
    pub qos: Qos,
    /// Whether it was retained, or published so and the subscription asked to see that.
    pub retain: bool,
    /// Content type, response topic, user properties and so on.
    pub properties: PublishProperties,
    ack: Option<Arc<Ack>>,
    core: Arc<Core>,
    /// Its place in the order of arrival.
    number: u64,
    /// The number of the subscription it went to; 0: to none yet.
    subscription: u64,
}

impl Message {
    pub(crate) fn new(
        core: Arc<Core>,
        message: ohmqtt_session::Message,
        number: u64,
        receipt: Option<Receipt>,
        streams: usize,
    ) -> Self {
        let ohmqtt_session::Message {
            topic,
            qos,
            retain,
            properties,
            payload,
        } = message;
        let ack = receipt.map(|receipt| {
            Arc::new(Ack {
                core: Arc::clone(&core),
                topic: topic.clone(),
                qos,
                receipt,
                joint: (streams > 1).then(|| Joint::new(streams)),
                answered: AtomicBool::new(false),
            })
        });
        Self {
            topic,
            payload,
            qos,
            retain,
            properties,
            ack,
            core,
            number,
            subscription: 0,
        }
    }

    /// The subscription it came by, as [`Subscription::number`](crate::Subscription::number); 0 for what no subscription claimed.
    pub fn subscription(&self) -> u64 {
        self.subscription
    }

    /// It goes to this subscription.
    pub(crate) fn to(mut self, subscription: u64) -> Self {
        self.subscription = subscription;
        self
    }

    /// The same message for another of the streams it is for, which has a word of its own on it.
    pub(crate) fn for_another(&self) -> Self {
        let ack = self.ack.as_ref().map(|ack| Arc::new(ack.another()));
        Self {
            ack,
            ..self.clone()
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// About what it occupies, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.properties.wire_len() + self.payload.len()
    }

    pub(crate) fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }

    /// Gives up this message's share in its acknowledgement.
    pub(crate) fn release(&mut self) {
        self.handed_over();
        self.ack = None;
    }

    /// The payload as text.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.payload)
    }

    /// Says that the application has taken the message, where the subscription leaves that to it. At QoS 0, or a second time, it
    /// does nothing. Acknowledgements leave in the order of the messages, whatever the order of the calls (section 4.6). A message that
    /// several subscriptions got is acknowledged when each has taken it.
    ///
    /// A message that is dropped, with all its clones, without this or [`reject`](Self::reject) is not acknowledged:
    /// [`Event::NotAcknowledged`] tells it, and the server sends it again on the next connection of the session.
    pub fn ack(&self) {
        if let Some(ack) = &self.ack {
            ack.answer(ReasonCode::Success);
        }
    }

    /// Refuses the message with an error code that PUBACK and PUBREC may carry (section 3.4.2.1); another becomes
    /// [`ReasonCode::UnspecifiedError`].
    pub fn reject(&self, reason: ReasonCode) {
        if let Some(ack) = &self.ack {
            ack.answer(if reason.is_error() {
                reason
            } else {
                ReasonCode::UnspecifiedError
            });
        }
    }

    /// An answer to this message: to the topic it names as its response topic, with its correlation data and its QoS (section 4.10).
    ///
    /// Without a response topic it cannot be sent: [`PublishError::NoResponseTopic`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// let mut orders = client.subscribe("orders").await?;
    /// # let _answers = client.subscribe("answers").await?;
    /// client.publish("orders", "tea").response_topic("answers").await?;
    /// let order = orders.recv().await.expect("the client is open");
    /// order.reply("tea is ready").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply(&self, payload: impl Into<Bytes>) -> Publish<'_> {
        let topic = self.properties.response_topic();
        let Some(Ok(topic)) = topic.map(TopicName::try_from) else {
            let topic = self.topic.clone();
            return Publish::failed(&self.core, PublishError::NoResponseTopic { topic });
        };
        let reply = Publish::new(&self.core, topic, payload.into()).qos(self.qos);
        let correlation = self.properties.correlation_data();
        match correlation.map(Binary::try_from) {
            Some(Ok(data)) => reply.properties(|properties| properties.set_correlation_data(&data)),
            _ => reply,
        }
    }

    /// The callback that was given the message panicked.
    pub(crate) fn tell_panic(&self, panic: String) {
        tracing::error!(topic = %self.topic, panic, "a callback panicked");
        let topic = self.topic.clone();
        let event = Event::CallbackPanicked { topic, panic };
        self.core.events.ring(event);
    }

    /// The message is handed over where the subscription acknowledges by itself.
    pub(crate) fn handed_over(&self) {
        self.ack();
    }
}

/// The payload is shown by its length: logs are no place for it.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// The word that is owed for an incoming message by one stream it went to, and shared by the clones of the message.
#[derive(Debug)]
struct Ack {
    core: Arc<Core>,
    topic: TopicName,
    qos: Qos,
    receipt: Receipt,
    /// The words of all streams, where it went to several.
    joint: Option<Arc<Joint>>,
    answered: AtomicBool,
}

impl Ack {
    fn another(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            topic: self.topic.clone(),
            qos: self.qos,
            receipt: self.receipt,
            joint: self.joint.clone(),
            answered: AtomicBool::new(false),
        }
    }

    fn answer(&self, reason: ReasonCode) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.settle(Word::Said(reason));
        }
    }

    /// Tells the session, once there is nobody else to ask.
    fn settle(&self, word: Word) {
        let word = match &self.joint {
            Some(joint) => joint.settle(word),
            None => Some(word),
        };
        let Some(word) = word else {
            return;
        };
        self.core.handle.with(|session, _| match word {
            Word::Said(reason) => session.acknowledge(self.receipt, reason),
            Word::Abandoned => session.abandon(self.receipt),
        });
    }
}

impl Drop for Ack {
    /// Nobody can answer any more. What was not answered is not acknowledged behind the application's back: it comes again.
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        self.settle(Word::Abandoned);
        let Core {
            events, counters, ..
        } = &*self.core;
        counters.abandoned.fetch_add(1, Ordering::Relaxed);
        events.ring(Event::NotAcknowledged {
            topic: self.topic.clone(),
            qos: self.qos,
        });
    }
}

/// What a stream says of a message in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Said(ReasonCode),
    /// Nothing, and never will.
    Abandoned,
}

/// A message that went to several streams: what they have said so far.
#[derive(Debug)]
struct Joint {
    /// Streams that have not had their word.
    left: AtomicUsize,
    refusal: OnceLock<ReasonCode>,
    abandoned: AtomicBool,
}

impl Joint {
    fn new(streams: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(streams),
            refusal: OnceLock::new(),
            abandoned: AtomicBool::new(false),
        })
    }

    /// One more word. The last gives the word of all: without one of somebody there is none, and the first refusal counts.
    fn settle(&self, word: Word) -> Option<Word> {
        match word {
            Word::Abandoned => self.abandoned.store(true, Ordering::Release),
            Word::Said(reason) if reason.is_error() => {
                self.refusal.get_or_init(|| reason);
            }
            Word::Said(_) => {}
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        if self.abandoned.load(Ordering::Acquire) {
            return Some(Word::Abandoned);
        }
        let refusal = self.refusal.get().copied();
        Some(Word::Said(refusal.unwrap_or(ReasonCode::Success)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[Word], want: Word) {
        let joint = Joint::new(words.len());
        let said: Vec<_> = words.iter().map(|word| joint.settle(*word)).collect();
        assert_eq!(said.last(), Some(&Some(want)), "{words:?}");
    }

    #[test]
    fn the_last_of_several_streams_gives_the_word_of_all() {
        use Word::{Abandoned, Said};
        let (yes, no) = (Said(ReasonCode::Success), Said(ReasonCode::QuotaExceeded));
        let never = Said(ReasonCode::NotAuthorized);
        check(&[yes, yes], yes);
        check(&[yes, no, never], no);
        check(&[no, Abandoned], Abandoned);
        check(&[Abandoned, yes], Abandoned);
        let joint = Joint::new(2);
        assert_eq!(joint.settle(yes), None);
        assert_eq!(joint.settle(yes), Some(yes));
    }
}
