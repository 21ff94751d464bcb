//! The way of a message through the broker, and what subscribing and unsubscribing change about it.

use ohmqtt_codec::{
    MqttString, Qos, ReasonCode, RetainHandling, SubscriptionId, SubscriptionOptions, TopicFilter,
    TopicName,
};
use ohmqtt_session::{Instant, Message, Receipt, Routed, ServerSession, Subscription};

use crate::access::{Access, Action, User};
use crate::core::{Client, State, is_reserved};
use crate::limits::levels;
use crate::retained::{Full, Publisher, Retained};
use crate::session::{Delivered, Entry, Pressure, Routable, SessionKey, Sessions};
use crate::store::record;
use crate::tree::Group;

impl State {
    /// Takes a message that a client published: retains it if asked, and gives it to every session it matches. The answer is the reason
    /// code for its acknowledgement.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        publisher: &Client,
        message: &Message,
    ) -> ReasonCode {
        self.survey.note_published();
        let topic = message.topic.as_bytes();
        if levels(topic) > self.limits.topic_levels {
            return ReasonCode::TopicNameInvalid;
        }
        if is_reserved(topic) {
            return ReasonCode::NotAuthorized;
        }
        if !self.may_publish(&publisher.id, &publisher.user, message, Saying::Publish) {
            return ReasonCode::NotAuthorized;
        }
        // [MQTT-3.3.1-8] Without the retain flag nothing is retained or replaced.
        if message.retain
            && self
                .retain(now, &publisher.id, &publisher.user, message)
                .is_err()
        {
            tracing::debug!(topic = %message.topic, "retained messages are full");
            return ReasonCode::QuotaExceeded;
        }
        let routable = Routable::read(message, Routed::Published);
        match self.route(now, &publisher.id, message, routable) {
            Way::Matched => ReasonCode::Success,
            Way::Unmatched => ReasonCode::NoMatchingSubscribers,
            Way::Blocked => ReasonCode::QuotaExceeded,
        }
    }

    /// Keeps a message as the one of its topic, or none when it is empty.
    fn retain(
        &mut self,
        now: Instant,
        client_id: &MqttString,
        user: &User,
        message: &Message,
    ) -> Result<(), Full> {
        // Always: what is retained may outlast a broker that asks nobody.
        let publisher = Publisher {
            client_id: client_id.clone(),
            user: user.clone(),
        };
        if self.store.is_none() {
            self.retained.set(now, message)?;
            let topic = message.topic.as_bytes();
            self.retained.set_publisher(topic, publisher);
            return Ok(());
        }
        let value = if message.payload.is_empty() {
            None
        } else {
            Some(record::message_value(now, message).ok_or(Full)?)
        };
        let change = self.retained.change(now, message, Some(publisher))?;
        self.unsaved
            .retain(&message.topic, value.as_deref(), change);
        Ok(())
    }

    /// Whether what a session holds is stored.
    pub(crate) fn is_durable(&self, key: SessionKey) -> bool {
        self.sessions
            .get(key)
            .is_some_and(|entry| entry.handle.read(ServerSession::is_durable))
    }

    /// The session's word on a message that its client published.
    pub(crate) fn acknowledge(&mut self, key: SessionKey, receipt: Receipt, reason: ReasonCode) {
        // The session may have gone to another connection meanwhile, and the answer is its.
        if let Some(entry) = self.sessions.get(key) {
            entry
                .handle
                .with(|session, _| session.acknowledge(receipt, reason));
        }
    }

    /// Publishes a will.
    ///
    // [MQTT-3.1.2-8] [MQTT-3.1.2-10] Once, and then it is gone.
    pub(crate) fn publish_will(
        &mut self,
        now: Instant,
        publisher: &MqttString,
        user: &User,
        will: &Message,
    ) {
        if self.closing || !self.may_publish(publisher, user, will, Saying::Will) {
            return;
        }
        if will.retain
            && self.limits.retain_available
            && self.retain(now, publisher, user, will).is_err()
        {
            tracing::debug!(topic = %will.topic, "retained messages are full; a will is not retained");
        }
        let routable = Routable::kept(will, Routed::Published);
        self.route(now, publisher, will, routable);
    }

    /// What becomes of messages for sessions that do not keep up.
    pub(crate) fn pressure(&mut self, now: Instant) -> Pressure {
        if self.survey.is_to_be_measured(now, self.limits.queued_bytes) {
            self.survey_sessions(now);
        }
        Pressure {
            when_full: self.limits.when_full,
            is_full: self.survey.is_full(self.limits.queued_bytes),
        }
    }

    fn may_publish(
        &self,
        publisher: &MqttString,
        user: &User,
        message: &Message,
        saying: Saying,
    ) -> bool {
        if !self.access.authorizes() {
            return true;
        }
        let (topic, qos, retain) = (message.topic.as_str(), message.qos, message.retain);
        let action = match saying {
            Saying::Publish => Action::Publish { topic, qos, retain },
            Saying::Will => Action::Will { topic, qos, retain },
        };
        self.access.allows(publisher, user, &action)
    }

    /// Gives a message to every session it matches.
    pub(crate) fn route(
        &mut self,
        now: Instant,
        publisher: &MqttString,
        message: &Message,
        routable: Routable<'_>,
    ) -> Way {
        let mut routable = routable.under(self.pressure(now));
        let own = self.sessions.of_client(publisher);
        self.tree.find(&message.topic, &mut self.matches);
        let mut way = Way::Unmatched;
        // [MQTT-3.3.2-3] [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] The message goes on
        // with the topic and the property bytes it came with.
        // [MQTT-4.5.0-1] Every session that matches gets it, [MQTT-4.6.0-5] [MQTT-4.6.0-6] in the order in which messages come here.
        for same in self.matches.each.chunk_by(|a, b| a.0 == b.0) {
            let [(key, first), more @ ..] = same else {
                continue;
            };
            let Some(entry) = self.sessions.get(*key) else {
                continue;
            };
            if !entry.may_get(&self.access, &message.topic) {
                continue;
            }
            let routable = routable.for_client(own == Some(*key));
            let delivered = if more.is_empty() {
                entry.deliver(std::slice::from_ref(first), routable)
            } else {
                // One delivery for each session, by all its subscriptions that match.
                let all: Vec<_> = same.iter().map(|(_, subscription)| *subscription).collect();
                entry.deliver(&all, routable)
            };
            way = way.max(delivered.into());
            self.survey.note_delivery(delivered, message);
            if message.qos > Qos::AtMostOnce {
                self.unsaved.touch(*key, entry);
            }
        }
        for id in &self.matches.groups {
            if let Some(group) = self.tree.group(*id) {
                // [MQTT-3.3.4-5] A copy of its own, with the identifier of this subscription.
                let (taker, delivered) =
                    deliver_to_one(group, &self.sessions, &self.access, message, &mut routable);
                way = way.max(delivered.into());
                self.survey.note_delivery(delivered, message);
                if let Some((key, entry)) = taker {
                    self.unsaved.touch(key, entry);
                }
            }
        }
        way
    }

    /// Which of these filters the session's client may subscribe to.
    pub(crate) fn may_subscribe(
        &self,
        key: SessionKey,
        filters: &[(TopicFilter, SubscriptionOptions)],
    ) -> Vec<bool> {
        let entry = self.sessions.get(key);
        let may = |(filter, options): &(TopicFilter, SubscriptionOptions)| {
            entry.is_some_and(|entry| entry.may_subscribe(&self.access, filter, options.qos))
        };
        filters.iter().map(may).collect()
    }

    /// Subscribes a session to a filter that its client may subscribe to, and gives the reason code.
    pub(crate) fn subscribe(
        &mut self,
        key: SessionKey,
        (filter, options): &(TopicFilter, SubscriptionOptions),
        identifier: Option<SubscriptionId>,
    ) -> (ReasonCode, RetainedWanted) {
        let options = *options;
        let subscription = Subscription {
            options,
            identifier,
        };
        match self.subscribe_one(key, filter, subscription) {
            Ok(is_new) => (granted(options.qos), wanted(filter, options, is_new)),
            Err(reason) => (reason, RetainedWanted::No),
        }
    }

    /// Asks the store to keep those of these subscriptions that can be granted.
    pub(crate) fn keep_subscriptions<'a>(
        &mut self,
        key: SessionKey,
        filters: impl IntoIterator<Item = &'a (TopicFilter, SubscriptionOptions)>,
        identifier: Option<SubscriptionId>,
    ) {
        let Some(entry) = self.sessions.get(key) else {
            return;
        };
        let Some(link) = &entry.link else {
            return;
        };
        self.unsaved.touch(key, entry);
        for (filter, options) in filters {
            if entry.takes(filter, &self.limits).is_ok() {
                let options = *options;
                let subscription = Subscription {
                    options,
                    identifier,
                };
                self.unsaved.subscribe(link.prefix(), filter, subscription);
            }
        }
    }

    /// Asks the store to forget these subscriptions.
    pub(crate) fn forget_subscriptions<'a>(
        &mut self,
        key: SessionKey,
        filters: impl IntoIterator<Item = &'a TopicFilter>,
    ) {
        let Some(entry) = self.sessions.get(key) else {
            return;
        };
        if let Some(link) = &entry.link {
            for filter in filters {
                self.unsaved.unsubscribe(link.prefix(), filter);
            }
        }
    }

    fn subscribe_one(
        &mut self,
        key: SessionKey,
        filter: &TopicFilter,
        subscription: Subscription,
    ) -> Result<bool, ReasonCode> {
        let entry = self
            .sessions
            .get_mut(key)
            .ok_or(ReasonCode::UnspecifiedError)?;
        let taken = entry.takes(filter, &self.limits);
        if taken == Err(ReasonCode::QuotaExceeded) && entry.link.is_some() {
            // It was to be granted when the store was asked for it; others came first.
            self.forget_subscriptions(key, [filter]);
            return Err(ReasonCode::QuotaExceeded);
        }
        let is_new = taken?;
        entry.add(filter);
        self.tree.subscribe(filter, key, subscription);
        Ok(is_new)
    }

    /// Delivers the retained messages that a new subscription asks for.
    pub(crate) fn deliver_retained(
        &mut self,
        now: Instant,
        key: SessionKey,
        filter: &TopicFilter,
        subscription: Subscription,
    ) {
        let pressure = self.pressure(now);
        let Some(entry) = self.sessions.get(key) else {
            return;
        };
        self.unsaved.touch(key, entry);
        let (survey, access) = (&mut self.survey, &self.access);
        let mut deliver = |message: &Message| {
            if !entry.may_get(access, &message.topic) {
                return;
            }
            let routable = Routable::kept(message, Routed::Retained);
            let delivered = entry.deliver(&[subscription], &mut routable.under(pressure));
            survey.note_delivery(delivered, message);
        };
        self.sys.visit(filter, &mut deliver);
        if !self.limits.retain_available {
            return;
        }
        let retained = &self.retained;
        retained.visit(now, filter, |message| {
            if may_be_retained(retained, access, &message.topic) {
                deliver(&message);
            }
        });
    }

    /// Removes a subscription; tells whether there was one.
    pub(crate) fn unsubscribe(&mut self, key: SessionKey, filter: &TopicFilter) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else {
            return false;
        };
        // [MQTT-3.10.4-1] The filter is compared character by character.
        if !entry.remove(filter) {
            return false;
        }
        // [MQTT-3.10.4-2] [MQTT-3.10.4-3] No new message is added for it; what is on its way goes on.
        self.tree.unsubscribe(filter, key);
        true
    }
}

/// Whether a subscription wants the retained messages it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainedWanted {
    Yes,
    No,
}

fn wanted(filter: &TopicFilter, options: SubscriptionOptions, is_new: bool) -> RetainedWanted {
    let wanted = match options.retain_handling {
        // [MQTT-3.3.1-9] All that match.
        RetainHandling::SendAtSubscribe => true,
        // [MQTT-3.3.1-10] All that match, if the subscription did not exist.
        RetainHandling::SendIfNew => is_new,
        // [MQTT-3.3.1-11] None.
        RetainHandling::DoNotSend => false,
    };
    if wanted && !filter.is_shared() {
        RetainedWanted::Yes
    } else {
        RetainedWanted::No
    }
}

// [MQTT-3.8.4-7] What was asked for is granted, up to the Maximum QoS.
fn granted(qos: Qos) -> ReasonCode {
    match qos {
        Qos::AtMostOnce => ReasonCode::GRANTED_QOS_0,
        Qos::AtLeastOnce => ReasonCode::GrantedQos1,
        Qos::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}

/// Whether the one who published what is retained there may still do that.
fn may_be_retained(retained: &Retained, access: &Access, topic: &TopicName) -> bool {
    let publisher = retained.publisher(topic.as_bytes());
    let publisher = publisher.filter(|_| access.authorizes());
    publisher.is_none_or(|Publisher { client_id, user }| {
        let topic = topic.as_str();
        access.allows(client_id, user, &Action::Retained { topic })
    })
}

/// How a client publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saying {
    Publish,
    Will,
}

/// What became of a message, for its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Unmatched,
    Matched,
    /// The store is behind, so that a session that is to be stored does not take it now.
    Blocked,
}

impl From<Delivered> for Way {
    fn from(delivered: Delivered) -> Self {
        match delivered {
            Delivered::Yes | Delivered::No => Self::Matched,
            Delivered::NotNow => Self::Blocked,
        }
    }
}

/// Gives a message to the next member of a group that takes it: one that is connected, else, above QoS 0, one that is not.
///
// [MQTT-4.8.2-4] [MQTT-4.8.2-6] From here on it is that session's alone, until that ends.
// [MQTT-4.8.2-3] The session keeps to the QoS that was granted.
pub(crate) fn deliver_to_one<'a>(
    group: &mut Group,
    sessions: &'a Sessions,
    access: &Access,
    published: &Message,
    message: &mut Routable<'_>,
) -> (Option<(SessionKey, &'a Entry)>, Delivered) {
    let members = group.members.len();
    let mut worst = Delivered::No;
    for connected in [true, false] {
        for turn in 0..members {
            let at = (group.next + turn) % members;
            let (key, subscription) = group.members[at];
            let Some(entry) = sessions.get(key) else {
                continue;
            };
            let takes = entry.connection.is_some() == connected
                && (connected || published.qos.min(subscription.options.qos) > Qos::AtMostOnce);
            if !takes || !entry.may_get(access, &published.topic) {
                continue;
            }
            match entry.deliver(&[subscription], message.for_group(&group.filter)) {
                Delivered::Yes => {
                    group.next = at + 1;
                    return (Some((key, entry)), Delivered::Yes);
                }
                Delivered::NotNow => worst = Delivered::NotNow,
                Delivered::No => {}
            }
        }
    }
    (None, worst)
}
