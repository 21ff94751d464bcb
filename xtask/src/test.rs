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
    provide()?;
    without_doctests()?;
    tests("test --doc --workspace --all-features --profile ci --no-fail-fast")?;
    py::check().map(drop)
}

/// Builds what [`without_doctests`] runs.
pub(crate) fn build() -> Result {
    provide()?;
    if has_nextest() {
        tests("nextest run --workspace --all-features --cargo-profile ci --profile ci --no-run")
    } else {
        tests("test --workspace --tests --all-features --profile ci --no-run")
    }
}

/// Runs the tests that are programs.
pub(crate) fn without_doctests() -> Result {
    if has_nextest() {
        let at_once = project::tests_at_once();
        tests(&format!(
            "nextest run --workspace --all-features --cargo-profile ci --profile ci --test-threads {at_once}"
        ))
    } else {
        tests("test --workspace --tests --all-features --profile ci --no-fail-fast")
    }
}

fn provide() -> Result {
    // Elsewhere the tests that talk to it are not compiled: they stop and resume it by signals.
    if cfg!(unix) {
        debian::provide(&MOSQUITTO)?;
    }
    Ok(())
}

fn has_nextest() -> bool {
    succeeds(&mut cargo("nextest --version"))
}

fn tests(command: &str) -> Result {
    let mut command = cargo(command);
    command.args(LEFT_OUT.split_ascii_whitespace());
    project::run(command.env("PATH", debian::search_path()))
}
