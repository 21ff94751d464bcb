//! Programs of crates.io that tasks run: found beside what cargo builds or on the machine, or else built from there.
//!
//! No step of `ci` wants one, as each takes minutes to build.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use crate::debian::first;
use crate::error::{Result, failed};
use crate::project::{cargo, run, target};

/// A program, by the name of its crate, and the release that is built where there is none.
pub(crate) struct Crate {
    pub(crate) name: &'static str,
    pub(crate) release: &'static str,
}

/// What makes mutants: the release that the figures were made with.
pub(crate) const MUTANTS: Crate = Crate {
    name: "cargo-mutants",
    release: "26.2.0",
};

/// What looks at the licences and sources of dependencies.
pub(crate) const DENY: Crate = Crate {
    name: "cargo-deny",
    release: "0.20.2",
};

/// Where the program is.
///
/// # Errors
/// When it is nowhere and does not build.
pub(crate) fn provide(wanted: &Crate) -> Result<PathBuf> {
    let tools = target().join("tools");
    let own = tools
        .join("bin")
        .join(format!("{}{EXE_SUFFIX}", wanted.name));
    if own.is_file() {
        return Ok(own);
    }
    if let Some(found) = first(&[wanted.name]) {
        return Ok(found);
    }
    let release = format!("{}@{}", wanted.name, wanted.release);
    eprintln!("xtask: building {release}, for some minutes");
    run(cargo("install --quiet --locked")
        .arg(release)
        .arg("--root")
        .arg(&tools))?;
    if own.is_file() {
        Ok(own)
    } else {
        failed(format!("{} is not there after its build", own.display()))
    }
}
