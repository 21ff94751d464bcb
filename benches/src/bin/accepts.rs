//! How many messages a second a durable outbox accepts, beside what the disk and the bare databases do in the same run.
//!
//! A client is connected to a server in memory that acknowledges everything; each publisher is a task that waits for *accepted* before
//! it publishes again. Commits are counted, not timed. `cargo xtask bench store` runs it and says what the goals are.
//!
//! ```text
//! accepts disk FOLDER SECONDS                         append 256 bytes and fdatasync, one after the other
//! accepts bare STORE FOLDER SECONDS                   one row of 300 bytes and a durable commit, without ohmqtt
//! accepts STORE safe|fast FOLDER PUBLISHERS SECONDS   through a client
//! accepts window STORE FOLDER N                       N messages of one publisher, a hundred under way, for strace
//! accepts count STORE|none N                          N messages, for callgrind
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ohmqtt_benches::durable::{Acking, Counted, Result, client, open};
use ohmqtt_client::{Client, Durability, Publication, Qos};
use redb::{Database, TableDefinition};
use rusqlite::Connection;

const PAYLOAD: &[u8] = &[b'x'; 256];
/// A record of such a message, about.
const ROW: &[u8] = &[b'x'; 300];
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// How many are under way when instructions are counted.
const UNDER_WAY: u64 = 64;
/// How many a publisher has under way before it waits for its oldest.
const WINDOW: usize = 100;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["disk", folder, seconds] => disk(folder.as_ref(), seconds),
        ["bare", "redb", folder, seconds] => bare_redb(folder.as_ref(), seconds),
        ["bare", "sqlite", folder, seconds] => bare_sqlite(folder.as_ref(), seconds),
        ["count", store, n] => count(store, n),
        ["window", store, folder, n] => window(store, folder.as_ref(), n),
        [store, durability, folder, publishers, seconds] => {
            through_client(store, durability, folder.as_ref(), publishers, seconds)
        }
        _ => Err("say disk, bare, count, window or a store; see the top of the source".into()),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("accepts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn through_client(
    store: &str,
    durability: &str,
    folder: &Path,
    publishers: &str,
    seconds: &str,
) -> Result<String> {
    let durability = match durability {
        "safe" => Durability::Safe,
        "fast" => Durability::Fast,
        other => return Err(format!("durability {other} is neither safe nor fast").into()),
    };
    let publishers = publishers.parse::<usize>()?;
    let time = Duration::from_secs_f64(seconds.parse()?);
    let (store, commits) = Counted::new(open(store, folder)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = client(store, durability)
            .connector(Acking)
            .connect()
            .await?;
        let accepted = Arc::new(AtomicU64::new(0));
        let (began, before) = (Instant::now(), commits.load(Ordering::Relaxed));
        let tasks: Vec<_> = (0..publishers)
            .map(|_| {
                let (client, accepted) = (client.clone(), Arc::clone(&accepted));
                tokio::spawn(async move {
                    while began.elapsed() < time {
                        let publish = client.publish("bench/topic", PAYLOAD);
                        if let Err(error) = publish.qos(Qos::AtLeastOnce).await {
                            eprintln!("accepts: {error}");
                            return;
                        }
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let elapsed = began.elapsed();
        let commits = commits.load(Ordering::Relaxed) - before;
        let accepted = accepted.load(Ordering::Relaxed);
        client.close(Duration::from_secs(60)).await;
        Ok(line(accepted, commits, elapsed))
    })
}

/// `N` messages, so many at a time, on one thread beside the store's.
fn count(store: &str, n: &str) -> Result<String> {
    let n = n.parse::<u64>()?;
    let folder = tempfile::tempdir()?;
    let builder = match store {
        "none" => Client::builder("mqtt://in.memory").client_id("bench"),
        store => client(open(store, folder.path())?, Durability::Safe),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = builder.connector(Acking).connect().await?;
        for _ in 0..n / UNDER_WAY {
            let mut sent = Vec::new();
            for _ in 0..UNDER_WAY {
                let publish = client.publish("bench/topic", PAYLOAD);
                sent.push(publish.qos(Qos::AtLeastOnce).send()?);
            }
            for publication in sent {
                publication.acked().await?;
            }
        }
        client.close(Duration::from_secs(60)).await;
        Ok(String::new())
    })
}

/// `N` messages, safely kept; the oldest is waited for when the window is full.
fn window(store: &str, folder: &Path, n: &str) -> Result<String> {
    let n = n.parse::<u64>()?;
    let (store, commits) = Counted::new(open(store, folder)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let builder = client(store, Durability::Safe).connector(Acking);
        let client = builder.connect().await?;
        let (began, before) = (Instant::now(), commits.load(Ordering::Relaxed));
        let mut under_way = VecDeque::<Publication>::with_capacity(WINDOW);
        for _ in 0..n {
            if under_way.len() == WINDOW
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.acked().await?;
            }
            let publish = client.publish("bench/topic", PAYLOAD);
            under_way.push_back(publish.qos(Qos::AtLeastOnce).send()?);
        }
        for publication in under_way {
            publication.acked().await?;
        }
        let commits = commits.load(Ordering::Relaxed) - before;
        let line = line(n, commits, began.elapsed());
        client.close(Duration::from_secs(60)).await;
        Ok(line)
    })
}

fn disk(folder: &Path, seconds: &str) -> Result<String> {
    let mut file = File::create(folder.join("appended"))?;
    repeat(seconds, |_| {
        file.write_all(PAYLOAD)?;
        Ok(file.sync_data()?)
    })
}

fn bare_redb(folder: &Path, seconds: &str) -> Result<String> {
    let database = Database::create(folder.join("bare.redb"))?;
    repeat(seconds, |n| {
        let write = database.begin_write()?;
        write.open_table(TABLE)?.insert(&n.to_be_bytes()[..], ROW)?;
        Ok(write.commit()?)
    })
}

fn bare_sqlite(folder: &Path, seconds: &str) -> Result<String> {
    let connection = Connection::open(folder.join("bare.sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
    )?;
    let mut insert = connection.prepare("INSERT INTO records VALUES (?1, ?2)")?;
    repeat(seconds, |n| {
        insert.execute((n.to_be_bytes(), ROW))?;
        Ok(())
    })
}

/// Does one durable step after the other for so long.
fn repeat(seconds: &str, mut step: impl FnMut(u64) -> Result<()>) -> Result<String> {
    let time = Duration::from_secs_f64(seconds.parse()?);
    let began = Instant::now();
    let mut steps = 0;
    while began.elapsed() < time {
        step(steps)?;
        steps += 1;
    }
    Ok(line(steps, steps, began.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn line(messages: u64, commits: u64, elapsed: Duration) -> String {
    let per_second = messages as f64 / elapsed.as_secs_f64();
    let each = commits as f64 / messages.max(1) as f64;
    format!("per_second={per_second:.0} commits_per_message={each:.4}")
}
