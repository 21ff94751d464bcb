//! The word that is owed to the server for a message, and how the words of several streams become one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ohmqtt_codec::{Qos, ReasonCode, TopicName};
use ohmqtt_session::Receipt;

use crate::core::Core;
use crate::events::Event;

/// The word that is owed for a message by one stream it went to.
#[derive(Clone, Debug)]
pub(crate) enum Owed {
    /// It went to no other.
    Alone(Receipt),
    /// It went to several, and each has its word.
    Jointly(Arc<(Receipt, Joint)>),
}

/// What a stream says of a message in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Said(ReasonCode),
    /// Nothing, and never will.
    Abandoned,
}

impl Owed {
    /// The word of each of so many streams.
    pub(crate) fn new(receipt: Receipt, streams: usize) -> Self {
        if streams > 1 {
            Self::Jointly(Arc::new((receipt, Joint::new(streams))))
        } else {
            Self::Alone(receipt)
        }
    }

    /// Tells the session, once there is nobody else to ask.
    pub(crate) fn settle(&self, core: &Core, word: Word) {
        let (receipt, word) = match self {
            Self::Alone(receipt) => (*receipt, word),
            Self::Jointly(joint) => match joint.1.settle(word) {
                Some(word) => (joint.0, word),
                None => return,
            },
        };
        core.handle.tell(|session| match word {
            Word::Said(reason) => session.acknowledge(receipt, reason),
            Word::Abandoned => session.abandon(receipt),
        });
    }

    /// There will be no word of this stream, which is told to who listens.
    #[cold]
    pub(crate) fn abandon(&self, core: &Core, topic: &TopicName, qos: Qos) {
        self.settle(core, Word::Abandoned);
        core.counters.abandoned.fetch_add(1, Ordering::Relaxed);
        core.events.ring(Event::NotAcknowledged {
            topic: topic.clone(),
            qos,
        });
    }
}

/// A message that went to several streams: what they have said so far.
#[derive(Debug)]
pub(crate) struct Joint {
    /// Streams that have not had their word.
    left: AtomicUsize,
    refusal: OnceLock<ReasonCode>,
    abandoned: AtomicBool,
}

impl Joint {
    fn new(streams: usize) -> Self {
        Self {
            left: AtomicUsize::new(streams),
            refusal: OnceLock::new(),
            abandoned: AtomicBool::new(false),
        }
    }

    /// One more word. The last gives the word of all: without one of somebody there is none, and the first refusal counts.
    fn settle(&self, word: Word) -> Option<Word> {
        match word {
            Word::Abandoned => self.abandoned.store(true, Ordering::Release),
            Word::Said(reason) if reason.is_error() => {
                self.refusal.get_or_init(|| reason);
            }
            Word::Said(_) => {}
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        if self.abandoned.load(Ordering::Acquire) {
            return Some(Word::Abandoned);
        }
        let refusal = self.refusal.get().copied();
        Some(Word::Said(refusal.unwrap_or(ReasonCode::Success)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[Word], want: Word) {
        let joint = Joint::new(words.len());
        let said: Vec<_> = words.iter().map(|word| joint.settle(*word)).collect();
        assert_eq!(said.last(), Some(&Some(want)), "{words:?}");
    }

    #[test]
    fn the_last_of_several_streams_gives_the_word_of_all() {
        use Word::{Abandoned, Said};
        let (yes, no) = (Said(ReasonCode::Success), Said(ReasonCode::QuotaExceeded));
        let never = Said(ReasonCode::NotAuthorized);
        check(&[yes, yes], yes);
        check(&[yes, no, never], no);
        check(&[no, Abandoned], Abandoned);
        check(&[Abandoned, yes], Abandoned);
        let joint = Joint::new(2);
        assert_eq!(joint.settle(yes), None);
        assert_eq!(joint.settle(yes), Some(yes));
    }
}
