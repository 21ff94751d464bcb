//! The bounded queue behind one stream of messages.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use ohmqtt_codec::Qos;
use ohmqtt_driver::Cell;

use crate::message::Message;

/// Messages between the driver and one reader.
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
    /// How many of them are QoS 0.
    unacked: usize,
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
                if state.unacked >= self.capacity {
                    state.dropped += 1;
                    return false;
                }
                state.unacked += 1;
            }
            state.messages.push_back(message);
            true
        })
    }

    /// The next message, or `None` once the queue has ended and is empty.
    pub(crate) async fn pop(&self) -> Option<Message> {
        let message = self.cell.until(State::pop).await;
        self.hand_over(message)
    }

    /// The next message if there is one now.
    pub(crate) fn try_pop(&self) -> Option<Message> {
        let message = self.cell.update(State::pop).flatten();
        self.hand_over(message)
    }

    pub(crate) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        self.cell
            .poll_until(cx, State::pop)
            .map(|message| self.hand_over(message))
    }

    fn hand_over(&self, message: Option<Message>) -> Option<Message> {
        if !self.manual_ack
            && let Some(message) = &message
        {
            message.handed_over();
        }
        message
    }

    /// Takes everything out without handing it over.
    pub(crate) fn drain(&self) -> VecDeque<Message> {
        self.cell.update(|state| {
            state.unacked = 0;
            std::mem::take(&mut state.messages)
        })
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

impl State {
    /// The outer `None`: wait. The inner one: the end.
    fn pop(&mut self) -> Option<Option<Message>> {
        match self.messages.pop_front() {
            Some(message) => {
                self.unacked -= usize::from(message.qos == Qos::AtMostOnce);
                Some(Some(message))
            }
            None => self.ended.then_some(None),
        }
    }
}
