//! `cargo xtask soak`: thousands of messages a second through a Mosquitto that is restarted at random moments.
//!
//! `--minutes M | --seconds S [--rate MESSAGES_A_SECOND] [--seed X]`; `--planted` lets Mosquitto forget, to see whether losses are
//! found.

use lexopt::Parser;

use crate::debian::{self, MOSQUITTO};
use crate::error::Result;
use crate::project;

/// Runs it; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    debian::provide(&MOSQUITTO)?;
    let mut soak = project::tool("ohmqtt-crash")?;
    soak.arg("soak").args(args.raw_args()?);
    project::run(soak.env("PATH", debian::search_path()))
}
