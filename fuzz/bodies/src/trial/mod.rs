//! A session of either role that is pushed about: any packets and bytes, in any state, beside a store that answers when it likes.
//!
//! Beside it stands a model of what its peer, its store and its application may rely on; [`Trial::finish`] then lets a faultless peer
//! bring everything to its end.

mod role;
mod said;
mod step;
mod store;

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::{Arbitrary as _, Unstructured};
use bytes::BytesMut;
use ohmqtt_codec::{
    Ack, Delivery, EncodeBuf, Limits, Packet, PacketId, Qos, ReasonCode, ReasonCodes, SubAck,
    SubAckProperties, decode,
};
use ohmqtt_session::{ClientSession, Instant, Key, PublishOptions, Receipt, ServerSession, Ticket};

use self::role::{Arrived, Role, Word};
use self::step::Step;
use self::store::Store;
use crate::packets::over_the_wire;

/// Steps of one trial at most: more show nothing that fewer do not.
const STEPS: usize = 256;
/// Messages that wait to be sent at most.
const OUTBOX: usize = 8;
/// What the session says it accepts unacknowledged.
const RECEIVE_MAXIMUM: u16 = 4;
/// Receipts and packets that may still be answered.
const KEPT: usize = 8;
/// What one call may give at most: the queues of a session are bounded.
const BOUND: usize = 4_000;

/// Drives a client's session.
pub(crate) fn client(data: &[u8]) {
    run::<ClientSession>(data);
}

/// Drives a server's session.
pub(crate) fn server(data: &[u8]) {
    run::<ServerSession>(data);
}

fn run<R: Role>(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let mut input = Unstructured::new(data);
    let mut trial = Trial::<R>::new(first % 2 == 1);
    let told = std::env::var_os("OHMQTT_FUZZ_TRACE").is_some();
    for _ in 0..STEPS {
        let Ok(step) = Step::arbitrary(&mut input) else {
            break;
        };
        if input.is_empty() {
            break;
        }
        if told {
            eprintln!("{step:?}");
        }
        trial.step(&step);
    }
    trial.finish();
}

/// A session, its store, and what its peer and its application have seen.
pub(crate) struct Trial<R: Role> {
    now: Instant,
    session: R,
    store: Store,
    /// What of the session stays where a connection ends and another comes, for the role that carries it over.
    flows: R::Flows,
    /// The last messages of QoS 1 and 2 that came.
    receipts: Vec<Receipt>,
    /// The last packets that were sent.
    unanswered: Vec<Packet>,
    /// QoS 1 and 2 messages that were sent on this connection and are not acknowledged.
    unacknowledged: BTreeSet<PacketId>,
    /// QoS 2 messages that came, and whose PUBREC was sent: they come no second time before their PUBREL.
    received: BTreeSet<PacketId>,
    sent_any: bool,
    said_disconnect: bool,
}

impl<R: Role> Trial<R> {
    fn new(durable: bool) -> Self {
        let now = Instant::from_unix_micros(1_800_000_000_000_000);
        Self {
            now,
            session: R::begin(now, durable),
            store: Store::default(),
            flows: R::Flows::default(),
            receipts: Vec::new(),
            unanswered: Vec::new(),
            unacknowledged: BTreeSet::new(),
            received: BTreeSet::new(),
            sent_any: false,
            said_disconnect: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Said(said) => self.hear(&said.packet()),
            Step::Bytes(bytes) => self.read(bytes),
            Step::Reply(back) => {
                let at = back_from_end(self.unanswered.len(), *back);
                if let Some(answer) = at.and_then(|at| answer(&self.unanswered.remove(at))) {
                    self.hear(&answer);
                }
            }
            Step::Handshake => {
                self.dial();
                R::shake_hands(self);
            }
            Step::Dial => self.dial(),
            Step::Cut => self.cut(),
            Step::Publish(message) => {
                let options = PublishOptions {
                    ticket: Ticket(1),
                    ..PublishOptions::default()
                };
                // Full, or too large: then it is not taken.
                let _ = self.session.submit(self.now, message.message(), options);
            }
            Step::Answer { back, reason } => {
                if let Some(at) = back_from_end(self.receipts.len(), *back) {
                    self.session.answer(self.receipts[at], reason.code());
                }
            }
            Step::Word(word) => R::say(self, *word),
            Step::Wait(seconds) => {
                self.now = self.now + Duration::from_secs(u64::from(*seconds));
                self.session.handle_timeout(self.now);
            }
            Step::Confirm(n) => self.store.confirm(&mut self.session, usize::from(*n)),
            Step::Fail(n) => self.store.fail(&mut self.session, usize::from(*n)),
            Step::Poll(n) => drop(self.poll(usize::from(*n))),
        }
        self.settle();
    }

    /// What every caller does behind any call.
    fn settle(&mut self) {
        self.store.serve(self.now, &mut self.session);
        self.events();
        if self.session.poll_close() {
            self.poll(usize::MAX);
            self.cut();
        }
        let bound = usize::from(RECEIVE_MAXIMUM) + R::BORNE;
        assert!(self.session.unacknowledged() <= bound);
        assert!(self.session.queued().0 <= OUTBOX);
        let deadline = self.session.poll_timeout();
        assert!(deadline.is_none_or(|deadline| deadline > Instant::default()));
    }

    fn cut(&mut self) {
        self.session.handle_disconnected(self.now);
        self.events();
    }

    fn dial(&mut self) {
        self.cut();
        R::connect(self);
        self.unanswered.clear();
        self.unacknowledged.clear();
        self.sent_any = false;
        self.said_disconnect = false;
    }

    /// Bytes come: packets, or no packets.
    fn read(&mut self, bytes: &[u8]) {
        let mut bytes = BytesMut::from(bytes);
        while self.session.is_ready() && !self.session.poll_close() {
            match decode(&mut bytes, &Limits::new(4096)) {
                Ok(Some(packet)) => self.hear(&packet),
                Ok(None) => break,
                Err(error) => return self.session.handle_malformed(self.now, error),
            }
            self.settle();
        }
    }

    fn hear(&mut self, packet: &Packet) {
        if !self.session.is_ready() || self.session.poll_close() {
            return;
        }
        let mut again = false;
        match packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.unacknowledged.remove(&ack.packet_id);
            }
            Packet::PubRec(ack) if ack.reason.is_error() => {
                self.unacknowledged.remove(&ack.packet_id);
            }
            Packet::PubRel(ack) => {
                self.received.remove(&ack.packet_id);
            }
            Packet::Publish(publish) => {
                let id = publish.delivery.packet_id();
                again = publish.delivery.qos() == Qos::ExactlyOnce
                    && id.is_some_and(|id| self.received.contains(&id));
            }
            _ => {}
        }
        self.events();
        self.session.handle_packet(self.now, over_the_wire(packet));
        let messages = self.events();
        assert!(!again || messages == 0, "delivered twice: {packet:?}");
    }

    /// Takes the events, and counts the messages among them.
    fn events(&mut self) -> usize {
        let mut messages = 0;
        for n in 0.. {
            let Some(event) = self.session.poll_event() else {
                break;
            };
            assert!(n < BOUND, "events without a bound");
            if R::has_begun_anew(&event) {
                self.received.clear();
            }
            if let Some(Arrived(receipt)) = R::message(&event) {
                messages += 1;
                self.receipts.extend(receipt);
            }
            R::notice(self, event);
        }
        self.receipts
            .drain(..self.receipts.len().saturating_sub(KEPT));
        messages
    }

    /// Takes up to so many packets, and looks at each as the other side would.
    fn poll(&mut self, limit: usize) -> Vec<Packet> {
        let mut packets = Vec::new();
        while packets.len() < limit {
            let Some(packet) = self.session.poll_packet(self.now) else {
                break;
            };
            self.look_at(&packet);
            assert!(packets.len() < BOUND, "packets without a bound");
            packets.push(packet);
        }
        self.unanswered.extend(packets.iter().cloned());
        self.unanswered
            .drain(..self.unanswered.len().saturating_sub(KEPT));
        packets
    }

    fn look_at(&mut self, packet: &Packet) {
        assert_eq!(over_the_wire(packet), *packet);
        assert!(!self.said_disconnect, "{packet:?} behind DISCONNECT");
        assert!(R::may_send(packet, !self.sent_any), "{packet:?}");
        self.sent_any = true;
        let limits = self.session.peer_limits();
        let mut out = EncodeBuf::new();
        packet.encode(&mut out).expect("small enough");
        let is_greeting = matches!(packet, Packet::Connect(_) | Packet::ConnAck(_));
        assert!(is_greeting || out.into_bytes().len() <= limits.maximum_packet_size as usize);
        match packet {
            Packet::Disconnect(_) => self.said_disconnect = true,
            Packet::PubRec(ack) if !ack.reason.is_error() => {
                self.received.insert(ack.packet_id);
            }
            Packet::Publish(publish) => {
                assert!(publish.delivery.qos() <= limits.maximum_qos);
                if let Some(alias) = publish.properties.topic_alias() {
                    assert!(alias.get() <= limits.topic_alias_maximum);
                }
                if let Some(id) = publish.delivery.packet_id() {
                    assert!(self.unacknowledged.insert(id), "{id:?} is in use");
                    let maximum = usize::from(limits.receive_maximum.get());
                    assert!(self.unacknowledged.len() <= maximum, "over the quota");
                }
            }
            _ => {}
        }
    }

    /// A peer that does all as it should brings everything to its end.
    fn finish(&mut self) {
        self.store.held = false;
        self.dial();
        R::shake_hands(self);
        loop {
            R::say(self, Word::Settle { allowed: true });
            self.store.serve(self.now, &mut self.session);
            self.events();
            let packets = self.poll(usize::MAX);
            if packets.is_empty() && !self.store.serve(self.now, &mut self.session) {
                break;
            }
            for answer in packets.iter().filter_map(answer) {
                self.hear(&answer);
            }
        }
        assert_eq!(self.session.queued(), (0, 0));
        assert_eq!(self.session.in_flight(), 0);
        let kept = self.store.kept.keys();
        let left: Vec<_> = kept.filter(|key| matches!(key, Key::Outgoing(_))).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn back_from_end(len: usize, back: u8) -> Option<usize> {
    len.checked_sub(usize::from(back) + 1)
}

/// What a peer answers that does all as it should.
fn answer(packet: &Packet) -> Option<Packet> {
    match packet {
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } => Some(Packet::PubAck(Ack::new(packet_id))),
            Delivery::ExactlyOnce { packet_id, .. } => Some(Packet::PubRec(Ack::new(packet_id))),
        },
        Packet::PubRel(ack) => Some(Packet::PubComp(Ack::new(ack.packet_id))),
        Packet::PubRec(ack) if !ack.reason.is_error() => {
            Some(Packet::PubRel(Ack::new(ack.packet_id)))
        }
        Packet::PingReq => Some(Packet::PingResp),
        Packet::Subscribe(subscribe) => Some(Packet::SubAck(granted(subscribe.packet_id))),
        Packet::Unsubscribe(unsubscribe) => Some(Packet::UnsubAck(granted(unsubscribe.packet_id))),
        _ => None,
    }
}

fn granted(packet_id: PacketId) -> SubAck {
    SubAck {
        packet_id,
        properties: SubAckProperties::default(),
        codes: ReasonCodes::new(ReasonCode::Success),
    }
}
