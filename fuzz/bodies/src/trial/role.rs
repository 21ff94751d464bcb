//! What the two roles do differently.

use core::num::NonZeroU16;
use std::collections::BTreeMap;
use std::fmt::Debug;

use arbitrary::Arbitrary;
use ohmqtt_codec::{
    ConnAck, ConnAckProperties, Connect, Disconnect, Filters, Packet, Qos, ReasonCode, ReasonCodes,
    RetainHandling, SubscribeProperties, SubscriptionOptions, UnsubscribeFilters,
    UnsubscribeProperties,
};
use ohmqtt_session::{
    Accept, ClientConfig, ClientEvent, ClientSession, Flows, Instant, Message, PeerLimits,
    PublishOptions, Receipt, Rejected, Routed, ServerConfig, ServerEvent, ServerSession, Session,
    Subscription, Ticket,
};

use super::said::{filter, text};
use super::{OUTBOX, RECEIVE_MAXIMUM, Trial, back_from_end};

/// What only one of the roles does; the other hears nothing of it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Word {
    Disconnect,
    Authenticate,
    // A client's.
    Subscribe,
    Unsubscribe,
    LetGo(u8),
    Reauthenticate,
    Verified,
    FailAuthentication,
    Reconfigure { clean_start: bool, other: bool },
    // A server's.
    Accept { qos: u8, method: bool },
    Refuse,
    Authenticated,
    Finish,
    DropExpired,
    Doubt,
    Settle { allowed: bool },
}

/// A message that came, with its receipt at QoS 1 and 2.
pub(crate) struct Arrived(pub(crate) Option<Receipt>);

/// A session of either role.
pub(crate) trait Role: Session<Event: Debug> + Sized {
    /// What stays between two connections.
    type Flows: Default;
    /// How many messages it takes beyond its Receive Maximum.
    const BORNE: usize;

    fn begin(now: Instant, durable: bool) -> Self;
    /// A stream comes.
    fn connect(trial: &mut Trial<Self>);
    /// The handshake of a peer that does all as it should.
    fn shake_hands(trial: &mut Trial<Self>);
    fn submit(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>>;
    fn answer(&mut self, receipt: Receipt, reason: ReasonCode);
    fn say(trial: &mut Trial<Self>, word: Word);
    /// A message came.
    fn message(event: &Self::Event) -> Option<Arrived>;
    /// What came under an earlier session may come again.
    fn has_begun_anew(event: &Self::Event) -> bool;
    /// What an application has to answer.
    fn notice(trial: &mut Trial<Self>, event: Self::Event);
    fn peer_limits(&self) -> PeerLimits;
    /// Whether this role sends such packets, and as the first.
    fn may_send(packet: &Packet, first: bool) -> bool;
    fn queued(&self) -> (usize, usize);
    fn in_flight(&self) -> usize;
    fn unacknowledged(&self) -> usize;
}

fn receive_maximum() -> NonZeroU16 {
    NonZeroU16::new(RECEIVE_MAXIMUM).expect("above 0")
}

fn client_config(durable: bool) -> ClientConfig {
    let mut config = ClientConfig::new(text("c"));
    config.durable = durable;
    config.outbox.limits.messages = OUTBOX;
    let properties = &mut config.connect.properties;
    properties.set_session_expiry_interval(u32::MAX);
    properties.set_receive_maximum(receive_maximum());
    properties.set_topic_alias_maximum(2);
    config
}

impl Role for ClientSession {
    type Flows = ();
    const BORNE: usize = 1;

    fn begin(_: Instant, durable: bool) -> Self {
        Self::new(client_config(durable))
    }

    fn connect(trial: &mut Trial<Self>) {
        trial.session.handle_connected(trial.now);
    }

    fn shake_hands(trial: &mut Trial<Self>) {
        let held = std::mem::replace(&mut trial.store.held, false);
        trial.store.serve(trial.now, &mut trial.session);
        let packets = trial.poll(usize::MAX);
        trial.store.held = held;
        let [Packet::Connect(connect)] = &packets[..] else {
            panic!("CONNECT alone is sent, not {packets:?}");
        };
        let connack = ConnAck {
            session_present: !connect.clean_start,
            reason: ReasonCode::Success,
            properties: ConnAckProperties::default(),
        };
        trial.hear(&Packet::ConnAck(Box::new(connack)));
    }

    fn submit(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>> {
        self.publish(now, message, options)
    }

    fn answer(&mut self, receipt: Receipt, reason: ReasonCode) {
        self.acknowledge(receipt, reason);
    }

    fn say(trial: &mut Trial<Self>, word: Word) {
        let session = &mut trial.session;
        match word {
            Word::Disconnect => {
                session.disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
            }
            Word::Subscribe => {
                let options = SubscriptionOptions::new(Qos::ExactlyOnce);
                let filters = Filters::new(&filter("t"), options).expect("lawful options");
                // Not connected, or no identifier left.
                let _ = session.subscribe(filters, SubscribeProperties::default(), Ticket(9));
            }
            Word::Unsubscribe => {
                let filters = UnsubscribeFilters::new(&filter("t"));
                let _ = session.unsubscribe(filters, UnsubscribeProperties::default(), Ticket(9));
            }
            Word::LetGo(back) => {
                if let Some(at) = back_from_end(trial.receipts.len(), back) {
                    session.abandon(trial.receipts[at]);
                }
            }
            Word::Authenticate => session.authenticate(None),
            Word::Reauthenticate => drop(session.reauthenticate(None)),
            Word::Verified => session.verified(trial.now),
            Word::FailAuthentication => session.fail_authentication(),
            Word::Reconfigure { clean_start, other } => {
                let mut config = client_config(false);
                config.connect.clean_start = clean_start;
                if other {
                    config.connect.client_id = text("d");
                    trial.received.clear();
                }
                session.reconfigure(config.connect, config.connect_timeout);
            }
            _ => {}
        }
    }

    fn message(event: &ClientEvent) -> Option<Arrived> {
        match event {
            ClientEvent::Message { receipt, .. } => Some(Arrived(*receipt)),
            _ => None,
        }
    }

    fn has_begun_anew(event: &ClientEvent) -> bool {
        matches!(event, ClientEvent::Connected(connack) if !connack.session_present)
    }

    fn notice(_: &mut Trial<Self>, _: ClientEvent) {}

    fn peer_limits(&self) -> PeerLimits {
        self.server_limits().clone()
    }

    fn may_send(packet: &Packet, first: bool) -> bool {
        match packet {
            Packet::Connect(_) => first,
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                false
            }
            _ => !first,
        }
    }

    fn queued(&self) -> (usize, usize) {
        self.queued()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn unacknowledged(&self) -> usize {
        self.unacknowledged()
    }
}

/// What a broker knows of a client between two connections, and what it was asked.
#[derive(Default)]
pub(crate) struct Kept {
    flows: Option<Flows>,
    /// A client asks to be accepted.
    asked: Option<Box<Connect>>,
}

impl Role for ServerSession {
    type Flows = Kept;
    const BORNE: usize = 0;

    fn begin(now: Instant, durable: bool) -> Self {
        let mut config = ServerConfig::default();
        config.durable = durable;
        config.outbox.limits.messages = OUTBOX;
        config.receive_maximum = receive_maximum();
        config.topic_alias_maximum = 2;
        Self::new(now, config)
    }

    fn connect(trial: &mut Trial<Self>) {
        let durable = trial.session.is_durable();
        if trial.flows.flows.is_none() {
            let ends = trial.session.session_expiry_interval() == 0;
            let flows = trial.session.take_flows(ReasonCode::SessionTakenOver);
            trial.store.forget_pending();
            if !ends {
                trial.flows.flows = Some(flows);
            }
        }
        trial.flows.asked = None;
        trial.receipts.clear();
        trial.session = Self::begin(trial.now, durable);
        trial.session.handle_connected(trial.now);
    }

    fn shake_hands(trial: &mut Trial<Self>) {
        let mut connect = ClientConfig::new(text("c")).connect;
        connect.clean_start = false;
        connect.properties.set_session_expiry_interval(u32::MAX);
        trial.hear(&Packet::Connect(Box::new(connect)));
        trial.events();
        accept(trial, ConnAckProperties::default());
    }

    fn submit(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>> {
        let everything = Subscription {
            options: SubscriptionOptions {
                qos: Qos::ExactlyOnce,
                no_local: false,
                retain_as_published: true,
                retain_handling: RetainHandling::SendAtSubscribe,
            },
            identifier: None,
        };
        self.deliver(now, &message, &[everything], Routed::Published, options)
    }

    fn answer(&mut self, receipt: Receipt, reason: ReasonCode) {
        self.acknowledge(receipt, reason);
    }

    fn say(trial: &mut Trial<Self>, word: Word) {
        let session = &mut trial.session;
        match word {
            Word::Disconnect => session.disconnect(Disconnect::new(ReasonCode::ServerBusy)),
            Word::Finish => session.finish(Disconnect::new(ReasonCode::ServerShuttingDown)),
            Word::Authenticate => session.authenticate(None),
            Word::Authenticated => session.authenticated(None),
            Word::Refuse => session.refuse(ReasonCode::Banned, ConnAckProperties::default()),
            Word::Accept { qos, method } => {
                let mut properties = ConnAckProperties::default();
                match qos % 4 {
                    0 => properties.set_maximum_qos(Qos::AtMostOnce),
                    1 => properties.set_maximum_qos(Qos::AtLeastOnce),
                    _ => {}
                }
                if method {
                    properties.set_authentication(&text("method"), None);
                }
                accept(trial, properties);
            }
            Word::DropExpired => drop(session.drop_expired(trial.now)),
            Word::Doubt => session.doubt_unsent(),
            Word::Settle { allowed } => settle(session, allowed),
            _ => {}
        }
    }

    fn message(event: &ServerEvent) -> Option<Arrived> {
        match event {
            ServerEvent::Message { receipt, .. } => Some(Arrived(*receipt)),
            _ => None,
        }
    }

    fn has_begun_anew(_: &ServerEvent) -> bool {
        false
    }

    fn notice(trial: &mut Trial<Self>, event: ServerEvent) {
        match event {
            ServerEvent::Connect(connect) => trial.flows.asked = Some(connect),
            ServerEvent::Subscribe(subscribe) => {
                let codes = (0..subscribe.filters.len()).map(|_| ReasonCode::Success);
                let codes = ReasonCodes::from_iter_nonempty(codes).expect("one at least");
                trial.session.suback(subscribe.packet_id, codes);
            }
            ServerEvent::Unsubscribe(unsubscribe) => {
                let codes = (0..unsubscribe.filters.len()).map(|_| ReasonCode::Success);
                let codes = ReasonCodes::from_iter_nonempty(codes).expect("one at least");
                trial.session.unsuback(unsubscribe.packet_id, codes);
            }
            ServerEvent::Doubts => settle(&mut trial.session, true),
            _ => {}
        }
    }

    fn peer_limits(&self) -> PeerLimits {
        self.client_limits().clone()
    }

    fn may_send(packet: &Packet, first: bool) -> bool {
        match packet {
            // A server that asks for more before it accepts (section 4.12).
            Packet::ConnAck(_) | Packet::Auth(_) => true,
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => false,
            _ => !first,
        }
    }

    fn queued(&self) -> (usize, usize) {
        self.queued()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn unacknowledged(&self) -> usize {
        self.unacknowledged()
    }
}

/// The broker answers, if it was asked.
fn accept(trial: &mut Trial<ServerSession>, properties: ConnAckProperties) {
    let Some(connect) = trial.flows.asked.take() else {
        return;
    };
    let session = trial.flows.flows.take();
    if connect.clean_start || session.is_none() {
        trial.store.kept.clear();
        trial.store.forget_pending();
        trial.received.clear();
    }
    let accept = Accept {
        session,
        properties,
    };
    trial.session.accept(trial.now, accept);
}

fn settle(session: &mut ServerSession, allowed: bool) {
    let topics = session.doubted_topics().into_iter();
    let answers: BTreeMap<_, _> = topics.map(|topic| (topic, allowed)).collect();
    session.settle_doubts(&answers);
}
