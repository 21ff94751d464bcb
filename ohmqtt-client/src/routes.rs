//! Which subscriptions there are, what the server knows of them, and which of them a message is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use ohmqtt_codec::{
    Filters, ReasonCode, SubscribeProperties, SubscriptionId, TopicFilter, TopicName,
    UnsubscribeFilters, UnsubscribeProperties,
};
use ohmqtt_driver::Cell;
use ohmqtt_session::{ClientSession, Receipt, SubscribeError as NotSubscribed, Ticket};

use crate::core::Core;
use crate::events::Event;
use crate::message::Message;
use crate::queue::{Queue, QueueLimits, WhenFull};

/// How many messages that no subscription claims wait for one.
const UNCLAIMED: usize = 1000;

/// How many Subscription Identifiers there are (section 3.8.2.1.2).
const IDENTIFIERS: u64 = 268_435_455;

/// What the server said to one subscription.
pub(crate) type Answer = Result<Vec<ReasonCode>, Unanswered>;

/// Why there is no answer, and will be none.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// It was not asked.
    NotSent(NotSubscribed),
    /// The client is gone.
    Closed,
}

/// Where that is awaited.
pub(crate) type Awaited = Arc<Cell<Option<Answer>>>;

/// All subscriptions of a client, by number; the number is also the ticket of its SUBSCRIBE and of its UNSUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Routes {
    core: Arc<Core>,
    entries: BTreeMap<u64, Entry>,
    /// What nobody wants any more, and the server may still have.
    leaving: BTreeMap<u64, Leaving>,
    next: u64,
    /// The Subscription Identifier of number 0. A session may outlive this client, and its next one counts from elsewhere.
    base: u64,
    /// Our Receive Maximum.
    receive_maximum: usize,
    /// What no subscription claimed, and the catch-all stream reads.
    pub(crate) unclaimed: Arc<Queue>,
    /// Whether something in there may hold back acknowledgements.
    holding: bool,
    /// What nobody claims has held up others for long, and is acknowledged as it comes, until there is another subscription.
    eager: bool,
    /// Messages that came.
    arrived: u64,
    /// Messages that found no room anywhere, or nobody to read them.
    pub(crate) dropped: u64,
    ended: bool,
}

#[derive(Debug)]
struct Entry {
    filters: Filters,
    queue: Arc<Queue>,
    answer: Awaited,
    state: State,
    /// The server's session may hold it.
    asked: bool,
    /// How many messages had come before it.
    since: u64,
}

#[derive(Debug)]
struct Leaving {
    filters: Vec<TopicFilter>,
    /// An UNSUBSCRIBE is under way.
    requested: bool,
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
    pub(crate) fn new(core: Arc<Core>, seed: u64, receive_maximum: u16) -> Self {
        let limits = QueueLimits {
            messages: UNCLAIMED,
            ..QueueLimits::default()
        };
        Self {
            core,
            entries: BTreeMap::new(),
            leaving: BTreeMap::new(),
            next: 1,
            base: seed % IDENTIFIERS,
            receive_maximum: receive_maximum.into(),
            unclaimed: Arc::new(Queue::new(limits, WhenFull::Hold, false)),
            holding: false,
            eager: false,
            arrived: 0,
            dropped: 0,
            ended: false,
        }
    }

    /// Adds a subscription; it is asked for by [`reconcile`](Self::reconcile). Messages that came before it and are for it go to it now.
    /// `None` once the client is gone.
    pub(crate) fn add(&mut self, filters: Filters, queue: Arc<Queue>) -> Option<(u64, Awaited)> {
        if self.ended {
            return None;
        }
        self.eager = false;
        let number = self.next;
        self.next += 1;
        let answer = Arc::new(Cell::new(None));
        for message in self.unclaimed.drain() {
            let wanted = claims(&filters, &message.topic);
            let to = if wanted { &queue } else { &self.unclaimed };
            self.dropped += to.push(message);
        }
        let entry = Entry {
            filters,
            queue,
            answer: Arc::clone(&answer),
            state: State::Wanted,
            asked: false,
            since: self.arrived,
        };
        self.entries.insert(number, entry);
        Some((number, answer))
    }

    /// Removes a subscription; what the server has of it is taken back by [`reconcile`](Self::reconcile). What it had not handed over
    /// goes to those that came later, or waits for one.
    pub(crate) fn remove(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else {
            return;
        };
        entry.queue.end();
        for message in entry.queue.drain() {
            self.pass_on(message);
        }
        if entry.asked {
            let filters = entry.filters.iter().map(|(filter, _)| filter).collect();
            let requested = false;
            self.leaving.insert(number, Leaving { filters, requested });
        }
    }

    /// Finds new readers for a message that a subscription leaves behind.
    fn pass_on(&mut self, message: Message) {
        let (mut had, mut later) = (false, None);
        for entry in self.entries.values() {
            if claims(&entry.filters, &message.topic) {
                let came_before = entry.since < message.number();
                had |= came_before;
                later = later.or((!came_before).then(|| Arc::clone(&entry.queue)));
            }
        }
        match later {
            Some(queue) => self.dropped += queue.push(message),
            // Another one has a message of its own: this one is only in its way.
            None if had => message.handed_over(),
            None => self.keep_unclaimed(message),
        }
    }

    /// The connection stands: without a session of ours at the server, it knows no subscription.
    pub(crate) fn connected(&mut self, session_present: bool) {
        if !session_present {
            self.leaving.clear();
            for entry in self.entries.values_mut() {
                entry.state = State::Wanted;
                entry.asked = false;
                // What the server said of it counts no more.
                entry.answer.update(|answer| *answer = None);
            }
        }
    }

    /// Asks for every subscription the server does not know, and takes back what nobody wants any more. Without a connection that waits
    /// for one. True when it has to wait for Packet Identifiers to become free.
    pub(crate) fn reconcile(&mut self) -> bool {
        let handle = &self.core.handle;
        let mut short = false;
        let wanted: Vec<_> = self
            .entries
            .values()
            .flat_map(|entry| entry.filters.iter().map(|(filter, _)| filter))
            .collect();
        self.leaving.retain(|number, leaving| {
            if leaving.requested {
                return true;
            }
            // What somebody wants is asked for again or was never meant to go.
            let mut filters = leaving.filters.iter().filter(|own| !wanted.contains(own));
            let Some(first) = filters.next() else {
                return false;
            };
            let mut unsubscribed = UnsubscribeFilters::new(first);
            filters.for_each(|filter| unsubscribed.push(filter));
            let result = handle.with(|session, _| {
                session.unsubscribe(
                    unsubscribed,
                    UnsubscribeProperties::default(),
                    Ticket(*number),
                )
            });
            leaving.requested = result.is_ok();
            short |= matches!(result, Err(NotSubscribed::NoPacketId));
            // What cannot be asked at all stays with the server until its session ends.
            !matches!(result, Err(NotSubscribed::TooLarge { .. }))
        });
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
                Ok(_) => {
                    entry.state = State::Requested;
                    entry.asked = true;
                }
                Err(NotSubscribed::NotConnected) => {}
                Err(NotSubscribed::NoPacketId) => short = true,
                Err(error) => {
                    entry.state = State::Known;
                    let answer = Unanswered::NotSent(error);
                    entry.answer.update(|slot| *slot = Some(Err(answer)));
                }
            }
        }
        short
    }

    /// The server answered.
    pub(crate) fn answered(&mut self, ticket: Ticket, codes: Vec<ReasonCode>) {
        let Some(entry) = self.entries.get_mut(&ticket.0) else {
            return;
        };
        for ((filter, _), reason) in entry.filters.iter().zip(&codes) {
            if reason.is_error() {
                self.core.events.ring(Event::SubscriptionRefused {
                    filter: filter.as_str().to_owned(),
                    reason: *reason,
                });
            }
        }
        entry.state = State::Known;
        entry.answer.update(|answer| *answer = Some(Ok(codes)));
    }

    /// The server has taken a subscription back.
    pub(crate) fn left(&mut self, ticket: Ticket) {
        self.leaving.remove(&ticket.0);
    }

    /// The connection ended before the server answered.
    pub(crate) fn lost(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entries.get_mut(&ticket.0) {
            entry.state = State::Wanted;
        }
        if let Some(leaving) = self.leaving.get_mut(&ticket.0) {
            leaving.requested = false;
        }
    }

    /// Gives a message to every subscription it is for.
    pub(crate) fn dispatch(
        &mut self,
        mut message: ohmqtt_session::Message,
        receipt: Option<Receipt>,
    ) {
        self.arrived += 1;
        let named = self.named(&message);
        // They are between this client and the server; a message that is published on has none.
        message.properties.remove_subscription_identifiers();
        let matches = |entry: &&Entry| {
            if named.is_empty() {
                claims(&entry.filters, &message.topic)
            } else {
                entry.filters.iter().any(|(own, _)| named.contains(&own))
            }
        };
        let queues: Vec<_> = self
            .entries
            .values()
            .filter(matches)
            .map(|entry| Arc::clone(&entry.queue))
            .collect();
        let shares = queues.len().max(1);
        let core = Arc::clone(&self.core);
        let message = Message::new(core, message, self.arrived, receipt, shares);
        match queues.split_last() {
            Some((last, others)) => {
                for queue in others {
                    self.dropped += queue.push(message.clone());
                }
                self.dropped += last.push(message);
            }
            None => self.keep_unclaimed(message),
        }
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

    fn keep_unclaimed(&mut self, mut message: Message) {
        // An ended or full queue drops QoS 0; a message of higher QoS is taken off the server's hands, so that it does not hold
        // back those behind it for ever.
        if self.unclaimed.len() >= UNCLAIMED {
            tracing::warn!(topic = %message.topic, "no subscription claims this message, and {UNCLAIMED} others wait: dropped");
            self.dropped += 1;
            message.handed_over();
            let topic = message.topic;
            self.core.events.ring(Event::UnclaimedDropped { topic });
            return;
        }
        if self.eager {
            message.release();
        }
        self.holding |= message.wants_ack();
        self.dropped += self.unclaimed.push(message);
    }

    /// Whether nothing comes any more because of messages that nobody claims, while there are subscriptions that others may be for.
    ///
    /// Acknowledgements leave in order: a message that is not acknowledged holds back those of all behind it, and when as many wait as
    /// we accept, the server sends no more. Without any subscription that is as it should be: the server keeps what it has.
    pub(crate) fn is_stuck(&self) -> bool {
        self.holding
            && !self.entries.is_empty()
            && self.core.handle.read(ClientSession::unacknowledged) >= self.receive_maximum
    }

    /// Acknowledges what nobody claims. It goes on waiting for a subscription.
    pub(crate) fn let_pass(&mut self) {
        tracing::warn!("messages that no subscription claims are acknowledged, to let others pass");
        self.unclaimed.release();
        self.holding = false;
        self.eager = true;
    }

    /// The client is gone.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.unclaimed.end();
        for entry in self.entries.values() {
            entry.queue.end();
            entry.answer.update(|answer| {
                answer.get_or_insert(Err(Unanswered::Closed));
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
