//! `cargo xtask bench dispatch`: what finding the subscription of a message costs among a hundred and among a hundred thousand,
//! in instructions, and how long it takes to declare that many.

use super::Asked;
use super::codec;
use super::figures::{Figures, build};
use super::rows::{Goal, Row};
use crate::debian::{self, VALGRIND};
use crate::error::Result;
use crate::project::program;

/// What finds, and how often it is counted: the more, the less what it was set up with is felt.
const PLACES: [(&str, u64); 4] = [
    ("tree", 10_000),
    ("client", 20_000),
    ("client-identifiers", 20_000),
    ("broker", 20_000),
];

/// So much may a message cost among a hundred thousand, beside what it costs among a hundred.
const RATIO: f64 = 2.0;

pub(super) fn run(_: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    let dispatch = build("dispatch", "dispatch")?;
    for (place, n) in PLACES {
        let each = |count: u32| codec::each_of(&dispatch, &[&format!("{place}/{count}")], n);
        let (few, many) = (each(100)?, each(100_000)?);
        println!(
            "dispatch: {place:20} {few:>8.0} instructions among 100, {many:>8.0} among 100,000: ratio {:.2} (goal {RATIO})",
            many / few
        );
        let row = format!("dispatch/{place}, 100,000 to 100");
        all.push(Row::new(row, "ratio", many / few, Goal::AtMost(RATIO)));
    }
    for count in ["10000", "100000"] {
        let millis = Figures::of(program(&dispatch).args(["declare", count]))?.get("millis")?;
        println!("dispatch: declaring {count} subscriptions took {millis:.0} ms");
    }
    Ok(())
}
