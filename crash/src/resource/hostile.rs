//! Packets of hostile peers, a million of each kind, at a broker whose memory is to stay as it is.

use std::time::Duration;

use bytes::BytesMut;
use ohmqtt_broker::{Broker, Limits};
use ohmqtt_codec::{Packet, decode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use self::End::{Closed, Left};
use self::Way::{Each, First, One};
use super::pipes::{Pipes, pipes};
use crate::Result;
use crate::soak::resident;

/// Growing by more than this, in KiB, is not flat.
const MOST: u64 = 8 * 1024;

/// So many packets are sent before their answers are looked for.
const AT_ONCE: u64 = 500;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

const CONNECT: &[u8] = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03foe";
const PINGREQ: &[u8] = b"\xC0\x00";

/// How a hostile peer goes about it.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// All on one connection, which the broker keeps.
    One,
    /// Each on a connection of its own, behind a CONNECT that is accepted.
    Each(End),
    /// Each on a connection of its own, as the first thing that is said there.
    First(End),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By the broker.
    Closed,
    /// The broker waits for the rest of a packet, and the peer goes.
    Left,
}

/// What comes a million times.
type Kind = (Way, &'static str, &'static [u8]);

const KINDS: &[Kind] = &[
    // PUBLISH of QoS 2 with one identifier, again and again; PUBREC is never answered.
    (One, "identifiers of QoS 2 that come again", b"\x3C\x0B\x00\x01t\x00\x01\x00hello"),
    (One, "PUBACK for nothing", b"\x40\x02\x00\x09"),
    (One, "PUBREL for nothing", b"\x62\x02\x00\x09"),
    (One, "SUBSCRIBE to the same", b"\x82\x0B\x00\x01\x00\x00\x05a/+/#\x01"),
    (One, "UNSUBSCRIBE from nothing", b"\xA2\x06\x00\x01\x00\x00\x01z"),
    (One, "retained messages in each other's place", b"\x33\x0B\x00\x01r\x00\x01\x00hello"),
    (One, "user properties", b"\x32\x15\x00\x01t\x00\x01\x0F\x26\x00\x00\x00\x00\x26\x00\x00\x00\x00\x26\x00\x00\x00\x00"),
    (Each(Closed), "a second CONNECT", CONNECT),
    (Each(Closed), "packets of a server", b"\xD0\x00"),
    (Each(Closed), "a topic with wildcards", b"\x30\x05\x00\x01#\x00x"),
    (Each(Closed), "an alias beyond the maximum", b"\x30\x06\x00\x00\x03\x23\xFF\xFF"),
    (Each(Closed), "ill-formed UTF-8", b"\x30\x05\x00\x01\xFF\x00x"),
    (Each(Left), "a claim of 256 MiB", b"\x30\xFF\xFF\xFF\x7F\x00\x01t"),
    (First(Closed), "garbage", b"GET / HTTP/1.1\r\n\r\n"),
    (First(Closed), "a refused CONNECT with a will", b"\x10\x18\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01c\x00\x00\x04$SYS\x00\x01x"),
    (First(Closed), "another version", b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"),
    (First(Left), "half a CONNECT", b"\x10\x10\x00\x04MQ"),
    (First(Closed), "a packet before CONNECT", PINGREQ),
];

/// Sends so many of each kind, and gives what is to be told.
///
/// # Errors
/// When memory grows, or the broker does not go on.
pub(super) async fn run(packets: u64) -> Result<String> {
    let (mut most, mut worst) = (0, "none");
    for (way, name, bytes) in KINDS {
        let grown = flood(*way, bytes, packets).await;
        let grown = grown.map_err(|error| format!("{name}: {error}"))?;
        if grown > MOST {
            return Err(format!("{name}: memory grew by {grown} KiB").into());
        }
        if grown > most {
            (most, worst) = (grown, name);
        }
    }
    let kinds = KINDS.len();
    Ok(format!(
        "{kinds} kinds, {packets} packets of each, memory +{most} KiB at most ({worst})"
    ))
}

/// How much memory grows from the first tenth to the end, in KiB.
async fn flood(way: Way, bytes: &[u8], packets: u64) -> Result<u64> {
    let (pipes, ends) = pipes()?;
    let mut limits = Limits::default();
    limits.packet_size = limits.packet_size.saturating_add(1 << 28);
    limits.connect_packet_size = limits.packet_size;
    let broker = Broker::builder()
        .listener(ends)
        .limits(limits)
        .start()
        .await?;
    let (mut before, mut peer, mut sent) = (0, None, 0);
    while sent < packets {
        let many = AT_ONCE.min(packets - sent);
        match way {
            One => {
                let peer = match &mut peer {
                    Some(peer) => peer,
                    none => none.insert(Peer::connect(&pipes).await?),
                };
                peer.send(bytes, many).await?;
            }
            Each(end) => {
                for _ in 0..many {
                    Peer::connect(&pipes).await?.say(bytes, end).await?;
                }
            }
            First(end) => {
                for _ in 0..many {
                    Peer::open(&pipes)?.say(bytes, end).await?;
                }
            }
        }
        if peer.is_none() {
            // Behind them: when it has had its answer, all of them were taken.
            Peer::connect(&pipes).await?.send(PINGREQ, 1).await?;
        }
        sent += many;
        if before == 0 && sent >= packets / 10 {
            before = resident()?;
        }
    }
    let grown = resident()?.saturating_sub(before);
    drop(peer);
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(grown)
}

struct Peer {
    stream: DuplexStream,
    read: BytesMut,
}

impl Peer {
    fn open(pipes: &Pipes) -> Result<Self> {
        Ok(Self {
            stream: pipes.open()?,
            read: BytesMut::new(),
        })
    }

    async fn connect(pipes: &Pipes) -> Result<Self> {
        let mut peer = Self::open(pipes)?;
        peer.stream.write_all(CONNECT).await?;
        match peer.next().await? {
            Some(Packet::ConnAck(connack)) if !connack.reason.is_error() => Ok(peer),
            other => Err(format!("{other:?} in the place of CONNACK").into()),
        }
    }

    /// Sends this so often, and hears all answers.
    async fn send(&mut self, bytes: &[u8], times: u64) -> Result {
        let mut all = bytes.repeat(usize::try_from(times)?);
        all.extend(PINGREQ);
        self.stream.write_all(&all).await?;
        loop {
            match self.next().await? {
                Some(Packet::PingResp) => return Ok(()),
                Some(_) => {}
                None => return Err("the broker has ended the connection".into()),
            }
        }
    }

    /// Says this, and nothing after it.
    async fn say(mut self, bytes: &[u8], end: End) -> Result {
        self.stream.write_all(bytes).await?;
        match end {
            Closed => self.ended().await,
            Left => {
                tokio::task::yield_now().await;
                Ok(())
            }
        }
    }

    /// Waits until the broker has ended the connection, with a packet or without.
    async fn ended(&mut self) -> Result {
        let mut answers = 0;
        while self.next().await?.is_some() {
            answers += 1;
        }
        if answers > 1 {
            return Err(format!("{answers} answers").into());
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Packet>> {
        loop {
            if let Some(packet) = decode(&mut self.read, &ohmqtt_codec::Limits::default())? {
                return Ok(Some(packet));
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read));
            if read.await?? == 0 {
                return Ok(None);
            }
        }
    }
}
