//! The client's side of a session: CONNECT to DISCONNECT, over any number of connections.

mod auth;
mod config;
mod event;
mod facts;
mod packets;
mod session;

use alloc::boxed::Box;
use core::num::NonZeroU16;
use core::time::Duration;
use ohmqtt_codec::{
    Connect, Disconnect, Filters, MqttString, Packet, PacketId, PacketType, Qos, ReasonCode,
    Subscribe, SubscribeProperties, Unsubscribe, UnsubscribeFilters, UnsubscribeProperties,
};

pub use self::config::ClientConfig;
pub use self::event::{ClientEvent, SubscribeError};
use crate::aliases::AliasPolicy;
use crate::connection::{Connection, PeerLimits};
use crate::direction::{self, Role};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::Exchange;
use crate::flows::{Flows, PublishError, Receipt, Rejected, Request, RequestKind};
use crate::message::{LostMessage, Message, PublishOptions, Ticket};
use crate::{Instant, OutboxCounters, SessionLoss};

/// A client's session: the rules of MQTT 5.0 from CONNECT to DISCONNECT, over any number of connections, without any I/O.
///
/// Feed it through the [`Session`](crate::Session) trait, which tells the loop; ask things of it by its own methods.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    exchange: Exchange<ClientEvent>,
    phase: Phase,
    /// What the server knows us by, once it has assigned an identifier.
    client_id: MqttString,
    /// The server may hold a session of ours.
    has_session: bool,
    /// And is to: a connection stood or there are records of it, and it does not end with its connection.
    keeps_session: bool,
    /// What CONNACK said of it, on the connection that stands.
    session_present: Option<bool>,
    /// Nothing was taken from the server when this was looked at last: it had exceeded our Receive Maximum.
    was_deaf: bool,
    /// Since when an answer to this side may stand unread in the stream for that reason.
    unread_since: Option<Instant>,
    /// When it was listened to again. Who is not listened to is not silent.
    listening_since: Instant,
    /// A stream came, and CONNECT is not sent yet.
    connect_due: bool,
    /// The authentication method that CONNECT named on this connection.
    method: Option<MqttString>,
    authenticating: auth::Exchanging,
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
        /// The PINGREQ that has no answer yet, if there is one.
        ping: Option<Ping>,
    },
}

/// A PINGREQ under way; while it has no answer, those behind it are not told apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ping {
    since: Instant,
    /// When there has to be an answer.
    deadline: Instant,
}

impl ClientSession {
    /// A session that waits for its first stream. When it is durable it first asks for what its store holds.
    pub fn new(config: ClientConfig) -> Self {
        let start = Instant::default();
        let flows = if config.durable {
            Flows::open(config.outbox)
        } else {
            Flows::new(config.outbox, false)
        };
        Self {
            exchange: Exchange::new(Connection::new(start, NonZeroU16::MAX.get(), 0), flows),
            phase: Phase::Offline,
            client_id: config.connect.client_id.clone(),
            has_session: !config.connect.clean_start,
            keeps_session: false,
            session_present: None,
            was_deaf: false,
            unread_since: None,
            listening_since: start,
            connect_due: false,
            method: None,
            authenticating: auth::Exchanging::No,
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

    /// What became of messages since the session began, or was read back.
    pub fn counters(&self) -> OutboxCounters {
        self.exchange.flows.counters()
    }

    /// Nobody asks any more what becomes of the message with this ticket: what is kept only to tell is let go.
    ///
    /// The message itself goes on. Events about it may still come, later ones with [`Ticket::RESTORED`].
    pub fn forget(&mut self, ticket: Ticket) {
        self.exchange.flows.sender.outbox.forget(ticket);
    }

    /// Messages of QoS 1 and 2 that were sent on this connection and are not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.exchange.flows.sender.in_flight()
    }

    /// Messages handed to the application and not acknowledged by it.
    pub fn unacknowledged(&self) -> usize {
        self.exchange.flows.receiver.unacknowledged()
    }

    /// Whether the outbox takes this message: there is room, or [`Overflow`](crate::Overflow) makes some.
    ///
    /// What [`publish`](Self::publish) gives back for other reasons it does not see. The other way round `publish` may find room where
    /// this sees none, because it gives up what has missed its deadline.
    pub fn has_room(&self, message: &Message) -> bool {
        let flows = &self.exchange.flows;
        flows.sender.has_room(&flows.log, message)
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
        if options.alias == AliasPolicy::Always
            && let Some(error) = self.pin_alias(&message)
        {
            return Err(Rejected::new(message, error).into());
        }
        let Exchange { flows, events, .. } = &mut self.exchange;
        flows
            .sender
            .accept(&mut flows.log, now, message, options, &mut |event| {
                events.push_back(event.into());
            })
    }

    /// Keeps an alias for a message that is not to be sent without, or says why there is none.
    fn pin_alias(&mut self, message: &Message) -> Option<PublishError> {
        if message.qos != Qos::AtMostOnce {
            return Some(PublishError::AliasNotKept);
        }
        if !self.is_connected() {
            return Some(PublishError::NoTopicAlias { maximum: 0 });
        }
        let aliases = &mut self.exchange.connection.outbound_aliases;
        let maximum = aliases.maximum();
        (!aliases.pin(&message.topic)).then_some(PublishError::NoTopicAlias { maximum })
    }

    fn refuses(&self, message: &Message) -> Option<PublishError> {
        let properties = &message.properties;
        if !properties.is_empty() {
            // [MQTT-3.3.4-6] A client sends no Subscription Identifier.
            if properties.subscription_identifiers().next().is_some() {
                return Some(PublishError::PropertyNotAllowed("Subscription Identifier"));
            }
            if properties.topic_alias().is_some() {
                return Some(PublishError::PropertyNotAllowed("Topic Alias"));
            }
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
        if !self.is_connected() {
            return Err(SubscribeError::NotConnected);
        }
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
        connection.requests.push_back(packet);
        Ok(packet_id)
    }

    /// The application's word on a message: taken, or refused with an error code for PUBACK and PUBREC.
    ///
    /// Words may come in any order; acknowledgements leave in the order of the messages. A second word on the same message, one on a
    /// QoS 1 message of an earlier connection, or one on a message that was [abandoned](Self::abandon), does nothing.
    pub fn acknowledge(&mut self, receipt: Receipt, answer: ReasonCode) {
        let answer = if answer.allowed_in(PacketType::PubAck) {
            answer
        } else {
            ReasonCode::UnspecifiedError
        };
        self.exchange.acknowledge(receipt, answer);
    }

    /// The application has let go of a message without a word: nothing is acknowledged, and the server is to send it again.
    ///
    /// On this connection it stays unacknowledged, and acknowledgements of messages behind it wait (section 4.6): it counts against our
    /// Receive Maximum as long as the connection stands. When the session is resumed on the next one, it comes as a new
    /// [`Message`](ClientEvent::Message), at QoS 2 too. A server that gives it up, or loses the session, does not send it again.
    pub fn abandon(&mut self, receipt: Receipt) {
        self.exchange.flows.receiver.abandon(receipt);
    }

    /// Says DISCONNECT once all that waits for nothing has left, and ends the connection. Messages in the outbox stay in it.
    ///
    /// What only a server may say is left out, and so is a Session Expiry Interval where CONNECT had none (section 3.14.2.2.2). Before
    /// CONNECT has left, the stream is ended without a word.
    pub fn disconnect(&mut self, disconnect: Disconnect) {
        let cause = DisconnectCause::Requested;
        if self.phase == Phase::Offline {
            return;
        }
        if self.connect_due {
            self.abort(None, cause);
            return;
        }
        let mut disconnect = direction::lawful(Role::Client, disconnect);
        let connect = &self.config.connect.properties;
        if connect.session_expiry_interval().unwrap_or(0) == 0 {
            disconnect.properties.remove_session_expiry_interval();
        }
        self.exchange
            .connection
            .finish(Some(Packet::Disconnect(disconnect)), cause);
    }

    /// What CONNECT says from the next stream on, and how long the server may take to answer it, in place of what the configuration says:
    /// for a caller that learns only now where to, as whom, or with which will. A connection that stands goes on as it was begun.
    ///
    /// With another Client Identifier than the session had so far, or with Clean Start where there may be one, that session is given up here:
    /// what was accepted under it fares as when a server has lost it. Without an identifier so far there was none to lose.
    pub fn reconfigure(&mut self, connect: Connect, connect_timeout: Duration) {
        let had_one = !self.client_id.is_empty();
        let is_other = had_one && self.client_id != connect.client_id;
        let kept = had_one && self.keeps_session;
        // [MQTT-3.1.2-4] With Clean Start both sides begin anew.
        if is_other || self.has_session && connect.clean_start {
            self.lose_session(kept);
            self.has_session = false;
        }
        self.keeps_session = kept && self.has_session;
        self.has_session |= !connect.clean_start;
        self.client_id = connect.client_id.clone();
        self.config.connect = connect;
        self.config.connect_timeout = connect_timeout;
    }

    /// The session that the server may have had is no more. `kept`: it was to outlive its connection.
    fn lose_session(&mut self, kept: bool) {
        let Exchange { flows, events, .. } = &mut self.exchange;
        let (messages, bytes) = flows.queued();
        let sent = flows.sender.under_way();
        let is_missed = kept || sent > 0;
        if is_missed {
            events.push_back(ClientEvent::SessionLost {
                messages,
                bytes,
                sent,
            });
        }
        // Where nothing is missed there is nothing to clear: what was never sent waits for its first session.
        let policy = if is_missed {
            self.config.session_loss
        } else {
            SessionLoss::Fail
        };
        flows.lose_session(policy, &mut |event| events.push_back(event.into()));
    }

    fn connect(&mut self) -> Connect {
        self.begin_exchange();
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
        let disconnect = direction::of_violation(Role::Client, error.reason());
        self.abort(
            Some(Packet::Disconnect(disconnect)),
            DisconnectCause::Protocol(error),
        );
    }

    /// Ends the connection at once, with this packet last, unless CONNECT itself has not left.
    fn abort(&mut self, last: Option<Packet>, cause: DisconnectCause) {
        // [MQTT-3.1.0-1] Nothing but CONNECT is the first packet.
        let last = last.filter(|_| !self.connect_due);
        self.connect_due = false;
        self.exchange.connection.abort(last, cause);
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
