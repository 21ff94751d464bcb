//! The codec's cases: decoding from a read chunk, with the drop of the packet, and encoding into a reused buffer.
//!
//! The chunk holds [`CHUNK`] packets and is refilled when they are used up, so that up to so many runs measure decoding
//! alone. Its one allocation for sharing is made in the setup, as a driver makes it once for a connection.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::{
    Ack, Binary, Connect, ConnectProperties, Delivery, Disconnect, EncodeBuf, Filters, Limits,
    MqttString, Packet, PacketId, Publish, PublishProperties, Qos, ReasonCode, ReasonCodes, SubAck,
    SubAckProperties, Subscribe, SubscribeProperties, SubscriptionOptions, TopicFilter, TopicName,
    Will, WillProperties, decode,
};

use crate::{Case, Run};

/// Packets in a read chunk, at least.
pub const CHUNK: usize = 4_000;

/// Every case: each of the [`INPUTS`] is decoded and encoded, but for the largest.
pub const CASES: &[Case] = &[
    Case::new("decode/publish256-qos1", || decoding(&[publish(256)])),
    Case::new("encode/publish256-qos1", || encoding(vec![publish(256)])),
    Case::new("decode/publish256-5props", || {
        decoding(&[with_properties()])
    }),
    Case::new("encode/publish256-5props", || {
        encoding(vec![with_properties()])
    }),
    Case::new("decode/connect-will", || decoding(&[connect()])),
    Case::new("encode/connect-will", || encoding(vec![connect()])),
    Case::new("decode/subscribe10", || decoding(&[subscribe()])),
    Case::new("encode/subscribe10", || encoding(vec![subscribe()])),
    Case::new("decode/puback", || decoding(&[puback()])),
    Case::new("encode/puback", || encoding(vec![puback()])),
    Case::new("decode/mixed1000", || decoding(&mixed())),
    Case::new("encode/mixed1000", || encoding(mixed())),
    Case::new("encode/publish64k", || encoding(vec![publish(65_536)])),
    Case::new("floor/memcpy256", || copying(&[publish(256)])),
];

/// What is decoded and encoded: its name, and what makes it.
pub type Input = (&'static str, fn() -> Vec<Packet>);

/// Every input.
pub const INPUTS: &[Input] = &[
    ("publish256-qos1", || vec![publish(256)]),
    ("publish256-5props", || vec![with_properties()]),
    ("connect-will", || vec![connect()]),
    ("subscribe10", || vec![subscribe()]),
    ("puback", || vec![puback()]),
    ("mixed1000", mixed),
    ("publish64k", || vec![publish(65_536)]),
];

/// Decodes and drops one packet of these, in turn.
fn decoding(packets: &[Packet]) -> Run {
    let stream = wire(packets).repeat(CHUNK.div_ceil(packets.len()));
    let mut chunk = BytesMut::from(&stream[..]);
    // From now on the chunk is shared memory, which it stays.
    drop(chunk.split_off(chunk.len()));
    let limits = Limits::default();
    Box::new(move |n| {
        for _ in 0..n {
            if chunk.is_empty() {
                chunk.extend_from_slice(&stream);
            }
            let packet = decode(black_box(&mut chunk), &limits);
            assert!(
                matches!(black_box(&packet), Ok(Some(_))),
                "no packet: {packet:?}"
            );
        }
    })
}

/// Encodes one packet of these, in turn; what has gathered goes when it is 16 KiB.
fn encoding(packets: Vec<Packet>) -> Run {
    let mut out = EncodeBuf::new();
    let mut next = 0;
    Box::new(move |n| {
        for _ in 0..n {
            let packet = &packets[next];
            next = if next + 1 == packets.len() {
                0
            } else {
                next + 1
            };
            if let Err(error) = black_box(packet).encode(black_box(&mut out)) {
                panic!("{error}");
            }
            if out.len() >= 16 * 1024 {
                out.advance(out.len());
            }
        }
    })
}

/// Copies the packets' bytes: what no encoder can do without.
fn copying(packets: &[Packet]) -> Run {
    let bytes = wire(packets);
    let mut out = Vec::with_capacity(bytes.len());
    Box::new(move |n| {
        for _ in 0..n {
            out.clear();
            out.extend_from_slice(black_box(&bytes));
            black_box(&mut out);
        }
    })
}

/// Packets as bytes, one behind the other.
///
/// # Panics
/// When one is larger than a packet can be.
pub fn wire(packets: &[Packet]) -> Bytes {
    let mut out = EncodeBuf::new();
    for packet in packets {
        assert_eq!(packet.encode(&mut out), Ok(()));
    }
    out.into_bytes()
}

fn id() -> PacketId {
    PacketId::new(1_234).expect("not 0")
}

fn text(text: &str) -> MqttString {
    MqttString::try_from(text).expect("a string")
}

fn topic(topic: &str) -> TopicName {
    TopicName::new(topic).expect("a topic name")
}

/// QoS 1, to a topic of 24 bytes.
fn publish(payload: usize) -> Packet {
    let delivery = Delivery::AtLeastOnce {
        packet_id: id(),
        dup: false,
    };
    Packet::Publish(Publish {
        delivery,
        ..Publish::new(topic("factory/line1/press/temp"), vec![7; payload])
    })
}

fn five_properties() -> PublishProperties {
    let mut properties = PublishProperties::default();
    properties.set_message_expiry_interval(3_600);
    properties.set_content_type(&text("application/json"));
    properties.set_response_topic(&topic("factory/line1/replies"));
    properties.set_correlation_data(&Binary::try_from(&[9; 16][..]).expect("binary data"));
    properties.add_user_property(&text("trace-id"), &text("0af7651916cd43dd8448eb211c80319c"));
    properties
}

fn with_properties() -> Packet {
    match publish(256) {
        Packet::Publish(publish) => Packet::Publish(Publish {
            properties: five_properties(),
            ..publish
        }),
        other => other,
    }
}

fn connect() -> Packet {
    let mut properties = ConnectProperties::default();
    properties.set_session_expiry_interval(86_400);
    properties.set_receive_maximum(1_000.try_into().expect("not 0"));
    properties.add_user_property(&text("site"), &text("vienna"));
    let mut of_will = WillProperties::default();
    of_will.set_will_delay_interval(30);
    of_will.set_content_type(&text("text/plain"));
    let will = Will {
        topic: topic("factory/line1/press/state"),
        payload: Binary::try_from(&b"offline"[..]).expect("binary data"),
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: of_will,
    };
    let connect = Connect {
        client_id: text("press-1234567890"),
        clean_start: false,
        keep_alive: 60,
        properties,
        will: Some(will),
        user_name: Some(text("operator")),
        password: Some(Binary::try_from(&b"correct horse"[..]).expect("binary data")),
    };
    Packet::Connect(connect.into())
}

fn filters(count: usize) -> Filters {
    let filter =
        |n: usize| TopicFilter::new(format!("factory/line{n}/+/temperature/#")).expect("a filter");
    let options = SubscriptionOptions::new(Qos::AtLeastOnce);
    let mut filters = Filters::new(&filter(0), options).expect("not shared");
    for n in 1..count {
        filters.push(&filter(n), options).expect("not shared");
    }
    filters
}

fn subscribe() -> Packet {
    let properties = SubscribeProperties::default();
    Packet::Subscribe(Subscribe {
        packet_id: id(),
        properties,
        filters: filters(10),
    })
}

fn puback() -> Packet {
    Packet::PubAck(Ack::new(id()))
}

/// A thousand packets as a busy connection has them: half messages, four in ten acknowledgements, and the rest.
fn mixed() -> Vec<Packet> {
    let suback = || SubAck {
        packet_id: id(),
        properties: SubAckProperties::default(),
        codes: ReasonCodes::new(ReasonCode::GrantedQos1),
    };
    let each = |n: usize| match n % 20 {
        0..6 => publish(256),
        6..9 => Packet::Publish(Publish::new(topic("factory/line1/press/temp"), vec![7; 64])),
        9 => with_properties(),
        10..16 => puback(),
        16 => Packet::PubRec(Ack::new(id())),
        17 => Packet::PubComp(Ack::with_reason(id(), ReasonCode::PacketIdentifierNotFound)),
        18 => Packet::PingReq,
        _ => match n / 20 % 4 {
            0 => Packet::Subscribe(Subscribe {
                packet_id: id(),
                properties: SubscribeProperties::default(),
                filters: filters(1),
            }),
            1 => Packet::SubAck(suback()),
            2 => connect(),
            _ => Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)),
        },
    };
    (0..1_000).map(each).collect()
}
