//! `ohmqtt-sim`: runs seeds, one by one or many on all cores. `cargo xtask simulate` builds and calls it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_sim::{Bug, Failure, catch, run};

/// A planted bug has to show within so many seeds.
const PLANTED_WITHIN: u64 = 1_000;

/// At most so many failing seeds are named.
const NAMED: usize = 20;

fn main() -> ExitCode {
    match command(&mut Parser::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!(
                "ohmqtt-sim: {error}\nusage: ohmqtt-sim --seeds N [--start S] | --seed S | --planted"
            );
            ExitCode::from(2)
        }
    }
}

fn command(args: &mut Parser) -> Result<ExitCode, lexopt::Error> {
    let (mut seeds, mut start, mut seed) = (None, 0, None);
    let mut planted = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seeds") => seeds = Some(args.value()?.parse::<u64>()?),
            Arg::Long("planted") => planted = true,
            Arg::Long("start") => start = args.value()?.parse()?,
            Arg::Long("seed") => seed = Some(args.value()?.parse::<u64>()?),
            other => return Err(other.unexpected()),
        }
    }
    if planted {
        return Ok(all_planted(start));
    }
    match (seed, seeds) {
        (Some(seed), _) => Ok(replay(seed)),
        (None, Some(seeds)) => Ok(many(start, seeds)),
        (None, None) => Err("what is to be run?".into()),
    }
}

fn replay(seed: u64) -> ExitCode {
    let outcome = run(seed, None, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    match outcome.failure {
        None => {
            println!("seed {seed}: no failure");
            ExitCode::SUCCESS
        }
        Some(failure) => {
            println!("seed {seed}: {failure}");
            ExitCode::from(1)
        }
    }
}

fn all_planted(start: u64) -> ExitCode {
    let mut caught = 0;
    for bug in Bug::ALL {
        match catch(*bug, start, PLANTED_WITHIN) {
            Some((seed, failure)) => {
                caught += 1;
                println!("{bug}: caught by seed {seed}: {failure}");
            }
            None => println!("{bug}: NOT caught within {PLANTED_WITHIN} seeds"),
        }
    }
    println!("planted: {caught} of {} caught", Bug::ALL.len());
    if caught == Bug::ALL.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

fn many(start: u64, seeds: u64) -> ExitCode {
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::<(u64, Failure)>::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= seeds {
                        return;
                    }
                    let seed = start.wrapping_add(n);
                    if let Some(failure) = run(seed, None, false).failure {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push((seed, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(seed, _)| *seed);
    for (seed, failure) in failures.iter().take(NAMED) {
        println!("seed {seed}: {failure}");
    }
    if let Some((seed, _)) = failures.first() {
        println!("replay with its trace: cargo xtask simulate --seed {seed}");
    }
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let rate = seeds as f64 / seconds;
    println!("{rate:.0} seeds per second");
    println!("simulate: {seeds} seeds, {} failures", failures.len());
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
