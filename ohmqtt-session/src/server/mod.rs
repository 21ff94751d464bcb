//! The server's side of a session: one connection of one client, and that client's flows while it has them.

mod config;
mod event;

use alloc::boxed::Box;
use core::num::NonZeroU16;
use core::time::Duration;
use ohmqtt_codec::{
    ConnAck, ConnAckProperties, Connect, DecodeError, Disconnect, Packet, PacketId, PacketType,
    Publish, ReasonCode, ReasonCodes, SubAck, SubAckProperties, Will,
};

pub use self::config::{Accept, Routed, ServerConfig, Subscription};
pub use self::event::ServerEvent;
use crate::connection::{Connection, PeerLimits, unexpected};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::{Exchange, Incoming};
use crate::flows::{Flows, Receipt, Rejected};
use crate::message::{Message, PublishOptions};
use crate::{Instant, Load, Lsn, Record, Session, StoreOp};

/// One client's connection as its server sees it: the rules of MQTT 5.0 from CONNECT to the end, without any I/O.
///
/// When the client comes back, its flows move from the old `ServerSession` to the new one by [`take_flows`](Self::take_flows) and
/// [`accept`](Self::accept). A session whose connection has ended still takes deliveries, for that day.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    exchange: Exchange<ServerEvent>,
    phase: Phase,
    /// What of the CONNECT matters later.
    client: Client,
}

/// What the connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A stream.
    Offline,
    /// The client's CONNECT.
    AwaitConnect { deadline: Instant },
    /// The broker's word on it.
    AwaitAccept,
    /// Packets.
    Connected,
}

#[derive(Debug, Default)]
struct Client {
    clean_start: bool,
    keep_alive: u16,
    session_expiry_interval: u32,
    will: Option<Box<Will>>,
}

impl ServerSession {
    /// A session that waits for its stream.
    pub fn new(now: Instant, config: ServerConfig) -> Self {
        let connection = Connection::new(
            now,
            config.receive_maximum.get(),
            config.topic_alias_maximum,
        );
        let flows = Flows::new(config.outbox, config.durable);
        Self {
            exchange: Exchange::new(connection, flows),
            phase: Phase::Offline,
            client: Client::default(),
            config,
        }
    }

    /// Whether a client was accepted and its connection has not ended.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected && self.exchange.connection.is_open()
    }

    /// What the client said it accepts.
    pub fn client_limits(&self) -> &PeerLimits {
        &self.exchange.connection.peer
    }

    /// How long the client wants its session kept behind this connection, in seconds, as its CONNECT and its DISCONNECT said.
    pub fn session_expiry_interval(&self) -> u32 {
        self.client.session_expiry_interval
    }

    /// Messages accepted for the client and not finished, and their size in bytes.
    pub fn queued(&self) -> (usize, usize) {
        self.exchange.flows.queued()
    }

    /// Accepts the client that asked to connect: CONNACK with Success, then what its session still owes it.
    ///
    /// Does nothing when no client is waiting for an answer.
    pub fn accept(&mut self, now: Instant, accept: Accept) {
        if self.phase != Phase::AwaitAccept || !self.exchange.connection.is_open() {
            return;
        }
        // [MQTT-3.1.2-4] [MQTT-3.1.4-4] Clean Start begins a new session whatever there was. [MQTT-3.2.2-2] Session Present is 0 then,
        // [MQTT-3.2.2-3] and otherwise tells whether there was one. [MQTT-3.1.2-5] It goes on, or [MQTT-3.1.2-6] one begins.
        let session = accept.session.filter(|_| !self.client.clean_start);
        let session_present = session.is_some();
        self.exchange.flows =
            session.unwrap_or_else(|| Flows::new(self.config.outbox, self.config.durable));
        let mut properties = accept.properties;
        self.announce_limits(&mut properties);
        // [MQTT-3.2.2-22] Without a Server Keep Alive the client's counts.
        let keep_alive = self
            .config
            .server_keep_alive
            .unwrap_or(self.client.keep_alive);
        let connection = &mut self.exchange.connection;
        // [MQTT-3.1.2-22] Half as much again as the Keep Alive is how long silence lasts.
        connection.keep_alive = Duration::from_millis(u64::from(keep_alive) * 1500);
        connection.last_received = now;
        // [MQTT-3.1.4-5] [MQTT-3.2.0-1] CONNACK with Success is the first packet; [MQTT-3.2.0-2] there is one.
        let connack = ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties,
        };
        connection
            .control
            .push_back(Packet::ConnAck(connack.into()));
        self.phase = Phase::Connected;
        self.exchange.resume();
    }

    fn announce_limits(&self, properties: &mut ConnAckProperties) {
        if self.config.receive_maximum != NonZeroU16::MAX {
            properties.set_receive_maximum(self.config.receive_maximum);
        }
        if let Some(size) = self.config.maximum_packet_size {
            properties.set_maximum_packet_size(size);
        }
        if self.config.topic_alias_maximum > 0 {
            properties.set_topic_alias_maximum(self.config.topic_alias_maximum);
        }
        if let Some(keep_alive) = self.config.server_keep_alive {
            properties.set_server_keep_alive(keep_alive);
        }
    }

    /// Refuses the client that asked to connect: CONNACK with an error code, then the end.
    pub fn refuse(&mut self, reason: ReasonCode, properties: ConnAckProperties) {
        if self.phase != Phase::AwaitAccept {
            return;
        }
        // [MQTT-3.2.2-6] Session Present is 0, [MQTT-3.2.2-7] and the stream is closed behind it.
        // [MQTT-3.2.2-8] Only the codes listed for CONNACK are used.
        let valid = reason.is_error() && reason.allowed_in(PacketType::ConnAck);
        let reason = if valid {
            reason
        } else {
            ReasonCode::UnspecifiedError
        };
        let connack = ConnAck {
            session_present: false,
            reason,
            properties,
        };
        self.exchange.connection.abort(
            Some(Packet::ConnAck(connack.into())),
            DisconnectCause::ByUs(reason),
        );
    }

    /// Delivers a routed message to this client, as its matching subscriptions ask; at once, or when it comes back.
    ///
    /// The message becomes what they say: the lower of its QoS and the highest granted, the retain flag as asked, all their identifiers.
    /// Without a connection QoS 0 is dropped. `Ok` also when no subscription wants it (No Local).
    pub fn deliver(
        &mut self,
        now: Instant,
        message: &Message,
        subscriptions: &[Subscription],
        routed: Routed,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>> {
        // [MQTT-3.8.3-3] No Local: not back to the client that published it.
        let wanted = || {
            subscriptions
                .iter()
                .filter(|s| !(routed == Routed::Own && s.options.no_local))
        };
        let Some(granted) = wanted().map(|s| s.options.qos).max() else {
            return Ok(());
        };
        let mut message = message.clone();
        // [MQTT-3.8.4-8] [MQTT-3.3.4-2] The lower of the published QoS and the highest granted.
        message.qos = message.qos.min(granted);
        // [MQTT-3.3.1-12] [MQTT-3.3.1-13] Retain As Published decides on the flag, but for what was retained before.
        message.retain = routed == Routed::Retained
            || message.retain && wanted().any(|s| s.options.retain_as_published);
        for identifier in wanted().filter_map(|s| s.identifier) {
            // [MQTT-3.3.4-3] [MQTT-3.3.4-4] One copy with the identifiers of all.
            message.properties.add_subscription_identifier(identifier);
        }
        let Exchange { flows, events, .. } = &mut self.exchange;
        flows
            .sender
            .accept(&mut flows.log, now, message, options, &mut |event| {
                events.push_back(event.into());
            })
    }

    /// The broker's word on a message: it has taken and routed it, or refuses it with an error code for PUBACK and PUBREC.
    pub fn acknowledge(&mut self, receipt: Receipt, answer: ReasonCode) {
        let answer = if answer.allowed_in(PacketType::PubAck) {
            answer
        } else {
            ReasonCode::UnspecifiedError
        };
        self.exchange.acknowledge(receipt, answer);
    }

    /// Answers a SUBSCRIBE.
    ///
    // [MQTT-3.8.4-1] [MQTT-3.8.4-2] SUBACK, with its identifier.
    pub fn suback(&mut self, packet_id: PacketId, codes: ReasonCodes) {
        self.answer(Packet::SubAck(SubAck {
            packet_id,
            properties: SubAckProperties::default(),
            codes,
        }));
    }

    /// Answers an UNSUBSCRIBE.
    ///
    // [MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBACK, with its identifier.
    pub fn unsuback(&mut self, packet_id: PacketId, codes: ReasonCodes) {
        self.answer(Packet::UnsubAck(SubAck {
            packet_id,
            properties: SubAckProperties::default(),
            codes,
        }));
    }

    fn answer(&mut self, packet: Packet) {
        if self.is_connected() {
            self.exchange.connection.control.push_back(packet);
        }
    }

    /// Ends the connection with a DISCONNECT, where one may be sent.
    pub fn disconnect(&mut self, disconnect: Disconnect) {
        let cause = DisconnectCause::ByUs(disconnect.reason);
        self.end(disconnect, cause);
    }

    /// Takes the client's flows away: the connection ends with `reason`, and a new connection goes on with them.
    pub fn take_flows(&mut self, reason: ReasonCode) -> Flows {
        // [MQTT-3.1.4-3] The old connection is told that its session was taken over.
        self.end(Disconnect::new(reason), DisconnectCause::ByUs(reason));
        self.exchange.suspend(|_| {});
        core::mem::replace(
            &mut self.exchange.flows,
            Flows::new(self.config.outbox, false),
        )
    }

    /// Ends the connection at once, with a DISCONNECT only behind a successful CONNACK.
    fn end(&mut self, disconnect: Disconnect, cause: DisconnectCause) {
        // [MQTT-3.14.0-1] No DISCONNECT before a successful CONNACK.
        let disconnect = (self.phase == Phase::Connected).then_some(Packet::Disconnect(disconnect));
        if self.phase != Phase::Offline {
            self.exchange.connection.abort(disconnect, cause);
        }
    }

    fn violate(&mut self, error: ProtocolError) {
        self.end(
            Disconnect::new(error.reason()),
            DisconnectCause::Protocol(error),
        );
    }

    fn handle_connect(&mut self, connect: Box<Connect>) {
        let said = &connect.properties;
        self.client = Client {
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
            session_expiry_interval: said.session_expiry_interval().unwrap_or(0),
            // [MQTT-3.1.2-7] The will is stored with the session.
            will: connect.will.clone().map(Box::new),
        };
        let default = PeerLimits::default();
        self.exchange.connection.peer = PeerLimits {
            // [MQTT-4.9.0-1] The send quota begins at the client's Receive Maximum.
            receive_maximum: said.receive_maximum().unwrap_or(default.receive_maximum),
            maximum_packet_size: said
                .maximum_packet_size()
                .map_or(default.maximum_packet_size, core::num::NonZeroU32::get),
            topic_alias_maximum: said.topic_alias_maximum().unwrap_or(0),
            ..default
        };
        self.phase = Phase::AwaitAccept;
        self.exchange
            .events
            .push_back(ServerEvent::Connect(connect));
    }

    fn handle_connected_packet(&mut self, packet: Packet) -> Result<(), ProtocolError> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => self.exchange.handle_puback(ack),
            Packet::PubRec(ack) => self.exchange.handle_pubrec(ack),
            Packet::PubRel(ack) => self.exchange.handle_pubrel(&ack),
            Packet::PubComp(ack) => self.exchange.handle_pubcomp(ack),
            Packet::Subscribe(subscribe) => {
                self.exchange
                    .events
                    .push_back(ServerEvent::Subscribe(subscribe));
                Ok(())
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.exchange
                    .events
                    .push_back(ServerEvent::Unsubscribe(unsubscribe));
                Ok(())
            }
            // [MQTT-3.12.4-1] PINGREQ is answered by PINGRESP.
            Packet::PingReq => {
                self.exchange.connection.control.push_back(Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.handle_disconnect(disconnect),
            // [MQTT-3.1.0-2] A second CONNECT is a protocol error, like all that only a server sends.
            other => Err(unexpected(
                other.packet_type(),
                "from a client, after CONNECT",
            )),
        }
    }

    fn handle_publish(&mut self, publish: Publish) -> Result<(), ProtocolError> {
        // [MQTT-3.3.4-6] A client sends no Subscription Identifier.
        if publish
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            return Err(ProtocolError::WrongDirection {
                packet: PacketType::Publish,
                field: "Subscription Identifier",
            });
        }
        if let Some(Incoming { message, receipt }) = self.exchange.handle_publish(publish)? {
            self.exchange
                .events
                .push_back(ServerEvent::Message { message, receipt });
        }
        Ok(())
    }

    fn handle_disconnect(&mut self, disconnect: Disconnect) -> Result<(), ProtocolError> {
        let packet = PacketType::Disconnect;
        if disconnect.properties.server_reference().is_some() {
            return Err(ProtocolError::WrongDirection {
                packet,
                field: "Server Reference",
            });
        }
        if let Some(interval) = disconnect.properties.session_expiry_interval() {
            // 3.14.2.2.2: a session that was to end with the connection cannot be prolonged at its end.
            if self.client.session_expiry_interval == 0 && interval != 0 {
                return Err(unexpected(
                    packet,
                    "with a Session Expiry Interval after CONNECT had none",
                ));
            }
            self.client.session_expiry_interval = interval;
        }
        // [MQTT-3.14.4-3] [MQTT-3.1.2-10] A normal disconnection takes the will with it.
        if disconnect.reason == ReasonCode::NORMAL_DISCONNECTION {
            self.client.will = None;
        }
        self.exchange
            .connection
            .abort(None, DisconnectCause::ByPeer(disconnect.into()));
        Ok(())
    }

    fn silence_ends(&self) -> Option<Instant> {
        let connection = &self.exchange.connection;
        (!connection.keep_alive.is_zero()).then(|| connection.last_received + connection.keep_alive)
    }
}

impl Session for ServerSession {
    type Event = ServerEvent;

    fn handle_connected(&mut self, now: Instant) {
        self.exchange.connection = Connection::new(
            now,
            self.config.receive_maximum.get(),
            self.config.topic_alias_maximum,
        );
        self.phase = Phase::AwaitConnect {
            deadline: now + self.config.connect_timeout,
        };
    }

    fn handle_disconnected(&mut self, _now: Instant) {
        if self.phase == Phase::Offline {
            return;
        }
        self.phase = Phase::Offline;
        self.exchange.suspend(|_| {});
        let cause = self.exchange.connection.take_cause();
        let will = self.client.will.take();
        let session_expiry_interval = self.client.session_expiry_interval;
        self.exchange.events.push_back(ServerEvent::Disconnected {
            cause,
            will,
            session_expiry_interval,
        });
    }

    fn handle_packet(&mut self, now: Instant, packet: Packet) {
        if !self.exchange.connection.is_open() {
            return;
        }
        self.exchange.connection.last_received = now;
        let result = match (self.phase, packet) {
            (Phase::Offline, _) => Ok(()),
            (Phase::AwaitConnect { .. }, Packet::Connect(connect)) => {
                self.handle_connect(connect);
                Ok(())
            }
            (Phase::AwaitConnect { .. }, other) => {
                Err(unexpected(other.packet_type(), "before CONNECT"))
            }
            (Phase::AwaitAccept, other) => Err(unexpected(
                other.packet_type(),
                "while CONNECT awaits its answer",
            )),
            (Phase::Connected, packet) => self.handle_connected_packet(packet),
        };
        if let Err(error) = result {
            self.violate(error);
        }
    }

    fn handle_malformed(&mut self, _now: Instant, error: DecodeError) {
        let reason = error.reason();
        // [MQTT-3.1.2-1] [MQTT-3.1.2-2] A client of another version is told so; other malformed CONNECTs end in silence.
        if matches!(self.phase, Phase::AwaitConnect { .. })
            && reason == ReasonCode::UnsupportedProtocolVersion
        {
            let connack = ConnAck {
                session_present: false,
                reason,
                properties: ConnAckProperties::default(),
            };
            let cause = DisconnectCause::Protocol(ProtocolError::Malformed(error));
            self.exchange
                .connection
                .abort(Some(Packet::ConnAck(connack.into())), cause);
            return;
        }
        self.violate(ProtocolError::Malformed(error));
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::AwaitConnect { deadline } if deadline <= now => {
                self.exchange
                    .connection
                    .abort(None, DisconnectCause::ConnectTimeout);
            }
            // [MQTT-3.1.2-22] Silence for 1.5 times the Keep Alive ends the connection as if the network had failed.
            Phase::Connected if self.silence_ends().is_some_and(|end| end <= now) => {
                self.end(
                    Disconnect::new(ReasonCode::KeepAliveTimeout),
                    DisconnectCause::KeepAliveTimeout,
                );
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

    fn handle_loaded(&mut self, records: alloc::vec::Vec<Record>) {
        for record in records {
            self.exchange.flows.restore(record);
        }
    }

    fn poll_packet(&mut self, now: Instant) -> Option<Packet> {
        let flowing = self.phase == Phase::Connected;
        self.exchange.poll_packet(now, flowing)
    }

    fn poll_store(&mut self) -> Option<(Lsn, StoreOp)> {
        self.exchange.poll_store()
    }

    /// A server restores a client's flows when it comes back; it asks for nothing by itself.
    fn poll_load(&mut self) -> Option<Load> {
        None
    }

    fn poll_event(&mut self) -> Option<ServerEvent> {
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
            Phase::Offline | Phase::AwaitAccept => None,
            Phase::AwaitConnect { deadline } => Some(deadline),
            Phase::Connected => self.silence_ends(),
        }
    }

    fn is_ready(&self) -> bool {
        self.phase != Phase::AwaitAccept
    }
}
