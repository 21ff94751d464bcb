//! A queue on disk: each line typed is a message that arrives, whatever becomes of this process or of the connection.
//!
//! Once a line is *accepted* it is in the file. Kill the process, unplug the machine, start without a broker: the next run sends what
//! is left. At QoS 2 each message arrives once and in order, for as long as the broker keeps the session.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! seq 10000 | cargo run --example durable_queue -- mqtt://localhost:1883 queue.redb
//! ```

use std::error::Error;
use std::io;
use std::time::Duration;

use ohmqtt_client::{Client, Durability, Qos, RedbStore, blocking};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());
    let file = arguments.next().unwrap_or("queue.redb".into());

    // The file keeps this client's session, and the broker the other half of it: both know it by its name.
    let builder = Client::builder(url)
        .client_id("durable-queue")
        .session_expiry(Duration::from_secs(24 * 60 * 60))
        .store(RedbStore::open(&file)?, Durability::Safe);
    let client = blocking::Client::start(builder)?;
    println!("{} lines from before", client.metrics().queued_messages);

    for line in io::stdin().lines() {
        let line = line?;
        let message = client.publish("queue/lines", line.clone());
        // Returns when the message is in the file, connected or not.
        message.qos(Qos::ExactlyOnce).send()?;
        println!("accepted {line}");
    }

    // Ends at once when all are acknowledged. What is not stays in the file.
    let left = client.close(Duration::from_secs(30));
    println!("closed, {} lines left in {file}", left.unacknowledged);
    Ok(())
}
