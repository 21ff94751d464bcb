//! Others beside ours, in the same run: rumqttc through the same null broker, and codecs with the same packets.
//!
//! They are in `benches/peers`, a workspace of its own, and are built into the folder `peers` of the one that cargo builds into.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::codec::{INSTRUCTIONS, each_of};
use super::rows::{Goal, Row};
use crate::error::{Result, failed};
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
const OF_RUMQTTC: &str = "of rumqttc's rate";

/// How many packets are counted, and twice as many.
const PACKETS_COUNTED: u64 = 1_000;

/// Builds the program that runs the peers, and tells where it is.
pub(super) fn build() -> Result<PathBuf> {
    let folder = target().join("peers");
    let mut build = cargo("build --release --locked --manifest-path benches/peers/Cargo.toml");
    project::run(build.env("CARGO_TARGET_DIR", &folder))?;
    Ok(folder.join("release").join("ohmqtt-bench-peers"))
}

/// Why what is measured beside peers alone has no figure.
pub(super) const WITHOUT: &str = "without --peers";

/// The goals that [`clients`] is about, when it is not asked for.
pub(super) fn without_clients(all: &mut Vec<Row>) {
    let goal = Goal::AtLeast(RATE);
    all.push(Row::absent("publish/1", OF_RUMQTTC, goal, WITHOUT));
}

/// Ours beside rumqttc: instructions of a message, and messages a second.
pub(super) fn clients(ours: &PathBuf, all: &mut Vec<Row>) -> Result {
    let peers = build()?;
    for case in EXCHANGED {
        let theirs = each_of(&peers, &["tcp", case], MESSAGES)?;
        let value = each_of(ours, &["tcp", case], MESSAGES)?;
        let name = format!("{case} over TCP");
        let row = Row::new(&name, INSTRUCTIONS, value, Goal::None).above(theirs);
        all.push(row.with_peer("rumqttc", theirs).aside());
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
        let row = Row::new("publish/1", OF_RUMQTTC, *median, goal);
        all.push(row.with_peer("rumqttc", 1.0));
    }
    Ok(())
}

/// What the codecs of others cost, each told beside ours of this run too.
pub(super) fn codecs(ours: &mut [Row]) -> Result<Vec<Row>> {
    let peers = build()?;
    let mut rows = Vec::new();
    let (cases, unable) = output(program(&peers).arg("list"))?;
    print!("{unable}");
    for line in cases.lines() {
        let Some((peer, case)) = line.split_once(' ') else {
            return failed(format!("not a peer and its case: {line:?}"));
        };
        let theirs = each_of(&peers, &["codec", peer, case], PACKETS_COUNTED)?;
        let row = Row::new(format!("{case}, {peer}"), INSTRUCTIONS, theirs, Goal::None);
        rows.push(row.aside());
        for own in &mut *ours {
            if own.name == case && own.unit == INSTRUCTIONS {
                *own = own.clone().with_peer(peer, theirs);
            }
        }
    }
    Ok(rows)
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed().as_secs_f64())
}
