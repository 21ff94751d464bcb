//! What both roles can do, so that a fact about flows is shown for each with one test.

use core::fmt::Debug;
use core::num::NonZeroU16;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use super::brief::{client_event, server_event};
use super::{EVERYTHING, Script, connack, connect};

/// A session of either role.
pub(crate) trait Side: Session<Event: Debug> + Sized {
    /// One that is connected, without a store, whose peer accepts so many unacknowledged messages.
    fn open(peer_receive_maximum: u16) -> Script<Self>;

    /// One that is connected, with a store.
    fn durable() -> Script<Self> {
        Self::durable_with(|_| {})
    }

    /// One that is connected, with a store and an outbox like this.
    fn durable_with(change: impl Fn(&mut OutboxConfig)) -> Script<Self>;

    /// One that is connected, and accepts so many unacknowledged messages itself.
    fn accepting(receive_maximum: u16) -> Script<Self>;

    /// The stream ends and another comes, on which the session goes on. Gives what is sent behind CONNECT or CONNACK.
    fn resume(script: &mut Script<Self>, peer_receive_maximum: u16) -> Vec<String>;

    /// The process ends and begins anew, on what the store kept; then as `resume`.
    fn restart(script: &mut Script<Self>) -> Vec<String> {
        Self::restart_with(script, |_| {})
    }

    /// The same, with an outbox like this.
    fn restart_with(script: &mut Script<Self>, change: impl Fn(&mut OutboxConfig)) -> Vec<String>;

    fn submit(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>>;
    fn answer(&mut self, receipt: Receipt, reason: ReasonCode);
    fn receipt(event: &Self::Event) -> Option<Receipt>;
    fn brief(event: &Self::Event) -> String;
    fn queued(&self) -> (usize, usize);
    fn counters(&self) -> OutboxCounters;
    fn in_flight(&self) -> usize;
    fn unacknowledged(&self) -> usize;
}

fn nonzero(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

impl Side for ClientSession {
    fn open(peer_receive_maximum: u16) -> Script<Self> {
        let mut connack = connack(false);
        connack
            .properties
            .set_receive_maximum(nonzero(peer_receive_maximum));
        Script::client_with(|_| {}, connack)
    }

    fn durable_with(change: impl Fn(&mut OutboxConfig)) -> Script<Self> {
        let durable = |config: &mut ClientConfig| {
            config.durable = true;
            change(&mut config.outbox);
        };
        Script::client_with(durable, connack(false))
    }

    fn accepting(receive_maximum: u16) -> Script<Self> {
        let change = |config: &mut ClientConfig| {
            let properties = &mut config.connect.properties;
            properties.set_receive_maximum(nonzero(receive_maximum));
        };
        Script::client_with(change, connack(false))
    }

    fn resume(script: &mut Script<Self>, peer_receive_maximum: u16) -> Vec<String> {
        script.cut();
        let mut connack = connack(true);
        connack
            .properties
            .set_receive_maximum(nonzero(peer_receive_maximum));
        script.reconnect(connack)
    }

    fn restart_with(script: &mut Script<Self>, change: impl Fn(&mut OutboxConfig)) -> Vec<String> {
        script.store.crash();
        script.store.held = false;
        let mut config = ClientConfig::new(super::text("c"));
        config.durable = true;
        change(&mut config.outbox);
        config.connect.clean_start = false;
        script.session = Self::new(config);
        script.serve();
        script.reconnect(connack(true))
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

    fn receipt(event: &ClientEvent) -> Option<Receipt> {
        match event {
            ClientEvent::Message { receipt, .. } => *receipt,
            _ => None,
        }
    }

    fn brief(event: &ClientEvent) -> String {
        client_event(event)
    }

    fn queued(&self) -> (usize, usize) {
        self.queued()
    }

    fn counters(&self) -> OutboxCounters {
        self.counters()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn unacknowledged(&self) -> usize {
        self.unacknowledged()
    }
}

impl Side for ServerSession {
    fn open(peer_receive_maximum: u16) -> Script<Self> {
        let mut connect = connect();
        connect
            .properties
            .set_receive_maximum(nonzero(peer_receive_maximum));
        Script::server_with(ServerConfig::default(), connect, Accept::default())
    }

    fn durable_with(change: impl Fn(&mut OutboxConfig)) -> Script<Self> {
        let mut config = ServerConfig::default();
        config.durable = true;
        change(&mut config.outbox);
        Script::server_with(config, connect(), Accept::default())
    }

    fn accepting(receive_maximum: u16) -> Script<Self> {
        let mut config = ServerConfig::default();
        config.receive_maximum = nonzero(receive_maximum);
        Script::server_with(config, connect(), Accept::default())
    }

    fn resume(script: &mut Script<Self>, peer_receive_maximum: u16) -> Vec<String> {
        script.cut();
        let mut connect = connect();
        connect.clean_start = false;
        connect
            .properties
            .set_receive_maximum(nonzero(peer_receive_maximum));
        let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
        script.come_back(ServerConfig::default(), connect, Some(flows))
    }

    fn restart_with(script: &mut Script<Self>, change: impl Fn(&mut OutboxConfig)) -> Vec<String> {
        script.store.crash();
        script.store.held = false;
        let mut config = ServerConfig::default();
        config.durable = true;
        change(&mut config.outbox);
        let flows = script.store.open(config.outbox);
        let mut connect = connect();
        connect.clean_start = false;
        script.come_back(config, connect, Some(flows))
    }

    fn submit(
        &mut self,
        now: Instant,
        message: Message,
        options: PublishOptions,
    ) -> Result<(), Box<Rejected>> {
        self.deliver(now, &message, &[EVERYTHING], Routed::Published, options)
    }

    fn answer(&mut self, receipt: Receipt, reason: ReasonCode) {
        self.acknowledge(receipt, reason);
    }

    fn receipt(event: &ServerEvent) -> Option<Receipt> {
        match event {
            ServerEvent::Message { receipt, .. } => *receipt,
            _ => None,
        }
    }

    fn brief(event: &ServerEvent) -> String {
        server_event(event)
    }

    fn queued(&self) -> (usize, usize) {
        self.queued()
    }

    fn counters(&self) -> OutboxCounters {
        self.counters()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn unacknowledged(&self) -> usize {
        self.unacknowledged()
    }
}
