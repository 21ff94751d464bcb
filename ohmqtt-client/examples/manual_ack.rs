//! Acknowledges a message when its work is done, not when it has come; so one that was dropped on the way comes again.
//!
//! Three orders: the first is served, the second refused, and the third forgotten. The broker keeps the third for the session, and sends
//! it again on its next connection.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example manual_ack -- mqtt://localhost:1883
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Client, ClientBuilder, Event, Message, Qos, ReasonCode, Subscription};

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());

    let waiter = || Client::builder(&url).client_id("waiter");
    let (client, mut orders) = begin(waiter()).await?;
    let mut events = client.events();
    for dish in ["tea", "coffee", "soup"] {
        let order = client.publish("orders", dish).qos(Qos::AtLeastOnce);
        order.await?.acked().await?;
    }

    // They may be answered in any order. The acknowledgements leave in the order of the messages, as MQTT wants it.
    let tea = next(&mut orders).await?;
    let coffee = next(&mut orders).await?;
    let soup = next(&mut orders).await?;
    println!("coffee is refused: we have none");
    coffee.reject(ReasonCode::QuotaExceeded);
    println!("tea is served");
    tea.ack();
    println!("soup is forgotten");
    drop(soup);
    while let Some(event) = events.recv().await {
        if let Event::NotAcknowledged { topic, .. } = event {
            println!("the client says: a message on {topic} was not acknowledged");
            break;
        }
    }
    client.close(PATIENCE).await;

    // Without a clean start it goes on with the session, in which the soup still waits.
    let (client, mut orders) = begin(waiter().clean_start(false)).await?;
    let soup = next(&mut orders).await?;
    println!("soup is served");
    soup.ack();
    client.close(PATIENCE).await;
    Ok(())
}

async fn begin(builder: ClientBuilder) -> Result<(Client, Subscription), Box<dyn Error>> {
    let client = builder.connect().await?;
    let orders = client.subscribe("orders").manual_ack().await?;
    Ok((client, orders))
}

async fn next(orders: &mut Subscription) -> Result<Message, &'static str> {
    let order = orders.recv().await.ok_or("the client is closed")?;
    println!("ordered: {}", String::from_utf8_lossy(&order.payload));
    Ok(order)
}
