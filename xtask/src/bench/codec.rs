//! `cargo xtask bench codec [--check] [--peers]`: what decoding and encoding a packet costs, in instructions and in allocations.
//!
//! Both are counted, not timed: callgrind runs the release build of `codec_counts` for N and for 2N iterations, and
//! the difference, divided by N, is the cost of one, whatever the start and the end of the program cost. The cases
//! are in the crate `ohmqtt-benches`; the goals are here.

use std::path::PathBuf;

use super::Asked;
use super::peers;
use super::rows::{self, Row};
use crate::debian::{self, VALGRIND};
use crate::error::{Result, failed};
use crate::project::{self, cargo, output, program, target};

/// How often a case runs: N, then 2N.
const ITERATIONS: u64 = 1_000;

pub(super) const INSTRUCTIONS: &str = "instructions";
const ALLOCATIONS: &str = "allocations";

/// What a row should stay within.
struct Goal {
    case: &'static str,
    unit: &'static str,
    within: f64,
    /// Whether `--check` fails when it is missed. The others are what we work towards.
    required: bool,
}

const fn goal(case: &'static str, unit: &'static str, within: f64, required: bool) -> Goal {
    Goal {
        case,
        unit,
        within,
        required,
    }
}

const GOALS: &[Goal] = &[
    goal("decode/publish256-qos1", INSTRUCTIONS, 460.0, true),
    goal("encode/publish256-qos1", INSTRUCTIONS, 240.0, false),
    goal("decode/publish256-5props", INSTRUCTIONS, 950.0, true),
    goal("encode/publish256-5props", INSTRUCTIONS, 350.0, false),
    goal("decode/connect-will", INSTRUCTIONS, 1_500.0, false),
    goal("encode/connect-will", INSTRUCTIONS, 600.0, false),
    goal("decode/subscribe10", INSTRUCTIONS, 2_000.0, true),
    goal("encode/subscribe10", INSTRUCTIONS, 400.0, false),
    goal("decode/puback", INSTRUCTIONS, 150.0, true),
    goal("encode/puback", INSTRUCTIONS, 70.0, false),
    goal("decode/mixed1000", INSTRUCTIONS, 435.0, false),
    goal("encode/mixed1000", INSTRUCTIONS, 230.0, false),
    goal("encode/publish64k", INSTRUCTIONS, 400.0, false),
    goal("decode/publish256-qos1", ALLOCATIONS, 0.0, true),
    goal("decode/publish256-5props", ALLOCATIONS, 0.0, true),
    goal("decode/puback", ALLOCATIONS, 0.0, true),
];

/// With `--check`, a required goal that is missed is a failure.
pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    let (rows, missed) = judge(GOALS, measure()?)?;
    if asked.peers {
        all.extend(peers::codecs(&rows)?);
    }
    all.extend(rows);
    if asked.check && !missed.is_empty() {
        return failed(format!("required goals missed: {}", missed.join(", ")));
    }
    Ok(())
}

fn measure() -> Result<Vec<Row>> {
    project::run(&mut cargo(
        "build --release --package ohmqtt-benches --bin codec_counts",
    ))?;
    let counts = target().join("release").join("codec_counts");
    let mut rows = Vec::new();
    let (cases, _) = output(program(&counts).arg("list"))?;
    for case in cases.lines() {
        let value = each_of(&counts, &[case], ITERATIONS)?;
        rows.push(Row::new(case, INSTRUCTIONS, value, rows::Goal::None));
    }
    let (lines, _) = output(program(&counts).arg("allocations"))?;
    for line in lines.lines() {
        rows.push(allocations(line)?);
    }
    Ok(rows)
}

/// The instructions of one iteration of what a program does when it is given these words and a number of iterations.
pub(super) fn each_of(program: &PathBuf, words: &[&str], n: u64) -> Result<f64> {
    let once = instructions(program, words, n, None)?;
    let twice = instructions(program, words, 2 * n, None)?;
    Ok(each(once, twice, n))
}

/// The same without what the functions of this pattern do, of which none may call another.
pub(super) fn each_without(
    program: &PathBuf,
    words: &[&str],
    n: u64,
    functions: &str,
) -> Result<f64> {
    let once = instructions(program, words, n, Some(functions))?;
    let twice = instructions(program, words, 2 * n, Some(functions))?;
    Ok(each(once, twice, n))
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
        Some(Row::new(case, ALLOCATIONS, value, rows::Goal::None))
    });
    row.map_or_else(
        || failed(format!("not a case and its allocations: {line:?}")),
        Ok,
    )
}

/// The rows with their goals, and the required goals that are missed.
///
/// # Errors
/// When a goal has no row.
fn judge(goals: &[Goal], mut rows: Vec<Row>) -> Result<(Vec<Row>, Vec<String>)> {
    let mut missed = Vec::new();
    for Goal {
        case,
        unit,
        within,
        required,
    } in goals
    {
        let row = rows
            .iter_mut()
            .find(|row| row.name == *case && row.unit == *unit);
        let Some(row) = row else {
            return failed(format!("{unit} were not measured for {case}"));
        };
        row.goal = rows::Goal::AtMost(*within);
        if *required && row.value > *within {
            missed.push(format!("{case} {:.1} {unit}, goal {within}", row.value));
        }
    }
    Ok((rows, missed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, unit: &'static str, value: f64) -> Row {
        Row::new(case, unit, value, rows::Goal::None)
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

    #[test]
    fn only_a_required_goal_fails_the_check() {
        let goals = [
            goal("a", INSTRUCTIONS, 100.0, true),
            goal("b", INSTRUCTIONS, 10.0, false),
        ];
        let rows = [
            row("a", INSTRUCTIONS, 100.0),
            row("b", INSTRUCTIONS, 11.0),
            row("memcpy", INSTRUCTIONS, 5.0),
        ];
        let (judged, missed) = judge(&goals, rows.into()).unwrap();
        assert!(missed.is_empty());
        assert_eq!(rows::sum(&judged), "bench: 2 rows, 1 met");

        let rows = [row("a", INSTRUCTIONS, 100.5), row("b", INSTRUCTIONS, 9.0)];
        let (judged, missed) = judge(&goals, rows.into()).unwrap();
        assert_eq!(missed, ["a 100.5 instructions, goal 100"]);
        assert_eq!(rows::sum(&judged), "bench: 2 rows, 1 met");
    }

    #[test]
    fn a_goal_without_a_row_is_a_failure() {
        let goals = [goal("a", INSTRUCTIONS, 100.0, true)];
        assert_eq!(
            judge(&goals, vec![row("a", ALLOCATIONS, 0.0)]),
            failed("instructions were not measured for a")
        );
    }
}
