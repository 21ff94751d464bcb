//! What was accepted and what arrived, and the comparison of the two.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use ohmqtt_client::Qos;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Result;
use crate::line::Line;
use crate::pace::Pace;

/// The lives of a publisher have this many numbers each: the message n of life l is l * `SPAN` + n.
pub(crate) const SPAN: u64 = 1_000_000;

/// How long nothing may happen while something is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a fast redb store may lose, in microseconds.
const LAST_MOMENTS: u64 = 50_000;

/// What the processes of a line have said. Whoever waits for something in it is woken.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: watch::Sender<Entries>,
}

#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Numbers, and when they were accepted, as their publisher said.
    accepted: Vec<(u64, u64)>,
    arrived: HashMap<u64, u64>,
    highest: Option<u64>,
    reordered: u64,
    failed: u64,
    paces: HashMap<u64, Pace>,
    deaths: HashMap<u64, u64>,
    pub(crate) subscribed: bool,
    /// Since the subscriber connected last, a message has come that had not come before.
    pub(crate) settled: bool,
    pub(crate) drained: bool,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            entries: watch::Sender::default(),
        }
    }

    /// Enters what the publisher says in a life.
    pub(crate) fn hear_publisher(&self, life: u64, said: &str) {
        let mut words = said.split(' ');
        let word = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        self.entries
            .send_modify(|entries| match (word, number(), number()) {
                ("accepted", Some(message), Some(at)) => entries.accepted.push((message, at)),
                ("failed", ..) => entries.failed += 1,
                ("drained", ..) => entries.drained = true,
                ("tick", Some(at), _) => entries.paces.entry(life).or_default().tick(at),
                ("call", Some(at), _) => entries.paces.entry(life).or_default().call(at),
                ("answer", Some(at), _) => entries.paces.entry(life).or_default().answer(at),
                _ => {}
            });
    }

    /// Enters what the subscriber says.
    pub(crate) fn hear_subscriber(&self, said: &str) {
        let number = said
            .strip_prefix("arrived ")
            .and_then(|word| word.parse().ok());
        self.entries.send_modify(|entries| match number {
            Some(number) => entries.arrive(number),
            None if said.starts_with("connection ") => entries.settled = false,
            None => entries.subscribed |= said == "subscribed",
        });
    }

    /// Enters the end of a life, in microseconds since the Unix epoch.
    pub(crate) fn death(&self, life: u64, at: u64) {
        self.entries.send_modify(|entries| {
            entries.deaths.insert(life, at);
        });
    }

    /// Waits until it is so.
    ///
    /// # Errors
    /// When there is no progress any more.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        progress: fn(&Entries) -> usize,
        mut is_so: impl FnMut(&Entries) -> bool,
    ) -> Result {
        let mut entries = self.entries.subscribe();
        let mut before = None;
        loop {
            let waited = timeout(PATIENCE, entries.wait_for(&mut is_so)).await;
            if waited.is_ok() {
                return Ok(());
            }
            let now = self.read(progress);
            if before == Some(now) {
                let (accepted, arrived) =
                    (self.read(Entries::accepted), self.read(Entries::arrived));
                return Err(format!(
                    "nothing happens any more while {what} is waited for: {accepted} accepted, {arrived} arrived"
                )
                .into());
            }
            before = Some(now);
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Entries) -> T) -> T {
        read(&self.entries.borrow())
    }
}

impl Entries {
    fn arrive(&mut self, number: u64) {
        let times = self.arrived.entry(number).or_default();
        *times += 1;
        if *times == 1 {
            // Of two that have changed places, one counts.
            self.reordered += u64::from(self.highest > Some(number));
            self.highest = self.highest.max(Some(number));
            self.settled = true;
        }
    }

    pub(crate) fn has_arrived(&self, number: u64) -> bool {
        self.arrived.contains_key(&number)
    }

    /// How many were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// How many are under way, and not lost: the order is kept.
    pub(crate) fn under_way(&self) -> usize {
        let gone = |entry: &(u64, u64)| Some(entry.0) <= self.highest;
        self.accepted.len() - self.accepted.partition_point(gone)
    }

    /// How many have arrived, not counting one twice.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Compares. Unless `last_moments` may be lost, all that is lost is lost without excuse.
    pub(crate) fn tally(&self, last_moments: bool) -> Tally {
        let accepted: HashSet<u64> = self.accepted.iter().map(|(number, _)| *number).collect();
        let lost = || {
            let missing = |entry: &&(u64, u64)| !self.arrived.contains_key(&entry.0);
            self.accepted.iter().filter(missing)
        };
        let excused = |entry: &&(u64, u64)| last_moments && self.is_of_last_moments(**entry);
        let duplicated: u64 = self.arrived.values().map(|times| times - 1).sum();
        Tally {
            accepted: accepted.len() as u64,
            lost: lost().count() as u64,
            lost_earlier: lost().filter(|entry| !excused(entry)).count() as u64,
            first_lost: lost().find(|entry| !excused(entry)).map(|entry| entry.0),
            duplicated,
            reordered: self.reordered,
            failed: self.failed,
        }
    }

    fn is_of_last_moments(&self, (number, at): (u64, u64)) -> bool {
        let life = number / SPAN;
        let Some(death) = self.deaths.get(&life) else {
            return false;
        };
        let slack = self.paces.get(&life).map_or(0, |pace| pace.slack(*death));
        at + LAST_MOMENTS + slack >= *death
    }
}

/// What came out of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    /// Accepted and never arrived.
    pub(crate) lost: u64,
    /// Lost, though it was not in the last moments of its publisher that it was accepted.
    pub(crate) lost_earlier: u64,
    pub(crate) first_lost: Option<u64>,
    /// Arrivals after the first.
    pub(crate) duplicated: u64,
    /// First arrivals behind one that was published later.
    pub(crate) reordered: u64,
    /// Refused by the client, which was never asked for more than it takes.
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn shown(&self, line: Line) -> String {
        let mut shown = format!(
            "accepted={} lost={} duplicated={} reordered={}",
            self.accepted, self.lost, self.duplicated, self.reordered
        );
        if line.may_lose_the_last_moments() {
            let _ = write!(shown, " lost_earlier={}", self.lost_earlier);
        }
        shown
    }

    /// What is not as promised.
    pub(crate) fn fault(&self, line: Line, fewest: u64) -> Option<String> {
        let Self {
            accepted,
            lost_earlier,
            duplicated,
            reordered,
            failed,
            ..
        } = *self;
        if let Some(first) = self.first_lost {
            return Some(format!(
                "{lost_earlier} messages are lost, the first of them {first}"
            ));
        }
        if duplicated > 0 && line.qos == Qos::ExactlyOnce {
            return Some(format!("{duplicated} messages came again at QoS 2"));
        }
        if reordered > 0 {
            return Some(format!("{reordered} messages came out of order"));
        }
        if failed > 0 {
            return Some(format!("{failed} messages were refused"));
        }
        (accepted < fewest)
            .then(|| format!("{accepted} messages prove nothing: fewer than {fewest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Wanted;

    fn line(durability: &str, qos: &str) -> Line {
        let wanted = Wanted {
            store: "redb".parse().ok(),
            durability: durability.parse().ok(),
            qos: qos.parse().ok(),
            broker: "ohmqtt".parse().ok(),
        };
        wanted.lines()[0]
    }

    fn ledger(accepted: &[(u64, u64)], arrived: &[u64]) -> Ledger {
        let ledger = Ledger::new();
        for (number, at) in accepted {
            ledger.hear_publisher(number / SPAN, &format!("accepted {number} {at}"));
        }
        for number in arrived {
            ledger.hear_subscriber(&format!("arrived {number}"));
        }
        ledger
    }

    fn check(accepted: &[u64], arrived: &[u64], want: &str, fault: Option<&str>) {
        let accepted: Vec<_> = accepted.iter().map(|number| (*number, 0)).collect();
        let tally = ledger(&accepted, arrived).read(|entries| entries.tally(false));
        let line = line("safe", "2");
        assert_eq!(tally.shown(line), want);
        assert_eq!(tally.fault(line, 3).as_deref(), fault);
    }

    #[test]
    fn all_once_and_in_order_is_as_promised() {
        let want = "accepted=3 lost=0 duplicated=0 reordered=0";
        check(&[0, 1, 2], &[0, 1, 2], want, None);
        // What was accepted by a publisher that could not say so any more.
        check(&[0, 1, 1_000_000], &[0, 1, 2, 1_000_000], want, None);
    }

    #[test]
    fn what_is_lost_is_not_under_way() {
        let accepted: Vec<_> = (0..10).map(|number| (number, 0)).collect();
        let under_way = |arrived| ledger(&accepted, arrived).read(Entries::under_way);
        assert_eq!(under_way(&[]), 10);
        assert_eq!(under_way(&[0, 1, 5]), 4);
        assert_eq!(under_way(&[9]), 0);
    }

    #[test]
    fn what_is_not_as_promised_is_told() {
        check(
            &[0, 1, 2],
            &[0, 2],
            "accepted=3 lost=1 duplicated=0 reordered=0",
            Some("1 messages are lost, the first of them 1"),
        );
        check(
            &[0, 1, 2],
            &[0, 1, 0, 1, 2],
            "accepted=3 lost=0 duplicated=2 reordered=0",
            Some("2 messages came again at QoS 2"),
        );
        check(
            &[0, 1, 2],
            &[1, 0, 2],
            "accepted=3 lost=0 duplicated=0 reordered=1",
            Some("1 messages came out of order"),
        );
        check(
            &[0, 1],
            &[0, 1],
            "accepted=2 lost=0 duplicated=0 reordered=0",
            Some("2 messages prove nothing: fewer than 3"),
        );
    }

    #[test]
    fn a_message_may_come_again_at_qos_1() {
        let tally = ledger(&[(0, 0), (1, 0)], &[0, 1, 0]).read(|entries| entries.tally(false));
        assert_eq!(tally.fault(line("safe", "1"), 0), None);
    }

    #[test]
    fn a_fast_redb_store_may_lose_the_last_moments_of_a_life_only() {
        let accepted = [(0, 1_000_000), (1, 1_051_000), (SPAN, 2_000_000)];
        let ledger = ledger(&accepted, &[SPAN]);
        ledger.death(0, 1_101_000);
        ledger.hear_publisher(0, "tick 1098000");
        let line = line("fast", "1");
        let tally = ledger.read(|entries| entries.tally(true));
        assert_eq!(
            tally.shown(line),
            "accepted=3 lost=2 duplicated=0 reordered=0 lost_earlier=1"
        );
        assert_eq!(
            tally.fault(line, 0).as_deref(),
            Some("1 messages are lost, the first of them 0")
        );
        // The store took long.
        ledger.hear_publisher(0, "call 1000000");
        ledger.hear_publisher(0, "answer 1027000");
        let tally = ledger.read(|entries| entries.tally(true));
        assert_eq!(tally.fault(line, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_in_vain_is_told() {
        let ledger = ledger(&[(0, 0)], &[]);
        let error = ledger
            .wait_for("message 0", Entries::arrived, |entries| {
                entries.has_arrived(0)
            })
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing happens any more while message 0 is waited for: 1 accepted, 0 arrived"
        );
        ledger.hear_subscriber("arrived 0");
        let is_there = ledger.wait_for("message 0", Entries::arrived, |entries| {
            entries.has_arrived(0)
        });
        assert!(is_there.await.is_ok());
    }
}
