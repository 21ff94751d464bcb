//! What goes to and fro while a connection is begun or authenticated again: between the session's events, the authenticator, and whoever
//! asked for a re-authentication.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ohmqtt_codec::Binary;
use ohmqtt_driver::Cell;
use ohmqtt_session::{ClientSession, DisconnectCause};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{AuthError, AuthenticationError, Login};
use crate::client::Shared;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::events::Event;

/// A re-authentication came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// The client has no authenticator.
    #[error("reauthenticate: the client has no authenticator: give its builder one")]
    NoAuthenticator,
    /// There is no connection. The next one authenticates itself anew.
    #[error("reauthenticate: not connected")]
    NotConnected,
    /// The authenticator could not begin. The connection stands as it stood.
    #[error("reauthenticate: {0}")]
    NotBegun(#[source] AuthenticationError),
    /// The connection ended: the server refused, the authenticator did not trust it, or something else came in between.
    #[error("reauthenticate: {0}")]
    Disconnected(#[source] ConnectError),
}

type Result<T, E = ReauthenticateError> = std::result::Result<T, E>;

/// What the server said, for the authenticator to hear.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It asks for more.
    Challenge(Option<Binary>),
    /// It accepts the connection.
    Accepted(Option<Binary>),
    /// It accepts a re-authentication.
    AcceptedAgain(Option<Binary>),
}

/// Where the parts of an exchange meet.
#[derive(Debug)]
pub(crate) struct Exchange {
    has_authenticator: AtomicBool,
    state: Cell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// At most one: the session waits for the answer.
    heard: Option<Heard>,
    /// The server was accepted, and the connection has not ended.
    stands: bool,
    /// Somebody asked for a re-authentication that has not begun.
    asked: bool,
    /// They wait for the one that is to begin next.
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// They wait for the one that is under way.
    under_way: Vec<oneshot::Sender<Result<()>>>,
    /// The authenticator thinks about an answer.
    answers: bool,
    /// Why the authenticator gave the connection up.
    failure: Option<ConnectErrorKind>,
}

/// What is to be done next.
enum Next {
    Hear(Heard),
    Begin,
}

impl Exchange {
    pub(crate) fn new(has_authenticator: bool) -> Self {
        Self {
            has_authenticator: AtomicBool::new(has_authenticator),
            state: Cell::default(),
        }
    }

    /// Whether there is an authenticator from the next connection on.
    pub(crate) fn set_authenticator(&self, has_authenticator: bool) {
        self.has_authenticator
            .store(has_authenticator, Ordering::Relaxed);
    }

    /// The server said something.
    pub(crate) fn hear(&self, heard: Heard) {
        self.state.update(|state| state.heard = Some(heard));
    }

    /// Asks for a re-authentication and waits for its end. One that nobody has begun yet is the same for all who ask.
    pub(crate) async fn reauthenticate(&self) -> Result<()> {
        if !self.has_authenticator.load(Ordering::Relaxed) {
            return Err(ReauthenticateError::NoAuthenticator);
        }
        let (answer, answered) = oneshot::channel();
        let stands = self.state.update(|state| {
            if state.stands {
                state.asked = true;
                // Who has given up needs no answer.
                state.waiting.retain(|other| !other.is_closed());
                state.waiting.push(answer);
            }
            state.stands
        });
        if !stands {
            return Err(ReauthenticateError::NotConnected);
        }
        // Every end of a connection, and of the client, answers all that wait.
        answered
            .await
            .unwrap_or(Err(ReauthenticateError::NotConnected))
    }

    /// The connection has ended, and why; or the client has.
    pub(crate) fn ended(&self, error: &ConnectError) {
        let waiting = self.state.update(|state| {
            let state = std::mem::take(state);
            [state.under_way, state.waiting]
        });
        for answer in waiting.into_iter().flatten() {
            // Whoever has given up hears nothing.
            let _ = answer.send(Err(ReauthenticateError::Disconnected(error.clone())));
        }
    }

    /// The next thing to do. The server is heard before anything is begun, and one exchange ends before another begins.
    async fn next(&self, may_begin: bool) -> Next {
        self.state
            .until(|state| {
                if let Some(heard) = state.heard.take() {
                    return Some(Next::Hear(heard));
                }
                let begins = may_begin && state.asked;
                begins.then(|| {
                    state.asked = false;
                    state.under_way = std::mem::take(&mut state.waiting);
                    Next::Begin
                })
            })
            .await
    }

    /// The re-authentication that was under way has ended, and the connection stands.
    fn answer(&self, result: &Result<()>) {
        let waiting = self
            .state
            .update(|state| std::mem::take(&mut state.under_way));
        for answer in waiting {
            // Whoever has given up hears nothing.
            let _ = answer.send(result.clone());
        }
    }
}

/// Speaks for the authenticator on one connection. Never ends: when it fails the session is told to end the connection.
///
/// `deadline` is that of the connect; `timeout` is how long a re-authentication may take.
pub(crate) async fn converse(
    shared: &Shared,
    login: &mut Login,
    deadline: Instant,
    timeout: Duration,
) -> Infallible {
    let Err(error) = speak(shared, login, deadline, timeout).await;
    let kind = login.failed(error);
    let keep = |state: &mut State| state.failure = Some(kind);
    shared.auth.state.update(keep);
    shared
        .core
        .handle
        .with(|session, _| session.fail_authentication());
    std::future::pending().await
}

async fn speak(
    shared: &Shared,
    login: &mut Login,
    deadline: Instant,
    timeout: Duration,
) -> Result<Infallible, AuthError> {
    let (exchange, handle) = (&shared.auth, &shared.core.handle);
    // Until when a re-authentication has to be over, while one is under way.
    let mut again = None;
    loop {
        let next = exchange.next(again.is_none());
        let next = match again {
            Some(end) => Box::pin(timeout_at(end, next))
                .await
                .map_err(|_| AuthError::TimedOut)?,
            // The session itself sees to it that a server accepts in time.
            None => next.await,
        };
        match next {
            Next::Hear(Heard::Challenge(data)) => {
                exchange.state.update(|state| state.answers = true);
                let answer = Box::pin(login.answer(data, again.unwrap_or(deadline))).await?;
                exchange.state.update(|state| state.answers = false);
                handle.with(|session, _| session.authenticate(answer.as_ref()));
            }
            Next::Hear(Heard::Accepted(data)) => {
                login.finish(data)?;
                exchange.state.update(|state| state.stands = true);
                handle.with(ClientSession::verified);
            }
            Next::Hear(Heard::AcceptedAgain(data)) => {
                login.finish(data)?;
                again = None;
                tell(shared, &Ok(()));
            }
            Next::Begin => {
                let end = Instant::now() + timeout;
                match Box::pin(login.begin(end)).await {
                    Ok(data) => {
                        again = Some(end);
                        handle.with(|session, _| session.reauthenticate(data.as_ref()));
                    }
                    Err(error) => {
                        let error = ReauthenticateError::NotBegun(login.error(error));
                        tell(shared, &Err(error));
                    }
                }
            }
        }
    }
}

/// Why a connection ended, where authentication had to do with it; else `kind`, which is what session and stream say.
pub(crate) fn explain(
    exchange: &Exchange,
    login: &mut Login,
    kind: ConnectErrorKind,
) -> ConnectErrorKind {
    let (failure, answers) = exchange
        .state
        .update(|state| (state.failure.take(), state.answers));
    match (kind, failure) {
        (ConnectErrorKind::Closed, _) => ConnectErrorKind::Closed,
        (_, Some(failure)) => failure,
        // They share a deadline, and the session may notice first.
        (ConnectErrorKind::Session(DisconnectCause::ConnectTimeout), None) if answers => {
            login.failed(AuthError::TimedOut)
        }
        (kind, None) => login.explain(kind),
    }
}

/// A re-authentication has ended, and the connection stands.
fn tell(shared: &Shared, result: &Result<()>) {
    match result {
        Ok(()) => tracing::info!("authenticated again"),
        Err(error) => tracing::warn!(%error, "not authenticated again"),
    }
    let event = Event::Reauthenticated {
        result: result.clone(),
    };
    shared.core.events.ring(event);
    shared.auth.answer(result);
}
