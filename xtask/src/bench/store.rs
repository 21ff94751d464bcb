//! `cargo xtask bench store [--check]`: accepted messages a second for each backend and durability, beside the disk's own limit in the same
//! run; commits per message; and what a store in memory adds in instructions.

use super::Asked;
use super::codec;
use super::figures::{Figures, Folder, build};
use super::rows::{Goal, Row};
use crate::debian::{self, VALGRIND};
use crate::error::{Result, failed};

const SECONDS: u32 = 2;
const PUBLISHERS: [u32; 4] = [1, 10, 100, 1000];
/// So many commits, each of which syncs once, may a message cost with a hundred publishers.
const COMMITS: f64 = 0.05;
/// So much slower than the bare database may one publisher be.
const BARE: f64 = 1.3;
/// So many messages are counted, and twice as many.
const COUNTED: u64 = 6_400;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    let accepts = build("accepts", "durable")?;
    let measure = |words: &str| -> Result<Figures> {
        let folder = Folder::new("store")?;
        Figures::of(&mut folder.command(&accepts, words))
    };
    let mut missed = Vec::new();
    let disk = measure(&format!("disk FOLDER {SECONDS}"))?.get("per_second")?;
    println!("{:32}{disk:>12.0} a second", "append and fdatasync");
    for store in ["memory", "redb", "sqlite"] {
        let mut bare = 0.0;
        if store != "memory" {
            bare = measure(&format!("bare {store} FOLDER {SECONDS}"))?.get("per_second")?;
            println!(
                "{:32}{bare:>12.0} a second",
                format!("{store}, bare commits")
            );
        }
        for durability in ["safe", "fast"] {
            for publishers in PUBLISHERS {
                let words = format!("{store} {durability} FOLDER {publishers} {SECONDS}");
                let figures = measure(&words)?;
                let rate = figures.get("per_second")?;
                let commits = figures.get("commits_per_message")?;
                let row = format!("{store} {durability}, {publishers} publishers");
                println!("{row:32}{rate:>12.0} a second, {commits:.4} commits a message");
                if publishers == 100 {
                    let unit = "commits a message";
                    all.push(Row::new(&row, unit, commits, Goal::AtMost(COMMITS)));
                    if commits > COMMITS {
                        missed.push(format!("{row}: commits"));
                    }
                }
                if publishers == 1 && durability == "safe" && bare > 0.0 {
                    let goal = Goal::AtMost(BARE);
                    all.push(Row::new(&row, "bare commits to ours", bare / rate, goal));
                    if rate * BARE < bare {
                        missed.push(format!("{row}: rate"));
                    }
                }
            }
        }
    }
    let each = |store: &str| codec::each_of(&accepts, &["count", store], COUNTED);
    let (without, with) = (each("none")?, each("memory")?);
    println!(
        "instructions a message: {without:.0} without a store, {with:.0} with one in memory: {:+.0} %",
        (with / without - 1.0) * 100.0
    );
    if asked.check && !missed.is_empty() {
        return failed(format!("goals missed: {}", missed.join(", ")));
    }
    Ok(())
}
