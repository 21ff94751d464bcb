//! Memory of messages that are finished, for those to come.
//!
//! Messages are taken in and finished a window at a time, which is more than an allocator has at hand for one size.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::Bytes;
use ohmqtt_codec::TopicName;

use crate::message::{Message, Outgoing};

/// The most that are kept.
const MOST: usize = 128;
/// The fewest that are not given back.
const FEW: usize = 4;

/// Boxes with nothing in them that would be kept by it.
#[derive(Debug, Default)]
pub(super) struct Spare {
    boxes: VecDeque<Box<Outgoing>>,
    /// How many of them nobody has needed since no message was under way.
    unneeded: usize,
    /// What stands in them in the place of a topic.
    blank: Option<TopicName>,
}

impl Spare {
    pub(super) fn put(&mut self, outgoing: Outgoing) -> Box<Outgoing> {
        let Some(mut spare) = self.boxes.pop_back() else {
            return Box::new(outgoing);
        };
        self.unneeded = self.unneeded.min(self.boxes.len());
        *spare = outgoing;
        spare
    }

    /// Takes a box back. `is_idle`: it was that of the last message under way. What was not needed since the last time is given back.
    pub(super) fn take(&mut self, mut outgoing: Box<Outgoing>, is_idle: bool) {
        if self.blank.is_none() {
            self.blank = TopicName::try_from(Bytes::from_static(b"-")).ok();
        }
        if self.boxes.len() < MOST
            && let Some(blank) = &self.blank
        {
            outgoing.message = Message::new(blank.clone(), Bytes::new());
            outgoing.via = None;
            self.boxes.push_back(outgoing);
        }
        if is_idle {
            let needed = self.boxes.len() - self.unneeded;
            self.boxes.truncate(needed.max(FEW));
            self.unneeded = self.boxes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::aliases::AliasPolicy;
    use crate::{Instant, Lsn, Ticket};

    fn outgoing(payload: Bytes) -> Outgoing {
        Outgoing {
            seq: 0,
            ticket: Ticket::NONE,
            accepted: Instant::default(),
            deadline: None,
            keep_offline: false,
            alias: AliasPolicy::Never,
            lsn: Lsn::NONE,
            first: Lsn::NONE,
            packet_id: None,
            via: None,
            message: Message::new(TopicName::new("a").unwrap(), payload),
        }
    }

    #[test]
    fn memory_comes_again_and_nothing_is_kept_in_it() {
        let mut spare = Spare::default();
        let payload = Bytes::from(alloc::vec![7; 100]);
        let boxed = spare.put(outgoing(payload.clone()));
        let at = core::ptr::from_ref(&*boxed);
        spare.take(boxed, false);
        assert!(payload.is_unique());
        let next = spare.put(outgoing(Bytes::from_static(b"next")));
        assert!(core::ptr::eq(at, &raw const *next));
        assert_eq!(next.message.payload, "next");
    }

    #[test]
    fn what_the_last_burst_did_not_need_is_given_back() {
        let mut spare = Spare::default();
        for (burst, kept) in [
            (MOST + 10, MOST),
            (100, 100),
            (100, 100),
            (20, 20),
            (1, FEW),
        ] {
            let boxes = (0..burst).map(|_| spare.put(outgoing(Bytes::new())));
            let mut boxes: Vec<_> = boxes.collect();
            let last = boxes.pop().unwrap();
            for boxed in boxes {
                spare.take(boxed, false);
            }
            spare.take(last, true);
            assert_eq!(spare.boxes.len(), kept, "after {burst}");
        }
    }
}
