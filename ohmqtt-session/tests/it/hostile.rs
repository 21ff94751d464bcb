//! Any packet, in any state, in any order: no panic, bounded queues, identifiers and quotas in order, nothing unlawful said.

use std::collections::BTreeSet;

use ohmqtt_codec::*;
use ohmqtt_session::*;
use proptest::prelude::*;
use proptest::sample::select;

use crate::peer::*;

/// What a test does next to a session. Identifiers are few, so that packets meet.
#[derive(Clone, Debug)]
enum Step {
    Receive(Packet),
    /// The right answer to one of the packets that were sent.
    Reply(usize),
    /// A stream comes, and a handshake as it should be.
    Handshake,
    Garbage,
    Submit(Qos, Option<u32>),
    Answer(usize, ReasonCode),
    Abandon(usize),
    Subscribe,
    Disconnect,
    Accept,
    Cut,
    Dial,
    Wait(u64),
    Confirm(usize),
    Fail(usize),
    Poll(usize),
}

fn packet_id() -> impl Strategy<Value = u16> {
    1..6_u16
}

fn reason() -> impl Strategy<Value = ReasonCode> {
    select(
        &[
            ReasonCode::Success,
            ReasonCode::Success,
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::QuotaExceeded,
        ][..],
    )
}

fn some_publish() -> impl Strategy<Value = Packet> {
    let qos = select(&[QOS0, QOS1, QOS2][..]);
    (qos, packet_id(), any::<bool>(), 0..4_u16, any::<bool>()).prop_map(
        |(qos, n, dup, alias, named)| {
            let packet = publish(qos, n, "hostile");
            let Packet::Publish(mut publish) = (if dup { again(packet) } else { packet }) else {
                return Packet::PingReq;
            };
            if let Some(alias) = TopicAlias::new(alias) {
                publish.properties.set_topic_alias(alias);
                if !named {
                    publish.topic = PublishTopic::Alias(alias);
                }
            }
            Packet::Publish(publish)
        },
    )
}

fn some_ack() -> impl Strategy<Value = Packet> {
    let kind = select(&[puback as fn(u16) -> Packet, pubrec, pubrel, pubcomp][..]);
    (kind, packet_id(), reason()).prop_map(|(kind, n, reason)| {
        let packet = kind(n);
        if reason.allowed_in(packet.packet_type()) {
            because(packet, reason)
        } else {
            packet
        }
    })
}

fn some_packet() -> impl Strategy<Value = Packet> {
    prop_oneof![
        6 => some_publish(),
        6 => some_ack(),
        1 => packet_id().prop_map(|n| suback(n, &[ReasonCode::Success])),
        1 => packet_id().prop_map(|n| unsuback(n, &[ReasonCode::Success])),
        1 => packet_id().prop_map(|n| subscribe(n, &["a", "b"])),
        1 => packet_id().prop_map(|n| unsubscribe(n, &["a"])),
        1 => any::<bool>().prop_map(|present| Packet::ConnAck(connack(present).into())),
        1 => any::<bool>().prop_map(|clean_start| {
            let mut connect = connect();
            connect.clean_start = clean_start;
            connect.properties.set_receive_maximum(core::num::NonZeroU16::new(3).unwrap());
            Packet::Connect(connect.into())
        }),
        2 => select(vec![
            Packet::PingReq,
            Packet::PingResp,
            auth(),
            disconnect(ReasonCode::NORMAL_DISCONNECTION),
            disconnect(ReasonCode::ServerBusy),
        ]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let qos = select(&[QOS0, QOS1, QOS2][..]);
    prop_oneof![
        14 => some_packet().prop_map(Step::Receive),
        14 => (0..6_usize).prop_map(Step::Reply),
        3 => Just(Step::Handshake),
        1 => Just(Step::Garbage),
        6 => (qos, proptest::option::of(0..100_u32)).prop_map(|(qos, expiry)| Step::Submit(qos, expiry)),
        6 => (0..8_usize, reason()).prop_map(|(n, reason)| Step::Answer(n, reason)),
        2 => (0..8_usize).prop_map(Step::Abandon),
        1 => Just(Step::Subscribe),
        1 => Just(Step::Disconnect),
        4 => Just(Step::Accept),
        1 => Just(Step::Cut),
        1 => Just(Step::Dial),
        2 => (0..100_u64).prop_map(Step::Wait),
        4 => (1..4_usize).prop_map(Step::Confirm),
        1 => (1..4_usize).prop_map(Step::Fail),
        8 => (0..4_usize).prop_map(Step::Poll),
    ]
}

const RECEIVE_MAXIMUM: u16 = 4;
const OUTBOX: usize = 8;

/// A session that is pushed about, and what the other side has seen of it on this connection.
struct Trial<S: Session> {
    script: Script<S>,
    /// Between two sessions of a server.
    flows: Option<Flows>,
    /// A server was asked and has not answered.
    asked: Option<bool>,
    sent_any: bool,
    said_disconnect: bool,
    /// QoS 1 and 2 messages that were sent and not acknowledged.
    unacknowledged: BTreeSet<u16>,
    /// What was sent and can be answered.
    unanswered: Vec<Packet>,
}

/// What the two roles do differently.
trait Tried: Side {
    fn begin(durable: bool) -> Script<Self>;
    /// A stream comes.
    fn dial(trial: &mut Trial<Self>);
    /// The broker answers, if it was asked.
    fn grant(trial: &mut Trial<Self>);
    /// A client asks to be accepted, with this Clean Start.
    fn asks(event: &Self::Event) -> Option<bool>;
    fn subscribe(&mut self);
    /// The application lets go of a message without a word, where that is offered.
    fn let_go(&mut self, receipt: Receipt);
    /// How many messages it takes beyond its Receive Maximum.
    const BORNE: usize;
    fn end(&mut self, disconnect: Disconnect);
    /// The Receive Maximum of the other side.
    fn peer_maximum(&self) -> usize;
    /// Whether this role sends such packets, and as the first.
    fn may_send(packet: &Packet, first: bool) -> bool;
    /// The handshake of a peer that does all as it should.
    fn shake_hands(trial: &mut Trial<Self>);
}

fn receive_maximum() -> core::num::NonZeroU16 {
    core::num::NonZeroU16::new(RECEIVE_MAXIMUM).unwrap()
}

impl Tried for ClientSession {
    fn begin(durable: bool) -> Script<Self> {
        Script::client(|config| {
            config.durable = durable;
            config.outbox.limits.messages = OUTBOX;
            let properties = &mut config.connect.properties;
            properties.set_receive_maximum(receive_maximum());
            properties.set_topic_alias_maximum(2);
        })
    }

    fn dial(trial: &mut Trial<Self>) {
        let now = trial.script.now;
        trial.script.session.handle_connected(now);
    }

    fn grant(_: &mut Trial<Self>) {}

    fn asks(_: &ClientEvent) -> Option<bool> {
        None
    }

    fn subscribe(&mut self) {
        let result = self.subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(9));
        assert!(matches!(result, Ok(_) | Err(SubscribeError::NotConnected)));
    }

    fn let_go(&mut self, receipt: Receipt) {
        self.abandon(receipt);
    }

    const BORNE: usize = 1;

    fn end(&mut self, disconnect: Disconnect) {
        self.disconnect(disconnect);
    }

    fn peer_maximum(&self) -> usize {
        self.server_limits().receive_maximum.get().into()
    }

    fn may_send(packet: &Packet, first: bool) -> bool {
        match packet {
            Packet::Connect(_) => first,
            Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Auth(_) => false,
            _ => !first,
        }
    }

    fn shake_hands(trial: &mut Trial<Self>) {
        let packets = trial.poll(usize::MAX);
        let [Packet::Connect(connect)] = &packets[..] else {
            panic!("{packets:?}");
        };
        let present = !connect.clean_start;
        trial.receive(Packet::ConnAck(connack(present).into()));
    }
}

impl Tried for ServerSession {
    fn begin(durable: bool) -> Script<Self> {
        let mut config = ServerConfig::default();
        config.durable = durable;
        config.outbox.limits.messages = OUTBOX;
        config.receive_maximum = receive_maximum();
        config.topic_alias_maximum = 2;
        Script::server(config)
    }

    fn dial(trial: &mut Trial<Self>) {
        let script = &mut trial.script;
        if trial.flows.is_none() {
            trial.flows = Some(script.session.take_flows(ReasonCode::SessionTakenOver));
            script.store.crash();
        }
        script.session = Self::begin(false).session;
        script.session.handle_connected(script.now);
        trial.asked = None;
    }

    fn grant(trial: &mut Trial<Self>) {
        if let Some(clean_start) = trial.asked.take() {
            if clean_start {
                trial.script.store = Store::default();
                trial.script.store.held = true;
            }
            let session = trial.flows.take();
            let accept = Accept {
                session,
                ..Accept::default()
            };
            trial.script.session.accept(trial.script.now, accept);
        }
    }

    fn asks(event: &ServerEvent) -> Option<bool> {
        match event {
            ServerEvent::Connect(connect) => Some(connect.clean_start),
            _ => None,
        }
    }

    fn subscribe(&mut self) {}

    fn let_go(&mut self, _: Receipt) {}

    const BORNE: usize = 0;

    fn end(&mut self, disconnect: Disconnect) {
        self.disconnect(disconnect);
    }

    fn peer_maximum(&self) -> usize {
        self.client_limits().receive_maximum.get().into()
    }

    fn may_send(packet: &Packet, first: bool) -> bool {
        match packet {
            Packet::ConnAck(_) => first,
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Auth(_) => false,
            _ => !first,
        }
    }

    fn shake_hands(trial: &mut Trial<Self>) {
        let mut connect = connect();
        connect.clean_start = false;
        trial.receive(Packet::Connect(connect.into()));
        trial.events();
        Self::grant(trial);
    }
}

impl<S: Tried> Trial<S> {
    fn new(durable: bool) -> Self {
        let mut script = S::begin(durable);
        script.store.held = true;
        Self {
            script,
            flows: None,
            asked: None,
            sent_any: false,
            said_disconnect: false,
            unacknowledged: BTreeSet::new(),
            unanswered: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.script.now;
        match step {
            Step::Receive(packet) => {
                if self.script.session.is_ready() {
                    self.receive(packet);
                }
            }
            Step::Reply(back) => {
                let at = self.unanswered.len().checked_sub(back + 1);
                if let Some(at) = at
                    && self.script.session.is_ready()
                    && let Some(answer) = answer(&self.unanswered.remove(at))
                {
                    self.receive(answer);
                }
            }
            Step::Handshake => {
                self.dial();
                self.script.store.held = false;
                self.script.serve();
                S::shake_hands(self);
                self.script.store.held = true;
            }
            Step::Garbage => {
                let error = malformed(&[0x00, 0x00]);
                self.script.session.handle_malformed(now, error);
            }
            Step::Submit(qos, expiry) => {
                let mut message = message(qos, "trial");
                if let Some(expiry) = expiry {
                    message.properties.set_message_expiry_interval(expiry);
                }
                // Full, or closed: then it is not taken.
                let _ = self.script.session.submit(now, message, ticket(1));
            }
            Step::Answer(back, reason) => {
                let at = self.script.receipts.len().checked_sub(back + 1);
                if let Some(receipt) = at.map(|at| self.script.receipts[at]) {
                    self.script.session.answer(receipt, reason);
                }
            }
            Step::Abandon(back) => {
                let at = self.script.receipts.len().checked_sub(back + 1);
                if let Some(receipt) = at.map(|at| self.script.receipts[at]) {
                    self.script.session.let_go(receipt);
                }
            }
            Step::Subscribe => self.script.session.subscribe(),
            Step::Disconnect => {
                let normal = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
                self.script.session.end(normal);
            }
            Step::Accept => S::grant(self),
            Step::Cut => self.script.cut(),
            Step::Dial => self.dial(),
            Step::Wait(n) => self.script.after(secs(n)),
            Step::Confirm(n) => self.script.store.confirm(&mut self.script.session, n),
            Step::Fail(n) => self.script.store.fail(&mut self.script.session, n),
            Step::Poll(n) => {
                let limit = if n == 3 { usize::MAX } else { n };
                let polled = self.poll(limit).len();
                assert!(polled < 200, "a queue without a bound");
            }
        }
        self.script.store.serve(&mut self.script.session);
        self.events();
        if self.script.session.poll_close() {
            self.poll(usize::MAX);
            self.script.cut();
        }
        let session = &self.script.session;
        let bound = usize::from(RECEIVE_MAXIMUM) + S::BORNE;
        assert!(session.unacknowledged() <= bound);
        assert!(session.queued().0 <= OUTBOX);
    }

    fn dial(&mut self) {
        self.script.cut();
        self.events();
        S::dial(self);
        self.sent_any = false;
        self.said_disconnect = false;
        self.unacknowledged.clear();
        self.unanswered.clear();
    }

    fn receive(&mut self, packet: Packet) {
        match &packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.unacknowledged.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) if ack.reason.is_error() => {
                self.unacknowledged.remove(&ack.packet_id.get());
            }
            _ => {}
        }
        self.script.receive(packet);
    }

    fn events(&mut self) {
        let events = self.script.events_in_full();
        self.asked = self.asked.or(events.iter().find_map(S::asks));
        self.script.receipts = self
            .script
            .receipts
            .split_off(self.script.receipts.len().saturating_sub(8));
    }

    /// Takes up to so many packets, and looks at each as the other side would.
    fn poll(&mut self, limit: usize) -> Vec<Packet> {
        let mut packets = Vec::new();
        while packets.len() < limit {
            let Some(packet) = self.script.session.poll_packet(self.script.now) else {
                break;
            };
            assert_eq!(over_the_wire(&packet), packet);
            assert!(!self.said_disconnect, "{packet:?} behind DISCONNECT");
            assert!(S::may_send(&packet, !self.sent_any), "{packet:?}");
            self.sent_any = true;
            self.said_disconnect = matches!(packet, Packet::Disconnect(_));
            if let Packet::Publish(publish) = &packet
                && let Some(id) = publish.delivery.packet_id()
            {
                assert!(self.unacknowledged.insert(id.get()), "{id:?} is in use");
                let maximum = self.script.session.peer_maximum();
                assert!(self.unacknowledged.len() <= maximum, "over the quota");
            }
            packets.push(packet);
        }
        self.unanswered.extend(packets.iter().cloned());
        packets
    }

    /// A peer that does all as it should brings everything to its end.
    fn finish(&mut self) {
        self.script.store.held = false;
        self.dial();
        self.script.serve();
        S::shake_hands(self);
        loop {
            self.script.serve();
            let packets = self.poll(usize::MAX);
            if packets.is_empty() && !self.script.serve() {
                break;
            }
            for answer in packets.iter().filter_map(answer) {
                self.receive(answer);
            }
        }
        assert_eq!(self.script.session.queued(), (0, 0));
        assert_eq!(self.script.session.in_flight(), 0);
        let kept = self.script.store.kept.keys();
        let left: Vec<_> = kept.filter(|key| matches!(key, Key::Outgoing(_))).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// What a peer answers that does all as it should.
fn answer(packet: &Packet) -> Option<Packet> {
    match packet {
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } => Some(puback(packet_id.get())),
            Delivery::ExactlyOnce { packet_id, .. } => Some(pubrec(packet_id.get())),
        },
        Packet::PubRel(ack) => Some(pubcomp(ack.packet_id.get())),
        Packet::PubRec(ack) if !ack.reason.is_error() => Some(pubrel(ack.packet_id.get())),
        Packet::PingReq => Some(Packet::PingResp),
        Packet::Subscribe(subscribe) => {
            Some(suback(subscribe.packet_id.get(), &[ReasonCode::Success]))
        }
        _ => None,
    }
}

fn check<S: Tried>(durable: bool, steps: Vec<Step>) {
    let mut trial = Trial::<S>::new(durable);
    for step in steps {
        trial.step(step);
    }
    trial.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_client_bears_any_packets_in_any_state(
        durable: bool,
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        check::<ClientSession>(durable, steps);
    }

    #[test]
    fn a_server_bears_any_packets_in_any_state(
        durable: bool,
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        check::<ServerSession>(durable, steps);
    }
}
