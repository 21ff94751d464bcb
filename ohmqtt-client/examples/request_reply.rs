//! Questions and answers: a service that adds, and a client that asks it three things at once.
//!
//! They stand in one process here, with a connection each. An answer finds its question by itself, in whatever order answers come; and
//! of a topic on which nobody listens the client learns at once.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example request_reply -- mqtt://localhost:1883
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Client, PublishError, RequestError, Subscription};

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());

    let service = Client::connect(&url).await?;
    let questions = service.subscribe("service/add").await?;
    let serving = tokio::spawn(serve(questions));

    let client = Client::connect(&url).await?;
    let (two, four, six) = tokio::try_join!(
        ask(&client, "1 + 1"),
        ask(&client, "1 + 1 + 2"),
        ask(&client, "1 + two + 3"),
    )?;
    println!("1 + 1 = {two}");
    println!("1 + 1 + 2 = {four}");
    println!("1 + two + 3 = {six}");

    match client.request("service/subtract", "7 - 4", PATIENCE).await {
        Err(error @ RequestError::NobodyListens { .. }) => println!("{error}"),
        other => println!("somebody else subtracts: {:?}", other?.payload),
    }

    client.close(PATIENCE).await;
    service.close(PATIENCE).await;
    serving.await??;
    Ok(())
}

async fn ask(client: &Client, sum: &'static str) -> Result<String, RequestError> {
    let answer = client.request("service/add", sum, PATIENCE).await?;
    Ok(String::from_utf8_lossy(&answer.payload).into_owned())
}

/// Answers one question after the other until its client is closed.
async fn serve(mut questions: Subscription) -> Result<(), PublishError> {
    while let Some(question) = questions.recv().await {
        let text = String::from_utf8_lossy(&question.payload);
        let sum: Result<i64, _> = text
            .split('+')
            .map(|number| number.trim().parse::<i64>())
            .sum();
        let answer = sum.map_or_else(|error| error.to_string(), |sum| sum.to_string());
        match question.reply(answer).await {
            // Who wants no answer gets none.
            Err(PublishError::NoResponseTopic { .. }) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
