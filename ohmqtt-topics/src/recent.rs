//! What was found for the topics that came last: most messages come on a topic that one came on shortly before.
//!
//! It has a fixed number of places, and a topic has one of them, by a hash. Topics that share one push each other out, and cost what they
//! would cost without: so nobody gains by choosing such topics, and the hash needs no key.

use std::fmt;

/// How many topics are remembered at most.
const PLACES: usize = 64;
/// Longer topics, in bytes, are not remembered.
const LONGEST: usize = 256;
/// Neither is what depends on more numbers.
const NUMBERS: usize = 8;

/// What was found for the topics that came last, and for the numbers that came with them.
///
/// At most 64 topics of 256 bytes and 8 numbers each are remembered. What is found may be anything; its bounds are the caller's. It is for
/// the caller to [forget](Self::forget) all once anything else may be found.
pub struct Recent<A> {
    /// None before the first topic.
    places: Vec<Place<A>>,
}

struct Place<A> {
    /// The hash of the topic that came last here and was not known.
    asked: u64,
    known: Option<Box<Known<A>>>,
}

struct Known<A> {
    topic: Box<[u8]>,
    numbers: Box<[u64]>,
    answer: A,
}

impl<A> Recent<A> {
    /// Nothing yet. Takes memory once it is asked.
    pub const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// What was found for this topic and these numbers.
    #[inline]
    pub fn get(&self, topic: &[u8], numbers: &[u64]) -> Option<&A> {
        let place = self.places.get(at(hash(topic, numbers)))?;
        let known = place.known.as_deref()?;
        (*known.topic == *topic && *known.numbers == *numbers).then_some(&known.answer)
    }

    /// Whether what is found for a topic that was not known is to be [kept](Self::keep): when nothing else has come to its place since it came
    /// the last time, so that topics of which none comes again cost no memory.
    pub fn wants(&mut self, topic: &[u8], numbers: &[u64]) -> bool {
        if topic.len() > LONGEST || numbers.len() > NUMBERS {
            return false;
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || Place {
                asked: 0,
                known: None,
            });
        }
        let hash = hash(topic, numbers);
        match self.places.get_mut(at(hash)) {
            Some(place) => std::mem::replace(&mut place.asked, hash) == hash,
            None => false,
        }
    }

    /// Remembers what was found, in the place of another topic.
    pub fn keep(&mut self, topic: &[u8], numbers: &[u64], answer: A) {
        if let Some(place) = self.places.get_mut(at(hash(topic, numbers))) {
            place.known = Some(Box::new(Known {
                topic: topic.into(),
                numbers: numbers.into(),
                answer,
            }));
        }
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.places = Vec::new();
    }
}

impl<A> Default for Recent<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known is the caller's to show.
impl<A> fmt::Debug for Recent<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

/// An odd number without a pattern: 2^64 by the golden ratio.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline]
fn hash(topic: &[u8], numbers: &[u64]) -> u64 {
    let (words, rest) = topic.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, byte) in last.iter_mut().zip(rest) {
        *to = *byte;
    }
    let words = words
        .iter()
        .chain([&last])
        .map(|word| u64::from_le_bytes(*word));
    words
        .chain(numbers.iter().copied())
        .fold(topic.len() as u64, |hash, word| {
            (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR)
        })
}

/// The six upper bits, on which all others have worked.
#[inline]
fn at(hash: u64) -> usize {
    (hash >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is known, or else is known from now on.
    fn ask(recent: &mut Recent<String>, topic: &str, numbers: &[u64]) -> Option<String> {
        let known = recent.get(topic.as_bytes(), numbers).cloned();
        if known.is_none() && recent.wants(topic.as_bytes(), numbers) {
            recent.keep(topic.as_bytes(), numbers, format!("{topic} {numbers:?}"));
        }
        known
    }

    #[test]
    fn a_topic_is_known_from_the_third_time_on_until_all_is_forgotten() {
        let mut recent = Recent::new();
        for _ in 0..2 {
            assert_eq!(ask(&mut recent, "a/b", &[]), None);
        }
        for _ in 0..2 {
            assert_eq!(ask(&mut recent, "a/b", &[]).unwrap(), "a/b []");
        }
        recent.forget();
        assert_eq!(ask(&mut recent, "a/b", &[]), None);
    }

    #[test]
    fn what_is_known_is_of_the_same_topic_and_the_same_numbers() {
        let mut recent = Recent::new();
        let topics = (0..500).map(|n| "x".repeat(n % 30) + &n.to_string());
        let topics: Vec<_> = topics.collect();
        let mut known = 0;
        for round in 0..3 {
            for topic in &topics {
                for numbers in [&[][..], &[1], &[1, 0], &[0, 1]] {
                    for _ in 0..3 {
                        if let Some(answer) = ask(&mut recent, topic, numbers) {
                            assert_eq!(answer, format!("{topic} {numbers:?}"), "{round}");
                            known += 1;
                        }
                    }
                }
            }
        }
        assert!(known >= 3 * topics.len());
        assert_eq!(recent.places.len(), PLACES);
    }

    #[test]
    fn topics_that_do_not_come_again_are_not_kept() {
        let mut recent = Recent::new();
        for n in 0..1000 {
            assert_eq!(ask(&mut recent, &format!("once/{n}"), &[]), None);
        }
        assert!(recent.places.iter().all(|place| place.known.is_none()));
    }

    #[test]
    fn a_long_topic_and_many_numbers_are_not_kept() {
        let mut recent = Recent::new();
        let long = "x".repeat(LONGEST + 1);
        for _ in 0..3 {
            assert_eq!(ask(&mut recent, &long, &[]), None);
            assert_eq!(ask(&mut recent, "a", &[7; NUMBERS + 1]), None);
        }
    }
}
