//! The handle of one published message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ohmqtt_codec::{AckProperties, PacketId, ReasonCode};
use ohmqtt_driver::Cell;
use ohmqtt_session::{LostMessage, Ticket};

use crate::error::WaitError;
use crate::publications::{Progress, Publications};

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

/// A message that was taken into the outbox, and its three milestones: *accepted*, *sent*, *acked*.
///
/// Any number of tasks and threads may wait on it. Dropping it never cancels the message, and a message whose handle is dropped costs
/// nothing here.
pub struct Publication {
    pub(crate) table: Arc<Publications>,
    ticket: Ticket,
}

impl Publication {
    /// The first handle of the message that stands under this ticket in the table.
    pub(crate) fn new(table: Arc<Publications>, ticket: Ticket) -> Self {
        Self { table, ticket }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits until the message is accepted: in the outbox, and in the store if there is one.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn accepted(&self) -> Result<(), LostMessage> {
        self.until(Progress::accepted).await
    }

    /// Waits until the message was given to a connection.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn sent(&self) -> Result<(), LostMessage> {
        self.until(Progress::sent).await
    }

    /// Waits until the server has acknowledged the message; at QoS 0, until it was sent. An error code of the server's is in the
    /// acknowledgement; the error here says that there will be none.
    ///
    /// Cancel safety: nothing happens when the future is dropped; it can be called again.
    pub async fn acked(&self) -> Result<Acknowledgement, LostMessage> {
        self.until(Progress::end).await
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
        self.wait(timeout, Progress::end)
    }

    fn until<R, F: Fn(&Progress) -> Option<R> + Unpin>(&self, ready: F) -> Wait<'_, F> {
        Wait {
            publication: self,
            ready,
            number: None,
        }
    }

    fn wait<R>(
        &self,
        timeout: Duration,
        ready: impl Fn(&Progress) -> Option<Result<R, LostMessage>> + Unpin,
    ) -> Result<R, WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut wait = self.until(ready);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut wait).poll(&mut Context::from_waker(&waker))
            {
                return Ok(result?);
            }
            // One that is too long to be added to a moment has no end.
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let rung = bell
                .0
                .until_blocking(left, |rung| std::mem::take(rung).then_some(()));
            rung.ok_or(WaitError::TimedOut)?;
        }
    }
}

impl Clone for Publication {
    fn clone(&self) -> Self {
        self.table.hold(self.ticket);
        Self {
            table: Arc::clone(&self.table),
            ticket: self.ticket,
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.table.let_go(self.ticket);
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// A thread that waits like a future.
#[derive(Debug, Default)]
struct Bell(Cell<bool>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.update(|rung| *rung = true);
    }
}

/// Waits until the progress of a message gives a result.
struct Wait<'a, F> {
    publication: &'a Publication,
    ready: F,
    /// Under which the waker is kept.
    number: Option<u64>,
}

impl<R, F: Fn(&Progress) -> Option<R> + Unpin> Future for Wait<'_, F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = &mut *self;
        let (table, ticket) = (&this.publication.table, this.publication.ticket);
        if let Some(result) = table.look(ticket, &this.ready) {
            return Poll::Ready(result);
        }
        // A waker is somebody else's code: it is cloned with no lock held.
        let waker = cx.waker().clone();
        match table.look_or_wait(ticket, &mut this.number, waker, &this.ready) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.publication
                .table
                .leave(self.publication.ticket, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ohmqtt_codec::Qos;

    fn open() -> (Arc<Publications>, Publication) {
        let table = Arc::new(Publications::default());
        let publication = table.open(Qos::AtLeastOnce, true).unwrap();
        (table, publication)
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let (table, publication) = open();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut wait = Box::pin(publication.acked());
        let mut cx = Context::from_waker(&waker);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        // Asked again it is still one wait.
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&bell), 3);
        drop(wait);
        assert_eq!(Arc::strong_count(&bell), 2);
        table.hear().sent(publication.ticket());
        assert!(!bell.0.read(|rung| *rung));
    }

    #[test]
    fn a_thread_waits_until_its_message_is_over_or_its_time_is() {
        let (table, publication) = open();
        let short = publication.wait_sent(Duration::from_millis(1));
        assert_eq!(short, Err(WaitError::TimedOut));
        let waits = publication.clone();
        let thread = std::thread::spawn(move || waits.wait_acked(Duration::MAX));
        table.hear().sent(publication.ticket());
        table
            .hear()
            .ended(publication.ticket(), Err(LostMessage::Expired));
        let end = thread.join().unwrap();
        assert_eq!(end, Err(WaitError::Lost(LostMessage::Expired)));
    }
}
