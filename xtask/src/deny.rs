//! `cargo xtask deny`: licences, duplicate versions and sources of what we depend on, by `deny.toml`.
//!
//! It runs cargo-deny, and builds it where it is missing, for some minutes; so it is no step of `ci` but a job of its own in the workflow.

use lexopt::Parser;

use crate::crates_io::{self, DENY};
use crate::error::{Result, no_more};
use crate::project::{self, program};

/// Checks the product's lock file.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let mut deny = program(crates_io::provide(&DENY)?);
    deny.args(["--all-features", "--locked", "check"]);
    project::run(deny.args(["bans", "licenses", "sources"]))
}
