//! One publisher and many subscribers at a broker that somebody else started: how many messages a second of its CPU time it gives out.
//!
//! Everything is QoS 0, 256 bytes, and encoded beforehand. A hundred messages are published, then each subscriber's are read and compared;
//! so no queue of the broker is ever longer than that, and nothing is dropped.
//!
//! ```text
//! fanout PORT PID SUBSCRIBERS ROUNDS
//! ```

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use ohmqtt_benches::codec::wire;
use ohmqtt_benches::process::{Result, cpu_of};
use ohmqtt_codec::{
    Filters, Packet, PacketId, Publish, Qos, Subscribe, SubscribeProperties, SubscriptionOptions,
    TopicFilter, TopicName,
};

/// A CONNECT with a clean start, without a Client Identifier and a keep-alive.
const CONNECT: &[u8] = b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\0\0";
const TOPIC: &str = "factory/line1/press/temp";
const PAYLOAD: [u8; 256] = [b'x'; 256];
/// Messages of a round.
const BATCH: usize = 100;
/// Rounds before those that count.
const FIRST: u64 = 5;
/// Who is silent for so long has lost a message.
const SILENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [port, pid, subscribers, rounds] => run(port, pid, subscribers, rounds),
        _ => Err("say a port, a process, how many subscribers and how many rounds".into()),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fanout: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn run(port: &str, pid: &str, subscribers: &str, rounds: &str) -> Result<String> {
    let (port, pid, rounds) = (port.parse()?, pid.parse()?, rounds.parse()?);
    let mut fan = Fan::connected(port, subscribers.parse()?)?;
    fan.turn(FIRST)?;
    let before = cpu_of(pid)?;
    let messages = fan.turn(rounds)?;
    let seconds = cpu_of(pid)?.saturating_sub(before).as_secs_f64();
    if seconds == 0.0 {
        return Err("the broker has taken no time that can be told: say more rounds".into());
    }
    let per_second = messages as f64 / seconds;
    Ok(format!(
        "cpu_seconds={seconds:.2} per_cpu_second={per_second:.0}"
    ))
}

struct Fan {
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
    /// A round's messages, and those that a subscriber gets for them.
    batch: Vec<u8>,
    read: Vec<u8>,
}

impl Fan {
    fn connected(port: u16, count: usize) -> Result<Self> {
        let options = SubscriptionOptions::new(Qos::AtMostOnce);
        let subscribe = wire(&[Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).ok_or("no identifier")?,
            properties: SubscribeProperties::default(),
            filters: Filters::new(&TopicFilter::new(TOPIC)?, options)?,
        })]);
        let mut subscribers = Vec::new();
        for _ in 0..count {
            let mut stream = connected(port)?;
            stream.write_all(&subscribe)?;
            expect(&mut stream, 0x90)?;
            subscribers.push(stream);
        }
        let message = Publish::new(TopicName::new(TOPIC)?, PAYLOAD.to_vec());
        let batch = wire(&[Packet::Publish(message)]).repeat(BATCH);
        let read = vec![0; batch.len()];
        let publisher = connected(port)?;
        Ok(Self {
            publisher,
            subscribers,
            batch,
            read,
        })
    }

    /// So many rounds; gives how many messages all subscribers got.
    fn turn(&mut self, rounds: u64) -> Result<usize> {
        let mut messages = 0;
        for _ in 0..rounds {
            self.publisher.write_all(&self.batch)?;
            for subscriber in &mut self.subscribers {
                subscriber.read_exact(&mut self.read)?;
                if self.read != self.batch {
                    return Err("a message came that was not published".into());
                }
                messages += BATCH;
            }
        }
        Ok(messages)
    }
}

fn connected(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(CONNECT)?;
    expect(&mut stream, 0x20)?;
    Ok(stream)
}

/// Reads a packet of less than 128 bytes, which is to begin with this byte and to have nothing to refuse.
fn expect(stream: &mut TcpStream, first: u8) -> Result<()> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; header[1].into()];
    stream.read_exact(&mut body)?;
    // The reason code of CONNACK, and the last of SUBACK: 0x80 and more are refusals.
    let reason = if first == 0x20 {
        body.get(1)
    } else {
        body.last()
    };
    match reason {
        Some(reason) if header[0] == first && *reason < 0x80 => Ok(()),
        _ => Err(format!("the broker said {header:?} {body:?}").into()),
    }
}
