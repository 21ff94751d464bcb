//! The topic tree: which sessions a message on a topic is for, and which groups. How filters are matched is `FilterTree`'s.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::{TopicFilter, TopicName};
use ohmqtt_session::Subscription;
use ohmqtt_topics::{FilterTree, NodeId, Vacant, Ways};

use crate::session::SessionKey;

/// All subscriptions, by their filters.
#[derive(Debug)]
pub(crate) struct Tree {
    filters: FilterTree<Subscribers>,
}

#[derive(Debug, Default)]
struct Subscribers {
    each: HashMap<SessionKey, Subscription>,
    groups: Vec<Group>,
}

/// The members of a shared subscription: each message is for one of them.
#[derive(Debug)]
pub(crate) struct Group {
    /// With its name. What is given to a member keeps it, so that it can be found again.
    pub(crate) filter: Arc<TopicFilter>,
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
    ways: Ways,
}

impl Group {
    fn is(&self, name: &str) -> bool {
        self.filter.share_name() == Some(name)
    }
}

impl Vacant for Subscribers {
    fn is_vacant(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            filters: FilterTree::new(),
        }
    }

    /// Adds a subscription of a session, or replaces the one with the same filter.
    pub(crate) fn subscribe(
        &mut self,
        filter: &TopicFilter,
        session: SessionKey,
        subscription: Subscription,
    ) {
        let Some(subscribers) = self.filters.get_or_insert(filter) else {
            return;
        };
        let Some(name) = filter.share_name() else {
            // [MQTT-3.8.4-3] The same filter again replaces the subscription.
            subscribers.each.insert(session, subscription);
            return;
        };
        let groups = &mut subscribers.groups;
        let at = groups.iter().position(|group| group.is(name));
        let at = at.unwrap_or_else(|| {
            // What is kept is copied out of the buffer it was read into.
            let kept = TopicFilter::try_from(Bytes::copy_from_slice(filter.as_bytes()));
            groups.push(Group {
                filter: Arc::new(kept.unwrap_or_else(|_| filter.clone())),
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
        self.filters.change(filter, |subscribers| {
            let Some(name) = filter.share_name() else {
                subscribers.each.remove(&session);
                return;
            };
            for group in &mut subscribers.groups {
                if group.is(name) {
                    group.members.retain(|(key, _)| *key != session);
                }
            }
            subscribers.groups.retain(|group| !group.members.is_empty());
        });
    }

    /// Finds everything that a message on this topic is for.
    pub(crate) fn find(&self, topic: &TopicName, found: &mut Matches) {
        let Matches { each, groups, ways } = found;
        each.clear();
        groups.clear();
        self.filters.visit_matches(topic, ways, |at, subscribers| {
            each.extend(subscribers.each.iter().map(|(key, s)| (*key, *s)));
            groups.extend((0..subscribers.groups.len()).map(|index| GroupId(at, index)));
        });
        each.sort_unstable_by_key(|(session, _)| *session);
    }

    /// The group with this filter, if it has members.
    pub(crate) fn group_of(&mut self, filter: &TopicFilter) -> Option<&mut Group> {
        let name = filter.share_name()?;
        let groups = &mut self.filters.get_mut(filter)?.groups;
        groups.iter_mut().find(|group| group.is(name))
    }

    /// A group that was found.
    pub(crate) fn group(&mut self, GroupId(at, index): GroupId) -> Option<&mut Group> {
        self.filters.value_mut(at)?.groups.get_mut(index)
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
        assert!(tree.filters.is_empty());
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
