//! Values at topic filters, and which of them a topic matches (section 4.7).
//!
//! A filter stands in the tree level by level, its wildcards as levels of their own. Matching walks the topic's levels and the wildcards
//! beside them, so it costs what the topic's depth and the filters along it cost, however many others there are. Shared subscriptions
//! are the caller's: a share name has no part in where a value stands.

use ohmqtt_codec::{TopicFilter, TopicName};

use crate::trie::{NodeId, ROOT, Trie, Vacant, first_level};

/// Values at topic filters.
///
/// `$share/NAME/a/+` and `a/+` match the same topics and have one value (section 4.8.2).
#[derive(Debug)]
pub struct FilterTree<V> {
    trie: Trie<V>,
}

/// Where matching has still to look. Kept and used again, so that matching allocates nothing.
#[derive(Debug, Default)]
pub struct Ways(
    /// A node, and where the levels of the topic begin that are below it, if there are such.
    Vec<(NodeId, Option<usize>)>,
);

impl<V: Vacant> FilterTree<V> {
    /// A tree without filters.
    pub const fn new() -> Self {
        Self { trie: Trie::new() }
    }

    /// The value at this filter, a new one if there is none. One that is left vacant is not found, and takes room until it is
    /// [removed](Self::remove).
    ///
    /// `None` when the tree is full, as told by [`Trie::insert`].
    pub fn get_or_insert(&mut self, filter: &TopicFilter) -> Option<&mut V> {
        let at = self.trie.insert(filter.filter_bytes())?;
        self.trie.value_mut(at)
    }

    /// The value at this filter, byte for byte; what other filters match the same topics does not matter.
    pub fn get(&self, filter: &TopicFilter) -> Option<&V> {
        let value = self.trie.value(self.trie.find(filter.filter_bytes())?)?;
        (!value.is_vacant()).then_some(value)
    }

    /// The same, to be changed. One that is left vacant takes room until it is [removed](Self::remove).
    pub fn get_mut(&mut self, filter: &TopicFilter) -> Option<&mut V> {
        let at = self.trie.find(filter.filter_bytes())?;
        self.trie.value_mut(at).filter(|value| !value.is_vacant())
    }

    /// Changes the value at this filter, if there is one, and removes it when it is vacant then.
    pub fn change<R>(
        &mut self,
        filter: &TopicFilter,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let at = self.trie.find(filter.filter_bytes())?;
        let result = change(self.trie.value_mut(at)?);
        self.trie.prune(at);
        Some(result)
    }

    /// Takes the value at this filter out.
    pub fn remove(&mut self, filter: &TopicFilter) -> Option<V> {
        let value = self.change(filter, std::mem::take)?;
        (!value.is_vacant()).then_some(value)
    }

    /// Visits the values at all filters that match this topic, each once, in no order.
    pub fn visit_matches<'a>(
        &'a self,
        topic: &TopicName,
        Ways(ways): &mut Ways,
        mut visit: impl FnMut(NodeId, &'a V),
    ) {
        let topic = topic.as_bytes();
        let mut visit = |at, value: &'a V| {
            if !value.is_vacant() {
                visit(at, value);
            }
        };
        ways.clear();
        // [MQTT-4.7.2-1] A leading wildcard does not match a leading `$`.
        let mut wildcards = topic.first() != Some(&b'$');
        let mut way = Some((ROOT, Some(0)));
        while let Some((at, rest)) = way {
            let Some(node) = self.trie.around(at) else {
                return;
            };
            if wildcards
                && let Some(all) = node.multi()
                && let Some(value) = self.trie.value(all)
            {
                // Also for the level above it: `a/#` matches `a`.
                visit(all, value);
            }
            let mut next = None;
            if let Some(start) = rest {
                let (level, below) = first_level(topic.get(start..).unwrap_or_default());
                let below = below.map(|_| start + level.len() + 1);
                next = node.named(level).map(|child| (child, below));
                let single = node.single().filter(|_| wildcards);
                let single = single.map(|child| (child, below));
                if next.is_some() {
                    ways.extend(single);
                } else {
                    next = single;
                }
            } else {
                visit(at, node.value);
            }
            wildcards = true;
            way = next.or_else(|| ways.pop());
        }
    }

    /// The value at a node that was visited, to be changed. The node means another one once a value has been removed.
    pub fn value_mut(&mut self, at: NodeId) -> Option<&mut V> {
        self.trie.value_mut(at)
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }
}

impl<V: Vacant> Default for FilterTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::on_a_small_stack;

    /// Numbers at a filter.
    type Numbers = Vec<usize>;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::new(text).unwrap()
    }

    fn found(tree: &FilterTree<Numbers>, topic: &TopicName) -> Numbers {
        let mut found = Vec::new();
        tree.visit_matches(topic, &mut Ways::default(), |_, numbers| {
            found.extend(numbers);
        });
        found.sort_unstable();
        found
    }

    fn tree_of(filters: &[TopicFilter]) -> FilterTree<Numbers> {
        let mut tree = FilterTree::<Numbers>::new();
        for (number, filter) in filters.iter().enumerate() {
            tree.get_or_insert(filter).unwrap().push(number);
        }
        tree
    }

    fn check(filters: &[&str], topic: &str, want: &[usize]) {
        let filters: Vec<_> = filters.iter().map(|text| filter(text)).collect();
        let topic = TopicName::new(topic).unwrap();
        let mut tree = tree_of(&filters);
        assert_eq!(found(&tree, &topic), want, "{topic}");
        for (number, filter) in filters.iter().enumerate() {
            tree.change(filter, |numbers| numbers.retain(|other| *other != number));
        }
        assert!(found(&tree, &topic).is_empty());
        assert!(tree.is_empty());
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
        on_a_small_stack(|| {
            let deep = "/".repeat(65_000);
            check(
                &["#", &deep, &format!("{deep}/#"), "+/#", &deep[1..]],
                &deep,
                &[0, 1, 2, 3],
            );
        });
    }

    #[test]
    fn a_filter_has_one_value_whatever_its_share_name() {
        let mut tree = tree_of(&[filter("a/+"), filter("$share/g/a/+"), filter("a/b")]);
        assert_eq!(tree.get(&filter("$share/h/a/+")), Some(&vec![0, 1]));
        assert_eq!(tree.get(&filter("a")), None, "a level on the way to others");
        assert_eq!(tree.remove(&filter("a")), None);
        assert_eq!(tree.remove(&filter("a/+")), Some(vec![0, 1]));
        assert_eq!(tree.remove(&filter("a/+")), None);
        assert_eq!(tree.remove(&filter("a/b")), Some(vec![2]));
        assert!(tree.is_empty());
    }

    #[test]
    fn a_value_that_is_left_vacant_is_not_found() {
        let mut tree = FilterTree::<Numbers>::new();
        tree.get_or_insert(&filter("a")).unwrap();
        let mut visits = 0;
        let topic = TopicName::new("a").unwrap();
        tree.visit_matches(&topic, &mut Ways::default(), |_, _| visits += 1);
        assert_eq!((visits, tree.get(&filter("a"))), (0, None));
        tree.remove(&filter("a"));
        assert!(tree.is_empty());
    }

    #[test]
    fn a_value_that_was_visited_can_be_changed() {
        let mut tree = tree_of(&[filter("+")]);
        let mut nodes = Vec::new();
        let topic = TopicName::new("a").unwrap();
        tree.visit_matches(&topic, &mut Ways::default(), |at, _| nodes.push(at));
        tree.value_mut(nodes[0]).unwrap().push(7);
        assert_eq!(found(&tree, &topic), [0, 7]);
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
            let mut tree = tree_of(&filters);
            for (number, filter) in filters.iter().enumerate().filter(|(number, _)| gone[*number]) {
                tree.change(filter, |numbers| numbers.retain(|other| *other != number));
            }
            for topic in topics.iter().filter_map(|topic| TopicName::new(topic).ok()) {
                let alone = filters.iter().enumerate().filter(|(number, filter)| !gone[*number] && filter.matches(&topic));
                let want: Vec<_> = alone.map(|(number, _)| number).collect();
                prop_assert_eq!(found(&tree, &topic), want);
            }
        }
    }
}
