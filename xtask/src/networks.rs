//! `cargo xtask networks`: builds the rig whose networks fail, and passes the command line on to it.
//!
//! `[--only PART_OF_A_NAME] [--seed X]`. Its hosts are network namespaces, which root makes on Linux; `--only chopped` and `--only reset`
//! need neither.

use std::ffi::OsString;

use lexopt::Parser;

use crate::debian::{self, NETWORKS};
use crate::error::Result;
use crate::project;

/// Runs the rig; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    let args: Vec<_> = args.raw_args()?.collect();
    let needs_none = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        ["chopped", "reset"].contains(&arg.trim_start_matches("--only="))
    };
    let needs_hosts = !args.iter().any(needs_none);
    // Elsewhere the rig says what it needs.
    if needs_hosts && cfg!(target_os = "linux") {
        debian::provide(&NETWORKS)?;
    }
    let mut networks = project::tool("ohmqtt-crash")?;
    networks.arg("networks").args(args);
    project::run(networks.env("PATH", debian::search_path()))
}
