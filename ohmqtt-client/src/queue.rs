//! The bounded queue behind one stream of messages, and what becomes of messages when it is full.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use ohmqtt_codec::Qos;
use ohmqtt_driver::Cell;

use crate::arrived::Arrived;
use crate::message::Message;

/// What becomes of messages when a subscription's reader is too slow, chosen by [`Subscribe::when_full`](crate::Subscribe::when_full).
///
/// Its bounds are [`capacity`](crate::Subscribe::capacity) and [`capacity_bytes`](crate::Subscribe::capacity_bytes). What is dropped
/// is counted, in [`Subscription::dropped`](crate::Subscription::dropped) and in [`Metrics::dropped`](crate::Metrics::dropped).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Nothing is lost that the server would send again: messages of QoS 1 and 2 wait, unacknowledged, so that the server holds back
    /// those behind them once our Receive Maximum of them wait. The bounds are for QoS 0, and beyond them the newest is dropped.
    #[default]
    Hold,
    /// The same for QoS 1 and 2. Of QoS 0 the oldest is dropped, so that what waits is what came last.
    DropOldest,
    /// The bounds are for all messages, and beyond them the oldest is dropped, whatever its QoS. **One of QoS 1 or 2 is acknowledged as
    /// if it had been read**: the server does not send it again. For readers that want what is new and never hold up other
    /// subscriptions.
    DropOldestOfAny,
}

/// How much may wait for one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    /// Topics, properties and payloads.
    pub(crate) bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            messages: 1000,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// Messages between the driver and one reader, in the order they came.
///
/// What is held of QoS 1 and 2 is bounded by our Receive Maximum, because an unread message is not acknowledged. All else has this
/// queue's bounds.
#[derive(Debug)]
pub(crate) struct Queue {
    cell: Cell<State>,
    limits: QueueLimits,
    when_full: WhenFull,
    /// The reader acknowledges by itself.
    manual_ack: bool,
}

#[derive(Debug, Default)]
struct State {
    /// QoS 0.
    free: Line,
    /// QoS 1 and 2.
    held: Line,
    dropped: u64,
    ended: bool,
}

/// Messages in the order of their numbers, and their size.
#[derive(Debug, Default)]
struct Line {
    messages: VecDeque<Arrived>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, when_full: WhenFull, manual_ack: bool) -> Self {
        Self {
            cell: Cell::default(),
            limits,
            when_full,
            manual_ack,
        }
    }

    /// Puts a message in. Tells how many were dropped for want of room, or because nobody reads any more.
    #[inline]
    pub(crate) fn push(&self, message: Arrived) -> u64 {
        let mut message = Some(message);
        let mut over = Vec::new();
        let ended = self.cell.update(|state| {
            if !state.ended {
                state.push(&mut message, self.limits, self.when_full, &mut over);
                state.dropped += over.len() as u64 + u64::from(message.is_some());
            }
            state.ended
        });
        // It is the session that is told, so not under the lock.
        match &mut message {
            None => {}
            Some(message) if ended => message.abandon(),
            // This stream's share in the acknowledgement is done.
            Some(message) => message.release(),
        }
        over.iter_mut().for_each(Arrived::release);
        over.len() as u64 + u64::from(message.is_some())
    }

    /// The next message, or `None` once the queue has ended and is empty.
    pub(crate) async fn pop(&self) -> Option<Message> {
        let next = match self.cell.now(State::pop) {
            Some(next) => next,
            None => self.cell.until(State::pop).await,
        };
        self.hand_over(next)
    }

    /// The next message if there is one now.
    pub(crate) fn try_pop(&self) -> Option<Message> {
        self.hand_over(self.cell.now(State::pop)?)
    }

    pub(crate) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        self.cell
            .poll_until(cx, State::pop)
            .map(|next| self.hand_over(next))
    }

    /// As [`poll_pop`](Self::poll_pop), for a reader that says by [`handed_over`](Self::handed_over) when it is done with the message.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let next = self.cell.poll_until(cx, State::pop);
        next.map(|next| next.message().map(Arrived::owing))
    }

    /// The reader is done with a message that it has taken.
    pub(crate) fn handed_over(&self, message: &Message) {
        if !self.manual_ack {
            message.ack();
        }
    }

    #[inline]
    fn hand_over(&self, next: Next) -> Option<Message> {
        match next {
            Next::Message(message) if self.manual_ack => Some(message.owing()),
            Next::Message(message) => Some(message.taken()),
            Next::End => None,
        }
    }

    /// Takes everything out without handing it over.
    pub(crate) fn drain(&self) -> Vec<Arrived> {
        self.cell
            .update(|state| std::iter::from_fn(|| state.take()).collect())
    }

    /// Takes out what is for this subscription, without handing it over.
    pub(crate) fn take_of(&self, subscription: u64) -> Vec<Arrived> {
        self.cell.update(|state| {
            let mut taken = state.free.take_of(subscription);
            taken.append(&mut state.held.take_of(subscription));
            taken.sort_by_key(Arrived::number);
            taken
        })
    }

    /// Has what waits acknowledged, and keeps it.
    pub(crate) fn release(&self) {
        self.cell.update(|state| {
            let messages = state.held.messages.iter_mut();
            messages.for_each(Arrived::release);
        });
    }

    /// No more messages will come.
    pub(crate) fn end(&self) {
        self.cell.update(|state| state.ended = true);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.cell.read(|state| state.dropped)
    }

    pub(crate) fn len(&self) -> usize {
        self.cell.read(State::len)
    }
}

/// What a reader gets.
#[derive(Debug)]
enum Next {
    Message(Arrived),
    End,
}

impl Next {
    fn message(self) -> Option<Arrived> {
        match self {
            Self::Message(message) => Some(message),
            Self::End => None,
        }
    }
}

impl State {
    fn len(&self) -> usize {
        self.free.messages.len() + self.held.messages.len()
    }

    /// Puts a message in, if there is room for it, and into `over` what is dropped for that.
    #[inline]
    fn push(
        &mut self,
        message: &mut Option<Arrived>,
        limits: QueueLimits,
        when_full: WhenFull,
        over: &mut Vec<Arrived>,
    ) {
        let Some(arrived) = message else {
            return;
        };
        let is_free = arrived.qos() == Qos::AtMostOnce;
        let size = arrived.size();
        if (is_free || when_full == WhenFull::DropOldestOfAny)
            && !self.has_room(size, limits, when_full)
            && !self.make_room(size, limits, when_full, over)
        {
            return;
        }
        let line = if is_free {
            &mut self.free
        } else {
            &mut self.held
        };
        if let Some(arrived) = message.take() {
            line.insert(arrived, size);
        }
    }

    /// Makes room by what is dropped, if anything may be; false when there is none all the same.
    fn make_room(
        &mut self,
        size: usize,
        limits: QueueLimits,
        when_full: WhenFull,
        over: &mut Vec<Arrived>,
    ) -> bool {
        // What never fits is no reason to drop others.
        let never_fits = limits.messages == 0 || size > limits.bytes;
        if when_full == WhenFull::Hold || never_fits {
            return false;
        }
        while !self.has_room(size, limits, when_full) {
            let Some(oldest) = self.oldest(when_full) else {
                return false;
            };
            over.push(oldest);
        }
        true
    }

    fn has_room(&self, size: usize, limits: QueueLimits, when_full: WhenFull) -> bool {
        let (messages, bytes) = match when_full {
            WhenFull::DropOldestOfAny => (self.len(), self.free.bytes + self.held.bytes),
            _ => (self.free.messages.len(), self.free.bytes),
        };
        messages < limits.messages && bytes.saturating_add(size) <= limits.bytes
    }

    /// Takes out what has waited longest of what may be dropped.
    fn oldest(&mut self, when_full: WhenFull) -> Option<Arrived> {
        match when_full {
            WhenFull::DropOldestOfAny => self.take(),
            _ => self.free.pop(),
        }
    }

    /// What came first of both lines.
    #[inline]
    fn take(&mut self) -> Option<Arrived> {
        match (self.free.first(), self.held.first()) {
            (Some(free), Some(held)) if free < held => self.free.pop(),
            (_, Some(_)) => self.held.pop(),
            _ => self.free.pop(),
        }
    }

    /// What comes next, or `None`: wait.
    #[inline]
    fn pop(&mut self) -> Option<Next> {
        match self.take() {
            Some(message) => Some(Next::Message(message)),
            None => self.ended.then_some(Next::End),
        }
    }
}

impl Line {
    fn first(&self) -> Option<u64> {
        self.messages.front().map(Arrived::number)
    }

    /// What was handed from one queue to another stands before what came later.
    #[inline]
    fn insert(&mut self, message: Arrived, size: usize) {
        let at = match self.messages.back() {
            Some(last) if last.number() > message.number() => self
                .messages
                .partition_point(|other| other.number() <= message.number()),
            _ => self.messages.len(),
        };
        self.bytes += size;
        if at == self.messages.len() {
            self.messages.push_back(message);
        } else {
            self.messages.insert(at, message);
        }
    }

    fn take_of(&mut self, subscription: u64) -> Vec<Arrived> {
        let all = std::mem::take(&mut self.messages);
        let (taken, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|message| message.subscription() == subscription);
        self.bytes -= taken.iter().map(Arrived::size).sum::<usize>();
        self.messages = kept.into();
        taken
    }

    #[inline]
    fn pop(&mut self) -> Option<Arrived> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.size();
        Some(message)
    }
}

impl Drop for Line {
    /// What is left will not be read.
    fn drop(&mut self) {
        self.messages.iter_mut().for_each(Arrived::abandon);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ohmqtt_codec::{MqttString, TopicName};
    use ohmqtt_driver::{Clock, Handle};
    use ohmqtt_session::{ClientConfig, ClientSession};

    use super::*;
    use crate::core::Core;
    use crate::events::Bell;

    const QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

    /// A message that takes this many bytes.
    fn sized(number: u64, qos: u8, size: usize) -> Arrived {
        let session = ClientSession::new(ClientConfig::new(MqttString::default()));
        let handle = Handle::new(session, Clock::new());
        let core = Arc::new(Core::new(handle, None, Bell::new()));
        let topic = TopicName::new("t").unwrap();
        // One for the topic, and one for no properties.
        let mut message = ohmqtt_session::Message::new(topic, vec![b'x'; size - 2]);
        message.qos = QOS[usize::from(qos)];
        Arrived::new(Message::new(core, message), number, None, 1).to(number)
    }

    /// A message that takes ten bytes.
    fn message(number: u64, qos: u8) -> Arrived {
        sized(number, qos, 10)
    }

    fn queue(messages: usize, bytes: usize, when_full: WhenFull) -> Queue {
        Queue::new(QueueLimits { messages, bytes }, when_full, false)
    }

    fn numbers(queue: &Queue) -> Vec<u64> {
        queue.drain().iter().map(Arrived::number).collect()
    }

    /// Messages numbered from 1 with these QoS go in; these are left, and the others were counted.
    fn check(messages: usize, bytes: usize, when_full: WhenFull, qos: &[u8], want: &[u64]) {
        let queue = queue(messages, bytes, when_full);
        let pushes = (1..).zip(qos).map(|(n, qos)| queue.push(message(n, *qos)));
        let dropped: u64 = pushes.sum();
        assert_eq!(queue.dropped(), dropped, "{when_full:?}");
        assert_eq!(queue.len(), want.len(), "{when_full:?}");
        assert_eq!(dropped, (qos.len() - want.len()) as u64, "{when_full:?}");
        assert_eq!(numbers(&queue), want, "{when_full:?}");
    }

    const AMPLE: usize = 1000;

    #[test]
    fn hold_drops_the_newest_of_qos_0_and_holds_the_others() {
        let hold = WhenFull::Hold;
        check(2, AMPLE, hold, &[0, 0, 0, 0], &[1, 2]);
        check(2, AMPLE, hold, &[1, 0, 2, 0, 0, 1], &[1, 2, 3, 4, 6]);
        check(AMPLE, 25, hold, &[0, 1, 0, 1, 0], &[1, 2, 3, 4]);
        check(0, AMPLE, hold, &[0, 1, 2], &[2, 3]);
    }

    #[test]
    fn drop_oldest_drops_the_oldest_of_qos_0_and_holds_the_others() {
        let drop = WhenFull::DropOldest;
        check(2, AMPLE, drop, &[0, 0, 0, 0], &[3, 4]);
        check(2, AMPLE, drop, &[1, 0, 2, 0, 0, 1], &[1, 3, 4, 5, 6]);
        check(AMPLE, 25, drop, &[0, 1, 0, 1, 0], &[2, 3, 4, 5]);
        check(0, AMPLE, drop, &[0, 1, 2], &[2, 3]);
    }

    #[test]
    fn drop_oldest_of_any_bounds_every_qos() {
        let any = WhenFull::DropOldestOfAny;
        check(2, AMPLE, any, &[0, 1, 2, 0], &[3, 4]);
        check(3, AMPLE, any, &[1, 0, 2, 0, 1], &[3, 4, 5]);
        check(AMPLE, 25, any, &[2, 1, 0], &[2, 3]);
        check(0, AMPLE, any, &[0, 1, 2], &[]);
    }

    #[test]
    fn a_message_that_never_fits_drops_no_other() {
        for when_full in [
            WhenFull::Hold,
            WhenFull::DropOldest,
            WhenFull::DropOldestOfAny,
        ] {
            let queue = queue(AMPLE, 30, when_full);
            queue.push(message(1, 0));
            assert_eq!(queue.push(sized(2, 0, 31)), 1);
            assert_eq!((queue.dropped(), numbers(&queue)), (1, vec![1]));
        }
    }

    #[test]
    fn what_is_handed_on_stands_before_what_came_later() {
        let queue = queue(AMPLE, AMPLE, WhenFull::Hold);
        for (number, qos) in [(4, 1), (7, 0), (3, 0), (5, 1), (1, 2)] {
            queue.push(message(number, qos));
        }
        assert_eq!(numbers(&queue), [1, 3, 4, 5, 7]);
    }

    #[test]
    fn room_comes_back_with_reading() {
        for when_full in [
            WhenFull::Hold,
            WhenFull::DropOldest,
            WhenFull::DropOldestOfAny,
        ] {
            let queue = queue(2, 20, when_full);
            for number in 1..10 {
                assert_eq!(queue.push(message(number, 0)), 0);
                assert_eq!(queue.try_pop().unwrap().subscription(), number);
            }
            queue.push(message(10, 0));
            assert_eq!(numbers(&queue), [10]);
            assert_eq!(queue.push(message(11, 0)) + queue.push(message(12, 0)), 0);
        }
    }

    #[test]
    fn an_ended_queue_takes_nothing_and_gives_what_it_has() {
        let queue = queue(2, AMPLE, WhenFull::Hold);
        queue.push(message(1, 1));
        queue.end();
        assert_eq!(queue.push(message(2, 1)), 1);
        assert_eq!(queue.dropped(), 0);
        assert_eq!(queue.try_pop().unwrap().subscription(), 1);
        assert!(queue.try_pop().is_none());
    }
}
