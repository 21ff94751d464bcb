//! The handle of one published message, and the table that finds it again when the session speaks of it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ohmqtt_codec::{AckProperties, PacketId, Qos, ReasonCode};
use ohmqtt_driver::Cell;
use ohmqtt_session::{LostMessage, Ticket};

use crate::error::WaitError;

/// What the server said of a message: PUBACK at QoS 1, PUBREC and PUBCOMP at QoS 2. At QoS 0, Success once it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The Packet Identifier that the message had; none at QoS 0. Another message may have it by now.
    pub packet_id: Option<PacketId>,
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
/// Any number of tasks and threads may wait on it. Dropping it never cancels the message, and a message whose handle is dropped costs
/// nothing here.
#[derive(Clone, Debug)]
pub struct Publication {
    held: Arc<Held>,
}

/// What all clones of a publication share.
#[derive(Debug)]
struct Held {
    progress: Cell<Progress>,
    ticket: Ticket,
    table: Weak<Publications>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            table.forget(self.ticket);
        }
    }
}

impl Publication {
    /// Waits until the message is accepted: in the outbox, and in the store if there is one.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn accepted(&self) -> Result<(), LostMessage> {
        self.held
            .progress
            .until(|progress| progress.accepted())
            .await
    }

    /// Waits until the message was given to a connection.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn sent(&self) -> Result<(), LostMessage> {
        self.held.progress.until(|progress| progress.sent()).await
    }

    /// Waits until the server has acknowledged the message; at QoS 0, until it was sent. An error code of the server's is in the
    /// acknowledgement; the error here says that there will be none.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn acked(&self) -> Result<Acknowledgement, LostMessage> {
        self.held
            .progress
            .until(|progress| progress.end.clone())
            .await
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
            .held
            .progress
            .until_blocking(Some(timeout), |progress| ready(progress));
        Ok(result.ok_or(WaitError::TimedOut)??)
    }
}

/// The publications somebody may still ask about, by ticket.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<u64, Weak<Held>, BuildHasherDefault<Spread>>,
    last: u64,
    /// Nobody asks about these any more, and the session does not know it yet. Each was published since it was last told.
    forgotten: Vec<Ticket>,
    /// The client is gone: nothing will be heard of any message.
    ended: bool,
}

/// A hash for numbers that are counted up here: nobody else chooses them, so that one multiplication is enough.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // By 2^64 over the golden ratio: of numbers in a row, both the low bits and the high ones are spread.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Publications {
    /// Opens a publication; `None` once the client is gone. `accepted`: there is no store to wait for.
    pub(crate) fn open(self: &Arc<Self>, qos: Qos, accepted: bool) -> Option<Publication> {
        let mut table = self.lock();
        if table.ended {
            return None;
        }
        // Tickets are not used again: whoever dropped a handle is not to hear of another message.
        table.last += 1;
        let held = Arc::new(Held {
            progress: Cell::new(Progress {
                ends_when_sent: qos == Qos::AtMostOnce,
                accepted,
                ..Progress::default()
            }),
            ticket: Ticket(table.last),
            table: Arc::downgrade(self),
        });
        let number = table.last;
        table.held.insert(number, Arc::downgrade(&held));
        Some(Publication { held })
    }

    /// Whether the client is gone.
    pub(crate) fn have_ended(&self) -> bool {
        self.lock().ended
    }

    pub(crate) fn accepted(&self, ticket: Ticket) {
        if let Some(held) = self.get(ticket) {
            held.progress.update(|progress| progress.accepted = true);
        }
    }

    pub(crate) fn sent(&self, ticket: Ticket) {
        let Some(held) = self.get(ticket) else {
            return;
        };
        let ends = held.progress.update(|progress| {
            progress.sent = true;
            if progress.ends_when_sent {
                let properties = AckProperties::default();
                progress.end = Some(Ok(Acknowledgement {
                    packet_id: None,
                    reason: ReasonCode::Success,
                    properties,
                }));
            }
            progress.ends_when_sent
        });
        if ends {
            self.take(ticket);
        }
    }

    pub(crate) fn end(&self, ticket: Ticket, end: Result<Acknowledgement, LostMessage>) {
        if let Some(held) = self.take(ticket) {
            held.progress.update(|progress| progress.end = Some(end));
        }
    }

    /// The client is gone: nothing more will be heard of any message.
    pub(crate) fn end_all(&self, why: LostMessage) {
        let held = {
            let mut table = self.lock();
            table.ended = true;
            std::mem::take(&mut table.held)
        };
        for held in held.into_values().filter_map(|held| held.upgrade()) {
            held.progress
                .update(|progress| progress.end = Some(Err(why)));
        }
    }

    // What is looked up here may be the last to hold it, and its end locks the table: it leaves the lock first.
    fn get(&self, ticket: Ticket) -> Option<Arc<Held>> {
        self.lock().held.get(&ticket.0)?.upgrade()
    }

    fn take(&self, ticket: Ticket) -> Option<Arc<Held>> {
        self.lock().held.remove(&ticket.0)?.upgrade()
    }

    /// The last to hold it is gone.
    fn forget(&self, ticket: Ticket) {
        let mut table = self.lock();
        if table.held.remove(&ticket.0).is_some() {
            table.forgotten.push(ticket);
        }
    }

    /// What the session is to be told nobody asks about any more.
    pub(crate) fn take_forgotten(&self) -> Vec<Ticket> {
        std::mem::take(&mut self.lock().forgotten)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publication {
    pub(crate) fn ticket(&self) -> Ticket {
        self.held.ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_handle_leaves_nothing_behind() {
        let table = Arc::new(Publications::default());
        let publication = table.open(Qos::AtLeastOnce, true).unwrap();
        let (clone, ticket) = (publication.clone(), publication.ticket());
        drop(publication);
        assert_eq!(table.lock().held.len(), 1);
        drop(clone);
        assert_eq!(table.lock().held.len(), 0);
        // What is heard of it later is about nobody, and so is the next message.
        let next = table.open(Qos::AtLeastOnce, true).unwrap();
        table.end(ticket, Err(LostMessage::Expired));
        assert!(next.held.progress.read(|progress| progress.end.is_none()));
    }

    #[test]
    fn a_finished_message_is_forgotten_while_its_handle_is_held() {
        let table = Arc::new(Publications::default());
        let publication = table.open(Qos::AtMostOnce, true).unwrap();
        table.sent(publication.ticket());
        assert_eq!(table.lock().held.len(), 0);
        assert!(
            publication
                .held
                .progress
                .read(|progress| progress.end.is_some())
        );
    }

    #[test]
    fn a_client_that_is_gone_opens_no_publication() {
        let table = Arc::new(Publications::default());
        let publication = table.open(Qos::AtMostOnce, true).unwrap();
        table.end_all(LostMessage::Closed);
        assert!(
            publication
                .held
                .progress
                .read(|progress| progress.end.is_some())
        );
        assert!(table.open(Qos::AtMostOnce, true).is_none());
    }
}
