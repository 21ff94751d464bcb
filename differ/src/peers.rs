//! Codecs in Rust: what they have decoded they encode again, and we read that. So what we read of theirs is tried as well.

use std::fmt::Debug;
use std::panic::catch_unwind;

use bytes::BytesMut;
use mqtt5_protocol::packet::pingreq::PingReqPacket;
use mqtt5_protocol::packet::pingresp::PingRespPacket;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, Packet as Mqtt5};
use rumqttc::v5::mqttbytes::v5::Packet as Rumqttc;

use crate::fields::Fields;
use crate::{Reading, decode};

/// Decodes a packet, and encodes it again.
type Again = fn(&[u8]) -> Result<BytesMut, String>;

pub(crate) const PEERS: [(&str, Again); 2] = [("rumqttc", rumqttc), ("mqtt5-protocol", mqtt5)];

/// What a packet says when it has been through a codec.
pub(crate) fn reading(frame: &[u8], again: Again) -> Reading {
    let Ok(bytes) = catch_unwind(|| again(frame)) else {
        return Err("panics".to_owned());
    };
    match decode(&bytes?) {
        Ok(packet) => Ok(Fields::of(&packet)),
        Err(error) => Err(format!("encodes what we refuse: {error}")),
    }
}

fn rumqttc(frame: &[u8]) -> Result<BytesMut, String> {
    let packet = Rumqttc::read(&mut BytesMut::from(frame), None).map_err(refusal)?;
    let mut out = BytesMut::new();
    packet.write(&mut out, None).map_err(inability)?;
    Ok(out)
}

fn mqtt5(frame: &[u8]) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::from(frame);
    let header = FixedHeader::decode(&mut bytes).map_err(refusal)?;
    let mut body = bytes.freeze();
    let packet = Mqtt5::decode_from_body(header.packet_type, &header, &mut body);
    let mut out = BytesMut::new();
    let result = match &packet.map_err(refusal)? {
        Mqtt5::Connect(packet) => packet.encode(&mut out),
        Mqtt5::ConnAck(packet) => packet.encode(&mut out),
        Mqtt5::Publish(packet) => packet.encode(&mut out),
        Mqtt5::PubAck(packet) => packet.encode(&mut out),
        Mqtt5::PubRec(packet) => packet.encode(&mut out),
        Mqtt5::PubRel(packet) => packet.encode(&mut out),
        Mqtt5::PubComp(packet) => packet.encode(&mut out),
        Mqtt5::Subscribe(packet) => packet.encode(&mut out),
        Mqtt5::SubAck(packet) => packet.encode(&mut out),
        Mqtt5::Unsubscribe(packet) => packet.encode(&mut out),
        Mqtt5::UnsubAck(packet) => packet.encode(&mut out),
        Mqtt5::PingReq => PingReqPacket::default().encode(&mut out),
        Mqtt5::PingResp => PingRespPacket::default().encode(&mut out),
        Mqtt5::Disconnect(packet) => packet.encode(&mut out),
        Mqtt5::Auth(packet) => packet.encode(&mut out),
    };
    result.map_err(inability)?;
    Ok(out)
}

fn refusal(error: impl Debug) -> String {
    format!("refuses it: {error:?}")
}

fn inability(error: impl Debug) -> String {
    format!("cannot encode it: {error:?}")
}
