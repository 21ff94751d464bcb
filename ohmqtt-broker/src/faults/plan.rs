//! The switches that are on, for one client, one connection or all.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use ohmqtt_codec::{ConnAck, ConnAckProperties, PacketType, Qos};

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the broker.
    FromClient,
    /// From the broker to the client.
    ToClient,
}

/// How much passes before a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum After {
    /// So many whole packets.
    Packets(usize),
    /// So many bytes of MQTT, which may end within a packet.
    Bytes(usize),
}

/// What a client is told in CONNACK instead of what the broker says there. What is `None` stays as the broker says it.
///
/// It is only told: the broker itself takes what it takes otherwise ([`Limits`](crate::Limits) make it keep to it), so that a client which does not keep to it is found by
/// [`sent_by`](super::Faults::sent_by).
///
/// ```
/// let mut told = ohmqtt_broker::faults::Told::default();
/// told.retain_available = Some(false);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// Receive Maximum (section 3.2.2.3.3), in messages.
    pub receive_maximum: Option<NonZeroU16>,
    /// Maximum Packet Size (section 3.2.2.3.6), in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// Maximum QoS (section 3.2.2.3.4). QoS 2 is told by telling nothing.
    pub maximum_qos: Option<Qos>,
    /// Retain Available (section 3.2.2.3.5).
    pub retain_available: Option<bool>,
    /// Wildcard Subscription Available (section 3.2.2.3.11).
    pub wildcard_subscription_available: Option<bool>,
    /// Shared Subscription Available (section 3.2.2.3.13).
    pub shared_subscription_available: Option<bool>,
    /// Subscription Identifiers Available (section 3.2.2.3.12).
    pub subscription_identifier_available: Option<bool>,
    /// Topic Alias Maximum (section 3.2.2.3.8).
    pub topic_alias_maximum: Option<u16>,
    /// Server Keep Alive (section 3.2.2.3.14), in seconds.
    pub server_keep_alive: Option<u16>,
}

impl Told {
    /// Writes it over what the broker says.
    pub(super) fn write(&self, properties: &mut ConnAckProperties) {
        if let Some(value) = self.receive_maximum {
            properties.set_receive_maximum(value);
        }
        if let Some(value) = self.maximum_packet_size {
            properties.set_maximum_packet_size(value);
        }
        match self.maximum_qos {
            // It has no value of its own.
            Some(Qos::ExactlyOnce) => drop(properties.remove_maximum_qos()),
            Some(value) => properties.set_maximum_qos(value),
            None => {}
        }
        if let Some(value) = self.retain_available {
            properties.set_retain_available(value);
        }
        if let Some(value) = self.wildcard_subscription_available {
            properties.set_wildcard_subscription_available(value);
        }
        if let Some(value) = self.shared_subscription_available {
            properties.set_shared_subscription_available(value);
        }
        if let Some(value) = self.subscription_identifier_available {
            properties.set_subscription_identifier_available(value);
        }
        if let Some(value) = self.topic_alias_maximum {
            properties.set_topic_alias_maximum(value);
        }
        if let Some(value) = self.server_keep_alive {
            properties.set_server_keep_alive(value);
        }
    }
}

/// The switches of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The connection ends as soon as it is there.
    pub(super) cut: bool,
    pub(super) from_client: Way,
    pub(super) to_client: Way,
    /// Packets of these types are not sent.
    pub(super) withheld: BTreeSet<PacketType>,
    /// Packets of these types are sent so many at a time, the last first.
    pub(super) reordered: BTreeMap<PacketType, usize>,
    pub(super) told: Told,
    /// The answer to CONNECT.
    pub(super) refusal: Option<ConnAck>,
    pub(super) is_silent: bool,
}

/// The switches of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    pub(super) cut_after: Option<After>,
    pub(super) delay: Option<Duration>,
}

impl Plan {
    pub(super) fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Way {
    /// So many bytes are about to pass, a whole packet or not. `Some`: that many of them, and then the connection is cut, once.
    pub(super) fn count(&mut self, bytes: usize, is_packet: bool) -> Option<usize> {
        let (passing, left) = match self.cut_after? {
            After::Packets(0) => (Some(0), After::Packets(0)),
            After::Packets(1) if is_packet => (Some(bytes), After::Packets(0)),
            After::Packets(n) => (None, After::Packets(n - usize::from(is_packet))),
            After::Bytes(n) if n <= bytes => (Some(n), After::Bytes(0)),
            After::Bytes(n) => (None, After::Bytes(n - bytes)),
        };
        self.cut_after = Some(left).filter(|_| passing.is_none());
        passing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(after: After, pieces: &[(usize, bool)], want: &[Option<usize>]) {
        let mut way = Way {
            cut_after: Some(after),
            delay: None,
        };
        let got = pieces.iter().map(|piece| way.count(piece.0, piece.1));
        assert_eq!(got.collect::<Vec<_>>(), want, "{after:?}");
    }

    #[test]
    fn a_cut_comes_behind_what_was_to_pass_and_once() {
        let packets = [(10, true), (10, true), (10, true)];
        check(After::Packets(0), &packets, &[Some(0), None, None]);
        check(After::Packets(2), &packets, &[None, Some(10), None]);
        check(After::Bytes(10), &packets, &[Some(10), None, None]);
        check(After::Bytes(15), &packets, &[None, Some(5), None]);
        check(
            After::Packets(1),
            &[(9, false), (10, true)],
            &[None, Some(10)],
        );
    }
}
