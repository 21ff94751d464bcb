//! Publishing a value when it changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{PublishProperties, Qos, TopicName};
use ohmqtt_driver::Cell;
use tokio::time::Instant;

use super::{Automation, Form, Keep, Line, Outcome, interval};
use crate::client::Client;
use crate::error::PublishError;

/// A value that is to be published when it changes, made by [`Client::on_change`]. Nothing happens until [`publish`](Self::publish).
#[must_use = "an automation is started by `.publish(..)`"]
pub struct OnChange<'a> {
    client: &'a Client,
    runtime: Option<Keep>,
    min_interval: Duration,
    form: Form,
}

impl Client {
    /// Publishes a value by itself when it changes: `let value = client.on_change(min_interval).publish(topic)?`, and then `value.set(payload)`
    /// as often as there is news.
    ///
    /// A value is published at once if the last message is at least `min_interval` old, else when it is. Until then, and until that
    /// message is acknowledged (at QoS 0: sent) and the outbox has room, a newer value replaces an older one. A value that is as the last
    /// that was published is not published again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// # let client = ohmqtt_client::Client::connect(broker.url()).await?;
    /// use std::time::Duration;
    /// use ohmqtt_client::Qos;
    ///
    /// let mut inbox = client.subscribe("door/state").await?;
    /// let state = client.on_change(Duration::from_millis(100)).qos(Qos::AtLeastOnce).retain(true).publish("door/state")?;
    /// state.set("closed");
    /// assert_eq!(inbox.recv().await.expect("the client is open").payload, "closed");
    /// for value in ["ajar", "open", "wide open"] {
    ///     state.set(value);
    /// }
    /// assert_eq!(inbox.recv().await.expect("the client is open").payload, "wide open");
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_change(&self, min_interval: Duration) -> OnChange<'_> {
        OnChange::new(self, min_interval, None)
    }
}

impl<'a> OnChange<'a> {
    pub(crate) fn new(client: &'a Client, min_interval: Duration, runtime: Option<Keep>) -> Self {
        Self {
            client,
            runtime,
            min_interval,
            form: Form::default(),
        }
    }

    /// How surely messages are delivered; without this, QoS 0: what is published without a connection is lost, and counted as failed.
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

    /// Starts it. A topic that is none, and an interval of zero, are told here.
    pub fn publish<T>(self, topic: T) -> Result<Changes, PublishError>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        let min_interval = interval("min_interval", self.min_interval)?;
        let line = Line::new(self.client, topic, self.form)?;
        let progress = Arc::clone(&line.progress);
        let newest = Arc::<Newest>::default();
        let run = run(line, min_interval, Arc::clone(&newest));
        let task = self.client.callbacks().runtime.spawn(run);
        Ok(Changes {
            automation: Automation::new(self.client, self.runtime, progress, &task),
            newest,
        })
    }
}

impl fmt::Debug for OnChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnChange")
            .field("min_interval", &self.min_interval)
            .finish_non_exhaustive()
    }
}

/// A value that is published when it changes, until this is dropped. A value that was not published by then is not published.
///
/// It keeps its client alive.
#[must_use = "dropping it ends the automation"]
pub struct Changes {
    automation: Automation,
    newest: Arc<Newest>,
}

/// The value that was set last and is not published yet.
type Newest = Cell<Option<Bytes>>;

impl Changes {
    /// This is the value now. It returns at once, and may be called from anywhere.
    pub fn set(&self, payload: impl Into<Bytes>) {
        let payload = payload.into();
        if self
            .newest
            .update(|newest| newest.replace(payload))
            .is_some()
        {
            self.automation.progress.skip();
        }
    }

    /// What it has done.
    pub fn automation(&self) -> &Automation {
        &self.automation
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changes").field(&self.automation).finish()
    }
}

/// The task: until the client is closed.
async fn run(mut line: Line, min_interval: Duration, newest: Arc<Newest>) {
    let mut earliest = Instant::now();
    loop {
        let room = line.core.room_count();
        if line.is_busy() {
            line.done().await;
        }
        newest.until(|newest| newest.is_some().then_some(())).await;
        tokio::time::sleep_until(earliest).await;
        // It was waited for, and only this takes it.
        let Some(payload) = newest.update(Option::take) else {
            continue;
        };
        if line.is_old(&payload) {
            continue;
        }
        match line.publish(payload) {
            Outcome::Taken => earliest = Instant::now() + min_interval,
            Outcome::Failed => {}
            Outcome::NoRoom(payload) => {
                let replaced = newest.update(|newest| {
                    let newer = newest.take();
                    let replaced = newer.is_some();
                    *newest = newer.or(Some(payload));
                    replaced
                });
                if replaced {
                    line.progress.skip();
                }
                line.core.more_room(room).await;
            }
            Outcome::Closed => return,
        }
    }
}
