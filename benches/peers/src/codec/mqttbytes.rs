//! mqttbytes.

use mqttbytes::v5::{Packet, PingReq, PingResp, read};

use super::{Out, Stream, debug};
use crate::Result;

pub(super) struct Codec(Stream, Out);

impl super::Codec for Codec {
    type Packet = Packet;

    fn new(stream: &[u8]) -> Self {
        Self(Stream::new(stream), Out::new())
    }

    fn decode(&mut self) -> Result<Packet> {
        Ok(read(self.0.chunk(), usize::MAX).map_err(debug)?)
    }

    fn encode(&mut self, packet: &Packet) -> Result<usize> {
        self.1.write(|out| {
            match packet {
                Packet::Connect(packet) => packet.write(out),
                Packet::ConnAck(packet) => packet.write(out),
                Packet::Publish(packet) => packet.write(out),
                Packet::PubAck(packet) => packet.write(out),
                Packet::PubRec(packet) => packet.write(out),
                Packet::PubRel(packet) => packet.write(out),
                Packet::PubComp(packet) => packet.write(out),
                Packet::Subscribe(packet) => packet.write(out),
                Packet::SubAck(packet) => packet.write(out),
                Packet::Unsubscribe(packet) => packet.write(out),
                Packet::UnsubAck(packet) => packet.write(out),
                Packet::PingReq => PingReq.write(out),
                Packet::PingResp => PingResp.write(out),
                Packet::Disconnect(packet) => packet.write(out),
            }
            .map(drop)
        })
    }
}
