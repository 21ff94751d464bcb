//! MQTT over a transport of your own: a broker and two clients in one process, joined by pipes in memory.
//!
//! Any ordered stream of bytes will do. [`Connect`] makes one for a client, [`Listen`] takes the other end for a broker; nothing else
//! needs to know. A broker elsewhere needs no `Listen`, of course.
//!
//! ```sh
//! cargo run --release -p ohmqtt-client --example own_transport
//! ```

use std::error::Error;
use std::io;
use std::time::Duration;

use ohmqtt_broker::{Accepted, Broker, Listen, Peer, PeerAddress};
use ohmqtt_client::{BoxFuture, Client, Connect, Endpoint, Phase, Qos, Transport, TransportError};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// How much a pipe holds before its writer waits for its reader, in bytes.
const PIPE: usize = 64 * 1024;

/// The clients' end: makes a pipe for each connection, and hands its far end over.
#[derive(Clone)]
struct Pipes(mpsc::Sender<DuplexStream>);

/// The broker's end: takes what is handed over.
struct PipeEnds(mpsc::Receiver<DuplexStream>);

fn pipes() -> (Pipes, PipeEnds) {
    let (sender, receiver) = mpsc::channel(1);
    (Pipes(sender), PipeEnds(receiver))
}

/// An error for when the other side has gone.
fn gone(phase: Phase) -> TransportError {
    TransportError::from_io(phase, "the pipes", io::ErrorKind::ConnectionRefused.into())
}

impl Connect for Pipes {
    /// Every URL leads to the same broker.
    fn connect<'a>(
        &'a self,
        _to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async {
            let (near, far) = duplex(PIPE);
            let handed_over = self.0.send(far).await;
            handed_over.map_err(|_| gone(Phase::Connect))?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

impl Listen for PipeEnds {
    /// What the broker says of where it listens. No scheme is right for it, so it is one that nobody could use by mistake.
    fn local(&self) -> Endpoint {
        NOWHERE.parse().expect("a URL")
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async {
            let stream = self.0.recv().await.ok_or_else(|| gone(Phase::Accept))?;
            let handshake = async {
                let peer = Peer::new(PeerAddress::Local);
                Ok((Box::new(stream) as Box<dyn Transport>, peer))
            };
            Ok(Accepted::new(PeerAddress::Local, Box::pin(handshake)))
        })
    }
}

/// A client needs a URL for its errors and its log.
const NOWHERE: &str = "mqtt://pipe:0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await?;
    println!("own_transport: ok");
    Ok(())
}

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let (pipes, ends) = pipes();
    let broker = Broker::builder().listener(ends).start().await?;
    let client = || Client::builder(NOWHERE).connector(pipes.clone()).connect();
    let (writer, reader) = (client().await?, client().await?);

    let mut inbox = reader.subscribe("greetings").await?;
    let sent = writer.publish("greetings", "hello").qos(Qos::ExactlyOnce);
    let acknowledgement = sent.await?.acked().await?;
    println!("published 'hello': {}", acknowledgement.reason);
    let message = inbox.recv().await.ok_or("the client is closed")?;
    println!("received {:?}", message.payload);

    writer.close(Duration::from_secs(5)).await;
    reader.close(Duration::from_secs(5)).await;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
