//! Which subscriptions there are, what the server knows of them, and which of them a message is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use ohmqtt_codec::{
    Filters, PacketId, SubAck, SubscribeProperties, SubscriptionId, TopicName, UnsubscribeFilters,
    UnsubscribeProperties,
};
use ohmqtt_driver::Cell;
use ohmqtt_session::{ClientSession, Receipt, SubscribeError as NotSubscribed, Ticket};
use ohmqtt_topics::Recent;

use crate::arrived::Arrived;
use crate::claims::Claims;
use crate::core::Core;
use crate::events::Event;
use crate::message::Message;
use crate::queue::{Queue, QueueLimits, WhenFull};

/// How many messages that no subscription claims wait for one.
const UNCLAIMED: usize = 1000;

/// How many Subscription Identifiers there are (section 3.8.2.1.2).
const IDENTIFIERS: u64 = 268_435_455;

/// So many subscriptions are asked for under one lock of the session: few locks, and none held for long.
const AT_ONCE: usize = 64;

/// Of topics that are for more streams than this it is not remembered for which.
const REMEMBERED: usize = 16;

/// A subscription that a message is for, and its queue.
type Stream = (u64, Arc<Queue>);

/// What the server said to one subscription.
pub(crate) type Answer = Result<SubAck, Unanswered>;

/// Why there is no answer, and will be none.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// It was not asked.
    NotSent(NotSubscribed),
    /// The subscription has ended first.
    Ended,
    /// The client is gone.
    Closed,
}

/// Where that is awaited.
pub(crate) type Awaited = Arc<Cell<Option<Answer>>>;

/// What the server said to the end of one; `None`: it was not asked, because it knew nothing of it or because others want the same.
pub(crate) type Parted = Arc<Cell<Option<Result<Option<SubAck>, Unanswered>>>>;

/// All subscriptions of a client, by number; the number is also the ticket of its SUBSCRIBE and of its UNSUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Routes {
    core: Arc<Core>,
    entries: BTreeMap<u64, Entry>,
    /// Their filters.
    claims: Claims,
    /// For whom messages were on the topics that came last.
    recent: Recent<Box<[Stream]>>,
    /// The same of one message, and the subscriptions it was sent for; kept so that this allocates nothing.
    streams: Vec<Stream>,
    named: Vec<u64>,
    /// Those of them that the server does not know and has not been asked for.
    to_ask: BTreeSet<u64>,
    /// What nobody wants any more, and the server may still have.
    leaving: BTreeMap<u64, Leaving>,
    /// What of that has not been taken back yet.
    to_leave: BTreeSet<u64>,
    next: u64,
    /// The Subscription Identifier of number 0. A session may outlive this client, and its next one counts from elsewhere.
    base: u64,
    /// Our Receive Maximum.
    receive_maximum: usize,
    /// What no subscription claimed, and the catch-all stream reads.
    pub(crate) unclaimed: Arc<Queue>,
    /// The queues that several subscriptions share.
    shared: Vec<Weak<Queue>>,
    /// Whether something in there may hold back acknowledgements.
    holding: bool,
    /// What nobody claims has held up others for long, and is acknowledged as it comes, until there is another subscription.
    eager: bool,
    /// Messages that came.
    pub(crate) arrived: u64,
    /// Messages that found no room anywhere, or nobody to read them.
    pub(crate) dropped: u64,
    ended: bool,
}

/// A subscription that nobody wants any more.
#[derive(Debug)]
struct Leaving {
    filters: Filters,
    /// Where somebody may wait for the server's word on that.
    answer: Parted,
}

#[derive(Debug)]
struct Entry {
    filters: Filters,
    /// What the SUBSCRIBE says beside its identifier.
    properties: SubscribeProperties,
    queue: Arc<Queue>,
    /// Other subscriptions use the queue too.
    shares_queue: bool,
    answer: Awaited,
    /// The server's session may hold it.
    asked: bool,
    /// How many messages had come before it.
    since: u64,
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
            claims: Claims::default(),
            recent: Recent::new(),
            streams: Vec::new(),
            named: Vec::new(),
            to_ask: BTreeSet::new(),
            leaving: BTreeMap::new(),
            to_leave: BTreeSet::new(),
            next: 1,
            base: seed % IDENTIFIERS,
            receive_maximum: receive_maximum.into(),
            unclaimed: Arc::new(Queue::new(limits, WhenFull::Hold, false)),
            shared: Vec::new(),
            holding: false,
            eager: false,
            arrived: 0,
            dropped: 0,
            ended: false,
        }
    }

    /// The next connection has another Receive Maximum.
    pub(crate) fn set_receive_maximum(&mut self, receive_maximum: u16) {
        self.receive_maximum = receive_maximum.into();
    }

    /// A queue that several subscriptions will share.
    pub(crate) fn share(&mut self, queue: &Arc<Queue>) {
        if self.ended {
            queue.end();
        }
        self.shared.retain(|other| other.strong_count() > 0);
        self.shared.push(Arc::downgrade(queue));
    }

    /// Adds a subscription; it is asked for by [`reconcile`](Self::reconcile). Messages that came before it and are for it go to it now.
    /// `None` once the client is gone.
    pub(crate) fn add(
        &mut self,
        filters: Filters,
        properties: SubscribeProperties,
        queue: Arc<Queue>,
        shares_queue: bool,
    ) -> Option<(u64, Awaited)> {
        if self.ended {
            return None;
        }
        self.eager = false;
        let number = self.next;
        self.next += 1;
        let answer = Arc::new(Cell::new(None));
        for message in self.unclaimed.drain() {
            self.dropped += if is_for(&filters, message.topic()) {
                queue.push(message.to(number))
            } else {
                self.unclaimed.push(message)
            };
        }
        self.claims.insert(&filters, number);
        self.forget_streams();
        self.to_ask.insert(number);
        let entry = Entry {
            filters,
            properties,
            queue,
            shares_queue,
            answer: Arc::clone(&answer),
            asked: false,
            since: self.arrived,
        };
        self.entries.insert(number, entry);
        Some((number, answer))
    }

    /// Removes a subscription; what the server has of it is taken back by [`reconcile`](Self::reconcile). What it had not handed over
    /// goes to those that came later, or waits for one. Returns where the server's word on it will stand.
    pub(crate) fn remove(&mut self, number: u64) -> Parted {
        let answer = Parted::default();
        let Some(entry) = self.entries.remove(&number) else {
            answer.update(|slot| *slot = Some(Ok(None)));
            return answer;
        };
        self.claims.remove(&entry.filters, number);
        self.forget_streams();
        self.to_ask.remove(&number);
        entry.answer.update(|answer| {
            answer.get_or_insert(Err(Unanswered::Ended));
        });
        let left = if entry.shares_queue {
            entry.queue.take_of(number)
        } else {
            entry.queue.end();
            entry.queue.drain()
        };
        for message in left {
            self.pass_on(message.to(0));
        }
        if entry.asked {
            let leaving = Leaving {
                filters: entry.filters,
                answer: Arc::clone(&answer),
            };
            self.leaving.insert(number, leaving);
            self.to_leave.insert(number);
        } else {
            answer.update(|slot| *slot = Some(Ok(None)));
        }
        answer
    }

    /// Finds new readers for a message that a subscription leaves behind.
    fn pass_on(&mut self, mut message: Arrived) {
        let (mut had, mut later) = (false, None);
        let found = self.claims.find(message.topic(), &[]);
        for number in found {
            let Some(entry) = self.entries.get(number) else {
                continue;
            };
            let came_before = entry.since < message.number();
            had |= came_before;
            later = later.or((!came_before).then_some((*number, &entry.queue)));
        }
        match later {
            Some((number, queue)) => self.dropped += queue.push(message.to(number)),
            // Another one has a message of its own: this one is only in its way.
            None if had => message.release(),
            None => self.keep_unclaimed(message),
        }
    }

    /// The connection stands: without a session of ours at the server, it knows no subscription.
    pub(crate) fn connected(&mut self, session_present: bool) {
        if !session_present {
            for leaving in std::mem::take(&mut self.leaving).into_values() {
                leaving.answer.update(|slot| *slot = Some(Ok(None)));
            }
            self.to_leave.clear();
            self.to_ask = self.entries.keys().copied().collect();
            for entry in self.entries.values_mut() {
                entry.asked = false;
                // What the server said of it counts no more.
                entry.answer.update(|answer| *answer = None);
            }
        }
    }

    /// Asks for every subscription the server does not know, and takes back what nobody wants any more. Without a connection that waits
    /// for one. True when it has to wait for Packet Identifiers to become free.
    pub(crate) fn reconcile(&mut self) -> bool {
        self.core.handle.read(ClientSession::is_connected) && (self.take_back() || self.ask())
    }

    /// Takes back what nobody wants any more. True when it has to wait for Packet Identifiers.
    fn take_back(&mut self) -> bool {
        while let Some(number) = self.to_leave.first().copied() {
            let filters = self
                .leaving
                .get(&number)
                .into_iter()
                .flat_map(|leaving| leaving.filters.iter());
            // What somebody wants is asked for again or was never meant to go.
            let mut filters = filters
                .map(|(own, _)| own)
                .filter(|own| !self.claims.has(own));
            let result = filters.next().map(|first| {
                let mut unsubscribed = UnsubscribeFilters::new(&first);
                filters.for_each(|filter| unsubscribed.push(&filter));
                let properties = UnsubscribeProperties::default();
                self.core.handle.with(|session, _| {
                    session.unsubscribe(unsubscribed, properties, Ticket(number))
                })
            });
            match result {
                Some(Err(NotSubscribed::NotConnected)) => return false,
                Some(Err(NotSubscribed::NoPacketId)) => return true,
                Some(Ok(_)) => {}
                // What cannot be asked at all stays with the server until its session ends.
                Some(Err(error)) => self.part(number, Err(Unanswered::NotSent(error))),
                None => self.part(number, Ok(None)),
            }
            self.to_leave.remove(&number);
        }
        false
    }

    /// Asks for what the server does not know. True when it has to wait for Packet Identifiers.
    fn ask(&mut self) -> bool {
        loop {
            let numbers: Vec<_> = self.to_ask.iter().take(AT_ONCE).copied().collect();
            if numbers.is_empty() {
                return false;
            }
            for (number, result) in self.subscribe(&numbers) {
                match result {
                    Err(NotSubscribed::NotConnected) => return false,
                    Err(NotSubscribed::NoPacketId) => return true,
                    _ => {}
                }
                self.to_ask.remove(&number);
                match (self.entries.get_mut(&number), result) {
                    (Some(entry), Ok(_)) => entry.asked = true,
                    (Some(entry), Err(error)) => {
                        let answer = Unanswered::NotSent(error);
                        entry.answer.update(|slot| *slot = Some(Err(answer)));
                    }
                    (None, _) => {}
                }
            }
        }
    }

    /// Sends a SUBSCRIBE for each of these, up to the first for which it is not the time.
    fn subscribe(&self, numbers: &[u64]) -> Vec<(u64, Result<PacketId, NotSubscribed>)> {
        let mut results = Vec::with_capacity(numbers.len());
        self.core.handle.with(|session, _| {
            let identified = session.server_limits().subscription_identifiers_available;
            for number in numbers {
                let Some(entry) = self.entries.get(number) else {
                    continue;
                };
                let mut properties = entry.properties.clone();
                if identified && let Some(id) = identifier(self.base, *number) {
                    properties.set_subscription_identifier(id);
                }
                let filters = entry.filters.clone();
                let result = session.subscribe(filters, properties, Ticket(*number));
                let stop = matches!(
                    result,
                    Err(NotSubscribed::NotConnected | NotSubscribed::NoPacketId)
                );
                results.push((*number, result));
                if stop {
                    break;
                }
            }
        });
        results
    }

    /// The server answered.
    pub(crate) fn answered(&mut self, ticket: Ticket, suback: SubAck) {
        let Some(entry) = self.entries.get_mut(&ticket.0) else {
            return;
        };
        for ((filter, _), reason) in entry.filters.iter().zip(suback.codes.iter()) {
            if reason.is_error() {
                self.core.events.ring(Event::SubscriptionRefused {
                    filter: filter.as_str().to_owned(),
                    reason,
                });
            }
        }
        entry.answer.update(|answer| *answer = Some(Ok(suback)));
    }

    /// The server has taken a subscription back.
    pub(crate) fn left(&mut self, ticket: Ticket, unsuback: SubAck) {
        self.part(ticket.0, Ok(Some(unsuback)));
    }

    /// There is no more to be done about a subscription that nobody wants.
    fn part(&mut self, number: u64, answer: Result<Option<SubAck>, Unanswered>) {
        if let Some(leaving) = self.leaving.remove(&number) {
            leaving.answer.update(|slot| *slot = Some(answer));
        }
    }

    /// The connection ended before the server answered.
    pub(crate) fn lost(&mut self, ticket: Ticket) {
        if self.entries.contains_key(&ticket.0) {
            self.to_ask.insert(ticket.0);
        }
        if self.leaving.contains_key(&ticket.0) {
            self.to_leave.insert(ticket.0);
        }
    }

    /// Gives a message to every subscription it is for.
    pub(crate) fn dispatch(
        &mut self,
        mut message: ohmqtt_session::Message,
        receipt: Option<Receipt>,
    ) {
        self.arrived += 1;
        self.named.clear();
        if !message.properties.is_empty() {
            let identifiers = message.properties.subscription_identifiers();
            self.named
                .extend(identifiers.map(|id| number(self.base, id)));
        }
        if !self.named.is_empty() {
            // They are between this client and the server; a message that is published on has none.
            message.properties.remove_subscription_identifiers();
        }
        let topic = message.topic.as_bytes();
        let streams = if let Some(streams) = self.recent.get(topic, &self.named) {
            &**streams
        } else {
            let found = self.claims.find(&message.topic, &self.named);
            let streams = found.iter().filter_map(|number| {
                let queue = &self.entries.get(number)?.queue;
                Some((*number, Arc::clone(queue)))
            });
            self.streams.clear();
            self.streams.extend(streams);
            if self.streams.len() <= REMEMBERED && self.recent.wants(topic, &self.named) {
                let streams = self.streams.as_slice().into();
                self.recent.keep(topic, &self.named, streams);
            }
            &self.streams
        };
        let core = Arc::clone(&self.core);
        let message = Message::new(core, message);
        let message = Arrived::new(message, self.arrived, receipt, streams.len());
        let Some(((number, queue), others)) = streams.split_last() else {
            self.keep_unclaimed(message);
            return;
        };
        for (number, queue) in others {
            self.dropped += queue.push(message.for_another().to(*number));
        }
        self.dropped += queue.push(message.to(*number));
    }

    /// Other messages go elsewhere from now on.
    fn forget_streams(&mut self) {
        self.recent.forget();
        self.streams = Vec::new();
    }

    fn keep_unclaimed(&mut self, mut message: Arrived) {
        // An ended or full queue drops QoS 0; a message of higher QoS is taken off the server's hands, so that it does not hold
        // back those behind it for ever.
        if self.unclaimed.len() >= UNCLAIMED {
            tracing::warn!(topic = %message.topic(), "no subscription claims this message, and {UNCLAIMED} others wait: dropped");
            self.dropped += 1;
            message.release();
            let topic = message.topic().clone();
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
        let shared = self.shared.iter().filter_map(Weak::upgrade);
        shared.for_each(|queue| queue.end());
        for leaving in std::mem::take(&mut self.leaving).into_values() {
            let closed = Err(Unanswered::Closed);
            leaving.answer.update(|slot| *slot = Some(closed));
        }
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

fn is_for(filters: &Filters, topic: &TopicName) -> bool {
    filters.iter().any(|(filter, _)| filter.matches(topic))
}
