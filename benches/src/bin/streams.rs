//! A transport beside the library underneath, in the same run: the rates of each, in bytes a second.
//!
//! ```text
//! streams NAME LENGTH      tcp, tls, unix, ws, wss or quic, with writes of so many bytes
//! ```

use std::process::ExitCode;

use ohmqtt_benches::transport::{PAIRS, Result};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("streams: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<String> {
    let [name, len] = args else {
        return Err("say a transport and the length of a write".into());
    };
    let pair = PAIRS.iter().find(|pair| pair.name == name);
    let pair = pair.ok_or_else(|| format!("there is no transport {name} here"))?;
    let [ours, raw] = pair.compare(len.parse()?)?;
    Ok(format!("ours={ours:.0} raw={raw:.0}"))
}
