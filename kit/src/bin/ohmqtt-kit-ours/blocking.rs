//! The blocking client: each wait is a thread.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use ohmqtt_client::ConnectionState;
use ohmqtt_client::blocking::Client;
use ohmqtt_kit::Words;

use crate::{Result, builder, commands, named, payload, qos, report, report_event, report_message};

pub(crate) fn run() -> Result {
    let mut client = None;
    let mut threads = Vec::new();
    commands(|command| {
        match (command.head.as_str(), &client) {
            ("connect", _) => client = Some(connect(&command, &mut threads)?),
            ("publish", Some(client)) => threads.extend(publish(client, command)),
            ("subscribe", Some(client)) => threads.extend(subscribe(client, command)),
            ("close", _) => return Ok(false),
            _ => return Err(format!("what is {command}?").into()),
        }
        Ok(true)
    })?;
    if let Some(client) = client {
        client.close(Duration::from_secs(2));
    }
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")?;
    }
    Ok(())
}

fn connect(command: &Words, threads: &mut Vec<JoinHandle<()>>) -> Result<Client> {
    // Its events from the first on: they are asked for before it starts.
    let builder = builder(command);
    let beginning = builder.events();
    let client = Client::start(builder)?;
    let events = client.events_from(beginning);
    threads.push(thread::spawn(move || {
        events.for_each(|event| report_event(&event));
    }));
    let (mut unclaimed, own) = (client.unclaimed(), client.clone());
    threads.push(thread::spawn(move || {
        loop {
            match unclaimed.recv_timeout(Duration::from_millis(50)) {
                Some(message) => report_message(&message),
                None if matches!(own.state(), ConnectionState::Closed { .. }) => return,
                None => {}
            }
        }
    }));
    Ok(client)
}

fn publish(client: &Client, command: Words) -> Option<JoinHandle<()>> {
    let topic = command.text("topic").unwrap_or_default();
    let message = client.publish(topic, payload(&command)).qos(qos(&command));
    let message = message.retain(command.number("retain") == Some(1));
    match message.try_send() {
        Ok(publication) => Some(thread::spawn(move || {
            report(&match publication.wait_acked(Duration::MAX) {
                Ok(ack) => named("acked", &command).with("reason", u8::from(ack.reason)),
                Err(lost) => named("lost", &command).with("why", lost),
            });
        })),
        Err(error) => {
            report(&named("refused", &command).with("why", error));
            None
        }
    }
}

fn subscribe(client: &Client, command: Words) -> Option<JoinHandle<()>> {
    let filter = command.text("filter").unwrap_or_default();
    match client.subscribe(filter).qos(qos(&command)).declare() {
        Ok(mut messages) => Some(thread::spawn(move || {
            report(&match messages.granted() {
                Ok(codes) => {
                    let code = codes.first().map_or(0, |code| u8::from(*code));
                    named("subscribed", &command).with("reason", code)
                }
                Err(error) => named("unsubscribed", &command).with("why", error),
            });
            while let Some(message) = messages.recv() {
                report_message(&message);
            }
        })),
        Err(error) => {
            report(&named("unsubscribed", &command).with("why", error));
            None
        }
    }
}
