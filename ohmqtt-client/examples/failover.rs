//! A client with two brokers: when one dies, it goes on at the other, and what was under way goes with it.
//!
//! It says `tick` twice a second until Ctrl-C. Stop the first broker, and the ticks go on at the second.
//!
//! ```sh
//! for port in 1883 1884; do cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:$port & done    # or any others
//! cargo run --example failover -- mqtt://localhost:1883 mqtt://localhost:1884
//! ```

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use ohmqtt_client::{Client, Event, Qos, SessionLoss};
use tokio::signal::ctrl_c;
use tokio::time::interval;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let second = arguments.next().unwrap_or("mqtt://localhost:1884".into());

    let builder = Client::builder(first)
        .or(second)
        // The second broker does not know what the first was sent. What that did not acknowledge is published once more.
        .session_loss(SessionLoss::Resend)
        .backoff(Duration::from_millis(100), Duration::from_secs(5))
        .connect_timeout(Duration::from_secs(5));
    // Asked for before the start, so that none is missed.
    let mut events = builder.events();
    let client = builder.start()?;

    let mut ticks = interval(Duration::from_millis(500));
    let mut number = 0;
    let mut interrupted = pin!(ctrl_c());
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupted => break,
            _ = ticks.tick() => {
                number += 1;
                let tick = client.publish("failover/ticks", format!("tick {number}"));
                // Taken at once, whether a broker is there or not.
                tick.qos(Qos::AtLeastOnce).send()?;
            }
            Some(event) = events.recv() => show(event),
        }
    }

    let left = client.close(Duration::from_secs(5)).await;
    println!("closed after {number} ticks, {} left", left.unacknowledged);
    Ok(())
}

fn show(event: Event) {
    match event {
        Event::Connected { address, .. } => println!("connected to {address}"),
        Event::Disconnected { error, .. } => println!("lost: {error}"),
        Event::ConnectFailed { error, .. } => println!("not there: {error}"),
        other => println!("{other:?}"),
    }
}
