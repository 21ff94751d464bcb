//! Where answers come, and how each finds the request it is for.
//!
//! All requests of a client share one response topic and one subscription to it, its *inbox*. What comes there is read by a task of its
//! own on the client's runtime, and finds its request by correlation data. Not by the thread of the callbacks, since a callback may
//! block until it is answered; and not where messages are dispatched, so that those for inboxes need no way of their own.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use ohmqtt_codec::{
    Filters, InvalidTopic, Qos, RetainHandling, SubscribeProperties, SubscriptionOptions,
    TopicFilter, TopicName,
};
use ohmqtt_driver::Cell;

use super::RequestError;
use crate::client::{Client, Shared};
use crate::core::Core;
use crate::error::SubscribeError;
use crate::message::Message;
use crate::queue::{Queue, QueueLimits, WhenFull};
use crate::routes::Awaited;

/// How many requests may wait for their answers at once.
const PENDING: usize = 65_536;

/// What response topics begin with when nothing else is said.
const PREFIX: &str = "ohmqtt/replies";

/// The correlation data of a request: its number, and what only this client can have made of that.
type Correlation = [u8; 24];

/// What a client needs for its requests.
#[derive(Debug)]
pub(crate) struct Requests {
    /// What was set in the place of [`PREFIX`] and of what the server says.
    prefix: Option<TopicName>,
    state: Mutex<State>,
    /// Two secrets, which make correlation data that nobody can guess.
    secrets: [RandomState; 2],
}

#[derive(Debug, Default)]
struct State {
    /// The server's Response Information.
    information: Option<String>,
    /// Where answers to the next request come.
    inbox: Option<Arc<Inbox>>,
    /// Requests made.
    made: u64,
}

/// A response topic and the subscription to it, which ends with this. The client holds one, and so does each request that is to be
/// answered there.
#[derive(Debug)]
struct Inbox {
    topic: TopicName,
    /// What the topic was to begin with.
    prefix: String,
    number: u64,
    granted: Awaited,
    table: Arc<Table>,
    /// The client holds the inbox.
    shared: Weak<Shared>,
}

/// The requests that wait for an answer in one inbox.
#[derive(Debug, Default)]
struct Table(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    slots: HashMap<Correlation, Arc<Slot>>,
    /// Nothing comes into the inbox any more.
    ended: bool,
}

/// What one request waits for: its answer, or that there will be none because the client has ended.
type Slot = Cell<Option<Option<Message>>>;

impl Requests {
    pub(crate) fn new(prefix: Option<TopicName>) -> Self {
        Self {
            prefix,
            state: Mutex::default(),
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    /// The server has accepted a connection, and said this of response topics (section 3.2.2.3.15).
    pub(crate) fn connected(&self, information: Option<&str>) {
        self.state().information = information.map(str::to_owned);
    }

    /// Opens a request, once the server has granted that answers come in.
    pub(super) async fn open(&self, client: &Client) -> Result<Pending, RequestError> {
        // Without a connection it is not known what the server says of response topics, nor the Client Identifier that it assigns.
        let Shared { status, core, .. } = &**client.shared();
        let connected = || core.counters.connections.load(Ordering::Relaxed) > 0;
        status
            .until(|status| (status.ended || connected()).then_some(()))
            .await;
        let inbox = self.inbox(client)?;
        if let Err(error) = inbox.granted().await {
            // The next request asks anew.
            let refused = self.state().inbox.take_if(|own| Arc::ptr_eq(own, &inbox));
            drop(refused);
            return Err(error.into());
        }
        let key = self.correlation();
        let slot = inbox.table.insert(key)?;
        Ok(Pending { key, slot, inbox })
    }

    /// Where the answer to a new request is to come.
    fn inbox(&self, client: &Client) -> Result<Arc<Inbox>, RequestError> {
        let mut state = self.state();
        let own = self.prefix.as_ref().map(TopicName::as_str);
        let prefix = own.or(state.information.as_deref()).unwrap_or(PREFIX);
        if let Some(inbox) = &state.inbox
            && inbox.prefix == prefix
        {
            return Ok(Arc::clone(inbox));
        }
        let inbox = Arc::new(Inbox::declare(client, prefix)?);
        let earlier = state.inbox.replace(Arc::clone(&inbox));
        drop(state);
        // It may be the last that holds it.
        drop(earlier);
        Ok(inbox)
    }

    /// Correlation data for the next request: a hash under keys that nobody else has, of a number that is not used again.
    fn correlation(&self) -> Correlation {
        let number = {
            let mut state = self.state();
            state.made += 1;
            state.made
        };
        let [one, two] = self.secrets.each_ref().map(|keys| keys.hash_one(number));
        let mut key = Correlation::default();
        for (to, part) in key.chunks_exact_mut(8).zip([number, one, two]) {
            to.copy_from_slice(&part.to_be_bytes());
        }
        key
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn declare(client: &Client, prefix: &str) -> Result<Self, RequestError> {
        let topic = topic(prefix, &client.client_id()).map_err(SubscribeError::from)?;
        let filter = TopicFilter::new(topic.as_str()).map_err(SubscribeError::from)?;
        let options = SubscriptionOptions {
            // What was retained there is no answer to a new request.
            retain_handling: RetainHandling::DoNotSend,
            ..SubscriptionOptions::new(Qos::AtLeastOnce)
        };
        let filters = Filters::new(&filter, options).map_err(SubscribeError::from)?;
        let limits = QueueLimits {
            messages: PENDING,
            ..QueueLimits::default()
        };
        let queue = Arc::new(Queue::new(limits, WhenFull::default(), false));
        let shared = client.shared();
        let properties = SubscribeProperties::default();
        let (number, granted) =
            shared.declare(filters, properties, Arc::clone(&queue), false, None)?;
        let table = Arc::<Table>::default();
        let read = read(queue, Arc::clone(&table), Arc::clone(&shared.core));
        shared.callbacks.runtime.spawn(read);
        Ok(Self {
            topic,
            prefix: prefix.to_owned(),
            number,
            granted,
            table,
            shared: Arc::downgrade(shared),
        })
    }

    /// Waits for the server's answer to the subscription.
    async fn granted(&self) -> Result<(), SubscribeError> {
        let suback = self.granted.until(|answer| answer.clone()).await?;
        match suback.codes.iter().find(|code| code.is_error()) {
            None => Ok(()),
            Some(reason) => Err(SubscribeError::Refused {
                filter: self.topic.as_str().to_owned(),
                reason,
            }),
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.undeclare(self.number);
        }
    }
}

/// The topic of an inbox. There is one for each Client Identifier, so that a session gathers no others when it outlives its clients; a
/// random one where there is no identifier, or it does not fit into a topic.
fn topic(prefix: &str, client_id: &str) -> Result<TopicName, InvalidTopic> {
    let prefix = prefix.trim_end_matches('/');
    let random = format!("{:016x}", fastrand::u64(..));
    let own = if client_id.is_empty() {
        &random
    } else {
        client_id
    };
    TopicName::new(format!("{prefix}/{own}"))
        .or_else(|_| TopicName::new(format!("{prefix}/{random}")))
        // What the server said is no topic.
        .or_else(|_| TopicName::new(format!("{PREFIX}/{random}")))
}

/// The task of an inbox: until its subscription or the client ends.
async fn read(queue: Arc<Queue>, table: Arc<Table>, core: Arc<Core>) {
    while let Some(message) = queue.pop().await {
        if !table.answer(message) {
            core.counters.late_replies.fetch_add(1, Ordering::Relaxed);
        }
    }
    table.end();
}

impl Table {
    fn insert(&self, key: Correlation) -> Result<Arc<Slot>, RequestError> {
        let mut waiting = self.lock();
        if waiting.ended {
            return Err(RequestError::Closed);
        }
        if waiting.slots.len() >= PENDING {
            return Err(RequestError::TooMany { limit: PENDING });
        }
        let slot = Arc::<Slot>::default();
        waiting.slots.insert(key, Arc::clone(&slot));
        Ok(slot)
    }

    /// Gives an answer to the request that waits for it; false if there is none.
    fn answer(&self, message: Message) -> bool {
        let data = message.properties.correlation_data();
        let key = data.and_then(|data| Correlation::try_from(data).ok());
        let Some(slot) = key.and_then(|key| self.remove(&key)) else {
            return false;
        };
        slot.update(|slot| *slot = Some(Some(message)));
        true
    }

    fn remove(&self, key: &Correlation) -> Option<Arc<Slot>> {
        self.lock().slots.remove(key)
    }

    /// No answers will come.
    fn end(&self) {
        let slots = {
            let mut waiting = self.lock();
            waiting.ended = true;
            std::mem::take(&mut waiting.slots)
        };
        for slot in slots.into_values() {
            slot.update(|slot| *slot = Some(None));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for its answer, and is forgotten when this is dropped.
pub(super) struct Pending {
    key: Correlation,
    slot: Arc<Slot>,
    inbox: Arc<Inbox>,
}

impl Pending {
    pub(super) fn response_topic(&self) -> &str {
        self.inbox.topic.as_str()
    }

    pub(super) fn correlation_data(&self) -> Bytes {
        Bytes::copy_from_slice(&self.key)
    }

    /// Waits for the answer. It is given once.
    pub(super) async fn reply(&self) -> Result<Message, RequestError> {
        let reply = self.slot.until(Option::take).await;
        reply.ok_or(RequestError::Closed)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.inbox.table.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_topic_is_the_client_s_where_its_name_fits() {
        let of = |prefix, id| topic(prefix, id).unwrap().as_str().to_owned();
        assert_eq!(of("replies", "c"), "replies/c");
        assert_eq!(of("replies/", "c/d"), "replies/c/d");
        assert!(of("replies", "").starts_with("replies/"));
        assert_ne!(of("replies", "#"), of("replies", "#"));
        assert!(of("no/+/topic", "c").starts_with(PREFIX));
        assert!(of("replies", &"c".repeat(65_535)).len() < 100);
    }

    #[test]
    fn correlation_data_is_never_the_same_and_differs_from_client_to_client() {
        let (one, two) = (Requests::new(None), Requests::new(None));
        let (first, second) = (one.correlation(), one.correlation());
        let others = two.correlation();
        assert_eq!(first[..8], others[..8]);
        assert_ne!(first[8..], others[8..]);
        assert_ne!(first[8..], second[8..]);
        assert_ne!(first[8..16], first[16..]);
    }

    #[test]
    fn no_more_requests_wait_than_may() {
        let table = Table::default();
        let key = |n: usize| {
            let mut key = Correlation::default();
            key[..8].copy_from_slice(&n.to_be_bytes());
            key
        };
        for n in 0..PENDING {
            table.insert(key(n)).unwrap();
        }
        let error = table.insert(key(PENDING)).unwrap_err();
        assert!(matches!(error, RequestError::TooMany { limit: PENDING }));
        table.remove(&key(0));
        table.insert(key(PENDING)).unwrap();
        table.end();
        let error = table.insert(key(0)).unwrap_err();
        assert!(matches!(error, RequestError::Closed));
    }
}
