//! The part of a session that does not know its role: one connection, the flows it serves, and the events for the caller.

use alloc::collections::VecDeque;
use ohmqtt_codec::{Ack, Disconnect, Packet, PacketType, Publish, Qos, ReasonCode};

use crate::connection::Connection;
use crate::error::{DisconnectCause, ProtocolError};
use crate::fit::{Wishes, fit};
use crate::flows::{Arrival, FlowEvent, Flows, Outlets, Quota, Receipt, Wire};
use crate::out::Out;
use crate::{Instant, Loaded, Lsn, Message};

#[derive(Debug)]
pub(crate) struct Exchange<E> {
    pub(crate) connection: Connection,
    pub(crate) flows: Flows,
    pub(crate) events: VecDeque<E>,
    /// Whether the other side wants to be told why (section 3.1.2.11.7).
    pub(crate) problem_information: bool,
}

/// How many events may wait to be polled before the next packet is taken.
const EVENTS: usize = 1024;

impl<E: From<FlowEvent>> Exchange<E> {
    pub(crate) fn new(connection: Connection, flows: Flows) -> Self {
        Self {
            connection,
            flows,
            events: VecDeque::new(),
            problem_information: true,
        }
    }

    /// Takes a PUBLISH apart and tells it as this event, with a receipt where the message wants acknowledging; not when the application has
    /// it already.
    ///
    // [MQTT-3.3.4-1] [MQTT-4.5.0-2] Every PUBLISH is answered as its QoS demands, once the application has taken it.
    pub(crate) fn handle_publish(
        &mut self,
        publish: Publish,
        event: impl FnOnce(Message, Option<Receipt>) -> E,
    ) -> Result<(), ProtocolError> {
        let Publish {
            topic,
            delivery,
            retain,
            mut properties,
            payload,
        } = publish;
        let topic = self.connection.resolve(topic, &mut properties)?;
        let qos = delivery.qos();
        let receipt = match delivery.packet_id() {
            None => None,
            Some(packet_id) => {
                let Self {
                    flows, connection, ..
                } = &mut *self;
                let quota = Quota {
                    maximum: connection.receive_maximum,
                    excess: connection.excess,
                };
                let mut out = Outlets {
                    pubacks: &mut connection.pubacks,
                    gated: &mut connection.gated,
                };
                let arrival = flows.receiver.handle_publish(
                    packet_id,
                    qos,
                    quota,
                    &mut flows.log,
                    &mut out,
                )?;
                match arrival {
                    Arrival::Duplicate => return Ok(()),
                    Arrival::New(receipt) => Some(receipt),
                }
            }
        };
        let message = Message {
            topic,
            qos,
            retain,
            properties,
            payload,
        };
        self.events.push_back(event(message, receipt));
        Ok(())
    }

    pub(crate) fn handle_puback(&mut self, ack: Ack) -> Result<(), ProtocolError> {
        let Self { flows, events, .. } = self;
        flows
            .sender
            .handle_puback(&mut flows.log, ack, &mut |event| {
                events.push_back(event.into());
            })
    }

    pub(crate) fn handle_pubrec(&mut self, ack: Ack) -> Result<(), ProtocolError> {
        let Self {
            flows,
            events,
            connection,
            ..
        } = self;
        let gated = &mut connection.gated;
        flows
            .sender
            .handle_pubrec(&mut flows.log, ack, gated, &mut |event| {
                events.push_back(event.into());
            })
    }

    pub(crate) fn handle_pubrel(&mut self, ack: &Ack) {
        let Self {
            flows, connection, ..
        } = self;
        let mut out = Outlets {
            pubacks: &mut connection.pubacks,
            gated: &mut connection.gated,
        };
        flows
            .receiver
            .handle_pubrel(&mut flows.log, ack.packet_id, &mut out);
    }

    pub(crate) fn handle_pubcomp(&mut self, ack: Ack) -> Result<(), ProtocolError> {
        let Self { flows, events, .. } = self;
        flows
            .sender
            .handle_pubcomp(&mut flows.log, ack, &mut |event| {
                events.push_back(event.into());
            })
    }

    pub(crate) fn acknowledge(&mut self, receipt: Receipt, answer: ReasonCode) {
        let Self {
            flows, connection, ..
        } = self;
        let mut out = Outlets {
            pubacks: &mut connection.pubacks,
            gated: &mut connection.gated,
        };
        flows
            .receiver
            .acknowledge(&mut flows.log, receipt, answer, &mut out);
    }

    /// The other side has exceeded our Receive Maximum, which is borne, and the application can mend it by acknowledging.
    pub(crate) fn is_beyond(&self) -> bool {
        let maximum = self.connection.receive_maximum;
        self.connection.is_open() && self.flows.receiver.is_beyond(maximum)
    }

    pub(crate) fn handle_stored(&mut self, upto: Lsn) {
        let Self { flows, events, .. } = self;
        flows.handle_stored(upto, &mut |event| events.push_back(event.into()));
    }

    pub(crate) fn handle_store_failed(&mut self, upto: Lsn) {
        let Self {
            flows,
            events,
            connection,
            ..
        } = self;
        flows.handle_store_failed(upto, &mut connection.gated, &mut |event| {
            events.push_back(event.into());
        });
    }

    pub(crate) fn handle_loaded(&mut self, now: Instant, loaded: Loaded) {
        let Self { flows, events, .. } = self;
        flows.handle_any_loaded(now, loaded, &mut |event| events.push_back(event.into()));
    }

    /// What has a deadline of its own, whether there is a connection or not.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Self { flows, events, .. } = self;
        flows
            .sender
            .handle_timeout(now, &mut flows.log, &mut |event| {
                events.push_back(event.into());
            });
    }

    /// The next packet that may leave now goes out. `flowing`: the handshake is done, and messages may go.
    pub(crate) fn poll<O: Out>(
        &mut self,
        now: Instant,
        flowing: bool,
        out: &mut O,
    ) -> Option<PacketType> {
        if self.connection.has_queued()
            && let Some(packet) = self.poll_queued(now, flowing, out)
        {
            return Some(packet);
        }
        if !flowing || !self.connection.is_open() {
            return None;
        }
        let Self {
            flows,
            events,
            connection,
            ..
        } = self;
        let mut events = |event: FlowEvent| events.push_back(event.into());
        let mut wire = Wire {
            peer: &connection.peer,
            gated: &mut connection.gated,
            aliases: &mut connection.outbound_aliases,
            out,
        };
        let sent = flows
            .sender
            .poll(now, &mut flows.log, &mut wire, &mut events);
        let Some(qos) = sent else {
            connection.quota_full_since = flows
                .sender
                .waits_for_quota(&connection.peer)
                .then(|| connection.quota_full_since.unwrap_or(now));
            // A message that was given up may have left a PUBREL to send.
            return self.poll_queued(now, flowing, out);
        };
        connection.last_sent = now;
        if qos != Qos::AtMostOnce {
            connection.quota_full_since = None;
        }
        Some(PacketType::Publish)
    }

    /// The next packet goes out that waits for nothing but the store.
    fn poll_queued<O: Out>(
        &mut self,
        now: Instant,
        flowing: bool,
        out: &mut O,
    ) -> Option<PacketType> {
        let Self {
            flows, connection, ..
        } = self;
        while let Some(mut packet) = connection.poll(|lsn| flows.log.is_stored(lsn)) {
            let wishes = Wishes {
                size: connection.peer.packet_size(),
                problem_information: self.problem_information,
            };
            if fit(&mut packet, wishes) {
                connection.last_sent = now;
                let packet_type = packet.packet_type();
                out.packet(packet);
                return Some(packet_type);
            }
            // [MQTT-3.1.2-24] [MQTT-3.2.2-15] Such a packet is not sent: what has to be answered cannot be.
            let reason = ReasonCode::PacketTooLarge;
            let cause = DisconnectCause::ByUs(reason);
            // [MQTT-3.14.0-1] Without a CONNACK there is no DISCONNECT: an AUTH before it that is too large ends the connection in silence.
            if !flowing || matches!(packet, Packet::ConnAck(_)) {
                connection.abort_in_silence(cause);
            } else {
                let last = Packet::Disconnect(Disconnect::new(reason));
                connection.abort(Some(last), cause);
            }
        }
        None
    }

    pub(crate) fn poll_events(&mut self, events: &mut VecDeque<E>) {
        if events.is_empty() {
            core::mem::swap(events, &mut self.events);
        } else {
            events.append(&mut self.events);
        }
    }

    /// The connection is coming to its end.
    pub(crate) fn is_ending(&self) -> bool {
        !self.connection.is_open()
    }

    /// More answers wait to be sent than the other side can cause without fault, or more events than a caller leaves lying.
    pub(crate) fn is_behind(&self) -> bool {
        let in_flight = self.flows.sender.in_flight();
        self.events.len() >= EVENTS || self.connection.is_behind(in_flight)
    }

    /// The session goes on over a new connection.
    pub(crate) fn resume(&mut self) {
        self.flows.sender.resume(&mut self.connection.gated);
    }

    /// The connection ended. QoS 0 messages that were not asked to be kept go with it.
    pub(crate) fn suspend(&mut self, lost_request: impl FnMut(crate::flows::Request)) {
        let Self { flows, events, .. } = self;
        flows.receiver.suspend(&mut flows.log);
        flows
            .sender
            .suspend(lost_request, &mut |event| events.push_back(event.into()));
    }
}
