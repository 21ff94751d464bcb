//! A client's session and a server's, joined in memory: what the rules cost, without bytes, streams and handles.

use ohmqtt_client::{Qos, ReasonCode};
use ohmqtt_codec::TopicName;
use ohmqtt_session::{
    Accept, ClientConfig, ClientEvent, ClientSession, Instant, Message, PublishOptions,
    ServerConfig, ServerEvent, ServerSession, Session, Ticket,
};

use super::null::{PAYLOAD, TOPIC};
use super::{RING, batches};
use crate::Run;

struct Pair {
    now: Instant,
    client: ClientSession,
    server: ServerSession,
    /// How many messages the client has heard the end of.
    done: u64,
}

impl Pair {
    fn connected() -> Self {
        let now = Instant::from_unix_micros(1_800_000_000_000_000);
        let config = ClientConfig::new("bench".try_into().expect("a string"));
        let mut pair = Self {
            now,
            client: ClientSession::new(config),
            server: ServerSession::new(now, ServerConfig::default()),
            done: 0,
        };
        pair.client.handle_connected(now);
        pair.server.handle_connected(now);
        pair.settle();
        assert!(pair.client.is_connected());
        pair
    }

    /// Carries packets to and fro until there are none.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(packet) = self.client.poll_packet(self.now) {
                quiet = false;
                self.server.handle_packet(self.now, packet);
            }
            while let Some(event) = self.server.poll_event() {
                self.answer(&event);
            }
            while let Some(packet) = self.server.poll_packet(self.now) {
                quiet = false;
                self.client.handle_packet(self.now, packet);
            }
            while let Some(event) = self.client.poll_event() {
                self.done += u64::from(matches!(event, ClientEvent::Acked { .. }));
            }
            if quiet {
                return;
            }
        }
    }

    fn answer(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::Connect(_) => self.server.accept(self.now, Accept::default()),
            ServerEvent::Message {
                receipt: Some(receipt),
                ..
            } => self.server.acknowledge(*receipt, ReasonCode::Success),
            _ => {}
        }
    }
}

/// Publishes at this QoS, from the client to the server.
pub(super) fn publishing<const QOS: u8>() -> Run {
    let mut pair = Pair::connected();
    let topic = TopicName::new(TOPIC).expect("a topic");
    let mut message = Message::new(topic, vec![b'x'; PAYLOAD]);
    message.qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(QOS)];
    let mut ticket = 0;
    Box::new(move |n| {
        for count in batches(n, RING as u64) {
            for _ in 0..count {
                ticket += 1;
                let options = PublishOptions {
                    ticket: Ticket(ticket),
                    ..PublishOptions::default()
                };
                let taken = pair.client.publish(pair.now, message.clone(), options);
                assert!(taken.is_ok(), "{taken:?}");
            }
            pair.settle();
        }
        assert!(QOS == 0 || pair.done == ticket);
    })
}
