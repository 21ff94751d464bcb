//! Two servers: one in memory that acknowledges everything at once, and none.

use std::future::Future;
use std::pin::Pin;

use bytes::BytesMut;
use ohmqtt_client::{Connect, Endpoint, Transport, TransportError};
use ohmqtt_codec::{
    Ack, ConnAck, ConnAckProperties, Delivery, EncodeBuf, Limits, Packet, ReasonCode, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, TransportError>> + Send + 'a>>;

/// How much may be under way between the two.
const PIPE: usize = 256 * 1024;

/// Connects to a server in this process.
#[derive(Debug)]
pub struct Acking;

impl Connect for Acking {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> Connecting<'a> {
        let (near, far) = tokio::io::duplex(PIPE);
        tokio::spawn(async move {
            if let Err(error) = serve(far).await {
                eprintln!("the server in memory: {error}");
            }
        });
        Box::pin(async { Ok(Box::new(near) as Box<dyn Transport>) })
    }
}

/// Finds nobody, ever.
#[derive(Debug)]
pub struct Nowhere;

impl Connect for Nowhere {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> Connecting<'a> {
        Box::pin(std::future::pending())
    }
}

async fn serve(mut stream: DuplexStream) -> super::Result<()> {
    let mut read = BytesMut::new();
    let mut write = EncodeBuf::new();
    let limits = Limits::default();
    while stream.read_buf(&mut read).await? > 0 {
        while let Some(packet) = decode(&mut read, &limits)? {
            if let Some(answer) = answer(packet) {
                answer.encode(&mut write)?;
            }
        }
        for piece in write.slices() {
            stream.write_all(piece).await?;
        }
        write.clear();
    }
    Ok(())
}

fn answer(packet: Packet) -> Option<Packet> {
    match packet {
        Packet::Connect(connect) => Some(Packet::ConnAck(Box::new(ConnAck {
            session_present: !connect.clean_start,
            reason: ReasonCode::Success,
            properties: ConnAckProperties::default(),
        }))),
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } => Some(Packet::PubAck(Ack::new(packet_id))),
            Delivery::ExactlyOnce { packet_id, .. } => Some(Packet::PubRec(Ack::new(packet_id))),
        },
        Packet::PubRel(ack) => Some(Packet::PubComp(Ack::new(ack.packet_id))),
        Packet::PingReq => Some(Packet::PingResp),
        _ => None,
    }
}
