//! A long backlog in a store: what it costs in memory to gather it, to open it, and to drain it beside a short queue.
//!
//! Each step is a process of its own, so that what it needs is its own; `cargo xtask bench backlog` runs them in order.
//!
//! ```text
//! backlog fill  STORE FOLDER N    queues N messages of 256 bytes without a connection
//! backlog open  STORE FOLDER      opens what is there, without a connection
//! backlog drain STORE FOLDER      delivers it
//! backlog short STORE FOLDER N M  queues and delivers N messages, M at a time
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ohmqtt_benches::durable::{Acking, Nowhere, Result, client, cpu, memory, open};
use ohmqtt_client::{Client, Durability, PublishError, Qos};

/// A payload of 256 bytes.
const PAYLOAD: &[u8] = &[b'x'; 256];
/// As many show what the store itself takes.
const FEW: u64 = 1000;
/// How long draining may take.
const PATIENCE: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["fill", store, folder, n] => fill(store, folder.as_ref(), n).await,
        ["open", store, folder] => reopen(store, folder.as_ref()).await,
        ["drain", store, folder] => drain(store, folder.as_ref()).await,
        ["short", store, folder, n, each] => short(store, folder.as_ref(), n, each).await,
        _ => Err("say fill, open, drain or short, a store and a folder".into()),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("backlog: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn fill(store: &str, folder: &Path, n: &str) -> Result<String> {
    let n: u64 = n.parse()?;
    let start = memory()?;
    let client = client(open(store, folder)?, Durability::Safe).connector(Nowhere);
    let client = client.start()?;
    // What the store itself takes, once it has worked, is no cost of a backlog.
    queue(&client, FEW).await?;
    let few = memory()?;
    let began = Instant::now();
    queue(&client, n - FEW).await?;
    let seconds = began.elapsed().as_secs_f64();
    let many = memory()?;
    let queued = client.metrics().queued_messages;
    client.close(Duration::ZERO).await;
    let (grown, all) = (many.saturating_sub(few), many.saturating_sub(start));
    Ok(format!(
        "queued={queued} grown={grown} grown_from_start={all} seconds={seconds:.1}"
    ))
}

async fn reopen(store: &str, folder: &Path) -> Result<String> {
    let start = memory()?;
    let began = Instant::now();
    let client = client(open(store, folder)?, Durability::Safe).connector(Nowhere);
    let client = client.start()?;
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    let grown = memory()?.saturating_sub(start);
    let queued = client.metrics().queued_messages;
    client.close(Duration::ZERO).await;
    Ok(format!("queued={queued} millis={millis:.1} grown={grown}"))
}

async fn drain(store: &str, folder: &Path) -> Result<String> {
    let client = client(open(store, folder)?, Durability::Safe).connector(Acking);
    let client = client.start()?;
    let queued = client.metrics().queued_messages;
    let (began, worked) = (Instant::now(), cpu()?);
    let left = client.close(PATIENCE).await;
    report(queued, began, worked, left.unacknowledged)
}

async fn short(store: &str, folder: &Path, n: &str, each: &str) -> Result<String> {
    let each = each.parse::<u64>()?;
    let rounds = n.parse::<u64>()? / each;
    let (mut time, mut work, mut left) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..rounds {
        let builder = client(open(store, folder)?, Durability::Safe).connector(Nowhere);
        let client = builder.start()?;
        queue(&client, each).await?;
        client.close(Duration::ZERO).await;
        let builder = ohmqtt_benches::durable::client(open(store, folder)?, Durability::Safe);
        let client = builder.connector(Acking).start()?;
        let (began, worked) = (Instant::now(), cpu()?);
        left += client.close(PATIENCE).await.unacknowledged;
        time += began.elapsed();
        work += cpu()?.saturating_sub(worked);
    }
    Ok(line(rounds * each, time, work, left))
}

fn report(queued: usize, began: Instant, worked: Duration, left: usize) -> Result<String> {
    let (time, work) = (began.elapsed(), cpu()?.saturating_sub(worked));
    Ok(line(queued as u64, time, work, left))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn line(messages: u64, time: Duration, work: Duration, left: usize) -> String {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / messages.max(1) as f64;
    format!(
        "messages={messages} left={left} micros={:.2} cpu_micros={:.2}",
        each(time),
        each(work)
    )
}

/// Queues messages, as fast as the store takes them, and lets go of their handles.
async fn queue(client: &Client, n: u64) -> Result<()> {
    let mut last = None;
    for number in 0..n {
        let publish = || {
            client
                .publish("gateway/readings", PAYLOAD)
                .qos(Qos::AtLeastOnce)
        };
        last = Some(match publish().send() {
            // The store is behind: wait until it is not.
            Err(PublishError::Full(_)) => publish().await?,
            sent => sent?,
        });
        if number % 1024 == 0 {
            tokio::task::yield_now().await;
        }
    }
    if let Some(last) = last {
        last.accepted().await?;
    }
    Ok(())
}
