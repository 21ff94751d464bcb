//! Networks that fail: a broker of ours, two clients of ours, and between them packets that are dropped, bytes that come in pieces,
//! resets, silence, addresses that change. `cargo xtask networks` builds and calls it.
//!
//! What may not happen: a message of QoS 2 that is lost or comes twice, attempts to connect beyond the bounds that were set, files or
//! tasks that are held when the connection they were for is gone.
//!
//! Most scenarios have the clients on a host of their own: see `hosts`. The seed decides the messages, their times, the pieces and the
//! waits between attempts; which packet of a hundred is dropped is the system's choice.

mod attempts;
mod chopped;
mod held;
mod hosts;
mod reset;
mod site;
mod sum;
mod traffic;
mod weather;

use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use tokio::time::{Instant, timeout};

use self::hosts::{At, BOTH, Hosts};
use self::site::Stage;
use self::sum::Sum;
pub(crate) use self::traffic::play;
use crate::Result;
use crate::trace::Trace;

const USAGE: &str = "usage: ohmqtt-crash networks [--only PART_OF_A_NAME] [--seed X] [--planted]";

/// What tells this program that it runs in a namespace of its own.
const INSIDE: &str = "inside";

/// No scenario takes as long.
const LONGEST: Duration = Duration::from_secs(180);

type Running<'a> = Pin<Box<dyn Future<Output = Result<Sum>> + 'a>>;

struct Scenario {
    name: &'static str,
    /// Whether it needs two hosts.
    hosts: bool,
    run: for<'a> fn(&'a mut Stage<'_>) -> Running<'a>,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "drop-1",
        hosts: true,
        run: |stage| Box::pin(weather::loss(stage, 1, 2000)),
    },
    Scenario {
        name: "drop-10",
        hosts: true,
        run: |stage| Box::pin(weather::loss(stage, 10, 1500)),
    },
    Scenario {
        name: "drop-30",
        hosts: true,
        run: |stage| Box::pin(weather::loss(stage, 30, 600)),
    },
    Scenario {
        name: "chopped",
        hosts: false,
        run: |stage| Box::pin(chopped::run(stage)),
    },
    Scenario {
        name: "reset",
        hosts: false,
        run: |stage| Box::pin(reset::run(stage)),
    },
    Scenario {
        name: "black-hole",
        hosts: true,
        run: |stage| Box::pin(weather::hole(stage, &BOTH)),
    },
    Scenario {
        name: "one-way",
        hosts: true,
        run: |stage| Box::pin(weather::hole(stage, &[At::Clients])),
    },
    Scenario {
        name: "half-open",
        hosts: true,
        run: |stage| Box::pin(weather::half_open(stage)),
    },
    Scenario {
        name: "address",
        hosts: true,
        run: |stage| Box::pin(weather::address(stage)),
    },
];

/// Runs the scenarios and prints what came of them.
pub(crate) fn run(args: &mut Parser) -> ExitCode {
    let networks = match Networks::parse(args) {
        Ok(networks) => networks,
        Err(error) => {
            eprintln!("networks: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = if networks.inside || !networks.scenarios().any(|scenario| scenario.hosts) {
        networks.run()
    } else {
        networks.run_inside()
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("networks: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Networks {
    /// The scenarios whose names have this in them.
    only: String,
    seed: u64,
    planted: bool,
    inside: bool,
}

impl Networks {
    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut networks = Self {
            only: String::new(),
            seed: fastrand::u64(..),
            planted: false,
            inside: false,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("only") => networks.only = args.value()?.string()?,
                Arg::Long("seed") => networks.seed = args.value()?.parse()?,
                Arg::Long("planted") => networks.planted = true,
                Arg::Long(INSIDE) => networks.inside = true,
                other => return Err(other.unexpected()),
            }
        }
        if networks.scenarios().next().is_none() {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let only = &networks.only;
            return Err(
                format!("no scenario has {only:?} in its name: {}", names.join(", ")).into(),
            );
        }
        Ok(networks)
    }

    fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        let is_wanted = |scenario: &&Scenario| scenario.name.contains(&self.only);
        SCENARIOS.iter().filter(is_wanted)
    }

    /// The command line that gives the same again.
    fn options(&self) -> String {
        let mut options = format!("--seed {}", self.seed);
        if !self.only.is_empty() {
            let _ = write!(options, " --only {}", self.only);
        }
        if self.planted {
            options += " --planted";
        }
        options
    }

    fn run_inside(&self) -> Result<bool> {
        let args = format!("networks {} --{INSIDE}", self.options());
        let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
        Ok(hosts::run_inside(&args)?.success())
    }

    #[tokio::main]
    async fn run(&self) -> Result<bool> {
        let folder = tempfile::Builder::new()
            .prefix("ohmqtt-networks-")
            .tempdir()?;
        let trace = Trace::new(folder.path())?;
        let outcome = tokio::select! {
            outcome = self.run_in_folder(folder.path(), &trace) => outcome,
            // Hosts, processes and the folder go as what holds them is dropped.
            () = crate::stopped() => return Err("stopped before its time".into()),
            () = crate::role::unleashed(), if self.inside => return Err("left alone".into()),
        };
        trace.flush();
        if !outcome.as_ref().is_ok_and(|is_good| *is_good) {
            let folder = folder.keep();
            eprintln!("networks: what happened is in {}", folder.display());
            eprintln!(
                "networks: again with: cargo xtask networks {}",
                self.options()
            );
        }
        outcome
    }

    async fn run_in_folder(&self, folder: &Path, trace: &Trace) -> Result<bool> {
        println!("networks: seed {}", self.seed);
        let hosts = if self.inside {
            Some(Hosts::new().await?)
        } else {
            None
        };
        let mut stage = Stage {
            folder,
            trace: trace.clone(),
            seed: self.seed,
            planted: self.planted,
            hosts,
        };
        let (mut all, mut count, mut is_good) = (Sum::default(), 0, true);
        for scenario in self.scenarios() {
            trace.note("scenario", scenario.name);
            let begin = Instant::now();
            let sum = timeout(LONGEST, (scenario.run)(&mut stage)).await;
            let sum = sum.unwrap_or_else(|_| Err("it does not come to its end".into()));
            let seconds = begin.elapsed().as_secs_f64();
            let (course, faults) = match sum {
                Ok(sum) => {
                    let told = (sum.course(), sum.faults());
                    all.add(sum);
                    told
                }
                Err(error) => (
                    "did not come to its end".to_owned(),
                    vec![error.to_string()],
                ),
            };
            println!("networks: {:10} {course}, {seconds:.1} s", scenario.name);
            is_good &= faults.is_empty();
            for fault in faults {
                eprintln!("networks: {}: {fault}", scenario.name);
            }
            count += 1;
            if !is_good {
                // What a scenario has left behind would be found in the next.
                break;
            }
        }
        println!(
            "networks: {count} scenarios, {} messages, {} lost, {} twice, {} leaks",
            all.messages, all.lost, all.twice, all.leaks
        );
        Ok(is_good)
    }
}
