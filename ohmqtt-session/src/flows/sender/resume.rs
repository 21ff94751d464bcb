//! What the sending half does when a connection begins or ends, and when the other side has lost the session.

use alloc::boxed::Box;
use alloc::vec::Vec;
use ohmqtt_codec::{Ack, Packet, Qos};

use super::{InUse, Request, Sender};
use crate::flows::{FlowEvent, Gated, SessionLoss};
use crate::message::{LostMessage, Outgoing};
use crate::record::StoreLog;

impl Sender {
    /// A connection stands and the session goes on: everything unacknowledged is to be sent again, PUBRELs first.
    ///
    // [MQTT-4.4.0-1] Unacknowledged PUBLISH and PUBREL packets are sent again with their original identifiers, and at no other time.
    pub(crate) fn resume(&mut self, gated: &mut Gated) {
        let mut published = Vec::new();
        let mut released = Vec::new();
        for (id, used) in self.ids.iter() {
            match used {
                InUse::Published(flight) => published.push((flight.message.seq, id)),
                InUse::Released(release) => released.push((release.order, id, release.lsn)),
                InUse::Reserved | InUse::Request(_) => {}
            }
        }
        // [MQTT-4.6.0-1] PUBLISHes go again in their original order, [MQTT-4.6.0-4] PUBRELs in the order of the PUBRECs.
        published.sort_unstable();
        released.sort_unstable();
        self.connected = true;
        self.first_release = self.next_release;
        self.unacknowledged = released.len();
        self.resend = published.into();
        for (_, id, lsn) in released {
            gated.push_back((lsn, Packet::PubRel(Ack::new(id))));
        }
    }

    /// The connection ended: nothing is on the wire, requests are gone, and so are QoS 0 messages that were not asked to be kept.
    pub(crate) fn suspend(
        &mut self,
        mut lost_request: impl FnMut(Request),
        events: &mut impl FnMut(FlowEvent),
    ) {
        self.connected = false;
        self.resend.clear();
        self.unacknowledged = 0;
        let mut requests = Vec::new();
        for (id, used) in self.ids.iter_mut() {
            match used {
                InUse::Published(flight) => flight.on_wire = false,
                InUse::Request(request) => requests.push((id, *request)),
                InUse::Reserved | InUse::Released(_) => {}
            }
        }
        requests.sort_unstable_by_key(|(id, _)| *id);
        for (id, request) in requests {
            self.ids.remove(id);
            lost_request(request);
        }
        self.ids.shrink();
        self.outbox.drop_offline(events);
    }

    /// Takes out what was sent at QoS 1 and is not acknowledged, in its order, when the session has ended. All identifiers are free then.
    pub(crate) fn take_in_flight(&mut self) -> impl Iterator<Item = Box<Outgoing>> + use<> {
        let sent = self.ids.drain().filter_map(|(_, used)| match used {
            InUse::Published(flight) => Some(flight.message),
            InUse::Reserved | InUse::Released(_) | InUse::Request(_) => None,
        });
        let mut sent: Vec<_> = sent
            .filter(|outgoing| outgoing.message.qos == Qos::AtLeastOnce)
            .collect();
        sent.sort_unstable_by_key(|outgoing| outgoing.seq);
        sent.into_iter()
    }

    /// Takes out what was accepted while the session was read back.
    pub(crate) fn take_staged(&mut self) -> impl Iterator<Item = Box<Outgoing>> + use<> {
        core::mem::take(&mut self.staged).into_iter()
    }

    /// The other side has no session: what was sent under it gets the treatment that was chosen; what was not sent stays.
    pub(crate) fn lose_session(
        &mut self,
        log: &mut StoreLog,
        policy: SessionLoss,
        events: &mut impl FnMut(FlowEvent),
    ) {
        let mut again = Vec::new();
        let mut failed = Vec::new();
        for (id, used) in self.ids.drain() {
            match used {
                InUse::Published(flight) if policy == SessionLoss::Resend => {
                    again.push((flight.message.seq, flight.message));
                }
                InUse::Published(flight) => failed.push((
                    flight.message.seq,
                    Some(flight.message.ticket),
                    flight.message.message.size(),
                )),
                InUse::Released(release) => {
                    let ticket = (!release.given_up).then_some(release.ticket);
                    failed.push((release.seq, ticket, release.size));
                }
                InUse::Reserved => {
                    self.ids.insert(id, InUse::Reserved);
                }
                InUse::Request(_) => {}
            }
        }
        failed.sort_unstable();
        for (seq, ticket, size) in failed {
            self.finish(log, seq, size);
            if let Some(ticket) = ticket {
                self.outbox.lose(ticket, LostMessage::SessionLost, events);
            }
        }
        if policy == SessionLoss::Clear {
            self.outbox.clear();
            for unsent in self.outbox.drain() {
                self.give_up(log, &unsent, LostMessage::SessionLost, events);
            }
        }
        again.sort_unstable_by_key(|(seq, _)| core::cmp::Reverse(*seq));
        for (_, outgoing) in again {
            // A recorded identifier stays: to the new session it is as new as any, and while another record was on its way the old one
            // could be given to another message.
            if let Some(id) = outgoing.packet_id {
                self.ids.insert(id, InUse::Reserved);
            }
            self.outbox.push_front(outgoing);
        }
        self.resend.clear();
        self.unacknowledged = 0;
    }
}
