//! One run: a client, a server, the streams between them, their stores and the clock, a step at a time and then in peace.
//!
//! What each side does by itself is in `client` and `broker`.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use ohmqtt_codec::Qos;
use ohmqtt_session::{ClientSession, Record, ServerSession, Session, Ticket};

use crate::context::Context;
use crate::link::Pipe;
use crate::plant::{Bug, Plant};
use crate::side::{Side, Sides};
use crate::trace::{Failure, Result, Trace, rule};
use crate::watch::Wire;

/// How often the clock may be put forward in peace before a run counts as stuck.
const PATIENCE: u32 = 300;

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub failure: Option<Failure>,
    /// What happened, line by line, when asked for.
    pub trace: Vec<String>,
}

/// Runs one seed. The same seed and bug always give the same outcome.
pub fn run(seed: u64, bug: Option<Bug>, keep_trace: bool) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let plant = Plant::new(bug, &mut rng);
    let mut world = World::new(Context::new(rng, plant, Trace::new(keep_trace)));
    let failure = world.run().err();
    Outcome {
        failure,
        trace: world.context.trace.into_lines(),
    }
}

/// The first of so many seeds that shows a planted bug, and how it shows.
pub fn catch(bug: Bug, start: u64, seeds: u64) -> Option<(u64, Failure)> {
    (start..start.saturating_add(seeds))
        .filter_map(|seed| Some((seed, run(seed, Some(bug), false).failure?)))
        .find(|(_, failure)| bug.shows_in(failure))
}

pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) client: ClientSession,
    /// The connection at whose end the client is.
    pub(crate) client_on: Option<u32>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) last_connection: u32,
    /// The connection whose session at the server has the flows.
    pub(crate) owner: Option<u32>,
    /// The server began a new session, and the client has not certainly noted it. A client that never hears of it cannot know of it
    /// later, when that new session is resumed; so the server forgets again at each CONNECT until it has.
    pub(crate) unheard: bool,
    /// The client was told that the session is new.
    pub(crate) told: bool,
    /// No faults any more.
    pub(crate) peace: bool,
    pub(crate) last_request: u64,
    /// The client's requests without an answer.
    pub(crate) requests: BTreeSet<Ticket>,
    /// The messages, and their bytes, that stood in each side's store at its last crash. Deletions wait for nothing, so they may be
    /// more than the outbox takes, and a session takes messages before it is read back; it is over its bound by them at most.
    pub(crate) restored: Sides<(usize, usize)>,
    /// Messages that each side's process read back into memory when it began, at most.
    pub(crate) read_back: Sides<usize>,
}

/// A stream, and the server's session at its end.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    pub(crate) server: ServerSession,
    /// The server has not seen the end of it.
    pub(crate) is_served: bool,
    /// A CONNECT waits for the broker, with this Clean Start.
    pub(crate) asks: Option<bool>,
    /// Requests that wait for the broker.
    pub(crate) requests: Vec<(ohmqtt_codec::PacketId, bool)>,
}

impl World {
    fn new(context: Context) -> Self {
        let client = ClientSession::new(context.client_config());
        Self {
            context,
            client,
            client_on: None,
            connections: Vec::new(),
            last_connection: 0,
            owner: None,
            unheard: false,
            told: false,
            peace: false,
            last_request: 0,
            requests: BTreeSet::new(),
            restored: Sides::default(),
            read_back: Sides::default(),
        }
    }

    fn run(&mut self) -> Result {
        let setup = format!("{:?}", self.context.setup);
        self.context.trace.line(|| setup);
        self.load_client()?;
        for _ in 0..self.context.setup.steps {
            self.step()?;
            self.check()?;
        }
        self.context.trace.line(|| "peace".to_owned());
        self.make_peace()?;
        self.drain()?;
        self.finish()?;
        // Identifiers, quota and room are all there again.
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            for side in Side::BOTH {
                self.publish(side, Some(qos))?;
            }
        }
        self.drain()?;
        self.finish()
    }

    /// One thing happens.
    fn step(&mut self) -> Result {
        let rates = self.context.setup.rates;
        if self.context.chance(rates.publish) {
            let side = self.any_side();
            return self.publish(side, None);
        }
        if self.context.chance(rates.cut) {
            self.cut(false);
            return Ok(());
        }
        if self.context.chance(rates.half_open) {
            self.half_open();
            return Ok(());
        }
        if self.context.chance(rates.crash[Side::Client]) {
            self.crash_client()?;
            self.restored[Side::Client] = self.stored(Side::Client);
            self.read_back[Side::Client] = self.to_read_back(Side::Client);
            return Ok(());
        }
        if self.context.chance(rates.crash[Side::Server]) {
            self.crash_server()?;
            self.restored[Side::Server] = self.stored(Side::Server);
            self.read_back[Side::Server] = self.to_read_back(Side::Server);
            return Ok(());
        }
        if self.context.chance(rates.jump) {
            let seconds = self.context.rng.u64(1..4000);
            return self.wait(Duration::from_secs(seconds));
        }
        if self.context.chance(rates.forget) {
            return self.forget_ticket();
        }
        if self.context.chance(rates.disconnect) {
            return self.disconnect();
        }
        match self.context.rng.u8(..20) {
            0 => self.connect(),
            1..=3 => self.write_client(),
            4..=6 => self.write_server(),
            7..=9 => self.arrive(),
            10 | 11 => self.store(Side::Client),
            12 | 13 => self.store(Side::Server),
            14 => self.acknowledge(Side::Client),
            15 => self.acknowledge(Side::Server),
            16 | 17 => self.answer(),
            18 if self.context.rng.u8(..4) == 0 => self.request(),
            _ => {
                let millis = self.context.rng.u64(..4000);
                self.wait(Duration::from_millis(millis))
            }
        }
    }

    fn any_side(&mut self) -> Side {
        if self.context.rng.bool() {
            Side::Client
        } else {
            Side::Server
        }
    }

    fn store(&mut self, side: Side) -> Result {
        match side {
            Side::Client => self.store_client(false),
            Side::Server => self.store_server(false),
        }
    }

    fn acknowledge(&mut self, side: Side) -> Result {
        match side {
            Side::Client => self.acknowledge_client(),
            Side::Server => self.acknowledge_server(),
        }
    }

    fn publish(&mut self, side: Side, qos: Option<Qos>) -> Result {
        match side {
            Side::Client => self.publish_client(qos),
            Side::Server => self.publish_server(qos),
        }
    }

    /// Ends a stream somewhere; in both directions some of what is under way may still arrive.
    fn cut(&mut self, all: bool) {
        let Self {
            context,
            connections,
            ..
        } = self;
        for connection in connections {
            if all || context.rng.u8(..3) > 0 {
                let keep = context.rng.usize(..=connection.up.under_way());
                connection.up.close(keep);
                let keep = context.rng.usize(..=connection.down.under_way());
                connection.down.close(keep);
                let id = connection.wire.id;
                context.trace.line(|| format!("connection {id} is cut"));
            }
        }
    }

    /// From here on what is written one way, or both ways, is lost, and nobody is told.
    fn half_open(&mut self) {
        let Self {
            context,
            connections,
            ..
        } = self;
        for connection in connections {
            let ways = context.rng.u8(1..4);
            if ways & 1 > 0 {
                connection.up.stall();
            }
            if ways & 2 > 0 {
                connection.down.stall();
            }
            let id = connection.wire.id;
            context
                .trace
                .line(|| format!("connection {id} is half open, ways {ways}"));
        }
    }

    /// Bytes arrive, as many as it happens, and are read.
    fn arrive(&mut self) -> Result {
        for at in (0..self.connections.len()).rev() {
            let rng = &mut self.context.rng;
            let (up, down) = (rng.u8(..4) > 0, rng.u8(..4) > 0);
            let some = |rng: &mut Rng, n: usize| if rng.bool() { n } else { rng.usize(..=n) };
            let connection = &mut self.connections[at];
            if up {
                let n = some(rng, connection.up.under_way());
                connection.up.arrive(n);
            }
            if down {
                let n = some(rng, connection.down.under_way());
                connection.down.arrive(n);
            }
            self.read_server(at)?;
            self.read_client(at)?;
        }
        self.notice_ends()
    }

    /// Both sides see the ends that have come to them; streams nobody holds are let go.
    pub(crate) fn notice_ends(&mut self) -> Result {
        if let Some(at) = self.client_at()
            && self.connections[at].down.is_over()
        {
            self.leave_client()?;
        }
        for at in 0..self.connections.len() {
            if self.connections[at].is_served && self.connections[at].up.is_over() {
                self.leave_server(at)?;
            }
        }
        let (owner, client_on) = (self.owner, self.client_on);
        self.connections.retain(|connection| {
            let id = Some(connection.wire.id);
            connection.is_served || id == owner || id == client_on
        });
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result {
        self.context.now = self.context.now + time;
        // A timer may be late, and is then at the next wait.
        if self.context.rng.u8(..4) > 0 {
            self.timeouts()?;
        }
        Ok(())
    }

    fn make_peace(&mut self) -> Result {
        self.peace = true;
        let mut all = self.context.rng.bool() || self.context.setup.rates.half_open > 0;
        // What was abandoned comes again on another connection only.
        all |= self.client.abandoned() > 0;
        if all {
            self.cut(true);
        }
        self.notice_ends()
    }

    /// Everything works, and goes on until nothing is left to do.
    fn drain(&mut self) -> Result {
        let mut waits = 0;
        loop {
            let before = self.context.activity;
            if self.client_on.is_none() {
                self.connect()?;
            }
            self.store_client(true)?;
            self.store_server(true)?;
            self.write_client()?;
            self.write_server()?;
            self.arrive_all()?;
            self.answer()?;
            self.acknowledge_client()?;
            self.acknowledge_server()?;
            self.check()?;
            if self.context.activity != before {
                continue;
            }
            if self.is_done() {
                return Ok(());
            }
            waits += 1;
            rule!(waits < PATIENCE, "stuck: {}", self.what_is_left());
            let client = self.client.poll_timeout();
            let server = self.connections.iter();
            let server = server.filter_map(|connection| connection.server.poll_timeout());
            let next = server.chain(client).min();
            let Some(next) = next else {
                return Err(Failure(format!(
                    "stuck, and nobody waits for a time: {}",
                    self.what_is_left()
                )));
            };
            self.context.now = self.context.now.max(next);
            self.timeouts()?;
        }
    }

    fn arrive_all(&mut self) -> Result {
        for at in (0..self.connections.len()).rev() {
            let connection = &mut self.connections[at];
            connection.up.arrive(usize::MAX);
            connection.down.arrive(usize::MAX);
            self.read_server(at)?;
            self.read_client(at)?;
        }
        self.notice_ends()
    }

    fn is_done(&self) -> bool {
        self.client.is_connected()
            && self.client.queued() == (0, 0)
            && self
                .server()
                .is_some_and(|server| server.queued() == (0, 0))
            && self.nothing_under_way()
    }

    fn nothing_under_way(&self) -> bool {
        Side::BOTH.iter().all(|side| {
            self.context.flights[*side].by_id.is_empty()
                && self.context.disks[*side].is_idle()
                && self.context.inbox[*side].is_empty()
                && self.context.disks[*side].records().next().is_none()
        })
    }

    fn what_is_left(&self) -> String {
        let side = |side: Side| {
            format!(
                "{side}: {} under way, records {:?}, {} held, store idle {}",
                self.context.flights[side].by_id.len(),
                self.context.disks[side]
                    .records()
                    .map(Record::key)
                    .collect::<Vec<_>>(),
                self.context.inbox[side].len(),
                self.context.disks[side].is_idle(),
            )
        };
        format!(
            "client connected {}, queued {:?}; server queued {:?}; {}; {}",
            self.client.is_connected(),
            self.client.queued(),
            self.server().map(ServerSession::queued),
            side(Side::Client),
            side(Side::Server)
        )
    }

    /// The messages in a side's store, and their bytes.
    fn stored(&self, side: Side) -> (usize, usize) {
        let records = self.context.disks[side].records();
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        records.fold((0, 0), |(messages, bytes), record| match record {
            Record::Message { message, .. } => (messages + 1, bytes + message.size()),
            Record::Released { .. } => (messages + 1, bytes),
            Record::Received { .. } => (messages, bytes),
            // Batches that failed may have left more in these numbers than there is.
            Record::Backlog(backlog) => (count(backlog.messages), count(backlog.bytes)),
        })
    }

    /// What holds at every moment.
    fn check(&mut self) -> Result {
        let setup = &self.context.setup;
        let (messages, bytes) = self.client.queued();
        let limits = setup.outbox[Side::Client].limits;
        let restored = self.restored[Side::Client];
        rule!(
            messages <= limits.messages + restored.0 && bytes <= limits.bytes + restored.1,
            "the client's outbox holds {messages} messages and {bytes} bytes"
        );
        let maximum = usize::from(setup.receive_maximum[Side::Client]);
        let maximum = maximum + usize::from(setup.excess > 0);
        rule!(
            self.client.unacknowledged() <= maximum,
            "the client's application has {} messages, and its Receive Maximum is {maximum}",
            self.client.unacknowledged()
        );
        if let Some(server) = self.server() {
            let (messages, bytes) = server.queued();
            let limits = setup.outbox[Side::Server].limits;
            let restored = self.restored[Side::Server];
            rule!(
                messages <= limits.messages + restored.0 && bytes <= limits.bytes + restored.1,
                "the server's outbox holds {messages} messages and {bytes} bytes"
            );
        }
        if self.told && self.context.disks[Side::Client].is_idle() {
            self.unheard = false;
        }
        self.check_memory()
    }

    /// 3.1.2.10: the client is never silent for longer than the Keep Alive. Behind a write of all there is.
    pub(crate) fn check_keep_alive(&self) -> Result {
        let Some(at) = self.client_at() else {
            return Ok(());
        };
        let wire = &self.connections[at].wire;
        if self.client.is_connected() && wire.keep_alive > 0 {
            let due = wire.last_sent + Duration::from_secs(wire.keep_alive.into());
            let next = self.client.poll_timeout();
            rule!(
                next.is_some_and(|next| next <= due),
                "the client is to send by {due:?} and will wake at {next:?}"
            );
        }
        Ok(())
    }

    fn finish(&self) -> Result {
        rule!(self.is_done(), "not all is done: {}", self.what_is_left());
        rule!(
            self.client.in_flight() == 0 && self.client.unacknowledged() == 0,
            "the client has {} in flight and {} unacknowledged when all is done",
            self.client.in_flight(),
            self.client.unacknowledged()
        );
        rule!(
            self.requests.is_empty(),
            "requests without an answer: {:?}",
            self.requests
        );
        self.check_counters()?;
        self.context.ledgers[Side::Client].finish()?;
        self.context.ledgers[Side::Server].finish()
    }
}
