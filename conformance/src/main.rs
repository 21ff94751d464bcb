//! `ohmqtt-conformance`: tests servers as raw bytes over a socket, statement by statement.
//!
//! It has a writer and a reader of packets of its own and knows nothing of our codec and session: what it finds of our broker is
//! evidence from outside. Mosquitto goes through the same checks in the same run, which checks the suite.

mod broker;
mod bytes;
mod check;
mod checks;
mod coverage;
mod fault;
mod mosquitto;
mod packet;
mod table;
mod wire;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lexopt::{Arg, Parser, ValueExt};

use self::broker::{Mosquitto, Ours};
use self::check::{Addresses, Bench, Check};
use self::fault::Fault;

const USAGE: &str = "usage: ohmqtt-conformance [--only NAME] [--broker ours|mosquitto]";

/// How many checks run at once: most of them wait.
const AT_ONCE: usize = 10;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Asked {
    /// A part of the names of the checks to run.
    only: String,
    ours: bool,
    mosquitto: bool,
}

/// A check that failed, and what was said.
#[derive(Debug)]
struct Failed {
    number: usize,
    check: Check,
    fault: Fault,
    script: Vec<String>,
}

fn main() -> ExitCode {
    let asked = match asked(&mut Parser::from_env()) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("conformance: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(1)
        }
    }
}

fn asked(args: &mut Parser) -> Result<Asked, lexopt::Error> {
    let mut asked = Asked {
        ours: true,
        mosquitto: true,
        ..Asked::default()
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("only") => asked.only = args.value()?.string()?,
            Arg::Long("broker") => match args.value()?.string()?.as_str() {
                "ours" => asked.mosquitto = false,
                "mosquitto" => asked.ours = false,
                other => return Err(format!("there is no broker {other}").into()),
            },
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

/// Runs what is asked for; whether all is as it should be.
fn run(asked: &Asked) -> Result<bool, Box<dyn Error>> {
    let all = checks::all();
    let mut problems = coverage::problems(&all);
    let mut checks = all;
    checks.retain(|check| check.name.contains(&asked.only));
    if checks.is_empty() {
        return Err(format!("no check has {:?} in its name", asked.only).into());
    }
    let statements = coverage::covered(&checks).len();
    let ours = asked.ours.then(Ours::start).transpose()?;
    let theirs = asked.mosquitto.then(Mosquitto::start).transpose()?;
    let is_known = theirs
        .as_ref()
        .is_some_and(|it| it.version == mosquitto::VERSION);
    let (ours, theirs) = thread::scope(|scope| {
        let checks = &checks[..];
        let run = |addresses| scope.spawn(move || try_all(checks, addresses));
        let ours = ours.as_ref().map(|ours| run(ours.addresses));
        let theirs = theirs.as_ref().map(|theirs| run(theirs.addresses));
        let join =
            |run: thread::ScopedJoinHandle<'_, _>| run.join().map_err(|_| "a check panicked");
        Ok::<_, &str>((ours.map(join).transpose()?, theirs.map(join).transpose()?))
    })?;
    let mut score = format!(
        "conformance: {statements} statements, {} checks",
        checks.len()
    );
    if let Some(failed) = &ours {
        for one in failed {
            tell(one, "ours");
        }
        score.push_str(&counts("ours", checks.len(), failed.len()));
    }
    if let Some(failed) = &theirs {
        for one in failed {
            match mosquitto::DIFFERS
                .iter()
                .find(|(name, _)| *name == one.check.name)
            {
                Some((name, why)) => println!("conformance: mosquitto differs: {name}: {why}"),
                None => tell(one, "mosquitto, which nobody expects,"),
            }
        }
        score.push_str(&counts("mosquitto", checks.len(), failed.len()));
        let names: Vec<&str> = failed.iter().map(|failed| failed.check.name).collect();
        let surprises = surprises(&checks, &names);
        if is_known {
            problems.extend(surprises);
        } else {
            // Another version has other faults.
            for surprise in surprises {
                println!("conformance: {surprise}");
            }
        }
    }
    for problem in &problems {
        println!("conformance: {problem}");
    }
    println!("{score}");
    Ok(problems.is_empty() && ours.is_none_or(|failed| failed.is_empty()))
}

fn counts(who: &str, checks: usize, failed: usize) -> String {
    format!(", {who} {} passed {failed} failed", checks - failed)
}

/// Where the table of what Mosquitto does differently is wrong, of the checks that were run.
fn surprises(checks: &[Check], failed: &[&str]) -> Vec<String> {
    let differs = |name: &str| mosquitto::DIFFERS.iter().any(|(other, _)| *other == name);
    let mut problems = Vec::new();
    for (name, _) in mosquitto::DIFFERS {
        if !checks::all().iter().any(|check| check.name == *name) {
            problems.push(format!(
                "mosquitto is to fail a check that is not there: {name}"
            ));
        }
    }
    for name in checks.iter().map(|check| check.name) {
        match (differs(name), failed.contains(&name)) {
            (true, false) => problems.push(format!("mosquitto passes what it is to fail: {name}")),
            (false, true) => problems.push(format!("mosquitto fails what it is to pass: {name}")),
            _ => {}
        }
    }
    problems
}

/// Runs the checks, some at once, and gives those that failed in their order.
fn try_all(checks: &[Check], addresses: Addresses) -> Vec<Failed> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(check) = checks.get(number) else {
                return;
            };
            if let Err((fault, script)) = Bench::run(check, number, addresses)
                && let Ok(mut failed) = failed.lock()
            {
                failed.push(Failed {
                    number,
                    check: *check,
                    fault,
                    script,
                });
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_by_key(|failed| failed.number);
    failed
}

fn tell(failed: &Failed, who: &str) {
    let Failed {
        check,
        fault,
        script,
        ..
    } = failed;
    println!("conformance: {who} FAILED: {}", check.name);
    let statements: Vec<_> = check
        .statements
        .iter()
        .map(|id| format!("MQTT-{id}"))
        .collect();
    println!("    statements: {}", statements.join(" "));
    for line in script {
        println!("    {line}");
    }
    println!("    wanted: {}", fault.wanted);
    println!("    came:   {}", fault.came);
}
