//! `cargo xtask no-std`: builds, for each sans-IO crate, a static library that is `no_std` and uses it.
//!
//! Each proof is a workspace of its own with its own panic handler and allocator: when anything under it drags in std,
//! the build fails with E0152 (a duplicate lang item). So the host's own target is enough.

use lexopt::Parser;

use crate::error::{Result, no_more};
use crate::project::{self, cargo, target};

const PROOFS: &[&str] = &["ohmqtt-codec/no_std_proof", "ohmqtt-session/no_std_proof"];

/// Builds every proof.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    for proof in PROOFS {
        let mut build = cargo("build --locked --manifest-path");
        build.arg(format!("{proof}/Cargo.toml"));
        project::run(build.arg("--target-dir").arg(target().join("no_std")))?;
    }
    Ok(())
}
