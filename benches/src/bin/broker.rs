//! How long a broker takes from nothing until it takes connections, and until its first client is accepted, in milliseconds.
//!
//! ```text
//! broker N    starts N brokers, one after another: median and worst of each
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ohmqtt_broker::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A CONNECT with a clean start and no Client Identifier.
const CONNECT: &[u8] = b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\0\0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let Some(rounds) = rounds.filter(|n: &usize| *n > 0) else {
        eprintln!("broker: say how many are to be started");
        return ExitCode::from(2);
    };
    match run(rounds).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(rounds: usize) -> Result<(), Box<dyn Error>> {
    let (mut ready, mut accepted) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begin = Instant::now();
        let broker = Broker::builder().listen("mqtt://127.0.0.1:0");
        let broker = broker.start().await?;
        ready.push(begin.elapsed());
        let address = broker.url().trim_start_matches("mqtt://");
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(CONNECT).await?;
        // The first byte of CONNACK.
        if stream.read_u8().await? != 0x20 {
            return Err("no CONNACK came".into());
        }
        accepted.push(begin.elapsed());
        drop(stream);
        broker.shutdown(Duration::from_secs(5)).await;
    }
    let [(ready, ready_worst), (accepted, accepted_worst)] = [ready, accepted].map(summary);
    println!(
        "ready={ready:.3} ready_worst={ready_worst:.3} accepted={accepted:.3} accepted_worst={accepted_worst:.3}"
    );
    Ok(())
}

/// The median and the worst of these, in milliseconds.
fn summary(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let millis = |at: Option<&Duration>| at.map_or(0.0, |took| took.as_secs_f64() * 1e3);
    (millis(took.get(took.len() / 2)), millis(took.last()))
}
