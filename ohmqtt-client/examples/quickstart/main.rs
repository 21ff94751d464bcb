//! Messages at QoS 0, 1 and 2, each with its acknowledgement; a session that is left, and gone on with; and a message that is accepted
//! without a connection, by a client with an outbox in a file, and that arrives after a restart.
//!
//! ```sh
//! cargo run --release --example quickstart                        # through a broker in this process
//! cargo run --release --example quickstart -- mqtt://host:1883    # through a broker of yours
//!
//! # Through one in this process, over another transport: tcp, tls, unix, ws, wss or quic.
//! cargo run --release -p ohmqtt-client --example quickstart --all-features -- --via quic
//! ```

mod via;

use std::error::Error;
use std::future::IntoFuture;
use std::process::ExitCode;
use std::time::Duration;

use ohmqtt_client::{Client, ClientBuilder, Durability, Qos, RedbStore, Subscription};
use tokio::time::timeout;

pub(crate) use via::Via;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => {
            println!("quickstart: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => quickstart(Via::start("tcp").await?).await,
        [option, transport] if option == "--via" => quickstart(Via::start(transport).await?).await,
        [url] if !url.starts_with('-') => quickstart(Via::broker_at(url)).await,
        _ => Err("give nothing, the URL of a broker, or --via and a transport".into()),
    }
}

pub(crate) async fn quickstart(via: Via) -> Result<()> {
    // A broker of yours may have other clients: ours have names of their own.
    let home = format!("quickstart-{}", std::process::id());
    let reader = || via.client().client_id(&format!("{home}-reader"));

    println!("\nTwo clients, one message at each QoS:");
    let writer = soon("connect", via.client().connect()).await?;
    let client = soon("connect", reader().connect()).await?;
    let mut inbox = soon("subscribe", client.subscribe(format!("{home}/#"))).await?;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        publish(&writer, &format!("{home}/greetings"), "hello", qos).await?;
        receive(&mut inbox, "hello").await?;
    }

    println!("\nThe reader leaves, and messages wait for it:");
    client.close(PATIENCE).await;
    publish(&writer, &format!("{home}/news"), "first", Qos::AtLeastOnce).await?;
    publish(&writer, &format!("{home}/news"), "second", Qos::ExactlyOnce).await?;

    println!("\nIt comes back to its session:");
    let client = soon("connect", reader().clean_start(false).connect()).await?;
    let mut inbox = soon("subscribe", client.subscribe(format!("{home}/#"))).await?;
    receive(&mut inbox, "first").await?;
    receive(&mut inbox, "second").await?;

    println!("\nA gateway is offline, and its outbox is in a file:");
    let folder = tempfile::tempdir()?;
    let gateway = |client: ClientBuilder| -> Result<_> {
        let outbox = RedbStore::open(folder.path().join("outbox.redb"))?;
        let id = format!("{home}-gateway");
        Ok(client.client_id(&id).store(outbox, Durability::Safe))
    };
    let offline = gateway(Client::builder(NOWHERE))?.start()?;
    let reading = offline
        .publish(format!("{home}/reading"), "21.5")
        .qos(Qos::AtLeastOnce);
    soon("accept", reading).await?;
    println!("  accepted   21.5     at QoS 1: it is on the disk");
    let left = offline.close(Duration::ZERO).await;
    println!(
        "  closed with {} message unacknowledged",
        left.unacknowledged
    );

    println!("\nIt starts again, where there is a broker:");
    let restarted = soon("connect", gateway(via.client())?.connect()).await?;
    receive(&mut inbox, "21.5").await?;
    let left = restarted.close(PATIENCE).await;
    println!(
        "  closed with {} messages unacknowledged",
        left.unacknowledged
    );

    println!();
    client.close(PATIENCE).await;
    writer.close(PATIENCE).await;
    Ok(())
}

/// Publishes a message and waits for the broker's word on it.
async fn publish(client: &Client, topic: &str, text: &'static str, qos: Qos) -> Result<()> {
    let publication = soon("publish", client.publish(topic, text).qos(qos)).await?;
    let ack = soon("the acknowledgement", publication.acked()).await?;
    println!(
        "  published  {text:8} at QoS {}: {}",
        u8::from(qos),
        ack.reason
    );
    if ack.reason.is_error() {
        return Err(format!("the broker refused '{text}'").into());
    }
    Ok(())
}

/// Waits for the next message, which is to be this one.
async fn receive(inbox: &mut Subscription, text: &str) -> Result<()> {
    let next = async { inbox.recv().await.ok_or("the client is closed") };
    let message = soon("a message", next).await?;
    println!(
        "  received   {:8} at QoS {}, topic {}",
        String::from_utf8_lossy(&message.payload),
        u8::from(message.qos),
        message.topic
    );
    if message.payload != text {
        return Err(format!("expected '{text}'").into());
    }
    Ok(())
}

/// Where no broker is: port 0 is nobody's.
const NOWHERE: &str = "mqtt://127.0.0.1:0";

/// Everything here takes moments. What takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of one step, or an error that says which step did not end.
async fn soon<T, E: Into<Box<dyn Error>>>(
    step: &str,
    task: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T> {
    match timeout(PATIENCE, task.into_future()).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(format!("{step}: nothing within {PATIENCE:?}").into()),
    }
}
