//! What the broker keeps of each client's session beside its flows: where it is reached, what it subscribed to, and when it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Disconnect, MqttString, Qos, ReasonCode, TopicFilter, TopicName};
use ohmqtt_driver::{Handle, StoreLink};
use ohmqtt_session::{
    AliasPolicy, Instant, Message, PublishError, PublishOptions, Routed, ServerSession, Session,
    Subscription, Ticket,
};

use crate::access::{Access, Action, User};
use crate::connections::ConnectionId;
use crate::deadlines::Deadlines;
use crate::limits::{Limits, WhenFull, cost, levels};
use crate::store::record::Kept;

/// Every delivery uses a topic alias where the client takes any.
const OPTIONS: PublishOptions = PublishOptions {
    alias: AliasPolicy::Try,
    ticket: Ticket::NONE,
    deadline: None,
    keep_offline: false,
    via: None,
};

/// The name of one session, from the CONNECT that began it to its end. A client that starts anew gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionKey(u64);

/// All sessions, of connected clients and of absent ones.
#[derive(Debug)]
pub(crate) struct Sessions {
    entries: HashMap<SessionKey, Entry>,
    by_client: HashMap<MqttString, SessionKey>,
    /// When something is due for an absent client: its will, or the end of its session.
    due: Deadlines<SessionKey>,
    last: u64,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) client_id: MqttString,
    /// Whose it is.
    pub(crate) user: User,
    /// The session of the connection, or of the last one.
    pub(crate) handle: Handle<ServerSession>,
    /// The connection, while there is one.
    pub(crate) connection: Option<ConnectionId>,
    /// The client was told that it has a session. Until then there is nothing to go on with.
    pub(crate) is_accepted: bool,
    /// Where the session is stored, if it is.
    pub(crate) link: Option<StoreLink>,
    /// The store does not know for how long the session is kept.
    pub(crate) is_unsaved: bool,
    /// The Session Expiry Interval that was granted, in seconds.
    interval: u32,
    pub(crate) filters: HashSet<TopicFilter>,
    /// What the filters cost, in bytes.
    filter_bytes: usize,
    /// The will of a client that is gone, to be published unless it comes back before that.
    pub(crate) will: Option<(Instant, Message)>,
    /// The store may have a will of it.
    pub(crate) has_stored_will: bool,
    /// The will of a client that is connected, as the store keeps it: for when the broker ends before the connection does.
    pub(crate) standing: Option<Bytes>,
    /// The store may have that.
    pub(crate) has_stored_standing: bool,
    /// When the session of a client that is gone ends.
    pub(crate) expires: Option<Instant>,
    /// What stands for it in `due`.
    due: Option<Instant>,
}

/// A message on its way to the sessions it matches.
#[derive(Debug)]
pub(crate) struct Routable<'a> {
    message: &'a Message,
    routed: Routed,
    /// The shared subscription it goes by.
    via: Option<Arc<TopicFilter>>,
    pressure: Pressure,
    /// Its bytes are slices of a larger buffer.
    borrowed: bool,
    /// The same in memory of its own, once somebody needs it so.
    detached: Option<Message>,
}

/// What becomes of a message for a session that does not keep up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pressure {
    pub(crate) when_full: WhenFull,
    /// All queues together hold as much as they may.
    pub(crate) is_full: bool,
}

/// A session that has this many messages queued is not about to send the next one.
const QUEUED: usize = 8;
/// A packet of this size takes most of the buffer it was read into.
const LARGE: usize = 16 * 1024;

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            by_client: HashMap::new(),
            due: Deadlines::new(),
            last: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    pub(crate) fn get(&self, key: SessionKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    pub(crate) fn of_client(&self, client_id: &MqttString) -> Option<SessionKey> {
        self.by_client.get(client_id).copied()
    }

    /// Adds the session of a client that has none.
    pub(crate) fn insert(&mut self, entry: Entry) -> SessionKey {
        self.last += 1;
        let key = SessionKey(self.last);
        self.by_client.insert(entry.client_id.clone(), key);
        self.entries.insert(key, entry);
        self.schedule(key);
        key
    }

    /// Ends a session.
    pub(crate) fn remove(&mut self, key: SessionKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.by_client.remove(&entry.client_id);
        if let Some(at) = entry.due {
            self.due.remove(at, key);
        }
        Some(entry)
    }

    /// Notes when something is due, after its will or its end has changed.
    pub(crate) fn schedule(&mut self, key: SessionKey) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let will = entry.will.as_ref().map(|(at, _)| *at);
        let next = will.into_iter().chain(entry.expires).min();
        if let Some(at) = std::mem::replace(&mut entry.due, next) {
            self.due.remove(at, key);
        }
        if let Some(at) = next {
            self.due.insert(at, key);
        }
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.next()
    }

    /// A session for which something is due: to be scheduled again, or ended.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<SessionKey> {
        self.due.pop_due(now)
    }
}

impl<'a> Routable<'a> {
    /// A message as it was read from a stream.
    pub(crate) fn read(message: &'a Message, routed: Routed) -> Self {
        // Of a large packet there is little else in its buffer.
        let borrowed = message.size() < LARGE;
        Self {
            message,
            routed,
            via: None,
            pressure: Pressure::default(),
            borrowed,
            detached: None,
        }
    }

    /// A message in memory of its own.
    pub(crate) fn kept(message: &'a Message, routed: Routed) -> Self {
        Self {
            message,
            routed,
            via: None,
            pressure: Pressure::default(),
            borrowed: false,
            detached: None,
        }
    }

    /// The same, and what becomes of it where there is no room.
    pub(crate) fn under(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// The same message to the client that published it, or to another one.
    pub(crate) fn for_client(&mut self, own: bool) -> &mut Self {
        self.routed = if own { Routed::Own } else { Routed::Published };
        self
    }

    /// The same message to one of a group.
    pub(crate) fn for_group(&mut self, filter: &Arc<TopicFilter>) -> &mut Self {
        self.routed = Routed::Published;
        self.via = Some(Arc::clone(filter));
        self
    }

    /// The message, for a place where it may wait for long: that must not hold all of the buffer it was read into.
    fn for_keeping(&mut self) -> &Message {
        if !self.borrowed {
            return self.message;
        }
        self.detached
            .get_or_insert_with(|| self.message.clone().detached())
    }
}

/// What became of a message that was given to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Yes,
    /// The session's queue is full.
    No,
    /// The store is behind: whoever published the message is to try again.
    NotNow,
}

impl Entry {
    /// A session that begins with this connection.
    pub(crate) fn begin(
        client_id: MqttString,
        handle: Handle<ServerSession>,
        connection: ConnectionId,
        link: Option<StoreLink>,
        interval: u32,
    ) -> Self {
        Self {
            client_id,
            user: User::anonymous(),
            handle,
            connection: Some(connection),
            is_accepted: false,
            link,
            is_unsaved: true,
            interval,
            filters: HashSet::new(),
            filter_bytes: 0,
            will: None,
            has_stored_will: false,
            standing: None,
            has_stored_standing: false,
            expires: None,
            due: None,
        }
    }

    /// A session that was read back from a store: its client is not there.
    pub(crate) fn resting(
        client_id: MqttString,
        handle: Handle<ServerSession>,
        link: StoreLink,
        kept: Kept,
    ) -> Self {
        Self {
            client_id,
            user: User::anonymous(),
            handle,
            connection: None,
            is_accepted: true,
            link: Some(link),
            is_unsaved: true,
            interval: kept.interval,
            filters: HashSet::new(),
            filter_bytes: 0,
            will: None,
            has_stored_will: false,
            standing: None,
            has_stored_standing: false,
            expires: kept.expires,
            due: None,
        }
    }

    /// Whether the store has anything of it.
    pub(crate) fn is_stored(&self) -> bool {
        self.link.is_some() || self.standing.is_some() || self.has_stored_standing
    }

    /// Gives the client what its subscriptions ask of a message.
    pub(crate) fn deliver(
        &self,
        subscriptions: &[Subscription],
        message: &mut Routable<'_>,
    ) -> Delivered {
        self.handle.with(|session, now| {
            let (routed, pressure) = (message.routed, message.pressure);
            let options = PublishOptions {
                via: message.via.clone(),
                ..OPTIONS
            };
            let waits = self.connection.is_none() || session.queued().0 >= QUEUED;
            if waits && pressure.is_full {
                return Delivered::No;
            }
            // The store tells by its memory that a payload is everybody's, and keeps it once.
            let is_stored = self.link.is_some() && message.message.qos > Qos::AtMostOnce;
            let given = if waits || is_stored {
                message.for_keeping()
            } else {
                message.message
            };
            let result = session.deliver(now, given, subscriptions, routed, options);
            if self.connection.is_none() {
                // No driver asks for these, and they would gather.
                while session.poll_event().is_some() {}
            }
            let Err(rejected) = result else {
                return Delivered::Yes;
            };
            tracing::debug!(error = %rejected.error, "message dropped for a session");
            let is_full = matches!(rejected.error, PublishError::Full { .. });
            if is_full
                && pressure.when_full == WhenFull::Disconnect
                && rejected.message.qos > Qos::AtMostOnce
            {
                session.disconnect(Disconnect::new(ReasonCode::QuotaExceeded));
            }
            if rejected.error == PublishError::StoreBehind {
                Delivered::NotNow
            } else {
                Delivered::No
            }
        })
    }

    /// Whether messages on this topic may be given to the client.
    pub(crate) fn may_get(&self, access: &Access, topic: &TopicName) -> bool {
        let action = || Action::Deliver {
            topic: topic.as_str(),
        };
        !access.authorizes() || access.allows(&self.client_id, &self.user, &action())
    }

    /// Whether the client may subscribe to this filter.
    pub(crate) fn may_subscribe(&self, access: &Access, filter: &TopicFilter, qos: Qos) -> bool {
        let filter = filter.as_str();
        access.allows(
            &self.client_id,
            &self.user,
            &Action::Subscribe { filter, qos },
        )
    }

    /// Whether a subscription to this filter may be added: `true` for one that is new.
    pub(crate) fn takes(&self, filter: &TopicFilter, limits: &Limits) -> Result<bool, ReasonCode> {
        if levels(filter.filter_bytes()) > limits.topic_levels {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        if self.filters.contains(filter) {
            return Ok(false);
        }
        let bytes = self.filter_bytes + cost(filter.as_bytes());
        if self.filters.len() >= limits.subscriptions || bytes > limits.subscription_bytes {
            return Err(ReasonCode::QuotaExceeded);
        }
        Ok(true)
    }

    /// Notes a subscription.
    pub(crate) fn add(&mut self, filter: &TopicFilter) {
        // What is kept is copied out of the buffer it was read into.
        let kept = TopicFilter::try_from(Bytes::copy_from_slice(filter.as_bytes()));
        if self.filters.insert(kept.unwrap_or_else(|_| filter.clone())) {
            self.filter_bytes += cost(filter.as_bytes());
        }
    }

    /// Strikes a subscription out; tells whether there was one.
    pub(crate) fn remove(&mut self, filter: &TopicFilter) -> bool {
        let was_there = self.filters.remove(filter);
        if was_there {
            self.filter_bytes -= cost(filter.as_bytes());
        }
        was_there
    }

    /// Its will is to be published then, or not any more. Gives the one that was.
    pub(crate) fn set_will(
        &mut self,
        will: Option<(Instant, Message)>,
    ) -> Option<(Instant, Message)> {
        self.is_unsaved = true;
        std::mem::replace(&mut self.will, will)
    }

    /// The client is gone from now on: its session lasts for `interval` seconds more.
    pub(crate) fn expire_after(&mut self, now: Instant, interval: u32) {
        self.keep(interval, expiry(now, interval));
    }

    /// The session is kept so long from now on.
    pub(crate) fn keep(&mut self, interval: u32, expires: Option<Instant>) {
        self.interval = interval;
        self.expires = expires;
        self.is_unsaved = true;
    }

    /// How long the session is kept.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            interval: self.interval,
            expires: self.expires,
        }
    }
}

/// When a session ends that is kept for so many seconds, if it does.
pub(crate) fn expiry(now: Instant, interval: u32) -> Option<Instant> {
    (interval != u32::MAX).then(|| now + Duration::from_secs(u64::from(interval)))
}

#[cfg(test)]
impl SessionKey {
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}
