//! A subscription: asked for as a value with options, held as a stream of messages.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use ohmqtt_codec::{
    Filters, InvalidTopic, MqttString, Qos, ReasonCode, RetainHandling, SubAck,
    SubscribeProperties, SubscriptionOptions, TopicFilter,
};

use crate::callback::Callback;
use crate::client::Client;
use crate::error::SubscribeError;
use crate::inbox::Inbox;
use crate::message::Message;
use crate::queue::{Queue, QueueLimits, WhenFull};
use crate::routes::Awaited;

/// A subscription that is about to be made, by [`Client::subscribe`]. Nothing happens until it is sent or awaited.
///
/// `send()` declares it, connected or not, and returns its stream at once. `.await` also waits for the server's answer.
///
/// Cancel safety: when the future is dropped there is no subscription; what was asked of the server is taken back.
#[must_use = "a subscription is made by `.send()` or `.await`"]
#[derive(Debug)]
pub struct Subscribe<'a> {
    client: &'a Client,
    /// Those without options of their own have those below.
    filters: Vec<(
        Result<TopicFilter, InvalidTopic>,
        Option<SubscriptionOptions>,
    )>,
    options: SubscriptionOptions,
    properties: SubscribeProperties,
    problem: Option<SubscribeError>,
    limits: QueueLimits,
    when_full: WhenFull,
    manual_ack: bool,
    inbox: Option<Arc<Queue>>,
    /// Whose place it takes.
    before: Option<u64>,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn new(client: &'a Client, filter: &str) -> Self {
        let filters = vec![(TopicFilter::new(filter), None)];
        // What is asked for is what most subscribers want: nothing lost.
        let options = SubscriptionOptions::new(Qos::ExactlyOnce);
        Self {
            client,
            filters,
            options,
            properties: SubscribeProperties::default(),
            problem: None,
            limits: QueueLimits::default(),
            when_full: WhenFull::default(),
            manual_ack: false,
            inbox: None,
            before: None,
        }
    }

    /// One more filter for the same stream, in the same SUBSCRIBE, with the same options.
    pub fn and(mut self, filter: impl AsRef<str>) -> Self {
        self.filters.push((TopicFilter::new(filter), None));
        self
    }

    /// One more filter for the same stream, in the same SUBSCRIBE, with options of its own.
    pub fn and_with(mut self, filter: impl AsRef<str>, options: SubscriptionOptions) -> Self {
        self.filters.push((TopicFilter::new(filter), Some(options)));
        self
    }

    /// Adds a name and a value of the application's own to the SUBSCRIBE (section 3.8.2.1.3). Their order is kept, names may repeat.
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        match (MqttString::try_from(name), MqttString::try_from(value)) {
            (Ok(name), Ok(value)) => self.properties.add_user_property(&name, &value),
            (Err(error), _) | (_, Err(error)) => {
                self.problem.get_or_insert(SubscribeError::Value {
                    field: "user property",
                    problem: error.to_string(),
                });
            }
        }
        self
    }

    /// The highest QoS at which the server may deliver; without this, QoS 2: each message as it was published.
    pub fn qos(mut self, qos: Qos) -> Self {
        self.options.qos = qos;
        self
    }

    /// Leaves out what this client publishes itself. Not for shared filters.
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.options.no_local = no_local;
        self
    }

    /// Shows the retain flag as it was published.
    pub fn retain_as_published(mut self, as_published: bool) -> Self {
        self.options.retain_as_published = as_published;
        self
    }

    /// Whether retained messages are sent when the subscription is made.
    pub fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.options.retain_handling = handling;
        self
    }

    /// How many messages may wait for the reader; without this, 1,000. Beyond that, and beyond
    /// [`capacity_bytes`](Self::capacity_bytes), [`when_full`](Self::when_full) says what becomes of them.
    ///
    /// Unless it says otherwise this is for QoS 0: messages of higher QoS are never dropped, the server holds them back while they are
    /// not read.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.limits.messages = messages;
        self
    }

    /// How many bytes of messages may wait for the reader, topics, properties and payloads; without this, 64 MiB.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// What becomes of messages when the reader is too slow; without this, [`WhenFull::Hold`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Leaves acknowledging to [`Message::ack`] and [`Message::reject`]. Without this a message is acknowledged when it is handed over.
    pub fn manual_ack(mut self) -> Self {
        self.manual_ack = true;
        self
    }

    /// Has its messages come to this inbox, in the place of a stream of its own. The inbox's bounds and way of acknowledging count.
    pub fn deliver_to(mut self, inbox: &Inbox) -> Self {
        self.inbox = Some(Arc::clone(inbox.queue()));
        self
    }

    /// Takes the place of another subscription of this client, which ends at that moment: each message comes to one of them. What waits
    /// for it comes to this one, as far as its filters match.
    pub fn in_place_of(mut self, before: &Subscription) -> Self {
        self.before = Some(before.number);
        self
    }

    /// Declares the subscription and returns its stream. With a connection it is asked for now, without one at the next.
    ///
    /// A refusal is told by [`Subscription::granted`].
    pub fn send(self) -> Result<Subscription, SubscribeError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut filters = self
            .filters
            .into_iter()
            .map(|(filter, options)| (filter, options.unwrap_or(self.options)));
        let Some((first, options)) = filters.next() else {
            return Err(SubscribeError::Closed);
        };
        let mut wanted = Filters::new(&first?, options)?;
        for (filter, options) in filters {
            wanted.push(&filter?, options)?;
        }
        let shares_queue = self.inbox.is_some();
        let queue = self.inbox.unwrap_or_else(|| {
            let own = Queue::new(self.limits, self.when_full, self.manual_ack);
            Arc::new(own)
        });
        let (number, answer) = self.client.declare(
            wanted.clone(),
            self.properties,
            Arc::clone(&queue),
            shares_queue,
            self.before,
        )?;
        Ok(Subscription {
            client: Some(self.client.clone()),
            number,
            filters: wanted,
            queue,
            shares_queue,
            answer,
        })
    }
}

impl<'a> IntoFuture for Subscribe<'a> {
    type Output = Result<Subscription, SubscribeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let subscription = self.send()?;
            subscription.granted().await?;
            Ok(subscription)
        })
    }
}

/// The messages of one subscription, in the order they came.
///
/// Dropping it unsubscribes in the background. It keeps its client alive.
///
/// Cancel safety of its items as a stream: a message is taken out only when it is returned.
pub struct Subscription {
    /// `None` once it is left to itself.
    client: Option<Client>,
    number: u64,
    filters: Filters,
    queue: Arc<Queue>,
    /// It is an inbox's.
    shares_queue: bool,
    answer: Awaited,
}

impl Subscription {
    /// Waits for the next message; `None` once the client is closed. Where acknowledging is not manual, the message is acknowledged by
    /// being returned.
    ///
    /// Cancel safety: a message is taken out only when it is returned, so none is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Message> {
        if self.shares_queue {
            return None;
        }
        self.queue.pop().await
    }

    /// The next message if one has come.
    pub fn try_recv(&mut self) -> Option<Message> {
        if self.shares_queue {
            return None;
        }
        self.queue.try_pop()
    }

    /// What [`Message::subscription`] says of its messages: from 1 on, and never the same again with this client.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Waits for the server's answer: the QoS granted for each filter, in their order. After the server has lost the session, for its
    /// answer to the new request.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn granted(&self) -> Result<Vec<ReasonCode>, SubscribeError> {
        let codes: Vec<_> = self.suback().await?.codes.iter().collect();
        let refused = codes
            .iter()
            .zip(self.filters.iter())
            .find(|(code, _)| code.is_error());
        if let Some((reason, (filter, _))) = refused {
            return Err(SubscribeError::Refused {
                filter: filter.as_str().to_owned(),
                reason: *reason,
            });
        }
        Ok(codes)
    }

    /// As [`granted`](Self::granted), the whole SUBACK (section 3.9): with what the server has to say beside the codes, which may be
    /// refusals. The future does not hold the subscription.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub fn suback(&self) -> impl Future<Output = Result<SubAck, SubscribeError>> + Send + use<> {
        let answer = Arc::clone(&self.answer);
        async move {
            let answer = answer.until(|answer| answer.clone()).await;
            answer.map_err(SubscribeError::from)
        }
    }

    /// Ends the subscription and waits for the server's word on that, its UNSUBACK (section 3.11); `None` when it was not asked: it did
    /// not know the subscription, or others of this client have the same filters. Without a connection it waits for the next.
    ///
    /// Cancel safety: once polled, the subscription ends also when the future is dropped.
    pub async fn unsubscribe(mut self) -> Result<Option<SubAck>, SubscribeError> {
        let Some(client) = self.client.take() else {
            return Ok(None);
        };
        let parted = client.undeclare(self.number);
        let answer = parted.until(|answer| answer.clone()).await;
        answer.map_err(SubscribeError::from)
    }

    /// Gives every message to a callback from now on, those that wait included, in the order they came.
    ///
    /// Callbacks of a client run one after another on a thread of their own. They may block, publish, wait, subscribe and close; one that
    /// takes long holds up the others, and nothing else. Where acknowledging is not manual, a message is acknowledged when its callback
    /// returns. A callback that panics is told as [`Event::CallbackPanicked`](crate::Event::CallbackPanicked); its message is refused with
    /// [`ReasonCode::ImplementationSpecificError`], and it goes on with the next.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// let subscription = client.subscribe("lamps/+/set").await?;
    /// let callback = subscription.on_message(|message| println!("{}: {:?}", message.topic, message.payload))?;
    /// // It runs until `callback` is dropped.
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_message(
        self,
        callback: impl FnMut(Message) + Send + 'static,
    ) -> Result<Callback, SubscribeError> {
        if let Some(client) = &self.client {
            client
                .callbacks()
                .add(Arc::clone(&self.queue), Box::new(callback))
                .map_err(SubscribeError::NoThread)?;
        }
        Ok(Callback::new(self))
    }

    /// Leaves it to itself: it goes on until the client is closed.
    pub(crate) fn forget(mut self) {
        self.client = None;
    }

    /// How many messages were dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.shares_queue {
            return Poll::Ready(None);
        }
        self.queue.poll_pop(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            client.undeclare(self.number);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

/// The messages that no subscription claims, from [`Client::unclaimed`]. They are acknowledged when they are handed over.
#[derive(Debug)]
pub struct Unclaimed {
    pub(crate) queue: Arc<Queue>,
}

impl Unclaimed {
    /// Waits for the next message; `None` once the client is closed.
    ///
    /// Cancel safety: a message is taken out only when it is returned, so none is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Message> {
        self.queue.pop().await
    }
}
