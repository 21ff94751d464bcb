//! `cargo xtask bench all | NAME...`: the benches whose figures can be judged, one file each.
//!
//! What is timed for its own sake is criterion's, in the crate `ohmqtt-benches`; here are counts, ratios within one run, and memory,
//! with their goals.

mod backlog;
mod baseline;
mod broker;
mod charts;
mod client;
mod codec;
mod dispatch;
mod figures;
mod mosquitto;
mod peers;
mod python;
mod real;
mod report;
mod router;
mod rows;
mod store;
mod transport;

use lexopt::{Arg, Parser};

use self::rows::{Goal, Row};
use crate::error::{Error, Result, failed};
use crate::project::target;

/// What is asked for on the command line.
#[derive(Debug, Default)]
struct Asked {
    /// What is worse than what was kept is a failure.
    check: bool,
    /// Only what is counted and repeats.
    counts: bool,
    /// Others are measured beside ours.
    peers: bool,
    /// Later runs are held to this one.
    keep: bool,
    /// How many messages wait in the backlog.
    messages: Option<u64>,
}

type Bench = fn(&Asked, &mut Vec<Row>) -> Result;

const BENCHES: &[(&str, Bench)] = &[
    ("codec", codec::run),
    ("client", client::run),
    ("backlog", backlog::run),
    ("broker", broker::run),
    ("dispatch", dispatch::run),
    ("mosquitto", real::run),
    ("python", python::run),
    ("router", router::run),
    ("store", store::run),
    ("transport", transport::run),
];

/// `cargo xtask bench all | NAME... [--peers] [--check | --keep] [--counts] [--messages N]`, or `bench charts`.
///
/// What was measured is also in `report.json`, `report.md` and the charts `bench-light.svg` and `bench-dark.svg` in the folder that cargo
/// builds into; `charts` makes those of the last run the charts of the front page. `all` goes on behind a bench that fails. Counts and
/// goals that were met are held to those of an earlier run (`--check`), which was told to be kept (`--keep`).
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut what = Vec::new();
    let mut asked = Asked::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("check") => asked.check = true,
            Arg::Long("counts") => asked.counts = true,
            Arg::Long("peers") => asked.peers = true,
            Arg::Long("keep") => asked.keep = true,
            Arg::Long("messages") => {
                asked.messages = Some(lexopt::ValueExt::parse(&args.value()?)?);
            }
            Arg::Value(value) => what.push(value.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
    let known = format!("all, {}, charts", names.join(", "));
    if what.is_empty() {
        return Err(Error::Usage(format!("bench what? there are: {known}")));
    }
    if what == ["charts"] {
        return charts::publish();
    }
    if let Some(what) = what
        .iter()
        .find(|what| *what != "all" && !names.contains(&what.as_str()))
    {
        let message = format!("there is no bench {what}; there are: {known}");
        return Err(Error::Usage(message));
    }
    let wanted = |name: &str| what.iter().any(|what| what == "all" || what == name);
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        let mut own = Vec::new();
        if let Err(error) = bench(&asked, &mut own).and_then(|()| held(name, &asked, &own)) {
            let text = error.to_string();
            let why = text.lines().next().unwrap_or("it failed");
            own.push(Row::absent(*name, "", Goal::None, why));
            failures.push(format!("{name}: {text}"));
        }
        rows.extend(own);
        // What is behind is not lost with what is ahead.
        write("report.json", &report::json(&rows))?;
        write("report.md", &report::markdown(&rows))?;
        charts::write(&rows)?;
    }
    println!("{}", report::table(&rows));
    if failures.is_empty() {
        Ok(())
    } else {
        failed(failures.join("\n"))
    }
}

/// Keeps these rows of a bench, and holds them to what was kept, where that is asked for.
fn held(name: &str, asked: &Asked, rows: &[Row]) -> Result {
    let file = baseline::file(name);
    if asked.keep {
        baseline::keep(rows, &file)?;
    }
    if asked.check {
        baseline::hold(rows, &file)?;
    }
    Ok(())
}

fn write(name: &str, text: &str) -> Result {
    let file = target().join(name);
    std::fs::write(&file, text)
        .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))
}
