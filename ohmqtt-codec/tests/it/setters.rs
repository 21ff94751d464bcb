//! Setting and reading: packets in their shortest form, and each property's three methods.

use std::num::{NonZeroU16, NonZeroU32};

use ohmqtt_codec::*;

use crate::wire::{hex, same};

fn text(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

/// [MQTT-2.2.2-1], [MQTT-1.5.5-1]
#[test]
fn optional_parts_are_left_out_where_they_may_be() {
    let plain = Ack::new(id(1));
    same("40 02 0001", &Packet::PubAck(plain.clone()));
    same("50 02 0001", &Packet::PubRec(plain.clone()));
    same("62 02 0001", &Packet::PubRel(plain.clone()));
    same("70 02 0001", &Packet::PubComp(plain.clone()));
    let failed = Ack::with_reason(id(0x0102), ReasonCode::NotAuthorized);
    same("40 03 0102 87", &Packet::PubAck(failed));
    same(
        "E0 00",
        &Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)),
    );
    same(
        "E0 01 8B",
        &Packet::Disconnect(Disconnect::new(ReasonCode::ServerShuttingDown)),
    );
    same(
        "F0 00",
        &Packet::Auth(Auth {
            reason: ReasonCode::Success,
            properties: AuthProperties::default(),
        }),
    );
    same("C0 00", &Packet::PingReq);
    same("D0 00", &Packet::PingResp);
}

#[test]
fn success_is_written_before_properties() {
    let mut ack = Ack::new(id(1));
    ack.properties.set_reason_string(&text("r"));
    same("40 08 0001 00 04 1F 0001 'r'", &Packet::PubAck(ack));
    let mut disconnect = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    disconnect.properties.set_session_expiry_interval(0);
    same("E0 07 00 05 11 00000000", &Packet::Disconnect(disconnect));
    let mut auth = Auth {
        reason: ReasonCode::Success,
        properties: AuthProperties::default(),
    };
    auth.properties.set_authentication(&text("m"), None);
    same("F0 06 00 04 15 0001 'm'", &Packet::Auth(auth));
}

/// [MQTT-3.3.1-2], [MQTT-2.2.1-2], [MQTT-3.3.2-1]
#[test]
fn a_publish_is_written_as_its_delivery_says() {
    let mut publish = Publish::new(TopicName::new("a/b").unwrap(), "hi");
    same(
        "30 08 0003 'a/b' 00 'hi'",
        &Packet::Publish(publish.clone()),
    );
    publish.retain = true;
    publish.delivery = Delivery::AtLeastOnce {
        packet_id: id(7),
        dup: false,
    };
    same(
        "33 0A 0003 'a/b' 0007 00 'hi'",
        &Packet::Publish(publish.clone()),
    );
    publish.delivery = Delivery::ExactlyOnce {
        packet_id: id(7),
        dup: false,
    }
    .with_dup(true);
    same(
        "3D 0A 0003 'a/b' 0007 00 'hi'",
        &Packet::Publish(publish.clone()),
    );
    publish.delivery = Delivery::AtMostOnce.with_dup(true);
    same("31 08 0003 'a/b' 00 'hi'", &Packet::Publish(publish));
}

/// [MQTT-3.1.3-1], [MQTT-3.1.2-16], [MQTT-3.1.2-18], [MQTT-3.1.2-11], [MQTT-3.1.2-13]
#[test]
fn a_connect_without_options_is_its_client_identifier() {
    let connect = Connect {
        client_id: text("c"),
        clean_start: true,
        keep_alive: 60,
        properties: ConnectProperties::default(),
        will: None,
        user_name: None,
        password: None,
    };
    same(
        "10 0E 0004 'MQTT' 05 02 003C 00 0001 'c'",
        &Packet::Connect(connect.into()),
    );
}

/// [MQTT-3.1.3-1], [MQTT-3.1.2-9], [MQTT-3.1.2-17], [MQTT-3.1.2-19], [MQTT-3.1.2-12]
#[test]
fn a_connect_with_all_options_has_them_in_order() {
    let mut connect = Connect {
        client_id: text("c"),
        clean_start: false,
        keep_alive: 1,
        properties: ConnectProperties::default(),
        will: Some(Will {
            topic: TopicName::new("w").unwrap(),
            payload: Binary::try_from(&b"bye"[..]).unwrap(),
            qos: Qos::ExactlyOnce,
            retain: true,
            properties: WillProperties::default(),
        }),
        user_name: Some(text("u")),
        password: Some(Binary::try_from(&b"secret"[..]).unwrap()),
    };
    connect
        .properties
        .set_authentication(&text("m"), Some(&Binary::try_from(&b"secret"[..]).unwrap()));
    let packet = Packet::Connect(connect.into());
    same(
        "10 2F 0004 'MQTT' 05 F4 0001 0D 15 0001 'm' 16 0006 'secret' 0001 'c' 00 0001 'w' 0003 'bye' 0001 'u' 0006 'secret'",
        &packet,
    );
    let shown = format!("{packet:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("bye"),
        "{shown}"
    );
}

/// A password stands without a user name. [MQTT-3.1.2-19]
#[test]
fn a_password_needs_no_user_name() {
    let connect = Connect {
        client_id: MqttString::default(),
        clean_start: true,
        keep_alive: 0,
        properties: ConnectProperties::default(),
        will: None,
        user_name: None,
        password: Some(Binary::default()),
    };
    same(
        "10 0F 0004 'MQTT' 05 42 0000 00 0000 0000",
        &Packet::Connect(connect.into()),
    );
}

/// [MQTT-3.2.2-1], [MQTT-3.2.2-6]
#[test]
fn session_present_is_written_with_success_only() {
    let accepted = ConnAck {
        session_present: true,
        reason: ReasonCode::Success,
        properties: ConnAckProperties::default(),
    };
    same("20 03 01 00 00", &Packet::ConnAck(accepted.clone().into()));
    let refused = ConnAck {
        reason: ReasonCode::ServerBusy,
        ..accepted
    };
    assert_eq!(
        crate::wire::encode(&Packet::ConnAck(refused.into())),
        hex("20 03 00 89 00")
    );
}

/// [MQTT-3.8.3-4], [MQTT-3.8.3-5], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
#[test]
fn subscriptions_are_written_with_their_options() {
    let shared = TopicFilter::new("$share/g/#").unwrap();
    let options = SubscriptionOptions {
        qos: Qos::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let mut filters = Filters::new(&TopicFilter::new("a").unwrap(), options).unwrap();
    let error = filters.push(&shared, options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic \"$share/g/#\": is a shared subscription: leave No Local off"
    );
    filters
        .push(&shared, SubscriptionOptions::new(Qos::AtLeastOnce))
        .unwrap();
    assert_eq!(filters.len(), 2);
    let mut properties = SubscribeProperties::default();
    properties.set_subscription_identifier(SubscriptionId::new(300).unwrap());
    same(
        "82 17 0001 03 0B AC02 0001 'a' 2E 000A '$share/g/#' 01",
        &Packet::Subscribe(Subscribe {
            packet_id: id(1),
            properties,
            filters,
        }),
    );
    let mut filters = UnsubscribeFilters::new(&TopicFilter::new("a").unwrap());
    filters.push(&shared);
    assert_eq!(filters.len(), 2);
    same(
        "A2 12 0001 00 0001 'a' 000A '$share/g/#'",
        &Packet::Unsubscribe(Unsubscribe {
            packet_id: id(1),
            properties: UnsubscribeProperties::default(),
            filters,
        }),
    );
    let mut codes = ReasonCodes::new(ReasonCode::GRANTED_QOS_0);
    codes.push(ReasonCode::GrantedQos2);
    codes.push(ReasonCode::QuotaExceeded);
    assert_eq!(
        (codes.len(), codes.iter().last()),
        (3, Some(ReasonCode::QuotaExceeded))
    );
    assert_eq!(ReasonCodes::from_iter_nonempty([]), None);
    same(
        "90 06 0001 00 00 02 97",
        &Packet::SubAck(SubAck {
            packet_id: id(1),
            properties: SubAckProperties::default(),
            codes,
        }),
    );
}

/// Set, read, set again, remove: `before` and `after` are the wire bytes of the two values.
macro_rules! accessors {
    ($($test:ident $ty:ident $get:ident $set:ident $remove:ident $first:expr, $before:literal, $second:expr, $after:literal;)*) => {$(
        #[test]
        fn $test() {
            let mut it = $ty::default();
            assert!(it.is_empty() && it.wire_len() == 1 && it.$get().is_none() && !it.$remove());
            it.add_user_property(&text("k"), &text("v"));
            it.$set($first);
            let user = hex("26 0001 'k' 0001 'v'");
            assert_eq!(it.as_bytes(), [user.clone(), hex($before)].concat());
            assert!(it.$get().is_some());
            it.add_user_property(&text("k"), &text("v"));
            it.$set($second);
            assert_eq!(it.as_bytes(), [user.clone(), hex($after), user.clone()].concat());
            assert_eq!(it.wire_len(), 1 + it.as_bytes().len());
            let copy = it.clone().detached();
            assert_eq!((format!("{copy:?}"), copy.$get()), (format!("{it:?}"), it.$get()));
            assert!(it.$remove());
            assert_eq!(it.as_bytes(), user.repeat(2));
            assert!(it.remove_user_properties() && !it.remove_user_properties() && it.is_empty());
        }
    )*};
}

accessors! {
    payload_format_indicator PublishProperties payload_format_indicator set_payload_format_indicator
        remove_payload_format_indicator false, "01 00", true, "01 01";
    message_expiry_interval WillProperties message_expiry_interval set_message_expiry_interval
        remove_message_expiry_interval 1, "02 00000001", u32::MAX, "02 FFFFFFFF";
    content_type PublishProperties content_type set_content_type
        remove_content_type &text("ab"), "03 0002 'ab'", &text(""), "03 0000";
    response_topic WillProperties response_topic set_response_topic
        remove_response_topic &TopicName::new("a").unwrap(), "08 0001 'a'", &TopicName::new("bc").unwrap(), "08 0002 'bc'";
    correlation_data PublishProperties correlation_data set_correlation_data
        remove_correlation_data &Binary::default(), "09 0000", &Binary::try_from(vec![255]).unwrap(), "09 0001 FF";
    session_expiry_interval DisconnectProperties session_expiry_interval set_session_expiry_interval
        remove_session_expiry_interval 0, "11 00000000", 60, "11 0000003C";
    assigned_client_identifier ConnAckProperties assigned_client_identifier set_assigned_client_identifier
        remove_assigned_client_identifier &text("x"), "12 0001 'x'", &text("yz"), "12 0002 'yz'";
    server_keep_alive ConnAckProperties server_keep_alive set_server_keep_alive
        remove_server_keep_alive 0, "13 0000", 65_535, "13 FFFF";
    request_problem_information ConnectProperties request_problem_information set_request_problem_information
        remove_request_problem_information true, "17 01", false, "17 00";
    will_delay_interval WillProperties will_delay_interval set_will_delay_interval
        remove_will_delay_interval 1, "18 00000001", 2, "18 00000002";
    request_response_information ConnectProperties request_response_information set_request_response_information
        remove_request_response_information true, "19 01", false, "19 00";
    response_information ConnAckProperties response_information set_response_information
        remove_response_information &text("r"), "1A 0001 'r'", &text("s"), "1A 0001 's'";
    server_reference DisconnectProperties server_reference set_server_reference
        remove_server_reference &text("r"), "1C 0001 'r'", &text("s"), "1C 0001 's'";
    reason_string AckProperties reason_string set_reason_string
        remove_reason_string &text("r"), "1F 0001 'r'", &text("s"), "1F 0001 's'";
    receive_maximum ConnectProperties receive_maximum set_receive_maximum
        remove_receive_maximum NonZeroU16::MIN, "21 0001", NonZeroU16::MAX, "21 FFFF";
    topic_alias_maximum ConnAckProperties topic_alias_maximum set_topic_alias_maximum
        remove_topic_alias_maximum 0, "22 0000", 1, "22 0001";
    topic_alias PublishProperties topic_alias set_topic_alias
        remove_topic_alias TopicAlias::new(1).unwrap(), "23 0001", TopicAlias::new(65_535).unwrap(), "23 FFFF";
    maximum_qos ConnAckProperties maximum_qos set_maximum_qos
        remove_maximum_qos Qos::AtMostOnce, "24 00", Qos::AtLeastOnce, "24 01";
    retain_available ConnAckProperties retain_available set_retain_available
        remove_retain_available true, "25 01", false, "25 00";
    maximum_packet_size ConnectProperties maximum_packet_size set_maximum_packet_size
        remove_maximum_packet_size NonZeroU32::MIN, "27 00000001", NonZeroU32::MAX, "27 FFFFFFFF";
    wildcard_subscription_available ConnAckProperties wildcard_subscription_available
        set_wildcard_subscription_available remove_wildcard_subscription_available true, "28 01", false, "28 00";
    subscription_identifier_available ConnAckProperties subscription_identifier_available
        set_subscription_identifier_available remove_subscription_identifier_available true, "29 01", false, "29 00";
    shared_subscription_available ConnAckProperties shared_subscription_available
        set_shared_subscription_available remove_shared_subscription_available true, "2A 01", false, "2A 00";
    subscription_identifier SubscribeProperties subscription_identifier set_subscription_identifier
        remove_subscription_identifier
        SubscriptionId::new(1).unwrap(), "0B 01", SubscriptionId::new(268_435_455).unwrap(), "0B FFFFFF7F";
}

#[test]
fn values_read_as_they_were_set() {
    let mut it = ConnAckProperties::default();
    it.set_maximum_qos(Qos::AtLeastOnce);
    it.set_receive_maximum(NonZeroU16::new(258).unwrap());
    it.set_maximum_packet_size(NonZeroU32::new(0x0102_0304).unwrap());
    it.set_server_keep_alive(0x0102);
    it.set_session_expiry_interval(0x0102_0304);
    it.set_server_reference(&text("référence"));
    it.set_retain_available(false);
    assert_eq!(it.maximum_qos(), Some(Qos::AtLeastOnce));
    assert_eq!(it.receive_maximum(), NonZeroU16::new(258));
    assert_eq!(it.maximum_packet_size(), NonZeroU32::new(0x0102_0304));
    assert_eq!(it.server_keep_alive(), Some(0x0102));
    assert_eq!(it.session_expiry_interval(), Some(0x0102_0304));
    assert_eq!(it.server_reference(), Some("référence"));
    assert_eq!(it.retain_available(), Some(false));
}

#[test]
fn maximum_qos_2_is_its_absence() {
    let mut it = ConnAckProperties::default();
    it.set_maximum_qos(Qos::AtMostOnce);
    assert_eq!(it.maximum_qos(), Some(Qos::AtMostOnce));
    it.set_maximum_qos(Qos::ExactlyOnce);
    assert_eq!(it.maximum_qos(), None);
    assert!(it.is_empty());
}

#[test]
fn user_properties_keep_their_order_and_repeat() {
    let mut it = PublishProperties::default();
    let pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", "")];
    for (name, value) in pairs {
        it.add_user_property(&text(name), &text(value));
        it.set_payload_format_indicator(true);
    }
    assert_eq!(it.user_properties().collect::<Vec<_>>(), pairs);
    assert!(it.remove_user_properties());
    assert_eq!(it.as_bytes(), hex("01 01"));
}

#[test]
fn subscription_identifiers_of_a_publish_add_up() {
    let mut it = PublishProperties::default();
    let ids = [1, 127, 128, 268_435_455].map(|id| SubscriptionId::new(id).unwrap());
    for id in ids {
        it.add_subscription_identifier(id);
    }
    assert_eq!(it.subscription_identifiers().collect::<Vec<_>>(), ids);
    assert!(it.remove_subscription_identifiers());
    assert!(!it.remove_subscription_identifiers());
}

#[test]
fn authentication_is_set_and_removed_as_one() {
    let mut it = AuthProperties::default();
    let data = Binary::try_from(&b"secret"[..]).unwrap();
    it.set_authentication(&text("m"), Some(&data));
    assert_eq!(
        (it.authentication_method(), it.authentication_data()),
        (Some("m"), Some(&b"secret"[..]))
    );
    assert!(!format!("{it:?}").contains("secret"));
    it.set_authentication(&text("n"), None);
    assert_eq!(
        (it.authentication_method(), it.authentication_data()),
        (Some("n"), None)
    );
    assert!(it.remove_authentication());
    assert!(it.is_empty() && !it.remove_authentication());
}

#[test]
fn debug_lists_properties_by_name() {
    let mut it = PublishProperties::default();
    it.set_topic_alias(TopicAlias::new(5).unwrap());
    it.set_content_type(&text("a\nb"));
    it.add_user_property(&text("k"), &text("v"));
    assert_eq!(
        format!("{it:?}"),
        r#"PublishProperties { Topic Alias: 5, Content Type: "a\nb", User Property: ("k", "v") }"#
    );
}
