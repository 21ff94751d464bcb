//! The client without async: one thread publishes, another reads.
//!
//! The client runs itself on a thread of its own; its clones are the same client, for as many threads as you like.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example blocking -- mqtt://localhost:1883
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use ohmqtt_client::Qos;
use ohmqtt_client::blocking::Client;

const GREETINGS: [&str; 3] = ["good morning", "good afternoon", "good night"];
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());

    let client = Client::connect(url)?;

    // A subscription is an iterator. It would end when the client is closed; this thread ends it sooner.
    let messages = client.subscribe("greetings/#").send()?;
    let reader = thread::spawn(move || {
        for message in messages.take(GREETINGS.len()) {
            let text = String::from_utf8_lossy(&message.payload);
            println!("received {text}, on {}", message.topic);
        }
    });

    for text in GREETINGS {
        let greeting = client.publish("greetings/all", text);
        let handle = greeting.qos(Qos::ExactlyOnce).send()?;
        let acknowledgement = handle.wait_acked(PATIENCE)?;
        println!("published {text}: {}", acknowledgement.reason);
    }

    reader.join().map_err(|_| "the reader panicked")?;
    let left = client.close(PATIENCE);
    println!("closed, {} messages left", left.unacknowledged);
    Ok(())
}
