//! What each side's application was promised, and what came of it: one entry for each message that was published.

use std::collections::BTreeMap;

use ohmqtt_codec::{PacketId, Qos, ReasonCode};
use ohmqtt_session::{Instant, LostMessage, Lsn, Receipt, SessionLoss, Ticket};

use crate::side::Side;
use crate::trace::{Result, rule};

/// All messages of one sender, by their numbers.
#[derive(Debug)]
pub(crate) struct Ledger {
    sender: Side,
    entries: Vec<Entry>,
    /// By QoS, the highest number that has arrived.
    latest: [Option<u32>; 3],
    /// QoS 2 messages that the receiver has and may forget in a crash.
    tentative: BTreeMap<PacketId, u32>,
    /// By the number of the operation that makes them certain: which of those.
    taken: BTreeMap<Lsn, (PacketId, u32)>,
    /// Of those, the ones that the receiving application could not store, and so has not.
    unstored: BTreeMap<Lsn, (PacketId, u32)>,
    /// What was dropped to make room, since that was asked.
    displaced: Vec<(Option<u32>, LostMessage)>,
    /// Losses reported of messages without a ticket, and deletions of records that only such a loss explains.
    unnamed: u32,
    unexplained: u32,
}

/// One message.
#[derive(Debug)]
struct Entry {
    qos: Qos,
    topic: String,
    /// The sender's process that accepted it still runs and gave it a ticket.
    ticketed: bool,
    /// Nobody asks about it any more.
    forgotten: bool,
    /// When it is not to be sent any more, and when somebody who asks is to be told so.
    over: Option<Instant>,
    deadline: Option<Instant>,
    /// Its record was committed once.
    committed: bool,
    /// It may not arrive any more: it was never accepted.
    dead: bool,
    accepted: bool,
    sent: bool,
    /// The last acknowledgement has come.
    ended: bool,
    told: Option<Told>,
    seen: bool,
    /// How often the receiving application has it.
    held: u32,
    refused: bool,
    /// What the receiving application was to acknowledge it by when it got it last; and that it has let go of that without a word.
    receipt: Option<Receipt>,
    abandoned: bool,
    /// The side that keeps the session threw it away.
    gone: bool,
    may_double: bool,
    /// A process of the sender ended, and another read it back.
    restored: bool,
    /// Its record was asked to be removed, and this is explained.
    deleted: bool,
}

/// How the sender's application heard of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Sent,
    Acked,
    Lost(LostMessage),
}

impl Entry {
    /// It is not in the outbox, or need not be.
    fn is_void(&self) -> bool {
        self.dead || self.gone || self.deleted
    }
}

impl Ledger {
    pub(crate) fn new(sender: Side) -> Self {
        Self {
            sender,
            entries: Vec::new(),
            latest: [None; 3],
            tentative: BTreeMap::new(),
            taken: BTreeMap::new(),
            unstored: BTreeMap::new(),
            displaced: Vec::new(),
            unnamed: 0,
            unexplained: 0,
        }
    }

    /// The number of the next message.
    pub(crate) fn next(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The session took the message.
    pub(crate) fn submit(&mut self, qos: Qos, topic: &str, ticketed: bool) {
        self.entries.push(Entry {
            qos,
            topic: topic.to_owned(),
            ticketed,
            forgotten: false,
            over: None,
            deadline: None,
            committed: false,
            dead: false,
            accepted: false,
            sent: false,
            ended: false,
            told: None,
            seen: false,
            held: 0,
            refused: false,
            receipt: None,
            abandoned: false,
            gone: false,
            may_double: false,
            restored: false,
            deleted: false,
        });
    }

    /// The message that was submitted last is not to be sent any more from `over` on.
    pub(crate) fn limit(&mut self, over: Option<Instant>, deadline: Option<Instant>) {
        if let Some(entry) = self.entries.last_mut() {
            (entry.over, entry.deadline) = (over, deadline);
        }
    }

    /// Nobody asks about this message any more, if anybody did.
    pub(crate) fn forgets(&mut self, n: u32) -> Option<Ticket> {
        let entry = self.entries.get_mut(usize::try_from(n).ok()?)?;
        if !entry.ticketed {
            return None;
        }
        entry.forgotten = true;
        Some(Ticket(u64::from(n) + 1))
    }

    pub(crate) fn take_displaced(&mut self) -> Vec<(Option<u32>, LostMessage)> {
        std::mem::take(&mut self.displaced)
    }

    /// A message that was accepted before this one and waits to be sent.
    pub(crate) fn older_unsent(&self, n: u32) -> Option<usize> {
        let older = self.entries.iter().take(usize::try_from(n).ok()?);
        older.enumerate().find_map(|(n, entry)| {
            let waits = !entry.sent && entry.told.is_none() && !entry.ended && !entry.is_void();
            let known = entry.ticketed && !entry.forgotten || entry.committed && !entry.restored;
            (waits && known).then_some(n)
        })
    }

    /// How many messages of QoS 1 and 2 have no record yet, as far as is known.
    pub(crate) fn unrecorded(&self) -> usize {
        let entries = self.entries.iter().filter(|entry| {
            let waits = !entry.committed && entry.told.is_none() && !entry.is_void();
            waits && entry.qos != Qos::AtMostOnce
        });
        entries.count()
    }

    /// Whether a later message has the topic of this one.
    pub(crate) fn has_newer(&self, n: u32) -> bool {
        let Some(n) = usize::try_from(n).ok() else {
            return false;
        };
        let topic = self.entries.get(n).map(|entry| &entry.topic);
        let later = self.entries.iter().skip(n + 1);
        later
            .map(|entry| &entry.topic)
            .any(|other| Some(other) == topic)
    }

    /// A message that somebody asks about, that has missed its deadline, and of which nothing was told.
    pub(crate) fn overdue(&self, now: Instant, durable: bool) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.deadline.is_some_and(|deadline| deadline <= now)
                && entry.ticketed
                && !entry.forgotten
                && !entry.sent
                && entry.told.is_none()
                && (entry.accepted || !durable)
        })
    }

    /// The session did not take it: no event may come of it. Called behind `submit`.
    pub(crate) fn withdraw(&mut self) -> Result {
        let entry = self.entries.pop();
        rule!(
            entry.is_some_and(|entry| entry.told.is_none()),
            "an event about a message that was rejected"
        );
        Ok(())
    }

    fn entry(&mut self, n: u32, what: &str) -> Result<&mut Entry> {
        let sender = self.sender;
        let entry = usize::try_from(n)
            .ok()
            .and_then(|n| self.entries.get_mut(n));
        entry.ok_or_else(|| {
            crate::trace::Failure(format!("{what} #{n}, which the {sender} never accepted"))
        })
    }

    fn ticketed(&mut self, ticket: Ticket, what: &str) -> Result<&mut Entry> {
        let n = number_of(ticket).unwrap_or(u32::MAX);
        let entry = self.entry(n, what)?;
        rule!(
            entry.ticketed,
            "{what} #{n}, whose ticket died with its process"
        );
        if let Some(told) = entry.told {
            rule!(false, "{what} #{n} after it was told to be {told:?}");
        }
        Ok(entry)
    }

    pub(crate) fn told_accepted(&mut self, ticket: Ticket) -> Result {
        let entry = self.ticketed(ticket, "accepted event of")?;
        rule!(entry.committed, "{ticket:?} accepted before it was stored");
        rule!(!entry.accepted, "{ticket:?} accepted twice");
        entry.accepted = true;
        Ok(())
    }

    pub(crate) fn told_sent(&mut self, ticket: Ticket) -> Result {
        if is_unnamed(ticket) {
            return Ok(());
        }
        if ticket == Ticket::RESTORED {
            return Ok(());
        }
        let entry = self.ticketed(ticket, "sent event of")?;
        if entry.qos == Qos::AtMostOnce {
            entry.told = Some(Told::Sent);
        }
        Ok(())
    }

    pub(crate) fn told_acked(&mut self, ticket: Ticket, reason: ReasonCode) -> Result {
        if is_unnamed(ticket) {
            return Ok(());
        }
        if ticket == Ticket::RESTORED {
            return Ok(());
        }
        let entry = self.ticketed(ticket, "acked event of")?;
        rule!(
            entry.ended,
            "{ticket:?} acked before an acknowledgement came"
        );
        rule!(
            !reason.is_error() || entry.refused,
            "{ticket:?} acked with {reason}, which nobody said"
        );
        rule!(
            entry.seen,
            "{ticket:?} acked and never handed to the application"
        );
        entry.told = Some(Told::Acked);
        Ok(())
    }

    pub(crate) fn told_lost(
        &mut self,
        ticket: Ticket,
        why: LostMessage,
        policy: SessionLoss,
    ) -> Result<Option<u32>> {
        if matches!(why, LostMessage::Dropped | LostMessage::Replaced) {
            let n = number_of(ticket).filter(|_| !is_unnamed(ticket));
            self.displaced.push((n, why));
        }
        if is_unnamed(ticket) {
            self.unnamed += 1;
            return Ok(None);
        }
        let entry = self.ticketed(ticket, "lost event of")?;
        match why {
            LostMessage::SessionLost => rule!(
                entry.sent || policy == SessionLoss::Clear,
                "{ticket:?} lost with its session, and was never sent"
            ),
            LostMessage::StoreFailed => rule!(
                !entry.accepted,
                "{ticket:?} lost to the store after it was accepted"
            ),
            LostMessage::Offline => rule!(
                entry.qos == Qos::AtMostOnce,
                "{ticket:?} lost for want of a connection"
            ),
            _ => {}
        }
        entry.told = Some(Told::Lost(why));
        Ok(number_of(ticket))
    }

    /// The record of a message was committed.
    pub(crate) fn committed(&mut self, n: u32) -> Result {
        self.entry(n, "record of")?.committed = true;
        Ok(())
    }

    /// The sender wants the record of a message removed.
    pub(crate) fn deletes(&mut self, n: u32) -> Result {
        let entry = self.entry(n, "deletion of")?;
        let known = entry.deleted || entry.ended || matches!(entry.told, Some(Told::Lost(_)));
        entry.deleted = true;
        if known {
            return Ok(());
        }
        rule!(
            !entry.ticketed || entry.forgotten,
            "the record of #{n} is deleted before it is acknowledged"
        );
        self.unexplained += 1;
        rule!(
            self.unexplained <= self.unnamed,
            "the record of #{n} is deleted before it is acknowledged, and no loss is reported"
        );
        Ok(())
    }

    /// A PUBLISH leaves, for the first time under its identifier if it is `new`.
    pub(crate) fn leaves(
        &mut self,
        n: u32,
        qos: Qos,
        (new, dup): (bool, bool),
        now: Instant,
    ) -> Result {
        let entry = self.entry(n, "PUBLISH of")?;
        // 3.3.2.3.3: what was sent before, as far as is known, does not expire any more.
        rule!(
            dup || entry.sent || entry.over.is_none_or(|over| now < over),
            "#{n} is sent for the first time when it has missed its deadline"
        );
        rule!(entry.qos == qos, "#{n} is sent with {qos:?}");
        rule!(!entry.dead, "#{n} is sent, and was never accepted");
        rule!(
            !matches!(entry.told, Some(Told::Lost(_))),
            "#{n} is sent after it was reported {:?}",
            entry.told
        );
        // 3.3.1.1: DUP tells of an earlier attempt, or what may be one.
        rule!(
            !new || !dup || entry.restored,
            "#{n} goes for the first time with DUP 1"
        );
        rule!(!entry.ended, "#{n} goes again after it was acknowledged");
        entry.sent = true;
        Ok(())
    }

    pub(crate) fn was_sent(&self, n: u32) -> bool {
        let entry = usize::try_from(n).ok().and_then(|n| self.entries.get(n));
        entry.is_some_and(|entry| entry.sent)
    }

    /// The message is done, or given up.
    pub(crate) fn is_over(&self, n: u32) -> bool {
        let entry = usize::try_from(n).ok().and_then(|n| self.entries.get(n));
        entry.is_some_and(|entry| {
            entry.ended || entry.deleted || matches!(entry.told, Some(Told::Lost(_)))
        })
    }

    /// A new process of the sender reads the message back: what the old one knew of its end is not known.
    pub(crate) fn restored(&mut self, n: u32) -> Result {
        let entry = self.entry(n, "record of")?;
        // One that was given up and comes back may arrive or be given up again.
        entry.gone |= entry.deleted;
        (entry.restored, entry.ended, entry.deleted) = (true, false, false);
        if let Some(Told::Lost(_)) = entry.told.take() {
            entry.gone = true;
        }
        Ok(())
    }

    /// The last acknowledgement of a message has come to its sender.
    pub(crate) fn ends(&mut self, n: u32) -> Result {
        self.entry(n, "acknowledgement of")?.ended = true;
        Ok(())
    }

    /// The receiver hands a message to its application.
    pub(crate) fn arrives(
        &mut self,
        n: u32,
        qos: Qos,
        topic: &str,
        id: Option<PacketId>,
        may_crash: bool,
    ) -> Result {
        let latest = self.latest[usize::from(u8::from(qos))];
        let entry = self.entry(n, "arrival of")?;
        rule!(entry.qos == qos, "#{n} arrives with {qos:?}");
        rule!(
            entry.topic == topic,
            "#{n} was published to '{}' and arrives from '{topic}'",
            entry.topic
        );
        rule!(!entry.dead, "#{n} arrives, and was never accepted");
        rule!(entry.sent, "#{n} arrives, and was never sent");
        rule!(
            qos != Qos::AtMostOnce || entry.held == 0,
            "#{n} at QoS 0 is delivered twice"
        );
        rule!(
            qos != Qos::ExactlyOnce || entry.held == 0 || entry.may_double,
            "#{n} at QoS 2 is delivered twice"
        );
        entry.held += 1;
        if !entry.seen {
            entry.seen = true;
            // One that was reported lost before a crash may still come, late.
            rule!(
                entry.gone || latest.is_none_or(|latest| latest < n),
                "#{n} arrives for the first time after #{}",
                latest.unwrap_or_default()
            );
            self.latest[usize::from(u8::from(qos))] = latest.max(Some(n));
        }
        if let Some(id) = id.filter(|_| qos == Qos::ExactlyOnce && may_crash) {
            self.tentative.insert(id, n);
        }
        Ok(())
    }

    /// It is to be acknowledged by this, however often it came before.
    pub(crate) fn handed_over(&mut self, n: u32, receipt: Option<Receipt>) {
        let entry = usize::try_from(n).ok();
        if let Some(entry) = entry.and_then(|n| self.entries.get_mut(n)) {
            (entry.receipt, entry.abandoned) = (receipt, false);
        }
    }

    /// The receiving application lets go of a message without a word: it does not have it, and is to get it again.
    pub(crate) fn abandons(&mut self, n: u32, receipt: Receipt) -> Result {
        let entry = self.entry(n, "abandoning of")?;
        entry.held = entry.held.saturating_sub(1);
        // What came again since is another matter.
        entry.abandoned |= entry.receipt == Some(receipt);
        self.tentative.retain(|_, tentative| *tentative != n);
        Ok(())
    }

    /// An acknowledgement of this message leaves.
    pub(crate) fn acknowledges(&mut self, n: u32) -> Result {
        let entry = self.entry(n, "acknowledgement of")?;
        rule!(
            !entry.abandoned,
            "#{n} is acknowledged, and the application has abandoned it"
        );
        Ok(())
    }

    /// The receiver asks its store to know that this identifier was received.
    pub(crate) fn takes(&mut self, lsn: Lsn, id: PacketId) {
        if let Some(n) = self.tentative.get(&id) {
            self.taken.insert(lsn, (id, *n));
        }
    }

    /// The receiver's store knows it.
    pub(crate) fn received(&mut self, lsn: Lsn) {
        if let Some((id, n)) = self.taken.remove(&lsn)
            && self.tentative.get(&id) == Some(&n)
        {
            self.tentative.remove(&id);
        }
        // The same operation failed when it was asked for first.
        if let Some((_, n)) = self.unstored.remove(&lsn)
            && let Ok(entry) = self.entry(n, "message")
        {
            entry.held += 1;
        }
    }

    /// The receiving application could not store a message and its identifier in one: it does not have it.
    pub(crate) fn could_not_store(&mut self, lsn: Lsn) -> Result {
        if let Some((id, n)) = self.taken.remove(&lsn) {
            self.tentative.remove(&id);
            self.unstored.insert(lsn, (id, n));
            let entry = self.entry(n, "message")?;
            entry.held = entry.held.saturating_sub(1);
            entry.refused = true;
        }
        Ok(())
    }

    /// The receiving application gave the message back with an error.
    pub(crate) fn refuses(&mut self, n: u32) -> Result {
        let entry = self.entry(n, "refusal of")?;
        entry.refused = true;
        entry.held = entry.held.saturating_sub(1);
        self.tentative.retain(|_, tentative| *tentative != n);
        Ok(())
    }

    /// The receiver's process ended: what its application held without a record it does not have any more.
    pub(crate) fn receiver_crashed(&mut self) -> Result {
        self.taken.clear();
        self.unstored.clear();
        for n in std::mem::take(&mut self.tentative).into_values() {
            let entry = self.entry(n, "message")?;
            entry.held = entry.held.saturating_sub(1);
        }
        Ok(())
    }

    /// The receiver's identifiers mean nothing any more.
    pub(crate) fn receiver_forgot(&mut self) {
        self.tentative.clear();
        self.taken.clear();
        self.unstored.clear();
    }

    /// The sender's process ended: what was not committed was never accepted, and tickets are gone.
    pub(crate) fn sender_crashed(&mut self, durable: bool) {
        for entry in &mut self.entries {
            entry.ticketed = false;
            if durable && !entry.committed && entry.qos != Qos::AtMostOnce {
                entry.dead = true;
            }
            entry.gone |= !durable || entry.qos == Qos::AtMostOnce;
        }
    }

    /// The session was thrown away at the side that sends these: what is not finished may never arrive.
    pub(crate) fn gone(&mut self) {
        for entry in &mut self.entries {
            entry.gone = true;
            entry.ticketed = false;
        }
    }

    /// What is under way when the session is lost may arrive twice.
    pub(crate) fn sent_anew(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.sent) {
            entry.may_double = true;
        }
    }

    /// At the end of a run in which all could be delivered.
    pub(crate) fn finish(&self) -> Result {
        let sender = self.sender;
        let mut unnamed = 0;
        for (n, entry) in self.entries.iter().enumerate() {
            let explained = entry.dead
                || entry.held > 0
                || entry.refused
                || entry.gone
                || matches!(entry.told, Some(Told::Lost(_)));
            if entry.ticketed && !entry.forgotten {
                rule!(
                    entry.told.is_some(),
                    "the {sender} never heard what became of #{n}"
                );
            }
            if entry.qos == Qos::AtMostOnce || explained {
                continue;
            }
            rule!(
                !entry.ticketed || entry.forgotten,
                "#{n} of the {sender} at {:?} is lost: {entry:?}",
                entry.qos
            );
            unnamed += 1;
            rule!(
                unnamed <= self.unnamed,
                "#{n} of the {sender} at {:?} is lost, and no loss is reported: {entry:?}",
                entry.qos
            );
        }
        Ok(())
    }
}

/// Nobody asked for events of the message, or whoever did is gone with its process.
fn is_unnamed(ticket: Ticket) -> bool {
    ticket == Ticket::NONE || ticket == Ticket::RESTORED
}

fn number_of(ticket: Ticket) -> Option<u32> {
    u32::try_from(ticket.0.wrapping_sub(1)).ok()
}
