//! `cargo xtask bench codec|backlog|broker|dispatch|python|router|store|transport`: the benches whose figures can be judged, one file each.
//!
//! What is timed for its own sake is criterion's, in the crate `ohmqtt-benches`; here are counts, ratios within one run, and memory,
//! with their goals.

mod backlog;
mod broker;
mod codec;
mod dispatch;
mod figures;
mod python;
mod router;
mod store;
mod transport;

use lexopt::{Arg, Parser};

use crate::error::{Error, Result};

/// What is asked for on the command line.
#[derive(Debug, Default)]
struct Asked {
    /// Missed goals are failures.
    check: bool,
    /// Others are measured beside ours.
    peers: bool,
    /// How many messages wait in the backlog.
    messages: Option<u64>,
}

/// `cargo xtask bench codec [--check] | backlog [--messages N] | broker | dispatch | python [--peers] | router | store |
/// transport`.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut what = None;
    let mut asked = Asked::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("check") => asked.check = true,
            Arg::Long("peers") => asked.peers = true,
            Arg::Long("messages") => {
                asked.messages = Some(lexopt::ValueExt::parse(&args.value()?)?);
            }
            Arg::Value(value) if what.is_none() => what = Some(value),
            other => return Err(other.unexpected().into()),
        }
    }
    let known = "codec, backlog, broker, dispatch, python, router, store, transport";
    match what.as_ref().map(|what| what.to_string_lossy()).as_deref() {
        Some("codec") => codec::run(asked.check),
        Some("backlog") => backlog::run(&asked),
        Some("broker") => broker::run(asked.check),
        Some("dispatch") => dispatch::run(asked.check),
        Some("python") => python::run(asked.peers, asked.check),
        Some("router") => router::run(asked.check),
        Some("store") => store::run(asked.check),
        Some("transport") => transport::run(asked.check),
        Some(what) => Err(Error::Usage(format!(
            "there is no bench {what}; there are: {known}"
        ))),
        None => Err(Error::Usage(format!("bench what? there are: {known}"))),
    }
}
