//! One session and a peer whose packets the test writes by hand.

use core::time::Duration;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use super::{START, Side, Store, briefs, over_the_wire, text};

/// A session under the test's hand.
pub(crate) struct Script<S: Session> {
    pub(crate) now: Instant,
    pub(crate) session: S,
    pub(crate) store: Store,
    /// Of the messages that came, in order.
    pub(crate) receipts: Vec<Receipt>,
}

impl<S: Side> Script<S> {
    pub(crate) fn new(session: S) -> Self {
        Self {
            now: START,
            session,
            store: Store::default(),
            receipts: Vec::new(),
        }
    }

    /// The store does its work, if it is not held.
    pub(crate) fn serve(&mut self) -> bool {
        self.store.now = self.now;
        let any = self.store.serve(&mut self.session);
        while self.store.serve(&mut self.session) {}
        any
    }

    /// A packet comes.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a list of packets reads better without borrows"
    )]
    pub(crate) fn receive(&mut self, packet: Packet) {
        self.session.handle_packet(self.now, over_the_wire(&packet));
    }

    /// Packets come; what the session sends in answer.
    pub(crate) fn exchange(&mut self, packets: impl IntoIterator<Item = Packet>) -> Vec<String> {
        packets.into_iter().for_each(|packet| self.receive(packet));
        self.sent()
    }

    /// What the session wants sent, in short.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        briefs(&self.packets())
    }

    /// What the session wants sent.
    pub(crate) fn packets(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            while let Some(packet) = self.session.poll_packet(self.now) {
                assert_eq!(over_the_wire(&packet), packet);
                packets.push(packet);
            }
            if !self.serve() {
                return packets;
            }
        }
    }

    /// What the session has to tell.
    pub(crate) fn events_in_full(&mut self) -> Vec<S::Event> {
        let mut events = Vec::new();
        while let Some(event) = self.session.poll_event() {
            self.receipts.extend(S::receipt(&event));
            events.push(event);
        }
        events
    }

    /// What the session has to tell, in short.
    pub(crate) fn events(&mut self) -> Vec<String> {
        self.events_in_full().iter().map(S::brief).collect()
    }

    /// Takes a message that must be accepted, with this ticket.
    pub(crate) fn submit(&mut self, message: Message, ticket: u64) {
        self.session
            .submit(self.now, message, super::ticket(ticket))
            .unwrap();
    }

    /// Acknowledges the `n`th message that came.
    pub(crate) fn answer(&mut self, n: usize) {
        self.session.answer(self.receipts[n], ReasonCode::Success);
    }

    /// Time passes, and the session is told.
    pub(crate) fn after(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.session.handle_timeout(self.now);
    }

    /// How long until the next deadline.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        Some(self.session.poll_timeout()? - self.now)
    }

    /// The stream ends.
    pub(crate) fn cut(&mut self) {
        self.session.handle_disconnected(self.now);
    }

    /// A violation ended the connection: what was sent last, and that nothing comes after it.
    pub(crate) fn violated(&mut self) -> Vec<String> {
        let sent = self.sent();
        assert!(self.session.poll_close());
        assert_eq!(self.sent(), [""; 0]);
        assert!(self.session.poll_close());
        assert_eq!(self.session.poll_timeout(), None);
        sent
    }
}

impl Script<ClientSession> {
    /// A client before its first stream.
    pub(crate) fn client(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new(text("c"));
        change(&mut config);
        let mut script = Self::new(ClientSession::new(config));
        script.serve();
        script
    }

    /// A client that this CONNACK has accepted.
    pub(crate) fn client_with(change: impl FnOnce(&mut ClientConfig), connack: ConnAck) -> Self {
        let mut script = Self::client(change);
        assert_eq!(script.reconnect(connack), [""; 0]);
        script
    }

    /// A client that is connected.
    pub(crate) fn connected() -> Self {
        Self::client_with(|_| {}, super::connack(false))
    }

    /// A stream comes; the CONNECT that is sent on it.
    pub(crate) fn dial(&mut self) -> Connect {
        self.session.handle_connected(self.now);
        match &self.packets()[..] {
            [Packet::Connect(connect)] => (**connect).clone(),
            other => panic!("CONNECT alone is sent, not {other:?}"),
        }
    }

    /// A stream comes, and the server answers with this CONNACK; what the client sends then.
    pub(crate) fn reconnect(&mut self, connack: ConnAck) -> Vec<String> {
        self.dial();
        self.receive(Packet::ConnAck(connack.into()));
        self.events();
        self.sent()
    }
}

impl Script<ServerSession> {
    /// A server whose stream has come.
    pub(crate) fn server(config: ServerConfig) -> Self {
        let mut script = Self::new(ServerSession::new(START, config));
        script.session.handle_connected(script.now);
        script
    }

    /// A server that has accepted this CONNECT.
    pub(crate) fn server_with(config: ServerConfig, connect: Connect, accept: Accept) -> Self {
        let mut script = Self::server(config);
        script.receive(Packet::Connect(connect.into()));
        assert_eq!(script.events(), ["connect c"]);
        script.session.accept(script.now, accept);
        assert_eq!(script.sent(), ["CONNACK"]);
        script
    }

    /// A server whose client is connected.
    pub(crate) fn accepted() -> Self {
        Self::server_with(ServerConfig::default(), super::connect(), Accept::default())
    }

    /// The client comes back on a new stream; what the server sends behind CONNACK.
    pub(crate) fn come_back(
        &mut self,
        config: ServerConfig,
        connect: Connect,
        session: Option<Flows>,
    ) -> Vec<String> {
        let present = session.is_some() && !connect.clean_start;
        self.session = ServerSession::new(self.now, config);
        self.session.handle_connected(self.now);
        self.receive(Packet::Connect(connect.into()));
        assert_eq!(self.events(), ["connect c"]);
        let accept = Accept {
            session,
            ..Accept::default()
        };
        self.session.accept(self.now, accept);
        let mut sent = self.sent();
        let connack = if present {
            "CONNACK present"
        } else {
            "CONNACK"
        };
        assert_eq!(sent.remove(0), connack);
        sent
    }
}
