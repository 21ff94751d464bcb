//! What the server does in a run: a broker of one client, that keeps its session, and forgets it now and then.

use ohmqtt_codec::{
    ConnAckProperties, Disconnect, Qos, ReasonCode, ReasonCodes, SubscriptionOptions,
};
use ohmqtt_session::{
    Accept, DisconnectCause, Flows, Routed, ServerSession, Session, Subscription,
};

use crate::client::check_rejection;
use crate::context::Context;
use crate::happening::Own;
use crate::link::Pipe;
use crate::room::Offer;
use crate::side::Side;
use crate::trace::{Result, rule};
use crate::watch::Wire;
use crate::world::{Connection, World};

impl World {
    fn owner_at(&self) -> Option<usize> {
        let id = self.owner?;
        self.connections
            .iter()
            .position(|connection| connection.wire.id == id)
    }

    /// The session that has the flows, connected or not.
    pub(crate) fn server(&self) -> Option<&ServerSession> {
        Some(&self.connections[self.owner_at()?].server)
    }

    pub(crate) fn write_server(&mut self) -> Result {
        for at in 0..self.connections.len() {
            let most = self.packets();
            let Connection {
                wire,
                down,
                server,
                is_served,
                ..
            } = &mut self.connections[at];
            if !*is_served {
                continue;
            }
            self.context.write(Side::Server, server, wire, down, most)?;
            let closes = server.poll_close();
            self.hear_server(at)?;
            if closes {
                self.leave_server(at)?;
            }
        }
        Ok(())
    }

    pub(crate) fn read_server(&mut self, at: usize) -> Result {
        let Connection {
            wire,
            up,
            server,
            is_served,
            ..
        } = &mut self.connections[at];
        if !*is_served {
            return Ok(());
        }
        while self.context.read(Side::Server, server, wire, up)? {}
        self.hear_server(at)
    }

    /// The server lets go of a stream.
    pub(crate) fn leave_server(&mut self, at: usize) -> Result {
        let Connection {
            wire,
            up,
            down,
            server,
            is_served,
            asks,
            requests,
        } = &mut self.connections[at];
        let id = wire.id;
        (*is_served, *asks) = (false, None);
        requests.clear();
        down.close(usize::MAX);
        up.forget();
        self.context.activity += 1;
        self.context
            .trace
            .line(|| format!("server leaves connection {id}"));
        server.handle_disconnected(self.context.now);
        self.context.settle(Side::Server, server)?;
        self.hear_server(at)
    }

    fn hear_server(&mut self, at: usize) -> Result {
        for own in std::mem::take(&mut self.context.own) {
            let connection = &mut self.connections[at];
            match own {
                Own::Connect { clean_start } => connection.asks = Some(clean_start),
                Own::Subscribe(id) => connection.requests.push((id, true)),
                Own::Unsubscribe(id) => connection.requests.push((id, false)),
                Own::Disconnected(DisconnectCause::Protocol(error)) => {
                    rule!(false, "the server finds fault with the client: {error}");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The broker answers what it was asked: CONNECT, SUBSCRIBE, UNSUBSCRIBE.
    pub(crate) fn answer(&mut self) -> Result {
        for at in 0..self.connections.len() {
            if let Some(clean_start) = self.connections[at].asks.take() {
                self.accept(at, clean_start)?;
            }
            let Connection {
                server, requests, ..
            } = &mut self.connections[at];
            for (id, subscribes) in requests.drain(..) {
                let codes = ReasonCodes::new(ReasonCode::Success);
                if subscribes {
                    server.suback(id, codes);
                } else {
                    server.unsuback(id, codes);
                }
                self.context.activity += 1;
            }
        }
        Ok(())
    }

    fn accept(&mut self, at: usize, clean_start: bool) -> Result {
        let id = self.connections[at].wire.id;
        self.context.activity += 1;
        let rates = self.context.setup.rates;
        let loses = !self.peace && self.context.chance(rates.lose_session);
        let mut flows = None;
        if let Some(old) = self.owner_at() {
            let server = &mut self.connections[old].server;
            self.context.settle(Side::Server, server)?;
            flows = Some(server.take_flows(ReasonCode::SessionTakenOver));
            self.context.disks[Side::Server].orphan();
            self.context.reads[Side::Server] = None;
            self.context.settle(Side::Server, server)?;
            self.hear_server(old)?;
        }
        self.owner = Some(id);
        if loses || clean_start || self.unheard || flows.is_none() {
            self.context
                .trace
                .line(|| format!("server begins a new session on connection {id}"));
            flows = None;
            self.forget();
        }
        let connection = &mut self.connections[at];
        let accept = Accept {
            session: flows,
            properties: ConnAckProperties::default(),
        };
        connection.server.accept(self.context.now, accept);
        self.context.settle(Side::Server, &mut connection.server)?;
        self.hear_server(at)
    }

    /// The session at the server is a new one.
    fn forget(&mut self) {
        (self.unheard, self.told) = (true, false);
        let context = &mut self.context;
        context.disks[Side::Server].wipe();
        context.reads[Side::Server] = None;
        context.flights[Side::Server].clear();
        context.numbers[Side::Server].clear();
        context.inbox[Side::Server].clear();
        context.ledgers[Side::Server].gone();
        context.ledgers[Side::Client].receiver_forgot();
    }

    pub(crate) fn store_server(&mut self, all: bool) -> Result {
        let Some(at) = self.owner_at() else {
            return Ok(());
        };
        let server = &mut self.connections[at].server;
        self.context.store(Side::Server, server, all)?;
        self.hear_server(at)
    }

    pub(crate) fn acknowledge_server(&mut self) -> Result {
        let Some(at) = self.owner_at() else {
            return Ok(());
        };
        while let Some((receipt, answer)) = self.context.answer(Side::Server, self.peace)? {
            let server = &mut self.connections[at].server;
            server.acknowledge(receipt, answer);
            self.context.settle(Side::Server, server)?;
            if !self.peace && self.context.rng.bool() {
                break;
            }
        }
        self.hear_server(at)
    }

    /// A message is routed to the client.
    pub(crate) fn publish_server(&mut self, qos: Option<Qos>) -> Result {
        let Some(at) = self.owner_at() else {
            return Ok(());
        };
        let (message, options) = self.message(Side::Server, qos)?;
        let subscription = Subscription {
            options: SubscriptionOptions::new(Qos::ExactlyOnce),
            identifier: None,
        };
        let options = self.context.plant.options(Side::Server, options);
        let server = &mut self.connections[at].server;
        let (before, size) = (server.queued(), message.size());
        let taken = server.deliver(
            self.context.now,
            &message,
            &[subscription],
            Routed::Published,
            options,
        );
        let offer = Offer {
            before,
            after: server.queued(),
            size,
            taken: taken.is_ok(),
        };
        if let Err(rejected) = taken {
            check_rejection(&rejected.error)?;
            self.context.ledgers[Side::Server].withdraw()?;
        }
        self.context.settle(Side::Server, server)?;
        self.context.offered(Side::Server, offer)?;
        self.hear_server(at)
    }

    pub(crate) fn disconnect_server(&mut self) -> Result {
        let Some(at) = self.owner_at() else {
            return Ok(());
        };
        self.context
            .trace
            .line(|| "server is to disconnect".to_owned());
        let server = &mut self.connections[at].server;
        server.disconnect(Disconnect::new(ReasonCode::ServerShuttingDown));
        self.context.settle(Side::Server, server)?;
        self.hear_server(at)
    }

    /// The server's process ends and another begins. Without a store the session is gone with it.
    pub(crate) fn crash_server(&mut self) -> Result {
        self.context.trace.line(|| "server crashes".to_owned());
        for connection in &mut self.connections {
            connection.is_served = false;
            connection.asks = None;
            connection.requests.clear();
            let config = self.context.server_config();
            connection.server = ServerSession::new(self.context.now, config);
            let keep = self.context.rng.usize(..=connection.down.under_way());
            connection.down.close(keep);
            connection.up.forget();
        }
        if self.owner.take().is_none() {
            return Ok(());
        }
        if !self.context.setup.durable[Side::Server] {
            self.forget();
            return Ok(());
        }
        let survivors = self.context.disks[Side::Server].crash(&mut self.context.rng);
        self.context.committed(Side::Server, &survivors)?;
        self.context.ledgers[Side::Server].sender_crashed(true);
        self.context.ledgers[Side::Client].receiver_crashed()?;
        self.context.inbox[Side::Server].clear();
        let Context {
            flights,
            disks,
            numbers,
            ledgers,
            ..
        } = &mut self.context;
        flights[Side::Server].restore(
            &disks[Side::Server],
            &numbers[Side::Server],
            &mut ledgers[Side::Server],
        )?;
        self.restore_server();
        self.notice_ends()
    }

    /// The session is read back, and waits for its client.
    fn restore_server(&mut self) {
        let config = self.context.server_config();
        let mut flows = Flows::open(config.outbox);
        self.context.reads[Side::Server] = None;
        // What is not read now is read later, by whatever session has the flows then.
        let stretches = self.context.rng.usize(..6);
        for _ in 0..stretches {
            if let Some(load) = flows.poll_load() {
                flows.handle_loaded(self.context.load(Side::Server, load));
            }
        }
        let server = ServerSession::resting(self.context.now, config, flows);
        self.last_connection += 1;
        let id = self.last_connection;
        self.owner = Some(id);
        self.connections.push(Connection {
            wire: Wire {
                id,
                ..Wire::default()
            },
            up: Pipe::default(),
            down: Pipe::default(),
            server,
            is_served: false,
            asks: None,
            requests: Vec::new(),
        });
    }

    pub(crate) fn timeouts_server(&mut self) -> Result {
        let now = self.context.now;
        for at in 0..self.connections.len() {
            let Connection {
                wire,
                server,
                is_served,
                ..
            } = &mut self.connections[at];
            let is_asked = *is_served || self.owner == Some(wire.id);
            if is_asked && server.poll_timeout().is_some_and(|next| next <= now) {
                self.context.activity += 1;
                server.handle_timeout(now);
                self.context.settle(Side::Server, server)?;
                let next = server.poll_timeout();
                rule!(
                    next.is_none_or(|next| next > now),
                    "the server's deadline {next:?} does not move at {now:?}"
                );
                self.hear_server(at)?;
            }
        }
        self.check_deadlines(Side::Server)
    }
}
