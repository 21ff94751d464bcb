//! The switches for one client, for all, or for the next connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{ConnAck, ConnAckProperties, InvalidString, MqttString, PacketType, ReasonCode};

use super::plan::{After, Direction, Plan, Told};
use super::state::{Scope, Shared};

/// Switches for [one client](super::Faults::client), for [all](super::Faults::all) or for [the next connection](super::Faults::next).
///
/// A switch is on until it is turned off or has done what it does once; it may be set before the client connects, and outlives its
/// connections. Where several stand for one connection, its own goes before its client's, and that before the one for all; a connection
/// is cut, silent, or made to wait for a packet if any of them says so.
#[derive(Clone)]
pub struct Switches {
    pub(super) shared: Arc<Shared>,
    pub(super) scope: Scope,
}

impl Switches {
    /// Ends the connections now, without a word to either side. The next connection: as soon as it is there.
    pub fn cut(&self) {
        match self.scope {
            Scope::Next => self.edit(|plan| plan.cut = true),
            Scope::All | Scope::Client(_) => self.shared.cut(&self.scope),
        }
    }

    /// Ends the connection behind so many packets or bytes, counted from now on or from the next connection on, once.
    ///
    /// [`FromClient`](Direction::FromClient): the broker takes all of them, and what it says to the last of them is lost.
    /// [`ToClient`](Direction::ToClient): the client gets all of them, and no more. For [all](super::Faults::all) those of all
    /// connections count together, and the one that the last belongs to is cut.
    pub fn cut_after(&self, direction: Direction, after: After) {
        self.edit(|plan| plan.way(direction).cut_after = Some(after));
    }

    /// Everything that comes from now on arrives so much later, in order. Zero: at once again.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.edit(|plan| plan.way(direction).delay = Some(delay));
    }

    /// Packets of this type do not reach the client until they are [released](Self::release): acknowledgements (PUBACK, PUBREC, PUBREL,
    /// PUBCOMP, SUBACK, UNSUBACK), PINGRESP, or any other. What is withheld when the connection ends is lost.
    ///
    /// While 1 MiB is withheld from a client, nothing else reaches it either.
    pub fn withhold(&self, packet: PacketType) {
        self.edit(|plan| {
            plan.withheld.insert(packet);
        });
    }

    /// Sends what was [withheld](Self::withhold) or waits to be [reordered](Self::reorder), in the order it had, and holds no more.
    pub fn release(&self, packet: PacketType) {
        self.edit(|plan| {
            plan.withheld.remove(&packet);
            plan.reordered.remove(&packet);
        });
    }

    /// Packets of this type reach the client `together` at a time, the last of them first, until they are [released](Self::release).
    ///
    /// A server may answer what it was sent in any order: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK (section 4.6 binds only what a client
    /// sends). The order of PUBLISH is a promise, and a client may take a broken one for an error.
    pub fn reorder(&self, packet: PacketType, together: usize) {
        self.edit(|plan| {
            plan.reordered.insert(packet, together);
        });
    }

    /// Clients are told this in the CONNACK of their next connection. It stands in place of what was said here before.
    pub fn tell(&self, told: Told) {
        self.edit(|plan| plan.told = told);
    }

    /// Each CONNECT is answered with this reason, which should be an error, and never reaches the broker.
    pub fn refuse(&self, reason: ReasonCode) {
        self.edit(|plan| plan.refusal = Some(refusal(reason)));
    }

    /// Each CONNECT is answered with Use another server (0x9C) and this Server Reference (section 4.11).
    ///
    /// # Errors
    /// When `to` is no MQTT string: longer than 65,535 bytes, or with a NUL character.
    pub fn redirect(&self, to: &str) -> Result<(), InvalidString> {
        let to = MqttString::try_from(to)?;
        let mut connack = refusal(ReasonCode::UseAnotherServer);
        connack.properties.set_server_reference(&to);
        self.edit(|plan| plan.refusal = Some(connack));
        Ok(())
    }

    /// Connections stand, and nothing passes either way: the broker hears nothing and says nothing. What is sent meanwhile arrives when it
    /// [speaks](Self::speak) again, up to 1 MiB each way; what clients send is [recorded](super::Faults::sent_by) all the same.
    ///
    /// The broker's own patience runs on: it ends a connection without CONNECT after
    /// [`connect_timeout`](crate::Limits::connect_timeout), and one whose keep alive has run out.
    pub fn silence(&self) {
        self.edit(|plan| plan.is_silent = true);
    }

    /// Ends the [silence](Self::silence).
    pub fn speak(&self) {
        self.edit(|plan| plan.is_silent = false);
    }

    /// Turns off everything that was turned on here. What was withheld arrives.
    pub fn mend(&self) {
        self.edit(|plan| *plan = Plan::default());
    }

    fn edit(&self, change: impl FnOnce(&mut Plan)) {
        self.shared.edit(&self.scope, change);
    }
}

fn refusal(reason: ReasonCode) -> ConnAck {
    ConnAck {
        session_present: false,
        reason,
        properties: ConnAckProperties::default(),
    }
}

impl fmt::Debug for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switches")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
