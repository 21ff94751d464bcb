//! `cargo xtask fmt` and `cargo xtask clippy`: formatting and lints over the whole workspace.

use lexopt::Parser;

use crate::error::{Result, failed, no_more};
use crate::project::{cargo, run, succeeds};

/// Checks the formatting; changes nothing.
pub(crate) fn fmt(args: &mut Parser) -> Result {
    no_more(args)?;
    component("fmt", "rustfmt")?;
    run(&mut cargo("fmt --all --check"))
}

/// Lints every target of every crate with every feature.
pub(crate) fn clippy(args: &mut Parser) -> Result {
    no_more(args)?;
    component("clippy", "clippy")?;
    run(&mut cargo(
        "clippy --workspace --all-targets --all-features --profile ci -- -D warnings",
    ))
}

fn component(subcommand: &str, component: &str) -> Result {
    if succeeds(&mut cargo(&format!("{subcommand} --version"))) {
        return Ok(());
    }
    failed(format!(
        "cargo {subcommand} not found: install it (rustup component add {component})"
    ))
}
