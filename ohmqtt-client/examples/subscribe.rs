//! Shows the messages of a subscription, and what happens to the connection, until Ctrl-C.
//!
//! The subscription is declared before there is a connection, and holds for each that comes: stop the broker and start it again, and
//! the messages go on.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example subscribe -- mqtt://localhost:1883 'greenhouse/#'
//! ```

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use ohmqtt_client::{Client, ConnectError, Event, Message};
use tokio::signal::ctrl_c;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let filter = arguments.next().unwrap_or("greenhouse/#".into());

    let builder = Client::builder(url);
    // Asked for before the start, so that none is missed.
    let mut events = builder.events();
    // Unlike `connect`, `start` does not wait for the broker.
    let client = builder.start()?;
    let mut messages = client.subscribe(&filter).send()?;

    let mut interrupted = pin!(ctrl_c());
    loop {
        tokio::select! {
            // Ctrl-C before all else, however many messages come.
            biased;
            _ = &mut interrupted => break,
            Some(event) = events.recv() => show_event(event)?,
            Some(message) = messages.recv() => show_message(&message),
        }
    }

    client.close(Duration::from_secs(5)).await;
    println!("closed");
    Ok(())
}

fn show_message(message: &Message) {
    let payload = String::from_utf8_lossy(&message.payload);
    let retained = if message.retain { ", retained" } else { "" };
    println!("{}: {payload} ({:?}{retained})", message.topic, message.qos);
    for (name, value) in message.properties.user_properties() {
        println!("  {name}: {value}");
    }
}

fn show_event(event: Event) -> Result<(), ConnectError> {
    match event {
        Event::Connected { address, .. } => println!("connected to {address}"),
        Event::Disconnected { error, retry_in } | Event::ConnectFailed { error, retry_in } => {
            // Without a next attempt the client has given up: because of a wrong password, say.
            let wait = retry_in.ok_or_else(|| error.clone())?;
            println!("{error}; trying again in {wait:.1?}");
        }
        other => println!("{other:?}"),
    }
    Ok(())
}
