//! CONNECT and CONNACK at a server: accepting, refusing, and what is told upheld.

use core::num::{NonZeroU16, NonZeroU32};

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn requested(connect: Connect) -> Script<ServerSession> {
    let mut script = Script::server(ServerConfig::default());
    script.receive(Packet::Connect(connect.into()));
    assert_eq!(script.events(), ["connect c"]);
    script
}

fn offering(change: impl FnOnce(&mut ConnAckProperties)) -> Accept {
    let mut accept = Accept::default();
    change(&mut accept.properties);
    accept
}

fn with_will(qos: Qos, retain: bool) -> Connect {
    let mut connect = connect();
    connect.will = Some(Will {
        topic: topic("will"),
        payload: Binary::try_from(&b"gone"[..]).unwrap(),
        qos,
        retain,
        properties: WillProperties::default(),
    });
    connect
}

/// [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-3] CONNACK comes first, then what the session owes.
#[test]
fn connack_is_the_first_packet_and_says_whether_there_was_a_session() {
    let mut script = Script::accepted();
    script.submit(message(QOS1, "owed"), 0);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 owed"]);
    script.cut();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    let mut connect = connect();
    connect.clean_start = false;
    assert_eq!(
        script.come_back(ServerConfig::default(), connect.clone(), Some(flows)),
        ["PUBLISH 1 #1 dup owed"]
    );
    script.cut();
    assert_eq!(
        script.come_back(ServerConfig::default(), connect, None),
        [""; 0]
    );
}

/// [MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2] A clean start begins anew whatever there was.
#[test]
fn a_clean_start_discards_the_session_that_was_kept() {
    let mut script = Script::accepted();
    script.submit(message(QOS1, "owed"), 0);
    script.sent();
    script.cut();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    assert_eq!(
        script.come_back(ServerConfig::default(), connect(), Some(flows)),
        [""; 0]
    );
    assert_eq!(script.session.queued(), (0, 0));
}

#[test]
fn a_receipt_of_a_session_that_was_discarded_means_nothing_in_the_next() {
    let mut script = Script::accepted();
    script.receive(publish(QOS1, 1, "old"));
    script.events();
    script.cut();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    script.come_back(ServerConfig::default(), connect(), Some(flows));
    script.receive(publish(QOS1, 1, "new"));
    script.events();
    script.answer(0);
    assert_eq!(script.sent(), [""; 0]);
    script.answer(1);
    assert_eq!(script.sent(), ["PUBACK #1"]);
}

#[test]
fn no_packet_is_taken_while_connect_waits_for_its_answer() {
    let mut script = requested(connect());
    assert!(!script.session.is_ready());
    assert_eq!(script.sent(), [""; 0]);
    script.session.accept(START, Accept::default());
    assert!(script.session.is_ready());
    let mut script = requested(connect());
    script.receive(publish(QOS1, 1, "too early"));
    assert_eq!(script.violated(), [""; 0]);
    assert_eq!(script.events(), [""; 0]);
}

/// [MQTT-3.2.2-6] [MQTT-3.2.2-7] The stream is closed behind a refusal, [MQTT-3.1.4-6] and nothing more is processed.
#[test]
fn a_refusal_is_the_last_packet_and_nothing_is_processed_behind_it() {
    let mut script = requested(connect());
    script
        .session
        .refuse(ReasonCode::Banned, ConnAckProperties::default());
    script.receive(publish(QOS1, 1, "a"));
    assert_eq!(script.violated(), ["CONNACK 0x8A"]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: ended by this side: Banned (0x8A)"]
    );
}

/// [MQTT-3.2.2-8] A refusal has a reason code listed for CONNACK.
#[test]
fn a_refusal_with_a_reason_that_connack_does_not_have_is_unspecified() {
    for reason in [ReasonCode::Success, ReasonCode::KeepAliveTimeout] {
        let mut script = requested(connect());
        script.session.refuse(reason, ConnAckProperties::default());
        assert_eq!(script.violated(), ["CONNACK 0x80"]);
    }
}

#[test]
fn the_will_of_a_client_that_was_not_accepted_is_not_handed_over() {
    let refused = |script: &mut Script<ServerSession>| {
        script
            .session
            .refuse(ReasonCode::NotAuthorized, ConnAckProperties::default());
        script.sent();
    };
    let gone = |_: &mut Script<ServerSession>| {};
    for end in [
        &refused as &dyn Fn(&mut Script<ServerSession>),
        &gone as &dyn Fn(&mut Script<ServerSession>),
    ] {
        let mut script = requested(with_will(QOS1, false));
        end(&mut script);
        script.cut();
        let events = script.events_in_full();
        assert!(
            matches!(&events[..], [ServerEvent::Disconnected { will: None, .. }]),
            "{events:?}"
        );
    }
}

/// [MQTT-3.2.2-12] [MQTT-3.2.2-13] A will above what is offered is refused with its CONNECT.
#[test]
fn a_client_whose_will_is_above_what_is_offered_is_refused() {
    let check = |will: Connect, accept: Accept, want: &str| {
        let mut script = requested(will);
        script.session.accept(START, accept);
        assert_eq!(script.sent(), [want]);
        assert_eq!(script.session.is_connected(), want == "CONNACK");
    };
    let qos1 = || offering(|properties| properties.set_maximum_qos(QOS1));
    let no_retain = || offering(|properties| properties.set_retain_available(false));
    check(with_will(QOS2, false), qos1(), "CONNACK 0x9B");
    check(with_will(QOS1, true), qos1(), "CONNACK");
    check(with_will(QOS2, true), no_retain(), "CONNACK 0x9A");
    check(with_will(QOS2, false), no_retain(), "CONNACK");
}

/// [MQTT-3.2.2-9] What is not offered is told, and a client that sends it all the same is disconnected.
#[test]
fn what_connack_says_is_not_available_is_not_taken() {
    let violated = |accept: Accept, packet: Packet| {
        let mut script = requested(connect());
        script.session.accept(START, accept);
        script.sent();
        script.receive(packet);
        script.violated()
    };
    assert_eq!(
        violated(
            offering(|it| it.set_maximum_qos(QOS1)),
            publish(QOS2, 1, "a")
        ),
        ["DISCONNECT 0x9B"]
    );
    let mut retained = message(QOS0, "a").to_publish(Delivery::AtMostOnce);
    retained.retain = true;
    assert_eq!(
        violated(
            offering(|it| it.set_retain_available(false)),
            Packet::Publish(retained)
        ),
        ["DISCONNECT 0x9A"]
    );
    for (available, filter, want) in [
        (
            offering(|it| it.set_wildcard_subscription_available(false)),
            "a/+",
            "DISCONNECT 0xA2",
        ),
        (
            offering(|it| it.set_shared_subscription_available(false)),
            "$share/g/a",
            "DISCONNECT 0x9E",
        ),
    ] {
        // What follows a filter that is taken is looked at too.
        assert_eq!(violated(available, subscribe(1, &["a", filter])), [want]);
    }
    let Packet::Subscribe(mut identified) = subscribe(1, &["a"]) else {
        unreachable!()
    };
    identified
        .properties
        .set_subscription_identifier(SubscriptionId::new(1).unwrap());
    assert_eq!(
        violated(
            offering(|it| it.set_subscription_identifier_available(false)),
            Packet::Subscribe(identified)
        ),
        ["DISCONNECT 0xA1"]
    );
}

/// [MQTT-3.2.2-10] A SUBSCRIBE of any QoS is taken whatever the Maximum QoS, and what is available is.
#[test]
fn what_connack_does_not_deny_is_taken() {
    for accept in [
        offering(|it| it.set_maximum_qos(QOS0)),
        offering(|it| it.set_wildcard_subscription_available(false)),
        offering(|it| it.set_shared_subscription_available(false)),
        offering(|it| it.set_subscription_identifier_available(false)),
    ] {
        let filter = match accept.properties.wildcard_subscription_available() {
            Some(false) => "$share/g/a",
            _ => "a/+",
        };
        let mut script = requested(connect());
        script.session.accept(START, accept);
        script.sent();
        script.receive(subscribe(1, &[filter]));
        assert_eq!(script.events().len(), 1, "{filter}");
    }
}

#[test]
fn connack_tells_the_limits_of_the_configuration() {
    let mut config = ServerConfig::default();
    config.receive_maximum = NonZeroU16::new(7).unwrap();
    config.maximum_packet_size = NonZeroU32::new(1000);
    config.topic_alias_maximum = 3;
    config.server_keep_alive = Some(9);
    let mut script = Script::server(config);
    script.receive(Packet::Connect(connect().into()));
    script.session.accept(START, Accept::default());
    let packets = script.packets();
    let [Packet::ConnAck(connack)] = &packets[..] else {
        panic!("{packets:?}");
    };
    let told = &connack.properties;
    assert_eq!(told.receive_maximum(), NonZeroU16::new(7));
    assert_eq!(told.maximum_packet_size(), NonZeroU32::new(1000));
    assert_eq!(told.topic_alias_maximum(), Some(3));
    assert_eq!(told.server_keep_alive(), Some(9));
}

/// [MQTT-3.3.2-12] Every alias up to the maximum that was told is taken.
#[test]
fn limits_that_the_broker_tells_are_upheld() {
    let mut script = requested(connect());
    let accept = offering(|it| {
        it.set_topic_alias_maximum(2);
        it.set_session_expiry_interval(77);
        it.set_server_keep_alive(4);
    });
    script.session.accept(START, accept);
    script.sent();
    let mut aliased = message(QOS0, "a").to_publish(Delivery::AtMostOnce);
    aliased
        .properties
        .set_topic_alias(TopicAlias::new(2).unwrap());
    script.receive(Packet::Publish(aliased));
    assert_eq!(script.events(), ["message a"]);
    assert_eq!(script.timeout(), Some(secs(6)));
    assert_eq!(script.session.session_expiry_interval(), 77);
}

/// [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.1.2-24] What makes CONNACK too large for the client is left out.
#[test]
fn connack_leaves_out_what_makes_it_too_large() {
    let accepted = |limit: u32| {
        let mut connect = connect();
        connect
            .properties
            .set_maximum_packet_size(NonZeroU32::new(limit).unwrap());
        let mut script = requested(connect);
        let accept = offering(|it| {
            it.set_reason_string(&text("because"));
            it.add_user_property(&text("name"), &text("value"));
        });
        script.session.accept(START, accept);
        let packets = script.packets();
        let told = packets.first().map(|packet| match packet {
            Packet::ConnAck(connack) => (
                connack.properties.reason_string().is_some(),
                connack.properties.user_properties().count(),
            ),
            other => panic!("{other:?}"),
        });
        (told, script.session.poll_close())
    };
    // 5 bytes of header, flags and code, 1 of length; 3 for Receive Maximum; 10 for the reason; 14 for the user property.
    assert_eq!(accepted(32), (Some((true, 1)), false));
    assert_eq!(accepted(31), (Some((true, 0)), false));
    assert_eq!(accepted(18), (Some((true, 0)), false));
    assert_eq!(accepted(17), (Some((false, 0)), false));
    assert_eq!(accepted(8), (Some((false, 0)), false));
    assert_eq!(accepted(7), (None, true));
}

/// [MQTT-3.14.0-1] Found by fuzzing: what ends the connection before its CONNACK has left says nothing when that is too large.
#[test]
fn no_disconnect_goes_to_a_client_whose_connack_is_too_large() {
    let ends: [fn(&mut Script<ServerSession>); 3] = [
        |script| {
            let error = malformed(&[0x00, 0x00]);
            script.session.handle_malformed(script.now, error);
        },
        |script| {
            let disconnect = Disconnect::new(ReasonCode::ServerShuttingDown);
            script.session.disconnect(disconnect);
        },
        |script| {
            let disconnect = Disconnect::new(ReasonCode::ServerShuttingDown);
            script.session.finish(disconnect);
        },
    ];
    for end in ends {
        for (limit, want) in [(8, 2), (7, 0)] {
            let mut connect = connect();
            connect
                .properties
                .set_maximum_packet_size(NonZeroU32::new(limit).unwrap());
            let mut script = requested(connect);
            script.session.accept(START, offering(|_| {}));
            end(&mut script);
            assert_eq!(script.violated().len(), want);
        }
    }
}

#[test]
fn a_client_that_does_not_say_connect_in_time_is_left_without_a_word() {
    let mut script = Script::server(ServerConfig::default());
    assert_eq!(script.timeout(), Some(secs(10)));
    script.after(secs(10));
    assert_eq!(script.violated(), [""; 0]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: the handshake was not finished in time"]
    );
}

/// [MQTT-4.1.0-1] A client that is gone before it is accepted does not lose its session.
#[test]
fn flows_given_to_a_connection_that_has_ended_are_kept() {
    for ended in [false, true] {
        let mut script = Script::accepted();
        script.submit(message(QOS1, "owed"), 0);
        script.sent();
        let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
        let mut again = connect();
        again.clean_start = false;
        let mut next = requested(again.clone());
        if ended {
            next.cut();
        } else {
            next.session
                .handle_malformed(START, malformed(&[0x00, 0x00]));
        }
        let session = Some(flows);
        next.session.accept(
            START,
            Accept {
                session,
                ..Accept::default()
            },
        );
        assert_eq!(next.sent(), [""; 0]);
        next.submit(message(QOS1, "more"), 0);
        next.cut();
        let flows = next.session.take_flows(ReasonCode::SessionTakenOver);
        assert_eq!(
            next.come_back(ServerConfig::default(), again, Some(flows)),
            ["PUBLISH 1 #1 dup owed", "PUBLISH 1 #2 more"]
        );
    }
}
