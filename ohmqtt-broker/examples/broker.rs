//! A broker at the addresses given as arguments, until Ctrl-C.
//!
//! `cargo run --release -p ohmqtt-broker --example broker -- mqtt://127.0.0.1:1883`
//!
//! With `--insecure-allow-anonymous` the addresses may be ones that other machines reach.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ohmqtt_broker::Broker;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut builder = Broker::builder();
    for argument in std::env::args().skip(1) {
        builder = match argument.as_str() {
            "--insecure-allow-anonymous" => builder.insecure_allow_anonymous(),
            url => builder.listen(url),
        };
    }
    let broker = builder.start().await?;
    for url in broker.urls() {
        println!("{url}");
    }
    tokio::signal::ctrl_c().await?;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
