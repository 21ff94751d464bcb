//! What both sides of a run share, and the parts of the loop that do not know which side they serve.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use ohmqtt_codec::{EncodeBuf, Limits, PacketId, Qos, ReasonCode, decode};
use ohmqtt_session::{
    ClientConfig, Instant, Key, Load, Loaded, Lsn, Receipt, Record, ServerConfig, Session, StoreOp,
};

use crate::disk::Disk;
use crate::happening::{Happening, Own};
use crate::ledger::Ledger;
use crate::link::Pipe;
use crate::payload::{Payloads, written};
use crate::plant::Plant;
use crate::room::{self, Offer};
use crate::rules;
use crate::setup::Setup;
use crate::side::{Side, Sides};
use crate::trace::{self, Failure, Result, Trace, number, rule};
use crate::watch::{Flights, Wire};

/// Everything but the sessions and the streams.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) rng: Rng,
    pub(crate) now: Instant,
    pub(crate) setup: Setup,
    pub(crate) trace: Trace,
    pub(crate) plant: Plant,
    /// By sender.
    pub(crate) ledgers: Sides<Ledger>,
    /// By sender.
    pub(crate) flights: Sides<Flights>,
    pub(crate) disks: Sides<Disk>,
    /// By sender: the message at each place in the order of publishing.
    pub(crate) numbers: Sides<BTreeMap<u64, u32>>,
    /// By receiver: what the application has and has not acknowledged.
    pub(crate) inbox: Sides<Vec<Held>>,
    /// What each session wants to read and has not been given yet.
    pub(crate) reads: Sides<Option<Load>>,
    /// What of each side's messages is in memory.
    pub(crate) payloads: Sides<Payloads>,
    /// Reasons for a DISCONNECT that something in the run can explain.
    pub(crate) may_say: Vec<(Side, ReasonCode)>,
    /// What a session told that only its own side can act on.
    pub(crate) own: Vec<Own>,
    /// Grows with everything that happens.
    pub(crate) activity: u64,
    /// The client's application has let go of a message on the connection that stands.
    pub(crate) abandoned: bool,
    /// When that connection began.
    pub(crate) begun: Instant,
    /// The identifier of the PUBLISH that is being handled.
    arriving: Option<PacketId>,
}

/// A message that an application has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) receipt: Receipt,
    pub(crate) n: u32,
}

impl Context {
    pub(crate) fn new(mut rng: Rng, plant: Plant, trace: Trace) -> Self {
        let setup = Setup::random(&mut rng);
        let mut may_say = vec![
            (Side::Client, ReasonCode::NORMAL_DISCONNECTION),
            (Side::Client, ReasonCode::UnspecifiedError),
            (Side::Server, ReasonCode::KeepAliveTimeout),
            (Side::Server, ReasonCode::SessionTakenOver),
            (Side::Server, ReasonCode::ServerShuttingDown),
        ];
        if setup.excess > 0 {
            may_say.push((Side::Client, ReasonCode::ReceiveMaximumExceeded));
        }
        Self {
            now: Instant::from_unix_micros(1_800_000_000_000_000),
            setup,
            trace,
            plant,
            ledgers: Sides([Ledger::new(Side::Client), Ledger::new(Side::Server)]),
            flights: Sides::default(),
            disks: Sides::default(),
            numbers: Sides::default(),
            inbox: Sides::default(),
            may_say,
            abandoned: false,
            begun: Instant::default(),
            reads: Sides::default(),
            payloads: Sides::default(),
            own: Vec::new(),
            activity: 0,
            arriving: None,
            rng,
        }
    }

    /// What a new client is told.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = self.setup.client();
        config.outbox = self.plant.outbox(Side::Client, config.outbox);
        config
    }

    /// What a new session at the server is told.
    pub(crate) fn server_config(&mut self) -> ServerConfig {
        let mut config = self.setup.server(&mut self.rng);
        config.outbox = self.plant.outbox(Side::Server, config.outbox);
        config
    }

    /// A message was offered to a side's outbox, and all that came of it at once was heard.
    pub(crate) fn offered(&mut self, side: Side, offer: Offer) -> Result {
        let config = &self.setup.outbox[side];
        let durable = self.setup.durable[side];
        room::check(side, &mut self.ledgers[side], config, durable, offer)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn chance(&mut self, thousandths: u32) -> bool {
        self.rng.u32(..1000) < thousandths
    }

    /// Hears a session out: events first, then what it wants stored.
    pub(crate) fn settle<S>(&mut self, side: Side, session: &mut S) -> Result
    where
        S: Session,
        Happening: From<S::Event>,
    {
        loop {
            let mut quiet = true;
            while let Some(event) = session.poll_event() {
                quiet = false;
                self.hear(side, event.into())?;
            }
            while let Some((lsn, op)) = session.poll_store() {
                quiet = false;
                self.operation(side, session, lsn, op)?;
            }
            if quiet {
                return Ok(());
            }
            self.activity += 1;
        }
    }

    fn operation<S>(&mut self, side: Side, session: &mut S, lsn: Lsn, op: StoreOp) -> Result
    where
        S: Session,
    {
        self.trace
            .line(|| format!("{side} store {} {}", lsn.0, trace::operation(&op)));
        for op in self.plant.operation(side, op) {
            match &op {
                StoreOp::Put(Record::Message { seq, message, .. }) => {
                    let n = number(&message.payload).unwrap_or(u32::MAX);
                    self.numbers[side].insert(*seq, n);
                }
                StoreOp::Put(Record::Received { packet_id }) => {
                    self.ledgers[side.other()].takes(lsn, *packet_id);
                }
                // Without a PUBREC the message is given up.
                StoreOp::Put(Record::Released { seq, packet_id })
                    if !self.flights[side].is_released(*packet_id) =>
                {
                    let n = self.number(side, *seq)?;
                    self.ledgers[side].deletes(n)?;
                    self.flights[side].forget(n);
                }
                StoreOp::Delete(Key::Outgoing(seq)) => {
                    let n = self.number(side, *seq)?;
                    self.ledgers[side].deletes(n)?;
                    self.flights[side].forget(n);
                }
                _ => {}
            }
            self.disks[side].submit(lsn, written(op));
        }
        if self.plant.confirms_early() {
            session.handle_stored(lsn);
        }
        Ok(())
    }

    fn number(&self, side: Side, seq: u64) -> Result<u32> {
        let n = self.numbers[side].get(&seq).copied();
        n.ok_or_else(|| Failure(format!("an operation on the unknown seq {seq}")))
    }

    fn hear(&mut self, side: Side, happening: Happening) -> Result {
        let Some(happening) = self.plant.heard(side, happening) else {
            return Ok(());
        };
        self.trace.line(|| format!("{side} event {happening:?}"));
        let ledger = &mut self.ledgers[side];
        match happening {
            Happening::Message { message, receipt } => {
                self.plant.delivered(side, &message, receipt);
                let n = number(&message.payload);
                let n = n.ok_or_else(|| Failure("a message that nobody published".into()))?;
                rule!(
                    receipt.is_some() == (message.qos != Qos::AtMostOnce),
                    "#{n} at {:?} comes with receipt {receipt:?}",
                    message.qos
                );
                let (topic, may_crash) = (message.topic.as_str(), self.setup.durable[side]);
                let sender = &mut self.ledgers[side.other()];
                sender.arrives(n, message.qos, topic, self.arriving, may_crash)?;
                sender.handed_over(n, receipt);
                if let Some(receipt) = receipt {
                    self.inbox[side].push(Held { receipt, n });
                }
            }
            Happening::Accepted(ticket) => ledger.told_accepted(ticket)?,
            Happening::Sent(ticket) => ledger.told_sent(ticket)?,
            Happening::Acked(ticket, reason) => ledger.told_acked(ticket, reason)?,
            Happening::Lost(ticket, why) => {
                if let Some(n) = ledger.told_lost(ticket, why, self.setup.session_loss)? {
                    self.flights[side].forget(n);
                }
            }
            Happening::Own(own) => self.own.push(own),
        }
        Ok(())
    }

    /// Writes at most `most` packets of a session.
    pub(crate) fn write<S>(
        &mut self,
        side: Side,
        session: &mut S,
        wire: &mut Wire,
        pipe: &mut Pipe,
        most: usize,
    ) -> Result
    where
        S: Session,
        Happening: From<S::Event>,
    {
        for _ in 0..most {
            let Some(packet) = session.poll_packet(self.now) else {
                break;
            };
            self.settle(side, session)?;
            for packet in self.plant.outgoing(side, packet) {
                let mut out = EncodeBuf::new();
                packet
                    .encode(&mut out)
                    .map_err(|error| Failure(format!("a packet that cannot be: {error}")))?;
                let bytes = out.into_bytes();
                pipe.write(&bytes);
                // What is judged is what stands on the wire.
                let mut copy = bytes::BytesMut::from(&bytes[..]);
                let read = decode(&mut copy, &Limits::default())
                    .ok()
                    .flatten()
                    .filter(|_| copy.is_empty());
                let Some(read) = read else {
                    return Err(Failure("bytes written that are not one packet".into()));
                };
                let (now, id) = (self.now.unix_micros() / 1000, wire.id);
                self.trace
                    .line(|| format!("{side} sends on {id} at {now}: {}", trace::packet(&read)));
                rules::sent(self, side, wire, &read)?;
                self.activity += 1;
            }
            self.settle(side, session)?;
        }
        self.settle(side, session)
    }

    /// Reads one packet that has arrived; false when there is none, or the session takes none.
    pub(crate) fn read<S>(
        &mut self,
        side: Side,
        session: &mut S,
        wire: &mut Wire,
        pipe: &mut Pipe,
    ) -> Result<bool>
    where
        S: Session,
        Happening: From<S::Event>,
    {
        // What comes while the end is under way is read by nobody.
        let is_ready = session.is_ready() || self.plant.reads_on(side);
        if !is_ready || session.is_ending() {
            return Ok(false);
        }
        let limits = Limits::new(wire.accepts[side].packet_size);
        let Some(packet) = pipe.read(limits)? else {
            return Ok(false);
        };
        self.activity += 1;
        let id = wire.id;
        self.trace
            .line(|| format!("{side} reads on {id}: {}", trace::packet(&packet)));
        rules::received(self, side, wire, &packet)?;
        let again = self.plant.delivers_again(side, &packet);
        if let Some(mut packet) = self.plant.incoming(side, packet) {
            if let ohmqtt_codec::Packet::Connect(connect) = &mut packet {
                let said = &mut connect.properties;
                said.set_receive_maximum(self.setup.exceeds(said.receive_maximum()));
            }
            self.arriving = match &packet {
                ohmqtt_codec::Packet::Publish(publish) => publish.delivery.packet_id(),
                _ => None,
            };
            session.handle_packet(self.now, packet);
            self.settle(side, session)?;
        }
        if let Some((message, receipt)) = again {
            let receipt = Some(receipt);
            self.hear(side, Happening::Message { message, receipt })?;
        }
        self.arriving = None;
        Ok(true)
    }

    /// Lets a store come on by one thing, or all the way.
    pub(crate) fn store<S>(&mut self, side: Side, session: &mut S, all: bool) -> Result
    where
        S: Session,
        Happening: From<S::Event>,
    {
        loop {
            let activity = self.activity;
            let what = self.rng.u8(..8);
            if all || what < 4 {
                self.disks[side].seal();
            }
            if !all && what > 1 && self.chance(self.setup.rates.store_failure) {
                if let Some(batch) = self.disks[side].fail() {
                    self.activity += 1;
                    self.failed(side, &batch)?;
                }
            } else if (all || what > 1)
                && let Some(batch) = self.disks[side].commit()
            {
                self.activity += 1;
                self.committed(side, &batch)?;
            }
            if (all || what.is_multiple_of(2))
                && let Some((upto, stored)) = self.disks[side].answer()
            {
                self.activity += 1;
                self.trace
                    .line(|| format!("{side} hears: stored {stored} up to {}", upto.0));
                if stored {
                    session.handle_stored(upto);
                } else {
                    session.handle_store_failed(upto);
                }
                self.settle(side, session)?;
            }
            self.read_store(side, session, all || what == 5, !all)?;
            if !all || self.activity == activity {
                return Ok(());
            }
        }
    }

    /// Hears what a session wants to read, and answers it now, or at another time.
    pub(crate) fn read_store<S>(
        &mut self,
        side: Side,
        session: &mut S,
        now: bool,
        may_fail: bool,
    ) -> Result
    where
        S: Session,
        Happening: From<S::Event>,
    {
        let fails = may_fail && now && self.chance(self.setup.rates.store_failure);
        if let Some(load) = session.poll_load() {
            self.activity += 1;
            self.trace.line(|| format!("{side} reads {load:?}"));
            self.reads[side] = Some(load);
        }
        let Some(load) = self.reads[side].take_if(|_| now) else {
            return Ok(());
        };
        self.activity += 1;
        if fails {
            self.trace.line(|| format!("{side} cannot read {load:?}"));
            session.handle_load_failed();
            return self.settle(side, session);
        }
        let loaded = self.load(side, load);
        session.handle_loaded(self.now, loaded);
        self.settle(side, session)
    }

    /// What a stretch of the disk holds.
    pub(crate) fn load(&mut self, side: Side, load: Load) -> Loaded {
        let mut loaded = self.disks[side].load(load);
        let records = loaded.records.into_iter();
        loaded.records = records
            .filter_map(|record| self.plant.loaded(side, record))
            .collect();
        for record in &mut loaded.records {
            if let Record::Message { message, .. } = record {
                self.payloads[side].count(message);
            }
        }
        self.plant.answered(side, &load, &mut loaded);
        loaded
    }

    /// A batch was not stored.
    fn failed(&mut self, side: Side, batch: &[(Lsn, StoreOp)]) -> Result {
        let upto = batch.last().map_or(0, |(lsn, _)| lsn.0);
        self.trace
            .line(|| format!("{side} store fails a batch up to {upto}"));
        if side == Side::Client || !self.setup.refuse_unstored {
            return Ok(());
        }
        for (lsn, op) in batch {
            if let StoreOp::Put(Record::Received { .. }) = op {
                self.ledgers[side.other()].could_not_store(*lsn)?;
            }
        }
        Ok(())
    }

    /// What a store has committed is known to the ledgers, and has to fit together.
    pub(crate) fn committed(&mut self, side: Side, batch: &[(Lsn, StoreOp)]) -> Result {
        for (lsn, op) in batch {
            self.trace
                .line(|| format!("{side} store has {} {}", lsn.0, trace::operation(op)));
            match op {
                StoreOp::Put(Record::Message { message, .. }) => {
                    let n = number(&message.payload).unwrap_or(u32::MAX);
                    self.ledgers[side].committed(n)?;
                    self.flights[side].unnamed.remove(&n);
                }
                StoreOp::Put(Record::Received { .. }) => {
                    self.ledgers[side.other()].received(*lsn);
                }
                _ => {}
            }
        }
        let mut ids = BTreeMap::new();
        for record in self.disks[side].records() {
            let (Record::Message {
                packet_id: Some(id),
                seq,
                ..
            }
            | Record::Released { packet_id: id, seq }) = record
            else {
                continue;
            };
            // Of one that is done the deletion may still be to come.
            let n = self.numbers[side].get(seq).copied().unwrap_or(u32::MAX);
            if self.ledgers[side].is_over(n) || self.flights[side].unnamed.contains(&n) {
                continue;
            }
            if let Some(other) = ids.insert(*id, n) {
                rule!(
                    false,
                    "the store of the {side} has id {} for #{other} and #{n}",
                    id.get()
                );
            }
        }
        Ok(())
    }

    /// Whether the client need not bear an excess of the server any more.
    pub(crate) fn is_excess_over(&self) -> bool {
        let lasts = self.now.since(self.begun) >= Duration::from_secs(60);
        self.setup.excess > 0 && (self.abandoned || lasts)
    }

    /// Takes a message out of the hands of the client's application, at random, which says nothing to it.
    pub(crate) fn abandon(&mut self) -> Result<Option<Receipt>> {
        let held = &mut self.inbox[Side::Client];
        if held.is_empty() {
            return Ok(None);
        }
        let Held { receipt, n } = held.swap_remove(self.rng.usize(..held.len()));
        self.activity += 1;
        self.abandoned = true;
        self.trace
            .line(|| format!("client abandons #{n} {receipt:?}"));
        self.ledgers[Side::Server].abandons(n, receipt)?;
        Ok(Some(receipt))
    }

    /// Takes a message out of an application's hands, at random, with its answer.
    pub(crate) fn answer(
        &mut self,
        side: Side,
        willing: bool,
    ) -> Result<Option<(Receipt, ReasonCode)>> {
        let held = &mut self.inbox[side];
        if held.is_empty() {
            return Ok(None);
        }
        let at = if willing || self.rng.bool() {
            0
        } else {
            self.rng.usize(..held.len())
        };
        let Held { receipt, n } = held.remove(at);
        let refuses = !willing && self.chance(self.setup.rates.refusal);
        let answer = if refuses {
            self.ledgers[side.other()].refuses(n)?;
            ReasonCode::QuotaExceeded
        } else {
            ReasonCode::Success
        };
        self.activity += 1;
        self.trace
            .line(|| format!("{side} answers #{n} {receipt:?} with {answer}"));
        Ok(Some((receipt, answer)))
    }
}
