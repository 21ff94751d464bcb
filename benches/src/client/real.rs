//! Publishing to a broker that somebody else started, at a port of loopback: what a message takes of the processor and how many go
//! through in a second, and how long one takes there and back, beside a bare socket that says the same bytes.

use std::hint::black_box;
use std::time::Instant;

use ohmqtt_client::{Client, Qos};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::null::publish as message;
use super::times::{Many, Trips};
use super::{Publisher, Result, runtime};

/// How many messages are under way at once.
const WINDOW: usize = 1_000;
/// How many round trips follow each other before the bare socket has its turn.
const TURN: u64 = 100;
/// CONNECT of a client without a name, and what the null broker says to it.
const CONNECT: [u8; 15] = *b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00";
const CONNACK: usize = 5;
const PUBACK: usize = 4;

async fn connected(port: u16) -> Result<Client> {
    let url = format!("mqtt://127.0.0.1:{port}");
    Ok(Client::builder(&url).client_id("bench").connect().await?)
}

/// Publishes so many messages at QoS 1, a thousand at a time, and tells what they took.
pub fn publish(port: u16, n: u64) -> Result<()> {
    runtime().block_on(async {
        let mut publisher = Publisher::new(connected(port).await?, Qos::AtLeastOnce, WINDOW);
        // What only the first take is no cost of the others.
        publisher.publish(n / 20).await;
        let many = Many::begin()?;
        publisher.publish(n).await;
        many.print(n)
    })
}

/// So many messages of QoS 1 through the null broker, each once the one before it is acknowledged, by turns with as many of a bare socket.
pub fn round_trips(port: u16, n: u64) -> Result<()> {
    // On a task, as programs have it: what is woken besides the runtime's first future costs that future a look at the sockets.
    let (mut ours, mut raw) = runtime().block_on(async move {
        let task = tokio::spawn(async move {
            let trips = take_turns(port, n).await;
            trips.map_err(|error| error.to_string())
        });
        task.await.map_err(|error| error.to_string())?
    })?;
    println!("{} {}", ours.figures("")?, raw.figures("raw_")?);
    Ok(())
}

async fn take_turns(port: u16, n: u64) -> Result<(Trips, Trips)> {
    let (mut ours, mut raw) = (Trips::default(), Trips::default());
    let mut publisher = Publisher::new(connected(port).await?, Qos::AtLeastOnce, 1);
    let mut socket = Raw::connected(port).await?;
    publisher.publish(TURN).await;
    for _ in 0..n / TURN {
        for _ in 0..TURN {
            let began = Instant::now();
            socket.round_trip().await?;
            raw.end(began);
        }
        for _ in 0..TURN {
            let began = Instant::now();
            publisher.publish(1).await;
            ours.end(began);
        }
    }
    Ok((ours, raw))
}

/// The least that there is: a socket, and bytes that are ready.
struct Raw {
    stream: TcpStream,
    message: Vec<u8>,
}

impl Raw {
    async fn connected(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&CONNECT).await?;
        stream.read_exact(&mut [0; CONNACK]).await?;
        Ok(Self {
            stream,
            message: message(1),
        })
    }

    async fn round_trip(&mut self) -> Result<()> {
        self.stream.write_all(&self.message).await?;
        let mut puback = [0; PUBACK];
        self.stream.read_exact(&mut puback).await?;
        black_box(puback);
        Ok(())
    }
}
