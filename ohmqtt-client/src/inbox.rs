//! One stream for the messages of several subscriptions.

use std::sync::Arc;

use crate::client::Shared;
use crate::message::Message;
use crate::queue::{Queue, QueueLimits, WhenFull};

/// An inbox that is about to be opened, by [`Client::inbox`](crate::Client::inbox).
#[must_use = "an inbox is made by `.open()`"]
#[derive(Debug)]
pub struct OpenInbox<'a> {
    shared: &'a Shared,
    limits: QueueLimits,
    when_full: WhenFull,
    manual_ack: bool,
}

impl<'a> OpenInbox<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            limits: QueueLimits::default(),
            when_full: WhenFull::default(),
            manual_ack: false,
        }
    }

    /// How many messages may wait, as [`Subscribe::capacity`](crate::Subscribe::capacity); without this, 1,000.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.limits.messages = messages;
        self
    }

    /// How many bytes of messages may wait, as [`Subscribe::capacity_bytes`](crate::Subscribe::capacity_bytes); without this, 64 MiB.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// What becomes of messages when the reader is too slow; without this, [`WhenFull::Hold`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Leaves acknowledging to [`Message::ack`] and [`Message::reject`].
    pub fn manual_ack(mut self) -> Self {
        self.manual_ack = true;
        self
    }

    /// Opens it.
    pub fn open(self) -> Inbox {
        let queue = Arc::new(Queue::new(self.limits, self.when_full, self.manual_ack));
        self.shared.routes().share(&queue);
        Inbox { queue }
    }
}

/// The messages of several subscriptions in one stream, in the order they came. Each says [by which](Message::subscription) it came; one
/// that several of them want comes once for each.
///
/// Clones read the same stream: each message comes to one of them. It does not keep its client alive. When a subscription ends, what waits here for it goes where it would have gone without it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
/// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
/// let mut inbox = client.inbox().open();
/// let lamps = client.subscribe("lamps/#").deliver_to(&inbox).await?;
/// let doors = client.subscribe("doors/#").deliver_to(&inbox).await?;
/// client.publish("lamps/hall", "on").await?;
/// let message = inbox.recv().await.ok_or("closed")?;
/// assert_eq!(message.subscription(), lamps.number());
/// # assert_ne!(message.subscription(), doors.number());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: Arc<Queue>,
}

impl Inbox {
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Waits for the next message; `None` once the client is closed. Where acknowledging is not manual, the message is acknowledged by
    /// being returned.
    ///
    /// Cancel safety: a message is taken out only when it is returned, so none is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Message> {
        self.queue.pop().await
    }

    /// The next message if one has come.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.queue.try_pop()
    }

    /// How many messages were dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}
