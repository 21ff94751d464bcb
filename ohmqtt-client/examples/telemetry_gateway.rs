//! A gateway that measures whether it is connected or not, and whose disk is small: what is new drives out what is old on its topic.
//!
//! It starts offline. Its outbox is a file with room for twenty messages; when it is full, a message makes room that has a newer one on
//! its topic. So the door's only message survives hundreds of temperatures. Once there is a broker, the newest of each topic arrive.
//!
//! ```sh
//! cargo run --example telemetry_gateway -- mqtt://localhost:1883 gateway.redb
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # a while later; or any other broker of MQTT 5.0
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Client, Durability, Event, Events, Overflow, Qos, RedbStore};

const MESSAGES: usize = 20;
const BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let file = arguments.next().unwrap_or("gateway.redb".into());

    let builder = Client::builder(url)
        .client_id("telemetry-gateway")
        .store(RedbStore::open(file)?, Durability::Safe)
        .outbox(MESSAGES, BYTES)
        .overflow(Overflow::KeepNewest)
        .backoff(Duration::from_millis(100), Duration::from_secs(5))
        // Nobody attends it: no error is worth giving up for.
        .retry_everything();
    tokio::spawn(show(builder.events()));
    let client = builder.start()?;

    put(&client, "gateway/door", "open".into()).await?;
    for minute in 1..=300 {
        let room = minute % 3;
        let topic = format!("gateway/room-{room}/temperature");
        put(&client, &topic, format!("21.5 in minute {minute}")).await?;
    }
    let metrics = client.metrics();
    println!(
        "took {} messages, {} made room for newer ones, {} wait",
        metrics.outbox.accepted, metrics.outbox.replaced, metrics.queued_messages
    );

    // Waits for a connection, and for the acknowledgements, as long as it takes.
    let left = client.close(Duration::MAX).await;
    println!("closed, {} messages left", left.unacknowledged);
    Ok(())
}

/// Returns when the message is in the file. The next run of the gateway would go on with it.
async fn put(client: &Client, topic: &str, reading: String) -> Result<(), Box<dyn Error>> {
    client.publish(topic, reading).qos(Qos::AtLeastOnce).await?;
    Ok(())
}

async fn show(mut events: Events) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Connected { address, .. } => println!("connected to {address}"),
            Event::Disconnected { error, .. } => println!("offline: {error}"),
            Event::ConnectFailed { error, .. } => println!("still offline: {error}"),
            _ => {}
        }
    }
}
