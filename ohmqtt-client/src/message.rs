//! A message that came, and the acknowledging of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
}

impl Message {
    pub(crate) fn new(
        core: Arc<Core>,
        message: ohmqtt_session::Message,
        number: u64,
        receipt: Option<Receipt>,
        shares: usize,
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
                shares: AtomicUsize::new(shares),
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

    /// Says that the application has taken the message, where the subscription leaves that to it. At QoS 0, or a second time, it
    /// does nothing. Acknowledgements leave in the order of the messages, whatever the order of the calls (section 4.6).
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

    /// The message is handed over: where the subscription acknowledges by itself, its share of that is done.
    pub(crate) fn handed_over(&self) {
        if let Some(ack) = &self.ack {
            ack.handed_over();
        }
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

/// The acknowledgement that one incoming message waits for, shared by the streams it went to and by its clones.
#[derive(Debug)]
struct Ack {
    core: Arc<Core>,
    topic: TopicName,
    qos: Qos,
    receipt: Receipt,
    /// Streams that have not handed it over yet. The last of them acknowledges; a stream whose reader acknowledges keeps its share.
    shares: AtomicUsize,
    answered: AtomicBool,
}

impl Ack {
    fn handed_over(&self) {
        if self.shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.answer(ReasonCode::Success);
        }
    }

    fn answer(&self, reason: ReasonCode) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            let handle = &self.core.handle;
            handle.with(|session, _| session.acknowledge(self.receipt, reason));
        }
    }
}

impl Drop for Ack {
    /// Nobody can answer any more. What was not answered is not acknowledged behind the application's back: it comes again.
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        let Core {
            handle,
            events,
            counters,
            ..
        } = &*self.core;
        handle.with(|session, _| session.abandon(self.receipt));
        counters.abandoned.fetch_add(1, Ordering::Relaxed);
        events.ring(Event::NotAcknowledged {
            topic: self.topic.clone(),
            qos: self.qos,
        });
    }
}
