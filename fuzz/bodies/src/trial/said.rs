//! What a peer of no good will may say.

use core::num::{NonZeroU16, NonZeroU32};

use arbitrary::Arbitrary;
use ohmqtt_codec::{
    Ack, Auth, AuthProperties, ConnAck, ConnAckProperties, Delivery, Disconnect, Filters,
    MqttString, Packet, PacketId, PacketType, Publish, PublishTopic, Qos, ReasonCode, ReasonCodes,
    SubAck, SubAckProperties, Subscribe, SubscribeProperties, SubscriptionOptions, TopicAlias,
    TopicFilter, TopicName, Unsubscribe, UnsubscribeFilters, UnsubscribeProperties,
};
use ohmqtt_session::ClientConfig;

/// What the two packets may say that begin a connection.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Greeting {
    /// Clean Start, or no Session Present.
    anew: bool,
    reason: u8,
    receive_maximum: u8,
    packet_size: u8,
    aliases: u8,
    qos: u8,
    keep_alive: u8,
    method: bool,
}

impl Greeting {
    fn connack(&self) -> Packet {
        let reason = code(self.reason, PacketType::ConnAck);
        let mut properties = ConnAckProperties::default();
        if let Some(maximum) = NonZeroU16::new(self.receive_maximum.into()) {
            properties.set_receive_maximum(maximum);
        }
        if let Some(size) = NonZeroU32::new(self.packet_size.into()) {
            properties.set_maximum_packet_size(size);
        }
        properties.set_topic_alias_maximum(u16::from(self.aliases % 4));
        match self.qos % 4 {
            0 => properties.set_maximum_qos(Qos::AtMostOnce),
            1 => properties.set_maximum_qos(Qos::AtLeastOnce),
            _ => {}
        }
        if self.keep_alive > 0 {
            properties.set_server_keep_alive(self.keep_alive.into());
        }
        Packet::ConnAck(Box::new(ConnAck {
            session_present: !self.anew && !reason.is_error(),
            reason,
            properties,
        }))
    }

    fn connect(&self) -> Packet {
        let mut connect = ClientConfig::new(text("c")).connect;
        connect.clean_start = self.anew;
        connect.keep_alive = self.keep_alive.into();
        let properties = &mut connect.properties;
        properties.set_session_expiry_interval(u32::MAX);
        if let Some(maximum) = NonZeroU16::new(self.receive_maximum.into()) {
            properties.set_receive_maximum(maximum);
        }
        if let Some(size) = NonZeroU32::new(self.packet_size.into()) {
            properties.set_maximum_packet_size(size);
        }
        properties.set_topic_alias_maximum(u16::from(self.aliases % 4));
        if self.method {
            properties.set_authentication(&text("method"), None);
        }
        Packet::Connect(Box::new(connect))
    }
}

/// A packet that the codec lets pass.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Said {
    Publish {
        qos: u8,
        id: u8,
        dup: bool,
        retain: bool,
        alias: u8,
        named: bool,
    },
    Ack {
        kind: u8,
        id: u8,
        reason: u8,
    },
    SubAck {
        id: u8,
        of_unsubscribe: bool,
        codes: u8,
    },
    ConnAck(Greeting),
    Connect(Greeting),
    Subscribe {
        id: u8,
        shared: bool,
    },
    Unsubscribe {
        id: u8,
    },
    Ping {
        answer: bool,
    },
    Disconnect {
        reason: u8,
    },
    Auth {
        reason: u8,
        method: bool,
    },
}

impl Said {
    pub(crate) fn packet(&self) -> Packet {
        match *self {
            Self::Publish {
                qos,
                id,
                dup,
                retain,
                alias,
                named,
            } => publish(delivery(qos, id, dup), retain, alias % 4, named),
            Self::Ack {
                kind,
                id: n,
                reason,
            } => ack(kind, id(n), reason),
            Self::SubAck {
                id: n,
                of_unsubscribe,
                codes,
            } => suback(id(n), of_unsubscribe, codes),
            Self::ConnAck(ref greeting) => greeting.connack(),
            Self::Connect(ref greeting) => greeting.connect(),
            Self::Subscribe { id: n, shared } => {
                let filter = filter(if shared { "$share/g/t" } else { "t" });
                let options = SubscriptionOptions::new(Qos::ExactlyOnce);
                Packet::Subscribe(Subscribe {
                    packet_id: id(n),
                    properties: SubscribeProperties::default(),
                    filters: Filters::new(&filter, options).expect("lawful options"),
                })
            }
            Self::Unsubscribe { id: n } => Packet::Unsubscribe(Unsubscribe {
                packet_id: id(n),
                properties: UnsubscribeProperties::default(),
                filters: UnsubscribeFilters::new(&filter("t")),
            }),
            Self::Ping { answer: false } => Packet::PingReq,
            Self::Ping { answer: true } => Packet::PingResp,
            Self::Disconnect { reason } => {
                Packet::Disconnect(Disconnect::new(code(reason, PacketType::Disconnect)))
            }
            Self::Auth { reason, method } => {
                let mut properties = AuthProperties::default();
                let name = if method { "method" } else { "other" };
                properties.set_authentication(&text(name), None);
                let reason = code(reason, PacketType::Auth);
                Packet::Auth(Auth { reason, properties })
            }
        }
    }
}

fn publish(delivery: Delivery, retain: bool, alias: u8, named: bool) -> Packet {
    let mut publish = Publish::new(topic("t"), "said");
    publish.delivery = delivery;
    publish.retain = retain;
    if let Some(alias) = TopicAlias::new(alias.into()) {
        publish.properties.set_topic_alias(alias);
        if !named {
            publish.topic = PublishTopic::Alias(alias);
        }
    }
    Packet::Publish(publish)
}

fn suback(packet_id: PacketId, of_unsubscribe: bool, codes: u8) -> Packet {
    let codes = (0..=codes % 3).map(|_| ReasonCode::Success);
    let answer = SubAck {
        packet_id,
        properties: SubAckProperties::default(),
        codes: ReasonCodes::from_iter_nonempty(codes).expect("one at least"),
    };
    if of_unsubscribe {
        Packet::UnsubAck(answer)
    } else {
        Packet::SubAck(answer)
    }
}

fn ack(kind: u8, packet_id: PacketId, reason: u8) -> Packet {
    let with = |kind| Ack::with_reason(packet_id, code(reason, kind));
    match kind % 4 {
        0 => Packet::PubAck(with(PacketType::PubAck)),
        1 => Packet::PubRec(with(PacketType::PubRec)),
        2 => Packet::PubRel(with(PacketType::PubRel)),
        _ => Packet::PubComp(with(PacketType::PubComp)),
    }
}

/// The reason code of this number, where such a packet may have it.
fn code(number: u8, packet: PacketType) -> ReasonCode {
    let asked = ReasonCode::try_from(number);
    let asked = asked.ok().filter(|reason| reason.allowed_in(packet));
    let usual = [ReasonCode::Success, ReasonCode::ContinueAuthentication];
    let usual = usual.into_iter().find(|reason| reason.allowed_in(packet));
    asked.or(usual).unwrap_or(ReasonCode::NORMAL_DISCONNECTION)
}

pub(super) fn qos(n: u8) -> Qos {
    [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(n % 3)]
}

fn delivery(n: u8, packet_id: u8, dup: bool) -> Delivery {
    let packet_id = id(packet_id);
    match qos(n) {
        Qos::AtMostOnce => Delivery::AtMostOnce,
        Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    }
}

/// One of five, as a session's own begin with 1 too.
fn id(n: u8) -> PacketId {
    PacketId::new(u16::from(n % 5) + 1).expect("above 0")
}

pub(super) fn text(text: &str) -> MqttString {
    MqttString::try_from(text).expect("a text")
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a topic")
}

pub(super) fn filter(filter: &str) -> TopicFilter {
    TopicFilter::new(filter).expect("a filter")
}
