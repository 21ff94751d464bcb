//! `cargo xtask resources`: builds the rig whose resources fail or run out, and passes the command line on to it.
//!
//! `[--only PART_OF_A_NAME] [--calls N] [--packets N]`. Single system calls fail by strace; disks of its own are mounted by root.

use lexopt::Parser;

use crate::debian::{self, STRACE};
use crate::error::Result;
use crate::project;

/// Runs the rig; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    // Elsewhere the rig says what it needs.
    if cfg!(target_os = "linux") {
        debian::provide(&STRACE)?;
    }
    let mut resources = project::tool("ohmqtt-crash")?;
    resources.arg("resources").args(args.raw_args()?);
    project::run(resources.env("PATH", debian::search_path()))
}
