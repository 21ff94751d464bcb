//! A session that is opened on what 1.x left: it sends all of it, in order, as MQTT wants it.

use std::path::Path;
use std::sync::mpsc::channel;

use ohmqtt_codec::*;
use ohmqtt_session::*;
use ohmqtt_store::{Durability, Prefix, Writer};

use super::{Legacy, id, import, message, string};
use crate::gated::{soon, tell};

const NOW: Instant = Instant::from_unix_micros(1_000_000_000_000_000);

/// A client's session and its store.
struct Life {
    session: ClientSession,
    writer: Writer,
    prefix: Prefix,
    /// How many records were read.
    read: usize,
    events: Vec<ClientEvent>,
}

impl Life {
    fn open(path: &Path) -> Self {
        let (store, imported) = import(path);
        let mut config = ClientConfig::new(imported.client_id.unwrap());
        config.connect.clean_start = false;
        config.connect.keep_alive = 0;
        config.durable = true;
        config.outbox.limits.messages = usize::MAX;
        let mut life = Self {
            session: ClientSession::new(config),
            writer: Writer::spawn(store, Durability::Fast).unwrap(),
            prefix: Prefix::session(&MqttString::default()),
            read: 0,
            events: Vec::new(),
        };
        life.serve();
        life
    }

    /// Does what it asks of its store.
    fn serve(&mut self) {
        loop {
            let mut ops = Vec::new();
            let mut upto = Lsn::NONE;
            while let Some((lsn, op)) = self.session.poll_store() {
                upto = lsn;
                ops.push(op);
            }
            let load = self.session.poll_load();
            if ops.is_empty() && load.is_none() {
                break;
            }
            if !ops.is_empty() {
                let (send, stored) = channel();
                self.writer.submit(&self.prefix, ops, tell(send));
                soon(&stored).unwrap();
                self.session.handle_stored(upto);
            }
            if let Some(load) = load {
                let (send, loaded) = channel();
                self.writer.load(&self.prefix, load, tell(send));
                let loaded = soon(&loaded).unwrap();
                self.read += loaded.records.len();
                self.session.handle_loaded(NOW, loaded);
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.events.push(event);
        }
    }

    /// What it sends.
    fn packets(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            self.serve();
            let before = packets.len();
            while let Some(packet) = self.session.poll_packet(NOW) {
                packets.push(packet);
            }
            if packets.len() == before {
                return packets;
            }
        }
    }

    fn handle(&mut self, packet: Packet) {
        self.session.handle_packet(NOW, packet);
    }

    /// Connects to a server that has the session.
    fn connect(&mut self) -> Vec<Packet> {
        self.session.handle_connected(NOW);
        assert!(matches!(self.packets()[..], [Packet::Connect(_)]));
        let connack = ConnAck {
            session_present: true,
            reason: ReasonCode::Success,
            properties: ConnAckProperties::default(),
        };
        self.handle(Packet::ConnAck(connack.into()));
        self.packets()
    }
}

/// A message on the wire: its payload, and whether it may have been sent before.
type Sent = (u64, bool);

/// Acknowledges all that comes, until nothing does. The messages in their order, and the identifiers in the order of their release.
fn drain(life: &mut Life, mut packets: Vec<Packet>) -> (Vec<Sent>, Vec<PacketId>) {
    let (mut sent, mut released) = (Vec::new(), Vec::new());
    while !packets.is_empty() {
        for packet in packets {
            let answer = match packet {
                Packet::Publish(publish) => {
                    let number = std::str::from_utf8(&publish.payload).unwrap();
                    sent.push((number.parse().unwrap(), publish.delivery.dup()));
                    match publish.delivery {
                        Delivery::ExactlyOnce { packet_id, .. } => {
                            Packet::PubRec(Ack::new(packet_id))
                        }
                        Delivery::AtLeastOnce { packet_id, .. } => {
                            Packet::PubAck(Ack::new(packet_id))
                        }
                        Delivery::AtMostOnce => panic!("1.x kept no message at QoS 0"),
                    }
                }
                Packet::PubRel(release) => {
                    released.push(release.packet_id);
                    Packet::PubComp(Ack::new(release.packet_id))
                }
                other => panic!("{other:?}"),
            };
            life.handle(answer);
        }
        packets = life.packets();
    }
    (sent, released)
}

/// So many messages, the first 7 of them sent, of which the first and the third were at QoS 2 and received.
fn with_messages(messages: u64) -> Legacy {
    let legacy = Legacy::new(false);
    legacy.run("BEGIN");
    for n in 1..=messages {
        let qos = if n % 3 == 0 || n == 1 { 2 } else { 1 };
        legacy.add("t", n.to_string().as_bytes(), qos, None);
    }
    legacy.send(7);
    legacy.run(
        "UPDATE messages SET inflight = 0, received = 1 WHERE id IN (1, 3);
         UPDATE client_id SET client_id = 'gateway-7';
         INSERT INTO received VALUES (10);
         COMMIT",
    );
    legacy
}

#[test]
fn all_is_sent_in_its_order_be_it_ten_or_a_hundred_thousand() {
    for messages in [10, 100_000] {
        let (_folder, path) = with_messages(messages).close();
        let mut life = Life::open(&path);
        assert_eq!(life.session.queued().0 as u64, messages);
        assert!(life.read < 4096, "{} records are in memory", life.read);
        // What is new is behind all of it.
        let new = message("t", (messages + 1).to_string().as_bytes(), Qos::AtLeastOnce);
        let accepted = life.session.publish(NOW, new, PublishOptions::default());
        assert!(accepted.is_ok());

        let packets = life.connect();
        let (sent, released) = drain(&mut life, packets);
        let want = (1..=messages + 1).filter(|n| ![1, 3].contains(n));
        assert!(sent == want.map(|n| (n, n <= 7)).collect::<Vec<_>>());
        assert_eq!(released[..2], [id(1), id(3)]);
        let at_qos2 = 1 + messages / 3;
        assert_eq!(released.len() as u64, at_qos2);
        assert_eq!(life.session.queued(), (0, 0));
    }
}

/// It was delivered by 1.x: the server sends it again because it has not seen the PUBREC.
#[test]
fn a_received_identifier_is_not_delivered_again() {
    let (_folder, path) = with_messages(10).close();
    let mut life = Life::open(&path);
    let packets = life.connect();
    drain(&mut life, packets);
    life.events.clear();
    for (packet_id, is_new) in [(10, false), (11, true)] {
        let mut again = Publish::new(TopicName::new("t").unwrap(), "x");
        again.delivery = Delivery::ExactlyOnce {
            packet_id: id(packet_id),
            dup: true,
        };
        life.handle(Packet::Publish(again));
        let answers = life.packets();
        let is_delivered = !std::mem::take(&mut life.events).is_empty();
        assert_eq!(is_delivered, is_new);
        if !is_new {
            assert!(
                matches!(&answers[..], [Packet::PubRec(ack)] if ack.packet_id == id(packet_id)),
                "{answers:?}"
            );
        }
    }
    life.handle(Packet::PubRel(Ack::new(id(10))));
    assert!(
        matches!(&life.packets()[..], [Packet::PubComp(ack)] if ack.packet_id == id(10) && ack.reason == ReasonCode::Success)
    );
}

#[test]
fn the_client_identifier_is_the_one_the_server_knows() {
    let (_folder, path) = with_messages(10).close();
    let life = Life::open(&path);
    assert_eq!(life.session.client_id(), &string("gateway-7"));
}
