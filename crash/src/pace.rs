//! How late things run in a publisher, as it says itself: what may come on top of the 50 milliseconds in which a fast store makes safe
//! what was written.

use std::collections::VecDeque;

/// How often a publisher says that it lives, in microseconds.
pub(crate) const TICK: u64 = 5_000;

/// How long before its death a publisher's lateness counts, in microseconds.
const RECENT: u64 = 500_000;

/// What a publisher has said of its times, in microseconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    ticks: VecDeque<u64>,
    /// Calls of the store: begin and end.
    calls: VecDeque<(u64, Option<u64>)>,
}

impl Pace {
    /// It lived then. It says so from a thread that does nothing else, each `TICK`.
    pub(crate) fn tick(&mut self, at: u64) {
        while self.ticks.front().is_some_and(|old| *old + RECENT < at) {
            self.ticks.pop_front();
        }
        self.ticks.push_back(at);
    }

    /// It called the store.
    pub(crate) fn call(&mut self, at: u64) {
        while self
            .calls
            .front()
            .is_some_and(|(old, _)| *old + RECENT < at)
        {
            self.calls.pop_front();
        }
        self.calls.push_back((at, None));
    }

    /// The store answered.
    pub(crate) fn answer(&mut self, at: u64) {
        if let Some((_, end)) = self.calls.back_mut() {
            *end = Some(at);
        }
    }

    /// How late, in microseconds, it may have been with making something safe when it died: a thread that was woken late, a call of
    /// the store that was under way, and the call that makes it safe.
    pub(crate) fn slack(&self, death: u64) -> u64 {
        let recent = death.saturating_sub(RECENT);
        let ends = self.ticks.iter().copied().skip(1).chain([death]);
        let gaps = self.ticks.iter().zip(ends);
        let woken_late = gaps.map(|(begin, end)| end.saturating_sub(*begin).saturating_sub(TICK));
        let calls = self.calls.iter().filter(|(begin, _)| *begin >= recent);
        let call = calls.map(|(begin, end)| end.unwrap_or(death).saturating_sub(*begin));
        woken_late.max().unwrap_or_default() + 2 * call.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slack_is_the_longest_silence_and_two_calls_of_the_store() {
        let mut pace = Pace::default();
        for at in [1_000_000, 1_005_000, 1_012_000, 1_017_000] {
            pace.tick(at);
        }
        assert_eq!(pace.slack(1_018_000), 2_000);
        pace.call(1_006_000);
        pace.answer(1_006_300);
        assert_eq!(pace.slack(1_018_000), 2_600);
        // What is under way at the end counts as far as it went, and so does silence.
        pace.call(1_017_000);
        assert_eq!(pace.slack(1_018_000), 4_000);
        assert_eq!(pace.slack(1_027_000), 5_000 + 20_000);
    }

    #[test]
    fn what_was_late_long_before_is_no_excuse() {
        let mut pace = Pace::default();
        pace.call(1_000_000);
        pace.answer(1_300_000);
        pace.tick(1_000_000);
        for n in 0..200 {
            pace.tick(1_300_000 + n * TICK);
        }
        assert_eq!(pace.slack(1_300_000 + 200 * TICK), 0);
    }
}
