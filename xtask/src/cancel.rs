//! `cargo xtask cancel`: drops every public future of the client at every point at which it can be left, and looks whether anything
//! broke.
//!
//! `[--seed X] [--seeds N] [--method PART_OF_A_NAME] [--verbose]`; `--planted` looks whether methods that are not safe are found out.

use lexopt::Parser;

use crate::error::Result;
use crate::project::{self, root};

/// Runs it; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut cancel = project::tool("ohmqtt-cancel")?;
    cancel.arg("--source").arg(root().join("ohmqtt-client/src"));
    cancel.args(args.raw_args()?);
    project::run(&mut cancel)
}
