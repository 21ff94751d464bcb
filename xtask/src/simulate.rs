//! `cargo xtask simulate`: builds the simulator of the sessions for speed, and passes the command line on to it.
//!
//! `--seeds N [--start S]` runs many, `--seed S` replays one with its trace, `--planted` looks whether bugs are found.

use lexopt::Parser;

use crate::error::Result;
use crate::project::{self, cargo};

/// Runs the simulator; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut simulate = cargo("run --quiet --release --package ohmqtt-sim --");
    simulate.args(args.raw_args()?);
    project::run(&mut simulate)
}
