//! What happens to a client, told in order to whoever listens.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ohmqtt_codec::{ConnAck, Qos, ReasonCode, TopicName};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use crate::auth::ReauthenticateError;
use crate::error::ConnectError;

/// How many events wait for a slow listener.
const CAPACITY: usize = 1024;

/// What happened to a client, from [`Client::events`](crate::Client::events).
///
/// Messages do not come here, but as streams of their subscriptions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server has accepted a connection.
    Connected {
        /// Which server, without secrets.
        address: String,
        /// Whether it went on with an old session (section 3.2.2.1.1).
        session_present: bool,
        /// What it said: its limits, and what else it had to tell.
        connack: Box<ConnAck>,
    },
    /// The server does not have the session any more that the client goes on with. Comes behind [`Connected`](Self::Connected).
    ///
    /// What becomes of each message is decided by [`ClientBuilder::session_loss`](crate::ClientBuilder::session_loss), and told by its
    /// publication. Subscriptions are made again. A session that was to end with its connection is not missed, unless something was sent
    /// under it.
    SessionLost {
        /// Messages that were accepted and not acknowledged by then.
        messages: usize,
        /// Their size in bytes.
        bytes: usize,
        /// Of these messages, the ones that may have been sent under the lost session: they may have arrived or not.
        sent: usize,
    },
    /// A connection that stood has ended.
    Disconnected {
        /// Why.
        error: ConnectError,
        /// How long until the next attempt; `None`: there will be none.
        retry_in: Option<Duration>,
    },
    /// An attempt to connect has failed.
    ConnectFailed {
        /// Why.
        error: ConnectError,
        /// How long until the next attempt; `None`: there will be none.
        retry_in: Option<Duration>,
    },
    /// A [re-authentication](crate::Client::reauthenticate) has ended, and the connection stands. One that ends the connection is told as
    /// [`Disconnected`](Self::Disconnected).
    Reauthenticated {
        /// How it ended.
        result: Result<(), ReauthenticateError>,
    },
    /// The server refused a filter, at first or when it was asked again after it had lost the session.
    SubscriptionRefused {
        /// The filter.
        filter: String,
        /// The server's reason.
        reason: ReasonCode,
    },
    /// The application dropped a message that it was to acknowledge. The server sends it again on the next connection; until then it
    /// holds up the acknowledgements behind it.
    NotAcknowledged {
        /// Where it was published.
        topic: TopicName,
        /// The QoS it was delivered with.
        qos: Qos,
    },
    /// A message that no subscription claims found no room where such messages wait, and was acknowledged and dropped.
    UnclaimedDropped {
        /// Where it was published.
        topic: TopicName,
    },
    /// A callback panicked. Its message was refused, and the next is given to it all the same.
    CallbackPanicked {
        /// Where the message was published that it panicked at.
        topic: TopicName,
        /// What it said.
        panic: String,
    },
    /// The closure that makes the payloads of [`Client::every`](crate::Client::every) panicked. It is called again the next time.
    AutomationPanicked {
        /// Where its payloads are published.
        topic: TopicName,
        /// What it said.
        panic: String,
    },
    /// The client is parked and connects when it is [resumed](crate::Client::resume).
    Parked {
        /// Why the last connection ended, or did not come about; `None` when it was parked on request.
        error: Option<ConnectError>,
    },
    /// The client has closed and tries no more. It is the last event.
    Closed {
        /// Why; [`ConnectErrorKind::Closed`](crate::ConnectErrorKind::Closed) after `close`.
        error: ConnectError,
    },
    /// The listener was too slow: these events it has missed.
    Missed {
        /// How many.
        events: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected {
                address,
                session_present,
                ..
            } => {
                let session = if *session_present { "an old" } else { "a new" };
                write!(f, "connected to {address}, with {session} session")
            }
            Self::SessionLost { messages, sent, .. } => write!(
                f,
                "the server has lost the session: {messages} messages were not acknowledged, of which {sent} may have been sent"
            ),
            Self::Disconnected { error, retry_in } => {
                write!(f, "disconnected: {error}{}", Retry(*retry_in))
            }
            Self::ConnectFailed { error, retry_in } => {
                write!(f, "not connected: {error}{}", Retry(*retry_in))
            }
            Self::Reauthenticated { result: Ok(()) } => f.write_str("authenticated again"),
            Self::Reauthenticated { result: Err(error) } => {
                write!(f, "not authenticated again: {error}")
            }
            Self::SubscriptionRefused { filter, reason } => {
                write!(
                    f,
                    "the server refused the subscription to '{filter}': {reason}"
                )
            }
            Self::NotAcknowledged { topic, .. } => write!(
                f,
                "a message on '{topic}' was dropped without being acknowledged: it comes again on the next connection"
            ),
            Self::UnclaimedDropped { topic } => write!(
                f,
                "a message on '{topic}' was dropped: no subscription claims it, and as many wait as may"
            ),
            Self::CallbackPanicked { topic, panic } => {
                write!(f, "a callback panicked at a message on '{topic}': {panic}")
            }
            Self::AutomationPanicked { topic, panic } => {
                write!(f, "the payload for '{topic}' panicked: {panic}")
            }
            Self::Parked { error: Some(error) } => write!(f, "parked: {error}"),
            Self::Parked { error: None } => f.write_str("parked"),
            Self::Closed { error } => write!(f, "closed: {error}"),
            Self::Missed { events } => write!(f, "{events} events were missed"),
        }
    }
}

/// When the next attempt is, as the end of a sentence.
struct Retry(Option<Duration>);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, " (next attempt in {wait:.1?})"),
            None => f.write_str(" (no further attempt)"),
        }
    }
}

/// The events of a client. It does not keep the client alive.
///
/// Each listener has all of them. A slow one misses the oldest once more than 1,024 wait, and is told how many.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; `None` once the client has closed and all are told.
    ///
    /// Cancel safety: no event is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(events)) => Some(Event::Missed { events }),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<Event> {
        match self.receiver.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Lagged(events)) => Some(Event::Missed { events }),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

/// The client's end of its events.
#[derive(Debug)]
pub(crate) struct Bell {
    line: Mutex<Line>,
}

#[derive(Debug)]
enum Line {
    /// Nobody has listened yet. What events wait in takes more memory than all else of a client at rest, and is made for the first who
    /// listens.
    Silent,
    Open(broadcast::Sender<Event>),
    /// The client has closed.
    Ended,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self {
            line: Mutex::new(Line::Silent),
        }
    }

    /// Tells all who listen.
    pub(crate) fn ring(&self, event: Event) {
        // Who listens is woken without the lock.
        let sender = self.with(|line| match line {
            Line::Open(sender) => Some(sender.clone()),
            Line::Silent | Line::Ended => None,
        });
        if let Some(sender) = sender {
            // Without listeners nobody is told, as it should be.
            let _ = sender.send(event);
        }
    }

    /// No more events will come.
    pub(crate) fn end(&self) {
        self.with(|line| *line = Line::Ended);
    }

    pub(crate) fn listen(&self) -> Events {
        let receiver = self.with(|line| match line {
            Line::Open(sender) => sender.subscribe(),
            Line::Silent => {
                let (sender, receiver) = broadcast::channel(CAPACITY);
                *line = Line::Open(sender);
                receiver
            }
            // Of a client that has closed there is nothing to hear.
            Line::Ended => broadcast::Sender::new(1).subscribe(),
        });
        Events { receiver }
    }

    fn with<R>(&self, call: impl FnOnce(&mut Line) -> R) -> R {
        call(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(events: u64) -> Event {
        Event::Missed { events }
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let bell = Bell::new();
        let mut events = bell.listen();
        for number in 0..=CAPACITY {
            bell.ring(missed(number as u64 + 100));
        }
        assert!(matches!(
            events.recv().await,
            Some(Event::Missed { events: 1 })
        ));
        assert!(matches!(
            events.try_recv(),
            Some(Event::Missed { events: 101 })
        ));
    }

    #[tokio::test]
    async fn events_end_with_the_client_once_all_are_told() {
        let bell = Bell::new();
        let mut events = bell.listen();
        bell.ring(missed(7));
        bell.end();
        bell.ring(missed(8));
        assert!(matches!(
            events.recv().await,
            Some(Event::Missed { events: 7 })
        ));
        assert!(events.recv().await.is_none());
        assert!(bell.listen().recv().await.is_none());
    }
}
