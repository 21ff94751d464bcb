//! Mutants of the codec and of the session's flows: the code with one thing broken, which the tests of its crate should notice.
//!
//! cargo-mutants makes them, in a copy of the tree, and runs the tests; here is which of them, and the count. A mutant that does not
//! compile is none, and one that runs for ever is caught. `.cargo/mutants.toml` names those that change nothing, with a reason each.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::sample::Sample;
use crate::crates_io::{self, MUTANTS};
use crate::error::{Error, Result, failed};
use crate::project::{output, program, target};

/// Where mutants are made.
const SOURCES: [&str; 2] = ["ohmqtt-codec/src/**", "ohmqtt-session/src/flows/**"];

/// What came of the sample.
#[derive(Debug, PartialEq)]
pub(super) struct Caught {
    pub(super) caught: usize,
    pub(super) all: usize,
}

/// Tries the sample; prints each mutant that no test noticed.
pub(super) fn run(sample: &Sample) -> Result<Caught> {
    let tool = crates_io::provide(&MUTANTS)?;
    let (list, _) = output(mutants(&tool).args(["--list", "--colors", "never"]))?;
    let all: Vec<_> = list.lines().filter(|line| !line.is_empty()).collect();
    let chosen = sample.choose(&all);
    if chosen.is_empty() {
        return failed("there is no mutant to try");
    }
    println!("worth: {} of {} mutants", chosen.len(), all.len());
    let folder = target().join("worth");
    let out = folder.join("mutants.out");
    // What an earlier run has said is no answer.
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&folder).map_err(|error| unread(&folder, &error))?;
    let mut attempt = mutants(&tool);
    for mutant in &chosen {
        attempt.args(["--re", &format!("^{}$", escaped(mutant))]);
    }
    attempt.args(["--profile", "ci", "--jobs", "1", "--no-shuffle"]);
    attempt.args(["--timeout-multiplier", "5", "--colors", "never"]);
    // Examples have nothing to notice, and what debuggers want costs time.
    for arg in ["--lib", "--tests", "--config=profile.ci.debug=false"] {
        attempt.args(["--cargo-arg", arg]);
    }
    // Most of a crate is the same in the next mutant.
    attempt.env("CARGO_INCREMENTAL", "1");
    attempt.env("CARGO_TARGET_DIR", folder.join("mutants"));
    attempt.arg("--output").arg(&folder);
    let ended = attempt.status();
    let status = ended.map_err(|error| unread(&tool, &error))?;
    // 2: some were missed; 3: some ran for ever.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        return failed(format!("cargo-mutants: {status}"));
    }
    let said = |name: &str| -> Result<Vec<String>> {
        let path = out.join(format!("{name}.txt"));
        let text = fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    let (missed, unviable) = (said("missed")?, said("unviable")?);
    let caught = said("caught")?.len() + said("timeout")?.len();
    if caught + missed.len() + unviable.len() != chosen.len() {
        return failed("cargo-mutants has not tried all of them");
    }
    for mutant in &missed {
        println!("not noticed: {mutant}");
    }
    let all = caught + missed.len();
    println!("worth: {} do not compile", unviable.len());
    Ok(Caught { caught, all })
}

fn mutants(tool: &Path) -> Command {
    let mut mutants = program(tool);
    mutants.args([
        "mutants",
        "--package",
        "ohmqtt-codec",
        "--package",
        "ohmqtt-session",
    ]);
    for sources in SOURCES {
        mutants.args(["--file", sources]);
    }
    mutants
}

/// A text as a regular expression that matches it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn unread(path: &Path, error: &std::io::Error) -> Error {
    Error::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_found_by_its_name_alone() {
        let got = escaped("a.rs:1:5: replace f -> (u8, bool) with (0, true)");
        let want = "a\\.rs:1:5: replace f -> \\(u8, bool\\) with \\(0, true\\)";
        assert_eq!(got, want);
    }
}
