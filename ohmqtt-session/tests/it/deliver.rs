//! What a routed message becomes for one client.

use core::num::NonZeroU32;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn at(qos: Qos) -> Subscription {
    Subscription {
        options: SubscriptionOptions::new(qos),
        identifier: None,
    }
}

fn identified(n: u32) -> Subscription {
    Subscription {
        identifier: SubscriptionId::new(n),
        ..at(QOS1)
    }
}

fn no_local(subscription: Subscription) -> Subscription {
    let mut subscription = subscription;
    subscription.options.no_local = true;
    subscription
}

fn as_published(subscription: Subscription) -> Subscription {
    let mut subscription = subscription;
    subscription.options.retain_as_published = true;
    subscription
}

/// What is sent of this message.
fn delivered(message: &Message, subscriptions: &[Subscription], routed: Routed) -> Vec<Publish> {
    let mut script = Script::accepted();
    script
        .session
        .deliver(START, message, subscriptions, routed, ticket(1))
        .unwrap();
    let packets = script.packets().into_iter();
    packets
        .map(|packet| match packet {
            Packet::Publish(publish) => publish,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// [MQTT-3.8.4-8] [MQTT-3.3.4-2] The lower of the published QoS and the highest that was granted.
#[test]
fn the_qos_is_the_lower_of_published_and_granted() {
    let all = [QOS0, QOS1, QOS2];
    for published in all {
        for granted in all {
            for other in all {
                let sent = delivered(
                    &message(published, "a"),
                    &[at(granted), at(other)],
                    Routed::Published,
                );
                let want = published.min(granted.max(other));
                assert_eq!(sent[0].delivery.qos(), want);
                assert_eq!(sent.len(), 1);
            }
        }
    }
}

/// [MQTT-3.3.1-12] [MQTT-3.3.1-13] Retain As Published keeps the flag; what was retained before has it in any case.
#[test]
fn the_retain_flag_is_as_the_subscription_asks() {
    let check = |retain: bool, subscriptions: &[Subscription], routed: Routed, want: bool| {
        let mut message = message(QOS0, "a");
        message.retain = retain;
        assert_eq!(delivered(&message, subscriptions, routed)[0].retain, want);
    };
    let (plain, keeping) = (at(QOS0), as_published(at(QOS0)));
    check(true, &[plain], Routed::Published, false);
    check(true, &[keeping], Routed::Published, true);
    check(true, &[plain, keeping], Routed::Own, true);
    check(false, &[keeping], Routed::Published, false);
    check(true, &[plain], Routed::Retained, true);
    check(true, &[keeping], Routed::Retained, true);
}

/// [MQTT-3.8.3-3] No Local: not back to the client that published it.
#[test]
fn a_client_does_not_get_its_own_message_where_it_asked_not_to() {
    let (plain, local) = (identified(1), no_local(identified(2)));
    let message = message(QOS1, "a");
    let identifiers = |subscriptions: &[Subscription], routed: Routed| -> Vec<u32> {
        let sent = delivered(&message, subscriptions, routed);
        let ids = sent.iter().flat_map(|publish| {
            publish
                .properties
                .subscription_identifiers()
                .map(SubscriptionId::get)
        });
        ids.collect()
    };
    assert_eq!(identifiers(&[local], Routed::Own), [0; 0]);
    assert_eq!(identifiers(&[local], Routed::Published), [2]);
    assert_eq!(identifiers(&[local, plain], Routed::Own), [1]);
    assert_eq!(identifiers(&[local], Routed::Retained), [2]);
    assert!(delivered(&message, &[local], Routed::Own).is_empty());
    assert!(delivered(&message, &[], Routed::Published).is_empty());
}

/// [MQTT-3.3.4-3] [MQTT-3.3.4-4] One copy has the identifiers of all subscriptions that match, also when they are the same.
#[test]
fn one_copy_has_the_identifiers_of_all_subscriptions() {
    let subscriptions = [identified(7), at(QOS2), identified(3), identified(7)];
    let sent = delivered(&message(QOS2, "a"), &subscriptions, Routed::Published);
    let ids: Vec<_> = sent[0]
        .properties
        .subscription_identifiers()
        .map(SubscriptionId::get)
        .collect();
    assert_eq!(ids, [7, 3, 7]);
    assert_eq!(sent.len(), 1);
}

/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20] What the publisher said goes along as it is,
/// user properties in their order.
#[test]
fn what_the_publisher_said_goes_along_unchanged() {
    let mut message = message(QOS0, "a");
    let properties = &mut message.properties;
    properties.set_payload_format_indicator(true);
    properties.set_response_topic(&topic("answers"));
    properties.set_correlation_data(&Binary::try_from(&b"\x00\x01"[..]).unwrap());
    properties.set_content_type(&text("text/plain"));
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
        properties.add_user_property(&text(name), &text(value));
    }
    let sent = delivered(&message, &[at(QOS2)], Routed::Published);
    assert_eq!(sent[0].properties, message.properties);
    assert_eq!(sent[0].topic, PublishTopic::Name(message.topic));
}

#[test]
fn a_client_that_is_away_gets_qos1_and_2_when_it_comes_back_and_qos0_never() {
    let mut script = Script::accepted();
    script.cut();
    script.events();
    for qos in [QOS0, QOS1, QOS2] {
        script.submit(message(qos, "a"), 1);
    }
    assert_eq!(script.events(), ["lost 1 Offline"]);
    let deliver = |script: &mut Script<ServerSession>, ticket| {
        let options = super::peer::ticket(ticket);
        script
            .session
            .submit(START, message(QOS0, "a"), options)
            .unwrap();
    };
    deliver(&mut script, 0);
    assert_eq!(script.events(), [""; 0], "nobody asks");
    assert_eq!(
        ServerSession::resume(&mut script, 10),
        ["PUBLISH 1 #1 a", "PUBLISH 2 #2 a"]
    );
}

#[test]
fn what_waits_for_a_client_is_bounded_and_what_is_refused_is_given_back() {
    let mut config = ServerConfig::default();
    config.outbox.limits.messages = 1;
    let mut script = Script::server_with(config, connect(), Accept::default());
    let mut deliver = |payload: &str| {
        let message = message(QOS1, payload);
        script
            .session
            .deliver(START, &message, &[EVERYTHING], Routed::Published, ticket(0))
    };
    assert!(deliver("a").is_ok());
    let rejected = deliver("b").unwrap_err();
    assert!(matches!(rejected.error, PublishError::Full { .. }));
    assert_eq!(payload(&rejected.message), "b");
}

#[test]
fn a_session_that_has_no_client_delivers_nothing() {
    let mut script = Script::server(ServerConfig::default());
    let closed = |script: &mut Script<ServerSession>| {
        let result = script.session.submit(START, message(QOS1, "a"), ticket(1));
        assert_eq!(result.unwrap_err().error, PublishError::Closed);
    };
    closed(&mut script);
    script.receive(Packet::Connect(connect().into()));
    closed(&mut script);
    script.session.accept(START, Accept::default());
    script.submit(message(QOS1, "a"), 1);
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    assert_eq!(flows.queued().0, 1);
    closed(&mut script);
}

/// [MQTT-3.1.2-28] [MQTT-3.1.2-29] What a client did not ask for is not told.
#[test]
fn response_and_problem_information_are_given_as_the_client_asks() {
    let told = |connect: Connect| {
        let mut script = Script::server(ServerConfig::default());
        script.receive(Packet::Connect(connect.into()));
        let mut accept = Accept::default();
        accept
            .properties
            .set_response_information(&text("answers/"));
        script.session.accept(START, accept);
        match &script.packets()[..] {
            [Packet::ConnAck(connack)] => connack.properties.response_information().is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(!told(connect()));
    let mut asking = connect();
    asking.properties.set_request_response_information(true);
    assert!(told(asking));
}

#[test]
fn limits_of_the_client_can_be_asked_for() {
    let mut connect = connect();
    connect
        .properties
        .set_maximum_packet_size(NonZeroU32::new(77).unwrap());
    connect.properties.set_topic_alias_maximum(5);
    let script = Script::server_with(ServerConfig::default(), connect, Accept::default());
    let limits = script.session.client_limits();
    assert_eq!(limits.maximum_packet_size, 77);
    assert_eq!(limits.topic_alias_maximum, 5);
    assert_eq!(limits.maximum_qos, QOS2);
}
