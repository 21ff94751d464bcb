//! What came of a scenario, and whether it is as promised.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// What came of it. Sums of several are those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Accepted.
    pub(super) messages: u64,
    /// Accepted and never arrived.
    pub(super) lost: u64,
    /// Arrivals after the first.
    pub(super) twice: u64,
    /// First arrivals behind one that was published later.
    pub(super) reordered: u64,
    /// Open files and tasks that were held when nothing asked for them any more.
    pub(super) leaks: u64,
    /// Connections that were accepted, and attempts that failed.
    pub(super) connections: u64,
    pub(super) failed: u64,
    /// Packets that the network dropped, and connections that were reset.
    pub(super) dropped: u64,
    pub(super) resets: u64,
    /// What else is not as it should be.
    pub(super) problems: Vec<String>,
}

impl Sum {
    const NAMES: [&'static str; 9] = [
        "messages",
        "lost",
        "twice",
        "reordered",
        "leaks",
        "connections",
        "failed",
        "dropped",
        "resets",
    ];

    fn numbers(&mut self) -> [&mut u64; 9] {
        [
            &mut self.messages,
            &mut self.lost,
            &mut self.twice,
            &mut self.reordered,
            &mut self.leaks,
            &mut self.connections,
            &mut self.failed,
            &mut self.dropped,
            &mut self.resets,
        ]
    }

    pub(super) fn add(&mut self, mut other: Self) {
        for (number, other) in self.numbers().into_iter().zip(other.numbers()) {
            *number += *other;
        }
        self.problems.append(&mut other.problems);
    }

    /// All that is not as promised.
    pub(super) fn faults(&self) -> Vec<String> {
        let counts = [
            (self.lost, "messages are lost"),
            (self.twice, "messages came again"),
            (self.reordered, "messages came out of order"),
            (
                self.leaks,
                "files or tasks are held that nothing asks for any more",
            ),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        counts
            .map(|(count, what)| format!("{count} {what}"))
            .chain(self.problems.iter().cloned())
            .collect()
    }

    /// What is told of a scenario.
    pub(super) fn course(&self) -> String {
        let Self {
            messages,
            lost,
            twice,
            leaks,
            connections,
            failed,
            ..
        } = self;
        let mut text = format!(
            "{messages} messages, {lost} lost, {twice} twice, {leaks} leaks; {connections} connections, {failed} failed attempts"
        );
        for (count, what) in [
            (self.dropped, "packets dropped"),
            (self.resets, "connections reset"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

/// As a line of words: what [`FromStr`] reads.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.clone();
        for (name, number) in Self::NAMES.iter().zip(numbers.numbers()) {
            write!(f, "{name}={number} ")?;
        }
        write!(f, "problems={}", self.problems.join("|"))
    }
}

impl FromStr for Sum {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("{line:?} is no sum");
        let mut sum = Self::default();
        let mut rest = line;
        for (name, number) in Self::NAMES.iter().zip(sum.numbers()) {
            let (word, behind) = rest.split_once(' ').ok_or_else(wrong)?;
            let value = word
                .strip_prefix(name)
                .and_then(|word| word.strip_prefix('='));
            *number = value
                .and_then(|value| value.parse().ok())
                .ok_or_else(wrong)?;
            rest = behind;
        }
        let problems = rest.strip_prefix("problems=").ok_or_else(wrong)?;
        let problems = problems.split('|').filter(|problem| !problem.is_empty());
        sum.problems = problems.map(str::to_owned).collect();
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum() -> Sum {
        let mut sum = Sum::default();
        for (number, value) in sum.numbers().into_iter().zip(1..) {
            *number = value;
        }
        sum.problems = vec!["a wait of 3 s".to_owned(), "a storm".to_owned()];
        sum
    }

    #[test]
    fn a_sum_is_read_as_it_was_said() {
        assert_eq!(sum().to_string().parse(), Ok(sum()));
        let none = Sum::default();
        assert_eq!(none.to_string().parse(), Ok(none));
        assert_eq!(
            "messages=1 lost=x".parse::<Sum>(),
            Err("\"messages=1 lost=x\" is no sum".to_owned())
        );
    }

    #[test]
    fn all_that_is_not_as_promised_is_told() {
        assert_eq!(Sum::default().faults(), [""; 0]);
        let mut twice = sum();
        twice.add(sum());
        assert_eq!(twice.faults().len(), 4 + 4);
        assert_eq!(twice.faults()[1], "6 messages came again");
        assert_eq!(
            twice.course(),
            "2 messages, 4 lost, 6 twice, 10 leaks; 12 connections, 14 failed attempts, 16 packets dropped, 18 connections reset"
        );
    }
}
