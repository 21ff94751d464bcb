//! The codecs of others, in the loops in which ours is measured, with the same packets: what ours encodes they decode, and what they have
//! decoded they encode.

mod mqtt5;
mod mqttbytes;
mod ntex;
mod protocol_core;
mod rumqttc;

use std::fmt::Debug;
use std::hint::black_box;

use bytes::BytesMut;
use ohmqtt_benches::codec::{CHUNK, INPUTS, wire};

use crate::Result;

/// A codec between what it reads and what it writes.
trait Codec {
    type Packet;

    /// It reads these bytes, over and over.
    fn new(stream: &[u8]) -> Self;

    /// The next packet.
    fn decode(&mut self) -> Result<Self::Packet>;

    /// Encodes a packet behind the one before; gives its length. What has gathered goes when it is 16 KiB.
    fn encode(&mut self, packet: &Self::Packet) -> Result<usize>;
}

/// What a peer does: a case so many times.
type Run = fn(&str, u64) -> Result<()>;

const PEERS: &[(&str, Run)] = &[
    ("rumqttc", run::<rumqttc::Codec>),
    ("mqttbytes", run::<mqttbytes::Codec>),
    ("mqtt5", run::<mqtt5::Codec>),
    ("mqtt-protocol-core", run::<protocol_core::Codec>),
    ("ntex-mqtt", run::<ntex::Codec>),
];

/// Prints a line for each peer and case: those that it can do, once they are done; of others why not.
pub(crate) fn list() {
    for (peer, run) in PEERS {
        for (input, _) in INPUTS {
            for work in ["decode", "encode"] {
                let case = format!("{work}/{input}");
                // Of a large packet, only whether its payload is copied is of interest.
                if case == "decode/publish64k" {
                    continue;
                }
                match run(&case, 2_000) {
                    Ok(()) => println!("{peer} {case}"),
                    Err(error) => eprintln!("{peer} cannot {case}: {error}"),
                }
            }
        }
    }
}

/// A case of a peer so many times.
pub(crate) fn count(peer: &str, case: &str, n: u64) -> Result<()> {
    match PEERS.iter().find(|(name, _)| *name == peer) {
        Some((_, run)) => run(case, n),
        None => Err(format!("there is no peer {peer}").into()),
    }
}

fn run<C: Codec>(case: &str, n: u64) -> Result<()> {
    let unknown = || format!("there is no case {case}");
    let (work, name) = case.split_once('/').ok_or_else(unknown)?;
    let input = INPUTS.iter().find(|(input, _)| *input == name);
    let (_, packets) = input.ok_or_else(unknown)?;
    let packets = packets();
    let stream = wire(&packets);
    match work {
        "decode" => {
            let mut codec = C::new(&stream.repeat(CHUNK.div_ceil(packets.len())));
            for _ in 0..n {
                black_box(codec.decode()?);
            }
        }
        "encode" => {
            let mut codec = C::new(&stream);
            let decode = packets.iter().map(|_| codec.decode());
            let theirs = decode.collect::<Result<Vec<_>>>()?;
            let (mut next, mut length) = (0, 0);
            for _ in 0..n {
                length += codec.encode(black_box(&theirs[next]))?;
                next = (next + 1) % theirs.len();
            }
            // Whole rounds are as long as what was read, but for a reason code and an empty list of properties where none need be.
            let want = stream.len() * usize::try_from(n)? / packets.len();
            if next == 0 && length.abs_diff(want) > 2 * usize::try_from(n)? {
                return Err(format!("it writes {length} bytes, not {want}").into());
            }
        }
        _ => return Err(unknown().into()),
    }
    Ok(())
}

/// Bytes that are read over and over, a chunk at a time.
struct Stream {
    bytes: Vec<u8>,
    chunk: BytesMut,
}

impl Stream {
    fn new(bytes: &[u8]) -> Self {
        let mut chunk = BytesMut::from(bytes);
        // Shared memory, as a read chunk becomes with its first packet.
        drop(chunk.split_off(chunk.len()));
        let bytes = bytes.to_vec();
        Self { bytes, chunk }
    }

    fn chunk(&mut self) -> &mut BytesMut {
        if self.chunk.is_empty() {
            self.chunk.extend_from_slice(&self.bytes);
        }
        black_box(&mut self.chunk)
    }
}

/// Where packets gather that are encoded.
struct Out(BytesMut);

impl Out {
    fn new() -> Self {
        Self(BytesMut::with_capacity(32 * 1024))
    }

    /// Writes a packet, and gives its length.
    fn write<E: Debug>(
        &mut self,
        packet: impl FnOnce(&mut BytesMut) -> std::result::Result<(), E>,
    ) -> Result<usize> {
        let before = self.0.len();
        packet(black_box(&mut self.0)).map_err(debug)?;
        let length = self.0.len() - before;
        if self.0.len() >= 16 * 1024 {
            self.0.clear();
        }
        Ok(length)
    }
}

fn debug(error: impl Debug) -> String {
    format!("{error:?}")
}
