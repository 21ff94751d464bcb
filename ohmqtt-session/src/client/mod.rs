//! The client's side of a session: CONNECT to DISCONNECT, over any number of connections.

mod config;
mod event;

use alloc::boxed::Box;
use core::num::NonZeroU16;
use core::time::Duration;
use ohmqtt_codec::{
    ConnAck, Connect, DecodeError, Disconnect, Filters, MqttString, Packet, PacketId, PacketType,
    Qos, ReasonCode, SubAck, Subscribe, SubscribeProperties, Unsubscribe, UnsubscribeFilters,
    UnsubscribeProperties,
};

pub use self::config::ClientConfig;
pub use self::event::{ClientEvent, SubscribeError};
use crate::connection::{Connection, FIRST_KEY, PeerLimits, unexpected};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::{Exchange, Incoming};
use crate::flows::{Flows, PublishError, Receipt, Rejected, Request, RequestKind};
use crate::message::{LostMessage, Message, PublishOptions, Ticket};
use crate::{Instant, Load, Lsn, Record, Session, StoreOp};

/// How many records are read at once when a session is restored.
const LOAD: usize = 1024;

/// A client's session: the rules of MQTT 5.0 from CONNECT to DISCONNECT, over any number of connections, without any I/O.
///
/// Feed it through the [`Session`] trait, which tells the loop; ask things of it by its own methods.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    exchange: Exchange<ClientEvent>,
    phase: Phase,
    /// What the server knows us by, once it has assigned an identifier.
    client_id: MqttString,
    /// The server may hold a session of ours.
    has_session: bool,
    /// A stream came, and CONNECT is not sent yet.
    connect_due: bool,
    restore: Restore,
}

/// What the connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A stream.
    Offline,
    /// The server's CONNACK.
    AwaitConnAck { deadline: Instant },
    /// Packets.
    Connected {
        /// When a PINGREQ has to be answered, if one is under way.
        pong_deadline: Option<Instant>,
    },
}

/// How far the session is read back from its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restore {
    /// From here on, and not asked yet.
    Wanted(Load),
    /// Asked.
    Awaited,
    Done,
}

impl ClientSession {
    /// A session that waits for its first stream. When it is durable it first asks for what its store holds.
    pub fn new(config: ClientConfig) -> Self {
        let start = Instant::default();
        let flows = Flows::new(config.outbox, config.durable);
        let restore = if config.durable {
            Restore::Wanted(Load {
                from: FIRST_KEY,
                max: LOAD,
            })
        } else {
            Restore::Done
        };
        Self {
            exchange: Exchange::new(Connection::new(start, NonZeroU16::MAX.get(), 0), flows),
            phase: Phase::Offline,
            client_id: config.connect.client_id.clone(),
            has_session: !config.connect.clean_start,
            connect_due: false,
            restore,
            config,
        }
    }

    /// Whether the server has accepted the connection and it has not ended.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected { .. }) && self.exchange.connection.is_open()
    }

    /// The Client Identifier: the configured one, or the one the server assigned.
    pub fn client_id(&self) -> &MqttString {
        &self.client_id
    }

    /// Whether messages are accepted only once a store has them.
    pub fn is_durable(&self) -> bool {
        self.config.durable
    }

    /// What the server said it accepts, on the connection that stands or stood last.
    pub fn server_limits(&self) -> &PeerLimits {
        &self.exchange.connection.peer
    }

    /// Messages accepted and not finished, and their size in bytes.
    pub fn queued(&self) -> (usize, usize) {
        self.exchange.flows.queued()
    }

    /// Messages of QoS 1 and 2 that were sent on this connection and are not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.exchange.flows.sender.in_flight()
    }

    /// Messages handed to the application and not acknowledged by it.
    pub fn unacknowledged(&self) -> usize {
        self.exchange.flows.receiver.unacknowledged()
    }

    /// Whether the outbox has room for a message of this size (see [`Message::size`]).
    pub fn has_room(&self, size: usize) -> bool {
        self.exchange.flows.sender.has_room(size)
    }

    /// Takes a message into the outbox.
    ///
    /// From here on it is the session's: sent when the server allows it, sent again on the next connection until acknowledged at QoS 1
    /// and 2. What the server is known to refuse is refused here.
    pub fn publish(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>> {
        if let Some(error) = self.refuses(&message) {
            return Err(Rejected::new(message, error).into());
        }
        let Exchange { flows, events, .. } = &mut self.exchange;
        flows
            .sender
            .accept(&mut flows.log, now, message, options, &mut |event| {
                events.push_back(event.into());
            })
    }

    fn refuses(&self, message: &Message) -> Option<PublishError> {
        // [MQTT-3.3.4-6] A client sends no Subscription Identifier.
        if message
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            return Some(PublishError::PropertyNotAllowed("Subscription Identifier"));
        }
        if message.properties.topic_alias().is_some() {
            return Some(PublishError::PropertyNotAllowed("Topic Alias"));
        }
        if !self.is_connected() {
            return None;
        }
        let peer = self.server_limits();
        match peer.refuses(message) {
            Some(LostMessage::QosNotSupported { maximum }) => {
                return Some(PublishError::QosNotSupported { maximum });
            }
            Some(LostMessage::RetainNotSupported) => return Some(PublishError::RetainNotSupported),
            _ => {}
        }
        // [MQTT-3.2.2-15] The exact size matters only near the limit.
        let (upper, limit) = (message.size(), peer.maximum_packet_size);
        if upper > peer.packet_size() {
            let delivery = delivery_with_any_id(message.qos);
            let size = message.to_publish(delivery).encoded_len();
            if size > peer.packet_size() {
                return Some(PublishError::TooLarge { size, limit });
            }
        }
        None
    }

    /// Sends a SUBSCRIBE (section 3.8). The answer is [`ClientEvent::Subscribed`], or [`ClientEvent::RequestLost`].
    pub fn subscribe(
        &mut self,
        filters: Filters,
        properties: SubscribeProperties,
        ticket: Ticket,
    ) -> Result<PacketId, SubscribeError> {
        self.check_filters(&filters, &properties)?;
        let request = Request {
            kind: RequestKind::Subscribe,
            ticket,
            filters: filters.len(),
        };
        self.request(request, |packet_id| {
            Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                filters,
            })
        })
    }

    /// Sends an UNSUBSCRIBE (section 3.10). The answer is [`ClientEvent::Unsubscribed`], or [`ClientEvent::RequestLost`].
    pub fn unsubscribe(
        &mut self,
        filters: UnsubscribeFilters,
        properties: UnsubscribeProperties,
        ticket: Ticket,
    ) -> Result<PacketId, SubscribeError> {
        let request = Request {
            kind: RequestKind::Unsubscribe,
            ticket,
            filters: filters.len(),
        };
        self.request(request, |packet_id| {
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters,
            })
        })
    }

    fn check_filters(
        &self,
        filters: &Filters,
        properties: &SubscribeProperties,
    ) -> Result<(), SubscribeError> {
        let peer = self.server_limits();
        for (filter, _) in filters.iter() {
            let feature = if filter.has_wildcards() && !peer.wildcard_subscription_available {
                "wildcard subscriptions"
            } else if filter.is_shared() && !peer.shared_subscription_available {
                "shared subscriptions"
            } else if properties.subscription_identifier().is_some()
                && !peer.subscription_identifiers_available
            {
                "subscription identifiers"
            } else {
                continue;
            };
            return Err(SubscribeError::NotSupported {
                feature,
                filter: filter.as_str().into(),
            });
        }
        Ok(())
    }

    fn request(
        &mut self,
        request: Request,
        packet: impl FnOnce(PacketId) -> Packet,
    ) -> Result<PacketId, SubscribeError> {
        if !self.is_connected() {
            return Err(SubscribeError::NotConnected);
        }
        let Exchange {
            connection, flows, ..
        } = &mut self.exchange;
        let packet_id = flows
            .sender
            .request(request)
            .ok_or(SubscribeError::NoPacketId)?;
        let packet = packet(packet_id);
        let size = packet.encoded_len();
        if size > connection.peer.packet_size() {
            // [MQTT-3.2.2-15] Nothing larger than the server's Maximum Packet Size is sent.
            flows.sender.end_request(packet_id, request.kind);
            return Err(SubscribeError::TooLarge {
                size,
                limit: connection.peer.maximum_packet_size,
            });
        }
        connection.control.push_back(packet);
        Ok(packet_id)
    }

    /// The application's word on a message: taken, or refused with an error code for PUBACK and PUBREC.
    ///
    /// Words may come in any order; acknowledgements leave in the order of the messages. A second word on the same message, or one on a
    /// QoS 1 message of an earlier connection, does nothing.
    pub fn acknowledge(&mut self, receipt: Receipt, answer: ReasonCode) {
        let answer = if answer.allowed_in(PacketType::PubAck) {
            answer
        } else {
            ReasonCode::UnspecifiedError
        };
        self.exchange.acknowledge(receipt, answer);
    }

    /// Says DISCONNECT once all that waits for nothing has left, and ends the connection. Messages in the outbox stay in it.
    pub fn disconnect(&mut self, disconnect: Disconnect) {
        if self.phase != Phase::Offline {
            self.exchange.connection.finish(
                Some(Packet::Disconnect(disconnect)),
                DisconnectCause::Requested,
            );
        }
    }

    fn connect(&self) -> Connect {
        // [MQTT-3.1.2-4] With Clean Start the old session is discarded on both sides; once there is one worth resuming, it is resumed.
        // [MQTT-3.1.3-2] The Client Identifier names the session, so the one the server assigned is kept.
        let (client_id, clean_start) = (self.client_id.clone(), !self.has_session);
        Connect {
            client_id,
            clean_start,
            ..self.config.connect.clone()
        }
    }

    fn violate(&mut self, error: ProtocolError) {
        let disconnect = Packet::Disconnect(Disconnect::new(error.reason()));
        self.exchange
            .connection
            .abort(Some(disconnect), DisconnectCause::Protocol(error));
    }

    fn handle_connack(&mut self, now: Instant, connack: ConnAck) -> Result<(), ProtocolError> {
        if connack.reason.is_error() {
            self.exchange
                .connection
                .abort(None, DisconnectCause::Refused(connack.into()));
            return Ok(());
        }
        if connack.session_present && !self.has_session {
            // [MQTT-3.2.2-4] The server resumes what this side does not have.
            return Err(ProtocolError::SessionPresent);
        }
        let Exchange {
            connection,
            flows,
            events,
        } = &mut self.exchange;
        connection.peer = limits(&connack);
        // [MQTT-3.2.2-21] [MQTT-3.1.2-21] The server's Keep Alive stands in place of ours.
        let keep_alive = connack
            .properties
            .server_keep_alive()
            .unwrap_or(self.config.connect.keep_alive);
        connection.keep_alive = Duration::from_secs(keep_alive.into());
        if let Some(id) = connack
            .properties
            .assigned_client_identifier()
            .and_then(|id| MqttString::try_from(id).ok())
        {
            self.client_id = id;
        }
        self.phase = Phase::Connected {
            pong_deadline: None,
        };
        connection.last_received = now;
        let lost = self.has_session && !connack.session_present;
        self.has_session = true;
        events.push_back(ClientEvent::Connected(connack.into()));
        if lost {
            // [MQTT-3.2.2-5] What this side holds of the old session means nothing to the server.
            flows.lose_session(self.config.session_loss, &mut |event| {
                events.push_back(event.into());
            });
        }
        self.exchange.resume();
        Ok(())
    }

    fn handle_connected_packet(&mut self, packet: Packet) -> Result<(), ProtocolError> {
        match packet {
            Packet::Publish(publish) => {
                if let Some(Incoming { message, receipt }) =
                    self.exchange.handle_publish(publish)?
                {
                    self.exchange
                        .events
                        .push_back(ClientEvent::Message { message, receipt });
                }
                Ok(())
            }
            Packet::PubAck(ack) => self.exchange.handle_puback(ack),
            Packet::PubRec(ack) => self.exchange.handle_pubrec(ack),
            Packet::PubRel(ack) => self.exchange.handle_pubrel(&ack),
            Packet::PubComp(ack) => self.exchange.handle_pubcomp(ack),
            Packet::SubAck(suback) => {
                self.handle_suback(suback, RequestKind::Subscribe, PacketType::SubAck)
            }
            Packet::UnsubAck(unsuback) => {
                self.handle_suback(unsuback, RequestKind::Unsubscribe, PacketType::UnsubAck)
            }
            Packet::PingResp => {
                self.phase = Phase::Connected {
                    pong_deadline: None,
                };
                Ok(())
            }
            Packet::Disconnect(disconnect) => {
                // [MQTT-3.14.2-2] Session Expiry Interval is for the client to say.
                if disconnect.properties.session_expiry_interval().is_some() {
                    let (packet, field) = (PacketType::Disconnect, "Session Expiry Interval");
                    return Err(ProtocolError::WrongDirection { packet, field });
                }
                self.exchange
                    .connection
                    .abort(None, DisconnectCause::ByPeer(disconnect.into()));
                Ok(())
            }
            other => Err(unexpected(
                other.packet_type(),
                "from a server, after CONNACK",
            )),
        }
    }

    fn handle_suback(
        &mut self,
        answer: SubAck,
        kind: RequestKind,
        packet: PacketType,
    ) -> Result<(), ProtocolError> {
        let Exchange { flows, events, .. } = &mut self.exchange;
        let Some(request) = flows.sender.end_request(answer.packet_id, kind) else {
            return Err(unexpected(
                packet,
                "without a request of this packet identifier",
            ));
        };
        let (got, want) = (answer.codes.len(), request.filters);
        if got != want {
            return Err(ProtocolError::CodesMismatch { packet, got, want });
        }
        events.push_back(match kind {
            RequestKind::Subscribe => ClientEvent::Subscribed {
                ticket: request.ticket,
                suback: answer,
            },
            RequestKind::Unsubscribe => ClientEvent::Unsubscribed {
                ticket: request.ticket,
                unsuback: answer,
            },
        });
        Ok(())
    }

    fn ping_patience(&self) -> Duration {
        self.config
            .ping_timeout
            .min(self.exchange.connection.keep_alive)
    }

    /// When the next PINGREQ is due: one Keep Alive after the last packet sent, or after the last one heard.
    fn ping_due(&self) -> Option<Instant> {
        let connection = &self.exchange.connection;
        (!connection.keep_alive.is_zero())
            .then(|| connection.last_sent.min(connection.last_received) + connection.keep_alive)
    }
}

impl Session for ClientSession {
    type Event = ClientEvent;

    fn handle_connected(&mut self, now: Instant) {
        let properties = &self.config.connect.properties;
        let receive_maximum = properties
            .receive_maximum()
            .unwrap_or(NonZeroU16::MAX)
            .get();
        let aliases = properties.topic_alias_maximum().unwrap_or(0);
        self.exchange.connection = Connection::new(now, receive_maximum, aliases);
        self.connect_due = true;
        self.phase = Phase::AwaitConnAck {
            deadline: now + self.config.connect_timeout,
        };
    }

    fn handle_disconnected(&mut self, _now: Instant) {
        if self.phase == Phase::Offline {
            return;
        }
        self.phase = Phase::Offline;
        self.connect_due = false;
        let cause = self.exchange.connection.take_cause();
        let mut lost = alloc::vec::Vec::new();
        self.exchange.suspend(|request| lost.push(request.ticket));
        let events = &mut self.exchange.events;
        events.extend(
            lost.into_iter()
                .map(|ticket| ClientEvent::RequestLost { ticket }),
        );
        events.push_back(ClientEvent::Disconnected(cause));
    }

    fn handle_packet(&mut self, now: Instant, packet: Packet) {
        if !self.exchange.connection.is_open() {
            return;
        }
        self.exchange.connection.last_received = now;
        let result = match (self.phase, packet) {
            (Phase::Offline, _) => Ok(()),
            (Phase::AwaitConnAck { .. }, Packet::ConnAck(connack)) => {
                self.handle_connack(now, *connack)
            }
            (Phase::AwaitConnAck { .. }, other) => {
                Err(unexpected(other.packet_type(), "before CONNACK"))
            }
            (Phase::Connected { .. }, packet) => self.handle_connected_packet(packet),
        };
        if let Err(error) = result {
            self.violate(error);
        }
    }

    fn handle_malformed(&mut self, _now: Instant, error: DecodeError) {
        if self.phase != Phase::Offline {
            self.violate(ProtocolError::Malformed(error));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::AwaitConnAck { deadline } if deadline <= now => {
                self.exchange
                    .connection
                    .abort(None, DisconnectCause::ConnectTimeout);
            }
            Phase::Connected {
                pong_deadline: Some(deadline),
            } if deadline <= now => {
                let patience = self.ping_patience();
                let heard = self.exchange.connection.last_received;
                if heard + patience > now {
                    // The server is alive: its PINGRESP stands behind what it is sending.
                    self.phase = Phase::Connected {
                        pong_deadline: Some(heard + patience),
                    };
                    return;
                }
                let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::KeepAliveTimeout));
                self.exchange
                    .connection
                    .abort(Some(disconnect), DisconnectCause::KeepAliveTimeout);
            }
            Phase::Connected {
                pong_deadline: None,
            } if self.ping_due().is_some_and(|due| due <= now) => {
                // [MQTT-3.1.2-20] Nothing was sent for the Keep Alive: PINGREQ. Nothing heard is asked after in the same way.
                self.exchange.connection.control.push_back(Packet::PingReq);
                self.phase = Phase::Connected {
                    pong_deadline: Some(now + self.ping_patience()),
                };
            }
            _ => {}
        }
    }

    fn handle_stored(&mut self, upto: Lsn) {
        self.exchange.handle_stored(upto);
    }

    fn handle_store_failed(&mut self, upto: Lsn) {
        self.exchange.handle_store_failed(upto);
    }

    fn poll_load(&mut self) -> Option<Load> {
        let Restore::Wanted(load) = self.restore else {
            return None;
        };
        self.restore = Restore::Awaited;
        Some(load)
    }

    fn handle_loaded(&mut self, records: alloc::vec::Vec<Record>) {
        let more = records.len() >= LOAD;
        let last = records.last().map(Record::key);
        self.has_session |= !records.is_empty();
        for record in records {
            self.exchange.flows.restore(record);
        }
        self.restore = match last {
            Some(last) if more => Restore::Wanted(Load {
                from: last.next(),
                max: LOAD,
            }),
            _ => Restore::Done,
        };
    }

    fn poll_packet(&mut self, now: Instant) -> Option<Packet> {
        // Until the session is read back, not even CONNECT may go: it says whether there is something to resume.
        if self.restore != Restore::Done {
            return None;
        }
        if self.connect_due {
            // [MQTT-3.1.0-1] CONNECT is the first packet on a connection.
            self.connect_due = false;
            let connect = self.connect();
            self.exchange
                .connection
                .control
                .push_front(Packet::Connect(connect.into()));
        }
        let flowing = matches!(self.phase, Phase::Connected { .. });
        self.exchange.poll_packet(now, flowing)
    }

    fn poll_store(&mut self) -> Option<(Lsn, StoreOp)> {
        self.exchange.poll_store()
    }

    fn poll_event(&mut self) -> Option<ClientEvent> {
        self.exchange.events.pop_front()
    }

    fn poll_close(&mut self) -> bool {
        self.phase != Phase::Offline && self.exchange.connection.is_finished()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.exchange.connection.is_open() {
            return None;
        }
        match self.phase {
            Phase::Offline => None,
            Phase::AwaitConnAck { deadline } => Some(deadline),
            Phase::Connected { pong_deadline } => pong_deadline.or_else(|| self.ping_due()),
        }
    }

    fn is_ready(&self) -> bool {
        true
    }
}

fn limits(connack: &ConnAck) -> PeerLimits {
    let said = &connack.properties;
    let default = PeerLimits::default();
    PeerLimits {
        // [MQTT-4.9.0-1] The send quota begins at the server's Receive Maximum.
        receive_maximum: said.receive_maximum().unwrap_or(default.receive_maximum),
        maximum_packet_size: said
            .maximum_packet_size()
            .map_or(default.maximum_packet_size, core::num::NonZeroU32::get),
        maximum_qos: said.maximum_qos().unwrap_or(default.maximum_qos),
        retain_available: said.retain_available().unwrap_or(default.retain_available),
        topic_alias_maximum: said
            .topic_alias_maximum()
            .unwrap_or(default.topic_alias_maximum),
        wildcard_subscription_available: said
            .wildcard_subscription_available()
            .unwrap_or(default.wildcard_subscription_available),
        subscription_identifiers_available: said
            .subscription_identifier_available()
            .unwrap_or(default.subscription_identifiers_available),
        shared_subscription_available: said
            .shared_subscription_available()
            .unwrap_or(default.shared_subscription_available),
    }
}

/// A delivery of this QoS for measuring: all identifiers have the same size.
fn delivery_with_any_id(qos: Qos) -> ohmqtt_codec::Delivery {
    use ohmqtt_codec::Delivery;
    match (qos, PacketId::new(1)) {
        (Qos::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce {
            packet_id,
            dup: false,
        },
        (Qos::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce {
            packet_id,
            dup: false,
        },
        _ => Delivery::AtMostOnce,
    }
}
