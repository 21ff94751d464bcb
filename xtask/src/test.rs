//! `cargo xtask test`: sets up what the tests need, then runs every test of the workspace, doctests among them, and those of the Python
//! package.
//!
//! With cargo-nextest where it is installed, which runs each test in a process of its own and ends one that hangs;
//! with `cargo test` elsewhere. Their own closing lines stand as they are.

use lexopt::Parser;

use crate::debian::{self, MOSQUITTO};
use crate::error::{Result, no_more};
use crate::project::{self, cargo, succeeds};
use crate::py;

/// What stops and kills processes by Unix's signals, where there are none.
const LEFT_OUT: &str = if cfg!(unix) {
    ""
} else {
    "--exclude ohmqtt-crash"
};

/// Runs all tests.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    // Elsewhere the tests that talk to it are not compiled: they stop and resume it by signals.
    if cfg!(unix) {
        debian::provide(&MOSQUITTO)?;
    }
    if succeeds(&mut cargo("nextest --version")) {
        tests("nextest run --workspace --all-features --cargo-profile ci --profile ci")?;
        tests("test --doc --workspace --all-features --profile ci --no-fail-fast")?;
    } else {
        tests("test --workspace --all-features --profile ci --no-fail-fast")?;
    }
    py::check().map(drop)
}

fn tests(command: &str) -> Result {
    let mut command = cargo(command);
    command.args(LEFT_OUT.split_ascii_whitespace());
    project::run(command.env("PATH", debian::search_path()))
}
