//! Any packet: strategies over everything the types allow.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// A change to a set of properties.
struct Change<T>(Arc<dyn Fn(&mut T)>);

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("change")
    }
}

fn changed<T>(changes: Vec<BoxedStrategy<Change<T>>>) -> impl Strategy<Value = T>
where
    T: Default + fmt::Debug + 'static,
{
    vec(Union::new(changes), 0..8).prop_map(|changes| {
        let mut properties = T::default();
        for change in changes {
            (change.0)(&mut properties);
        }
        properties
    })
}

/// One strategy for changes by each `setter: values`.
macro_rules! properties {
    ($name:ident $ty:ty { $($setter:ident: $values:expr;)* }) => {
        pub(crate) fn $name() -> impl Strategy<Value = $ty> {
            changed::<$ty>(vec![
                (text(), text())
                    .prop_map(|(name, value)| {
                        Change(Arc::new(move |it: &mut $ty| it.add_user_property(&name, &value)) as Arc<dyn Fn(&mut $ty)>)
                    })
                    .boxed(),
                $($values
                    .prop_map(|value| {
                        Change(Arc::new(move |it: &mut $ty| it.$setter(value.borrow_it())) as Arc<dyn Fn(&mut $ty)>)
                    })
                    .boxed(),)*
            ])
        }
    };
}

/// Setters take numbers by value and text by reference.
trait BorrowIt {
    type As<'a>
    where
        Self: 'a;
    fn borrow_it(&self) -> Self::As<'_>;
}

macro_rules! by_value {
    ($($ty:ty)*) => {$(impl BorrowIt for $ty {
        type As<'a> = $ty;
        fn borrow_it(&self) -> $ty { *self }
    })*};
}
macro_rules! by_reference {
    ($($ty:ty)*) => {$(impl BorrowIt for $ty {
        type As<'a> = &'a $ty;
        fn borrow_it(&self) -> &$ty { self }
    })*};
}
by_value! { bool u16 u32 NonZeroU16 NonZeroU32 Qos TopicAlias SubscriptionId }
by_reference! { MqttString TopicName Binary }

properties! { connect_properties ConnectProperties {
    set_session_expiry_interval: any::<u32>();
    set_receive_maximum: any::<NonZeroU16>();
    set_maximum_packet_size: any::<NonZeroU32>();
    set_topic_alias_maximum: any::<u16>();
    set_request_response_information: any::<bool>();
    set_request_problem_information: any::<bool>();
} }
properties! { will_properties WillProperties {
    set_will_delay_interval: any::<u32>();
    set_payload_format_indicator: any::<bool>();
    set_message_expiry_interval: any::<u32>();
    set_content_type: text();
    set_response_topic: topic_name();
    set_correlation_data: binary();
} }
properties! { connack_properties ConnAckProperties {
    set_session_expiry_interval: any::<u32>();
    set_receive_maximum: any::<NonZeroU16>();
    set_maximum_qos: qos();
    set_retain_available: any::<bool>();
    set_maximum_packet_size: any::<NonZeroU32>();
    set_assigned_client_identifier: text();
    set_topic_alias_maximum: any::<u16>();
    set_reason_string: text();
    set_wildcard_subscription_available: any::<bool>();
    set_subscription_identifier_available: any::<bool>();
    set_shared_subscription_available: any::<bool>();
    set_server_keep_alive: any::<u16>();
    set_response_information: text();
    set_server_reference: text();
} }
properties! { publish_properties PublishProperties {
    set_payload_format_indicator: any::<bool>();
    set_message_expiry_interval: any::<u32>();
    set_topic_alias: topic_alias();
    set_response_topic: topic_name();
    set_correlation_data: binary();
    add_subscription_identifier: subscription_id();
    set_content_type: text();
} }
properties! { ack_properties AckProperties { set_reason_string: text(); } }
properties! { subscribe_properties SubscribeProperties { set_subscription_identifier: subscription_id(); } }
properties! { suback_properties SubAckProperties { set_reason_string: text(); } }
properties! { unsubscribe_properties UnsubscribeProperties {} }
properties! { disconnect_properties DisconnectProperties {
    set_session_expiry_interval: any::<u32>();
    set_reason_string: text();
    set_server_reference: text();
} }
properties! { auth_properties AuthProperties { set_reason_string: text(); } }

pub(crate) fn text() -> impl Strategy<Value = MqttString> {
    prop_oneof![
        4 => "[ -~]{0,30}".boxed(),
        1 => vec(any::<char>().prop_filter("U+0000", |c| *c != '\0'), 0..20)
            .prop_map(String::from_iter).boxed(),
    ]
    .prop_map(|text| MqttString::try_from(text).unwrap())
}

pub(crate) fn topic_name() -> impl Strategy<Value = TopicName> {
    prop_oneof![
        4 => "[a-z0-9/ $]{1,30}".boxed(),
        1 => vec(any::<char>().prop_filter("no topic", |c| !"\0+#".contains(*c)), 1..20)
            .prop_map(String::from_iter).boxed(),
    ]
    .prop_map(|text| TopicName::try_from(text).unwrap())
}

pub(crate) fn topic_filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![2 => "[a-zé$]{0,4}", 1 => Just("+".to_owned())];
    (vec(level, 1..5), any::<bool>(), option::of("[a-zé]{1,5}")).prop_filter_map(
        "empty filter",
        |(levels, hash, share)| {
            let mut filter = levels.join("/");
            if hash {
                filter += "/#";
            }
            if let Some(share) = share {
                filter = format!("$share/{share}/{filter}");
            }
            TopicFilter::try_from(filter).ok()
        },
    )
}

pub(crate) fn binary() -> impl Strategy<Value = Binary> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| Binary::try_from(bytes).unwrap())
}

fn qos() -> impl Strategy<Value = Qos> {
    select(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][..])
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn topic_alias() -> impl Strategy<Value = TopicAlias> {
    (1..=u16::MAX).prop_map(|alias| TopicAlias::new(alias).unwrap())
}

fn subscription_id() -> impl Strategy<Value = SubscriptionId> {
    prop_oneof![1..=268_435_455u32, 1..=200u32].prop_map(|id| SubscriptionId::new(id).unwrap())
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..300),
        1 => vec(any::<u8>(), 4_000..5_000),
    ]
    .prop_map(Bytes::from)
}

/// A reason code this packet may carry.
fn reason(packet: PacketType) -> impl Strategy<Value = ReasonCode> {
    let allowed = ReasonCode::ALL
        .iter()
        .copied()
        .filter(|reason| reason.allowed_in(packet));
    select(allowed.collect::<Vec<_>>())
}

fn authentication() -> impl Strategy<Value = Option<(MqttString, Option<Binary>)>> {
    option::of((text(), option::of(binary())))
}

fn connect() -> impl Strategy<Value = Packet> {
    let will = (
        topic_name(),
        binary(),
        qos(),
        any::<bool>(),
        will_properties(),
    )
        .prop_map(|(topic, payload, qos, retain, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            properties,
        });
    let header = (
        text(),
        any::<bool>(),
        any::<u16>(),
        connect_properties(),
        authentication(),
    );
    (
        header,
        option::of(will),
        option::of(text()),
        option::of(binary()),
    )
        .prop_map(
            |(
                (client_id, clean_start, keep_alive, mut properties, method),
                will,
                user_name,
                password,
            )| {
                if let Some((method, data)) = method {
                    properties.set_authentication(&method, data.as_ref());
                }
                let connect = Connect {
                    client_id,
                    clean_start,
                    keep_alive,
                    properties,
                    will,
                    user_name,
                    password,
                };
                Packet::Connect(connect.into())
            },
        )
}

fn connack() -> impl Strategy<Value = Packet> {
    (
        any::<bool>(),
        reason(PacketType::ConnAck),
        connack_properties(),
        authentication(),
    )
        .prop_map(|(present, reason, mut properties, method)| {
            if let Some((method, data)) = method {
                properties.set_authentication(&method, data.as_ref());
            }
            let session_present = present && reason == ReasonCode::Success;
            Packet::ConnAck(
                ConnAck {
                    session_present,
                    reason,
                    properties,
                }
                .into(),
            )
        })
}

pub(crate) fn publish() -> impl Strategy<Value = Publish> {
    let topic = prop_oneof![
        4 => topic_name().prop_map(PublishTopic::Name),
        1 => topic_alias().prop_map(PublishTopic::Alias),
    ];
    let delivery =
        (qos(), packet_id(), any::<bool>()).prop_map(|(qos, packet_id, dup)| match qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        });
    (
        topic,
        delivery,
        any::<bool>(),
        publish_properties(),
        payload(),
    )
        .prop_map(|(topic, delivery, retain, mut properties, payload)| {
            // As decoding leaves it.
            if let PublishTopic::Alias(alias) = topic {
                properties.set_topic_alias(alias);
            }
            Publish {
                topic,
                delivery,
                retain,
                properties,
                payload,
            }
        })
}

fn ack(packet: PacketType, make: fn(Ack) -> Packet) -> impl Strategy<Value = Packet> {
    (packet_id(), reason(packet), ack_properties()).prop_map(
        move |(packet_id, reason, properties)| {
            make(Ack {
                packet_id,
                reason,
                properties,
            })
        },
    )
}

fn subscribe() -> impl Strategy<Value = Packet> {
    let retain_handling = select(
        &[
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ][..],
    );
    let options = (qos(), any::<bool>(), any::<bool>(), retain_handling).prop_map(
        |(qos, no_local, retain_as_published, retain_handling)| SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    );
    let entry = (topic_filter(), options).prop_map(|(filter, options)| {
        let no_local = options.no_local && !filter.is_shared();
        (
            filter,
            SubscriptionOptions {
                no_local,
                ..options
            },
        )
    });
    (packet_id(), subscribe_properties(), vec(entry, 1..12)).prop_map(
        |(packet_id, properties, entries)| {
            let mut filters = Filters::new(&entries[0].0, entries[0].1).unwrap();
            for (filter, options) in &entries[1..] {
                filters.push(filter, *options).unwrap();
            }
            assert_eq!(filters.iter().collect::<Vec<_>>(), entries);
            Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                filters,
            })
        },
    )
}

fn unsubscribe() -> impl Strategy<Value = Packet> {
    (
        packet_id(),
        unsubscribe_properties(),
        vec(topic_filter(), 1..12),
    )
        .prop_map(|(packet_id, properties, entries)| {
            let mut filters = UnsubscribeFilters::new(&entries[0]);
            for filter in &entries[1..] {
                filters.push(filter);
            }
            assert_eq!(filters.iter().collect::<Vec<_>>(), entries);
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters,
            })
        })
}

fn suback(packet: PacketType, make: fn(SubAck) -> Packet) -> impl Strategy<Value = Packet> {
    (packet_id(), suback_properties(), vec(reason(packet), 1..12)).prop_map(
        move |(packet_id, properties, codes)| {
            let codes = ReasonCodes::from_iter_nonempty(codes).unwrap();
            make(SubAck {
                packet_id,
                properties,
                codes,
            })
        },
    )
}

fn disconnect() -> impl Strategy<Value = Packet> {
    (reason(PacketType::Disconnect), disconnect_properties())
        .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties }))
}

fn auth() -> impl Strategy<Value = Packet> {
    let method = (text(), option::of(binary()));
    let full = (reason(PacketType::Auth), auth_properties(), method).prop_map(
        |(reason, mut properties, (method, data))| {
            properties.set_authentication(&method, data.as_ref());
            Packet::Auth(Auth { reason, properties })
        },
    );
    let empty = Auth {
        reason: ReasonCode::Success,
        properties: AuthProperties::default(),
    };
    prop_oneof![9 => full, 1 => Just(Packet::Auth(empty))]
}

/// A strategy for each of the fifteen packets.
pub(crate) fn each_packet() -> Vec<BoxedStrategy<Packet>> {
    vec![
        connect().boxed(),
        connack().boxed(),
        publish().prop_map(Packet::Publish).boxed(),
        ack(PacketType::PubAck, Packet::PubAck).boxed(),
        ack(PacketType::PubRec, Packet::PubRec).boxed(),
        ack(PacketType::PubRel, Packet::PubRel).boxed(),
        ack(PacketType::PubComp, Packet::PubComp).boxed(),
        subscribe().boxed(),
        suback(PacketType::SubAck, Packet::SubAck).boxed(),
        unsubscribe().boxed(),
        suback(PacketType::UnsubAck, Packet::UnsubAck).boxed(),
        Just(Packet::PingReq).boxed(),
        Just(Packet::PingResp).boxed(),
        disconnect().boxed(),
        auth().boxed(),
    ]
}

pub(crate) fn any_packet() -> impl Strategy<Value = Packet> {
    Union::new(each_packet())
}
