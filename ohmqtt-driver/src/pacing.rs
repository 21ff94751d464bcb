//! When a driver rests, so that what would come and go in many small pieces comes and goes in few: a wake-up, a read and a write of the
//! kernel cost more than most packets.
//!
//! Nothing in here waits, and no rule of MQTT is in here. Reads rest while many answers are due and come one by one; calls of others
//! do not wake the driver while reads rest, or while each of many calls had a write of its own. A rest is short, and one that brought less
//! than the pieces before it promised, or took too much of what was due, is the last for a while: so whoever waits for one answer
//! before the next question never meets one.

use std::time::Duration;

use ohmqtt_session::Instant;

/// How long a rest is at least. The timer ticks in milliseconds, which makes it about one.
pub(crate) const REST: Duration = Duration::from_micros(REST_MICROS);
const REST_MICROS: u64 = 200;
/// So many calls wake the driver out of a rest.
pub(crate) const CALLS: u32 = 64;
/// So many answers must be due for reads to rest: fewer are what somebody may be waiting for.
const DEEP: usize = 64;
/// A rest that takes more of what is due than one in so many would soon leave the other side without work.
const SHARE: usize = 2;
/// So many pieces follow each other before the first rest.
const RUN: u32 = 16;
/// Pieces that are read further apart than this do not: a rest would gather too few of them. Nor do writes that are further apart than
/// this: fewer messages than that a second are not worth the time that the rest takes each of them.
const APART: Duration = Duration::from_micros(250);
const WRITES_APART: Duration = Duration::from_micros(50);
/// A write of more bytes is no small one.
const SMALL: usize = 4 * 1024;
/// How long there is no rest after one that was of no use, and how long after many of them: each time twice as long.
const OFF: Duration = Duration::from_millis(10);
const LONG_OFF: Duration = Duration::from_millis(640);

/// The pace of one stream.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    reads: Flow,
    writes: Flow,
}

impl Pacing {
    /// Packets were read, while so many answers were due.
    pub(crate) fn heard(&mut self, now: Instant, packets: u64, due: usize) {
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        let share = usize::try_from(packets).unwrap_or(usize::MAX);
        let much = share.saturating_mul(SHARE) > due;
        // Who is answered is not only talking: the next write may be what the answer was waited for.
        self.writes.ends();
        if due < DEEP || much {
            self.reads.breaks_off(now);
        } else {
            self.reads.note(now, packets, APART);
        }
    }

    /// Packets were written, all that there were.
    pub(crate) fn wrote(&mut self, now: Instant, packets: u64, bytes: usize) {
        if bytes > SMALL && self.writes.until.is_none() {
            self.writes.ends();
        } else {
            let packets = u32::try_from(packets).unwrap_or(u32::MAX);
            self.writes.note(now, packets, WRITES_APART);
        }
    }

    /// Until when nothing is to be read. Never beyond this deadline, behind which it would matter what stands unread.
    pub(crate) fn reads_rest(&self, now: Instant, deadline: Option<Instant>) -> Option<Instant> {
        let until = self.reads.until.filter(|until| *until > now)?;
        deadline
            .is_none_or(|deadline| deadline > until + REST)
            .then_some(until)
    }

    /// Until when calls are not to wake the driver.
    pub(crate) fn calls_rest(&self, now: Instant) -> Option<Instant> {
        self.writes.until.filter(|until| *until > now)
    }
}

/// Pieces in one direction.
#[derive(Debug, Default)]
struct Flow {
    /// How many came soon after each other, with how many packets, and when the first and the last of them did.
    run: u32,
    packets: u32,
    first: Option<Instant>,
    last: Option<Instant>,
    /// The end of a rest that goes on, or whose harvest has not been seen.
    until: Option<Instant>,
    /// What a rest must bring to be worth it.
    worth: u32,
    off: Duration,
    off_until: Option<Instant>,
}

impl Flow {
    /// A piece came, or what a rest has gathered.
    fn note(&mut self, now: Instant, packets: u32, apart: Duration) {
        match self.until {
            Some(until) if until > now => {}
            Some(_) if packets >= self.worth => {
                self.until = Some(now + REST);
                self.off = Duration::ZERO;
            }
            Some(_) => self.breaks_off(now),
            None => self.run(now, packets, apart),
        }
    }

    fn run(&mut self, now: Instant, packets: u32, apart: Duration) {
        let soon = self.last.is_some_and(|last| now.since(last) <= apart);
        let first = *self.first.filter(|_| soon).get_or_insert(now);
        (self.first, self.last) = (Some(first), Some(now));
        if !soon {
            (self.run, self.packets) = (0, 0);
            return;
        }
        self.run += 1;
        self.packets = self.packets.saturating_add(packets);
        if self.run < RUN || self.off_until.is_some_and(|off| off > now) {
            return;
        }
        // What comes in such a time without a rest, and never so few that it makes no difference.
        let took = u64::try_from(now.since(first).as_micros()).unwrap_or(u64::MAX);
        let come = u64::from(self.packets) * REST_MICROS / took.max(1);
        self.worth = u32::try_from(come).unwrap_or(u32::MAX).clamp(4, CALLS);
        self.until = Some(now + REST);
    }

    /// The run has ended.
    fn ends(&mut self) {
        (self.run, self.packets) = (0, 0);
        self.first = None;
        self.last = None;
        self.until = None;
    }

    /// So has the rest, if there was one, and it was not worth it.
    fn breaks_off(&mut self, now: Instant) {
        if self.until.is_some() {
            self.off = (self.off * 2).clamp(OFF, LONG_OFF);
            self.off_until = Some(now + self.off);
        }
        self.ends();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_micros(20);

    fn start() -> Instant {
        Instant::from_unix_micros(1_000_000)
    }

    /// Answers that come one by one while so many are due; the moment of the last.
    fn heard_one_by_one(pacing: &mut Pacing, from: Instant, times: u32, due: usize) -> Instant {
        let mut now = from;
        for _ in 0..times {
            now = now + GAP;
            pacing.heard(now, 1, due);
        }
        now
    }

    #[test]
    fn reads_rest_once_many_answers_came_one_by_one_while_many_are_due() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), RUN, 1_000);
        assert_eq!(pacing.reads_rest(now, None), None);
        let now = heard_one_by_one(&mut pacing, now, 1, 1_000);
        assert_eq!(pacing.reads_rest(now, None), Some(now + REST));
    }

    #[test]
    fn a_rest_has_an_end_and_goes_on_only_if_it_was_worth_it() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), RUN + 1, 1_000);
        let now = now + REST;
        assert_eq!(pacing.reads_rest(now, None), None);
        pacing.heard(now, 30, 1_000);
        assert_eq!(pacing.reads_rest(now, None), Some(now + REST));
        let now = now + REST;
        pacing.heard(now, 3, 1_000);
        assert_eq!(pacing.reads_rest(now, None), None);
    }

    #[test]
    fn a_rest_of_no_use_is_the_last_for_a_while_and_the_next_for_longer() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for off in [10, 20, 40, 80, 160, 320, 640, 640].map(Duration::from_millis) {
            now = heard_one_by_one(&mut pacing, now, RUN + 1, 1_000) + REST;
            pacing.heard(now, 3, 1_000);
            let broke_off = now;
            // Those that follow at once begin none, and neither do those just before the end.
            for after in [Duration::ZERO, off.saturating_sub(GAP * (2 * RUN + 1))] {
                now = heard_one_by_one(&mut pacing, broke_off + after, 2 * RUN, 1_000);
                assert_eq!(pacing.reads_rest(now, None), None);
            }
            now = broke_off + off + APART;
        }
        now = heard_one_by_one(&mut pacing, now, RUN + 1, 1_000) + REST;
        pacing.heard(now, 100, 1_000);
        assert_eq!(pacing.reads_rest(now, None), Some(now + REST));
        // One that is worth it makes up for those before it.
        pacing.heard(now + REST, 3, 1_000);
        now = heard_one_by_one(&mut pacing, now + REST + OFF, RUN + 1, 1_000);
        assert_eq!(pacing.reads_rest(now, None), Some(now + REST));
    }

    #[test]
    fn a_shallow_window_has_no_rest() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), 10_000, DEEP - 1);
        assert_eq!(pacing.reads_rest(now, None), None);
    }

    #[test]
    fn a_rest_ends_with_a_window_that_gets_shallow() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), RUN + 1, 1_000);
        pacing.heard(now + REST, 10, DEEP - 1);
        assert_eq!(pacing.reads_rest(now + REST, None), None);
    }

    #[test]
    fn a_rest_that_takes_much_of_what_is_due_is_the_last_for_a_while() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), RUN + 1, 100) + REST;
        pacing.heard(now, 51, 100);
        assert_eq!(pacing.reads_rest(now, None), None);
        let now = heard_one_by_one(&mut pacing, now, 2 * RUN, 100);
        assert_eq!(pacing.reads_rest(now, None), None);
    }

    #[test]
    fn answers_that_come_together_have_no_rest() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..100 {
            now = now + GAP;
            pacing.heard(now, 501, 1_000);
            assert_eq!(pacing.reads_rest(now, None), None);
        }
    }

    #[test]
    fn answers_that_come_slowly_have_no_rest() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..100 {
            now = now + APART + GAP;
            pacing.heard(now, 1, 1_000);
            assert_eq!(pacing.reads_rest(now, None), None);
        }
    }

    #[test]
    fn a_rest_keeps_away_from_the_deadline() {
        let mut pacing = Pacing::default();
        let now = heard_one_by_one(&mut pacing, start(), RUN + 1, 1_000);
        assert_eq!(pacing.reads_rest(now, Some(now + 2 * REST)), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(pacing.reads_rest(now, Some(later)), Some(now + REST));
    }

    #[test]
    fn calls_rest_once_each_of_many_had_a_write() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..RUN {
            now = now + GAP;
            pacing.wrote(now, 1, 280);
            assert_eq!(pacing.calls_rest(now), None);
        }
        now = now + GAP;
        pacing.wrote(now, 1, 280);
        assert_eq!(pacing.calls_rest(now), Some(now + REST));
        // As long as they bring something: here more than one small write would hold.
        now = now + REST;
        pacing.wrote(now, u64::from(CALLS), 64 * 280);
        assert_eq!(pacing.calls_rest(now), Some(now + REST));
        now = now + REST;
        pacing.wrote(now, 1, 280);
        assert_eq!(pacing.calls_rest(now), None);
    }

    #[test]
    fn calls_that_come_slowly_have_no_rest() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..100 {
            now = now + WRITES_APART + GAP;
            pacing.wrote(now, 1, 280);
            assert_eq!(pacing.calls_rest(now), None);
        }
    }

    #[test]
    fn who_is_answered_after_each_write_never_waits() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..10_000 {
            now = now + GAP;
            pacing.wrote(now, 1, 280);
            assert_eq!(pacing.calls_rest(now), None);
            now = now + GAP;
            pacing.heard(now, 1, 1);
            assert_eq!(pacing.reads_rest(now, None), None);
        }
    }

    #[test]
    fn large_writes_are_no_run() {
        let mut pacing = Pacing::default();
        let mut now = start();
        for _ in 0..100 {
            now = now + GAP;
            pacing.wrote(now, 1, SMALL + 1);
            assert_eq!(pacing.calls_rest(now), None);
        }
    }
}
