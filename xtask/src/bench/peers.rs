//! Others beside ours: rumqttc through the same null broker and with the same bytes, in the same run.
//!
//! They are in `benches/peers`, a workspace of its own, and are built into the folder `peers` of the one that cargo builds into.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::codec::{INSTRUCTIONS, each_of};
use super::rows::{Goal, Row};
use crate::error::Result;
use crate::project::{self, cargo, output, program, target};

/// How many messages are counted, and twice as many.
const MESSAGES: u64 = 10_000;
/// What both can do over TCP.
const EXCHANGED: [&str; 4] = ["publish/0", "publish/1", "publish/2", "receive/1"];
/// How many messages are timed, and how often each takes its turn.
const TIMED: &str = "200000";
const TURNS: usize = 5;
/// So many times as many messages a second are to go through ours.
const RATE: f64 = 4.0;

/// What the peers' codec can do.
const PACKETS: [&str; 4] = [
    "decode/publish256-qos1",
    "encode/publish256-qos1",
    "decode/puback",
    "encode/puback",
];
const PACKETS_COUNTED: u64 = 1_000;

/// Builds the program that runs the peers, and tells where it is.
pub(super) fn build() -> Result<PathBuf> {
    let folder = target().join("peers");
    let mut build = cargo("build --release --locked --manifest-path benches/peers/Cargo.toml");
    project::run(build.env("CARGO_TARGET_DIR", &folder))?;
    Ok(folder.join("release").join("ohmqtt-bench-peers"))
}

/// Ours beside rumqttc: instructions of a message, and messages a second.
pub(super) fn clients(ours: &PathBuf) -> Result<Vec<Row>> {
    let peers = build()?;
    let mut rows = Vec::new();
    for case in EXCHANGED {
        let theirs = each_of(&peers, &["tcp", case], MESSAGES)?;
        let value = each_of(ours, &["tcp", case], MESSAGES)?;
        let row = |name| Row::new(name, INSTRUCTIONS, value, Goal::None);
        rows.push(row(format!("{case} over TCP")).above(theirs));
        rows.push(Row::new(
            format!("{case} over TCP, rumqttc"),
            INSTRUCTIONS,
            theirs,
            Goal::None,
        ));
    }
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let theirs = seconds(program(&peers).args(["tcp", "publish/1", TIMED]))?;
        let own = seconds(program(ours).args(["tcp", "publish/1", TIMED]))?;
        ratios.push(theirs / own);
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(TURNS / 2) {
        let goal = Goal::AtLeast(RATE);
        rows.push(Row::new("publish/1", "of rumqttc's rate", *median, goal));
    }
    Ok(rows)
}

/// What their codec costs, beside what ours cost in this run.
pub(super) fn codecs(ours: &[Row]) -> Result<Vec<Row>> {
    let peers = build()?;
    let mut rows = Vec::new();
    for case in PACKETS {
        let theirs = each_of(&peers, &[case], PACKETS_COUNTED)?;
        let own = ours
            .iter()
            .find(|row| row.name == case && row.unit == INSTRUCTIONS);
        let row = Row::new(format!("{case}, rumqttc"), INSTRUCTIONS, theirs, Goal::None);
        rows.push(match own {
            Some(own) => row.above(own.value),
            None => row,
        });
    }
    Ok(rows)
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed().as_secs_f64())
}
