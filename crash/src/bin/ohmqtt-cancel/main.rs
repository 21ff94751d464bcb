//! Drops every future of the client's public methods at every point at which it can be left, under several circumstances, and looks
//! whether anything broke. `cargo xtask cancel` builds and calls it.
//!
//! A *point* is a method, a circumstance and a number of polls: the future is polled so often, each time only when it has asked for
//! it, and dropped. When it asks for nothing any more the circumstance ends, and it goes on. The number grows until the future is
//! ready. Each number is tried twice: the future is dropped at once, or when it has asked for the next poll. Each point has a client
//! and a broker of its own, joined by a link that withholds, refuses and cuts.
//!
//! The table of the methods is compared with the client's source: one without a row is a violation, and so is one whose documentation
//! has no line on cancel safety.

mod circumstance;
mod link;
mod methods;
mod pipes;
mod planted;
mod point;
mod polls;
mod slow;
mod source;
mod subject;
mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use lexopt::{Arg, Parser, ValueExt};

use self::circumstance::Circumstance;
use self::point::{Outcome, Point};
use self::subject::Method;

/// What was found to be wrong, if it was.
type Check<T = ()> = Result<T, String>;

const USAGE: &str = "usage: ohmqtt-cancel --source FOLDER [--seed X] [--method PART_OF_A_NAME] [--verbose] | --planted [--seed X]";

fn main() -> ExitCode {
    match Command::parse(&mut Parser::from_env()) {
        Ok(command) => command.run(),
        Err(error) => {
            eprintln!("ohmqtt-cancel: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
struct Command {
    seed: u64,
    /// From that seed on so many.
    seeds: u64,
    /// Tells how many points each method has under each circumstance, with the first seed.
    verbose: bool,
    /// The methods whose names have this in them.
    part: String,
    what: What,
}

enum What {
    /// The source of the client, which the table is compared with.
    Methods(PathBuf),
    /// Methods that are not safe: each has to be found out.
    Planted,
}

impl Command {
    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let (mut seed, mut seeds, mut verbose) = (1, 1, false);
        let (mut part, mut what) = (String::new(), None);
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("seed") => seed = args.value()?.parse()?,
                Arg::Long("seeds") => seeds = args.value()?.parse()?,
                Arg::Long("verbose") => verbose = true,
                Arg::Long("method") => part = args.value()?.string()?,
                Arg::Long("source") => what = Some(What::Methods(args.value()?.into())),
                Arg::Long("planted") => what = Some(What::Planted),
                other => return Err(other.unexpected()),
            }
        }
        let what = what.ok_or("where is the client's source?")?;
        Ok(Self {
            seed,
            seeds,
            verbose,
            part,
            what,
        })
    }

    fn run(&self) -> ExitCode {
        let is_good = match &self.what {
            What::Methods(source) => self.run_methods(source),
            What::Planted => self.run_planted(),
        };
        if is_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn run_methods(&self, source: &std::path::Path) -> bool {
        let mut violations = source::compare(source, methods::all());
        let wanted = |method: &&Method| method.name.contains(&self.part);
        let cells = cells(methods::all().filter(wanted));
        let seeds = self.seed..self.seed.saturating_add(self.seeds);
        let results: Vec<Found> = seeds.flat_map(|seed| run_all(&cells, seed)).collect();
        violations.extend(results.iter().flat_map(|cell| cell.violations.clone()));
        for violation in &violations {
            eprintln!("cancel: {violation}");
        }
        if self.verbose {
            for ((method, circumstance), found) in cells.iter().zip(&results) {
                let points = found.points;
                println!("cancel: {}, {circumstance}: {points} points", method.name);
            }
        }
        let covered: BTreeSet<_> = cells.iter().flat_map(|(method, _)| method.covers).collect();
        let points: usize = results.iter().map(|cell| cell.points).sum();
        println!(
            "cancel: {} methods, {points} points, {} violations",
            covered.len(),
            violations.len()
        );
        violations.is_empty() && points > 0
    }

    /// Each planted fault has to be found.
    fn run_planted(&self) -> bool {
        let cells: Vec<Cell> = planted::METHODS
            .iter()
            .map(|method| (method, Circumstance::Plain))
            .collect();
        let mut found = 0;
        for (method, result) in planted::METHODS.iter().zip(run_all(&cells, self.seed)) {
            found += usize::from(!result.violations.is_empty());
            match result.violations.first() {
                Some(violation) => println!("cancel: found: {violation}"),
                None => eprintln!("cancel: {} was not found out", method.name),
            }
        }
        let all = planted::METHODS.len();
        println!("cancel: {found} of {all} planted faults found");
        found == all
    }
}

type Cell = (&'static Method, Circumstance);

fn cells(methods: impl IntoIterator<Item = &'static Method>) -> Vec<Cell> {
    let under_all = |method: &'static Method| Circumstance::ALL.map(|it| (method, it));
    methods.into_iter().flat_map(under_all).collect()
}

/// What came of one method under one circumstance.
#[derive(Debug, Default)]
struct Found {
    points: usize,
    violations: Vec<String>,
}

/// Runs the cells on as many threads as there are cores, each point in a runtime of its own. What is found is in their order.
fn run_all(cells: &[Cell], seed: u64) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let found: Vec<Mutex<Found>> = cells.iter().map(|_| Mutex::default()).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(cell), Some(found)) = (cells.get(number), found.get(number)) else {
                        break;
                    };
                    let one = run_cell(*cell, seed);
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = one;
                }
            });
        }
    });
    let whole = |found: Mutex<Found>| found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.into_iter().map(whole).collect()
}

/// Drops the future after no poll, after one, after two, until it is ready.
fn run_cell((method, circumstance): Cell, seed: u64) -> Found {
    let mut found = Found::default();
    let once = |polls| [false, true].map(|asked| (polls, asked));
    for (polls, asked) in (0..=Point::MOST_POLLS).flat_map(once) {
        if polls == 0 && asked {
            // It asks from the beginning.
            continue;
        }
        let point = Point {
            method,
            circumstance,
            polls,
            asked,
            seed,
        };
        found.points += 1;
        match point.run() {
            Ok(Outcome::Dropped) => {}
            Ok(Outcome::Ready) => return found,
            Err(violation) => {
                found.violations.push(format!("{point}: {violation}"));
                return found;
            }
        }
    }
    // It goes on asking to be polled: there is no further state to drop it in.
    found
}
