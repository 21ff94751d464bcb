//! What the switches and the wires share: which switches are on where, and which wires there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use ohmqtt_codec::{ConnAck, ConnAckProperties, MqttString, PacketType};
use ohmqtt_driver::Cell;
use ohmqtt_session::Instant;
use ohmqtt_transport::Transport;

use super::plan::{Direction, Plan};
use super::records::Records;
use super::wire::Wire;
use crate::core::Core;

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) records: Cell<Records>,
    /// The store takes nothing.
    pub(super) full: Arc<AtomicBool>,
    /// Somebody asked for the switches: connections go over wires from now on.
    pub(super) armed: AtomicBool,
    pub(super) core: OnceLock<Weak<Core>>,
}

/// Whom switches are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Next,
    Client(String),
}

#[derive(Debug, Default)]
struct State {
    all: Plan,
    /// Taken by the next connection.
    next: Plan,
    clients: HashMap<String, Plan>,
    wires: HashMap<u64, Known>,
    last: u64,
}

/// What is known here of a wire.
#[derive(Debug, Default)]
struct Known {
    client: Option<String>,
    /// The switches that are for this connection alone.
    plan: Plan,
    is_cut: bool,
    waker: Option<Waker>,
}

/// How a wire is to behave at the moment.
#[derive(Debug)]
pub(super) struct Mode {
    pub(super) is_cut: bool,
    pub(super) is_silent: bool,
}

impl Shared {
    /// Puts a wire around a stream, if anybody has asked for that.
    pub(super) fn wrap(
        self: &Arc<Self>,
        stream: Box<dyn Transport>,
        longest: usize,
    ) -> Box<dyn Transport> {
        if !self.armed.load(Ordering::SeqCst) {
            return stream;
        }
        let id = self.with(|state| {
            let plan = std::mem::take(&mut state.next);
            state.last += 1;
            let known = Known {
                is_cut: plan.cut,
                plan,
                ..Known::default()
            };
            state.wires.insert(state.last, known);
            state.last
        });
        Box::new(Wire::new(stream, Arc::clone(self), id, longest))
    }

    /// Changes switches, and tells the wires.
    pub(super) fn edit(&self, scope: &Scope, change: impl FnOnce(&mut Plan)) {
        self.with(|state| match scope {
            Scope::All => change(&mut state.all),
            Scope::Next => change(&mut state.next),
            Scope::Client(id) => change(state.clients.entry(id.clone()).or_default()),
        });
        self.wake();
    }

    /// Cuts the connections there are.
    pub(super) fn cut(&self, scope: &Scope) {
        self.with(|state| {
            for known in state.wires.values_mut() {
                known.is_cut |= match scope {
                    Scope::All => true,
                    Scope::Next => false,
                    Scope::Client(id) => known.client.as_ref() == Some(id),
                };
            }
        });
        self.wake();
    }

    /// The client of a wire is known. What was told to be cut by its name is asked for from now on.
    pub(super) fn name(&self, wire: u64, client: &str) {
        self.with_known(wire, |known| known.client = Some(client.to_owned()));
    }

    pub(super) fn client(&self, wire: u64) -> Option<String> {
        self.with(|state| state.wires.get(&wire)?.client.clone())
    }

    pub(super) fn mode(&self, wire: u64) -> Mode {
        let is_cut = self.with(|state| state.wires.get(&wire).is_some_and(|known| known.is_cut));
        Mode {
            is_cut,
            is_silent: self
                .any(wire, |plan| plan.is_silent.then_some(()))
                .is_some(),
        }
    }

    /// The task behind a wire is woken when a switch is changed.
    pub(super) fn listen(&self, wire: u64, waker: &Waker) {
        self.with_known(wire, |known| known.waker = Some(waker.clone()));
    }

    pub(super) fn remove(&self, wire: u64) {
        self.with(|state| state.wires.remove(&wire));
    }

    pub(super) fn delay(&self, wire: u64, direction: Direction) -> Duration {
        self.any(wire, |plan| plan.way(direction).delay)
            .unwrap_or_default()
    }

    pub(super) fn refusal(&self, wire: u64) -> Option<ConnAck> {
        self.any(wire, |plan| plan.refusal.clone())
    }

    pub(super) fn is_withheld(&self, wire: u64, packet: PacketType) -> bool {
        self.any(wire, |plan| plan.withheld.contains(&packet).then_some(()))
            .is_some()
    }

    pub(super) fn reordered(&self, wire: u64, packet: PacketType) -> Option<usize> {
        self.any(wire, |plan| plan.reordered.get(&packet).copied())
    }

    /// Writes what the client of this wire is to be told over what the broker says.
    pub(super) fn tell(&self, wire: u64, properties: &mut ConnAckProperties) {
        self.plans(wire, |plans| {
            for plan in plans.iter().rev() {
                plan.told.write(properties);
            }
        });
    }

    /// So many bytes are about to pass: how many of them do, if the wire is then cut.
    pub(super) fn count(
        &self,
        wire: u64,
        direction: Direction,
        bytes: usize,
        is_packet: bool,
    ) -> Option<usize> {
        self.plans(wire, |plans| {
            // Each counts, whichever is the first to cut.
            let cuts = plans
                .iter_mut()
                .filter_map(|plan| plan.way(direction).count(bytes, is_packet));
            cuts.collect::<Vec<_>>().into_iter().min()
        })
    }

    /// What the nearest of the plans of a wire says.
    fn any<R>(&self, wire: u64, look: impl FnMut(&mut Plan) -> Option<R>) -> Option<R> {
        let mut look = look;
        self.plans(wire, |plans| plans.iter_mut().find_map(|plan| look(plan)))
    }

    /// The plans for a wire: that of this connection alone, that of its client, that of all.
    fn plans<R>(&self, wire: u64, call: impl FnOnce(&mut [&mut Plan]) -> R) -> R {
        self.with(|state| {
            let State {
                all,
                clients,
                wires,
                ..
            } = state;
            let known = wires.get_mut(&wire);
            let (own, client) = match known {
                Some(known) => (Some(&mut known.plan), known.client.as_ref()),
                None => (None, None),
            };
            let client = client.and_then(|id| clients.get_mut(id));
            let mut plans: Vec<_> = own.into_iter().chain(client).chain([all]).collect();
            call(&mut plans)
        })
    }

    fn with_known(&self, wire: u64, call: impl FnOnce(&mut Known)) {
        self.with(|state| state.wires.get_mut(&wire).map(call));
    }

    fn wake(&self) {
        let wakers: Vec<_> = self.with(|state| {
            let wires = state.wires.values_mut();
            wires.filter_map(|known| known.waker.take()).collect()
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    fn with<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        call(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl crate::core::State {
    /// Ends the session of a client; tells whether there was one.
    pub(super) fn forget_client(&mut self, now: Instant, client: &str) -> bool {
        let id = MqttString::try_from(client).ok();
        let key = id.and_then(|id| self.sessions.of_client(&id));
        if let Some(key) = key {
            self.end_session(now, key);
        }
        key.is_some()
    }
}
