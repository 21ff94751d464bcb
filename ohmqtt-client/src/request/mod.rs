//! Requests: messages that are answered (section 4.10).
//!
//! Here is what users see of them: the value, and what can go wrong. Where answers come and how each finds its request is in `inbox`.

mod inbox;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Qos, ReasonCode, TopicName};
use ohmqtt_session::LostMessage;

use crate::client::Client;
use crate::error::{PublishError, SubscribeError};
use crate::message::Message;
use crate::publish::Publish;

pub(crate) use self::inbox::Requests;

/// A request that is about to be made, by [`Client::request`]. Nothing happens until it is awaited.
///
/// Cancel safety: a request whose future is dropped is forgotten. Its message, if it was taken into the outbox, goes out; the answer is
/// counted as late.
#[must_use = "a request is made by `.await`"]
pub struct Request<'a> {
    client: &'a Client,
    publish: Publish<'a>,
    timeout: Duration,
}

impl Client {
    /// A message that is answered: `client.request(topic, payload, timeout).await?` is the answer.
    ///
    /// It goes out with QoS 1, unless [`qos`](Request::qos) says otherwise, with a response topic and correlation data, and the answer is
    /// the first message that comes there with the same correlation data, as [`Message::reply`] sends it. The time runs from the first
    /// poll, and includes waiting for a connection and for room in the outbox. A request outlives a broken connection; what was not sent
    /// by the time is not sent at all.
    ///
    /// The first request subscribes to the response topic, which is `ohmqtt/replies/` and the Client Identifier; the server's Response
    /// Information, where it gives some (section 3.2.2.3.15), or
    /// [`response_prefix`](crate::ClientBuilder::response_prefix) stands in the place of `ohmqtt/replies`. The subscription is kept, without
    /// keeping the client alive. An answer that nobody waits for any more, or never did, is dropped and counted in
    /// [`Metrics::late_replies`](crate::Metrics::late_replies). Up to 65,536 requests may wait at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// use std::time::Duration;
    /// use ohmqtt_client::{Client, RequestError};
    ///
    /// let service = Client::connect(broker.url()).await?;
    /// let mut requests = service.subscribe("time/now").await?;
    /// tokio::spawn(async move {
    ///     while let Some(request) = requests.recv().await {
    ///         request.reply("half past nine").await.expect("a request names its response topic");
    ///     }
    /// });
    ///
    /// let client = Client::connect(broker.url()).await?;
    /// let reply = client.request("time/now", "", Duration::from_secs(5)).await?;
    /// assert_eq!(reply.payload, "half past nine");
    /// let nobody = client.request("time/past", "", Duration::from_secs(5)).await;
    /// assert!(matches!(nobody, Err(RequestError::NobodyListens { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<T>(&self, topic: T, payload: impl Into<Bytes>, timeout: Duration) -> Request<'_>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        let core = &self.shared().core;
        let publish = Publish::new(core, topic, payload.into());
        let publish = publish.qos(Qos::AtLeastOnce).deadline(timeout);
        Request {
            client: self,
            publish,
            timeout,
        }
    }
}

impl<'a> Request<'a> {
    /// How surely it is delivered; without this, QoS 1. At QoS 0 a server does not tell that nobody listens, and a request that is made
    /// without a connection is lost.
    pub fn qos(self, qos: Qos) -> Self {
        self.with(|publish| publish.qos(qos))
    }

    /// Sets what else a message may have: `.with(|publish| publish.content_type("application/json"))`. Response topic and correlation data
    /// are the request's own.
    pub fn with(mut self, set: impl FnOnce(Publish<'a>) -> Publish<'a>) -> Self {
        self.publish = set(self.publish);
        self
    }

    async fn run(self) -> Result<Message, RequestError> {
        let topic = self.publish.topic();
        let topic = topic.map_or_else(String::new, |topic| topic.as_str().to_owned());
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.exchange(&topic)).await {
            // The message had as much time as the answer.
            Err(_) | Ok(Err(RequestError::Lost(LostMessage::DeadlinePassed))) => {
                Err(RequestError::TimedOut { topic, timeout })
            }
            Ok(result) => result,
        }
    }

    async fn exchange(self, topic: &str) -> Result<Message, RequestError> {
        let topic = || topic.to_owned();
        let requests = &self.client.shared().requests;
        let pending = requests.open(self.client).await?;
        let publish = self.publish.response_topic(pending.response_topic());
        let publish = publish.correlation_data(pending.correlation_data());
        let publication = publish.await?;
        tokio::select! {
            // An answer may come before the server's acknowledgement, and is as good.
            biased;
            reply = pending.reply() => return reply,
            acked = publication.acked() => match acked? {
                ack if ack.reason == ReasonCode::NoMatchingSubscribers => {
                    return Err(RequestError::NobodyListens { topic: topic() });
                }
                ack if ack.reason.is_error() => {
                    let (topic, reason) = (topic(), ack.reason);
                    return Err(RequestError::Refused { topic, reason });
                }
                _ => {}
            },
        }
        pending.reply().await
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Message, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("topic", &self.publish.topic())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A request was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer came in time.
    #[error(
        "request to '{topic}': no answer within {timeout:?}; does somebody answer there, and to the response topic?"
    )]
    TimedOut {
        /// Where it was published, or was to be.
        topic: String,
        /// How long the answer was waited for.
        timeout: Duration,
    },
    /// The server has the message, and no subscription it is for.
    #[error("request to '{topic}': nobody has subscribed to that topic; is the service running?")]
    NobodyListens {
        /// Where it was published.
        topic: String,
    },
    /// The server refused the message.
    #[error("request to '{topic}': refused by the server: {reason}")]
    Refused {
        /// Where it was published.
        topic: String,
        /// The server's reason.
        reason: ReasonCode,
    },
    /// It was taken into the outbox, and whether it arrived is not known, or it did not.
    #[error("request: {0}")]
    Lost(#[source] LostMessage),
    /// It was not taken into the outbox.
    #[error("request: {0}")]
    Publish(#[source] PublishError),
    /// Answers cannot be received. Where the server allows other topics for that, set
    /// [`response_prefix`](crate::ClientBuilder::response_prefix).
    #[error(
        "request: no answer could be received: {0}; set a response_prefix that the server allows"
    )]
    Subscribe(#[source] SubscribeError),
    /// As many requests wait for their answers as may.
    #[error("request: {limit} others wait for their answers; make fewer at once")]
    TooMany {
        /// How many may wait.
        limit: usize,
    },
    /// The client is closed, or was closed while the answer was waited for.
    #[error("request: the client is closed")]
    Closed,
}

impl From<LostMessage> for RequestError {
    fn from(why: LostMessage) -> Self {
        match why {
            LostMessage::Closed => Self::Closed,
            _ => Self::Lost(why),
        }
    }
}

impl From<PublishError> for RequestError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Closed(_) => Self::Closed,
            PublishError::Lost(why) => why.into(),
            _ => Self::Publish(error),
        }
    }
}

impl From<SubscribeError> for RequestError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Closed => Self::Closed,
            _ => Self::Subscribe(error),
        }
    }
}
