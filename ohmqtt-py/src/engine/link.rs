//! How the connection stands, and when it is made again.
//!
//! A connection is made when it is asked for. One that had stood is made again after its end as often as it takes, until it is not wanted
//! any more; one that never stood is not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ohmqtt_client::{
    Client, ConnAck, ConnectError, ConnectErrorKind, ConnectionState, Disconnect, DisconnectCause,
    Event, Events, ReasonCode, ResumeError, TransportErrorKind,
};
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::events::{Notice, Notices};
use super::exchange::Exchange;
use super::raise;
use super::target::Target;
use crate::errors;

/// How the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none, and none is tried.
    #[default]
    Idle,
    Connecting,
    Connected,
    /// There is none, and it is made again after a while.
    Waiting,
    /// It is to end, once what is queued is sent.
    Leaving,
    /// The client is to end.
    Ending,
    Ended,
}

/// What can be asked of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Why it did not come about, or ended; `None` when it was asked to.
    pub(super) error: Option<ConnectError>,
    /// What the server said last when it was connected to.
    pub(super) connack: Option<Arc<ConnAck>>,
    /// The DISCONNECT by which the server ended the last connection.
    pub(super) disconnect: Option<Arc<Disconnect>>,
}

/// Why a connection cannot be asked for.
pub(super) enum Refused {
    /// Not now.
    State(&'static str),
    Settings(ResumeError),
}

/// The connection of one client.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) notices: Arc<Notices>,
    runtime: Handle,
    state: watch::Sender<State>,
    plan: Mutex<Plan>,
}

/// What is wanted.
#[derive(Default)]
struct Plan {
    target: Option<Arc<Target>>,
    /// A connection has stood since it was asked for.
    stood: bool,
    /// One stands whose end was not told yet.
    stands: bool,
    /// Counts what was asked for.
    turn: u64,
}

impl Link {
    /// Looks after the connection of a parked client, whose events are given from its beginning on.
    pub(super) fn new(client: Client, events: Events, runtime: Handle) -> Arc<Self> {
        let link = Arc::new(Self {
            client,
            notices: Arc::default(),
            runtime: runtime.clone(),
            state: watch::Sender::default(),
            plan: Mutex::default(),
        });
        runtime.spawn(listen(Arc::clone(&link), events));
        link
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    /// Asks for a connection.
    pub(super) fn connect(&self, target: Target) -> Result<(), Refused> {
        let mut plan = self.plan();
        match self.phase() {
            Phase::Idle | Phase::Waiting => {}
            Phase::Connecting | Phase::Connected => {
                return Err(Refused::State(
                    "there is a connection, or an attempt at one: disconnect first",
                ));
            }
            Phase::Leaving => {
                return Err(Refused::State(
                    "the connection is being ended: wait_for_disconnect first",
                ));
            }
            Phase::Ending | Phase::Ended => {
                return Err(Refused::State("the client was shut down: make a new one"));
            }
        }
        let builder = target.builder(false);
        self.client.resume(builder).map_err(Refused::Settings)?;
        *plan = Plan {
            target: Some(Arc::new(target)),
            stood: false,
            stands: false,
            turn: plan.turn + 1,
        };
        self.turn(Phase::Connecting, None);
        Ok(())
    }

    /// Ends the connection, or what is done to have one.
    pub(super) fn disconnect(&self, flush: Duration, disconnect: Disconnect) {
        let mut plan = self.plan();
        plan.turn += 1;
        match self.phase() {
            Phase::Connecting | Phase::Connected => {
                self.client.park(flush, disconnect);
                self.turn(Phase::Leaving, None);
            }
            Phase::Waiting => self.turn(Phase::Idle, None),
            Phase::Idle | Phase::Leaving | Phase::Ending | Phase::Ended => {}
        }
    }

    /// Ends the client. A connection that is being ended is given the time it was promised.
    pub(super) fn shut_down(self: &Arc<Self>) {
        let mut plan = self.plan();
        let before = self.phase();
        if matches!(before, Phase::Ending | Phase::Ended) {
            return;
        }
        plan.turn += 1;
        self.turn(Phase::Ending, None);
        let link = Arc::clone(self);
        self.runtime.spawn(async move {
            if before == Phase::Leaving {
                let parked = |state: &ConnectionState| {
                    !matches!(
                        state,
                        ConnectionState::Connecting { .. } | ConnectionState::Connected { .. }
                    )
                };
                link.client.wait_for(parked).await;
            }
            // The connection ends without the client's goodbye: the will is published.
            let end = Disconnect::new(ReasonCode::DisconnectWithWillMessage);
            link.client.close_with(Duration::ZERO, end).await;
            link.turn(Phase::Ended, None);
        });
    }

    /// The exchange of an authentication, where the connection asked for has one.
    pub(super) fn exchange(&self) -> Option<Arc<Exchange>> {
        let plan = self.plan();
        plan.target.as_ref()?.exchange().map(Arc::clone)
    }

    /// Why the connection did not come about or ended, as an exception.
    pub(super) fn exception(&self, py: Python<'_>, error: &ConnectError) -> PyErr {
        let is_stream = matches!(
            error.kind,
            ConnectErrorKind::Transport(_) | ConnectErrorKind::Stream(_)
        );
        if is_stream && let Some(fault) = self.fault(py) {
            return fault;
        }
        if let ConnectErrorKind::Transport(transport) = &error.kind
            && matches!(
                transport.kind(),
                TransportErrorKind::WebSocket | TransportErrorKind::HttpStatus(_)
            )
        {
            return raise::websocket(py, error);
        }
        errors::connect(py, error)
    }

    /// What Python's TLS raised.
    fn fault(&self, py: Python<'_>) -> Option<PyErr> {
        let plan = self.plan();
        plan.target.as_ref().and_then(|target| target.fault(py))
    }

    /// Takes the error of the last attempt away, so that it is told once.
    pub(super) fn take_error(&self) {
        self.state.send_modify(|state| state.error = None);
    }

    fn turn(&self, phase: Phase, error: Option<ConnectError>) {
        self.state.send_modify(|state| {
            // Nothing comes after the end.
            if state.phase != Phase::Ending || phase == Phase::Ended {
                state.phase = phase;
            }
            state.error = error;
        });
    }

    fn connected(&self, connack: ConnAck) {
        let connack = Arc::new(connack);
        let mut plan = self.plan();
        (plan.stood, plan.stands) = (true, true);
        self.state.send_modify(|state| {
            if state.phase == Phase::Connecting {
                state.phase = Phase::Connected;
            }
            state.connack = Some(Arc::clone(&connack));
            state.disconnect = None;
        });
        self.notices.push(Notice::Connected(connack));
    }

    /// A connection that stood has ended; [`parked`](Self::parked) follows.
    fn disconnected(&self, error: ConnectError) {
        self.plan().stands = false;
        if let ConnectErrorKind::Session(DisconnectCause::ByPeer(disconnect)) = &error.kind {
            let disconnect = Arc::new((**disconnect).clone());
            self.state
                .send_modify(|state| state.disconnect = Some(disconnect));
        }
        self.notices.push(Notice::Disconnected(Some(error)));
    }

    /// The server has refused a connection.
    fn refused(&self, error: &ConnectError) {
        if let ConnectErrorKind::Session(DisconnectCause::Refused(connack)) = &error.kind {
            let connack = Arc::new((**connack).clone());
            self.state
                .send_modify(|state| state.connack = Some(connack));
        }
    }

    fn parked(self: &Arc<Self>, error: Option<ConnectError>) {
        let mut plan = self.plan();
        // Of one that was ended on request nothing else is heard.
        let notice = if std::mem::take(&mut plan.stands) {
            Notice::Disconnected(None)
        } else {
            Notice::Failed
        };
        let again = plan
            .target
            .as_ref()
            .and_then(|target| target.reconnect_delay());
        match (self.phase(), again) {
            (Phase::Connecting | Phase::Connected, Some(delay)) if plan.stood => {
                self.turn(Phase::Waiting, error);
                let (link, turn) = (Arc::clone(self), plan.turn);
                self.runtime.spawn(async move {
                    tokio::time::sleep(delay).await;
                    link.again(turn);
                });
            }
            (Phase::Connecting | Phase::Connected, _) => self.turn(Phase::Idle, error),
            (Phase::Leaving, _) => self.turn(Phase::Idle, None),
            (Phase::Idle | Phase::Waiting | Phase::Ending | Phase::Ended, _) => {}
        }
        self.notices.push(notice);
    }

    /// Makes the connection again, if that is still wanted.
    fn again(&self, turn: u64) {
        let plan = self.plan();
        if plan.turn != turn || self.phase() != Phase::Waiting {
            return;
        }
        let Some(target) = &plan.target else {
            return;
        };
        match self.client.resume(target.builder(true)) {
            Ok(()) => self.turn(Phase::Connecting, None),
            // It was taken before: only a client that is closed refuses it.
            Err(error) => {
                tracing::error!(%error, "not connecting again");
                self.turn(Phase::Idle, None);
            }
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows what happens to the client.
async fn listen(link: Arc<Link>, mut events: Events) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Connected { connack, .. } => link.connected(*connack),
            Event::ConnectFailed { error, .. } => link.refused(&error),
            Event::Disconnected { error, .. } => link.disconnected(error),
            Event::Parked { error } => link.parked(error),
            Event::Missed { .. } => {
                if let ConnectionState::Parked { error } = link.client.state() {
                    link.parked(error);
                }
            }
            _ => {}
        }
    }
}
