//! Runs a case of the client a given number of times, for callgrind and strace; or tells its allocations, or the memory of clients that rest.
//!
//! ```text
//! client list            the cases, one a line
//! client CASE N          sets the case up and does it N times
//! client tcp CASE N      does it N times against a null broker in a process of its own
//! client allocations     each case and its allocations per message
//! client idle N          the memory that N resting clients take, each
//! client null QOS        the null broker
//! client publish PORT N  publishes N messages to the broker at this port of loopback, and tells CPU time and rate
//! client round PORT N    N round trips through the null broker at this port, beside as many of a bare socket
//! ```

use std::process::ExitCode;
use std::time::Duration;

use ohmqtt_benches::Case;
use ohmqtt_benches::allocations::{Counting, count};
use ohmqtt_benches::client::{CASES, Result, idle, over_tcp, real, tcp};
use ohmqtt_benches::process::memory;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match act(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &[&str]) -> Result<()> {
    match *args {
        ["list"] => {
            for case in CASES {
                println!("{}", case.name);
            }
            Ok(())
        }
        ["allocations"] => {
            for case in CASES {
                println!("{} {}", case.name, allocations(case));
            }
            Ok(())
        }
        ["idle", n] => resting(n),
        ["null", qos] => tcp::serve(qos.parse()?),
        ["publish", port, n] => real::publish(port.parse()?, n.parse()?),
        ["round", port, n] => real::round_trips(port.parse()?, n.parse()?),
        ["tcp", case, n] => over_tcp(case, n.parse()?),
        [name, n] => run(name, n),
        _ => Err("see the top of the source for what to say".into()),
    }
}

fn run(name: &str, n: &str) -> Result<()> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("there is no case {name}"))?;
    case.set_up()(n.parse()?);
    Ok(())
}

/// Allocations per message, over ten thousand messages after as many.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn allocations(case: &Case) -> f64 {
    let mut run = case.set_up();
    run(10_000);
    count(|| run(10_000)) as f64 / 10_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
#[tokio::main(flavor = "current_thread")]
async fn resting(n: &str) -> Result<()> {
    let n = n.parse()?;
    // What the first clients take once is no cost of the others.
    let few = idle(100).await;
    let before = memory()?;
    let clients = idle(n).await;
    // All that begins with a connection has an end.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let grown = memory()?.saturating_sub(before);
    println!("kib_each={:.3}", grown as f64 / clients.len() as f64);
    drop((few, clients));
    Ok(())
}
