//! `cargo xtask bench all|codec|client|backlog|broker|dispatch|python|router|store|transport`: the benches whose figures can be judged, one file each.
//!
//! What is timed for its own sake is criterion's, in the crate `ohmqtt-benches`; here are counts, ratios within one run, and memory,
//! with their goals.

mod backlog;
mod broker;
mod client;
mod codec;
mod dispatch;
mod figures;
mod mosquitto;
mod peers;
mod python;
mod real;
mod router;
mod rows;
mod store;
mod transport;

use lexopt::{Arg, Parser};

use self::rows::Row;
use crate::error::{Error, Result, failed};
use crate::project::target;

/// What is asked for on the command line.
#[derive(Debug, Default)]
struct Asked {
    /// Missed goals are failures.
    check: bool,
    /// Others are measured beside ours.
    peers: bool,
    /// What is counted is what later runs are held to.
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

/// `cargo xtask bench all | codec [--check] [--peers] | client [--check | --keep] [--peers] | backlog [--messages N] | broker | dispatch |
/// mosquitto [--peers] | python [--peers] | router | store | transport`.
///
/// What was measured is also in `report.json` in the folder that cargo builds into. `all` goes on behind a bench that fails.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut what = None;
    let mut asked = Asked::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("check") => asked.check = true,
            Arg::Long("peers") => asked.peers = true,
            Arg::Long("keep") => asked.keep = true,
            Arg::Long("messages") => {
                asked.messages = Some(lexopt::ValueExt::parse(&args.value()?)?);
            }
            Arg::Value(value) if what.is_none() => what = Some(value),
            other => return Err(other.unexpected().into()),
        }
    }
    let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
    let known = format!("all, {}", names.join(", "));
    let Some(what) = what else {
        return Err(Error::Usage(format!("bench what? there are: {known}")));
    };
    let what = what.to_string_lossy();
    let wanted = |name: &str| what == "all" || what == name;
    if !BENCHES.iter().any(|(name, _)| wanted(name)) {
        let message = format!("there is no bench {what}; there are: {known}");
        return Err(Error::Usage(message));
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        if let Err(error) = bench(&asked, &mut rows) {
            failures.push(format!("{name}: {error}"));
        }
    }
    write_report(&rows)?;
    println!("{}", rows::table(&rows));
    if failures.is_empty() {
        Ok(())
    } else {
        failed(failures.join("\n"))
    }
}

fn write_report(rows: &[Row]) -> Result {
    let file = target().join("report.json");
    std::fs::write(&file, rows::json(rows))
        .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))
}
