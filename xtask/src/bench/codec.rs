//! `cargo xtask bench codec [--peers]`: what decoding and encoding a packet costs, in instructions and in allocations.
//!
//! Both are counted, not timed: callgrind runs the release build of `codec_counts` for N and for 2N iterations, and
//! the difference, divided by N, is the cost of one, whatever the start and the end of the program cost. The cases
//! are in the crate `ohmqtt-benches`; the goals are here.

use std::path::PathBuf;
use std::thread;

use super::Asked;
use super::peers;
use super::rows::{Goal, Row};
use crate::debian::{self, VALGRIND};
use crate::error::{Result, failed};
use crate::project::{self, cargo, output, program, target};

/// How often a case runs: N, then 2N.
const ITERATIONS: u64 = 1_000;

pub(super) const INSTRUCTIONS: &str = "instructions";
const ALLOCATIONS: &str = "allocations";

/// What a copy of the bytes of publish256-qos1 costs: all counts are told as ratios to it.
const FLOOR: &str = "floor/memcpy256";

/// So many instructions a packet, at most.
const GOALS: &[(&str, f64)] = &[
    ("decode/publish256-qos1", 450.0),
    ("encode/publish256-qos1", 240.0),
    ("decode/publish256-5props", 900.0),
    ("encode/publish256-5props", 350.0),
    ("decode/connect-will", 1_500.0),
    ("encode/connect-will", 600.0),
    ("decode/subscribe10", 2_000.0),
    ("encode/subscribe10", 400.0),
    ("decode/puback", 150.0),
    ("encode/puback", 70.0),
    ("decode/mixed1000", 435.0),
    ("encode/mixed1000", 230.0),
    ("encode/publish64k", 400.0),
];

/// What allocates nothing.
const FREE: [&str; 3] = [
    "decode/publish256-qos1",
    "decode/publish256-5props",
    "decode/puback",
];

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    let mut rows = measure()?;
    if asked.peers {
        let theirs = peers::codecs(&mut rows)?;
        rows.extend(theirs);
    }
    all.extend(rows);
    Ok(())
}

fn measure() -> Result<Vec<Row>> {
    project::run(&mut cargo(
        "build --release --package ohmqtt-benches --bin codec_counts",
    ))?;
    let counts = target().join("release").join("codec_counts");
    let floor = each_of(&counts, &[FLOOR], ITERATIONS)?;
    let mut rows = Vec::new();
    for (case, goal) in GOALS {
        let value = each_of(&counts, &[case], ITERATIONS)?;
        let row = Row::new(*case, INSTRUCTIONS, value, Goal::AtMost(*goal));
        rows.push(row.above(floor));
    }
    let (lines, _) = output(program(&counts).arg("allocations"))?;
    for line in lines.lines() {
        let mut row = allocations(line)?;
        if FREE.contains(&row.name.as_str()) {
            row.goal = Goal::AtMost(0.0);
        }
        if row.name != FLOOR {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The instructions of one iteration of what a program does when it is given these words and a number of iterations.
pub(super) fn each_of(program: &PathBuf, words: &[&str], n: u64) -> Result<f64> {
    counted(program, words, n, None)
}

/// The same without what the functions of this pattern do, of which none may call another.
pub(super) fn each_without(
    program: &PathBuf,
    words: &[&str],
    n: u64,
    functions: &str,
) -> Result<f64> {
    counted(program, words, n, Some(functions))
}

/// N and 2N at the same time: what is counted does not depend on what else there is to do.
fn counted(program: &PathBuf, words: &[&str], n: u64, without: Option<&str>) -> Result<f64> {
    let (once, twice) = thread::scope(|scope| {
        let twice = scope.spawn(|| instructions(program, words, 2 * n, without));
        (instructions(program, words, n, without), twice.join())
    });
    let twice = twice.unwrap_or_else(|_| failed("the second count has panicked"));
    Ok(each(once?, twice?, n))
}

/// The instructions of one iteration, from those of N and of 2N.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(super) fn each(once: u64, twice: u64, n: u64) -> f64 {
    twice.saturating_sub(once) as f64 / n as f64
}

/// The instructions of the whole program with `n` iterations.
fn instructions(counts: &PathBuf, words: &[&str], n: u64, without: Option<&str>) -> Result<u64> {
    let mut valgrind = program("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if let Some(functions) = without {
        // In this order: to name what toggles turns counting off to begin with.
        valgrind.arg(format!("--toggle-collect={functions}"));
        valgrind.arg("--collect-atstart=yes");
    }
    let (_, report) = output(valgrind.arg(counts).args(words).arg(n.to_string()))?;
    match collected(&report) {
        Some(count) => Ok(count),
        None => failed(format!("callgrind gave no count for {words:?}:\n{report}")),
    }
}

/// The count in what callgrind writes at its end: `==1234== Collected : 56789`.
fn collected(report: &str) -> Option<u64> {
    let line = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

/// A line of `codec_counts allocations`: the case and its allocations per packet.
pub(super) fn allocations(line: &str) -> Result<Row> {
    let row = line.split_once(' ').and_then(|(case, value)| {
        let value = value.trim().parse().ok()?;
        Some(Row::new(case, ALLOCATIONS, value, Goal::None))
    });
    row.map_or_else(
        || failed(format!("not a case and its allocations: {line:?}")),
        Ok,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, unit: &'static str, value: f64) -> Row {
        Row::new(case, unit, value, Goal::None)
    }

    #[test]
    fn the_count_is_read_from_the_report_of_callgrind() {
        let report = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n==7== I   refs:      1,234,567\n";
        assert_eq!(collected(report), Some(1_234_567));
        assert_eq!(collected("valgrind: cannot execute"), None);
    }

    #[test]
    fn the_cost_of_one_is_free_of_the_cost_of_the_program() {
        assert!((each(50_450, 50_900, 1) - 450.0).abs() < 1e-9);
    }

    #[test]
    fn allocations_are_read_line_by_line() {
        assert_eq!(
            allocations("decode/puback 0").unwrap(),
            row("decode/puback", ALLOCATIONS, 0.0)
        );
        assert_eq!(
            allocations("encode/mixed1000 0.25").unwrap(),
            row("encode/mixed1000", ALLOCATIONS, 0.25)
        );
        assert!(allocations("decode/puback").is_err());
    }
}
