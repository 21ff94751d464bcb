//! The server's side of a session: one connection of one client, and that client's flows while it has them.

mod auth;
mod config;
mod event;
mod packets;
mod session;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::num::NonZeroU16;
use core::time::Duration;
use ohmqtt_codec::{
    ConnAck, ConnAckProperties, Disconnect, MqttString, Packet, PacketId, PacketType, Qos,
    ReasonCode, ReasonCodes, SubAck, SubAckProperties, TopicName, Will,
};

pub use self::config::{Accept, Routed, ServerConfig, Subscription};
pub use self::event::ServerEvent;
use crate::connection::{Connection, PeerLimits};
use crate::direction::{self, Role};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::Exchange;
use crate::flows::{Flows, PublishError, Receipt, Rejected};
use crate::message::{Message, PublishOptions, Ticket};
use crate::{Instant, OutboxCounters};

/// One client's connection as its server sees it: the rules of MQTT 5.0 from CONNECT to the end, without any I/O.
///
/// When the client comes back, its flows move from the old `ServerSession` to the new one by [`take_flows`](Self::take_flows) and
/// [`accept`](Self::accept). A session whose connection has ended still takes deliveries, for that day.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    exchange: Exchange<ServerEvent>,
    phase: Phase,
    /// When a client has to be accepted.
    connect_deadline: Instant,
    /// What of the CONNECT matters later.
    client: Client,
    /// The client's flows are here: it was accepted, and they were not taken away.
    holds_flows: bool,
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
    /// The client's AUTH.
    AwaitAuth { deadline: Instant },
    /// Packets.
    Connected,
}

#[derive(Debug)]
struct Client {
    clean_start: bool,
    keep_alive: u16,
    /// As CONNECT had it, or CONNACK told in its place, or DISCONNECT at last.
    session_expiry_interval: u32,
    /// CONNECT had a Session Expiry Interval above 0.
    may_prolong: bool,
    will: Option<Box<Will>>,
    /// The Authentication Method of CONNECT.
    method: Option<MqttString>,
    /// The client has begun to authenticate again.
    reauthenticating: bool,
    problem_information: bool,
    response_information: bool,
    offered: Offered,
}

/// What a client was told it may use.
#[derive(Debug)]
struct Offered {
    maximum_qos: Qos,
    retain: bool,
    wildcards: bool,
    shared: bool,
    identifiers: bool,
}

impl Offered {
    /// What is not mentioned is offered.
    fn by(told: &ConnAckProperties) -> Self {
        Self {
            maximum_qos: told.maximum_qos().unwrap_or(Qos::ExactlyOnce),
            retain: told.retain_available().unwrap_or(true),
            wildcards: told.wildcard_subscription_available().unwrap_or(true),
            shared: told.shared_subscription_available().unwrap_or(true),
            identifiers: told.subscription_identifier_available().unwrap_or(true),
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self {
            clean_start: false,
            keep_alive: 0,
            session_expiry_interval: 0,
            may_prolong: false,
            will: None,
            method: None,
            reauthenticating: false,
            problem_information: true,
            response_information: false,
            offered: Offered::by(&ConnAckProperties::default()),
        }
    }
}

impl ServerSession {
    /// A session that waits for its stream.
    pub fn new(now: Instant, config: ServerConfig) -> Self {
        let connection = Connection::new(
            now,
            config.receive_maximum.get(),
            config.topic_alias_maximum,
        );
        let flows = Flows::new(config.outbox, false);
        Self {
            exchange: Exchange::new(connection, flows),
            phase: Phase::Offline,
            connect_deadline: now,
            client: Client::default(),
            holds_flows: false,
            config,
        }
    }

    /// A session whose client is not connected: it takes deliveries until the client comes back. While its flows are not
    /// [open](Flows::is_open) it reads them first.
    pub fn resting(now: Instant, config: ServerConfig, flows: Flows) -> Self {
        let mut session = Self::new(now, config);
        session.exchange.flows = flows;
        let refuses = session.config.refuse_unstored;
        let receiver = &mut session.exchange.flows.receiver;
        receiver.set_refusing_unstored(refuses);
        session.holds_flows = true;
        session
    }

    /// Whether what it holds is stored.
    pub fn is_durable(&self) -> bool {
        self.exchange.flows.log.is_durable()
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

    /// What became of messages for the client since its session began, or was read back.
    pub fn counters(&self) -> OutboxCounters {
        self.exchange.flows.counters()
    }

    /// Gives up the messages in memory whose time has passed before they were sent, so that what they hold is free; true when there
    /// were any. They are counted, and make no events.
    ///
    /// Nothing has to call this: what is over is never sent. Messages that lie in a store alone go when their turn comes.
    pub fn drop_expired(&mut self, now: Instant) -> bool {
        if !self.holds_flows || !self.exchange.flows.is_open() {
            return false;
        }
        let before = self.queued();
        let Flows { sender, log, .. } = &mut self.exchange.flows;
        // [MQTT-3.3.2-5] What has expired before its delivery began is deleted.
        sender.give_up_over(log, now, &mut |_| {});
        self.queued() != before
    }

    /// The client's rights have changed: whether it may have what waits for it unsent is to be asked again. Ask about
    /// [`doubted_topics`](Self::doubted_topics) next, and give the answers to [`settle_doubts`](Self::settle_doubts).
    ///
    /// Until then none of QoS 1 and 2 is sent. What lies in a store alone is asked about when its turn comes: then
    /// [`ServerEvent::Doubts`] is told. What was sent before and not acknowledged goes again whatever the rights are.
    pub fn doubt_unsent(&mut self) {
        if self.holds_flows && self.exchange.flows.is_open() {
            self.exchange.flows.sender.outbox.doubt();
        }
    }

    /// The topics of the messages in memory that are in doubt.
    pub fn doubted_topics(&self) -> BTreeSet<TopicName> {
        self.exchange.flows.sender.outbox.doubted_topics()
    }

    /// Answers which of these topics the client may have messages of: those in doubt go, or are given up. They are counted, and make no
    /// events. One whose topic is not among these stays in doubt.
    pub fn settle_doubts(&mut self, allowed: &BTreeMap<TopicName, bool>) {
        let Flows { sender, log, .. } = &mut self.exchange.flows;
        sender.settle_doubts(log, allowed, &mut |_| {});
    }

    /// Messages of QoS 1 and 2 that were sent on this connection and are not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.exchange.flows.sender.in_flight()
    }

    /// Messages handed to the broker and not acknowledged by it.
    pub fn unacknowledged(&self) -> usize {
        self.exchange.flows.receiver.unacknowledged()
    }

    /// Accepts the client that asked to connect: CONNACK with Success, then what its session still owes it.
    ///
    /// What CONNACK says is what this side upholds from here on: its limits, its Keep Alive, how long the session is kept. A client
    /// whose will is above what is offered is refused. When the connection has ended meanwhile nothing is said, but the flows are held
    /// as after any end of a connection.
    pub fn accept(&mut self, now: Instant, accept: Accept) {
        if self.phase == Phase::Connected {
            return;
        }
        // [MQTT-3.1.2-4] [MQTT-3.1.4-4] Clean Start begins a new session whatever there was. [MQTT-3.2.2-2] Session Present is 0 then,
        // [MQTT-3.2.2-3] and otherwise tells whether there was one. [MQTT-3.1.2-5] It goes on, or [MQTT-3.1.2-6] one begins.
        let session = accept.session;
        let session_present = session.is_some() && !self.client.clean_start;
        self.exchange.flows = match session {
            Some(flows) if session_present => flows,
            old => {
                let granted = accept.properties.session_expiry_interval();
                let interval = granted.unwrap_or(self.client.session_expiry_interval);
                let durable = self.config.durable && interval > 0;
                let mut flows = Flows::new(self.config.outbox, durable);
                // A receipt of the session that is gone must not mean a message of the new one.
                flows.receiver = old.map(|old| old.receiver.begun_anew()).unwrap_or_default();
                flows
            }
        };
        let receiver = &mut self.exchange.flows.receiver;
        receiver.set_refusing_unstored(self.config.refuse_unstored);
        self.holds_flows = true;
        if self.phase != Phase::AwaitAccept || !self.exchange.connection.is_open() {
            return;
        }
        let mut properties = accept.properties;
        self.announce_limits(&mut properties);
        self.announce_method(&mut properties);
        if !self.client.response_information {
            // [MQTT-3.1.2-28] A client that did not ask for Response Information is not given any.
            properties.remove_response_information();
        }
        if let Some(reason) = self.refuses_will(&properties) {
            self.refuse(reason, ConnAckProperties::default());
            return;
        }
        self.uphold(now, &properties);
        // [MQTT-3.1.4-5] [MQTT-3.2.0-1] CONNACK with Success is the first packet; [MQTT-3.2.0-2] there is one.
        let connack = ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties,
        };
        self.exchange
            .connection
            .control
            .push_back(Packet::ConnAck(connack.into()));
        self.phase = Phase::Connected;
        // A session that is still to be read back goes on when it is.
        if self.exchange.flows.is_open() {
            self.exchange.resume();
        }
    }

    // [MQTT-3.2.2-12] [MQTT-3.2.2-13] A will that could not be published as it asks is refused with its CONNECT.
    fn refuses_will(&self, offered: &ConnAckProperties) -> Option<ReasonCode> {
        let (will, offered) = (self.client.will.as_ref()?, Offered::by(offered));
        if will.qos > offered.maximum_qos {
            return Some(ReasonCode::QosNotSupported);
        }
        let refused = will.retain && !offered.retain;
        refused.then_some(ReasonCode::RetainNotSupported)
    }

    /// Takes over what CONNACK tells the client.
    fn uphold(&mut self, now: Instant, told: &ConnAckProperties) {
        let connection = &mut self.exchange.connection;
        connection.receive_maximum = told.receive_maximum().unwrap_or(NonZeroU16::MAX).get();
        connection.topic_alias_maximum = told.topic_alias_maximum().unwrap_or(0);
        // [MQTT-3.2.2-22] Without a Server Keep Alive the client's counts.
        let keep_alive = told.server_keep_alive().unwrap_or(self.client.keep_alive);
        // [MQTT-3.1.2-22] Half as much again as the Keep Alive is how long silence lasts.
        connection.keep_alive = Duration::from_millis(u64::from(keep_alive) * 1500);
        connection.last_received = now;
        if let Some(interval) = told.session_expiry_interval() {
            self.client.session_expiry_interval = interval;
        }
        // [MQTT-3.2.2-9] What is not offered is told, and then not taken.
        self.client.offered = Offered::by(told);
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
        // [MQTT-3.1.4-6] What else such a client has sent is not looked at: the connection is not open any more.
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
    /// Without a connection QoS 0 is dropped. `Ok` also when no subscription wants it (No Local). Before a client is accepted, and once
    /// its flows were taken, the message is given back with [`PublishError::Closed`]: another session serves the client.
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
        // [MQTT-3.3.2-3] The topic is the one it was published to. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-20] What
        // its publisher said of the payload goes along as it is, [MQTT-3.3.2-17] [MQTT-3.3.2-18] user properties in their order.
        let mut message = message.clone();
        if !self.holds_flows {
            return Err(Rejected::new(message, PublishError::Closed).into());
        }
        // [MQTT-3.8.4-8] [MQTT-3.3.4-2] The lower of the published QoS and the highest granted.
        message.qos = message.qos.min(granted);
        // [MQTT-3.3.1-12] [MQTT-3.3.1-13] Retain As Published decides on the flag, but for what was retained before.
        message.retain = routed == Routed::Retained
            || message.retain && wanted().any(|s| s.options.retain_as_published);
        for identifier in wanted().filter_map(|s| s.identifier) {
            // [MQTT-3.3.4-3] [MQTT-3.3.4-4] One copy with the identifiers of all.
            message.properties.add_subscription_identifier(identifier);
        }
        let dropped = !self.is_connected() && message.qos == Qos::AtMostOnce;
        if dropped && !options.keep_offline && options.ticket == Ticket::NONE {
            // Nobody asks, and nobody may be there to take the event for long.
            return Ok(());
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
    // [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] SUBACK, with its identifier.
    pub fn suback(&mut self, packet_id: PacketId, codes: ReasonCodes) {
        self.answer(Packet::SubAck(SubAck {
            packet_id,
            properties: SubAckProperties::default(),
            codes,
        }));
    }

    /// Answers an UNSUBSCRIBE.
    ///
    // [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6] UNSUBACK, with its identifier.
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

    /// Ends the connection with a DISCONNECT, where one may be sent. What only a client may say is left out.
    pub fn disconnect(&mut self, disconnect: Disconnect) {
        let disconnect = direction::lawful(Role::Server, disconnect);
        let cause = DisconnectCause::ByUs(disconnect.reason);
        self.end(disconnect, cause);
    }

    /// Ends the connection with a DISCONNECT, behind the answers that are ready to leave; what the client or the store would still have to
    /// say is not awaited. Before a client is accepted it ends at once.
    pub fn finish(&mut self, disconnect: Disconnect) {
        if self.phase != Phase::Connected {
            return self.disconnect(disconnect);
        }
        let disconnect = direction::lawful(Role::Server, disconnect);
        let cause = DisconnectCause::ByUs(disconnect.reason);
        let connection = &mut self.exchange.connection;
        connection.finish(Some(Packet::Disconnect(disconnect)), cause);
    }

    /// Takes the client's flows away: the connection ends with `reason`, and a new connection goes on with them.
    ///
    /// Messages that came on the old connection, those whose events still wait here too, are acknowledged at the session that has the
    /// flows: receipts keep their meaning, and a word given here is lost.
    pub fn take_flows(&mut self, reason: ReasonCode) -> Flows {
        // [MQTT-3.1.4-3] The old connection is told that its session was taken over.
        self.end(
            direction::lawful(Role::Server, Disconnect::new(reason)),
            DisconnectCause::ByUs(reason),
        );
        self.exchange.suspend(|_| {});
        self.exchange.flows.rewind();
        self.holds_flows = false;
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
            direction::of_violation(Role::Server, error.reason()),
            DisconnectCause::Protocol(error),
        );
    }
}
