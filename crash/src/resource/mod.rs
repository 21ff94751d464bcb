//! Resources that run out or fail: each of the first calls of a store, a disk of two megabytes, memory under a million hostile packets
//! of each kind. `cargo xtask resources` builds and calls it.

mod calls;
mod full;
mod hostile;
mod outbox;
#[path = "../bin/ohmqtt-cancel/pipes.rs"]
mod pipes;

use std::process::ExitCode;
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) use self::outbox::{deliver, play};
use crate::Result;
use crate::line::StoreKind;

const USAGE: &str =
    "usage: ohmqtt-crash resources [--only PART_OF_A_NAME] [--calls N] [--packets N]";

#[derive(Clone, Copy, Debug)]
enum Scenario {
    Calls(StoreKind),
    Full(StoreKind),
    Hostile,
}

const SCENARIOS: &[(&str, Scenario)] = &[
    ("calls-sqlite", Scenario::Calls(StoreKind::Sqlite)),
    ("calls-redb", Scenario::Calls(StoreKind::Redb)),
    ("full-sqlite", Scenario::Full(StoreKind::Sqlite)),
    ("full-redb", Scenario::Full(StoreKind::Redb)),
    ("hostile", Scenario::Hostile),
];

/// Runs the scenarios and prints what came of them.
pub(crate) fn run(args: &mut Parser) -> ExitCode {
    match Resources::parse(args) {
        Ok(resources) => resources.run(),
        Err(error) => {
            eprintln!("resources: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Resources {
    only: String,
    /// How many calls of each store fail, and how many hostile packets of each kind there are.
    calls: usize,
    packets: u64,
}

impl Resources {
    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut resources = Self {
            only: String::new(),
            calls: 500,
            packets: 1_000_000,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("only") => resources.only = args.value()?.string()?,
                Arg::Long("calls") => resources.calls = args.value()?.parse()?,
                Arg::Long("packets") => resources.packets = args.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        if resources.scenarios().next().is_none() {
            let names: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
            let only = &resources.only;
            return Err(
                format!("no scenario has {only:?} in its name: {}", names.join(", ")).into(),
            );
        }
        Ok(resources)
    }

    fn scenarios(&self) -> impl Iterator<Item = (&'static str, Scenario)> {
        let is_wanted = |(name, _): &(&str, Scenario)| name.contains(&self.only);
        SCENARIOS.iter().copied().filter(is_wanted)
    }

    #[tokio::main(flavor = "current_thread")]
    async fn run(&self) -> ExitCode {
        tokio::select! {
            code = self.run_scenarios() => code,
            // Folders and processes go as what holds them is dropped.
            () = crate::stopped() => {
                eprintln!("resources: stopped before its time");
                ExitCode::FAILURE
            }
        }
    }

    async fn run_scenarios(&self) -> ExitCode {
        let mut good = 0;
        let mut count = 0;
        for (name, scenario) in self.scenarios() {
            let begin = Instant::now();
            let result = match scenario {
                Scenario::Calls(store) => {
                    let tally = calls::run(store, self.calls).await;
                    tally.map(|tally| tally.shown())
                }
                Scenario::Full(store) => full::run(store).await,
                Scenario::Hostile => hostile::run(self.packets).await,
            };
            let seconds = begin.elapsed().as_secs_f64();
            count += 1;
            match result {
                Ok(course) => {
                    println!("resources: {name:12} {course}, {seconds:.1} s");
                    good += 1;
                }
                Err(error) => eprintln!("resources: {name}: {error}"),
            }
        }
        println!("resources: {good} of {count} scenarios as promised");
        if good == count {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
