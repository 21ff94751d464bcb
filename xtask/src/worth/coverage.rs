//! Which lines of codec and session their own tests run: built with the compiler's counters, in a folder of their own.
//!
//! Tests inside `src` are no lines of the product and are not counted; documentation examples run elsewhere and count for nothing.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use super::lcov::{self, Lines};
use super::{llvm, percent};
use crate::error::{Error, Result, failed};
use crate::project::{self, cargo, output, program, root, target};
use crate::tidy;

/// The crates whose lines count.
const CRATES: [&str; 2] = ["ohmqtt-codec", "ohmqtt-session"];

/// The lines of a crate, or of both.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    lines: usize,
    ran: usize,
}

impl Row {
    pub(super) fn percent(&self) -> f64 {
        percent(self.ran, self.lines)
    }
}

impl Display for Row {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { lines, ran, .. } = self;
        write!(out, "{ran} of {lines} lines, {:.1} %", self.percent())
    }
}

/// The lines of each crate.
pub(super) struct Covered {
    pub(super) crates: Vec<Row>,
}

impl Covered {
    pub(super) fn percent(&self) -> f64 {
        let ran = self.crates.iter().map(|row| row.ran).sum();
        percent(ran, self.crates.iter().map(|row| row.lines).sum())
    }
}

/// Runs the tests and counts; prints a line for each crate, and for each file with lines that did not run.
pub(super) fn run() -> Result<Covered> {
    let llvm = llvm::provide()?;
    let folder = target().join("worth");
    let raw = folder.join("raw");
    // What an earlier run has counted is of other code.
    let _ = fs::remove_dir_all(&raw);
    let test = || {
        let mut test = cargo("test --profile ci --locked --lib --tests --color never --target");
        test.arg(&llvm.host);
        for name in CRATES {
            test.args(["--package", name]);
        }
        test.env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "-Cinstrument-coverage")
            .env("LLVM_PROFILE_FILE", raw.join("%p-%m.profraw"))
            .env("CARGO_TARGET_DIR", folder.join("build"));
        test
    };
    project::run(test().args(["--", "--quiet"]))?;
    let (_, said) = output(test().arg("--no-run"))?;
    let binaries = binaries(&said);
    if binaries.is_empty() {
        return failed("cargo names no test that it built");
    }
    let data = folder.join("worth.profdata");
    let mut merge = program(&llvm.profdata);
    merge.args(["merge", "--sparse", "--output"]).arg(&data);
    project::run(merge.arg(&raw))?;
    let mut export = program(&llvm.cov);
    export.args(["export", "--format=lcov", "--skip-functions"]);
    export.arg("--instr-profile").arg(&data);
    for binary in binaries {
        export.arg("--object").arg(binary);
    }
    let (report, _) = output(&mut export)?;
    let rows = CRATES.map(|name| count(name, &lcov::read(&report)));
    let crates = rows.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Covered { crates })
}

/// The programs that cargo says it built: `Executable tests/it/main.rs (path)`.
fn binaries(said: &str) -> Vec<PathBuf> {
    let lines = said.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("Executable "))
        .filter_map(|line| line.rsplit_once(" (")?.1.strip_suffix(')'))
        .map(|path| path.trim_matches('`').into())
        .collect()
}

/// Counts the lines of a crate that are no tests, and prints where some did not run.
fn count(name: &'static str, lines: &Lines) -> Result<Row> {
    let sources = root().join(name).join("src");
    let mut row = Row {
        name,
        lines: 0,
        ran: 0,
    };
    let mut idle = Vec::new();
    for (path, counts) in lines {
        let Ok(inner) = Path::new(path).strip_prefix(&sources) else {
            continue;
        };
        let text = fs::read_to_string(path).map_err(|error| unread(path, &error))?;
        if inner.ends_with("tests.rs") {
            continue;
        }
        let tests = tidy::test_lines(&text);
        let own = counts.iter().filter(|(line, _)| !tests.contains(line));
        let (ran, not): (Vec<_>, Vec<_>) = own.partition(|(_, count)| **count > 0);
        row.lines += ran.len() + not.len();
        row.ran += ran.len();
        if !not.is_empty() {
            let not: Vec<_> = not.into_iter().map(|(line, _)| *line).collect();
            idle.push(format!("  {}: {}", inner.display(), lcov::ranges(&not)));
        }
    }
    println!("{name}: {row}");
    for line in idle {
        println!("{line}");
    }
    if row.lines == 0 {
        return failed(format!("no line of {name} is in the report"));
    }
    Ok(row)
}

fn unread(path: &str, error: &std::io::Error) -> Error {
    Error::Failed(format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_is_found_by_its_path() {
        let said = "    Finished `ci` profile\n  Executable unittests src/lib.rs (target/a-1)\n  Executable tests/it/main.rs (target/it-2)\n";
        let want = ["target/a-1", "target/it-2"].map(PathBuf::from);
        assert_eq!(binaries(said), want);
    }

    #[test]
    fn a_crate_without_lines_is_no_success() {
        assert!(count("ohmqtt-codec", &Lines::new()).is_err());
    }

    #[test]
    fn tests_within_the_sources_are_not_counted() {
        let path = root().join("ohmqtt-codec/src/wire.rs");
        let text = fs::read_to_string(&path).unwrap();
        let last = text.lines().count() - 1;
        let counts = [(1, 1), (2, 0), (last, 0)].into();
        let lines = [(path.display().to_string(), counts)].into();
        let want = Row {
            name: "ohmqtt-codec",
            lines: 2,
            ran: 1,
        };
        assert_eq!(count("ohmqtt-codec", &lines), Ok(want));
    }
}
