//! Somebody who reads the wire and both stores, and knows the specification, but nothing of how the sessions are written.
//!
//! What one connection must keep to is in [`Wire`]; what a session must keep to over all its connections is in [`Flights`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ohmqtt_codec::{PacketId, Qos};
use ohmqtt_session::{Instant, Record};

use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::side::Sides;
use crate::trace::{Failure, Result, number, rule};

/// What one side has under way: by Packet Identifier, over all connections of the session.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    pub(crate) by_id: BTreeMap<PacketId, Flight>,
    /// Identifiers of QoS 2 messages that were read back and not sent, which only the observer knows of the latter.
    pub(crate) perhaps: BTreeSet<PacketId>,
    /// Messages whose records name identifiers that are not theirs any more.
    pub(crate) unnamed: BTreeSet<u32>,
    releases: u64,
}

/// A message from its first PUBLISH to its last acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) n: u32,
    pub(crate) qos: Qos,
    pub(crate) state: State,
    /// The connection of its last PUBLISH or PUBREL.
    pub(crate) connection: u32,
}

/// What a flight waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// PUBACK or PUBREC.
    Published,
    /// PUBCOMP. The number is its place among the PUBRECs.
    Released(u64),
    /// PUBCOMP, without a PUBREC.
    GivenUp,
}

impl Flights {
    pub(crate) fn release(&mut self) -> u64 {
        self.releases += 1;
        self.releases
    }

    /// This identifier is past its PUBREC.
    pub(crate) fn is_released(&self, id: PacketId) -> bool {
        let flight = self.by_id.get(&id);
        flight.is_some_and(|flight| flight.state != State::Published)
    }

    /// The session is gone.
    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
        self.perhaps.clear();
        self.unnamed.clear();
    }

    /// The sender has given the message up. The other side may hold its identifier, so at QoS 2 that is still to be released.
    pub(crate) fn forget(&mut self, n: u32) {
        self.by_id.retain(|_, flight| {
            if flight.n == n && flight.state == State::Published {
                flight.state = State::GivenUp;
            }
            flight.n != n || flight.qos == Qos::ExactlyOnce
        });
    }

    /// A process ended, and what its store holds is all that is known. Gives the messages that are read back.
    pub(crate) fn restore(
        &mut self,
        disk: &Disk,
        numbers: &BTreeMap<u64, u32>,
        ledger: &mut Ledger,
    ) -> Result {
        self.clear();
        // A release has its identifier; of messages that name the same one, the earliest: the later ones were not sent.
        let mut owners = BTreeMap::new();
        for record in disk.records() {
            match record {
                Record::Message {
                    packet_id: Some(id),
                    seq,
                    ..
                } => drop(owners.entry(*id).or_insert(*seq)),
                Record::Released { packet_id, seq } => drop(owners.insert(*packet_id, *seq)),
                _ => {}
            }
        }
        // What the store alone has was not sent either.
        let behind = disk.backlog().map_or(u64::MAX, |backlog| backlog.first);
        for record in disk.records() {
            let unnamed = match record {
                Record::Message {
                    packet_id: Some(id),
                    seq,
                    ..
                }
                | Record::Released { packet_id: id, seq } => {
                    let owner = owners.get(id).copied().unwrap_or_default();
                    // The identifier was released for a later message, so this one is known to be done.
                    if owner > *seq {
                        continue;
                    }
                    owner < *seq || *seq >= behind
                }
                _ => false,
            };
            let n = match record {
                Record::Message { message, .. } => number(&message.payload),
                Record::Released { seq, .. } => numbers.get(seq).copied(),
                Record::Received { .. } | Record::Backlog(_) => continue,
            };
            let n = n.ok_or_else(|| Failure(format!("a record of no message: {record:?}")))?;
            ledger.restored(n)?;
            if unnamed {
                rule!(
                    !ledger.was_sent(n),
                    "#{n} was sent, and its identifier is not read back"
                );
                self.unnamed.insert(n);
                continue;
            }
            match record {
                Record::Message {
                    packet_id: Some(id),
                    message,
                    ..
                } if ledger.was_sent(n) => {
                    let flight = Flight {
                        n,
                        qos: message.qos,
                        state: State::Published,
                        connection: 0,
                    };
                    self.by_id.insert(*id, flight);
                }
                Record::Released { packet_id, .. } => {
                    let flight = Flight {
                        n,
                        qos: Qos::ExactlyOnce,
                        state: State::Released(self.release()),
                        connection: 0,
                    };
                    self.by_id.insert(*packet_id, flight);
                }
                Record::Message {
                    packet_id: Some(id),
                    message,
                    ..
                } if message.qos == Qos::ExactlyOnce => {
                    self.perhaps.insert(*id);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a side of a connection accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepts {
    pub(crate) receive_maximum: u16,
    pub(crate) packet_size: u32,
    pub(crate) alias_maximum: u16,
}

impl Default for Accepts {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            packet_size: u32::MAX,
            alias_maximum: 0,
        }
    }
}

/// What was seen of one connection.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) id: u32,
    pub(crate) connect: bool,
    pub(crate) accepted: bool,
    /// This side has sent its last packet.
    pub(crate) over: Sides<bool>,
    pub(crate) keep_alive: u16,
    /// What each side said it accepts.
    pub(crate) accepts: Sides<Accepts>,
    /// By sender: what each alias stands for.
    pub(crate) aliases: Sides<BTreeMap<u16, String>>,
    /// By sender: identifiers of messages that count against the other side's Receive Maximum.
    pub(crate) unacknowledged: Sides<BTreeSet<PacketId>>,
    /// By sender: the last message sent, at QoS 0 and above.
    pub(crate) last: Sides<[Option<u32>; 2]>,
    /// By sender: the place of the last PUBREL among the PUBRECs.
    pub(crate) last_release: Sides<u64>,
    /// By receiver: messages of QoS 1, of QoS 2, and releases that wait for their answers.
    pub(crate) to_ack: Sides<VecDeque<PacketId>>,
    pub(crate) to_rec: Sides<VecDeque<PacketId>>,
    pub(crate) to_comp: Sides<Vec<PacketId>>,
    /// Identifiers of SUBSCRIBE and UNSUBSCRIBE without their answers, as the client sees it.
    pub(crate) requests: BTreeSet<PacketId>,
    pub(crate) pings: u64,
    /// When CONNECT was sent.
    pub(crate) begun: Instant,
    /// Of the client.
    pub(crate) last_sent: Instant,
}
