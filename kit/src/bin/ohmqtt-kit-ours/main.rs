//! `ohmqtt-kit-ours async|blocking`: the adapter of our client, in each of its two forms.
//!
//! Here stands what both share: commands in, reports out, and what a command says of the connection.

mod asynchronous;
mod blocking;

use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use ohmqtt_client::{Client, ClientBuilder, Event, Message, Qos};
use ohmqtt_kit::Words;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let form = env::args().nth(1).unwrap_or_default();
    let ready = Words::new("ready").with("name", format!("ohmqtt-client ({form})"));
    report(&ready.with("version", env!("CARGO_PKG_VERSION")));
    let end = match form.as_str() {
        "async" => asynchronous::run(),
        "blocking" => blocking::run(),
        other => Err(format!("async or blocking, not {other:?}").into()),
    };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Each command in turn, until there are no more or `act` says no to one.
fn commands(mut act: impl FnMut(Words) -> Result<bool>) -> Result {
    for line in io::stdin().lock().lines() {
        if !act(Words::from_json("do", &line?)?)? {
            break;
        }
    }
    Ok(())
}

/// Tells the kit. When nobody listens any more, there is nobody to tell that either.
fn report(words: &Words) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", words.to_json("is"));
    let _ = out.flush();
}

/// The client that a `connect` asks for.
fn builder(command: &Words) -> ClientBuilder {
    let number = |name: &str, without: u64| command.number(name).unwrap_or(without);
    let seconds = |name: &str, without: u64| Duration::from_secs(number(name, without));
    let mut builder = Client::builder(command.text("url").unwrap_or_default())
        .client_id(command.text("client_id").unwrap_or("kit"))
        .clean_start(number("clean_start", 1) == 1)
        .keep_alive(seconds("keep_alive", 60))
        .session_expiry(seconds("session_expiry", 300))
        .connect_timeout(seconds("connect_timeout", 60))
        .backoff(Duration::from_millis(1), Duration::from_millis(10));
    if let Some(maximum) = command.number("receive_maximum") {
        builder = builder.receive_maximum(u16::try_from(maximum).unwrap_or(u16::MAX));
    }
    if let Some(size) = command.number("maximum_packet_size") {
        builder = builder.max_packet_size(u32::try_from(size).unwrap_or(u32::MAX));
    }
    if let Some(maximum) = command.number("topic_alias_maximum") {
        let maximum = u16::try_from(maximum).unwrap_or(u16::MAX);
        builder = builder.connect_properties(|properties| {
            properties.set_topic_alias_maximum(maximum);
        });
    }
    builder
}

fn qos(command: &Words) -> Qos {
    match command.number("qos") {
        Some(1) => Qos::AtLeastOnce,
        Some(2) => Qos::ExactlyOnce,
        _ => Qos::AtMostOnce,
    }
}

/// What a command names, is named in the answer.
fn named(report: &str, command: &Words) -> Words {
    Words::new(report).with("name", command.text("name").unwrap_or_default())
}

/// The payload of a `publish`: `*N` is N bytes of text.
fn payload(command: &Words) -> Vec<u8> {
    let text = command.text("payload").unwrap_or_default();
    match text.strip_prefix('*').map(str::parse) {
        Some(Ok(count)) => vec![b'x'; count],
        _ => text.as_bytes().to_vec(),
    }
}

fn report_message(message: &Message) {
    let words = Words::new("message")
        .with("topic", message.topic.as_str())
        .with("payload", String::from_utf8_lossy(&message.payload))
        .with("qos", u8::from(message.qos))
        .with("retain", u8::from(message.retain));
    report(&words);
}

fn report_event(event: &Event) {
    let words = match event {
        Event::Connected {
            session_present, ..
        } => Words::new("connected").with("session", u8::from(*session_present)),
        Event::Disconnected { error, .. } => Words::new("disconnected").with("why", error),
        Event::ConnectFailed { error, .. } => Words::new("failed").with("why", error),
        Event::Closed { error } => Words::new("closed").with("why", error),
        other => Words::new("event").with("what", other),
    };
    report(&words);
}
