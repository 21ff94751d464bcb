//! What a full outbox may drop, what it may hold in memory, and what its counters add up to.

use ohmqtt_session::{LostMessage, OutboxConfig, Overflow, Record, SessionLoss};

use crate::ledger::Ledger;
use crate::side::Side;
use crate::trace::{Result, rule};
use crate::world::World;

/// More than any message of a run has, in bytes.
const LARGEST: usize = 7000;
/// More than what a message and its topic may occupy in an index by topic.
const INDEXED: usize = 192;

/// A message was offered to an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Messages and bytes in the outbox, before and after.
    pub(crate) before: (usize, usize),
    pub(crate) after: (usize, usize),
    pub(crate) size: usize,
    pub(crate) taken: bool,
}

/// Checks what was dropped for it.
pub(crate) fn check(
    side: Side,
    ledger: &mut Ledger,
    config: &OutboxConfig,
    durable: bool,
    offer: Offer,
) -> Result {
    let displaced = ledger.take_displaced();
    if displaced.is_empty() {
        return Ok(());
    }
    let (limits, overflow) = (config.limits, config.overflow);
    let index = match overflow {
        Overflow::KeepNewest => INDEXED * (offer.before.0 + 1),
        _ => 0,
    };
    let full =
        offer.before.0 >= limits.messages || offer.before.1 + offer.size + index > limits.bytes;
    rule!(
        full,
        "the {side} drops {displaced:?} without need: {offer:?}"
    );
    let still_full =
        offer.after.0 >= limits.messages || offer.after.1 + LARGEST + index > limits.bytes;
    rule!(
        still_full,
        "the {side} drops {displaced:?}, more than it needs: {offer:?}"
    );
    // The next one to be dropped may have to be read first.
    rule!(
        offer.taken || durable && overflow == Overflow::DropOldest,
        "the {side} drops {displaced:?} and has no room all the same: {offer:?}"
    );
    for (n, why) in displaced {
        let expected = match overflow {
            Overflow::DropOldest => LostMessage::Dropped,
            _ => LostMessage::Replaced,
        };
        rule!(
            why == expected && overflow != Overflow::Refuse,
            "the {side} loses {n:?} as {why:?} under {overflow:?}"
        );
        let Some(n) = n else { continue };
        if overflow == Overflow::DropOldest {
            let older = ledger.older_unsent(n);
            rule!(
                older.is_none(),
                "the {side} drops #{n}, and {older:?} is older"
            );
        } else {
            rule!(
                ledger.has_newer(n),
                "the {side} drops #{n}, which is the newest on its topic"
            );
        }
    }
    Ok(())
}

impl World {
    /// Once the store has all it was given, memory holds the window and what is under way.
    pub(crate) fn check_memory(&self) -> Result {
        for side in Side::BOTH {
            let context = &self.context;
            let setup = &context.setup;
            if !setup.durable[side]
                || setup.session_loss == SessionLoss::Resend
                || !context.disks[side].is_idle()
            {
                continue;
            }
            let held = context.payloads[side].held();
            let window = setup.outbox[side].window.messages.max(1);
            let mut may = window + context.flights[side].by_id.len() + self.read_back[side];
            if held > may {
                // While a session is read back, what it takes waits.
                may += context.ledgers[side].unrecorded();
            }
            rule!(
                held <= may,
                "the {side} holds {held} payloads in memory, and {may} are in its window or under way"
            );
        }
        Ok(())
    }

    /// How many messages a new process of this side has to read into memory.
    pub(crate) fn to_read_back(&self, side: Side) -> usize {
        let disk = &self.context.disks[side];
        let behind = disk.backlog().map_or(u64::MAX, |backlog| backlog.first);
        let before = disk
            .records()
            .filter(|record| matches!(record, Record::Message { seq, .. } if *seq < behind));
        before.count()
    }

    /// Every message that a client took is counted once, as what became of it, unless others were read back.
    pub(crate) fn check_counters(&self) -> Result {
        let counters = self.client.counters();
        rule!(
            self.restored[Side::Client].0 > 0
                || counters.accepted == counters.delivered + counters.lost(),
            "the client has counted {counters:?}, and nothing is queued"
        );
        Ok(())
    }

    /// Who asks about a message hears at its deadline that it was not sent.
    pub(crate) fn check_deadlines(&self, side: Side) -> Result {
        let context = &self.context;
        let overdue = context.ledgers[side].overdue(context.now, context.setup.durable[side]);
        rule!(
            overdue.is_none(),
            "the {side} has not told that #{} has missed its deadline",
            overdue.unwrap_or_default()
        );
        Ok(())
    }

    /// Somebody stops asking about a message.
    pub(crate) fn forget_ticket(&mut self) -> Result {
        let n = self.context.ledgers[Side::Client].next();
        if n == 0 {
            return Ok(());
        }
        let n = self.context.rng.u32(..n);
        if let Some(ticket) = self.context.ledgers[Side::Client].forgets(n) {
            self.context.trace.line(|| format!("client forgets #{n}"));
            self.client.forget(ticket);
        }
        self.context.settle(Side::Client, &mut self.client)
    }
}
