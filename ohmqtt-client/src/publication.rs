//! The handle of one published message, and the table that finds it again when the session speaks of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ohmqtt_codec::{AckProperties, Qos, ReasonCode};
use ohmqtt_driver::Cell;
use ohmqtt_session::{LostMessage, Ticket};
use slab::Slab;

use crate::error::WaitError;

/// What the server said of a message: PUBACK at QoS 1, PUBREC and PUBCOMP at QoS 2. At QoS 0, Success once it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Success, or another code; 0x80 and above are errors. [`ReasonCode::NoMatchingSubscribers`] is not one.
    pub reason: ReasonCode,
    /// Reason String and User Properties.
    pub properties: AckProperties,
}

/// How far a message has come.
#[derive(Debug, Default)]
struct Progress {
    /// At QoS 0 nothing is heard of a message after it was sent.
    ends_when_sent: bool,
    accepted: bool,
    sent: bool,
    end: Option<Result<Acknowledgement, LostMessage>>,
}

impl Progress {
    fn accepted(&self) -> Option<Result<(), LostMessage>> {
        match &self.end {
            Some(Err(why)) if !self.accepted => Some(Err(*why)),
            _ => (self.accepted || self.end.is_some()).then_some(Ok(())),
        }
    }

    fn sent(&self) -> Option<Result<(), LostMessage>> {
        match &self.end {
            Some(Err(why)) if !self.sent => Some(Err(*why)),
            _ => (self.sent || self.end.is_some()).then_some(Ok(())),
        }
    }
}

/// A message that was taken into the outbox, and its three milestones: *accepted*, *sent*, *acked*.
///
/// Any number of tasks and threads may wait on it. Dropping it never cancels the message.
#[derive(Clone, Debug)]
pub struct Publication {
    progress: Arc<Cell<Progress>>,
}

impl Publication {
    /// Waits until the message is accepted: in the outbox, and in the store if there is one.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn accepted(&self) -> Result<(), LostMessage> {
        self.progress.until(|progress| progress.accepted()).await
    }

    /// Waits until the message was given to a connection.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn sent(&self) -> Result<(), LostMessage> {
        self.progress.until(|progress| progress.sent()).await
    }

    /// Waits until the server has acknowledged the message; at QoS 0, until it was sent. An error code of the server's is in the
    /// acknowledgement; the error here says that there will be none.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn acked(&self) -> Result<Acknowledgement, LostMessage> {
        self.progress.until(|progress| progress.end.clone()).await
    }

    /// As [`accepted`](Self::accepted), blocking the thread for at most `timeout`. Not for use inside a runtime.
    pub fn wait_accepted(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait(timeout, Progress::accepted)
    }

    /// As [`sent`](Self::sent), blocking the thread for at most `timeout`. Not for use inside a runtime.
    pub fn wait_sent(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait(timeout, Progress::sent)
    }

    /// As [`acked`](Self::acked), blocking the thread for at most `timeout`. Not for use inside a runtime.
    pub fn wait_acked(&self, timeout: Duration) -> Result<Acknowledgement, WaitError> {
        self.wait(timeout, |progress| progress.end.clone())
    }

    fn wait<R>(
        &self,
        timeout: Duration,
        ready: impl Fn(&Progress) -> Option<Result<R, LostMessage>>,
    ) -> Result<R, WaitError> {
        let result = self
            .progress
            .until_blocking(Some(timeout), |progress| ready(progress));
        Ok(result.ok_or(WaitError::TimedOut)??)
    }
}

/// The publications somebody may still ask about, by ticket.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    held: Mutex<Slab<Arc<Cell<Progress>>>>,
}

impl Publications {
    pub(crate) fn open(&self, qos: Qos) -> (Ticket, Publication) {
        let ends_when_sent = qos == Qos::AtMostOnce;
        let progress = Arc::new(Cell::new(Progress {
            ends_when_sent,
            ..Progress::default()
        }));
        let key = self.lock().insert(Arc::clone(&progress));
        (Ticket(key as u64 + 1), Publication { progress })
    }

    /// Forgets a publication that was never made.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        self.take(ticket);
    }

    pub(crate) fn accepted(&self, ticket: Ticket) {
        if let Some(progress) = self.get(ticket) {
            progress.update(|progress| progress.accepted = true);
        }
    }

    /// The message was sent; true when nothing more will be heard of it.
    pub(crate) fn sent(&self, ticket: Ticket) -> bool {
        let Some(progress) = self.get(ticket) else {
            return false;
        };
        let ends = progress.update(|progress| {
            progress.sent = true;
            if progress.ends_when_sent {
                let properties = AckProperties::default();
                progress.end = Some(Ok(Acknowledgement {
                    reason: ReasonCode::Success,
                    properties,
                }));
            }
            progress.ends_when_sent
        });
        if ends {
            self.take(ticket);
        }
        ends
    }

    pub(crate) fn end(&self, ticket: Ticket, end: Result<Acknowledgement, LostMessage>) {
        if let Some(progress) = self.take(ticket) {
            progress.update(|progress| progress.end = Some(end));
        }
    }

    /// The client is gone: nothing more will be heard of any message.
    pub(crate) fn end_all(&self, why: LostMessage) {
        for progress in std::mem::take(&mut *self.lock()).drain() {
            progress.update(|progress| progress.end = Some(Err(why)));
        }
    }

    fn get(&self, ticket: Ticket) -> Option<Arc<Cell<Progress>>> {
        self.lock().get(key(ticket)?).cloned()
    }

    fn take(&self, ticket: Ticket) -> Option<Arc<Cell<Progress>>> {
        self.lock().try_remove(key(ticket)?)
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Cell<Progress>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ticket: Ticket) -> Option<usize> {
    usize::try_from(ticket.0.checked_sub(1)?).ok()
}
