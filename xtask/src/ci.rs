//! `cargo xtask ci`: every check, in the order in which a mistake shows soonest, and the seconds of each.
//!
//! From an empty target folder it has to end within 25 minutes on two cores, and most of that is compiling. So what compiles much and
//! finds little is a job of its own: `features`, `bench client`, `py` with its wheels for other Pythons, `deny`, `release --dry-run`.
//!
//! It stops at the first step that fails; the seconds of what ran are printed all the same.

use std::time::{Duration, Instant};

use lexopt::Parser;

use crate::error::{Result, failed, no_more};
use crate::{
    bench, cancel, conformance, crash, docs, fuzz, interop, lint, no_std, simulate, soak,
    statements, test, tidy,
};

type Step = (
    &'static str,
    fn(&mut Parser) -> Result,
    &'static [&'static str],
);

const STEPS: &[Step] = &[
    ("tidy", tidy::run, &[]),
    ("fmt", lint::fmt, &[]),
    ("clippy", lint::clippy, &[]),
    ("docs", docs::run, &[]),
    ("no-std", no_std::run, &[]),
    ("statements", statements::run, &[]),
    ("test", test::run, &[]),
    ("interop", interop::run, &[]),
    ("conformance", conformance::run, &[]),
    ("simulate", simulate::run, &["--seeds", "5000"]),
    ("fuzz", fuzz::run, &["--seconds", "5"]),
    ("cancel", cancel::run, &["--seeds", "10"]),
    ("crash", crash::run, &["--rounds", "4"]),
    ("soak", soak::run, &["--seconds", "20"]),
    ("bench codec", bench::run, &["codec", "--check"]),
];

/// Runs every step.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let (times, result) = in_turn(STEPS);
    println!("\n{}", report(&times));
    result
}

/// Runs `steps` up to the first that fails, and gives the time of each that ran.
fn in_turn(steps: &[Step]) -> (Vec<(&'static str, Duration)>, Result) {
    let mut times = Vec::new();
    for (name, run, args) in steps {
        println!("== {name}");
        let start = Instant::now();
        let result = run(&mut Parser::from_args(*args));
        times.push((*name, start.elapsed()));
        if let Err(error) = result {
            return (times, failed(format!("ci failed in {name}: {error}")));
        }
    }
    (times, Ok(()))
}

fn report(times: &[(&str, Duration)]) -> String {
    let total = ("total", times.iter().map(|(_, time)| *time).sum());
    let line =
        |(name, time): &(&str, Duration)| format!("ci: {name:12}{:7.1} s", time.as_secs_f64());
    times
        .iter()
        .chain([&total])
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_run_and_is_named() {
        let (times, result) = in_turn(&[
            ("one", |_| Ok(()), &[]),
            ("two", |_| failed("it broke"), &[]),
            ("three", |_| Ok(()), &[]),
        ]);
        assert_eq!(
            times.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["one", "two"]
        );
        assert_eq!(result, failed("ci failed in two: it broke"));
    }

    #[test]
    fn the_report_ends_with_the_total() {
        let times = [
            ("fmt", Duration::from_millis(1_250)),
            ("test", Duration::from_secs(100)),
        ];
        assert_eq!(
            report(&times),
            "ci: fmt             1.2 s\nci: test          100.0 s\nci: total         101.2 s"
        );
    }
}
