//! `cargo xtask crash`: builds the rig that kills publishers and brokers, and passes the command line on to it.
//!
//! `--rounds N [--store sqlite|redb] [--durability safe|fast] [--qos 1|2] [--broker ohmqtt|mosquitto] [--seed X] [--jobs N]`; what is
//! not said is everything there is.

use lexopt::Parser;

use crate::debian::{self, MOSQUITTO};
use crate::error::Result;
use crate::project;

/// Runs the rig; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    debian::provide(&MOSQUITTO)?;
    let mut crash = project::tool("ohmqtt-crash")?;
    crash.args(args.raw_args()?);
    project::run(crash.env("PATH", debian::search_path()))
}
