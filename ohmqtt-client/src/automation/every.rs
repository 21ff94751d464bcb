//! Publishing at an interval.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{PublishProperties, Qos, TopicName};
use tokio::time::MissedTickBehavior;

use super::{Automation, Form, Keep, Line, Outcome, interval};
use crate::callback::text;
use crate::client::Client;
use crate::error::PublishError;

/// Messages that are to be published at an interval, made by [`Client::every`]. Nothing happens until [`publish`](Self::publish).
#[must_use = "an automation is started by `.publish(..)`"]
pub struct Every<'a> {
    client: &'a Client,
    runtime: Option<Keep>,
    interval: Duration,
    form: Form,
    only_changes: bool,
}

impl Client {
    /// Publishes by itself: `client.every(interval).publish(topic, || payload)?`, until what that returns is dropped.
    ///
    /// The first message goes out at once, each other an interval after the one before was due. When a message is not acknowledged by
    /// the time of the next one (at QoS 0: not sent), or the outbox has no room, that one is [skipped](Automation::skipped); so nothing
    /// piles up where the link is slow. After a suspension one message goes out, and the next an interval later.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// use std::time::{Duration, Instant};
    /// use ohmqtt_client::Qos;
    ///
    /// let mut inbox = client.subscribe("gateway/uptime").await?;
    /// let began = Instant::now();
    /// let uptime = client
    ///     .every(Duration::from_secs(1))
    ///     .qos(Qos::AtLeastOnce)
    ///     .publish("gateway/uptime", move || began.elapsed().as_secs().to_string())?;
    /// assert_eq!(inbox.recv().await.expect("the client is open").payload, "0");
    /// uptime.stop();
    /// # Ok(())
    /// # }
    /// ```
    pub fn every(&self, interval: Duration) -> Every<'_> {
        Every::new(self, interval, None)
    }
}

impl<'a> Every<'a> {
    pub(crate) fn new(client: &'a Client, interval: Duration, runtime: Option<Keep>) -> Self {
        Self {
            client,
            runtime,
            interval,
            form: Form::default(),
            only_changes: false,
        }
    }

    /// How surely messages are delivered; without this, QoS 0: what is due without a connection is lost, and counted as failed.
    pub fn qos(mut self, qos: Qos) -> Self {
        self.form.qos = qos;
        self
    }

    /// Asks the server to keep each for later subscribers of the topic (section 3.3.1.3).
    pub fn retain(mut self, retain: bool) -> Self {
        self.form.retain = retain;
        self
    }

    /// Sets properties, which all messages have.
    pub fn properties(mut self, set: impl FnOnce(&mut PublishProperties)) -> Self {
        set(&mut self.form.properties);
        self
    }

    /// Publishes a payload only when it is another than the last that was published; that one failing makes any payload another. The
    /// interval is then the least time between two messages.
    pub fn only_changes(mut self) -> Self {
        self.only_changes = true;
        self
    }

    /// Starts it. Whenever a message is due, and not skipped, `payload` is called for what it says.
    ///
    /// The closure runs on the client's runtime, so it must not block. When it panics, that is told as
    /// [`Event::AutomationPanicked`](crate::Event::AutomationPanicked) and counted as failed, nothing is published, and it is called again
    /// the next time.
    ///
    /// A topic that is none, and an interval of zero, are told here.
    pub fn publish<T, P>(
        self,
        topic: T,
        mut payload: impl FnMut() -> P + Send + 'static,
    ) -> Result<Automation, PublishError>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
        P: Into<Bytes>,
    {
        let interval = interval("interval", self.interval)?;
        let line = Line::new(self.client, topic, self.form)?;
        let progress = Arc::clone(&line.progress);
        let run = run(line, interval, self.only_changes, move || payload().into());
        let runtime = &self.client.callbacks().runtime;
        let task = runtime.spawn(run);
        Ok(Automation::new(self.client, self.runtime, progress, &task))
    }
}

impl fmt::Debug for Every<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Every")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The task: until the client is closed.
async fn run(
    mut line: Line,
    interval: Duration,
    only_changes: bool,
    mut payload: impl FnMut() -> Bytes + Send,
) {
    let mut ticks = tokio::time::interval(interval);
    // After a suspension one is due, not as many as were missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // What is done with is known before the next is due.
            biased;
            () = line.done() => continue,
            _ = ticks.tick() => {}
        }
        if line.is_busy() {
            line.progress.skip();
            continue;
        }
        // What the closure leaves behind is the closure's.
        let payload = match catch_unwind(AssertUnwindSafe(&mut payload)) {
            Ok(payload) => payload,
            Err(panic) => {
                line.panicked(text(&*panic));
                continue;
            }
        };
        if only_changes && line.is_old(&payload) {
            continue;
        }
        match line.publish(payload) {
            Outcome::Taken | Outcome::Failed => {}
            Outcome::NoRoom(_) => line.progress.skip(),
            Outcome::Closed => return,
        }
    }
}
