//! `cargo xtask`: everything continuous integration does, one file per task.
//!
//! This file knows the names of the tasks and the exit codes: 0 when the task succeeded, 1 when it failed, 2 when the
//! command line was wrong. What a task does is in the file named after it.

mod bench;
mod cancel;
mod ci;
mod conformance;
mod crash;
mod crates_io;
mod debian;
mod deny;
mod differ;
mod docs;
mod error;
mod features;
mod flaky;
mod fuzz;
mod interop;
mod kit;
mod lint;
mod networks;
mod no_std;
mod project;
mod py;
mod release;
mod resources;
mod simulate;
mod soak;
mod statements;
mod test;
mod tidy;
mod worth;

use std::fmt::Write as _;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use crate::error::{Error, Result};

/// One task: its name, what `--help` says of it, and its function, which reads the rest of the command line.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Parser) -> Result,
}

const TASKS: &[Task] = &[
    Task {
        name: "ci",
        about: "what is checked at each change, with the seconds of each step",
        run: ci::run,
    },
    Task {
        name: "fmt",
        about: "check the formatting",
        run: lint::fmt,
    },
    Task {
        name: "clippy",
        about: "lint every target with every feature; warnings are errors",
        run: lint::clippy,
    },
    Task {
        name: "docs",
        about: "build the documentation: rustdoc, the Python reference, the guide; warnings are errors",
        run: docs::run,
    },
    Task {
        name: "tidy",
        about: "check the walls between the crates and the habits of the tree",
        run: tidy::run,
    },
    Task {
        name: "statements",
        about: "pair each normative statement with its code and its test",
        run: statements::run,
    },
    Task {
        name: "conformance",
        about: "conformance [--only NAME] [--broker ours|mosquitto]: statements tried on brokers as raw bytes",
        run: conformance::run,
    },
    Task {
        name: "kit",
        about: "kit [--only SCENARIO] [--client NAME]: clients and a server that misbehaves on purpose",
        run: kit::run,
    },
    Task {
        name: "simulate",
        about: "simulate --seeds N | --seed S | --planted: both sessions against each other",
        run: simulate::run,
    },
    Task {
        name: "crash",
        about: "crash --rounds N [--store S] [--qos Q] [--broker B] [--seed X]: kill processes, compare what arrives",
        run: crash::run,
    },
    Task {
        name: "fuzz",
        about: "fuzz [--seconds N] [--only TARGET] [--address]: each fuzz target for so long",
        run: fuzz::run,
    },
    Task {
        name: "soak",
        about: "soak --minutes M | --seconds S [--rate N] [--seed X]: QoS 1 through a Mosquitto that is restarted",
        run: soak::run,
    },
    Task {
        name: "networks",
        about: "networks [--only NAME] [--seed X]: packets dropped, bytes in pieces, resets, silence; root on Linux",
        run: networks::run,
    },
    Task {
        name: "resources",
        about: "resources [--only NAME] [--calls N] [--packets N]: calls of stores fail, disks fill, hostile packets; root on Linux",
        run: resources::run,
    },
    Task {
        name: "cancel",
        about: "cancel [--seeds N] [--method M] [--planted]: drop each public future at each await point",
        run: cancel::run,
    },
    Task {
        name: "no-std",
        about: "prove that the sans-IO crates build without std",
        run: no_std::run,
    },
    Task {
        name: "bench",
        about: "bench all | NAME... [--peers] [--check | --keep] [--counts] [--messages N], or charts: counts, ratios and memory beside goals and peers",
        run: bench::run,
    },
    Task {
        name: "differ",
        about: "differ [--packets N] [--seed S]: what our codec encodes, decoded by codecs of others",
        run: differ::run,
    },
    Task {
        name: "worth",
        about: "worth [--coverage] [--mutants] [--sample N] [--seed S] [--shard K/N]: lines the tests run, mutants they catch",
        run: worth::run,
    },
    Task {
        name: "test",
        about: "set up what the tests need, then run them all",
        run: test::run,
    },
    Task {
        name: "flaky",
        about: "flaky [--times N]: every test N times while every core is busy",
        run: flaky::run,
    },
    Task {
        name: "py",
        about: "py [--sdist]: build, test and check the Python package; wheels for the other CPythons",
        run: py::run,
    },
    Task {
        name: "features",
        about: "check each feature of each crate alone, none, and all",
        run: features::run,
    },
    Task {
        name: "deny",
        about: "licences, duplicates and sources of dependencies, by cargo-deny",
        run: deny::run,
    },
    Task {
        name: "release",
        about: "release --dry-run [--no-verify]: package each crate, the sdist and a wheel, cut the notes",
        run: release::run,
    },
    Task {
        name: "interop",
        about: "interop [PEER...]: others' clients talk to our broker over every transport",
        run: interop::run,
    },
];

fn main() -> ExitCode {
    match run(&mut Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Failed(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::from(1)
        }
        Err(Error::Usage(message)) => {
            eprintln!("xtask: {message}\n\n{}", usage());
            ExitCode::from(2)
        }
    }
}

fn run(args: &mut Parser) -> Result {
    match args.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => {
            println!("{}", usage());
            Ok(())
        }
        Some(Arg::Value(name)) => {
            let task = TASKS.iter().find(|task| name == task.name);
            let task =
                task.ok_or_else(|| Error::Usage(format!("there is no task {}", name.display())))?;
            (task.run)(args)
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(Error::Usage("which task?".to_owned())),
    }
}

fn usage() -> String {
    let mut text = "usage: cargo xtask TASK\n\ntasks:".to_owned();
    for task in TASKS {
        let _ = write!(text, "\n  {:12}{}", task.name, task.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], want: &str) {
        let got = run(&mut Parser::from_args(args)).unwrap_err();
        assert_eq!(got, Error::Usage(want.to_owned()));
    }

    #[test]
    fn wrong_command_lines_are_usage_errors() {
        check(&[], "which task?");
        check(&["nonsense"], "there is no task nonsense");
        check(&["--frobnicate"], "invalid option '--frobnicate'");
        check(&["docs", "--frobnicate"], "invalid option '--frobnicate'");
        check(
            &["bench"],
            "bench what? there are: all, codec, client, backlog, broker, dispatch, mosquitto, python, router, store, transport, charts",
        );
        check(
            &["bench", "moon"],
            "there is no bench moon; there are: all, codec, client, backlog, broker, dispatch, mosquitto, python, router, store, transport, charts",
        );
    }

    #[test]
    fn usage_names_every_task() {
        for task in TASKS {
            assert!(usage().contains(task.about), "{}", task.name);
        }
    }
}
