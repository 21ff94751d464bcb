//! CONNECT and CONNACK at a client: what it says, what it takes, what it obeys from then on.

use core::num::{NonZeroU16, NonZeroU32};

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn refusal(reason: ReasonCode) -> Packet {
    let connack = ConnAck {
        session_present: false,
        reason,
        properties: ConnAckProperties::default(),
    };
    Packet::ConnAck(connack.into())
}

/// [MQTT-3.1.0-1] CONNECT goes first, and nothing else before CONNACK.
#[test]
fn connect_is_the_first_packet_and_the_only_one_before_connack() {
    let mut script = Script::client(|_| {});
    let mut early = message(QOS0, "early");
    early.retain = true;
    let keep = PublishOptions {
        keep_offline: true,
        ..ticket(1)
    };
    script.session.publish(START, early, keep).unwrap();
    script.submit(message(QOS1, "later"), 2);
    script.session.handle_connected(START);
    assert_eq!(script.sent(), ["CONNECT"]);
    assert!(!script.session.is_connected());
    let connack = Packet::ConnAck(connack(false).into());
    assert_eq!(
        script.exchange([connack]),
        ["PUBLISH 0 early", "PUBLISH 1 #1 later"]
    );
    assert!(script.session.is_connected());
    assert_eq!(script.events(), ["connected", "sent 1", "sent 2"]);
}

#[test]
fn no_packet_comes_without_a_stream() {
    let mut script = Script::connected();
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS2, 2, "b"));
    script.events();
    script.answer(0);
    script.answer(1);
    script.cut();
    assert_eq!(script.sent(), [""; 0]);
    assert_eq!(script.timeout(), None);
    assert!(!script.session.poll_close());
    script.after(secs(1_000_000));
    assert_eq!(script.sent(), [""; 0]);
}

/// [MQTT-3.1.2-4] Clean Start of the configuration is for the first connection; then there is a session to resume.
#[test]
fn clean_start_is_asked_for_until_there_is_a_session() {
    let mut script = Script::client(|_| {});
    assert!(script.dial().clean_start);
    script.receive(refusal(ReasonCode::ServerBusy));
    script.cut();
    assert!(script.dial().clean_start, "it was refused");
    script.receive(Packet::ConnAck(connack(false).into()));
    script.cut();
    assert!(!script.dial().clean_start);
}

/// [MQTT-3.1.3-2] The identifier the server assigned names the session from then on.
#[test]
fn an_assigned_client_identifier_is_used_from_then_on() {
    let mut script = Script::client(|config| config.connect.client_id = MqttString::default());
    assert!(script.dial().client_id.is_empty());
    let mut connack = connack(false);
    connack
        .properties
        .set_assigned_client_identifier(&text("auto-1"));
    script.receive(Packet::ConnAck(connack.into()));
    script.cut();
    assert_eq!(script.dial().client_id, "auto-1");
    assert_eq!(*script.session.client_id(), "auto-1");
}

#[test]
fn a_refusal_ends_the_connection_without_a_word_and_is_told() {
    let mut script = Script::client(|_| {});
    script.dial();
    script.receive(refusal(ReasonCode::NotAuthorized));
    assert_eq!(script.violated(), [""; 0]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: the server refused the connection: Not authorized (0x87)"]
    );
}

/// [MQTT-3.2.2-4] The server resumes what this client does not have.
#[test]
fn session_present_in_answer_to_a_clean_start_ends_the_connection() {
    let mut script = Script::client(|_| {});
    script.dial();
    script.receive(Packet::ConnAck(connack(true).into()));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
    script.cut();
    let events = script.events_in_full();
    let [ClientEvent::Disconnected(DisconnectCause::Protocol(ProtocolError::SessionPresent))] =
        &events[..]
    else {
        panic!("{events:?}");
    };
}

#[test]
fn a_session_that_its_owner_vouches_for_may_be_present_on_the_first_connection() {
    let mut script = Script::client(|config| config.connect.clean_start = false);
    assert!(!script.dial().clean_start);
    script.receive(Packet::ConnAck(connack(true).into()));
    assert_eq!(script.events(), ["connected present"]);
}

#[test]
fn a_connack_before_connect_has_left_ends_the_stream_without_a_word() {
    let mut script = Script::client(|_| {});
    script.session.handle_connected(START);
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.violated(), [""; 0]);
}

#[test]
fn a_second_connack_is_a_protocol_error() {
    let mut script = Script::connected();
    script.receive(Packet::ConnAck(connack(false).into()));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
}

#[test]
fn a_server_that_does_not_answer_connect_in_time_is_left_without_a_word() {
    let mut script = Script::client(|config| config.connect_timeout = secs(7));
    script.dial();
    assert_eq!(script.timeout(), Some(secs(7)));
    script.after(secs(6));
    assert!(!script.session.poll_close());
    script.after(secs(1));
    assert_eq!(script.violated(), [""; 0]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: the handshake was not finished in time"]
    );
}

#[test]
fn connect_does_not_leave_after_the_handshake_has_timed_out() {
    let mut script = Script::client(|_| {});
    script.session.handle_connected(START);
    script.after(secs(30));
    assert_eq!(script.violated(), [""; 0]);
}

#[test]
fn what_the_server_says_it_accepts_can_be_asked_for() {
    let mut connack = connack(false);
    let properties = &mut connack.properties;
    properties.set_receive_maximum(NonZeroU16::new(9).unwrap());
    properties.set_maximum_packet_size(NonZeroU32::new(900).unwrap());
    properties.set_maximum_qos(QOS1);
    properties.set_retain_available(false);
    properties.set_topic_alias_maximum(4);
    properties.set_wildcard_subscription_available(false);
    properties.set_subscription_identifier_available(false);
    properties.set_shared_subscription_available(false);
    let script = Script::client_with(|_| {}, connack);
    let limits = script.session.server_limits();
    assert_eq!(limits.receive_maximum.get(), 9);
    assert_eq!(limits.maximum_packet_size, 900);
    assert_eq!(limits.maximum_qos, QOS1);
    assert_eq!(limits.topic_alias_maximum, 4);
    assert!(!limits.retain_available);
    assert!(!limits.wildcard_subscription_available);
    assert!(!limits.subscription_identifiers_available);
    assert!(!limits.shared_subscription_available);
    assert_eq!(
        *Script::connected().session.server_limits(),
        PeerLimits::default()
    );
}

/// [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15] What the server does not take is refused before anything is sent.
#[test]
fn publish_refuses_what_the_server_said_it_does_not_take() {
    let mut connack = connack(false);
    connack.properties.set_maximum_qos(QOS1);
    connack.properties.set_retain_available(false);
    connack
        .properties
        .set_maximum_packet_size(NonZeroU32::new(30).unwrap());
    let mut script = Script::client_with(|_| {}, connack);
    let mut check = |message: Message, want: Option<PublishError>| {
        let result = script.session.publish(START, message.clone(), ticket(1));
        match (result, want) {
            (Err(rejected), Some(want)) => {
                assert_eq!(rejected.error, want);
                assert_eq!(rejected.message, message);
            }
            (result, want) => assert!(result.is_ok() && want.is_none(), "{result:?}"),
        }
    };
    check(
        message(QOS2, "a"),
        Some(PublishError::QosNotSupported { maximum: QOS1 }),
    );
    let mut retained = message(QOS1, "a");
    retained.retain = true;
    check(retained, Some(PublishError::RetainNotSupported));
    // Fixed header 2, topic 3, identifier 2, properties 1: 22 bytes are left.
    check(message(QOS1, &"x".repeat(22)), None);
    check(
        message(QOS1, &"x".repeat(23)),
        Some(PublishError::TooLarge {
            size: 31,
            limit: 30,
        }),
    );
    check(message(QOS0, &"x".repeat(24)), None);
    assert_eq!(script.sent().len(), 2);
}

/// [MQTT-3.3.4-6] A Subscription Identifier is not a client's to send.
#[test]
fn publish_refuses_properties_that_the_session_adds() {
    let mut script = Script::connected();
    let mut with_id = message(QOS0, "a");
    with_id
        .properties
        .add_subscription_identifier(SubscriptionId::new(1).unwrap());
    let rejected = script.session.publish(START, with_id, ticket(1));
    assert_eq!(
        rejected.unwrap_err().error,
        PublishError::PropertyNotAllowed("Subscription Identifier")
    );
    let mut with_alias = message(QOS0, "a");
    with_alias
        .properties
        .set_topic_alias(TopicAlias::new(1).unwrap());
    let rejected = script.session.publish(START, with_alias, ticket(1));
    assert_eq!(
        rejected.unwrap_err().error,
        PublishError::PropertyNotAllowed("Topic Alias")
    );
}

/// [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15] Limits that come with a later CONNACK hold for what was accepted before it.
#[test]
fn messages_accepted_offline_that_the_server_does_not_take_are_lost_with_the_reason() {
    let mut script = Script::client(|_| {});
    let mut retained = message(QOS0, "b");
    retained.retain = true;
    script.submit(message(QOS2, "a"), 1);
    let keep = PublishOptions {
        keep_offline: true,
        ..ticket(2)
    };
    script.session.publish(START, retained, keep).unwrap();
    script.submit(message(QOS1, &"x".repeat(50)), 3);
    script.submit(message(QOS1, "fits"), 4);
    let mut connack = connack(false);
    connack.properties.set_maximum_qos(QOS1);
    connack.properties.set_retain_available(false);
    connack
        .properties
        .set_maximum_packet_size(NonZeroU32::new(30).unwrap());
    script.dial();
    assert_eq!(
        script.exchange([Packet::ConnAck(connack.into())]),
        ["PUBLISH 1 #2 fits"]
    );
    let mut events = script.events();
    events.sort();
    assert_eq!(
        events,
        [
            "connected",
            "lost 1 QosNotSupported { maximum: AtLeastOnce }",
            "lost 2 RetainNotSupported",
            "lost 3 TooLarge { size: 58, limit: 30 }",
            "sent 4"
        ]
    );
    assert_eq!(script.session.queued().0, 1);
}

/// [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15] Nor is anything sent again to a server that does not take it any more.
#[test]
fn messages_sent_before_are_lost_when_the_server_lowers_its_limits() {
    let mut script = Script::connected();
    let mut retained = message(QOS1, "retained");
    retained.retain = true;
    script.submit(message(QOS2, "a"), 1);
    script.submit(retained, 2);
    script.submit(message(QOS1, &"x".repeat(50)), 3);
    script.submit(message(QOS1, "fits"), 4);
    assert_eq!(script.sent().len(), 4);
    script.events();
    script.cut();
    let mut connack = connack(true);
    connack.properties.set_maximum_qos(QOS1);
    connack.properties.set_retain_available(false);
    connack
        .properties
        .set_maximum_packet_size(NonZeroU32::new(30).unwrap());
    script.dial();
    assert_eq!(
        script.exchange([Packet::ConnAck(connack.into())]),
        ["PUBLISH 1 #4 dup fits", "PUBREL #1"],
        "the server may hold the identifier of what is given up"
    );
    let events = script.events();
    assert!(events.contains(&"lost 1 QosNotSupported { maximum: AtLeastOnce }".into()));
    assert!(events.contains(&"lost 2 RetainNotSupported".into()));
    assert!(events.contains(&"lost 3 TooLarge { size: 58, limit: 30 }".into()));
    assert_eq!(script.session.in_flight(), 2);
    script.exchange([pubcomp(1), puback(4)]);
    assert_eq!(script.session.queued(), (0, 0));
    assert_eq!(script.session.in_flight(), 0);
}

#[test]
fn a_stream_that_takes_the_place_of_another_ends_it_first() {
    let mut script = Script::connected();
    script.submit(message(QOS1, "a"), 1);
    script.sent();
    script.events();
    assert_eq!(script.reconnect(connack(true)), ["PUBLISH 1 #1 dup a"]);
}
