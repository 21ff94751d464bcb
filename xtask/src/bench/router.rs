//! `cargo xtask bench router`: what finding the subscribers of a message costs in instructions, as subscriptions, levels and
//! matches grow; and what each subscriber of a fan-out allocates, as payloads grow.

use super::Asked;
use super::codec;
use super::figures::{Figures, build};
use super::rows::{Goal, Row};
use crate::debian::{self, VALGRIND};
use crate::error::Result;
use crate::project::program;

/// What is counted, how often, and how often what the first of a row costs may the last one cost.
const ROWS: [(&str, u64, &[u32], f64); 4] = [
    ("tree", 10_000, &[100, 10_000, 1_000_000], 2.0),
    ("broker", 10_000, &[100, 10_000], 2.0),
    // Four times as deep.
    ("levels", 10_000, &[4, 8, 16], 4.5),
    // A hundred times as many.
    ("matches", 10_000, &[1, 10, 100], 100.0),
];

/// What a subscriber may cost in memory at most, in bytes, whatever the size of the payload.
const BYTES: f64 = 2048.0;

pub(super) fn run(_: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    let router = build("router", "dispatch")?;
    for (name, n, sizes, ratio) in ROWS {
        let mut costs = Vec::new();
        for size in sizes {
            let cost = codec::each_of(&router, &[&format!("{name}/{size}")], n)?;
            println!("router: {name:8} {size:>9}: {cost:>8.0} instructions");
            costs.push(cost);
        }
        if let [first, .., last] = costs[..] {
            println!("router: {name:8} ratio {:.2} (goal {ratio})", last / first);
            let row = format!("router/{name}, most to fewest");
            all.push(Row::new(row, "ratio", last / first, Goal::AtMost(ratio)));
        }
    }
    for payload in ["256", "65536"] {
        let case = format!("fanout/{payload}");
        let figures = Figures::of(program(&router).args(["memory", &case]))?;
        let (times, bytes) = (figures.get("allocations")?, figures.get("bytes")?);
        println!(
            "router: {payload:>6} bytes to each of 50: {times:.2} allocations and {bytes:.0} bytes a subscriber (goal {BYTES})"
        );
        let row = format!("router/{case}");
        all.push(Row::new(
            row,
            "bytes a subscriber",
            bytes,
            Goal::AtMost(BYTES),
        ));
    }
    Ok(())
}
