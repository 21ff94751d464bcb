//! A message that is about to be published: a plain value with options, sent or awaited.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Binary, MqttString, PublishProperties, Qos, TopicName};
use ohmqtt_session::{AliasPolicy, Message as Outgoing, PublishOptions};

use crate::core::{Core, Draft};
use crate::error::PublishError;
use crate::publication::Publication;

/// A message that is about to be published, made by [`Client::publish`](crate::Client::publish). Nothing happens until it is sent or awaited.
///
/// `send()` takes it into the outbox now or says why not. `.await` waits its turn for room in the outbox and until it is *accepted*
/// (in the store, if there is one).
///
/// Cancel safety: dropped before its turn nothing was enqueued, dropped after it the message stays.
#[must_use = "a message is published by `.send()` or `.await`"]
pub struct Publish<'a> {
    core: &'a Core,
    message: Result<Outgoing, PublishError>,
    deadline: Option<Duration>,
    keep_offline: bool,
    alias: AliasPolicy,
}

impl<'a> Publish<'a> {
    pub(crate) fn new<T>(core: &'a Core, topic: T, payload: Bytes) -> Self
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        let message = topic
            .try_into()
            .map(|topic| Outgoing::new(topic, payload))
            .map_err(PublishError::from);
        Self {
            core,
            message,
            deadline: None,
            keep_offline: false,
            alias: AliasPolicy::Never,
        }
    }

    /// What cannot be published at all, for this reason.
    pub(crate) fn failed(core: &'a Core, error: PublishError) -> Self {
        Self {
            core,
            message: Err(error),
            deadline: None,
            keep_offline: false,
            alias: AliasPolicy::Never,
        }
    }

    /// How surely it is delivered; without this, QoS 0.
    pub fn qos(mut self, qos: Qos) -> Self {
        if let Ok(message) = &mut self.message {
            message.qos = qos;
        }
        self
    }

    /// Asks the server to keep it for later subscribers of its topic (section 3.3.1.3).
    pub fn retain(mut self, retain: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.retain = retain;
        }
        self
    }

    /// Gives up when it could not be sent within this time. What was sent is not taken back.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Keeps a QoS 0 message for the next connection when there is none now. Without this it is dropped then, and its publication
    /// says so.
    pub fn keep_offline(mut self, keep: bool) -> Self {
        self.keep_offline = keep;
        self
    }

    /// Whether it is sent with a topic alias, which saves the topic's bytes from the second message on (section 3.3.2.3.4).
    pub fn alias(mut self, policy: AliasPolicy) -> Self {
        self.alias = policy;
        self
    }

    /// Sets properties that have no method of their own here.
    pub fn properties(mut self, set: impl FnOnce(&mut PublishProperties)) -> Self {
        if let Ok(message) = &mut self.message {
            set(&mut message.properties);
        }
        self
    }

    /// The time, in whole seconds, after which the message is of no use to a subscriber it has not reached (section 3.3.2.3.3).
    pub fn expiry(self, expiry: Duration) -> Self {
        let seconds = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        self.properties(|properties| properties.set_message_expiry_interval(seconds))
    }

    /// What the payload is, for its receivers: by convention a MIME type.
    pub fn content_type(self, content_type: &str) -> Self {
        self.with_string("content type", content_type, |properties, value| {
            properties.set_content_type(&value);
        })
    }

    /// Adds a name and a value of the application's own. Their order is kept, names may repeat.
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        match (MqttString::try_from(name), MqttString::try_from(value)) {
            (Ok(name), Ok(value)) => {
                return self.properties(|properties| properties.add_user_property(&name, &value));
            }
            (Err(error), _) | (_, Err(error)) => self.fail("user property", &error),
        }
        self
    }

    /// The topic on which an answer is awaited (section 4.10).
    pub fn response_topic(mut self, topic: &str) -> Self {
        match TopicName::try_from(topic) {
            Ok(topic) => {
                return self.properties(|properties| properties.set_response_topic(&topic));
            }
            Err(error) => self.fail("response topic", &error),
        }
        self
    }

    /// What an answer repeats, so that it is known which request it belongs to (section 4.10). At most 65,535 bytes.
    pub fn correlation_data(mut self, data: impl Into<Bytes>) -> Self {
        match Binary::try_from(data.into()) {
            Ok(data) => {
                return self.properties(|properties| properties.set_correlation_data(&data));
            }
            Err(error) => self.fail("correlation data", &error),
        }
        self
    }

    fn with_string(
        mut self,
        field: &'static str,
        value: &str,
        set: impl FnOnce(&mut PublishProperties, MqttString),
    ) -> Self {
        match MqttString::try_from(value) {
            Ok(value) => return self.properties(|properties| set(properties, value)),
            Err(error) => self.fail(field, &error),
        }
        self
    }

    /// The first thing that is wrong is told when the message is to be sent.
    fn fail(&mut self, field: &'static str, problem: &dyn fmt::Display) {
        if self.message.is_ok() {
            self.message = Err(PublishError::Value {
                field,
                problem: problem.to_string(),
            });
        }
    }

    /// Takes the message into the outbox now, and returns its handle without waiting for anything.
    ///
    /// With a full outbox the error gives the message back.
    pub fn send(self) -> Result<Publication, PublishError> {
        let core = self.core;
        let (message, options) = self.into_draft()?;
        core.try_publish(message, options)
    }

    /// As [`send`](Self::send), for who asks nothing more of the message: no handle is made. The message goes on as any other.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// let mut readings = client.subscribe("sensors/#").await?;
    /// client.publish("sensors/1", "21.5").send_unwatched()?;
    /// let reading = readings.recv().await.ok_or("closed")?;
    /// assert_eq!(reading.text()?, "21.5");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_unwatched(self) -> Result<(), PublishError> {
        let core = self.core;
        let (message, options) = self.into_draft()?;
        core.try_publish_unwatched(message, options)
    }

    /// `None` when it is none.
    pub(crate) fn topic(&self) -> Option<&TopicName> {
        let message = self.message.as_ref().ok()?;
        Some(&message.topic)
    }

    pub(crate) fn into_draft(self) -> Result<Draft, PublishError> {
        let options = self.options();
        Ok((self.message?, options))
    }

    fn options(&self) -> PublishOptions {
        PublishOptions {
            deadline: self.deadline.map(|deadline| self.core.now() + deadline),
            keep_offline: self.keep_offline,
            alias: self.alias,
            ..PublishOptions::default()
        }
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Publication, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let core = self.core;
            let (message, options) = self.into_draft()?;
            core.publish_waiting(message, options).await
        })
    }
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
