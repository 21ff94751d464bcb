//! The parts that this program plays in processes of its own: publisher, subscriber and the broker of ours, for `network` both
//! clients in one, and for `resource` a publisher that has no connection.
//!
//! Each says what happens on its standard output, a line each, at once, and ends when its standard input does.

mod broker;
mod publisher;
mod subscriber;
mod timed;

use std::io::{Read, Write};
use std::path::Path;

use lexopt::Parser;
use ohmqtt_client::Client;
use ohmqtt_store::{MemoryStore, RedbStore, SqliteStore, Store};
use tokio::process::Command;

use crate::Result;
use crate::line::StoreKind;

/// Where everything is published.
const TOPIC: &str = "crash";

/// The names of parts that are played for `network` and `resource`.
pub(crate) const CLIENTS: &str = "clients";
pub(crate) const OUTBOX: &str = "outbox";
pub(crate) const DELIVER: &str = "deliver";

/// How long a broker keeps a session for an absent client.
const SESSION: std::time::Duration = std::time::Duration::from_secs(86_400);

/// How long a client waits between attempts to connect.
const BACKOFF: [std::time::Duration; 2] = [
    std::time::Duration::from_millis(5),
    std::time::Duration::from_millis(40),
];

/// The part of this name, to be played in this process.
pub(crate) fn named(name: &str) -> Option<fn(&mut Parser) -> Result> {
    let part = match name {
        "publisher" => publisher::play,
        "subscriber" => subscriber::play,
        "broker" => broker::play,
        CLIENTS => crate::network::play,
        OUTBOX => crate::resource::play,
        DELIVER => crate::resource::deliver,
        _ => return None,
    };
    leash();
    Some(part)
}

/// This program in that part.
pub(crate) fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name);
    Ok(command)
}

/// Ends the process with the rig's, which holds the other end of standard input.
fn leash() {
    std::thread::spawn(|| {
        until_left();
        std::process::exit(3);
    });
}

/// Waits for the end of the rig's process, for one that has to put something away then.
pub(crate) async fn unleashed() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    // No task of the runtime's, which would wait for it.
    std::thread::spawn(move || {
        until_left();
        drop(end);
    });
    let _ = ended.await;
}

fn until_left() {
    let mut nothing = [0];
    // Nothing is ever said there: it is the end, or an error.
    let _ = std::io::stdin().read(&mut nothing);
}

/// Says something to the rig, at once: what was said stays said when the process is killed.
pub(crate) fn say(lines: &str) {
    let mut out = std::io::stdout().lock();
    if out
        .write_all(lines.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        // Nobody listens any more.
        std::process::exit(3);
    }
}

pub(crate) fn open(kind: StoreKind, path: &Path) -> Result<Box<dyn Store>> {
    Ok(match kind {
        StoreKind::Sqlite => Box::new(SqliteStore::open(path)?),
        StoreKind::Redb => Box::new(RedbStore::open(path)?),
        StoreKind::Memory => Box::new(MemoryStore::default()),
    })
}

/// Says how the connection stands, until the client is closed: the trace wants to know.
async fn watch(client: Client) {
    let mut watch = client.watch();
    while let Some(state) = watch.changed().await {
        let lost = client.metrics().lost;
        say(&format!("connection {state:?}, lost {lost}\n"));
    }
}
