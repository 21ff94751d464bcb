//! What is published, as the blocking client does it.

use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{PublishProperties, Qos};
use ohmqtt_session::AliasPolicy;
use tokio::runtime::Handle;

use crate::error::PublishError;
use crate::message::Message;
use crate::publication::Publication;
use crate::publish_all::PublishAllError;
use crate::request::RequestError;

/// A message that is about to be published, as [`crate::Publish`].
#[derive(Debug)]
#[must_use = "a message is published by `.send()`"]
pub struct Publish<'a> {
    pub(super) inner: crate::Publish<'a>,
    pub(super) runtime: &'a Handle,
}

impl<'a> Publish<'a> {
    fn map(self, set: impl FnOnce(crate::Publish<'a>) -> crate::Publish<'a>) -> Self {
        let inner = set(self.inner);
        Self { inner, ..self }
    }

    /// How surely it is delivered; without this, QoS 0.
    pub fn qos(self, qos: Qos) -> Self {
        self.map(|publish| publish.qos(qos))
    }

    /// Asks the server to keep it for later subscribers of its topic.
    pub fn retain(self, retain: bool) -> Self {
        self.map(|publish| publish.retain(retain))
    }

    /// Gives up when it could not be sent within this time.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.map(|publish| publish.deadline(deadline))
    }

    /// Keeps a QoS 0 message for the next connection when there is none now.
    pub fn keep_offline(self, keep: bool) -> Self {
        self.map(|publish| publish.keep_offline(keep))
    }

    /// Whether it is sent with a topic alias.
    pub fn alias(self, policy: AliasPolicy) -> Self {
        self.map(|publish| publish.alias(policy))
    }

    /// Sets properties that have no method of their own here.
    pub fn properties(self, set: impl FnOnce(&mut PublishProperties)) -> Self {
        self.map(|publish| publish.properties(set))
    }

    /// The time, in whole seconds, after which the message is of no use to a subscriber it has not reached.
    pub fn expiry(self, expiry: Duration) -> Self {
        self.map(|publish| publish.expiry(expiry))
    }

    /// What the payload is, for its receivers: by convention a MIME type.
    pub fn content_type(self, content_type: &str) -> Self {
        self.map(|publish| publish.content_type(content_type))
    }

    /// Adds a name and a value of the application's own.
    pub fn user_property(self, name: &str, value: &str) -> Self {
        self.map(|publish| publish.user_property(name, value))
    }

    /// The topic on which an answer is awaited.
    pub fn response_topic(self, topic: &str) -> Self {
        self.map(|publish| publish.response_topic(topic))
    }

    /// What an answer repeats. At most 65,535 bytes.
    pub fn correlation_data(self, data: impl Into<Bytes>) -> Self {
        self.map(|publish| publish.correlation_data(data))
    }

    /// Blocks until there is room in the outbox and the message is accepted, and returns its handle.
    pub fn send(self) -> Result<Publication, PublishError> {
        self.runtime.block_on(async { self.inner.await })
    }

    /// Takes the message into the outbox now; with a full outbox the error gives it back.
    pub fn try_send(self) -> Result<Publication, PublishError> {
        self.inner.send()
    }
}

/// Many messages that are about to be published, as [`crate::PublishAll`].
#[derive(Debug)]
#[must_use = "messages are published by `.send()`"]
pub struct PublishAll<'a> {
    pub(super) inner: crate::PublishAll<'a>,
    pub(super) runtime: &'a Handle,
}

impl PublishAll<'_> {
    /// Blocks until all are in the outbox and accepted, and returns their handles in order.
    pub fn send(self) -> Result<Vec<Publication>, PublishAllError> {
        self.runtime.block_on(async { self.inner.await })
    }

    /// Takes into the outbox now what it has room for; the error gives the rest back.
    pub fn try_send(self) -> Result<Vec<Publication>, PublishAllError> {
        self.inner.send()
    }
}

/// A request that is about to be made, as [`crate::Request`].
#[derive(Debug)]
#[must_use = "a request is made by `.send()`"]
pub struct Request<'a> {
    pub(super) inner: crate::Request<'a>,
    pub(super) runtime: &'a Handle,
}

impl<'a> Request<'a> {
    /// How surely it is delivered; without this, QoS 1.
    pub fn qos(self, qos: Qos) -> Self {
        let inner = self.inner.qos(qos);
        Self { inner, ..self }
    }

    /// Sets what else a message may have.
    pub fn with(self, set: impl FnOnce(crate::Publish<'a>) -> crate::Publish<'a>) -> Self {
        let inner = self.inner.with(set);
        Self { inner, ..self }
    }

    /// Makes the request and blocks until it is answered, or its time is up.
    pub fn send(self) -> Result<Message, RequestError> {
        self.runtime.block_on(async { self.inner.await })
    }
}
