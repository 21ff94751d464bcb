//! A device whose status is always right: `online`, `offline`, or `lost`, which the broker says of it when it was cut off.
//!
//! End it with Enter and it says `offline`; kill it, with Ctrl-C say, and its will is published. The status is retained, so whoever
//! subscribes later learns it at once: watch it with the example `subscribe` and the filter `devices/+/status`.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example last_will -- mqtt://localhost:1883 lamp
//! ```

use std::error::Error;
use std::io;
use std::time::Duration;

use ohmqtt_client::{Binary, Client, Qos, TopicName, Will, WillProperties, blocking};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let device = arguments.next().unwrap_or("lamp".into());

    let status = TopicName::try_from(format!("devices/{device}/status"))?;
    let will = Will {
        topic: status.clone(),
        payload: Binary::try_from(b"lost".as_slice())?,
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: WillProperties::default(),
    };
    let builder = Client::builder(url)
        .client_id(&device)
        // A device that is unplugged is silent: the broker waits for it one and a half times this long.
        .keep_alive(Duration::from_secs(10))
        .will(will);
    let client = blocking::Client::with(builder)?;

    let say = |text: &'static str| -> Result<(), Box<dyn Error>> {
        let message = client.publish(status.clone(), text);
        let handle = message.qos(Qos::AtLeastOnce).retain(true).send()?;
        handle.wait_acked(Duration::from_secs(5))?;
        println!("{status}: {text}");
        Ok(())
    };

    say("online")?;
    println!("Enter ends it in order.");
    io::stdin().read_line(&mut String::new())?;

    // A connection that is closed in order takes its will with it, so what it would say is said here.
    say("offline")?;
    client.close(Duration::from_secs(5));
    Ok(())
}
