//! What a session that has ended was given by shared subscriptions and has not finished: others of the group are to get it (section 4.8.2).
//!
//! To whom it goes is the server's business.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use ohmqtt_codec::{Qos, TopicFilter};

use super::Flows;
use crate::Instant;
use crate::message::{LostMessage, Message, Outgoing, shorten_expiry};
use crate::record::Record;

/// What [`Flows::give_back`] gives: the parts in their order.
#[derive(Debug, Default)]
pub struct GivenBack {
    /// What was in memory.
    pub messages: Vec<Unfinished>,
    /// Behind that, what is in the store alone: the places of those messages. Each is read by [`Unfinished::of_record`].
    pub stored: Option<Range<u64>>,
    /// And behind that, what was in memory again.
    pub behind: Vec<Unfinished>,
}

/// A message that a session was given by a shared subscription and has not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its place in the order of publishing, which is its [key](crate::Key::Outgoing).
    pub seq: u64,
    /// The subscription, as [`PublishOptions::via`](crate::PublishOptions::via) told it.
    pub via: Arc<TopicFilter>,
    /// The message for the next one: at the QoS it had here, with what is left of its Message Expiry Interval, without the identifier of
    /// the subscription.
    pub message: Message,
}

impl Unfinished {
    /// The message of a record that the session kept and that is read after its end, if it is for another of the group. One of QoS 2 that
    /// may have been sent is not.
    pub fn of_record(now: Instant, record: Record) -> Option<Self> {
        let Record::Message {
            seq,
            packet_id,
            accepted,
            deadline,
            via,
            message,
        } = record
        else {
            return None;
        };
        if message.qos == Qos::ExactlyOnce && packet_id.is_some() {
            return None;
        }
        if LostMessage::of_wait(now, accepted, deadline, &message).is_some() {
            return None;
        }
        Some(Self::new(now, seq, via?, accepted, message))
    }

    fn new(
        now: Instant,
        seq: u64,
        via: Arc<TopicFilter>,
        accepted: Instant,
        mut message: Message,
    ) -> Self {
        message.properties.remove_subscription_identifiers();
        // [MQTT-3.3.2-6] The time it waited here is taken off.
        shorten_expiry(&mut message.properties, now, accepted);
        Self { seq, via, message }
    }
}

impl Flows {
    /// Gives back what has come by shared subscriptions and is not finished, when the session has ended: QoS 1 that is not acknowledged,
    /// QoS 2 that was never sent. Nothing more is to be sent from here.
    ///
    // [MQTT-4.8.2-5] A QoS 2 message that was sent goes to nobody else.
    pub fn give_back(&mut self, now: Instant) -> GivenBack {
        let in_flight = self.sender.take_in_flight();
        let (window, mut stored, behind) = self.sender.outbox.take_unsent();
        if !self.is_open() {
            // What is there is not known.
            stored = Some(0..u64::MAX);
        }
        let staged = self.sender.take_staged();
        let mut given = |outgoing: Box<Outgoing>| {
            let via = outgoing.via.clone()?;
            if let Some(why) = outgoing.is_over(now) {
                self.sender.outbox.lose(outgoing.ticket, why, &mut |_| {});
                return None;
            }
            let Outgoing {
                seq,
                accepted,
                message,
                ..
            } = *outgoing;
            Some(Unfinished::new(now, seq, via, accepted, message))
        };
        GivenBack {
            messages: in_flight
                .into_iter()
                .chain(window)
                .filter_map(&mut given)
                .collect(),
            stored,
            behind: behind
                .into_iter()
                .chain(staged)
                .filter_map(&mut given)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use ohmqtt_codec::{SubscriptionId, TopicName};

    use super::*;
    use crate::{OutboxConfig, PublishOptions};

    const START: Instant = Instant::from_unix_micros(1_000_000);

    fn message(payload: &'static str, expiry: u32) -> Message {
        let mut message = Message::new(TopicName::new("t").unwrap(), payload);
        message.qos = Qos::AtLeastOnce;
        message.properties.set_message_expiry_interval(expiry);
        message
    }

    /// [MQTT-3.3.2-5] [MQTT-3.3.2-6]
    #[test]
    fn what_is_given_back_has_what_is_left_of_its_time_and_no_identifier() {
        let mut flows = Flows::new(OutboxConfig::default(), false);
        let via = Arc::new(TopicFilter::new("$share/g/t").unwrap());
        let mut long = message("long", 10);
        let identifier = SubscriptionId::new(7).unwrap();
        long.properties.add_subscription_identifier(identifier);
        let all = [
            (long, Some(Arc::clone(&via))),
            (message("short", 4), Some(Arc::clone(&via))),
            (message("its own", 10), None),
        ];
        for (message, via) in all {
            let options = PublishOptions {
                via,
                ..PublishOptions::default()
            };
            flows
                .sender
                .accept(&mut flows.log, START, message, options, &mut |_| {})
                .unwrap();
        }
        let given = flows.give_back(START + Duration::from_secs(4));
        let want = Unfinished {
            seq: 0,
            via,
            message: message("long", 6),
        };
        assert_eq!(given.messages, [want]);
        assert!(given.stored.is_none() && given.behind.is_empty());
        assert_eq!(flows.counters().expired, 1);
    }

    #[test]
    fn of_the_records_read_later_those_that_may_have_been_sent_at_qos_2_stay_lost() {
        let via = Arc::new(TopicFilter::new("$share/g/t").unwrap());
        let is_given = |qos, packet_id: Option<u16>, via: Option<&Arc<TopicFilter>>| {
            let mut message = message("x", 10);
            message.qos = qos;
            let record = Record::Message {
                seq: 1,
                packet_id: packet_id.and_then(ohmqtt_codec::PacketId::new),
                accepted: START,
                deadline: None,
                via: via.cloned(),
                message,
            };
            Unfinished::of_record(START, record).is_some()
        };
        assert!(is_given(Qos::AtLeastOnce, Some(1), Some(&via)));
        assert!(is_given(Qos::ExactlyOnce, None, Some(&via)));
        assert!(!is_given(Qos::ExactlyOnce, Some(1), Some(&via)));
        assert!(!is_given(Qos::AtLeastOnce, None, None));
    }
}
