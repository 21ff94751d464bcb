//! `cargo xtask bench client [--peers] [--counts]`: what a client costs for each message, beside the least that a client can do.
//!
//! Instructions are those of the client alone: the null broker in its process is left out. Those of a session are of a client's and a
//! server's together. System calls are counted by strace over TCP, the client being the only one on its thread; those of its start and end
//! are taken off.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use super::Asked;
use super::codec::{self, each};
use super::figures::{Figures, build};
use super::peers;
use super::rows::{Goal, Row};
use crate::debian::{self, STRACE, VALGRIND};
use crate::error::{Result, failed};
use crate::project::{output, program};

/// What callgrind leaves out.
const NULL_BROKER: &str = "*null_broker_*";
/// How many messages are counted, and twice as many.
const MESSAGES: u64 = 10_000;
/// The same for system calls, of which each carries many messages, as many as there are when it is their turn.
const CARRIED: u64 = 100_000;
/// How many resting clients share what they take in memory.
const RESTING: &str = "1000";

/// What is counted, the floor below it, and what it should stay within.
const CASES: &[(&str, &str, Goal)] = &[
    ("publish/0", "floor/publish/0", Goal::AtMost(1_600.0)),
    ("publish/1", "floor/publish/1", Goal::AtMost(2_200.0)),
    ("publish/2", "floor/publish/2", Goal::AtMost(3_200.0)),
    ("receive/0", "floor/receive/0", Goal::AtMost(700.0)),
    ("receive/1", "floor/receive/1", Goal::AtMost(1_100.0)),
    ("session/0", "floor/publish/0", Goal::None),
    ("session/1", "floor/publish/1", Goal::None),
    ("session/2", "floor/publish/2", Goal::None),
];

/// System calls per thousand messages.
const CALLS: &[(&str, Goal)] = &[
    ("publish/0", Goal::None),
    ("publish/1", Goal::AtMost(50.0)),
    ("publish/2", Goal::None),
    ("receive/1", Goal::AtMost(10.0)),
];

/// A resting connection, in KiB.
const IDLE: f64 = 4.0;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    debian::provide(&STRACE)?;
    let client = build("client", "client")?;
    count(&client, all)?;
    if !asked.counts {
        measure(&client, all)?;
    }
    if asked.peers {
        peers::clients(&client, all)?;
    } else if !asked.counts {
        peers::without_clients(all);
    }
    Ok(())
}

/// What repeats: instructions and allocations.
fn count(client: &PathBuf, all: &mut Vec<Row>) -> Result {
    let instructions = |case: &str| codec::each_without(client, &[case], MESSAGES, NULL_BROKER);
    let mut floors = HashMap::new();
    for (case, floor, goal) in CASES {
        let row = Row::new(*case, codec::INSTRUCTIONS, instructions(case)?, *goal);
        let floor = match floors.entry(*floor) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(instructions(floor)?),
        };
        all.push(row.above(floor));
    }
    let (lines, _) = output(program(client).arg("allocations"))?;
    for row in lines.lines().map(codec::allocations) {
        let row = row?;
        if !row.name.starts_with("floor/") {
            all.push(row);
        }
    }
    Ok(())
}

/// System calls and memory.
fn measure(client: &PathBuf, all: &mut Vec<Row>) -> Result {
    for (case, goal) in CALLS {
        let (once, twice) = (
            calls(client, case, CARRIED)?,
            calls(client, case, 2 * CARRIED)?,
        );
        let value = 1_000.0 * each(once, twice, CARRIED);
        all.push(Row::new(*case, "system calls per 1,000", value, *goal));
    }
    let idle = Figures::of(program(client).args(["idle", RESTING]))?.get("kib_each")?;
    all.push(Row::new("idle", "KiB", idle, Goal::AtMost(IDLE)));
    Ok(())
}

/// The system calls of the client's thread, with so many messages.
fn calls(client: &PathBuf, case: &str, n: u64) -> Result<u64> {
    let mut strace = program("strace");
    strace.args(["-c", "-U", "calls,name"]).arg(client);
    let (_, report) = output(strace.args(["tcp", case, &n.to_string()]))?;
    match total(&report) {
        Some(calls) => Ok(calls),
        None => failed(format!("strace gave no sum:\n{report}")),
    }
}

/// The sum at the end of what strace counts: `5678 total`.
pub(super) fn total(report: &str) -> Option<u64> {
    let line = report.lines().rev().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read_from_the_report_of_strace() {
        let report = "    calls syscall\n--------- ----------------\n       12 read\n--------- ----------------\n       15 total\n";
        assert_eq!(total(report), Some(15));
        assert_eq!(total("strace: no permission"), None);
    }
}
