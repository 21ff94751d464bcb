//! Topic aliases on the way out (section 3.3.2.3.4): which topic has which number on this connection.

use alloc::collections::BTreeMap;

use ohmqtt_codec::{Publish, PublishTopic, TopicAlias, TopicName};

/// Whether a message is sent with a topic alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AliasPolicy {
    /// With its topic.
    #[default]
    Never,
    /// With an alias where the other side takes any; when all are in use, that of the topic used longest ago is given to this one.
    Try,
    /// With an alias, or not at all: without one left the message is refused. Only for QoS 0, because a message that is sent again
    /// on another connection may find none. The alias stays with its topic until the connection ends.
    Always,
}

/// The aliases of one connection. At most as many as the other side accepts.
///
// [MQTT-3.3.2-7] They do not outlive the connection: each begins with an empty table.
#[derive(Debug, Default)]
pub(crate) struct OutboundAliases {
    maximum: u16,
    by_topic: BTreeMap<TopicName, Alias>,
    /// Topics that may lose their alias, the one used longest ago first.
    by_use: BTreeMap<u64, TopicName>,
    uses: u64,
}

#[derive(Debug)]
struct Alias {
    number: TopicAlias,
    /// The other side knows it.
    announced: bool,
    /// When it was used last; `None`: it is not given away.
    used: Option<u64>,
}

impl OutboundAliases {
    /// An empty table for a peer with this Topic Alias Maximum.
    ///
    // [MQTT-3.2.2-18] [MQTT-3.1.2-27] A peer that names none accepts none.
    pub(crate) fn new(maximum: u16) -> Self {
        Self {
            maximum,
            ..Self::default()
        }
    }

    pub(crate) fn maximum(&self) -> u16 {
        self.maximum
    }

    /// Gives a topic an alias that it keeps as long as the connection stands; false when there is none left.
    pub(crate) fn pin(&mut self, topic: &TopicName) -> bool {
        let Some(alias) = self.assign(topic) else {
            return false;
        };
        if let Some(used) = alias.used.take() {
            self.by_use.remove(&used);
        }
        true
    }

    /// Puts an alias into a packet that is about to be sent. Where the packet has to name the topic too, it may have at most `limit`
    /// bytes.
    pub(crate) fn apply(&mut self, publish: &mut Publish, policy: AliasPolicy, limit: usize) {
        let PublishTopic::Name(topic) = &publish.topic else {
            return;
        };
        if policy == AliasPolicy::Never {
            return;
        }
        let topic = topic.clone();
        let Some(alias) = self.assign(&topic) else {
            return;
        };
        let number = alias.number;
        if alias.announced {
            publish.properties.set_topic_alias(number);
            publish.topic = PublishTopic::Alias(number);
            return;
        }
        let mut named = publish.clone();
        named.properties.set_topic_alias(number);
        if named.encoded_len() <= limit {
            alias.announced = true;
            *publish = named;
        }
    }

    /// The alias of a topic: the one it has, a free one, or the one whose topic was used longest ago.
    fn assign(&mut self, topic: &TopicName) -> Option<&mut Alias> {
        self.uses += 1;
        if !self.by_topic.contains_key(topic) {
            let number = match u16::try_from(self.by_topic.len()) {
                // [MQTT-3.2.2-17] [MQTT-3.3.2-9] [MQTT-3.1.2-26] [MQTT-3.3.2-11] No alias above the other side's maximum.
                Ok(used) if used < self.maximum => TopicAlias::new(used + 1)?,
                _ => {
                    let (_, oldest) = self.by_use.pop_first()?;
                    self.by_topic.remove(&oldest)?.number
                }
            };
            let alias = Alias {
                number,
                announced: false,
                used: Some(self.uses),
            };
            self.by_topic.insert(topic.clone(), alias);
            self.by_use.insert(self.uses, topic.clone());
        }
        let alias = self.by_topic.get_mut(topic)?;
        if let Some(used) = &mut alias.used
            && let Some(topic) = self.by_use.remove(used)
        {
            *used = self.uses;
            self.by_use.insert(self.uses, topic);
        }
        Some(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    /// The topic and the alias that a message to `name` is sent with.
    fn sent(
        aliases: &mut OutboundAliases,
        name: &str,
        policy: AliasPolicy,
    ) -> (Option<TopicName>, Option<u16>) {
        let mut publish = Publish::new(topic(name), "");
        aliases.apply(&mut publish, policy, 1000);
        let alias = publish.properties.topic_alias().map(TopicAlias::get);
        match publish.topic {
            PublishTopic::Name(topic) => (Some(topic), alias),
            PublishTopic::Alias(_) => (None, alias),
        }
    }

    #[test]
    fn the_first_use_names_the_topic_and_later_ones_do_not() {
        let mut aliases = OutboundAliases::new(2);
        assert_eq!(
            sent(&mut aliases, "a", AliasPolicy::Try),
            (Some(topic("a")), Some(1))
        );
        assert_eq!(sent(&mut aliases, "a", AliasPolicy::Try), (None, Some(1)));
        assert_eq!(
            sent(&mut aliases, "a", AliasPolicy::Never),
            (Some(topic("a")), None)
        );
    }

    /// [MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-9] [MQTT-3.1.2-26] No alias above the other side's maximum, none without one.
    #[test]
    fn when_all_are_in_use_the_topic_used_longest_ago_gives_its_alias() {
        let mut aliases = OutboundAliases::new(2);
        for (name, number) in [("a", 1), ("b", 2)] {
            assert_eq!(
                sent(&mut aliases, name, AliasPolicy::Try),
                (Some(topic(name)), Some(number))
            );
        }
        sent(&mut aliases, "a", AliasPolicy::Try);
        assert_eq!(
            sent(&mut aliases, "c", AliasPolicy::Try),
            (Some(topic("c")), Some(2))
        );
        assert_eq!(
            sent(&mut aliases, "b", AliasPolicy::Try),
            (Some(topic("b")), Some(1))
        );
        assert_eq!(sent(&mut aliases, "c", AliasPolicy::Try), (None, Some(2)));
        assert_eq!(
            sent(&mut OutboundAliases::new(0), "a", AliasPolicy::Try),
            (Some(topic("a")), None)
        );
    }

    #[test]
    fn an_alias_that_is_pinned_is_not_given_away() {
        let mut aliases = OutboundAliases::new(1);
        assert!(aliases.pin(&topic("a")));
        assert!(!aliases.pin(&topic("b")));
        assert_eq!(
            sent(&mut aliases, "b", AliasPolicy::Try),
            (Some(topic("b")), None)
        );
        assert_eq!(
            sent(&mut aliases, "a", AliasPolicy::Always),
            (Some(topic("a")), Some(1))
        );
        assert_eq!(
            sent(&mut aliases, "a", AliasPolicy::Always),
            (None, Some(1))
        );
    }

    #[test]
    fn a_packet_that_has_no_room_for_the_alias_goes_without() {
        let mut aliases = OutboundAliases::new(1);
        let mut publish = Publish::new(topic("topic"), "");
        let limit = publish.encoded_len();
        aliases.apply(&mut publish, AliasPolicy::Try, limit);
        assert_eq!(publish.properties.topic_alias(), None);
        assert_eq!(
            sent(&mut aliases, "topic", AliasPolicy::Try),
            (Some(topic("topic")), Some(1))
        );
    }
}
