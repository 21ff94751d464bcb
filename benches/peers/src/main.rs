//! What rumqttc costs, and the codecs of others, for callgrind: the same packets as in the benches of ours, and the same null broker.
//!
//! ```text
//! peers tcp CASE N    publish/0, publish/1, publish/2, receive/0 or receive/1, N times against a null broker in a process of its own
//! peers list          each peer and each case of its codec, a line each
//! peers codec PEER CASE N     such a case, N times
//! peers null QOS      the null broker
//! peers publish PORT N    publishes N messages to the broker at this port of loopback, and tells CPU time and rate
//! peers round PORT N      N round trips through the null broker at this port
//! ```

mod codec;
#[path = "../../src/client/null.rs"]
#[allow(dead_code)]
mod null;
#[path = "../../src/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../../src/client/tcp.rs"]
mod tcp;
#[path = "../../src/client/times.rs"]
mod times;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, EventLoop, Incoming, MqttOptions};
use tokio::runtime::Runtime;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

use times::{Many, Trips};

/// How many messages wait for the event loop, and how many are unacknowledged: as many as the ring of ours holds.
const RING: u16 = 100;
/// The same for a real broker.
const WINDOW: u16 = 1_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match act(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &[&str]) -> Result<()> {
    match *args {
        ["null", qos] => tcp::serve(qos.parse()?),
        ["publish", port, n] => many(port.parse()?, n.parse()?),
        ["round", port, n] => round_trips(port.parse()?, n.parse()?),
        ["tcp", case, n] => over_tcp(case, n.parse()?),
        ["codec", peer, case, n] => codec::count(peer, case, n.parse()?),
        ["list"] => {
            codec::list();
            Ok(())
        }
        _ => Err("see the top of the source for what to say".into()),
    }
}

fn over_tcp(case: &str, n: u64) -> Result<()> {
    let (work, qos) = match case.split_once('/') {
        Some((work, "0")) => (work, 0),
        Some((work, "1")) => (work, 1),
        Some((work, "2")) => (work, 2),
        _ => return Err(format!("there is no {case} over TCP").into()),
    };
    let broker = tcp::Process::start(qos)?;
    runtime()?.block_on(async {
        let (client, events) = client(broker.port, RING);
        match work {
            "publish" => publish(client, events, qos, n).await,
            "receive" => receive(client, events, n).await,
            other => Err(format!("there is no {other} over TCP").into()),
        }
    })
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

fn client(port: u16, window: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("bench", "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(window);
    AsyncClient::new(options, window.into())
}

/// Publishes to a broker that somebody else started, and tells what it took.
fn many(port: u16, n: u64) -> Result<()> {
    runtime()?.block_on(async {
        let (client, mut events) = client(port, WINDOW);
        while !matches!(events.poll().await?, Event::Incoming(Incoming::ConnAck(_))) {}
        let many = Many::begin()?;
        publish(client, events, 1, n).await?;
        many.print(n)
    })
}

/// Each message once the one before it is acknowledged; the event loop on the task of who publishes, which is its shortest way.
fn round_trips(port: u16, n: u64) -> Result<()> {
    let mut trips = Trips::default();
    runtime()?.block_on(async {
        let (client, mut events) = client(port, WINDOW);
        let payload = Bytes::from(vec![b'x'; null::PAYLOAD]);
        for _ in 0..n {
            let began = Instant::now();
            client
                .publish_bytes(null::TOPIC, level(1), false, payload.clone())
                .await?;
            while !matches!(events.poll().await?, Event::Incoming(Incoming::PubAck(_))) {}
            trips.end(began);
        }
        println!("{}", trips.figures("")?);
        Ok(())
    })
}

fn level(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

/// Its event loop on a task of its own, as its examples have it, until the last message is acknowledged, or at QoS 0 sent.
async fn publish(client: AsyncClient, mut events: EventLoop, qos: u8, n: u64) -> Result<()> {
    let ends = tokio::spawn(async move {
        let mut done = 0;
        while done < n {
            match black_box(events.poll().await) {
                Ok(Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_))) => done += 1,
                Ok(Event::Outgoing(rumqttc::Outgoing::Publish(_))) if qos == 0 => done += 1,
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    });
    let payload = Bytes::from(vec![b'x'; null::PAYLOAD]);
    for _ in 0..n {
        client
            .publish_bytes(null::TOPIC, level(qos), false, payload.clone())
            .await?;
    }
    ends.await?.map_err(Into::into)
}

async fn receive(client: AsyncClient, mut events: EventLoop, n: u64) -> Result<()> {
    client.subscribe(null::TOPIC, QoS::ExactlyOnce).await?;
    let mut left = n;
    while left > 0 {
        if let Event::Incoming(Incoming::Publish(message)) = events.poll().await? {
            black_box(message);
            left -= 1;
        }
    }
    Ok(())
}
