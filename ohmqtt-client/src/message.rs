//! A message that came, and the acknowledging of it.

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use ohmqtt_codec::{Binary, PublishProperties, Qos, ReasonCode, TopicName};

use crate::core::Core;
use crate::error::PublishError;
use crate::events::Event;
use crate::owed::{Owed, Word};
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
    /// The word that the application owes for it, where that is left to it.
    ack: Option<Arc<Ack>>,
    core: Arc<Core>,
    /// The number of the subscription it went to; 0: to none yet.
    subscription: u64,
}

impl Message {
    #[inline]
    pub(crate) fn new(core: Arc<Core>, message: ohmqtt_session::Message) -> Self {
        let ohmqtt_session::Message {
            topic,
            qos,
            retain,
            properties,
            payload,
        } = message;
        Self {
            topic,
            payload,
            qos,
            retain,
            properties,
            ack: None,
            core,
            subscription: 0,
        }
    }

    /// The subscription it came by, as [`Subscription::number`](crate::Subscription::number); 0 for what no subscription claimed.
    pub fn subscription(&self) -> u64 {
        self.subscription
    }

    /// It goes to this subscription.
    pub(crate) fn to(&mut self, subscription: u64) {
        self.subscription = subscription;
    }

    /// The word on it is the application's to say, by this message or a clone of it.
    pub(crate) fn owe(&mut self, owed: Owed) {
        self.ack = Some(Arc::new(Ack {
            core: Arc::clone(&self.core),
            topic: self.topic.clone(),
            qos: self.qos,
            owed,
            answered: AtomicBool::new(false),
        }));
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// About what it occupies, in bytes.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.properties.wire_len() + self.payload.len()
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

/// The word that the application owes for a message.
#[derive(Debug)]
struct Ack {
    core: Arc<Core>,
    topic: TopicName,
    qos: Qos,
    owed: Owed,
    answered: AtomicBool,
}

impl Ack {
    fn answer(&self, reason: ReasonCode) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.owed.settle(&self.core, Word::Said(reason));
        }
    }
}

impl Drop for Ack {
    /// Nobody can answer any more.
    fn drop(&mut self) {
        if !*self.answered.get_mut() {
            self.owed.abandon(&self.core, &self.topic, self.qos);
        }
    }
}
