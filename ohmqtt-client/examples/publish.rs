//! Publishes ten readings and waits for the broker's word on each.
//!
//! A message is on its way once it was published, whether its handle is kept or not. Who keeps the handle can wait until the broker has
//! acknowledged the message, and read what it said: at QoS 1 also that nobody has subscribed.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example publish -- mqtt://localhost:1883 greenhouse/temperature
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Client, Qos};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let topic = arguments.next().unwrap_or("greenhouse/temperature".into());

    let client = Client::connect(url).await?;

    // Awaiting a publish waits for room in the client, not for the broker: all ten are on their way together.
    let mut published = Vec::new();
    for reading in 1..=10 {
        let celsius = format!("{:.1}", 20.0 + f64::from(reading) / 10.0);
        let handle = client
            .publish(topic.as_str(), celsius.clone())
            .qos(Qos::AtLeastOnce)
            .retain(true)
            .expiry(Duration::from_secs(3600))
            .content_type("text/plain")
            .user_property("unit", "degree Celsius")
            .await?;
        published.push((celsius, handle));
    }

    for (celsius, handle) in published {
        let acknowledgement = handle.acked().await?;
        println!("{topic}: {celsius}: {}", acknowledgement.reason);
    }

    let left = client.close(Duration::from_secs(5)).await;
    println!("closed, {} messages left", left.unacknowledged);
    Ok(())
}
