//! `cargo xtask release --dry-run [--no-verify]`: all that a release makes, and nothing that leaves this machine.
//!
//! The notes are cut from the changelog; the crates are packaged in the order in which they are published, each built from its package unless
//! `--no-verify` says not to; the Python package becomes a source distribution, and a wheel of that. `RELEASING.md` has what a person does.

mod notes;
mod order;

use std::fs;

use lexopt::{Arg, Parser};

use crate::error::{Error, Result, failed};
use crate::project::{self, cargo, root, target};
use crate::py;
use crate::tidy::manifest::entries;

/// What goes along with each copy: the licences ask for it.
const GO_ALONG: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// The task.
pub(crate) fn run(args: &mut Parser) -> Result {
    let (mut is_dry, mut verify) = (false, true);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("dry-run") => is_dry = true,
            Arg::Long("no-verify") => verify = false,
            other => return Err(other.unexpected().into()),
        }
    }
    if !is_dry {
        let message = "release --dry-run: nothing is published from here, RELEASING.md says how";
        return Err(Error::Usage(message.to_owned()));
    }
    let version = version()?;
    let to = target().join("release-notes.md");
    let notes = notes::cut(&read("CHANGELOG.md")?, &version)?;
    fs::write(&to, notes).map_err(|error| Error::Failed(format!("{}: {error}", to.display())))?;

    let crates = order::published()?;
    for name in &crates {
        let mut list = cargo(&format!("package --list --allow-dirty --package {name}"));
        let (list, _) = project::output(&mut list)?;
        for file in GO_ALONG {
            if !list.lines().any(|line| line == *file) {
                return failed(format!("{name}: its package has no {file}"));
            }
        }
    }
    let mut publish = cargo("publish --dry-run --locked --allow-dirty");
    if !verify {
        publish.arg("--no-verify");
    }
    for name in &crates {
        publish.args(["--package", name]);
    }
    project::run(&mut publish)?;
    py::distributions()?;
    println!("release: {version}, {}", crates.join(", "));
    println!("release: {}", to.display());
    Ok(())
}

/// The version of the workspace, which the crates ask of each other.
fn version() -> Result<String> {
    let manifest = read("Cargo.toml")?;
    let entries = entries(&manifest);
    let own = entries
        .iter()
        .find(|entry| entry.table == "workspace.package" && entry.key == "version");
    let Some(version) = own.map(|entry| entry.value.trim_matches('"')) else {
        return failed("the workspace has no version");
    };
    let asked = format!("version = \"{version}\"");
    for entry in &entries {
        let is_ours = entry.table == "workspace.dependencies" && entry.key.starts_with("ohmqtt-");
        if is_ours && !entry.value.contains(&asked) {
            return failed(format!("{} is not asked for as {version}", entry.key));
        }
    }
    Ok(version.to_owned())
}

/// A file of the checkout.
fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| Error::Failed(format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_ask_for_each_other_in_this_version() {
        assert!(version().is_ok_and(|version| version.split('.').count() == 3));
    }

    #[test]
    fn the_licences_are_those_of_the_root() {
        let mut crates = order::published().unwrap();
        crates.push("ohmqtt-py".to_owned());
        for name in crates {
            for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
                let copy = read(&format!("{name}/{licence}"));
                assert_eq!(copy, read(licence), "{name}/{licence}");
            }
        }
    }

    #[test]
    fn nothing_is_released_without_being_asked_to_be_dry() {
        let usage = run(&mut Parser::from_args(["--no-verify"])).unwrap_err();
        assert!(matches!(usage, Error::Usage(_)), "{usage:?}");
    }
}
