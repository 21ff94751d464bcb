//! Many messages that are published at once. The rules are those of one message, in `core`.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;

use ohmqtt_session::Message as Outgoing;

use crate::client::Client;
use crate::core::{Core, Draft};
use crate::error::PublishError;
use crate::publication::Publication;
use crate::publish::Publish;

/// Many messages that are about to be published, made by [`Client::publish_all`]. Nothing happens until they are sent or awaited.
///
/// `send()` takes as many into the outbox as it has room for, and gives the rest back. `.await` waits its turn, among others that
/// wait, puts in what there is room for as there is room, and waits until all are *accepted*.
///
/// Cancel safety: a future that is dropped before its turn has enqueued nothing. Dropped after it, what was put in stays, in order and
/// from the first on; the rest was not enqueued.
#[must_use = "messages are published by `.send()` or `.await`"]
pub struct PublishAll<'a> {
    core: &'a Core,
    messages: Vec<Publish<'a>>,
}

/// Not all of many messages were published.
#[derive(Debug, thiserror::Error)]
#[error("{error}; of the messages, {} were taken before, and {} not tried", .published.len(), .rest.len())]
#[non_exhaustive]
pub struct PublishAllError {
    /// What was taken into the outbox, in order. With [`PublishError::Store`] or [`PublishError::Lost`] that is every message, and each of
    /// these tells whether it was [accepted](Publication::accepted).
    pub published: Vec<Publication>,
    /// Why the next one was not taken; it is [given back](PublishError::into_message) in there.
    #[source]
    pub error: PublishError,
    /// The messages that were not tried: those behind that one; all others, if it could not be published at all. Of several that cannot,
    /// only the first is told.
    pub rest: Vec<Outgoing>,
}

impl Client {
    /// Many messages to be published at once: `client.publish_all(messages).await?`, or `.send()?` without waiting.
    ///
    /// Each is made by [`publish`](Self::publish), with options of its own. As far as there is room they go into the outbox together: one
    /// lock, one wake-up of the client, one commit of the store; and they leave in their order. A message that cannot be published at
    /// all, because its topic is none or a property does not fit, is told before any is taken.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// use ohmqtt_client::Qos;
    ///
    /// let readings = [("sensors/1", "21.5"), ("sensors/2", "19.0"), ("sensors/3", "22.1")];
    /// let messages = readings.map(|(topic, value)| client.publish(topic, value).qos(Qos::AtLeastOnce));
    /// for publication in client.publish_all(messages).await? {
    ///     publication.acked().await?;
    /// }
    ///
    /// // What did not find room can be published later.
    /// let messages = readings.map(|(topic, value)| client.publish(topic, value));
    /// if let Err(stopped) = client.publish_all(messages).send() {
    ///     for message in stopped.error.into_message().into_iter().chain(stopped.rest) {
    ///         client.publish(message.topic, message.payload).qos(message.qos).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_all<'a>(
        &'a self,
        messages: impl IntoIterator<Item = Publish<'a>>,
    ) -> PublishAll<'a> {
        PublishAll {
            core: &self.shared().core,
            messages: messages.into_iter().collect(),
        }
    }
}

impl PublishAll<'_> {
    /// Takes messages into the outbox now, and returns their handles, in order, without waiting for anything.
    ///
    /// It stops at the first that is not taken; the error gives back that one and those behind it.
    pub fn send(self) -> Result<Vec<Publication>, PublishAllError> {
        let (core, mut progress) = (self.core, self.prepare()?);
        match core.try_publish_all(&mut progress.rest, &mut progress.published) {
            Ok(()) => Ok(progress.published),
            Err((error, _)) => Err(progress.stop(error)),
        }
    }

    /// What cannot be published at all is told here.
    fn prepare(self) -> Result<Progress, PublishAllError> {
        let mut progress = Progress::default();
        let mut wrong = None;
        for message in self.messages {
            match message.into_draft() {
                Ok(draft) => progress.rest.push_back(draft),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        match wrong {
            Some(error) => Err(progress.stop(error)),
            None => Ok(progress),
        }
    }

    async fn publish(self) -> Result<Vec<Publication>, PublishAllError> {
        let (core, progress) = (self.core, self.prepare()?);
        let attempt = |mut progress: Progress| match core
            .try_publish_all(&mut progress.rest, &mut progress.published)
        {
            Ok(()) => ControlFlow::Break(Ok(progress.published)),
            Err((PublishError::Full(rejected), options)) => {
                progress.rest.push_front((rejected.message, options));
                ControlFlow::Continue(progress)
            }
            Err((error, _)) => ControlFlow::Break(Err(progress.stop(error))),
        };
        let published = core.in_turn(progress, attempt).await?;
        for publication in &published {
            if let Err(why) = publication.accepted().await {
                return Err(PublishAllError {
                    error: core.not_accepted(why),
                    published,
                    rest: Vec::new(),
                });
            }
        }
        Ok(published)
    }
}

impl<'a> IntoFuture for PublishAll<'a> {
    type Output = Result<Vec<Publication>, PublishAllError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}

impl fmt::Debug for PublishAll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishAll")
            .field("messages", &self.messages.len())
            .finish_non_exhaustive()
    }
}

/// How far many messages have come.
#[derive(Default)]
struct Progress {
    published: Vec<Publication>,
    rest: VecDeque<Draft>,
}

impl Progress {
    fn stop(self, error: PublishError) -> PublishAllError {
        PublishAllError {
            published: self.published,
            error,
            rest: self.rest.into_iter().map(|(message, _)| message).collect(),
        }
    }
}
