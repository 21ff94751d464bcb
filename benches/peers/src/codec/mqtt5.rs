//! mqtt5-protocol, the codec of mqtt5.

use bytes::BytesMut;
use mqtt5_protocol::packet::pingreq::PingReqPacket;
use mqtt5_protocol::packet::pingresp::PingRespPacket;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, Packet};

use super::{Out, Stream, debug};
use crate::Result;

pub(super) struct Codec(Stream, Out);

impl super::Codec for Codec {
    type Packet = Packet;

    fn new(stream: &[u8]) -> Self {
        Self(Stream::new(stream), Out::new())
    }

    fn decode(&mut self) -> Result<Packet> {
        Ok(decode(self.0.chunk()).map_err(debug)?)
    }

    fn encode(&mut self, packet: &Packet) -> Result<usize> {
        self.1.write(|out| match packet {
            Packet::Connect(packet) => packet.encode(out),
            Packet::ConnAck(packet) => packet.encode(out),
            Packet::Publish(packet) => packet.encode(out),
            Packet::PubAck(packet) => packet.encode(out),
            Packet::PubRec(packet) => packet.encode(out),
            Packet::PubRel(packet) => packet.encode(out),
            Packet::PubComp(packet) => packet.encode(out),
            Packet::Subscribe(packet) => packet.encode(out),
            Packet::SubAck(packet) => packet.encode(out),
            Packet::Unsubscribe(packet) => packet.encode(out),
            Packet::UnsubAck(packet) => packet.encode(out),
            Packet::PingReq => PingReqPacket::default().encode(out),
            Packet::PingResp => PingRespPacket::default().encode(out),
            Packet::Disconnect(packet) => packet.encode(out),
            Packet::Auth(packet) => packet.encode(out),
        })
    }
}

fn decode(chunk: &mut BytesMut) -> mqtt5_protocol::error::Result<Packet> {
    let header = FixedHeader::decode(chunk)?;
    let mut body = chunk.split_to(header.remaining_length as usize).freeze();
    Packet::decode_from_body(header.packet_type, &header, &mut body)
}
