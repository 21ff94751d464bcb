//! Runs a case of the router a given number of times, for callgrind; or counts what it allocates.
//!
//! ```text
//! router CASE N        sets the case up and runs it N times
//! router memory CASE   what a message allocates for each subscriber of a fan-out: how often, and bytes
//! ```

use std::process::ExitCode;

use ohmqtt_benches::allocations::{Counting, bytes, count};
use ohmqtt_benches::router::{CASES, SUBSCRIBERS};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages before the counting, and in it.
const MESSAGES: u32 = 200;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let case = |name: &str| CASES.iter().find(|case| case.name == name);
    if let ["memory", name] = args[..]
        && let Some(case) = case(name)
    {
        let mut run = case.set_up();
        run(MESSAGES.into());
        let mut times = 0;
        let bytes = bytes(|| times = count(|| run(MESSAGES.into())));
        println!("allocations={:.2} bytes={:.0}", each(times), each(bytes));
        return ExitCode::SUCCESS;
    }
    if let [name, n] = args[..]
        && let Some(case) = case(name)
        && let Ok(n) = n.parse()
    {
        case.set_up()(n);
        return ExitCode::SUCCESS;
    }
    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    eprintln!(
        "router: say memory and a case, or a case and how often: {}",
        names.join(", ")
    );
    ExitCode::from(2)
}

/// So much for each subscriber of each message.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn each(of_all: u64) -> f64 {
    of_all as f64 / f64::from(MESSAGES) / SUBSCRIBERS as f64
}
