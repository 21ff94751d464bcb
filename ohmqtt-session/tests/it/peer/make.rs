//! Values and packets in few words.

use core::time::Duration;

use ohmqtt_codec::*;
use ohmqtt_session::*;

/// When every test begins.
pub(crate) const START: Instant = Instant::from_unix_micros(1_800_000_000_000_000);

pub(crate) const QOS0: Qos = Qos::AtMostOnce;
pub(crate) const QOS1: Qos = Qos::AtLeastOnce;
pub(crate) const QOS2: Qos = Qos::ExactlyOnce;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

pub(crate) fn text(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub(crate) fn filter(filter: &str) -> TopicFilter {
    TopicFilter::new(filter).unwrap()
}

/// A message on the topic `t`.
pub(crate) fn message(qos: Qos, payload: &str) -> Message {
    let mut message = Message::new(topic("t"), payload.to_owned());
    message.qos = qos;
    message
}

pub(crate) fn payload(message: &Message) -> &str {
    str::from_utf8(&message.payload).unwrap()
}

pub(crate) fn ticket(n: u64) -> PublishOptions {
    PublishOptions {
        ticket: Ticket(n),
        ..PublishOptions::default()
    }
}

pub(crate) fn delivery(qos: Qos, n: u16) -> Delivery {
    match qos {
        Qos::AtMostOnce => Delivery::AtMostOnce,
        Qos::AtLeastOnce => Delivery::AtLeastOnce {
            packet_id: id(n),
            dup: false,
        },
        Qos::ExactlyOnce => Delivery::ExactlyOnce {
            packet_id: id(n),
            dup: false,
        },
    }
}

/// A PUBLISH on the topic `t`, with the identifier `n` where it has one.
pub(crate) fn publish(qos: Qos, n: u16, payload: &str) -> Packet {
    Packet::Publish(message(qos, payload).to_publish(delivery(qos, n)))
}

/// The same PUBLISH with DUP.
pub(crate) fn again(packet: Packet) -> Packet {
    match packet {
        Packet::Publish(mut publish) => {
            publish.delivery = publish.delivery.with_dup(true);
            Packet::Publish(publish)
        }
        other => other,
    }
}

pub(crate) fn puback(n: u16) -> Packet {
    Packet::PubAck(Ack::new(id(n)))
}

pub(crate) fn pubrec(n: u16) -> Packet {
    Packet::PubRec(Ack::new(id(n)))
}

pub(crate) fn pubrel(n: u16) -> Packet {
    Packet::PubRel(Ack::new(id(n)))
}

pub(crate) fn pubcomp(n: u16) -> Packet {
    Packet::PubComp(Ack::new(id(n)))
}

/// The same acknowledgement with this reason.
pub(crate) fn because(packet: Packet, reason: ReasonCode) -> Packet {
    let with = |ack: Ack| Ack::with_reason(ack.packet_id, reason);
    match packet {
        Packet::PubAck(ack) => Packet::PubAck(with(ack)),
        Packet::PubRec(ack) => Packet::PubRec(with(ack)),
        Packet::PubRel(ack) => Packet::PubRel(with(ack)),
        Packet::PubComp(ack) => Packet::PubComp(with(ack)),
        other => other,
    }
}

pub(crate) fn subscribe(n: u16, filters: &[&str]) -> Packet {
    let filters = self::filters(filters);
    Packet::Subscribe(Subscribe {
        packet_id: id(n),
        properties: SubscribeProperties::default(),
        filters,
    })
}

pub(crate) fn unsubscribe(n: u16, filters: &[&str]) -> Packet {
    let filters = unsubscribe_filters(filters);
    Packet::Unsubscribe(Unsubscribe {
        packet_id: id(n),
        properties: UnsubscribeProperties::default(),
        filters,
    })
}

pub(crate) fn filters(names: &[&str]) -> Filters {
    let options = SubscriptionOptions::new(QOS2);
    let mut filters = Filters::new(&filter(names[0]), options).unwrap();
    for name in &names[1..] {
        filters.push(&filter(name), options).unwrap();
    }
    filters
}

pub(crate) fn unsubscribe_filters(names: &[&str]) -> UnsubscribeFilters {
    let mut filters = UnsubscribeFilters::new(&filter(names[0]));
    names[1..]
        .iter()
        .for_each(|name| filters.push(&filter(name)));
    filters
}

fn codes(n: u16, codes: &[ReasonCode]) -> SubAck {
    SubAck {
        packet_id: id(n),
        properties: SubAckProperties::default(),
        codes: ReasonCodes::from_iter_nonempty(codes.iter().copied()).unwrap(),
    }
}

pub(crate) fn suback(n: u16, reasons: &[ReasonCode]) -> Packet {
    Packet::SubAck(codes(n, reasons))
}

pub(crate) fn unsuback(n: u16, reasons: &[ReasonCode]) -> Packet {
    Packet::UnsubAck(codes(n, reasons))
}

/// A CONNECT of the client `c`: clean start, Keep Alive 60.
pub(crate) fn connect() -> Connect {
    let mut connect = ClientConfig::new(text("c")).connect;
    // A session that outlives its connections is one to be stored.
    connect.properties.set_session_expiry_interval(u32::MAX);
    connect
}

/// A CONNACK with Success.
pub(crate) fn connack(session_present: bool) -> ConnAck {
    ConnAck {
        session_present,
        reason: ReasonCode::Success,
        properties: ConnAckProperties::default(),
    }
}

pub(crate) fn disconnect(reason: ReasonCode) -> Packet {
    Packet::Disconnect(Disconnect::new(reason))
}

pub(crate) fn auth() -> Packet {
    let mut properties = AuthProperties::default();
    properties.set_authentication(&text("method"), None);
    Packet::Auth(Auth {
        reason: ReasonCode::ContinueAuthentication,
        properties,
    })
}

/// One packet of each of the fifteen types.
pub(crate) fn each_packet() -> Vec<Packet> {
    vec![
        Packet::Connect(connect().into()),
        Packet::ConnAck(connack(false).into()),
        publish(QOS0, 0, "x"),
        puback(1),
        pubrec(1),
        pubrel(1),
        pubcomp(1),
        subscribe(1, &["t"]),
        suback(1, &[ReasonCode::Success]),
        unsubscribe(1, &["t"]),
        unsuback(1, &[ReasonCode::Success]),
        Packet::PingReq,
        Packet::PingResp,
        disconnect(ReasonCode::NORMAL_DISCONNECTION),
        auth(),
    ]
}

/// What becomes of a packet on its way through bytes.
pub(crate) fn over_the_wire(packet: &Packet) -> Packet {
    let mut out = EncodeBuf::new();
    packet.encode(&mut out).unwrap();
    let mut bytes = bytes::BytesMut::from(&out.into_bytes()[..]);
    let decoded = decode(&mut bytes, &Limits::default()).unwrap().unwrap();
    assert!(bytes.is_empty());
    decoded
}

/// The error of bytes that are no packet.
pub(crate) fn malformed(bytes: &[u8]) -> DecodeError {
    decode(&mut bytes::BytesMut::from(bytes), &Limits::default()).unwrap_err()
}

/// A subscription to everything at QoS 2, as published and also what the client publishes itself.
pub(crate) const EVERYTHING: Subscription = Subscription {
    options: SubscriptionOptions {
        qos: Qos::ExactlyOnce,
        no_local: false,
        retain_as_published: true,
        retain_handling: RetainHandling::SendAtSubscribe,
    },
    identifier: None,
};
