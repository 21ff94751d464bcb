//! Runs a case of dispatching a given number of times, for callgrind; or times declaring.
//!
//! ```text
//! dispatch CASE N      sets the case up and dispatches N messages
//! dispatch declare N   declares N subscriptions before there is a connection
//! ```

use std::process::ExitCode;

use ohmqtt_benches::dispatch::{CASES, declaring};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if let [name, n] = args[..]
        && let Ok(n) = n.parse::<u32>()
    {
        if name == "declare" {
            return match declaring(n.try_into().unwrap_or(usize::MAX)) {
                Ok(took) => {
                    println!("millis={:.1}", took.as_secs_f64() * 1e3);
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("dispatch: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        if let Some(case) = CASES.iter().find(|case| case.name == name) {
            case.set_up()(n.into());
            return ExitCode::SUCCESS;
        }
    }
    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    eprintln!(
        "dispatch: say declare, or one of {}, and how many",
        names.join(", ")
    );
    ExitCode::from(2)
}
