//! Runs a case of the codec a given number of times, for callgrind; or counts its allocations.
//!
//! ```text
//! codec_counts list          the cases, one a line
//! codec_counts CASE N        sets the case up and runs it N times
//! codec_counts allocations   each case and its allocations per packet
//! ```

use std::process::ExitCode;

use ohmqtt_benches::Case;
use ohmqtt_benches::allocations::{Counting, count};
use ohmqtt_benches::codec::CASES;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => CASES.iter().for_each(|case| println!("{}", case.name)),
        ["allocations"] => CASES
            .iter()
            .for_each(|case| println!("{} {}", case.name, allocations(case))),
        [name, n] => {
            let (Some(case), Ok(n)) = (
                CASES.iter().find(|case| case.name == name),
                n.parse::<u64>(),
            ) else {
                eprintln!(
                    "codec_counts: {name} {n} is no case with a number; `codec_counts list` lists the cases"
                );
                return ExitCode::from(2);
            };
            case.set_up()(n);
        }
        _ => {
            eprintln!("codec_counts: say list, allocations, or a case and how often to run it");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Allocations per packet, over a thousand packets after five thousand.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a thousand runs are far below 2^52"
)]
fn allocations(case: &Case) -> f64 {
    let mut run = case.set_up();
    run(5_000);
    count(|| run(1_000)) as f64 / 1_000.0
}
