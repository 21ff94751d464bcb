//! Kills publishers and brokers at random moments, and compares what was accepted with what arrived. `cargo xtask crash` builds and
//! calls it.
//!
//! One *line* is one combination of store, durability, QoS and broker. It runs a broker, a subscriber and a publisher as processes of
//! their own, with a proxy between them that cuts connections; the publisher, and sometimes the broker, is killed in each round and
//! started again on the same store. In the end everything drains.
//!
//! The same program plays the publisher, the subscriber and the broker of ours: see `role`. Its first argument `soak` makes it another
//! one, which lasts, `networks` one whose networks fail, and `resources` one that runs out of things: see `soak`, `network` and `resource`.

mod books;
mod broker;
mod ledger;
mod line;
mod network;
mod pace;
mod plan;
mod process;
mod proxy;
mod resource;
mod rig;
mod role;
mod soak;
mod stamp;
mod trace;

use std::process::ExitCode;
use std::sync::Arc;

use lexopt::{Arg, Parser, ValueExt};
use tokio::sync::Semaphore;

use crate::line::Line;
use crate::rig::{Outcome, Rig};

/// What can go wrong here is somebody's to read.
pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> =
    std::result::Result<T, E>;

/// Fewer accepted messages in a round prove nothing.
const FEWEST_PER_ROUND: u64 = 10;

const USAGE: &str = "usage: ohmqtt-crash --rounds N [--store sqlite|redb|memory] [--durability safe|fast] [--qos 1|2] \
    [--broker ohmqtt|mosquitto] [--seed X] [--jobs N]";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if let Some(role) = args
        .next()
        .and_then(|name| role::named(name.to_str().unwrap_or_default()))
    {
        return match role(&mut Parser::from_args(args)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let first = std::env::args_os().nth(1).unwrap_or_default();
    let mut rest = Parser::from_args(std::env::args_os().skip(2));
    match first.to_str() {
        Some("soak") => return soak::run(&mut rest),
        Some("networks") => return network::run(&mut rest),
        Some("resources") => return resource::run(&mut rest),
        _ => {}
    }
    match Command::parse(&mut Parser::from_env()) {
        Ok(command) => command.run(),
        Err(error) => {
            eprintln!("ohmqtt-crash: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
struct Command {
    lines: Vec<Line>,
    rounds: u32,
    seed: u64,
    jobs: usize,
}

impl Command {
    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut rounds = None;
        let mut seed = None;
        let mut jobs = None;
        let mut wanted = line::Wanted::default();
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("rounds") => rounds = Some(args.value()?.parse()?),
                Arg::Long("store") => wanted.store = Some(args.value()?.parse()?),
                Arg::Long("durability") => wanted.durability = Some(args.value()?.parse()?),
                Arg::Long("qos") => wanted.qos = Some(args.value()?.parse()?),
                Arg::Long("broker") => wanted.broker = Some(args.value()?.parse()?),
                Arg::Long("seed") => seed = Some(args.value()?.parse()?),
                Arg::Long("jobs") => jobs = Some(args.value()?.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        let lines = wanted.lines();
        if lines.is_empty() {
            return Err("there is no such line".into());
        }
        let rounds = rounds.ok_or("how many rounds?")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            lines,
            rounds,
            seed: seed.unwrap_or_else(|| fastrand::u64(..)),
            // Most of the time all of them wait: for the disk, or for a moment to come.
            jobs: jobs.unwrap_or(2 * cores),
        })
    }

    #[tokio::main]
    async fn run(self) -> ExitCode {
        let rounds = self.rounds;
        tokio::select! {
            code = self.run_lines() => code,
            // Whoever is still running is killed as the rigs are dropped.
            () = stopped() => {
                eprintln!("ohmqtt-crash: stopped before {rounds} rounds were over; what happened is in the folder for temporary files");
                ExitCode::FAILURE
            }
        }
    }

    async fn run_lines(self) -> ExitCode {
        let jobs = Arc::new(Semaphore::new(self.jobs.max(1)));
        let mut running = tokio::task::JoinSet::new();
        let mut outcomes: Vec<Option<Result<Outcome>>> = Vec::new();
        for (index, line) in self.lines.iter().copied().enumerate() {
            outcomes.push(None);
            let jobs = Arc::clone(&jobs);
            let (seed, rounds) = (self.seed, self.rounds);
            running.spawn(async move {
                let _turn = jobs.acquire().await;
                (index, Rig::run(line, rounds, seed).await)
            });
        }
        let mut all_good = true;
        let mut next = 0;
        while let Some(joined) = running.join_next().await {
            match joined {
                Ok((index, outcome)) => outcomes[index] = Some(outcome),
                Err(error) => {
                    eprintln!("ohmqtt-crash: {error}");
                    return ExitCode::FAILURE;
                }
            }
            // In the order of the table, whichever is ready first.
            while let Some(outcome) = outcomes.get_mut(next).and_then(Option::take) {
                all_good &= self.report(self.lines[next], outcome);
                next += 1;
            }
        }
        if all_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// Prints what came of a line, and says whether it is as promised.
    fn report(&self, line: Line, outcome: Result<Outcome>) -> bool {
        let problem = match outcome {
            Ok(outcome) => {
                println!(
                    "crash: {line} rounds={} {}",
                    self.rounds,
                    outcome.tally.shown(line)
                );
                let fewest = FEWEST_PER_ROUND * u64::from(self.rounds);
                let problem = outcome
                    .problem
                    .or_else(|| outcome.tally.fault(line, fewest));
                if problem.is_none() {
                    // What cannot be taken away does no harm.
                    let _ = std::fs::remove_dir_all(&outcome.folder);
                }
                problem.map(|problem| (problem, Some(outcome.folder)))
            }
            Err(error) => {
                println!("crash: {line} rounds={} did not run", self.rounds);
                Some((error.to_string(), None))
            }
        };
        let Some((problem, folder)) = problem else {
            return true;
        };
        eprintln!("crash: {line}: {problem}");
        if let Some(folder) = folder {
            eprintln!("crash: what happened is in {}", folder.display());
        }
        eprintln!(
            "crash: again with: cargo xtask crash --rounds {} {} --seed {}",
            self.rounds,
            line.options(),
            self.seed
        );
        false
    }
}

/// Waits until somebody wants this to end.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
