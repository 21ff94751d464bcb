//! `cargo xtask conformance`: builds the suite that tests servers as raw bytes, and passes the command line on to it.
//!
//! `[--only NAME] [--broker ours|mosquitto]`: checks with these words in their name, one broker; what is not said is everything there is.

use lexopt::Parser;

use crate::debian::{self, MOSQUITTO};
use crate::error::Result;
use crate::project;

/// Runs the suite; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    debian::provide(&MOSQUITTO)?;
    let mut suite = project::tool("ohmqtt-conformance")?;
    suite.args(args.raw_args()?);
    project::run(suite.env("PATH", debian::search_path()))
}
