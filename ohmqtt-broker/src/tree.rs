//! The topic tree: which sessions a message on a topic is for.
//!
//! A filter stands in the tree level by level, its wildcards as levels of their own. Matching walks the topic's levels and the
//! wildcards beside them, so it costs what the topic's depth and the filters along it cost, however many others there are.

use std::collections::HashMap;

use ohmqtt_codec::{TopicFilter, TopicName};
use ohmqtt_session::Subscription;

use crate::session::SessionKey;
use crate::trie::{NodeId, ROOT, Trie, Vacant, split};

/// All subscriptions, by their filters.
#[derive(Debug)]
pub(crate) struct Tree {
    trie: Trie<Subscribers>,
}

#[derive(Debug, Default)]
struct Subscribers {
    each: HashMap<SessionKey, Subscription>,
    groups: Vec<Group>,
}

/// The members of a shared subscription: each message is for one of them.
#[derive(Debug)]
pub(crate) struct Group {
    name: Box<str>,
    pub(crate) members: Vec<(SessionKey, Subscription)>,
    /// Whose turn it is.
    pub(crate) next: usize,
}

/// Where a [`Group`] stands, until the tree changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupId(NodeId, usize);

/// What a message matches. Kept and filled again, so that matching allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// Sessions with one of their subscriptions each, those of the same session in a row.
    pub(crate) each: Vec<(SessionKey, Subscription)>,
    pub(crate) groups: Vec<GroupId>,
    /// Where to look next: a node, and the levels of the topic below it.
    ways: Vec<(NodeId, Option<usize>)>,
}

impl Vacant for Subscribers {
    fn is_vacant(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self { trie: Trie::new() }
    }

    /// Adds a subscription of a session, or replaces the one with the same filter.
    pub(crate) fn subscribe(
        &mut self,
        filter: &TopicFilter,
        session: SessionKey,
        subscription: Subscription,
    ) {
        let at = self.trie.insert(filter.filter_bytes());
        let Some(subscribers) = at.and_then(|at| self.trie.value_mut(at)) else {
            return;
        };
        let Some(name) = filter.share_name() else {
            // [MQTT-3.8.4-3] The same filter again replaces the subscription.
            subscribers.each.insert(session, subscription);
            return;
        };
        let groups = &mut subscribers.groups;
        let at = groups.iter().position(|group| *group.name == *name);
        let at = at.unwrap_or_else(|| {
            groups.push(Group {
                name: name.into(),
                members: Vec::new(),
                next: 0,
            });
            groups.len() - 1
        });
        let group = &mut groups[at];
        match group.members.iter_mut().find(|(key, _)| *key == session) {
            Some(member) => member.1 = subscription,
            None => group.members.push((session, subscription)),
        }
    }

    /// Removes a subscription of a session.
    pub(crate) fn unsubscribe(&mut self, filter: &TopicFilter, session: SessionKey) {
        let Some(at) = self.trie.find(filter.filter_bytes()) else {
            return;
        };
        let Some(subscribers) = self.trie.value_mut(at) else {
            return;
        };
        if let Some(name) = filter.share_name() {
            for group in &mut subscribers.groups {
                if *group.name == *name {
                    group.members.retain(|(key, _)| *key != session);
                }
            }
            subscribers.groups.retain(|group| !group.members.is_empty());
        } else {
            subscribers.each.remove(&session);
        }
        self.trie.prune(at);
    }

    /// Finds everything that a message on this topic is for.
    pub(crate) fn find(&self, topic: &TopicName, found: &mut Matches) {
        let topic = topic.as_bytes();
        let Matches { each, groups, ways } = found;
        each.clear();
        groups.clear();
        ways.clear();
        let mut collect = |at: NodeId| {
            if let Some(subscribers) = self.trie.value(at) {
                each.extend(subscribers.each.iter().map(|(key, s)| (*key, *s)));
                groups.extend((0..subscribers.groups.len()).map(|index| GroupId(at, index)));
            }
        };
        ways.push((ROOT, Some(0)));
        while let Some((at, rest)) = ways.pop() {
            // [MQTT-4.7.2-1] A leading wildcard does not match a leading `$`.
            let wildcards = at != ROOT || topic.first() != Some(&b'$');
            if wildcards && let Some(all) = self.trie.child(at, b"#") {
                // Also for the level above it: `a/#` matches `a`.
                collect(all);
            }
            let Some(start) = rest else {
                collect(at);
                continue;
            };
            let (level, below) = split(topic.get(start..).unwrap_or_default());
            let below = below.map(|_| start + level.len() + 1);
            ways.extend(self.trie.child(at, level).map(|child| (child, below)));
            if wildcards {
                ways.extend(self.trie.child(at, b"+").map(|child| (child, below)));
            }
        }
        each.sort_unstable_by_key(|(session, _)| *session);
    }

    /// A group that was found.
    pub(crate) fn group(&mut self, GroupId(at, index): GroupId) -> Option<&mut Group> {
        self.trie.value_mut(at)?.groups.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_codec::SubscriptionOptions;
    use proptest::prelude::*;

    use super::*;

    fn subscription() -> Subscription {
        Subscription {
            options: SubscriptionOptions::default(),
            identifier: None,
        }
    }

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::new(text).unwrap()
    }

    fn found(tree: &Tree, topic: &str) -> Vec<u64> {
        let mut matches = Matches::default();
        tree.find(&TopicName::new(topic).unwrap(), &mut matches);
        matches.each.iter().map(|(key, _)| key.number()).collect()
    }

    fn check(filters: &[&str], topic: &str, want: &[u64]) {
        let mut tree = Tree::new();
        for (key, text) in (0..).zip(filters) {
            tree.subscribe(&filter(text), SessionKey::numbered(key), subscription());
        }
        assert_eq!(found(&tree, topic), want, "{topic}");
        for (key, text) in (0..).zip(filters) {
            tree.unsubscribe(&filter(text), SessionKey::numbered(key));
        }
        assert_eq!(found(&tree, topic), [0; 0]);
        assert_eq!(tree.trie.children(ROOT).count(), 0);
    }

    /// [MQTT-4.7.2-1] [MQTT-4.7.3-4] A leading wildcard is not for `$`, and levels are compared byte by byte.
    #[test]
    fn filters_match_level_by_level() {
        let filters = [
            "a/b", "a/+", "a/#", "+/b", "#", "+", "a/b/#", "A/b", "a/b/+", "/a/b",
        ];
        check(&filters, "a/b", &[0, 1, 2, 3, 4, 6]);
        check(&filters, "a", &[2, 4, 5]);
        check(&filters, "a/", &[1, 2, 4]);
        check(&filters, "/a/b", &[4, 9]);
        check(
            &["#", "+/x", "$a/x", "$a/#", "$a/+", "+"],
            "$a/x",
            &[2, 3, 4],
        );
        check(&["#", "+", "/#", "/+", "+/+"], "/", &[0, 2, 3, 4]);
    }

    #[test]
    fn a_topic_of_65_000_levels_is_matched_without_recursion() {
        let deep = "/".repeat(65_000);
        check(
            &["#", &deep, &format!("{deep}/#"), "+/#", &deep[1..]],
            &deep,
            &[0, 1, 2, 3],
        );
    }

    #[test]
    fn a_group_goes_with_its_last_member() {
        let mut tree = Tree::new();
        let shared = filter("$share/g/a/+");
        let topic = TopicName::new("a/b").unwrap();
        let mut matches = Matches::default();
        for key in [1, 2, 2] {
            tree.subscribe(&shared, SessionKey::numbered(key), subscription());
        }
        tree.find(&topic, &mut matches);
        assert_eq!((matches.each.len(), matches.groups.len()), (0, 1));
        assert_eq!(tree.group(matches.groups[0]).unwrap().members.len(), 2);
        for key in [1, 2] {
            tree.unsubscribe(&shared, SessionKey::numbered(key));
        }
        tree.find(&topic, &mut matches);
        assert_eq!(matches.groups.len(), 0);
        assert_eq!(tree.trie.children(ROOT).count(), 0);
    }

    fn levels(level: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
    }

    fn filters() -> impl Strategy<Value = TopicFilter> {
        (levels("[ab$]?|\\+"), any::<bool>()).prop_filter_map("empty", |(text, all)| {
            TopicFilter::new(if all { text + "/#" } else { text }).ok()
        })
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_each_filter_alone_matches(
            filters in proptest::collection::vec(filters(), 0..40),
            gone in proptest::collection::vec(any::<bool>(), 40),
            topics in proptest::collection::vec(levels("[ab$]?"), 1..20),
        ) {
            let mut tree = Tree::new();
            for (key, filter) in (0..).zip(&filters) {
                tree.subscribe(filter, SessionKey::numbered(key), subscription());
            }
            for (key, filter) in (0..).zip(&filters).filter(|(key, _)| gone[usize::try_from(*key).unwrap()]) {
                tree.unsubscribe(filter, SessionKey::numbered(key));
            }
            for topic in topics.iter().filter_map(|topic| TopicName::new(topic).ok()) {
                let want: Vec<_> = (0..)
                    .zip(&filters)
                    .filter(|(key, filter)| !gone[usize::try_from(*key).unwrap()] && filter.matches(&topic))
                    .map(|(key, _)| key)
                    .collect();
                prop_assert_eq!(found(&tree, topic.as_str()), want);
            }
        }
    }
}
