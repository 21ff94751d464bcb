//! `cargo xtask fuzz --seconds N [--only TARGET] [--address]`: every fuzz target for so long, as many at once as there are processors.
//!
//! libFuzzer needs counters in the code, which stable compilers put there when asked the way `cargo fuzz` asks. The sanitizer that
//! `--address` adds they do not offer, and are told to let it pass. New inputs gather in cargo's target folder, and each finding is
//! kept there as a file, with the command that repeats it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use lexopt::{Arg, Parser, ValueExt as _};

use crate::debian::{self, CXX};
use crate::error::{Error, Result, failed};
use crate::project::{self, cargo, output, program, root, target};

/// As `cargo fuzz` builds: counters of edges and of comparisons, and no code left out for want of a caller.
const COUNTERS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-dead-code",
    "--cfg=fuzzing",
];

/// What the command line asks for.
#[derive(Debug)]
struct Asked {
    seconds: u64,
    only: Option<String>,
    address: bool,
}

/// What came of one target.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    executions: u64,
    a_second: u64,
    /// What libFuzzer said, when it found something.
    finding: Option<String>,
}

/// Runs the targets.
pub(crate) fn run(args: &mut Parser) -> Result {
    let asked = asked(args)?;
    let names = names(&asked)?;
    if cfg!(unix) {
        debian::provide(&CXX)?;
    }
    let folder = build(&asked)?;
    let outcomes = in_turn(&names, |name| fuzz(&folder, name, &asked))?;
    let mut executions = 0;
    let mut findings = 0;
    for (name, outcome) in names.iter().zip(&outcomes) {
        executions += outcome.executions;
        println!(
            "fuzz: {name:<12}{:>10} executions{:>9} a second{}",
            outcome.executions,
            outcome.a_second,
            if outcome.finding.is_some() {
                "  FINDING"
            } else {
                ""
            }
        );
        if let Some(finding) = &outcome.finding {
            findings += 1;
            eprintln!("{finding}");
            eprintln!("to repeat it: cargo run --package ohmqtt-fuzz --example replay {name} FILE");
        }
    }
    let targets = names.len();
    println!("fuzz: {targets} targets, {executions} executions, {findings} findings");
    if findings == 0 {
        Ok(())
    } else {
        failed(format!("{findings} findings"))
    }
}

fn asked(args: &mut Parser) -> Result<Asked> {
    let mut asked = Asked {
        seconds: 60,
        only: None,
        address: false,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seconds") => asked.seconds = args.value()?.parse()?,
            Arg::Long("only") => asked.only = Some(args.value()?.string()?),
            Arg::Long("address") => asked.address = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    if asked.seconds == 0 {
        return Err(Error::Usage("0 seconds are for ever to libFuzzer".into()));
    }
    Ok(asked)
}

/// Builds all targets, and gives the folder they are in.
fn build(asked: &Asked) -> Result<PathBuf> {
    let host = host()?;
    let mut flags = COUNTERS.join(" ");
    let folder = target().join(if asked.address {
        "fuzz-address"
    } else {
        "fuzz"
    });
    let mut build =
        cargo("build --release --locked --quiet --manifest-path fuzz/Cargo.toml --target");
    build.arg(&host).env("CARGO_TARGET_DIR", &folder);
    if asked.address {
        flags.push_str(" -Zsanitizer=address");
        build.env("RUSTC_BOOTSTRAP", "1");
    }
    build.env_remove("CARGO_ENCODED_RUSTFLAGS");
    project::run(build.env("RUSTFLAGS", flags))?;
    Ok(folder.join(host).join("release"))
}

/// What the compiler builds for. Named, so that what runs while building has no counters.
fn host() -> Result<String> {
    let (version, _) = output(program("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned);
    host.ok_or_else(|| Error::Failed("`rustc -vV` names no host".to_owned()))
}

/// The names of the targets: those of the files they are in.
fn names(asked: &Asked) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in files(&root().join("fuzz/fuzz_targets"))? {
        let name = path.file_stem().map(|name| name.to_string_lossy());
        names.extend(name.map(std::borrow::Cow::into_owned));
    }
    names.sort();
    if let Some(only) = &asked.only {
        names.retain(|name| name == only);
        if names.is_empty() {
            return Err(Error::Usage(format!("there is no fuzz target `{only}`")));
        }
    }
    Ok(names)
}

/// Does the work for each name, with as many at once as there are processors.
fn in_turn<T: Send>(names: &[String], work: impl Fn(&str) -> Result<T> + Sync) -> Result<Vec<T>> {
    let left: Mutex<VecDeque<_>> = Mutex::new(names.iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, name)) = next(&left) {
                    let result = work(name);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn next<T>(left: &Mutex<VecDeque<T>>) -> Option<T> {
    left.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front()
}

fn fuzz(binaries: &Path, name: &str, asked: &Asked) -> Result<Outcome> {
    let own = target().join("fuzz");
    let corpus = own.join("corpus").join(name);
    let artifacts = own.join("artifacts").join(name);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)
            .map_err(|error| Error::Failed(format!("{}: {error}", folder.display())))?;
    }
    let mut fuzz: Command = program(binaries.join(name));
    fuzz.arg(format!("-max_total_time={}", asked.seconds))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-max_len=4096", "-timeout=20", "-rss_limit_mb=2048"])
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(&corpus)
        .arg(Path::new("fuzz/seeds").join(name));
    // What a target prints of a finding is shown when there is one.
    let ended = fuzz
        .output()
        .map_err(|error| Error::Failed(format!("{name}: {error}")))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    Ok(outcome(&said, ended.status.success(), asked.seconds))
}

/// Reads what libFuzzer says at its end.
fn outcome(said: &str, succeeded: bool, seconds: u64) -> Outcome {
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0);
    Outcome {
        executions,
        a_second: executions / seconds.max(1),
        finding: (!succeeded).then(|| said.to_owned()),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = |error| Error::Failed(format!("{}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(read)?;
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(read))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let said =
            "INFO: Seed: 1\nstat::number_of_executed_units: 1200\nstat::average_exec_per_sec: 60\n";
        let want = Outcome {
            executions: 1_200,
            a_second: 60,
            finding: None,
        };
        assert_eq!(outcome(said, true, 20), want);
        let found = outcome("panicked at ...", false, 20);
        assert_eq!(found.finding.as_deref(), Some("panicked at ..."));
    }

    #[test]
    fn each_name_is_worked_on_once_and_the_answers_are_in_order() {
        let names: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        let got = in_turn(&names, |name| Ok(name.to_owned()));
        assert_eq!(got, Ok(names));
    }

    #[test]
    fn no_time_at_all_is_refused() {
        let got = asked(&mut Parser::from_args(["--seconds", "0"]));
        assert!(matches!(got, Err(Error::Usage(_))), "{got:?}");
    }

    #[test]
    fn a_target_that_is_not_there_is_refused() {
        let only = Some("frobnicate".to_owned());
        let asked = Asked {
            seconds: 1,
            only,
            address: false,
        };
        assert!(matches!(names(&asked), Err(Error::Usage(_))));
    }
}
