//! A broker at the addresses given as arguments, until Ctrl-C or a signal asks it to stop. Each address is printed on a line of its own, with
//! the port that was chosen where 0 was asked for.
//!
//! `cargo run --release -p ohmqtt-broker --features redb --example broker -- mqtt://127.0.0.1:1883 --store broker.redb`
//!
//! With `--store FILE` it keeps sessions, queued and retained messages in that file: a name that ends in `.redb` (feature `redb`) or in
//! `.sqlite` (feature `sqlite`). With `--fast` a power cut may take the last moments of it. With `--identity CHAIN KEY`, two files of
//! PEM, it shows that certificate where TLS is spoken (features `tls`, `quic`). With `--passwords FILE` (feature `passwords`) it lets in the
//! users of a file that `mosquitto_passwd` writes, from other machines too; with `--acl FILE` it allows what Mosquitto's rules in it allow. With `--insecure-allow-anonymous` the addresses may be
//! ones that other machines reach.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ohmqtt_broker::{Broker, Builder, Durability, ListenOptions, StartError, Store, StoreError};

/// What opens a file.
type Open = fn(&Path) -> Result<Box<dyn Store>, StoreError>;

/// What opens files with which ending.
const STORES: &[(&str, Open)] = &[
    #[cfg(feature = "redb")]
    ("redb", |path| {
        Ok(Box::new(ohmqtt_broker::RedbStore::open(path)?))
    }),
    #[cfg(feature = "sqlite")]
    ("sqlite", |path| {
        Ok(Box::new(ohmqtt_broker::SqliteStore::open(path)?))
    }),
];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut builder = Broker::builder();
    let (mut urls, mut options) = (Vec::new(), ListenOptions::new());
    let (mut store, mut durability) = (None, Durability::Safe);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--insecure-allow-anonymous" => builder = builder.insecure_allow_anonymous(),
            "--store" => store = Some(open(&arguments.next().ok_or("--store needs a file")?)?),
            "--fast" => durability = Durability::Fast,
            "--passwords" => {
                let file = arguments.next().ok_or("--passwords needs a file")?;
                builder = passwords(builder, file)?;
            }
            "--acl" => builder = builder.acl(arguments.next().ok_or("--acl needs a file")?),
            "--identity" => {
                let files = arguments.next().zip(arguments.next());
                let (chain, key) = files.ok_or("--identity needs two files")?;
                options = identity(&chain, &key)?;
            }
            unknown if unknown.starts_with('-') => {
                return Err(format!("{unknown}: no such option").into());
            }
            _ => urls.push(argument),
        }
    }
    for url in urls {
        builder = builder.listen_with(url, options.clone());
    }
    if let Some(store) = store {
        builder = builder.store(store, durability);
    }
    let broker = builder.start().await.map_err(|error| match error {
        StartError::AnonymousBeyondLoopback { url } => format!("{url} can be reached from other machines, and clients are not asked who they are: listen at 127.0.0.1, or say --insecure-allow-anonymous").into(),
        other => Box::<dyn Error>::from(other),
    })?;
    // Whoever reads an address may ask for the end at once.
    let stop = asked_to_stop()?;
    for url in broker.urls() {
        println!("{url}");
    }
    stop.await;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Waits for Ctrl-C, or for what a service manager says, from the call on.
#[cfg(unix)]
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}

fn open(file: &str) -> Result<Box<dyn Store>, Box<dyn Error>> {
    let path = Path::new(file);
    let ending = path.extension().unwrap_or_default();
    let Some((_, open)) = STORES.iter().find(|(name, _)| ending == *name) else {
        let known: Vec<_> = STORES.iter().map(|(name, _)| format!(".{name}")).collect();
        let known = known.join(" or ");
        return Err(format!("{file}: no store for this ending; built with: {known} (see the features redb and sqlite)").into());
    };
    Ok(open(path)?)
}

#[cfg(feature = "passwords")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same with and without the feature"
)]
fn passwords(builder: Builder, file: String) -> Result<Builder, Box<dyn Error>> {
    Ok(builder.passwords(file))
}

#[cfg(not(feature = "passwords"))]
fn passwords(_: Builder, _: String) -> Result<Builder, Box<dyn Error>> {
    Err("--passwords: built without it (see the feature passwords)".into())
}

#[cfg(feature = "tls-no-provider")]
fn identity(chain: &str, key: &str) -> Result<ListenOptions, Box<dyn Error>> {
    Ok(ohmqtt_broker::Identity::from_files(chain, key)?.into())
}

#[cfg(not(feature = "tls-no-provider"))]
fn identity(_: &str, _: &str) -> Result<ListenOptions, Box<dyn Error>> {
    Err("--identity: built without TLS (see the features tls and quic)".into())
}
