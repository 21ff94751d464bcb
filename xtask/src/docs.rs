//! `cargo xtask docs`: the documentation of every crate with every feature; a warning is an error.
//!
//! It runs in the profile `ci`, so that the metadata of the dependencies that clippy left behind serves again.

use std::env;

use lexopt::Parser;

use crate::error::{Result, no_more};
use crate::project::{self, cargo};

/// Builds the documentation.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let flags = format!(
        "{} -D warnings",
        env::var("RUSTDOCFLAGS").unwrap_or_default()
    );
    let mut doc = cargo("doc --workspace --no-deps --all-features --profile ci");
    project::run(doc.env("RUSTDOCFLAGS", flags.trim()))
}
