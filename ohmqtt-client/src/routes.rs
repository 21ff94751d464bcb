//! Which subscriptions there are, what the server knows of them, and which of them a message is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use ohmqtt_codec::{
    Filters, ReasonCode, SubscribeProperties, SubscriptionId, TopicFilter, TopicName,
    UnsubscribeFilters,
};
use ohmqtt_driver::{Cell, Handle};
use ohmqtt_session::{ClientSession, Receipt, SubscribeError as NotSubscribed, Ticket};

use crate::message::{Ack, Message};
use crate::queue::Queue;

/// How many messages that no subscription claims wait for one.
const UNCLAIMED: usize = 1000;

/// How many Subscription Identifiers there are (section 3.8.2.1.2).
const IDENTIFIERS: u64 = 268_435_455;

/// What the server said to one subscription.
pub(crate) type Answer = Result<Vec<ReasonCode>, NotSubscribed>;

/// Where that is awaited.
pub(crate) type Awaited = Arc<Cell<Option<Answer>>>;

/// All subscriptions of a client, by number; the number is also the ticket of its SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Routes {
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// The Subscription Identifier of number 0. A session may outlive this client, and its next one counts from elsewhere.
    base: u64,
    /// What no subscription claimed, and the catch-all stream reads.
    pub(crate) unclaimed: Arc<Queue>,
    /// Messages that found no room anywhere, or nobody to read them.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
struct Entry {
    filters: Filters,
    queue: Arc<Queue>,
    answer: Awaited,
    state: State,
}

/// What the server knows of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Wanted,
    /// A SUBSCRIBE is under way.
    Requested,
    /// It was answered.
    Known,
}

impl Routes {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 1,
            base: seed % IDENTIFIERS,
            unclaimed: Arc::new(Queue::new(UNCLAIMED, false)),
            dropped: 0,
        }
    }

    /// Adds a subscription; it is asked for when there is a connection. Messages that came before it and are for it go to it now.
    pub(crate) fn add(&mut self, filters: Filters, queue: Arc<Queue>) -> (u64, Awaited) {
        let number = self.next;
        self.next += 1;
        let answer = Arc::new(Cell::new(None));
        for message in self.unclaimed.drain() {
            let wanted = claims(&filters, &message.topic);
            let to = if wanted { &queue } else { &self.unclaimed };
            to.push(message);
        }
        let entry = Entry {
            filters,
            queue,
            answer: Arc::clone(&answer),
            state: State::Wanted,
        };
        self.entries.insert(number, entry);
        (number, answer)
    }

    /// Removes a subscription, and returns the filters that no other one needs. What it had not handed over waits for another.
    pub(crate) fn remove(&mut self, number: u64) -> Option<UnsubscribeFilters> {
        let entry = self.entries.remove(&number)?;
        entry.queue.end();
        for message in entry.queue.drain() {
            self.keep_unclaimed(message);
        }
        let needed = |filter: &TopicFilter| {
            let mut others = self.entries.values().flat_map(|other| other.filters.iter());
            others.any(|(other, _)| other == *filter)
        };
        let mut unneeded = entry
            .filters
            .iter()
            .map(|(filter, _)| filter)
            .filter(|filter| !needed(filter));
        let mut filters = UnsubscribeFilters::new(&unneeded.next()?);
        unneeded.for_each(|filter| filters.push(&filter));
        (entry.state != State::Wanted).then_some(filters)
    }

    /// The connection stands: without a session of ours at the server, it knows no subscription.
    pub(crate) fn connected(&mut self, session_present: bool) {
        if !session_present {
            self.entries
                .values_mut()
                .for_each(|entry| entry.state = State::Wanted);
        }
    }

    /// Asks for every subscription the server does not know.
    pub(crate) fn reconcile(&mut self, handle: &Handle<ClientSession>) {
        for (number, entry) in self
            .entries
            .iter_mut()
            .filter(|(_, entry)| entry.state == State::Wanted)
        {
            let (filters, ticket) = (entry.filters.clone(), Ticket(*number));
            let mut properties = SubscribeProperties::default();
            match handle.with(|session, _| {
                if session.server_limits().subscription_identifiers_available
                    && let Some(id) = identifier(self.base, *number)
                {
                    properties.set_subscription_identifier(id);
                }
                session.subscribe(filters, properties, ticket)
            }) {
                Ok(_) => entry.state = State::Requested,
                Err(NotSubscribed::NotConnected | NotSubscribed::NoPacketId) => {}
                Err(error) => {
                    entry.state = State::Known;
                    entry.answer.update(|answer| *answer = Some(Err(error)));
                }
            }
        }
    }

    /// The server answered.
    pub(crate) fn answered(&mut self, ticket: Ticket, codes: Vec<ReasonCode>) {
        if let Some(entry) = self.entries.get_mut(&ticket.0) {
            entry.state = State::Known;
            entry.answer.update(|answer| *answer = Some(Ok(codes)));
        }
    }

    /// The connection ended before the server answered.
    pub(crate) fn lost(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entries.get_mut(&ticket.0) {
            entry.state = State::Wanted;
        }
    }

    /// Gives a message to every subscription it is for.
    pub(crate) fn dispatch(
        &mut self,
        handle: &Handle<ClientSession>,
        mut message: ohmqtt_session::Message,
        receipt: Option<Receipt>,
    ) {
        let named = self.named(&message);
        // They are between this client and the server; a message that is published on has none.
        message.properties.remove_subscription_identifiers();
        let matches = |entry: &&Entry| match named.is_empty() {
            true => claims(&entry.filters, &message.topic),
            false => entry.filters.iter().any(|(own, _)| named.contains(&own)),
        };
        let queues: Vec<_> = self
            .entries
            .values()
            .filter(matches)
            .map(|entry| Arc::clone(&entry.queue))
            .collect();
        let shares = queues.len().max(1);
        let ack = receipt.map(|receipt| Arc::new(Ack::new(handle.clone(), receipt, shares)));
        let message = Message::new(message, ack);
        let Some((last, others)) = queues.split_last() else {
            return self.keep_unclaimed(message);
        };
        for queue in others {
            self.dropped += u64::from(!queue.push(message.clone()));
        }
        self.dropped += u64::from(!last.push(message));
    }

    /// The filters for which the server sent this message, where it says so. For overlapping ones it may send a message each
    /// (section 3.3.4), and each is for its own subscription only.
    fn named(&self, message: &ohmqtt_session::Message) -> Vec<TopicFilter> {
        let entries = message
            .properties
            .subscription_identifiers()
            .filter_map(|id| self.entries.get(&number(self.base, id)));
        // Of subscriptions with the same filter the server knows the last: the filter counts, not the subscription.
        entries
            .flat_map(|entry| entry.filters.iter().map(|(filter, _)| filter))
            .filter(|filter| filter.matches(&message.topic))
            .collect()
    }

    fn keep_unclaimed(&mut self, message: Message) {
        // An ended or full queue drops QoS 0; a message of higher QoS is taken off the server's hands, so that it does not hold
        // back those behind it for ever.
        if self.unclaimed.len() >= UNCLAIMED {
            tracing::warn!(topic = %message.topic, "no subscription claims this message, and {UNCLAIMED} others wait: dropped");
            self.dropped += 1;
            message.handed_over();
            return;
        }
        self.dropped += u64::from(!self.unclaimed.push(message));
    }

    /// The client is gone.
    pub(crate) fn end(&mut self) {
        self.unclaimed.end();
        for entry in self.entries.values() {
            entry.queue.end();
            entry.answer.update(|answer| {
                answer.get_or_insert(Err(NotSubscribed::NotConnected));
            });
        }
    }
}

/// The Subscription Identifier of a subscription.
fn identifier(base: u64, number: u64) -> Option<SubscriptionId> {
    SubscriptionId::new(u32::try_from((base + number) % IDENTIFIERS + 1).ok()?)
}

/// The subscription of an identifier.
fn number(base: u64, id: SubscriptionId) -> u64 {
    (u64::from(id.get()) - 1 + IDENTIFIERS - base) % IDENTIFIERS
}

fn claims(filters: &Filters, topic: &TopicName) -> bool {
    filters.iter().any(|(filter, _)| filter.matches(topic))
}
