//! `cargo xtask bench store`: accepted messages a second for each backend and durability, beside the disk's own limit in the same run;
//! commits and syncs per message; and what a store in memory adds in instructions.

use std::path::PathBuf;

use super::Asked;
use super::client::total;
use super::codec::{self, each};
use super::figures::{Figures, Folder, build};
use super::rows::{Goal, Row};
use crate::debian::{self, STRACE, VALGRIND};
use crate::error::{Result, failed};
use crate::project::{output, program};

const SECONDS: u32 = 2;
const PUBLISHERS: [u32; 4] = [1, 10, 100, 1000];
/// So many commits, each of which syncs once, may a message cost with a hundred publishers.
const COMMITS: f64 = 0.05;
/// So much slower than the bare database may one publisher be.
const BARE: f64 = 1.3;
/// So much of the disk's own rate of syncs does one publisher reach that waits for each message.
const ALONE: f64 = 0.6;
/// How often the disk and a store take turns.
const TURNS: usize = 5;
/// What a disk is asked for syncs by.
const SYNCS: &str = "trace=fsync,fdatasync,msync,sync_file_range";
/// With a hundred under way, the syncs of so many messages are counted, and of twice as many.
const SYNCED: u64 = 2_000;
/// So many messages are counted, and twice as many.
const COUNTED: u64 = 6_400;

pub(super) fn run(_: &Asked, all: &mut Vec<Row>) -> Result {
    debian::provide(&VALGRIND)?;
    debian::provide(&STRACE)?;
    let accepts = build("accepts", "durable")?;
    let measure = |words: &str| measure(&accepts, words);
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
                let row = format!("store/{store} {durability}, {publishers} publishers");
                println!("{row:32}{rate:>12.0} a second, {commits:.4} commits a message");
                if publishers == 100 {
                    let unit = "commits a message";
                    all.push(Row::new(&row, unit, commits, Goal::AtMost(COMMITS)));
                }
                if publishers == 1 && durability == "safe" && bare > 0.0 {
                    let goal = Goal::AtMost(BARE);
                    all.push(Row::new(&row, "bare commits to ours", bare / rate, goal));
                }
            }
        }
    }
    safely(&accepts, all)?;
    let cost = |store: &str| codec::each_of(&accepts, &["count", store], COUNTED);
    let (without, with) = (cost("none")?, cost("memory")?);
    println!(
        "instructions a message: {without:.0} without a store, {with:.0} with one in memory: {:+.0} %",
        (with / without - 1.0) * 100.0
    );
    Ok(())
}

/// What `Safe` costs in syncs, and what one publisher that waits for each message makes of the disk.
fn safely(accepts: &PathBuf, all: &mut Vec<Row>) -> Result {
    for store in ["redb", "sqlite"] {
        let goal = Goal::AtMost(COMMITS);
        let name = format!("store/{store} safe, window 100");
        let value = each(
            syncs(accepts, store, SYNCED)?,
            syncs(accepts, store, 2 * SYNCED)?,
            SYNCED,
        );
        all.push(Row::new(name, "syncs a message", value, goal));
        let mut ratios = Vec::new();
        for _ in 0..TURNS {
            let disk = measure(accepts, "disk FOLDER 1")?.get("per_second")?;
            let own = measure(accepts, &format!("{store} safe FOLDER 1 1"))?.get("per_second")?;
            ratios.push(own / disk);
        }
        ratios.sort_by(f64::total_cmp);
        if let Some(median) = ratios.get(TURNS / 2) {
            let (name, goal) = (
                format!("store/{store} safe, one at a time"),
                Goal::AtLeast(ALONE),
            );
            all.push(Row::new(name, "of the disk's syncs", *median, goal));
        }
    }
    Ok(())
}

fn measure(accepts: &PathBuf, words: &str) -> Result<Figures> {
    let folder = Folder::new("store")?;
    Figures::of(&mut folder.command(accepts, words))
}

/// The syncs of so many messages with a hundred under way, those of the start and the end included.
fn syncs(accepts: &PathBuf, store: &str, n: u64) -> Result<u64> {
    let folder = Folder::new("syncs")?;
    let mut strace = program("strace");
    strace
        .args(["-f", "-c", "-U", "calls,name", "-e", SYNCS])
        .arg(accepts);
    strace
        .args(["window", store])
        .arg(&folder.0)
        .arg(n.to_string());
    let (_, report) = output(&mut strace)?;
    match total(&report) {
        Some(calls) => Ok(calls),
        None => failed(format!("strace gave no sum:\n{report}")),
    }
}
