//! Which unsent message is the newest on its topic, and which ones have a newer one: what [`Overflow::KeepNewest`] drops by.
//!
//! [`Overflow::KeepNewest`]: super::Overflow::KeepNewest

use alloc::collections::BTreeMap;
use ohmqtt_codec::TopicName;

/// What an unsent message costs here beside its topic, in bytes: nodes and numbers of two trees.
const ENTRY: usize = 64;

/// The unsent messages by topic.
#[derive(Debug, Default)]
pub(super) struct Newest {
    by_topic: BTreeMap<TopicName, (u64, usize)>,
    /// The topics of the newest ones.
    topics: BTreeMap<u64, TopicName>,
    /// Those that have a newer one on their topic, with their sizes.
    older: BTreeMap<u64, usize>,
    older_bytes: usize,
    topic_bytes: usize,
}

impl Newest {
    /// About what it occupies, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.topic_bytes + ENTRY * (2 * self.by_topic.len() + self.older.len())
    }

    /// What a message on this topic would add to that.
    pub(super) fn cost(&self, topic: &TopicName) -> usize {
        if self.by_topic.contains_key(topic) {
            ENTRY
        } else {
            Self::first_cost(topic)
        }
    }

    /// What the only message on a topic occupies here.
    pub(super) fn first_cost(topic: &TopicName) -> usize {
        2 * ENTRY + topic.len()
    }

    /// How many messages [`pop_older`](Self::pop_older) would give in all, their bytes, and what they occupy here.
    pub(super) fn poppable(&self, topic: &TopicName) -> (usize, usize, usize) {
        let entries = ENTRY * self.older.len();
        match self.by_topic.get(topic) {
            Some((_, size)) => (
                self.older.len() + 1,
                self.older_bytes + size,
                entries + Self::first_cost(topic),
            ),
            None => (self.older.len(), self.older_bytes, entries),
        }
    }

    /// An unsent message.
    pub(super) fn add(&mut self, topic: &TopicName, seq: u64, size: usize) {
        if let Some(newest) = self.by_topic.get_mut(topic) {
            // One that is to be sent anew is older than those that were not sent.
            let older = if newest.0 < seq {
                if let Some(name) = self.topics.remove(&newest.0) {
                    self.topics.insert(seq, name);
                }
                core::mem::replace(newest, (seq, size))
            } else {
                (seq, size)
            };
            self.older.insert(older.0, older.1);
            self.older_bytes += older.1;
            return;
        }
        self.topic_bytes += topic.len();
        // The name may be a slice of a large packet.
        let name = TopicName::try_from(bytes::Bytes::copy_from_slice(topic.as_bytes()));
        let name = name.unwrap_or_else(|_| topic.clone());
        self.topics.insert(seq, name.clone());
        self.by_topic.insert(name, (seq, size));
    }

    /// The message is not unsent any more.
    pub(super) fn remove(&mut self, seq: u64) {
        if let Some(size) = self.older.remove(&seq) {
            self.older_bytes -= size;
        } else if let Some(topic) = self.topics.remove(&seq) {
            self.by_topic.remove(&topic);
            self.topic_bytes -= topic.len();
        }
    }

    /// The oldest message, and its size, that has a newer one on its topic, if one on `topic` is about to come. It is not unsent any
    /// more.
    pub(super) fn pop_older(&mut self, topic: &TopicName) -> Option<(u64, usize)> {
        let older = self
            .older
            .first_key_value()
            .map(|(seq, size)| (*seq, *size));
        let own = self.by_topic.get(topic).copied();
        match (older, own) {
            (Some((seq, size)), own) if own.is_none_or(|(own, _)| seq < own) => {
                self.older.remove(&seq);
                self.older_bytes -= size;
                Some((seq, size))
            }
            (_, Some((seq, size))) => {
                self.remove(seq);
                Some((seq, size))
            }
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[test]
    fn the_oldest_with_a_newer_one_goes_first_and_the_newest_stays() {
        let mut newest = Newest::default();
        for (seq, name) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
            newest.add(&topic(name), seq as u64, 10);
        }
        let c = topic("c");
        assert_eq!(newest.pop_older(&c), Some((0, 10)));
        assert_eq!(newest.pop_older(&c), Some((1, 10)));
        assert_eq!(newest.pop_older(&c), Some((2, 10)));
        assert_eq!(newest.pop_older(&c), None, "3 and 4 are the newest");
        assert_eq!(
            newest.pop_older(&topic("a")),
            Some((3, 10)),
            "5 will be newer"
        );
        assert_eq!(newest.pop_older(&topic("a")), None);
    }

    #[test]
    fn what_is_sent_is_forgotten_and_costs_nothing() {
        let mut newest = Newest::default();
        assert_eq!(newest.cost(&topic("aa")), 2 * ENTRY + 2);
        newest.add(&topic("aa"), 1, 10);
        newest.add(&topic("aa"), 2, 10);
        assert_eq!(newest.bytes(), 3 * ENTRY + 2);
        newest.remove(1);
        newest.remove(2);
        assert_eq!(newest.bytes(), 0);
        assert_eq!(newest.pop_older(&topic("aa")), None);
    }
}
