//! A message that came, and the acknowledging of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ohmqtt_codec::{PublishProperties, Qos, ReasonCode, TopicName};
use ohmqtt_driver::Handle;
use ohmqtt_session::{ClientSession, Receipt};

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
    /// Its place in the order of arrival.
    number: u64,
}

impl Message {
    pub(crate) fn new(
        message: ohmqtt_session::Message,
        number: u64,
        ack: Option<Arc<Ack>>,
    ) -> Self {
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
            ack,
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
    /// does nothing. Acknowledgements leave in the order of the messages, whatever the order of the calls.
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

/// The acknowledgement that one incoming message waits for, shared by the streams it went to.
#[derive(Debug)]
pub(crate) struct Ack {
    handle: Handle<ClientSession>,
    receipt: Receipt,
    /// Streams that have not handed it over yet. The last of them acknowledges; a stream whose reader acknowledges keeps its share.
    shares: AtomicUsize,
}

impl Ack {
    pub(crate) fn new(handle: Handle<ClientSession>, receipt: Receipt, shares: usize) -> Self {
        Self {
            handle,
            receipt,
            shares: AtomicUsize::new(shares),
        }
    }

    fn handed_over(&self) {
        if self.shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.answer(ReasonCode::Success);
        }
    }

    fn answer(&self, reason: ReasonCode) {
        self.handle
            .with(|session, _| session.acknowledge(self.receipt, reason));
    }
}
