//! The way of a message through the broker, and what subscribing and unsubscribing change about it.

use bytes::Bytes;
use ohmqtt_codec::{
    MqttString, Qos, ReasonCode, RetainHandling, SubscriptionId, SubscriptionOptions, TopicFilter,
};
use ohmqtt_session::{Instant, Message, Routed, Subscription};

use crate::core::{State, is_reserved};
use crate::limits::{cost, levels};
use crate::session::{Routable, SessionKey, Sessions};
use crate::tree::Group;

impl State {
    /// Takes a message that a client published: retains it if asked, and gives it to every session it matches. The answer is the reason
    /// code for its acknowledgement.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        publisher: &MqttString,
        message: &Message,
    ) -> ReasonCode {
        let topic = message.topic.as_bytes();
        if levels(topic) > self.limits.topic_levels {
            return ReasonCode::TopicNameInvalid;
        }
        if is_reserved(topic) {
            return ReasonCode::NotAuthorized;
        }
        // [MQTT-3.3.1-8] Without the retain flag nothing is retained or replaced.
        if message.retain && self.retained.set(now, message).is_err() {
            tracing::debug!(topic = %message.topic, "retained messages are full");
            return ReasonCode::QuotaExceeded;
        }
        let routable = Routable::read(message, Routed::Published);
        if self.route(publisher, message, routable) {
            ReasonCode::Success
        } else {
            ReasonCode::NoMatchingSubscribers
        }
    }

    /// Publishes a will.
    ///
    // [MQTT-3.1.2-8] [MQTT-3.1.2-10] Once, and then it is gone.
    pub(crate) fn publish_will(&mut self, now: Instant, publisher: &MqttString, will: &Message) {
        if self.closing {
            return;
        }
        if will.retain && self.retained.set(now, will).is_err() {
            tracing::debug!(topic = %will.topic, "retained messages are full; a will is not retained");
        }
        self.route(publisher, will, Routable::kept(will, Routed::Published));
    }

    /// Gives a message to every session it matches; tells whether there was one.
    fn route(
        &mut self,
        publisher: &MqttString,
        message: &Message,
        mut routable: Routable<'_>,
    ) -> bool {
        let own = self.sessions.of_client(publisher);
        self.tree.find(&message.topic, &mut self.matches);
        let mut matched = false;
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
            matched = true;
            let message = routable.for_client(own == Some(*key));
            if more.is_empty() {
                entry.deliver(std::slice::from_ref(first), message);
            } else {
                // One delivery for each session, by all its subscriptions that match.
                let all: Vec<_> = same.iter().map(|(_, subscription)| *subscription).collect();
                entry.deliver(&all, message);
            }
        }
        for id in &self.matches.groups {
            if let Some(group) = self.tree.group(*id) {
                matched = true;
                // [MQTT-3.3.4-5] A copy of its own, with the identifier of this subscription.
                routable.for_client(false);
                deliver_to_one(group, &self.sessions, message.qos, &mut routable);
            }
        }
        matched
    }

    /// Subscribes a session to each of these filters and gives the reason code of each.
    pub(crate) fn subscribe(
        &mut self,
        key: SessionKey,
        filters: &[(TopicFilter, SubscriptionOptions)],
        identifier: Option<SubscriptionId>,
    ) -> Vec<(ReasonCode, RetainedWanted)> {
        let one = |(filter, options): &(TopicFilter, SubscriptionOptions)| match self.subscribe_one(
            key,
            filter,
            Subscription {
                options: *options,
                identifier,
            },
        ) {
            Ok(is_new) => (granted(options.qos), wanted(filter, *options, is_new)),
            Err(reason) => (reason, RetainedWanted::No),
        };
        filters.iter().map(one).collect()
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
        if levels(filter.filter_bytes()) > self.limits.topic_levels {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        let is_new = !entry.filters.contains(filter);
        if is_new {
            let bytes = entry.filter_bytes + cost(filter.as_bytes());
            if entry.filters.len() >= self.limits.subscriptions
                || bytes > self.limits.subscription_bytes
            {
                return Err(ReasonCode::QuotaExceeded);
            }
            // What is kept is copied out of the buffer it was read into.
            let kept = TopicFilter::try_from(Bytes::copy_from_slice(filter.as_bytes()));
            entry
                .filters
                .insert(kept.unwrap_or_else(|_| filter.clone()));
            entry.filter_bytes = bytes;
        }
        self.tree.subscribe(filter, key, subscription);
        Ok(is_new)
    }

    /// Delivers the retained messages that a new subscription asks for.
    pub(crate) fn deliver_retained(
        &self,
        now: Instant,
        key: SessionKey,
        filter: &TopicFilter,
        subscription: Subscription,
    ) {
        let Some(entry) = self.sessions.get(key) else {
            return;
        };
        self.retained.visit(now, filter, |message| {
            entry.deliver(
                &[subscription],
                &mut Routable::kept(&message, Routed::Retained),
            );
        });
    }

    /// Removes a subscription; tells whether there was one.
    pub(crate) fn unsubscribe(&mut self, key: SessionKey, filter: &TopicFilter) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else {
            return false;
        };
        // [MQTT-3.10.4-1] The filter is compared character by character.
        if !entry.filters.remove(filter) {
            return false;
        }
        entry.filter_bytes -= cost(filter.as_bytes());
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

// [MQTT-3.8.4-7] What was asked for is granted: every QoS is supported, [MQTT-3.2.2-9] [MQTT-3.2.2-10] and no lower Maximum is told.
fn granted(qos: Qos) -> ReasonCode {
    match qos {
        Qos::AtMostOnce => ReasonCode::GRANTED_QOS_0,
        Qos::AtLeastOnce => ReasonCode::GrantedQos1,
        Qos::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}

/// Gives a message to the next member of a group that takes it: one that is connected, else, above QoS 0, one that is not.
///
// [MQTT-4.8.2-4] [MQTT-4.8.2-5] [MQTT-4.8.2-6] From here on it is that session's alone, whatever becomes of it.
// [MQTT-4.8.2-3] The session keeps to the QoS that was granted.
fn deliver_to_one(group: &mut Group, sessions: &Sessions, qos: Qos, message: &mut Routable<'_>) {
    let members = group.members.len();
    for connected in [true, false] {
        for turn in 0..members {
            let at = (group.next + turn) % members;
            let (key, subscription) = group.members[at];
            let Some(entry) = sessions.get(key) else {
                continue;
            };
            let takes = entry.connection.is_some() == connected
                && (connected || qos.min(subscription.options.qos) > Qos::AtMostOnce);
            if takes && entry.deliver(&[subscription], message) {
                group.next = at + 1;
                return;
            }
        }
    }
}
