//! Messages that are published by themselves: at an interval, or when a value changes.
//!
//! Each automation is one task on the client's runtime, and one message under way at most: what comes while that is not acknowledged is
//! skipped, so that a slow link piles nothing up. When to publish is decided in `every` and `changes`; how, here.

mod changes;
mod every;

use std::any::Any;
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{PublishProperties, Qos, ReasonCode, TopicName};
use ohmqtt_session::LostMessage;
use tokio::task::{AbortHandle, JoinHandle};

pub use self::changes::{Changes, OnChange};
pub use self::every::Every;
use crate::client::Client;
use crate::core::Core;
use crate::error::PublishError;
use crate::events::Event;
use crate::publication::{Acknowledgement, Publication};
use crate::publish::Publish;

/// Messages that are published by themselves, until this is dropped.
///
/// It keeps its client alive. What was taken into the outbox goes out also when this is dropped; a call of the payload's closure that runs
/// then is finished. When the client is closed the automation ends by itself.
#[must_use = "dropping it ends the automation"]
pub struct Automation {
    task: AbortHandle,
    progress: Arc<Progress>,
    /// Behind the task: it may be the last user.
    _client: Client,
    /// What else the client needs to run.
    _runtime: Option<Keep>,
}

/// Something that is to live as long as an automation.
pub(crate) type Keep = Arc<dyn Any + Send + Sync>;

impl Automation {
    /// Ends it, as dropping does.
    pub fn stop(self) {
        drop(self);
    }

    /// How many messages were taken into the outbox.
    pub fn published(&self) -> u64 {
        self.progress.published.load(Ordering::Relaxed)
    }

    /// How many messages were not published because the one before was not acknowledged yet (at QoS 0: not sent), or the outbox had no
    /// room; of values that were set, those that a newer one replaced.
    pub fn skipped(&self) -> u64 {
        self.progress.skipped.load(Ordering::Relaxed)
    }

    /// How many messages were refused, by the client or by the server, or lost, and how often the payload's closure panicked.
    pub fn failed(&self) -> u64 {
        self.progress.failed.load(Ordering::Relaxed)
    }

    /// Why the last of them failed.
    pub fn last_error(&self) -> Option<AutomationError> {
        self.progress.last_error().clone()
    }

    fn new(
        client: &Client,
        runtime: Option<Keep>,
        progress: Arc<Progress>,
        task: &JoinHandle<()>,
    ) -> Self {
        Self {
            task: task.abort_handle(),
            progress,
            _client: client.clone(),
            _runtime: runtime,
        }
    }
}

impl Drop for Automation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Automation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automation")
            .field("published", &self.published())
            .field("skipped", &self.skipped())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}

/// Why a message that was to be published by itself was not, or did not arrive.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutomationError {
    /// It was not taken into the outbox.
    #[error("{0}")]
    Publish(#[source] Arc<PublishError>),
    /// The server refused it.
    #[error("refused by the server: {0}")]
    Refused(ReasonCode),
    /// It was taken, and whether it arrived is not known, or it did not.
    #[error("{0}")]
    Lost(#[source] LostMessage),
    /// The closure that makes payloads panicked, and said this.
    #[error("the closure that makes payloads panicked: {0}")]
    Panicked(String),
}

/// What an automation has done.
#[derive(Debug, Default)]
struct Progress {
    published: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<AutomationError>>,
}

impl Progress {
    fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    fn fail(&self, error: AutomationError) {
        *self.last_error() = Some(error);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn last_error(&self) -> std::sync::MutexGuard<'_, Option<AutomationError>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all messages of an automation have in common.
#[derive(Clone, Debug, Default)]
struct Form {
    qos: Qos,
    retain: bool,
    properties: PublishProperties,
}

/// Where the messages of one automation go out, one after the other.
struct Line {
    core: Arc<Core>,
    topic: TopicName,
    form: Form,
    progress: Arc<Progress>,
    under_way: Option<Publication>,
    /// The payload that was published last and did not fail.
    last: Option<Bytes>,
}

/// What became of a payload.
enum Outcome {
    Taken,
    /// There is no room; it is given back.
    NoRoom(Bytes),
    Failed,
    /// The client is closed.
    Closed,
}

impl Line {
    fn new<T>(client: &Client, topic: T, form: Form) -> Result<Self, PublishError>
    where
        T: TryInto<TopicName>,
        PublishError: From<T::Error>,
    {
        Ok(Self {
            core: Arc::clone(&client.shared().core),
            topic: topic.try_into()?,
            form,
            progress: Arc::default(),
            under_way: None,
            last: None,
        })
    }

    /// Waits until the message under way is done with; for ever, when there is none.
    async fn done(&mut self) {
        let end = match &self.under_way {
            Some(publication) => publication.acked().await,
            None => pending().await,
        };
        self.under_way = None;
        let error = match end {
            Ok(Acknowledgement { reason, .. }) if !reason.is_error() => return,
            Ok(Acknowledgement { reason, .. }) => AutomationError::Refused(reason),
            Err(why) => AutomationError::Lost(why),
        };
        // What did not arrive is new when it comes again.
        self.last = None;
        self.progress.fail(error);
    }

    fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether this is what was published last.
    fn is_old(&self, payload: &Bytes) -> bool {
        self.last.as_ref() == Some(payload)
    }

    fn publish(&mut self, payload: Bytes) -> Outcome {
        let Form {
            qos,
            retain,
            properties,
        } = self.form.clone();
        let message = Publish::new(&self.core, self.topic.clone(), payload.clone());
        let message = message.qos(qos).retain(retain);
        match message.properties(|own| *own = properties).send() {
            Ok(publication) => {
                self.under_way = Some(publication);
                self.last = Some(payload);
                self.progress.published.fetch_add(1, Ordering::Relaxed);
                Outcome::Taken
            }
            Err(PublishError::Full(_)) => Outcome::NoRoom(payload),
            Err(error) => {
                let closed = matches!(error, PublishError::Closed(_));
                self.progress.fail(AutomationError::Publish(error.into()));
                if closed {
                    Outcome::Closed
                } else {
                    Outcome::Failed
                }
            }
        }
    }

    /// The closure that makes payloads panicked.
    fn panicked(&self, panic: String) {
        let topic = self.topic.clone();
        tracing::error!(%topic, panic, "a closure that makes payloads panicked");
        self.progress.fail(AutomationError::Panicked(panic.clone()));
        let event = Event::AutomationPanicked { topic, panic };
        self.core.events.ring(event);
    }
}

/// No time at all is no interval.
fn interval(field: &'static str, interval: Duration) -> Result<Duration, PublishError> {
    if interval.is_zero() {
        let problem = "must not be zero".to_owned();
        return Err(PublishError::Value { field, problem });
    }
    Ok(interval)
}
