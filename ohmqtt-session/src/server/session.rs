//! The server's side of the loop: what a driver calls.

use alloc::collections::VecDeque;
use ohmqtt_codec::{
    ConnAck, ConnAckProperties, DecodeError, Disconnect, EncodeBuf, Packet, PacketType, ReasonCode,
    TooLarge,
};

use super::{Phase, ServerEvent, ServerSession};
use crate::connection::{Connection, unexpected};
use crate::error::{DisconnectCause, ProtocolError};
use crate::out::{Encoded, Out};
use crate::{Instant, Load, Loaded, Lsn, Session, StoreOp};

impl ServerSession {
    fn silence_ends(&self) -> Option<Instant> {
        let connection = &self.exchange.connection;
        (!connection.keep_alive.is_zero()).then(|| connection.last_received + connection.keep_alive)
    }
}

impl ServerSession {
    /// The next packet to write.
    fn poll<O: Out>(&mut self, now: Instant, out: &mut O) -> Option<PacketType> {
        // Until the session is read back it is not known what goes again first.
        if !self.exchange.flows.is_open() && self.exchange.connection.is_open() {
            return None;
        }
        let flowing = self.phase == Phase::Connected;
        self.exchange.poll(now, flowing, out)
    }
}

impl Session for ServerSession {
    type Event = ServerEvent;

    fn handle_connected(&mut self, now: Instant) {
        // One stream at a time: a new one means that the old one is gone.
        self.handle_disconnected(now);
        self.exchange.connection = Connection::new(
            now,
            self.config.receive_maximum.get(),
            self.config.topic_alias_maximum,
        );
        let deadline = now + self.config.connect_timeout;
        self.connect_deadline = deadline;
        self.phase = Phase::AwaitConnect { deadline };
    }

    fn handle_disconnected(&mut self, _now: Instant) {
        if self.phase == Phase::Offline {
            return;
        }
        // A client that was not accepted has no will.
        let will = self.client.will.take();
        let will = will.filter(|_| self.phase == Phase::Connected);
        self.phase = Phase::Offline;
        self.exchange.suspend(|_| {});
        let cause = self.exchange.connection.end();
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
            // [MQTT-3.1.2-30] Until CONNACK such a client sends AUTH or DISCONNECT and nothing else.
            (Phase::AwaitAuth { .. }, Packet::Auth(auth)) => self.handle_auth(&auth),
            (Phase::AwaitAuth { .. }, Packet::Disconnect(disconnect)) => {
                self.handle_disconnect(disconnect)
            }
            (Phase::AwaitAuth { .. }, other) => Err(unexpected(
                other.packet_type(),
                "while authentication is under way",
            )),
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
        // [MQTT-3.1.4-1] A CONNECT that is none ends the connection.
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
        self.exchange.handle_timeout(now);
        match self.phase {
            Phase::AwaitConnect { deadline } | Phase::AwaitAuth { deadline } if deadline <= now => {
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

    fn handle_loaded(&mut self, now: Instant, loaded: Loaded) {
        let was_open = self.exchange.flows.is_open();
        self.exchange.handle_loaded(now, loaded);
        if was_open && self.exchange.flows.sender.outbox.has_doubts() {
            self.exchange.events.push_back(ServerEvent::Doubts);
        }
        let is_open = self.exchange.flows.is_open();
        if is_open && !was_open && self.phase == Phase::Connected {
            self.exchange.resume();
        }
    }

    fn handle_load_failed(&mut self) {
        self.exchange.flows.handle_load_failed();
    }

    fn poll_packet(&mut self, now: Instant) -> Option<Packet> {
        let mut out = None;
        self.poll(now, &mut out)?;
        out
    }

    fn poll_encoded(
        &mut self,
        now: Instant,
        buf: &mut EncodeBuf,
    ) -> Option<(PacketType, Result<(), TooLarge>)> {
        let mut out = Encoded {
            buf,
            result: Ok(()),
        };
        let packet = self.poll(now, &mut out)?;
        Some((packet, out.result))
    }

    fn poll_store(&mut self) -> Option<(Lsn, StoreOp)> {
        self.exchange.flows.poll_store()
    }

    fn poll_load(&mut self) -> Option<Load> {
        self.exchange.flows.poll_any_load()
    }

    fn poll_event(&mut self) -> Option<ServerEvent> {
        self.exchange.events.pop_front()
    }

    fn poll_events(&mut self, events: &mut VecDeque<ServerEvent>) {
        self.exchange.poll_events(events);
    }

    fn poll_close(&mut self) -> bool {
        self.phase != Phase::Offline && self.exchange.connection.is_finished()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let outbox = self.exchange.flows.sender.outbox.poll_timeout();
        let connection = match self.phase {
            _ if !self.exchange.connection.is_open() => None,
            Phase::Offline | Phase::AwaitAccept => None,
            Phase::AwaitConnect { deadline } | Phase::AwaitAuth { deadline } => Some(deadline),
            Phase::Connected => self.silence_ends(),
        };
        outbox.into_iter().chain(connection).min()
    }

    fn awaited(&self) -> usize {
        self.exchange.flows.sender.in_flight()
    }

    fn is_ending(&self) -> bool {
        self.exchange.is_ending()
    }

    fn is_ready(&self) -> bool {
        let is_open = self.exchange.flows.is_open();
        self.phase != Phase::AwaitAccept && is_open && !self.exchange.is_behind()
    }
}
