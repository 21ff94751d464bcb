//! The codec of rumqttc, in the loops in which ours is measured.

use std::hint::black_box;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, Publish};

use crate::Result;
use crate::null::{PAYLOAD, TOPIC};

/// Packets in a chunk that is decoded.
const CHUNK: usize = 4_000;

pub(crate) fn run(case: &str, n: u64) -> Result<()> {
    let publish = || {
        let mut publish = Publish::new(TOPIC, QoS::AtLeastOnce, vec![7; PAYLOAD], None);
        publish.pkid = 1_234;
        Packet::Publish(publish)
    };
    let puback = || Packet::PubAck(PubAck::new(1_234, None));
    match case {
        "decode/publish256-qos1" => decode(&publish(), n),
        "encode/publish256-qos1" => encode(&publish(), n),
        "decode/puback" => decode(&puback(), n),
        "encode/puback" => encode(&puback(), n),
        other => Err(format!("there is no case {other}").into()),
    }
}

fn wire(packet: &Packet, out: &mut BytesMut) -> Result<()> {
    packet
        .write(out, None)
        .map_err(|error| format!("{error:?}"))?;
    Ok(())
}

fn decode(packet: &Packet, n: u64) -> Result<()> {
    let mut stream = BytesMut::new();
    for _ in 0..CHUNK {
        wire(packet, &mut stream)?;
    }
    let mut chunk = stream.clone();
    // Shared memory, as a read chunk becomes with its first packet.
    drop(chunk.split_off(chunk.len()));
    for _ in 0..n {
        if chunk.is_empty() {
            chunk.extend_from_slice(&stream);
        }
        let packet = Packet::read(black_box(&mut chunk), None);
        black_box(packet.map_err(|error| format!("{error:?}"))?);
    }
    Ok(())
}

fn encode(packet: &Packet, n: u64) -> Result<()> {
    let mut out = BytesMut::with_capacity(32 * 1024);
    for _ in 0..n {
        wire(black_box(packet), black_box(&mut out))?;
        if out.len() >= 16 * 1024 {
            out.clear();
        }
    }
    Ok(())
}
