//! `cargo xtask flaky [--times N]`: every test N times, five without the option, while two threads for each core do nothing but keep it busy.
//!
//! What is to be run is built once, before the load. A run that fails does not end the task: how often it happens is the answer.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lexopt::{Arg, Parser, ValueExt};

use crate::error::{Result, failed};
use crate::py;
use crate::test;

/// Busy threads for each core: a test then has a third of one, where it had one to itself.
const THREADS: usize = 2;

/// The task.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut times = 5;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("times") => times = args.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    test::build()?;
    let venv = py::developed()?;
    let suites: [(&str, &dyn Fn() -> Result); 2] = [
        ("Rust", &test::without_doctests),
        ("Python", &|| py::pytest(&venv)),
    ];
    let failures = under_load(|| repeated(times, &suites));
    let runs = times * suites.len();
    println!("flaky: {runs} runs under load, {failures} failed");
    if failures == 0 {
        Ok(())
    } else {
        failed(format!("{failures} of {runs} runs failed"))
    }
}

/// Runs each suite so often, and gives how many runs failed.
fn repeated(times: usize, suites: &[(&str, &dyn Fn() -> Result)]) -> usize {
    let mut failures = 0;
    for time in 1..=times {
        for (name, suite) in suites {
            println!("== {name}, {time} of {times}");
            if let Err(error) = suite() {
                println!("flaky: {name}, {time} of {times}: {error}");
                failures += 1;
            }
        }
    }
    failures
}

/// What `work` gives while every core has something else to do.
fn under_load<T>(work: impl FnOnce() -> T) -> T {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..cores * THREADS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_run_that_fails_is_counted_and_the_others_go_on() {
        let turn = Cell::new(0);
        let every_other = || {
            turn.set(turn.get() + 1);
            if turn.get() % 2 == 0 {
                failed("even")
            } else {
                Ok(())
            }
        };
        let failures = under_load(|| repeated(5, &[("odd", &every_other), ("good", &|| Ok(()))]));
        assert_eq!((failures, turn.get()), (2, 5));
    }
}
