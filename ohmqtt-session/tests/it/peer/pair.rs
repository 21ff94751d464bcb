//! A client and a server joined by encoded bytes. The pair does for the server what a broker does: it accepts, keeps the client's flows
//! between connections, and acknowledges.

use bytes::BytesMut;
use ohmqtt_codec::*;
use ohmqtt_session::*;

use super::{EVERYTHING, START, Side, Store, brief, text};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

impl From {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Server];
}

/// One end: a session, its store, and what it told.
pub(crate) struct End<S: Session> {
    pub(crate) session: S,
    pub(crate) store: Store,
    /// Everything that happened, in short.
    pub(crate) events: Vec<String>,
    /// The payloads of the messages that came.
    pub(crate) got: Vec<String>,
    /// Of messages that are not acknowledged yet.
    pub(crate) receipts: Vec<Receipt>,
    /// On their way from here.
    wire: BytesMut,
}

impl<S: Side> End<S> {
    fn new(session: S) -> Self {
        Self {
            session,
            store: Store::default(),
            events: Vec::new(),
            got: Vec::new(),
            receipts: Vec::new(),
            wire: BytesMut::new(),
        }
    }

    /// Passes one event on; `None` when there is none.
    fn event(&mut self) -> Option<S::Event> {
        let event = self.session.poll_event()?;
        self.receipts.extend(S::receipt(&event));
        let brief = S::brief(&event);
        self.got
            .extend(brief.strip_prefix("message ").map(str::to_owned));
        self.events.push(brief);
        Some(event)
    }

    /// Acknowledges the `n`th of the messages that wait for it.
    pub(crate) fn acknowledge(&mut self, n: usize) {
        let receipt = self.receipts.remove(n);
        self.session.answer(receipt, ReasonCode::Success);
    }
}

/// A client and a server.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) client: End<ClientSession>,
    pub(crate) server: End<ServerSession>,
    /// Messages are acknowledged as soon as they come.
    pub(crate) acknowledging: bool,
    /// Every packet that was delivered, in short, with who sent it.
    pub(crate) log: Vec<(From, String)>,
    client_config: ClientConfig,
    server_config: ServerConfig,
    connected: bool,
    /// A client was accepted once, and so there are flows.
    accepted: bool,
    /// The client's flows at the server, from a new stream until its CONNECT.
    flows: Option<Flows>,
}

impl Pair {
    /// A pair that is not connected.
    pub(crate) fn new(change: impl FnOnce(&mut ClientConfig, &mut ServerConfig)) -> Self {
        let mut client_config = ClientConfig::new(text("c"));
        client_config.connect = super::connect();
        let mut server_config = ServerConfig::default();
        change(&mut client_config, &mut server_config);
        Self {
            now: START,
            client: End::new(ClientSession::new(client_config.clone())),
            server: End::new(ServerSession::new(START, server_config.clone())),
            acknowledging: true,
            log: Vec::new(),
            client_config,
            server_config,
            connected: false,
            accepted: false,
            flows: None,
        }
    }

    /// A pair that is connected.
    pub(crate) fn connected(change: impl FnOnce(&mut ClientConfig, &mut ServerConfig)) -> Self {
        let mut pair = Self::new(change);
        pair.reconnect();
        pair
    }

    /// The client's flows are between two sessions, and no word on a message can be given.
    pub(crate) fn in_handshake(&self) -> bool {
        self.flows.is_some()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// A stream comes. Nothing moves on it yet.
    pub(crate) fn dial(&mut self) {
        assert!(!self.connected);
        self.connected = true;
        if self.accepted {
            self.flows = Some(self.server.session.take_flows(ReasonCode::SessionTakenOver));
            // Of what the old session asked for some is stored, and the answers are nobody's.
            let asked = self.server.store.pending.len();
            self.server.store.store(asked / 2);
            self.server.store.crash();
        }
        self.server.session = ServerSession::new(self.now, self.server_config.clone());
        self.client.session.handle_connected(self.now);
        self.server.session.handle_connected(self.now);
    }

    /// A stream comes, and everything moves until nothing does.
    pub(crate) fn reconnect(&mut self) {
        self.dial();
        self.drive();
    }

    /// The stream ends, and what was on its way is gone.
    pub(crate) fn cut(&mut self) {
        if !std::mem::take(&mut self.connected) {
            return;
        }
        self.client.wire.clear();
        self.server.wire.clear();
        self.client.session.handle_disconnected(self.now);
        self.server.session.handle_disconnected(self.now);
        self.events();
        if let Some(session) = self.flows.take() {
            // The handshake did not get so far.
            self.hold(session);
        }
    }

    /// A session without a connection holds the client's flows.
    fn hold(&mut self, session: Flows) {
        self.server.session = ServerSession::new(self.now, self.server_config.clone());
        let mut properties = ConnAckProperties::default();
        properties.set_session_expiry_interval(u32::MAX);
        let accept = Accept {
            session: Some(session),
            properties,
        };
        self.server.session.accept(self.now, accept);
    }

    /// The client's process ends and begins anew on what its store kept.
    pub(crate) fn crash_client(&mut self) {
        self.cut();
        self.client.store.crash();
        self.client.receipts.clear();
        let mut config = self.client_config.clone();
        config.connect.clean_start = false;
        self.client.session = ClientSession::new(config);
    }

    /// The server's process ends and begins anew on what its store kept.
    pub(crate) fn crash_server(&mut self) {
        self.cut();
        self.server.store.crash();
        self.server.receipts.clear();
        if !self.accepted {
            return;
        }
        let flows = self.server.store.open(self.server_config.outbox);
        self.hold(flows);
    }

    pub(crate) fn crash(&mut self, who: From) {
        match who {
            From::Client => self.crash_client(),
            From::Server => self.crash_server(),
        }
    }

    /// Sends a message that must be accepted.
    pub(crate) fn submit(&mut self, from: From, message: Message) {
        self.try_submit(from, message, 1).unwrap();
    }

    pub(crate) fn try_submit(
        &mut self,
        from: From,
        message: Message,
        ticket: u64,
    ) -> Result<(), Box<Rejected>> {
        let options = super::ticket(ticket);
        match from {
            From::Client => self.client.session.publish(self.now, message, options),
            From::Server => {
                let (now, routed) = (self.now, Routed::Published);
                let session = &mut self.server.session;
                session.deliver(now, &message, &[EVERYTHING], routed, options)
            }
        }
    }

    /// The payloads that came to the other side.
    pub(crate) fn got(&self, from: From) -> &[String] {
        match from {
            From::Client => &self.server.got,
            From::Server => &self.client.got,
        }
    }

    /// Everything that happened at one end, in short.
    pub(crate) fn happened(&self, who: From) -> &[String] {
        match who {
            From::Client => &self.client.events,
            From::Server => &self.server.events,
        }
    }

    /// Both stores take what they are asked for.
    pub(crate) fn serve(&mut self) {
        self.client.store.serve(&mut self.client.session);
        self.server.store.serve(&mut self.server.session);
    }

    /// A store confirms the first `n` operations that wait.
    pub(crate) fn confirm(&mut self, who: From, n: usize) {
        match who {
            From::Client => self.client.store.confirm(&mut self.client.session, n),
            From::Server => self.server.store.confirm(&mut self.server.session, n),
        }
    }

    /// A store fails the first `n` operations that wait.
    pub(crate) fn fail(&mut self, who: From, n: usize) {
        match who {
            From::Client => self.client.store.fail(&mut self.client.session, n),
            From::Server => self.server.store.fail(&mut self.server.session, n),
        }
    }

    pub(crate) fn store(&mut self, who: From) -> &mut Store {
        match who {
            From::Client => &mut self.client.store,
            From::Server => &mut self.server.store,
        }
    }

    /// Everything moves until nothing does.
    pub(crate) fn drive(&mut self) {
        self.drive_packets(usize::MAX);
    }

    /// Everything moves until nothing does, or until so many packets were delivered. Gives how many were.
    pub(crate) fn drive_packets(&mut self, limit: usize) -> usize {
        let mut delivered = 0;
        loop {
            let mut any = self.settle();
            for from in From::BOTH {
                if delivered == limit {
                    return delivered;
                }
                if self.carry(from) {
                    delivered += 1;
                    any = true;
                    self.settle();
                }
            }
            if !any {
                return delivered;
            }
        }
    }

    /// Stores, events and packets move, but nothing is delivered.
    fn settle(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut again = self.client.store.serve(&mut self.client.session);
            again |= self.server.store.serve(&mut self.server.session);
            again |= self.events();
            again |= self.send();
            if !again {
                return any;
            }
            any = true;
        }
    }

    /// Passes on what happened at both ends, as a broker and an application do.
    pub(crate) fn events(&mut self) -> bool {
        let mut any = false;
        while self.client.event().is_some() {
            any = true;
        }
        while let Some(event) = self.server.event() {
            any = true;
            if let ServerEvent::Connect(connect) = event {
                let session = self.flows.take();
                if connect.clean_start {
                    self.server.store.kept.clear();
                }
                let accept = Accept {
                    session,
                    ..Accept::default()
                };
                self.server.session.accept(self.now, accept);
                self.accepted = true;
            }
        }
        while self.acknowledging && !self.client.receipts.is_empty() {
            self.client.acknowledge(0);
        }
        while self.acknowledging && !self.in_handshake() && !self.server.receipts.is_empty() {
            self.server.acknowledge(0);
        }
        any
    }

    /// Puts what both ends want to send on the wire.
    fn send(&mut self) -> bool {
        let mut any = false;
        for from in From::BOTH {
            while self.connected && self.send_one(from) {
                any = true;
            }
        }
        any
    }

    /// Puts one packet on the wire.
    pub(crate) fn send_one(&mut self, from: From) -> bool {
        let (packet, wire) = match from {
            From::Client => (
                self.client.session.poll_packet(self.now),
                &mut self.client.wire,
            ),
            From::Server => (
                self.server.session.poll_packet(self.now),
                &mut self.server.wire,
            ),
        };
        let Some(packet) = packet else {
            return false;
        };
        let mut out = EncodeBuf::new();
        packet.encode(&mut out).unwrap();
        wire.extend_from_slice(&out.into_bytes());
        true
    }

    /// Takes one packet off the wire, to the other side.
    pub(crate) fn carry(&mut self, from: From) -> bool {
        let wire = match from {
            From::Client if self.server.session.is_ready() => &mut self.client.wire,
            From::Server if self.client.session.is_ready() => &mut self.server.wire,
            _ => return false,
        };
        let Some(packet) = decode(wire, &Limits::default()).unwrap() else {
            return false;
        };
        self.log.push((from, brief(&packet)));
        match from {
            From::Client => self.server.session.handle_packet(self.now, packet),
            From::Server => self.client.session.handle_packet(self.now, packet),
        }
        true
    }
}
