//! The subscriber: says the number of each message that comes. It lives as long as its line, and goes on with its session.

use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_client::{Client, Message, Qos};

use super::{BACKOFF, SESSION, TOPIC, say, watch};
use crate::Result;
use crate::line::Choice;

/// How many numbers are said at once.
const AT_ONCE: usize = 256;

#[tokio::main(flavor = "current_thread")]
pub(super) async fn play(args: &mut Parser) -> Result {
    let (mut url, mut qos) = (String::new(), Qos::AtLeastOnce);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("url") => url = args.value()?.string()?,
            Arg::Long("qos") => qos = args.value()?.parse::<Choice<Qos>>()?.0,
            other => return Err(other.unexpected().into()),
        }
    }
    let client = Client::builder(url.as_str())
        .client_id("subscriber")
        .clean_start(false)
        .session_expiry(SESSION)
        // To a session that goes on Mosquitto 2.0.11 sends more than a smaller maximum.
        .receive_maximum(10_000)
        .backoff(BACKOFF[0], BACKOFF[1])
        .start()?;
    tokio::spawn(watch(client.clone()));
    let mut inbox = client.subscribe(TOPIC).qos(qos).send()?;
    inbox.granted().await?;
    say("subscribed\n");
    while let Some(message) = inbox.recv().await {
        let mut lines = line(&message);
        for _ in 1..AT_ONCE {
            let Some(message) = inbox.try_recv() else {
                break;
            };
            lines.push_str(&line(&message));
        }
        say(&lines);
    }
    Err(format!("the subscription has ended: {:?}", client.state()).into())
}

fn line(message: &Message) -> String {
    let number = message.payload.split(|byte| *byte == b' ').next();
    let number = String::from_utf8_lossy(number.unwrap_or_default());
    format!("arrived {number}\n")
}
