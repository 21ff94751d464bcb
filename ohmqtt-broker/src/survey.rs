//! Looking at all sessions from time to time: messages whose time has passed go, whether a connection asks for them or not, and what the
//! queues hold together is measured. Between two looks it is overestimated: what was given is added, what left is not taken off.

use std::sync::Arc;
use std::time::Duration;

use ohmqtt_session::{Instant, Message, OutboxCounters, ServerSession};

use crate::core::State;
use crate::session::{Delivered, SessionKey};
use crate::traffic::Traffic;

/// How often all sessions are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// How often at most when the queues seem to be full.
const FULL_EVERY: Duration = Duration::from_millis(100);

/// What a broker holds, and what it has done since it was started. The figures on `$SYS/broker` are these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// How long it runs.
    pub uptime: Duration,
    /// Clients connected now.
    pub connected: usize,
    /// The most there were at once.
    pub most_connected: usize,
    /// Sessions, of connected clients and of absent ones.
    pub sessions: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Messages that clients published.
    pub published: u64,
    /// Messages delivered: acknowledged by the client, or sent at QoS 0. One that goes to three clients counts three times.
    pub delivered: u64,
    /// Messages dropped for a session because its queue was full, or those of all together; those that were dropped to make room, too.
    pub dropped: u64,
    /// Messages that expired before they could be sent.
    pub expired: u64,
    /// Bytes read from clients, below MQTT and above TLS and WebSocket.
    pub bytes_received: u64,
    /// Bytes written to them.
    pub bytes_sent: u64,
    /// Packets of all types read from clients.
    pub packets_received: u64,
    /// Packets of all types written for them.
    pub packets_sent: u64,
    /// Messages queued for all sessions, in flight or waiting.
    pub queued: usize,
    /// The same in bytes; a payload counts in each queue.
    pub queued_bytes: usize,
    /// Retained messages.
    pub retained: usize,
    /// What they take, in bytes.
    pub retained_bytes: usize,
}

/// What the last look has found, and what happened since.
#[derive(Debug)]
pub(crate) struct Survey {
    started: Instant,
    last: Instant,
    traffic: Arc<Traffic>,
    published: u64,
    /// For want of room, told by the sessions when it happens.
    dropped: u64,
    /// What sessions that have ended had counted.
    ended: Fates,
    /// What those that are there have, with the totals.
    found: Fates,
    subscriptions: usize,
    queued: usize,
    queued_bytes: usize,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default)]
struct Fates {
    delivered: u64,
    displaced: u64,
    expired: u64,
}

impl Fates {
    fn add(&mut self, counters: OutboxCounters) {
        self.delivered += counters.delivered;
        self.displaced += counters.dropped;
        self.expired += counters.expired;
    }
}

impl Survey {
    pub(crate) fn new(now: Instant, traffic: Arc<Traffic>) -> Self {
        Self {
            started: now,
            last: now,
            traffic,
            published: 0,
            dropped: 0,
            ended: Fates::default(),
            found: Fates::default(),
            subscriptions: 0,
            queued: 0,
            queued_bytes: 0,
        }
    }

    /// When all sessions are to be looked at again.
    pub(crate) fn next(&self) -> Instant {
        self.last + EVERY
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next() <= now
    }

    /// Whether it is to be seen if the queues really hold as much as it seems.
    pub(crate) fn is_to_be_measured(&self, now: Instant, limit: usize) -> bool {
        self.is_full(limit) && self.last + FULL_EVERY <= now
    }

    /// Whether the queues together hold as much as they may.
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.queued_bytes >= limit
    }

    pub(crate) fn note_published(&mut self) {
        self.published += 1;
    }

    pub(crate) fn note_delivery(&mut self, delivered: Delivered, message: &Message) {
        match delivered {
            Delivered::Yes => self.queued_bytes = self.queued_bytes.saturating_add(message.size()),
            Delivered::No => self.dropped += 1,
            Delivered::NotNow => {}
        }
    }

    /// A session has ended that had counted this.
    pub(crate) fn note_end(&mut self, counters: OutboxCounters) {
        self.ended.add(counters);
    }
}

impl State {
    /// Looks at all sessions.
    pub(crate) fn survey_sessions(&mut self, now: Instant) {
        let survey = &mut self.survey;
        survey.last = now;
        survey.found = survey.ended;
        (survey.subscriptions, survey.queued, survey.queued_bytes) = (0, 0, 0);
        let look = |session: &mut ServerSession| {
            let changed = session.drop_expired(now);
            (changed, session.queued(), session.counters())
        };
        for (key, entry) in self.sessions.iter() {
            let key: SessionKey = key;
            let (changed, (messages, bytes), counters) =
                entry.handle.with(|session, _| look(session));
            survey.queued += messages;
            survey.queued_bytes = survey.queued_bytes.saturating_add(bytes);
            survey.subscriptions += entry.filters.len();
            survey.found.add(counters);
            if changed {
                self.unsaved.touch(key, entry);
            }
        }
    }

    /// What the broker holds now.
    pub(crate) fn metrics(&mut self, now: Instant) -> Metrics {
        self.survey_sessions(now);
        let survey = &self.survey;
        let (retained, retained_bytes) = self.retained.held();
        let (bytes_received, bytes_sent) = survey.traffic.bytes();
        let (packets_received, packets_sent) = survey.traffic.packets.counted();
        Metrics {
            uptime: now.since(survey.started),
            connected: self.connections.clients(),
            most_connected: self.connections.most_clients(),
            sessions: self.sessions.len(),
            subscriptions: survey.subscriptions,
            published: survey.published,
            delivered: survey.found.delivered,
            dropped: survey.dropped + survey.found.displaced,
            expired: survey.found.expired,
            bytes_received,
            bytes_sent,
            packets_received,
            packets_sent,
            queued: survey.queued,
            queued_bytes: survey.queued_bytes,
            retained,
            retained_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_codec::{MqttString, Qos, SubscriptionOptions, TopicFilter, TopicName};
    use ohmqtt_driver::Handle;
    use ohmqtt_session::{Flows, ServerConfig, Subscription};

    use super::*;
    use crate::Limits;
    use crate::connections::ConnectionId;
    use crate::core::Core;
    use crate::session::Entry;

    /// A broker with the sessions of so many absent clients, each subscribed to `t`.
    fn resting(count: usize, limits: Limits) -> Arc<Core> {
        let core = Core::new(limits, crate::access::Access::default(), None);
        core.with(|state, now| {
            for n in 0..count {
                let config = ServerConfig::default();
                let flows = Flows::new(config.outbox, false);
                let handle = Handle::new(ServerSession::resting(now, config, flows), core.clock);
                let id = MqttString::try_from(n.to_string()).unwrap();
                let connection = ConnectionId::default();
                let mut entry = Entry::begin(id, handle, connection, None, 100);
                entry.is_accepted = true;
                entry.connection = None;
                entry.expire_after(now, 100);
                let key = state.sessions.insert(entry);
                let filter = TopicFilter::new("t").unwrap();
                let options = SubscriptionOptions::new(Qos::AtLeastOnce);
                let identifier = None;
                state.sessions.get_mut(key).unwrap().add(&filter);
                state.tree.subscribe(
                    &filter,
                    key,
                    Subscription {
                        options,
                        identifier,
                    },
                );
            }
        });
        core
    }

    fn publish(core: &Arc<Core>, expiry: Option<u32>) {
        let mut message = Message::new(TopicName::new("t").unwrap(), vec![0; 1000]);
        message.qos = Qos::AtLeastOnce;
        if let Some(expiry) = expiry {
            message.properties.set_message_expiry_interval(expiry);
        }
        let publisher = crate::core::Client {
            session: SessionKey::numbered(0),
            id: MqttString::default(),
            user: crate::access::User::anonymous(),
        };
        core.with(|state, now| state.publish(now, &publisher, &message));
    }

    fn queued(core: &Arc<Core>) -> usize {
        core.with(|state, _| {
            let each = state
                .sessions
                .iter()
                .map(|(_, entry)| entry.handle.read(ServerSession::queued).0);
            each.sum()
        })
    }

    /// [MQTT-3.3.2-5] Without a connection, and without anybody asking.
    #[tokio::test]
    async fn what_has_expired_leaves_the_queues_of_absent_clients() {
        let core = resting(3, Limits::default());
        publish(&core, Some(5));
        publish(&core, Some(50));
        publish(&core, None);
        let after = |seconds| {
            core.with(|state, now| state.handle_due(now + Duration::from_secs(seconds)));
            queued(&core)
        };
        assert_eq!(after(0), 9);
        assert_eq!(after(11), 6);
        assert_eq!(after(60), 3);
        let metrics = core.with(State::metrics);
        assert_eq!(
            (metrics.expired, metrics.sessions, metrics.subscriptions),
            (6, 3, 3)
        );
        // The sessions go with all they have.
        assert_eq!(after(101), 0);
        let metrics = core.with(State::metrics);
        assert_eq!(
            (metrics.expired, metrics.sessions, metrics.subscriptions),
            (6, 0, 0)
        );
        assert_eq!((metrics.queued, metrics.queued_bytes), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_queues_of_all_are_bounded_together() {
        let limits = Limits {
            queued_bytes: 10_000,
            ..Limits::default()
        };
        let core = resting(3, limits);
        for _ in 0..10 {
            publish(&core, Some(5));
        }
        // Four messages of somewhat more than a thousand bytes for three: the fourth reached the bound.
        assert_eq!(queued(&core), 12);
        let metrics = core.with(State::metrics);
        assert_eq!((metrics.queued, metrics.dropped), (12, 18));
        assert!((10_000..14_000).contains(&metrics.queued_bytes));
        // When they have expired there is room again, as soon as somebody asks.
        tokio::time::advance(Duration::from_secs(6)).await;
        publish(&core, None);
        assert_eq!(queued(&core), 3);
    }
}
