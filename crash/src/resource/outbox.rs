//! A process with an outbox on a disk that fails it: it publishes without a connection, and says which messages are accepted. What is in
//! the outbox then is delivered by `deliver`, on a disk that works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_broker::Broker;
use ohmqtt_client::{Client, ClientBuilder, Durability, Qos};
use tokio::time::timeout;

use crate::Result;
use crate::line::{Choice, StoreKind};
use crate::role::{open, say};

/// Where everything is published.
const TOPIC: &str = "resources";

/// How long what has to happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a store is opened that fails at that.
const OPENINGS: usize = 3;

/// A few more messages than these fail before there is room again, and are accepted then.
pub(super) const MORE: u64 = 5;

/// What takes room on a disk for a while, in bytes.
const FILLER: usize = 768 * 1024;

/// Nobody listens there: what is accepted stays in the outbox.
const NOWHERE: &str = "mqtt://127.0.0.1:9";

fn builder(url: &str) -> ClientBuilder {
    Client::builder(url)
        .client_id("outbox")
        .clean_start(false)
        .session_expiry(Duration::from_secs(86_400))
        .backoff(Duration::from_millis(50), Duration::from_secs(1))
}

/// The process: `--store S --path P --messages N --size BYTES [--filler PATH]`. With a filler, which takes room on its disk, it goes on
/// until a message finds none, and once more when the filler is gone.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn play(args: &mut Parser) -> Result {
    let (mut store, mut path) = (StoreKind::Memory, PathBuf::new());
    let (mut messages, mut size, mut filler) = (0, 0, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("store") => store = args.value()?.parse::<Choice<StoreKind>>()?.0,
            Arg::Long("path") => path = args.value()?.into(),
            Arg::Long("messages") => messages = args.value()?.parse()?,
            Arg::Long("size") => size = args.value()?.parse()?,
            Arg::Long("filler") => filler = Some(PathBuf::from(args.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(filler) = &filler {
        std::fs::write(filler, vec![1; FILLER])?;
    }
    let client = start(store, &path)?;
    let mut failed = 0;
    for number in 0..messages {
        if filler.is_some() && failed == MORE {
            break;
        }
        failed += u64::from(!publish(&client, number, size).await);
    }
    if let Some(filler) = filler {
        if failed < MORE {
            return Err(format!("{messages} messages do not fill the disk").into());
        }
        std::fs::remove_file(filler)?;
        for number in messages..messages + MORE {
            publish(&client, number, size).await;
        }
    }
    let left = client.close(Duration::from_millis(1)).await;
    say(&format!("left {}\n", left.unacknowledged));
    Ok(())
}

/// Starts the client. An error of its store is said, and it is tried again.
fn start(store: StoreKind, path: &Path) -> Result<Client> {
    let mut openings = 0;
    loop {
        openings += 1;
        let opened = open(store, path).map_err(|error| error.to_string());
        let started = opened.and_then(|store| {
            let started = builder(NOWHERE).store(store, Durability::Safe).start();
            started.map_err(|error| error.to_string())
        });
        match started {
            Ok(client) => return Ok(client),
            Err(error) if openings == OPENINGS => return Err(error.into()),
            Err(error) => say(&format!("unopened {error}\n")),
        }
    }
}

/// Publishes a message, and says what became of it. Returns whether it was accepted.
async fn publish(client: &Client, number: u64, size: usize) -> bool {
    let payload = format!("{number} {}", "x".repeat(size));
    let published = client.publish(TOPIC, payload).qos(Qos::ExactlyOnce).await;
    match &published {
        Ok(_) => say(&format!("accepted {number}\n")),
        Err(error) => say(&format!("failed {number} {error}\n")),
    }
    published.is_ok()
}

/// What an outbox has done and what came out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    accepted: Vec<u64>,
    /// What was told of errors, at opening or of a message.
    pub(super) errors: Vec<String>,
    arrived: Vec<u64>,
}

impl Books {
    /// Enters what the process has said.
    pub(super) fn of(said: &str) -> Self {
        let mut books = Self::default();
        for line in said.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "accepted" => books.accepted.extend(rest.parse::<u64>()),
                "arrived" => books.arrived.extend(rest.parse::<u64>()),
                "failed" | "unopened" => books.errors.push(rest.to_owned()),
                _ => {}
            }
        }
        books
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.len() as u64
    }

    /// Compares: what was accepted has to arrive, once and in order, and nothing else.
    pub(super) fn fault(&self) -> Option<String> {
        if self.arrived == self.accepted {
            return None;
        }
        let missing = |of: &[u64], among: &[u64]| {
            let missing = of.iter().filter(|number| !among.contains(number));
            missing.count()
        };
        Some(format!(
            "of {} accepted messages {} are lost; of {} that arrived {} were not accepted",
            self.accepted.len(),
            missing(&self.accepted, &self.arrived),
            self.arrived.len(),
            missing(&self.arrived, &self.accepted),
        ))
    }
}

/// The other process, on the same store: delivers what is in the outbox to a broker of its own, and says what arrives.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn deliver(args: &mut Parser) -> Result {
    let (mut store, mut path) = (StoreKind::Memory, PathBuf::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("store") => store = args.value()?.parse::<Choice<StoreKind>>()?.0,
            Arg::Long("path") => path = args.value()?.into(),
            other => return Err(other.unexpected().into()),
        }
    }
    let broker = Broker::builder()
        .listen("mqtt://127.0.0.1:0")
        .start()
        .await?;
    let reader = Client::connect(broker.url()).await?;
    let mut inbox = reader.subscribe(TOPIC).qos(Qos::ExactlyOnce).await?;
    let client = builder(broker.url())
        .store(open(store, &path)?, Durability::Safe)
        .start()?;
    // The order is kept: behind this one there is nothing.
    let last = client.publish(TOPIC, "last").qos(Qos::ExactlyOnce).await?;
    timeout(PATIENCE, last.acked()).await??;
    loop {
        let message = timeout(PATIENCE, inbox.recv()).await?;
        let message = message.ok_or("the subscription has ended")?;
        let number = message.payload.split(|byte| *byte == b' ').next();
        let number = String::from_utf8_lossy(number.unwrap_or_default());
        if number == "last" {
            break;
        }
        say(&format!("arrived {number}\n"));
    }
    let left = client.close(PATIENCE).await.unacknowledged;
    reader.close(PATIENCE).await;
    if left > 0 {
        return Err(format!("{left} messages are left").into());
    }
    Ok(())
}
