//! `cargo xtask bench broker [--check]`: how long an embedded broker takes to be ready, which every test that starts one waits for.

use super::Asked;
use super::figures::{Figures, build};
use super::rows::{Goal, Row};
use crate::error::{Result, failed};
use crate::project::program;

/// How many are started, one after another.
const ROUNDS: u32 = 200;

/// From `Broker::builder()` to a broker that takes connections, in milliseconds: the median.
const GOAL: f64 = 5.0;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    let broker = build("broker", "broker")?;
    let figures = Figures::of(program(&broker).arg(ROUNDS.to_string()))?;
    let [ready, worst] = [figures.get("ready")?, figures.get("ready_worst")?];
    println!("broker: ready in {ready:.3} ms, at worst {worst:.3} ms (goal {GOAL} ms)");
    let [accepted, worst] = [figures.get("accepted")?, figures.get("accepted_worst")?];
    println!("broker: first client accepted in {accepted:.3} ms, at worst {worst:.3} ms");
    all.push(Row::new("broker/ready", "ms", ready, Goal::AtMost(GOAL)));
    if asked.check && ready > GOAL {
        return failed(format!("goal missed: ready in {ready:.3} ms"));
    }
    Ok(())
}
