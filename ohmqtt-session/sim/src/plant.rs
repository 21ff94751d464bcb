//! Bugs planted on purpose, each an adaptor between one session and the rest of the run: the session itself knows nothing of them.
//! A simulator that does not find them would not find the like of them.

use fastrand::Rng;
use ohmqtt_codec::Packet;
use ohmqtt_session::StoreOp;

use crate::side::Side;

/// The bugs that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What goes again has DUP 0.
    DupNotSet,
}

/// A planted bug, or none.
#[derive(Debug, Default)]
pub(crate) struct Plant {
    bug: Option<(Bug, Side)>,
}

impl Plant {
    pub(crate) fn new(bug: Option<Bug>, rng: &mut Rng) -> Self {
        let side = if rng.bool() {
            Side::Client
        } else {
            Side::Server
        };
        Self {
            bug: bug.map(|bug| (bug, side)),
        }
    }

    pub(crate) fn connected(&mut self, _side: Side) {}

    pub(crate) fn crashed(&mut self, _side: Side) {}

    pub(crate) fn outgoing(&mut self, _side: Side, packet: Packet) -> Vec<Packet> {
        vec![packet]
    }

    pub(crate) fn incoming(&mut self, _side: Side, packet: Packet) -> Vec<Packet> {
        vec![packet]
    }

    pub(crate) fn operation(&mut self, _side: Side, op: StoreOp) -> Vec<StoreOp> {
        vec![op]
    }

    pub(crate) fn confirms_early(&mut self, _side: Side) -> bool {
        false
    }
}
