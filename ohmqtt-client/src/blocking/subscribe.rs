//! Subscriptions, their messages and their callbacks, as the blocking client has them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{Qos, ReasonCode, RetainHandling, SubscriptionOptions};

use super::{Client, Runtime};
use crate::error::SubscribeError;
use crate::message::Message;
use crate::queue::WhenFull;

/// A subscription that is about to be made, as [`crate::Subscribe`].
#[derive(Debug)]
#[must_use = "a subscription is made by `.send()`"]
pub struct Subscribe<'a> {
    pub(super) inner: crate::Subscribe<'a>,
    pub(super) client: &'a Client,
}

impl Subscribe<'_> {
    /// One more filter for the same stream, with the same options.
    pub fn and(self, filter: impl AsRef<str>) -> Self {
        let inner = self.inner.and(filter);
        Self { inner, ..self }
    }

    /// One more filter for the same stream, with options of its own.
    pub fn and_with(self, filter: impl AsRef<str>, options: SubscriptionOptions) -> Self {
        let inner = self.inner.and_with(filter, options);
        Self { inner, ..self }
    }

    /// Adds a name and a value of the application's own to the SUBSCRIBE.
    pub fn user_property(self, name: &str, value: &str) -> Self {
        let inner = self.inner.user_property(name, value);
        Self { inner, ..self }
    }

    /// The highest QoS at which the server may deliver.
    pub fn qos(self, qos: Qos) -> Self {
        let inner = self.inner.qos(qos);
        Self { inner, ..self }
    }

    /// Leaves out what this client publishes itself.
    pub fn no_local(self, no_local: bool) -> Self {
        let inner = self.inner.no_local(no_local);
        Self { inner, ..self }
    }

    /// Shows the retain flag as it was published.
    pub fn retain_as_published(self, as_published: bool) -> Self {
        let inner = self.inner.retain_as_published(as_published);
        Self { inner, ..self }
    }

    /// Whether retained messages are sent when the subscription is made.
    pub fn retain_handling(self, handling: RetainHandling) -> Self {
        let inner = self.inner.retain_handling(handling);
        Self { inner, ..self }
    }

    /// How many messages may wait for the reader.
    pub fn capacity(self, messages: usize) -> Self {
        let inner = self.inner.capacity(messages);
        Self { inner, ..self }
    }

    /// How many bytes of messages may wait for the reader.
    pub fn capacity_bytes(self, bytes: usize) -> Self {
        let inner = self.inner.capacity_bytes(bytes);
        Self { inner, ..self }
    }

    /// What becomes of messages when the reader is too slow.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        let inner = self.inner.when_full(when_full);
        Self { inner, ..self }
    }

    /// Leaves acknowledging to [`Message::ack`] and [`Message::reject`].
    pub fn manual_ack(self) -> Self {
        let inner = self.inner.manual_ack();
        Self { inner, ..self }
    }

    /// Makes the subscription and blocks until the server has answered.
    pub fn send(self) -> Result<Subscription, SubscribeError> {
        let runtime = &self.client.runtime;
        let inner = runtime.handle.block_on(async { self.inner.await })?;
        Ok(Subscription {
            inner,
            runtime: Arc::clone(runtime),
        })
    }

    /// Declares the subscription without waiting for the server; with a connection it is asked for now, without one at the next.
    pub fn declare(self) -> Result<Subscription, SubscribeError> {
        Ok(Subscription {
            inner: self.inner.send()?,
            runtime: Arc::clone(&self.client.runtime),
        })
    }
}

/// The messages of one subscription, in the order they came, as [`crate::Subscription`]. It is an iterator that ends when the client
/// is closed.
pub struct Subscription {
    pub(super) inner: crate::Subscription,
    pub(super) runtime: Arc<Runtime>,
}

impl Subscription {
    /// Blocks until the next message; `None` once the client is closed.
    pub fn recv(&mut self) -> Option<Message> {
        self.runtime.handle.block_on(self.inner.recv())
    }

    /// Blocks until the next message, for at most `timeout`; `None` when there was none, or the client is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Message> {
        let wait = async { tokio::time::timeout(timeout, self.inner.recv()).await };
        self.runtime.handle.block_on(wait).ok().flatten()
    }

    /// The next message if one has come.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.inner.try_recv()
    }

    /// How many messages were dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.inner.dropped()
    }

    /// The server's answer: the QoS granted for each filter, in their order. Blocks until it has come.
    pub fn granted(&self) -> Result<Vec<ReasonCode>, SubscribeError> {
        self.runtime.handle.block_on(self.inner.granted())
    }
}

impl Subscription {
    /// Gives every message to a callback from now on, as [`crate::Subscription::on_message`]. The callback may use this client.
    pub fn on_message(
        self,
        callback: impl FnMut(Message) + Send + 'static,
    ) -> Result<Callback, SubscribeError> {
        let inner = self.inner.on_message(callback)?;
        let runtime = self.runtime;
        Ok(Callback { inner, runtime })
    }
}

/// A callback that runs, as [`crate::Callback`].
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Callback {
    pub(super) inner: crate::Callback,
    pub(super) runtime: Arc<Runtime>,
}

impl Callback {
    /// Lets it run until the client is closed, without keeping the client alive.
    pub fn forget(self) {
        // The subscription is left first: it may be the last that keeps the runtime.
        self.inner.forget();
        drop(self.runtime);
    }
}

impl Iterator for Subscription {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.recv()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The messages that no subscription claims, as [`crate::Unclaimed`].
#[derive(Debug)]
pub struct Unclaimed {
    pub(super) inner: crate::Unclaimed,
    pub(super) runtime: Arc<Runtime>,
}

impl Unclaimed {
    /// Blocks until the next message, for at most `timeout`; `None` when there was none, or the client is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Message> {
        let wait = async { tokio::time::timeout(timeout, self.inner.recv()).await };
        self.runtime.handle.block_on(wait).ok().flatten()
    }
}
