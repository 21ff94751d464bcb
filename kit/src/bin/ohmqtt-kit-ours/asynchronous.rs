//! The async client: each wait is a task.

use std::time::Duration;

use ohmqtt_client::Client;
use ohmqtt_kit::Words;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{Result, builder, commands, named, payload, qos, report, report_event, report_message};

/// So many commands may wait.
const COMMANDS: usize = 1_000;

pub(crate) fn run() -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (sender, commands_to_do) = mpsc::channel(COMMANDS);
    // Reading blocks; the thread ends with the process.
    std::thread::spawn(move || {
        let read = commands(|command| Ok(sender.blocking_send(command).is_ok()));
        if let Err(error) = read {
            eprintln!("{error}");
        }
    });
    runtime.block_on(follow(commands_to_do))
}

async fn follow(mut commands: mpsc::Receiver<Words>) -> Result {
    let mut client = None;
    let mut tasks = JoinSet::new();
    while let Some(command) = commands.recv().await {
        match (command.head.as_str(), &client) {
            ("connect", _) => client = Some(connect(&command, &mut tasks)?),
            ("publish", Some(client)) => publish(client, command, &mut tasks),
            ("subscribe", Some(client)) => subscribe(client, command, &mut tasks),
            ("close", _) => break,
            _ => return Err(format!("what is {command}?").into()),
        }
    }
    if let Some(client) = client {
        client.close(Duration::from_secs(2)).await;
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn connect(command: &Words, tasks: &mut JoinSet<()>) -> Result<Client> {
    let builder = builder(command);
    let mut events = builder.events();
    let client = builder.start()?;
    tasks.spawn(async move {
        while let Some(event) = events.recv().await {
            report_event(&event);
        }
    });
    let mut unclaimed = client.unclaimed();
    tasks.spawn(async move {
        while let Some(message) = unclaimed.recv().await {
            report_message(&message);
        }
    });
    Ok(client)
}

fn publish(client: &Client, command: Words, tasks: &mut JoinSet<()>) {
    let topic = command.text("topic").unwrap_or_default();
    let message = client.publish(topic, payload(&command)).qos(qos(&command));
    let message = message.retain(command.number("retain") == Some(1));
    match message.send() {
        Ok(publication) => {
            tasks.spawn(async move {
                report(&match publication.acked().await {
                    Ok(ack) => named("acked", &command).with("reason", u8::from(ack.reason)),
                    Err(lost) => named("lost", &command).with("why", lost),
                });
            });
        }
        Err(error) => report(&named("refused", &command).with("why", error)),
    }
}

fn subscribe(client: &Client, command: Words, tasks: &mut JoinSet<()>) {
    let filter = command.text("filter").unwrap_or_default();
    match client.subscribe(filter).qos(qos(&command)).send() {
        Ok(mut messages) => {
            tasks.spawn(async move {
                report(&match messages.granted().await {
                    Ok(codes) => {
                        let code = codes.first().map_or(0, |code| u8::from(*code));
                        named("subscribed", &command).with("reason", code)
                    }
                    Err(error) => named("unsubscribed", &command).with("why", error),
                });
                while let Some(message) = messages.recv().await {
                    report_message(&message);
                }
            });
        }
        Err(error) => report(&named("unsubscribed", &command).with("why", error)),
    }
}
