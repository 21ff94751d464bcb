//! Retained messages (section 3.3.1.3): the last of each topic, found by the filters of those who subscribe later.

use std::time::Duration;

use ohmqtt_codec::{MqttString, TopicFilter, TopicName};
use ohmqtt_session::{Instant, Message};
use ohmqtt_topics::{NodeId, ROOT, Trie, Vacant, first_level};

use crate::access::User;
use crate::deadlines::Deadlines;
use crate::limits::{Limits, cost};

/// The retained messages, by topic.
#[derive(Debug)]
pub(crate) struct Retained {
    trie: Trie<Slot>,
    expiring: Deadlines<NodeId>,
    messages: usize,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    kept: Option<Box<Kept>>,
    /// Changes that the store has not answered.
    unanswered: u32,
    /// While there are such: what the store has.
    stored: Option<Box<Kept>>,
}

/// Who published what is retained.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    pub(crate) client_id: MqttString,
    pub(crate) user: User,
}

/// What a topic has behind a change that the store has not answered yet.
#[derive(Debug)]
pub(crate) struct Change {
    topic: TopicName,
    kept: Option<Box<Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    message: Message,
    since: Instant,
    expires: Option<Instant>,
    cost: usize,
    /// `None`: it is not known, and nobody is asked about it.
    publisher: Option<Publisher>,
}

/// The broker keeps as many retained messages as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Change {
    /// Who published what the topic has behind it.
    pub(crate) fn publisher(&self) -> Option<&Publisher> {
        self.kept.as_ref()?.publisher.as_ref()
    }
}

impl Vacant for Slot {
    fn is_vacant(&self) -> bool {
        self.kept.is_none() && self.unanswered == 0
    }
}

impl Retained {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            trie: Trie::new(),
            expiring: Deadlines::new(),
            messages: 0,
            bytes: 0,
            max_messages: limits.retained,
            max_bytes: limits.retained_bytes,
        }
    }

    /// Keeps this message as the one of its topic, or, when it has no payload, none. A message that does not fit leaves the old one. It
    /// is as old as `since` says.
    pub(crate) fn set(&mut self, since: Instant, message: &Message) -> Result<(), Full> {
        let topic = message.topic.as_bytes();
        // [MQTT-3.3.1-6] An empty payload removes what was retained, [MQTT-3.3.1-7] and is not retained itself.
        if message.payload.is_empty() {
            if let Some(at) = self.trie.find(topic) {
                self.remove(at);
            }
            return Ok(());
        }
        let cost = message.size() + cost(topic);
        let old = self.trie.find(topic).and_then(|at| self.kept(at));
        let (old_messages, old_bytes) = old.map_or((0, 0), |old| (1, old.cost));
        if self.messages - old_messages >= self.max_messages
            || self.bytes - old_bytes + cost > self.max_bytes
        {
            return Err(Full);
        }
        // [MQTT-3.3.1-5] It replaces the one of its topic.
        let at = self.trie.insert(topic).ok_or(Full)?;
        self.take(at);
        let kept = Kept {
            message: message.clone().detached(),
            since,
            expires: expires(since, message),
            cost,
            publisher: None,
        };
        self.put(at, Some(Box::new(kept)));
        Ok(())
    }

    /// The same for a store that is to keep it too: what becomes of that is to be told by [`settle`](Self::settle).
    pub(crate) fn change(
        &mut self,
        since: Instant,
        message: &Message,
        publisher: Option<Publisher>,
    ) -> Result<Change, Full> {
        let topic = message.topic.as_bytes();
        let before = self.trie.find(topic).and_then(|at| self.kept(at)).cloned();
        self.set(since, message)?;
        if let Some(publisher) = publisher {
            self.set_publisher(topic, publisher);
        }
        let at = self.trie.insert(topic).ok_or(Full)?;
        let slot = self.trie.value_mut(at).ok_or(Full)?;
        if slot.unanswered == 0 {
            slot.stored = before.map(Box::new);
        }
        slot.unanswered += 1;
        Ok(Change {
            topic: message.topic.clone(),
            kept: slot.kept.clone(),
        })
    }

    /// Notes who published what is retained on a topic, if anything is.
    pub(crate) fn set_publisher(&mut self, topic: &[u8], publisher: Publisher) {
        let slot = self.trie.find(topic).and_then(|at| self.trie.value_mut(at));
        if let Some(kept) = slot.and_then(|slot| slot.kept.as_mut()) {
            kept.publisher = Some(publisher);
        }
    }

    /// The store has made a change, or has not. The answers come in the order of the changes. When the last one of a topic was not made,
    /// the topic has again what the store has.
    pub(crate) fn settle(&mut self, change: Change, is_stored: bool) {
        let Some(at) = self.trie.find(change.topic.as_bytes()) else {
            return;
        };
        let Some(slot) = self.trie.value_mut(at) else {
            return;
        };
        slot.unanswered = slot.unanswered.saturating_sub(1);
        if is_stored {
            slot.stored = change.kept;
        }
        if slot.unanswered == 0 {
            let stored = slot.stored.take();
            if !is_stored {
                self.take(at);
                self.put(at, stored);
            }
        }
        self.trie.prune(at);
    }

    fn put(&mut self, at: NodeId, kept: Option<Box<Kept>>) {
        let (Some(kept), Some(slot)) = (kept, self.trie.value_mut(at)) else {
            return;
        };
        self.messages += 1;
        self.bytes += kept.cost;
        if let Some(expires) = kept.expires {
            self.expiring.insert(expires, at);
        }
        slot.kept = Some(kept);
    }

    /// Who published what is retained on a topic, if that is known.
    pub(crate) fn publisher(&self, topic: &[u8]) -> Option<&Publisher> {
        let at = self.trie.find(topic)?;
        self.kept(at)?.publisher.as_ref()
    }

    /// Visits the messages whose topics this filter matches, with the time they were kept taken off their Message Expiry Interval.
    pub(crate) fn visit(&self, now: Instant, filter: &TopicFilter, mut visit: impl FnMut(Message)) {
        // Where to look next: a node, and the levels of the filter below it.
        let mut ways = vec![(ROOT, Some(filter.filter_bytes()))];
        while let Some((at, rest)) = ways.pop() {
            let Some(rest) = rest else {
                if let Some(message) = self.kept(at).and_then(|kept| kept.at(now)) {
                    visit(message);
                }
                continue;
            };
            let (level, below) = first_level(rest);
            // [MQTT-4.7.2-1] A leading wildcard does not match a leading `$`.
            let children = self
                .trie
                .children(at)
                .filter(|(level, _)| at != ROOT || level.first() != Some(&b'$'));
            match level {
                b"+" => ways.extend(children.map(|(_, child)| (child, below))),
                b"#" => {
                    // Also for the level above it: `a/#` matches `a`.
                    ways.extend(children.map(|(_, child)| (child, Some(level))));
                    if at != ROOT {
                        ways.push((at, None));
                    }
                }
                level => ways.extend(self.trie.child(at, level).map(|child| (child, below))),
            }
        }
    }

    /// How many messages there are, and what they cost in bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// When the next message expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiring.next()
    }

    /// Removes what has expired, and tells the topics.
    pub(crate) fn expire(&mut self, now: Instant, mut gone: impl FnMut(&TopicName)) {
        while let Some(at) = self.expiring.pop_due(now) {
            if let Some(kept) = self.kept(at) {
                gone(&kept.message.topic);
            }
            self.remove(at);
        }
    }

    fn kept(&self, at: NodeId) -> Option<&Kept> {
        self.trie.value(at)?.kept.as_deref()
    }

    fn remove(&mut self, at: NodeId) {
        self.take(at);
        self.trie.prune(at);
    }

    /// Empties a slot, and leaves its node.
    fn take(&mut self, at: NodeId) {
        let Some(kept) = self.trie.value_mut(at).and_then(|slot| slot.kept.take()) else {
            return;
        };
        self.messages -= 1;
        self.bytes -= kept.cost;
        if let Some(expires) = kept.expires {
            self.expiring.remove(expires, at);
        }
    }
}

/// When a message expires that is retained since then, if it does.
pub(crate) fn expires(since: Instant, message: &Message) -> Option<Instant> {
    let interval = message.properties.message_expiry_interval()?;
    Some(since + Duration::from_secs(u64::from(interval)))
}

impl Kept {
    /// The message as it is to be delivered now, unless it has expired.
    fn at(&self, now: Instant) -> Option<Message> {
        let mut message = self.message.clone();
        let Some(expires) = self.expires else {
            return Some(message);
        };
        if expires <= now {
            return None;
        }
        let interval = message.properties.message_expiry_interval()?;
        let waited = u32::try_from(now.since(self.since).as_secs()).unwrap_or(u32::MAX);
        // [MQTT-3.3.2-6] The interval sent is the interval received less the time waited.
        let left = interval.saturating_sub(waited).max(1);
        message.properties.set_message_expiry_interval(left);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Instant = Instant::from_unix_micros(1_800_000_000_000_000);

    fn message(topic: &str, payload: &str) -> Message {
        let topic = TopicName::new(topic).unwrap();
        Message::new(topic, payload.as_bytes().to_vec())
    }

    fn retained(change: impl FnOnce(&mut Limits)) -> Retained {
        let mut limits = Limits::default();
        change(&mut limits);
        Retained::new(&limits)
    }

    /// The topics that a filter finds, sorted.
    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        let filter = TopicFilter::new(filter).unwrap();
        let mut topics = Vec::new();
        retained.visit(NOW, &filter, |message| {
            topics.push(message.topic.to_string());
        });
        topics.sort();
        topics
    }

    #[test]
    fn a_filter_finds_the_topics_it_matches() {
        let mut retained = retained(|_| {});
        for topic in ["a", "a/b", "a/b/c", "b", "/a", "$s/a", "a/$s"] {
            retained.set(NOW, &message(topic, "x")).unwrap();
        }
        let check = |filter, want: &[&str]| assert_eq!(found(&retained, filter), want, "{filter}");
        check("a", &["a"]);
        check("a/+", &["a/$s", "a/b"]);
        check("a/#", &["a", "a/$s", "a/b", "a/b/c"]);
        check("#", &["/a", "a", "a/$s", "a/b", "a/b/c", "b"]);
        check("+", &["a", "b"]);
        check("+/a", &["/a"]);
        check("$s/#", &["$s/a"]);
        check("x/#", &[]);
    }

    #[test]
    fn what_does_not_fit_leaves_the_old_message() {
        let cost = message("a", "1234").size() + cost(b"a");
        let mut retained = retained(|limits| {
            limits.retained = 2;
            limits.retained_bytes = 2 * cost + 1;
        });
        retained.set(NOW, &message("a", "1234")).unwrap();
        retained.set(NOW, &message("b", "1234")).unwrap();
        assert_eq!(retained.set(NOW, &message("c", "1")), Err(Full));
        assert_eq!(retained.set(NOW, &message("a", "123456")), Err(Full));
        retained.set(NOW, &message("a", "12345")).unwrap();
        retained.set(NOW, &message("b", "")).unwrap();
        retained.set(NOW, &message("c", "1")).unwrap();
        assert_eq!(found(&retained, "#"), ["a", "c"]);
        retained.set(NOW, &message("a", "")).unwrap();
        retained.set(NOW, &message("c", "")).unwrap();
        assert_eq!((retained.messages, retained.bytes), (0, 0));
        assert_eq!(retained.trie.children(ROOT).count(), 0);
    }

    /// [MQTT-3.3.2-6] The interval goes down with the time the message was kept.
    #[test]
    fn a_message_expires_and_tells_how_long_it_has_left() {
        let mut retained = retained(|_| {});
        let mut expiring = message("a", "x");
        expiring.properties.set_message_expiry_interval(10);
        retained.set(NOW, &expiring).unwrap();
        retained.set(NOW, &expiring).unwrap();
        let left = |retained: &Retained, after: u64| {
            let mut left = None;
            let filter = TopicFilter::new("a").unwrap();
            retained.visit(NOW + Duration::from_secs(after), &filter, |message| {
                left = message.properties.message_expiry_interval();
            });
            left
        };
        assert_eq!(left(&retained, 0), Some(10));
        assert_eq!(left(&retained, 7), Some(3));
        assert_eq!(left(&retained, 10), None);
        let at = retained.next_expiry().unwrap();
        assert_eq!(at, NOW + Duration::from_secs(10));
        retained.expire(at, |topic| assert_eq!(topic.as_str(), "a"));
        assert_eq!((retained.messages, retained.next_expiry()), (0, None));
        // One that replaces it has its own time.
        retained.set(NOW, &expiring).unwrap();
        retained.set(NOW, &message("a", "y")).unwrap();
        assert_eq!(retained.next_expiry(), None);
    }

    #[test]
    fn a_change_that_is_not_stored_is_taken_back() {
        let check = |stored: [bool; 3], want: &str| {
            let mut retained = retained(|_| {});
            retained.set(NOW, &message("a", "0")).unwrap();
            let changes = ["1", "", "3"]
                .map(|payload| retained.change(NOW, &message("a", payload), None).unwrap());
            for (change, is_stored) in changes.into_iter().zip(stored) {
                retained.settle(change, is_stored);
            }
            let mut left = String::new();
            let filter = TopicFilter::new("a").unwrap();
            retained.visit(NOW, &filter, |message| {
                left += std::str::from_utf8(&message.payload).unwrap();
            });
            assert_eq!(left, want, "{stored:?}");
            assert_eq!(retained.messages, want.len());
            retained.set(NOW, &message("a", "")).unwrap();
            assert_eq!(retained.trie.children(ROOT).count(), 0);
        };
        check([true, true, true], "3");
        check([false, false, true], "3");
        check([true, true, false], "");
        check([true, false, false], "1");
        check([false, false, false], "0");
        check([false, true, false], "");
    }

    fn levels(level: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn a_filter_finds_what_it_matches_one_by_one(
            topics in proptest::collection::btree_set(levels("[ab$]?"), 0..30),
            (filter, all) in (levels("[ab$]?|\\+"), any::<bool>()),
        ) {
            let mut retained = retained(|_| {});
            let topics: Vec<_> = topics.iter().filter_map(|topic| TopicName::new(topic).ok()).collect();
            for topic in &topics {
                retained.set(NOW, &message(topic.as_str(), "x")).unwrap();
            }
            let filter = if all { filter + "/#" } else { filter };
            if let Ok(matching) = TopicFilter::new(&filter) {
                let want: Vec<_> = topics.iter().filter(|topic| matching.matches(topic)).map(ToString::to_string).collect();
                prop_assert_eq!(found(&retained, &filter), want);
            }
        }
    }
}
