//! The bounded queue behind one stream of messages.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use ohmqtt_codec::Qos;
use ohmqtt_driver::Cell;

use crate::message::Message;

/// How many bytes of QoS 0 messages may wait in one queue.
const BYTES: usize = 64 * 1024 * 1024;

/// Messages between the driver and one reader, in the order they came.
///
/// QoS 1 and 2 are bounded by our Receive Maximum, because an unread message is not acknowledged. QoS 0 has this queue's bound:
/// beyond it the newest is dropped and counted.
#[derive(Debug)]
pub(crate) struct Queue {
    cell: Cell<State>,
    /// How many QoS 0 messages may wait.
    capacity: usize,
    /// The reader acknowledges by itself.
    manual_ack: bool,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// How many of them are QoS 0, and their size.
    unacked: usize,
    unacked_bytes: usize,
    dropped: u64,
    ended: bool,
}

impl Queue {
    pub(crate) fn new(capacity: usize, manual_ack: bool) -> Self {
        Self {
            cell: Cell::default(),
            capacity,
            manual_ack,
        }
    }

    /// Puts a message in; false when it was dropped for want of room, or because nobody reads any more.
    pub(crate) fn push(&self, message: Message) -> bool {
        self.cell.update(|state| {
            if state.ended {
                return false;
            }
            if message.qos == Qos::AtMostOnce {
                let bytes = state.unacked_bytes.saturating_add(message.size());
                if state.unacked >= self.capacity || bytes > BYTES {
                    state.dropped += 1;
                    return false;
                }
                state.unacked += 1;
                state.unacked_bytes = bytes;
            }
            state.insert(message);
            true
        })
    }

    /// The next message, or `None` once the queue has ended and is empty.
    pub(crate) async fn pop(&self) -> Option<Message> {
        let next = self.cell.until(State::pop).await;
        self.hand_over(next)
    }

    /// The next message if there is one now.
    pub(crate) fn try_pop(&self) -> Option<Message> {
        self.hand_over(self.cell.update(State::pop)?)
    }

    pub(crate) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        self.cell
            .poll_until(cx, State::pop)
            .map(|next| self.hand_over(next))
    }

    fn hand_over(&self, next: Next) -> Option<Message> {
        let Next::Message(message) = next else {
            return None;
        };
        if !self.manual_ack {
            message.handed_over();
        }
        Some(message)
    }

    /// Takes everything out without handing it over.
    pub(crate) fn drain(&self) -> VecDeque<Message> {
        self.cell.update(|state| {
            state.unacked = 0;
            state.unacked_bytes = 0;
            std::mem::take(&mut state.messages)
        })
    }

    /// Has what waits acknowledged, and keeps it.
    pub(crate) fn release(&self) {
        self.cell
            .update(|state| state.messages.iter_mut().for_each(Message::release));
    }

    /// No more messages will come.
    pub(crate) fn end(&self) {
        self.cell.update(|state| state.ended = true);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.cell.read(|state| state.dropped)
    }

    pub(crate) fn len(&self) -> usize {
        self.cell.read(|state| state.messages.len())
    }
}

/// What a reader gets.
#[derive(Debug)]
enum Next {
    Message(Message),
    End,
}

impl State {
    /// What was handed from one queue to another stands before what came later.
    fn insert(&mut self, message: Message) {
        let at = match self.messages.back() {
            Some(last) if last.number() > message.number() => self
                .messages
                .partition_point(|other| other.number() <= message.number()),
            _ => self.messages.len(),
        };
        self.messages.insert(at, message);
    }

    /// What comes next, or `None`: wait.
    fn pop(&mut self) -> Option<Next> {
        match self.messages.pop_front() {
            Some(message) => {
                if message.qos == Qos::AtMostOnce {
                    self.unacked -= 1;
                    self.unacked_bytes -= message.size();
                }
                Some(Next::Message(message))
            }
            None => self.ended.then_some(Next::End),
        }
    }
}
