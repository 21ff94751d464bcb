//! `cargo xtask deny`: licences, duplicate versions and sources of what we depend on, by `deny.toml`.
//!
//! It wants cargo-deny, which is not installed by anything here, and is therefore no step of `ci` but a job of its own in the workflow.

use lexopt::Parser;

use crate::error::{Result, failed, no_more};
use crate::project::{self, cargo, succeeds};

/// Checks the product's lock file.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    if !succeeds(&mut cargo("deny --version")) {
        return failed("cargo-deny is not here: see https://embarkstudios.github.io/cargo-deny");
    }
    project::run(&mut cargo(
        "deny --all-features --locked check bans licenses sources",
    ))
}
