//! `cargo xtask features`: each feature of each crate alone, none, and all together; a warning is a failure.
//!
//! Other steps build with every feature, so code that needs one it does not ask for would show only at a user's. It is
//! only checked, not linked or run. The features are read from the manifests: a new one needs no line here.

use std::fs;

use lexopt::Parser;

use crate::error::{Error, Result, failed, no_more};
use crate::project::{cargo, root};
use crate::tidy::manifest::entries;

/// The crates that users choose features of.
const CRATES: &[&str] = &[
    "ohmqtt-transport",
    "ohmqtt-store",
    "ohmqtt-client",
    "ohmqtt-broker",
];

/// Checks every crate, and says one line for each choice of features.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let mut failures = Vec::new();
    let mut checks = 0;
    for package in CRATES {
        let manifest = root().join(package).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .map_err(|error| Error::Failed(format!("{}: {error}", manifest.display())))?;
        for (name, choice) in choices(&text) {
            checks += 1;
            match check(package, &choice) {
                Ok(()) => println!("features: {package} {name} ok"),
                Err(error) => {
                    println!("features: {package} {name} FAILED");
                    eprintln!("{error}");
                    failures.push(format!("{package} {name}"));
                }
            }
        }
    }
    println!("features: {checks} checks, {} failures", failures.len());
    if failures.is_empty() {
        Ok(())
    } else {
        failed(format!("does not build alone: {}", failures.join(", ")))
    }
}

/// A name and cargo's arguments for every choice that is looked at.
fn choices(manifest: &str) -> Vec<(String, String)> {
    let features = entries(manifest)
        .into_iter()
        .filter(|entry| entry.table == "features")
        .map(|entry| {
            let choice = format!("--no-default-features --features {}", entry.key);
            (entry.key, choice)
        });
    let mut choices = vec![("none".to_owned(), "--no-default-features".to_owned())];
    choices.extend(features);
    choices.push(("all".to_owned(), "--all-features".to_owned()));
    choices
}

fn check(package: &str, choice: &str) -> Result {
    let mut command = cargo(&format!(
        "check --profile ci --package {package} --lib {choice}"
    ));
    let output = command
        .output()
        .map_err(|error| Error::Failed(format!("cargo: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && !warns(&said) {
        Ok(())
    } else {
        failed(said)
    }
}

/// Whether the compiler has warned: cargo repeats it for what it had checked before.
fn warns(said: &str) -> bool {
    said.lines().any(|line| line.starts_with("warning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_chosen_alone_and_all_together() {
        let manifest = "[package]\nname = \"x\"\n[features]\n# One.\nws = [\n    \"y\",\n]\nquic = []\n[dependencies]\n";
        let names: Vec<_> = choices(manifest)
            .into_iter()
            .map(|(name, choice)| format!("{name}: {choice}"))
            .collect();
        assert_eq!(
            names,
            [
                "none: --no-default-features",
                "ws: --no-default-features --features ws",
                "quic: --no-default-features --features quic",
                "all: --all-features",
            ]
        );
    }

    #[test]
    fn a_warning_is_told_from_the_progress_of_a_build() {
        assert!(!warns("    Checking warning v0.1.0\n    Finished\n"));
        assert!(warns(
            "    Checking x v0.1.0\nwarning: unused import: `y`\n --> x.rs\n"
        ));
        assert!(warns("warning[E0000]: so\n"));
    }

    #[test]
    fn every_crate_of_the_list_has_features() {
        for package in CRATES {
            let text = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
            assert!(choices(&text).len() > 3, "{package}");
        }
    }
}
