//! The client's side of the loop: what a driver calls.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;
use ohmqtt_codec::{DecodeError, Disconnect, EncodeBuf, Packet, PacketType, ReasonCode, TooLarge};

use super::{ClientEvent, ClientSession, Phase, Ping};
use crate::connection::Connection;
use crate::error::{DisconnectCause, ProtocolError};
use crate::flows::Excess;
use crate::out::{Encoded, Out};
use crate::{Instant, Load, Loaded, Lsn, Session, StoreOp};

/// How long an answer may stand unread behind what a server sent beyond our Receive Maximum, without a word of the application. It may
/// be that answer that the application waits for.
const UNREAD: Duration = Duration::from_secs(60);

impl ClientSession {
    fn ping_patience(&self) -> Duration {
        self.config
            .ping_timeout
            .min(self.exchange.connection.keep_alive)
    }

    /// When the server was heard last, or was listened to again: what its silence counts from.
    fn heard(&self) -> Instant {
        let heard = self.exchange.connection.last_received;
        heard.max(self.listening_since)
    }

    /// When the next PINGREQ is due: one Keep Alive after the last packet sent; and, when none is unanswered, after the last one heard.
    fn ping_due(&self, unanswered: bool) -> Option<Instant> {
        let connection = &self.exchange.connection;
        let silent_since = if unanswered || self.is_held_back() {
            connection.last_sent
        } else {
            connection.last_sent.min(self.heard())
        };
        (!connection.keep_alive.is_zero()).then(|| silent_since + connection.keep_alive)
    }

    /// Takes note of whether the server is listened to. An answer that stands unread is not late: when it is read again, it has the time
    /// that it had in the beginning.
    fn listen(&mut self, now: Instant) {
        let is_deaf = self.is_held_back();
        if core::mem::replace(&mut self.was_deaf, is_deaf) && !is_deaf {
            self.listening_since = now;
            let patience = self.ping_patience();
            if let Phase::Connected { ping: Some(ping) } = &mut self.phase {
                ping.deadline = now + patience;
            }
        }
        let is_due = is_deaf && self.exchange.flows.sender.awaits_answer();
        self.unread_since = is_due.then(|| self.unread_since.unwrap_or(now));
    }

    /// When what this side waits for has stood unread for too long.
    fn unread_until(&self) -> Option<Instant> {
        let since = self.unread_since.filter(|_| self.is_held_back());
        since.map(|since| since + UNREAD)
    }

    fn keep_alive(&mut self, now: Instant, mut ping: Option<Ping>) {
        let is_deaf = self.is_held_back();
        if let Some(ping) = &mut ping
            && ping.deadline <= now
            && !is_deaf
        {
            let heard = self.heard() + self.ping_patience();
            if heard <= now {
                // 0x8D is for servers to say.
                let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::UnspecifiedError));
                self.abort(Some(disconnect), DisconnectCause::KeepAliveTimeout);
                return;
            }
            // The server is alive: its PINGRESP stands behind what it is sending.
            ping.deadline = heard;
        }
        let due = self.ping_due(ping.is_some());
        if due.is_some_and(|due| due <= now) {
            // [MQTT-3.1.2-20] Nothing was sent for the Keep Alive: PINGREQ. Nothing heard is asked after in the same way.
            let patience = self.ping_patience();
            let connection = &mut self.exchange.connection;
            if !connection.requests.contains(&Packet::PingReq) {
                connection.requests.push_back(Packet::PingReq);
            }
            // It is on its way, even when the stream takes nothing now: the next one is due a Keep Alive later.
            connection.last_sent = now;
            ping = ping.or(Some(Ping {
                since: now,
                deadline: now + patience,
            }));
        }
        self.phase = Phase::Connected { ping };
    }

    /// The next packet to write.
    fn poll<O: Out>(&mut self, now: Instant, out: &mut O) -> Option<PacketType> {
        self.listen(now);
        // Until the session is read back, not even CONNECT may go: it says whether there is something to resume.
        if !self.exchange.flows.is_open() {
            return None;
        }
        if self.connect_due {
            // [MQTT-3.1.0-1] CONNECT is the first packet on a connection.
            self.connect_due = false;
            let connect = self.connect();
            self.exchange
                .connection
                .control
                .push_front(Packet::Connect(connect.into()));
        }
        let flowing = matches!(self.phase, Phase::Connected { .. });
        self.exchange.poll(now, flowing, out)
    }
}

impl Session for ClientSession {
    type Event = ClientEvent;

    fn handle_connected(&mut self, now: Instant) {
        // One stream at a time: a new one means that the old one is gone.
        self.handle_disconnected(now);
        let properties = &self.config.connect.properties;
        let receive_maximum = properties
            .receive_maximum()
            .unwrap_or(NonZeroU16::MAX)
            .get();
        let aliases = properties.topic_alias_maximum().unwrap_or(0);
        self.exchange.connection = Connection::new(now, receive_maximum, aliases);
        self.exchange.connection.excess = Excess::Borne;
        self.connect_due = true;
        self.phase = Phase::AwaitConnAck {
            deadline: now + self.config.connect_timeout,
        };
    }

    fn handle_disconnected(&mut self, _now: Instant) {
        if self.phase == Phase::Offline {
            return;
        }
        self.phase = Phase::Offline;
        self.connect_due = false;
        self.session_present = None;
        self.was_deaf = false;
        self.unread_since = None;
        let cause = self.exchange.connection.end();
        let mut lost = Vec::new();
        self.exchange.suspend(|request| lost.push(request.ticket));
        let events = &mut self.exchange.events;
        events.extend(
            lost.into_iter()
                .map(|ticket| ClientEvent::RequestLost { ticket }),
        );
        events.push_back(ClientEvent::Disconnected(cause));
    }

    fn handle_packet(&mut self, now: Instant, packet: Packet) {
        if !self.exchange.connection.is_open() {
            return;
        }
        self.exchange.connection.last_received = now;
        let result = match self.phase {
            Phase::Offline => Ok(()),
            Phase::AwaitConnAck { .. } => self.handle_first_packet(now, packet),
            Phase::Connected { .. } => self.handle_connected_packet(packet),
        };
        if let Err(error) = result {
            self.violate(error);
        }
        self.listen(now);
    }

    fn handle_malformed(&mut self, _now: Instant, error: DecodeError) {
        if self.phase != Phase::Offline {
            self.violate(ProtocolError::Malformed(error));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.exchange.handle_timeout(now);
        self.listen(now);
        if !self.exchange.connection.is_open() {
            return;
        }
        match self.phase {
            Phase::AwaitConnAck { deadline } if deadline <= now => {
                self.abort(None, DisconnectCause::ConnectTimeout);
            }
            Phase::Connected { .. } if self.unread_until().is_some_and(|until| until <= now) => {
                let maximum = self.exchange.connection.receive_maximum;
                self.violate(ProtocolError::ReceiveMaximumExceeded { maximum });
            }
            Phase::Connected { ping } => self.keep_alive(now, ping),
            _ => {}
        }
    }

    fn handle_stored(&mut self, upto: Lsn) {
        self.exchange.handle_stored(upto);
    }

    fn handle_store_failed(&mut self, upto: Lsn) {
        self.exchange.handle_store_failed(upto);
    }

    fn poll_load(&mut self) -> Option<Load> {
        self.exchange.flows.poll_any_load()
    }

    fn handle_loaded(&mut self, now: Instant, loaded: Loaded) {
        self.exchange.handle_loaded(now, loaded);
        self.has_session |= self.exchange.flows.was_kept();
        self.keeps_session |= self.exchange.flows.was_kept();
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

    fn poll_event(&mut self) -> Option<ClientEvent> {
        self.exchange.events.pop_front()
    }

    fn poll_events(&mut self, events: &mut VecDeque<ClientEvent>) {
        self.exchange.poll_events(events);
    }

    fn poll_close(&mut self) -> bool {
        self.phase != Phase::Offline && self.exchange.connection.is_finished()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let outbox = self.exchange.flows.sender.outbox.poll_timeout();
        let connection = match self.phase {
            _ if !self.exchange.connection.is_open() => None,
            Phase::Offline => None,
            Phase::AwaitConnAck { deadline } => Some(deadline),
            Phase::Connected { ping } => {
                let next = self.ping_due(ping.is_some());
                let answer = ping.filter(|_| !self.is_held_back());
                let answer = answer.map(|ping| ping.deadline);
                let unread = self.unread_until();
                answer.into_iter().chain(next).chain(unread).min()
            }
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
        !self.exchange.is_behind() && !self.awaits_verdict() && !self.is_held_back()
    }
}
