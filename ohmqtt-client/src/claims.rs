//! Which subscriptions claim a message: those whose filters its topic matches, or, of these, those for which the server says it sent it.
//! What happens to it then is `routes`'.

use std::collections::BTreeSet;

use ohmqtt_codec::{Filters, TopicFilter, TopicName};
use ohmqtt_topics::{FilterTree, Vacant, Ways};

/// The filters of all subscriptions, and the numbers of those that have them.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    tree: FilterTree<Claimants>,
    // The rest is filled anew for each message, and kept so that this allocates nothing.
    ways: Ways,
    found: Vec<u64>,
}

/// Those with one filter, and by their share names those that share it.
#[derive(Debug, Default)]
struct Claimants {
    alone: BTreeSet<u64>,
    shared: Vec<(Box<str>, BTreeSet<u64>)>,
}

impl Vacant for Claimants {
    fn is_vacant(&self) -> bool {
        self.alone.is_empty() && self.shared.is_empty()
    }
}

impl Claims {
    /// Adds the filters of a subscription.
    pub(crate) fn insert(&mut self, filters: &Filters, number: u64) {
        for (filter, _) in filters.iter() {
            if let Some(claimants) = self.tree.get_or_insert(&filter) {
                claimants.insert(filter.share_name(), number);
            }
        }
    }

    /// Removes the filters of a subscription.
    pub(crate) fn remove(&mut self, filters: &Filters, number: u64) {
        for (filter, _) in filters.iter() {
            self.tree.change(&filter, |claimants| {
                claimants.remove(filter.share_name(), number);
            });
        }
    }

    /// Whether a subscription has this filter, with this share name or, like it, none.
    pub(crate) fn has(&self, filter: &TopicFilter) -> bool {
        let claimants = self.tree.get(filter);
        claimants.is_some_and(|claimants| claimants.has(filter.share_name()))
    }

    /// The subscriptions that a message on this topic is for, in their order.
    ///
    /// `named` are those whose identifiers the server gave it. For overlapping subscriptions a server may send a message each
    /// (section 3.3.4), and each is for its own only. Of subscriptions with the same filter the server knows the last, so it is
    /// the filter that counts. When none of those named has a filter that matches, their names say nothing.
    pub(crate) fn find(&mut self, topic: &TopicName, named: &[u64]) -> &[u64] {
        let found = &mut self.found;
        found.clear();
        let mut only_named = false;
        self.tree
            .visit_matches(topic, &mut self.ways, |_, claimants| {
                for same in claimants.each_filter() {
                    let is_named = named.iter().any(|number| same.contains(number));
                    if is_named && !only_named {
                        only_named = true;
                        found.clear();
                    }
                    if is_named || !only_named {
                        found.extend(same);
                    }
                }
            });
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Claimants {
    fn insert(&mut self, share: Option<&str>, number: u64) {
        let Some(name) = share else {
            self.alone.insert(number);
            return;
        };
        match self.shared.iter_mut().find(|(other, _)| **other == *name) {
            Some((_, numbers)) => {
                numbers.insert(number);
            }
            None => self.shared.push((name.into(), BTreeSet::from([number]))),
        }
    }

    fn remove(&mut self, share: Option<&str>, number: u64) {
        let Some(name) = share else {
            self.alone.remove(&number);
            return;
        };
        self.shared.retain_mut(|(other, numbers)| {
            if **other == *name {
                numbers.remove(&number);
            }
            !numbers.is_empty()
        });
    }

    fn has(&self, share: Option<&str>) -> bool {
        match share {
            Some(name) => self.shared.iter().any(|(other, _)| **other == *name),
            None => !self.alone.is_empty(),
        }
    }

    /// For each share name, and for none, those that have the filter so.
    fn each_filter(&self) -> impl Iterator<Item = &BTreeSet<u64>> {
        let shared = self.shared.iter().map(|(_, numbers)| numbers);
        std::iter::once(&self.alone).chain(shared)
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_codec::SubscriptionOptions;
    use proptest::prelude::*;

    use super::*;

    fn filters(texts: &[impl AsRef<str>]) -> Filters {
        let mut texts = texts.iter().map(|text| TopicFilter::new(text).unwrap());
        let options = SubscriptionOptions::default();
        let mut filters = Filters::new(&texts.next().unwrap(), options).unwrap();
        texts.for_each(|text| filters.push(&text, options).unwrap());
        filters
    }

    fn topic(text: &str) -> TopicName {
        TopicName::new(text).unwrap()
    }

    /// Subscriptions with these filters, numbered from 0.
    fn claims(subscriptions: &[&[&str]]) -> Claims {
        let mut claims = Claims::default();
        for (number, texts) in (0..).zip(subscriptions) {
            claims.insert(&filters(texts), number);
        }
        claims
    }

    fn check(subscriptions: &[&[&str]], text: &str, named: &[u64], want: &[u64]) {
        let mut claims = claims(subscriptions);
        let found = claims.find(&topic(text), named);
        assert_eq!(found, want, "{text} {named:?}");
    }

    #[test]
    fn a_subscription_is_found_once_whatever_filters_it_has() {
        check(&[&["a/+", "a/b", "#"], &["c"]], "a/b", &[], &[0]);
    }

    #[test]
    fn an_identifier_leaves_out_others_that_overlap() {
        let overlapping: &[&[&str]] = &[&["a/#"], &["a/b"], &["+/b", "c"]];
        check(overlapping, "a/b", &[], &[0, 1, 2]);
        check(overlapping, "a/b", &[1], &[1]);
        check(overlapping, "a/b", &[2, 0], &[0, 2]);
    }

    #[test]
    fn an_identifier_names_a_filter_and_all_that_have_it() {
        let same: &[&[&str]] = &[&["a"], &["a", "b"], &["+"], &["$share/g/a"]];
        check(same, "a", &[1], &[0, 1]);
        // Under a share name it is another filter.
        check(same, "a", &[3], &[3]);
        // The named one has two filters, and the topic tells which is meant.
        check(same, "b", &[1], &[1]);
    }

    #[test]
    fn an_identifier_of_a_subscription_that_does_not_match_says_nothing() {
        check(&[&["a"], &["b"]], "a", &[1], &[0]);
        check(&[&["a"], &["b"]], "a", &[7], &[0]);
    }

    #[test]
    fn a_filter_is_there_until_the_last_that_has_it_is_gone() {
        let mut claims = claims(&[&["a", "$share/g/b"], &["a"]]);
        let has = |claims: &Claims, text| claims.has(&TopicFilter::new(text).unwrap());
        assert!(has(&claims, "a") && has(&claims, "$share/g/b"));
        assert!(!has(&claims, "b") && !has(&claims, "$share/h/b") && !has(&claims, "$share/g/a"));
        claims.remove(&filters(&["a", "$share/g/b"]), 0);
        assert!(has(&claims, "a") && !has(&claims, "$share/g/b"));
        claims.remove(&filters(&["a"]), 1);
        assert!(!has(&claims, "a"));
        assert!(claims.tree.is_empty());
    }

    /// Every subscription asked one by one.
    fn one_by_one(subscriptions: &[(u64, Filters)], topic: &TopicName, named: &[u64]) -> Vec<u64> {
        let named: Vec<_> = subscriptions
            .iter()
            .filter(|(number, _)| named.contains(number))
            .flat_map(|(_, filters)| filters.iter().map(|(filter, _)| filter))
            .filter(|filter| filter.matches(topic))
            .collect();
        let wants = |filter: &TopicFilter| {
            if named.is_empty() {
                filter.matches(topic)
            } else {
                named.contains(filter)
            }
        };
        let found = subscriptions
            .iter()
            .filter(|(_, filters)| filters.iter().any(|(filter, _)| wants(&filter)));
        found.map(|(number, _)| *number).collect()
    }

    fn texts() -> impl Strategy<Value = String> {
        let levels = proptest::collection::vec("[ab]|\\+", 1..4);
        (
            prop_oneof![3 => Just(""), 1 => Just("$share/g/"), 1 => Just("$share/h/")],
            levels,
            any::<bool>(),
        )
            .prop_map(|(share, levels, all)| {
                share.to_owned() + &levels.join("/") + if all { "/#" } else { "" }
            })
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_asking_one_by_one_finds(
            subscriptions in proptest::collection::vec(proptest::collection::vec(texts(), 1..4), 0..20),
            gone in proptest::collection::vec(any::<bool>(), 20),
            messages in proptest::collection::vec(
                (proptest::collection::vec("[ab]", 1..4), proptest::collection::vec(0..20_u64, 0..3)), 1..10),
        ) {
            let mut claims = Claims::default();
            let mut left: Vec<_> = (0..).zip(subscriptions.iter().map(|texts| filters(texts))).collect();
            for (number, filters) in &left {
                claims.insert(filters, *number);
            }
            for ((number, filters), _) in left.iter().zip(&gone).filter(|(_, gone)| **gone) {
                claims.remove(filters, *number);
            }
            let mut gone = gone.iter();
            left.retain(|_| gone.next() == Some(&false));
            for (levels, named) in messages {
                let topic = topic(&levels.join("/"));
                let want = one_by_one(&left, &topic, &named);
                prop_assert_eq!(claims.find(&topic, &named), want);
            }
        }
    }
}
