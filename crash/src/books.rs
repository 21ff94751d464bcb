//! What arrived, compared as it comes: its memory does not grow with the number of messages, unless some are missing.

use std::collections::BTreeSet;

use crate::Result;

/// What has arrived on each topic. Messages on a topic are numbered from 0 in the order of publishing.
#[derive(Debug)]
pub(crate) struct Books {
    topics: Vec<Topic>,
    duplicated: u64,
    reordered: u64,
}

#[derive(Clone, Debug, Default)]
struct Topic {
    /// One more than the highest that has come.
    next: u64,
    /// Lower ones that have not.
    missing: BTreeSet<u64>,
}

impl Books {
    pub(crate) fn new(topics: u16) -> Self {
        Self {
            topics: vec![Topic::default(); usize::from(topics)],
            duplicated: 0,
            reordered: 0,
        }
    }

    /// # Errors
    /// When there is no such topic.
    pub(crate) fn arrive(&mut self, topic: u16, number: u64) -> Result {
        let topic = self.topics.get_mut(usize::from(topic));
        let topic = topic.ok_or("a message came on a topic that is none")?;
        if number >= topic.next {
            topic.missing.extend(topic.next..number);
            topic.next = number + 1;
        } else if topic.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.duplicated += 1;
        }
        Ok(())
    }

    /// How many have arrived, one that came twice counted once.
    pub(crate) fn arrived(&self) -> u64 {
        let arrived = |topic: &Topic| topic.next - topic.missing.len() as u64;
        self.topics.iter().map(arrived).sum()
    }

    /// Whether the last of each topic has come, when so many were published on each.
    pub(crate) fn have_come_to(&self, published: &[u64]) -> bool {
        let mut topics = self.topics.iter().zip(published);
        topics.all(|(topic, published)| topic.next == *published)
    }

    /// How many have not come, when so many were published on each topic.
    pub(crate) fn lost(&self, published: &[u64]) -> u64 {
        published.iter().sum::<u64>().saturating_sub(self.arrived())
    }

    /// Arrivals after the first.
    pub(crate) fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// First arrivals behind one that was published later.
    pub(crate) fn reordered(&self) -> u64 {
        self.reordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(arrivals: &[u64]) -> Books {
        let mut books = Books::new(2);
        for number in arrivals {
            books.arrive(1, *number).unwrap();
        }
        books
    }

    #[track_caller]
    fn check(arrivals: &[u64], published: u64, lost: u64, duplicated: u64, reordered: u64) {
        let books = books(arrivals);
        let got = (
            books.lost(&[0, published]),
            books.duplicated,
            books.reordered,
        );
        assert_eq!(got, (lost, duplicated, reordered), "{arrivals:?}");
    }

    #[test]
    fn what_came_in_order_is_whole() {
        check(&[0, 1, 2], 3, 0, 0, 0);
    }

    #[test]
    fn what_came_again_is_a_duplicate_wherever_it_stands() {
        check(&[0, 1, 0, 1, 1, 2], 3, 0, 3, 0);
    }

    #[test]
    fn what_did_not_come_is_lost_within_and_at_the_end() {
        check(&[0, 3], 6, 4, 0, 0);
        check(&[], 2, 2, 0, 0);
    }

    #[test]
    fn what_came_late_is_out_of_order_and_not_lost() {
        check(&[0, 2, 1, 1, 3], 4, 0, 1, 1);
    }

    #[test]
    fn the_last_of_each_topic_tells_that_all_had_its_time() {
        let mut books = books(&[0, 2]);
        assert!(!books.have_come_to(&[1, 3]));
        books.arrive(0, 0).unwrap();
        assert!(books.have_come_to(&[1, 3]));
        assert_eq!(books.arrived(), 3);
        assert!(books.arrive(2, 0).is_err());
    }
}
