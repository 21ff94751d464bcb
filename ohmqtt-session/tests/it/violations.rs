//! What the other side may not do (section 4.13), and which reason code says so.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// [MQTT-3.1.0-1] [MQTT-4.13.1-1] A server takes nothing but CONNECT first, and ends any other stream without a word.
#[test]
fn nothing_but_connect_is_the_first_packet_at_a_server() {
    for packet in each_packet() {
        let mut script = Script::server(ServerConfig::default());
        let is_connect = matches!(packet, Packet::Connect(_));
        let name = packet.packet_type();
        script.receive(packet);
        if is_connect {
            assert_eq!(script.events(), ["connect c"]);
            assert!(!script.session.poll_close());
            continue;
        }
        assert_eq!(script.violated(), [""; 0]);
        script.cut();
        assert_eq!(
            script.events(),
            [format!(
                "disconnected: the other side broke the protocol: unexpected {name} before CONNECT"
            )]
        );
    }
}

#[test]
fn nothing_but_connack_is_the_first_packet_at_a_client() {
    for packet in each_packet() {
        let mut script = Script::client(|_| {});
        script.dial();
        let is_connack = matches!(packet, Packet::ConnAck(_));
        script.receive(packet);
        if is_connack {
            assert_eq!(script.events(), ["connected"]);
            continue;
        }
        assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
    }
}

/// [MQTT-3.1.0-2] A second CONNECT is an error, and so is all that only a server sends.
#[test]
fn what_only_a_server_sends_ends_the_connection_of_a_client() {
    for packet in each_packet() {
        let name = packet.packet_type();
        let mut script = Script::accepted();
        script.receive(packet);
        let refused = matches!(
            name,
            PacketType::Connect
                | PacketType::ConnAck
                | PacketType::SubAck
                | PacketType::UnsubAck
                | PacketType::PingResp
                | PacketType::Auth
        );
        if refused {
            assert_eq!(script.violated(), ["DISCONNECT 0x82"], "{name}");
        } else if name != PacketType::Disconnect {
            assert!(script.session.is_connected(), "{name}");
        }
    }
}

#[test]
fn what_only_a_client_sends_ends_the_connection_of_a_server() {
    for packet in each_packet() {
        let name = packet.packet_type();
        let mut script = Script::connected();
        script.receive(packet);
        let refused = matches!(
            name,
            PacketType::Connect
                | PacketType::ConnAck
                | PacketType::Subscribe
                | PacketType::SubAck
                | PacketType::Unsubscribe
                | PacketType::UnsubAck
                | PacketType::PingReq
                | PacketType::Auth
        );
        if refused {
            assert_eq!(script.violated(), ["DISCONNECT 0x82"], "{name}");
        } else if name != PacketType::Disconnect {
            assert!(script.session.is_connected(), "{name}");
        }
    }
}

#[test]
fn an_acknowledgement_of_another_kind_ends_the_connection() {
    fn check<S: Side>() {
        let cases = [
            (QOS1, vec![pubrec(1)]),
            (QOS1, vec![pubcomp(1)]),
            (QOS2, vec![puback(1)]),
            (QOS2, vec![pubcomp(1)]),
            (QOS2, vec![pubrec(1), puback(1)]),
        ];
        for (qos, packets) in cases {
            let mut script = S::open(10);
            script.submit(message(qos, "a"), 0);
            script.sent();
            for packet in packets {
                script.sent();
                script.receive(packet);
            }
            assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
        }
    }
    both_roles!(check);
}

fn aliased(alias: u16, name: Option<&str>) -> Packet {
    let mut publish = Publish::new(topic("t"), "a");
    let alias = TopicAlias::new(alias).unwrap();
    publish.properties.set_topic_alias(alias);
    publish.topic = match name {
        Some(name) => PublishTopic::Name(topic(name)),
        None => PublishTopic::Alias(alias),
    };
    Packet::Publish(publish)
}

/// [MQTT-3.3.2-10] Every alias up to our own maximum is taken, [MQTT-3.3.2-7] on its own connection.
#[test]
fn an_alias_stands_for_the_topic_it_last_came_with_on_its_connection() {
    let change = |config: &mut ClientConfig| {
        config.connect.properties.set_topic_alias_maximum(3);
    };
    let mut script = Script::client_with(change, connack(false));
    for packet in [
        aliased(3, Some("x")),
        aliased(1, Some("y")),
        aliased(3, None),
        aliased(1, Some("z")),
        aliased(1, None),
    ] {
        script.receive(packet);
    }
    let topics: Vec<_> = script
        .events_in_full()
        .into_iter()
        .map(|event| match event {
            ClientEvent::Message { message, .. } => {
                assert_eq!(message.properties.topic_alias(), None);
                message.topic.as_str().to_owned()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(topics, ["x", "y", "x", "z", "z"]);
    script.cut();
    script.reconnect(connack(true));
    script.receive(aliased(3, None));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"], "it names no topic");
}

#[test]
fn an_alias_above_our_maximum_ends_the_connection() {
    let mut client = Script::connected();
    client.receive(aliased(1, Some("x")));
    assert_eq!(client.violated(), ["DISCONNECT 0x94"]);
    let mut config = ServerConfig::default();
    config.topic_alias_maximum = 2;
    let mut server = Script::server_with(config, connect(), Accept::default());
    server.receive(aliased(2, Some("x")));
    assert_eq!(server.events(), ["message a"]);
    server.receive(aliased(3, Some("x")));
    assert_eq!(server.violated(), ["DISCONNECT 0x94"]);
}

/// [MQTT-3.3.4-6] A client's message has no Subscription Identifier.
#[test]
fn a_subscription_identifier_from_a_client_ends_the_connection() {
    let mut script = Script::accepted();
    let mut publish = Publish::new(topic("t"), "a");
    publish
        .properties
        .add_subscription_identifier(SubscriptionId::new(1).unwrap());
    script.receive(Packet::Publish(publish));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
}

/// [MQTT-3.14.2-2] The session's expiry is the client's to say, the other server is the server's.
#[test]
fn a_disconnect_with_what_its_sender_may_not_say_is_an_error() {
    let mut from_server = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    from_server.properties.set_session_expiry_interval(1);
    let mut client = Script::connected();
    client.receive(Packet::Disconnect(from_server));
    assert_eq!(client.violated(), ["DISCONNECT 0x82"]);
    let mut from_client = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    from_client
        .properties
        .set_server_reference(&text("elsewhere"));
    let mut server = Script::accepted();
    server.receive(Packet::Disconnect(from_client));
    assert_eq!(server.violated(), ["DISCONNECT 0x82"]);
}

/// [MQTT-4.13.1-1] [MQTT-4.13.2-1] Bytes that are no packet end the connection, with their reason where it may be told.
#[test]
fn garbage_ends_the_connection_in_every_phase() {
    let garbage = || malformed(&[0x30, 0x04, 0x00, 0x02, 0xff, 0xfe]);
    let mut client = Script::client(|_| {});
    client.session.handle_malformed(START, garbage());
    assert!(!client.session.poll_close(), "offline");
    client.session.handle_connected(START);
    client.session.handle_malformed(START, garbage());
    assert_eq!(client.violated(), [""; 0], "before CONNECT");
    client.cut();
    client.dial();
    client.session.handle_malformed(START, garbage());
    assert_eq!(client.violated(), ["DISCONNECT 0x81"], "before CONNACK");
    client.cut();
    client.reconnect(connack(false));
    client.session.handle_malformed(START, garbage());
    assert_eq!(client.violated(), ["DISCONNECT 0x81"], "connected");
    client.session.handle_malformed(START, garbage());
    assert_eq!(client.violated(), [""; 0], "ended");
    client.cut();
    assert_eq!(
        client.events(),
        [
            "disconnected: the other side broke the protocol: PUBLISH: topic name: is not UTF-8 from byte 0 on"
        ]
    );

    let mut server = Script::server(ServerConfig::default());
    server.session.handle_malformed(START, garbage());
    assert_eq!(server.violated(), [""; 0], "before CONNECT");
    let mut server = Script::server(ServerConfig::default());
    server.receive(Packet::Connect(connect().into()));
    server.session.handle_malformed(START, garbage());
    assert_eq!(server.violated(), [""; 0], "before CONNACK");
    server.session.accept(START, Accept::default());
    assert_eq!(server.violated(), [""; 0], "accepted too late");
    let mut server = Script::accepted();
    server.session.handle_malformed(START, garbage());
    assert_eq!(server.violated(), ["DISCONNECT 0x81"], "connected");
    server.cut();
    server.session.handle_malformed(START, garbage());
    assert!(!server.session.poll_close(), "offline");
}

/// [MQTT-3.1.2-1] [MQTT-3.1.2-2] A client of another version, or of another protocol, is told so.
#[test]
fn another_protocol_version_is_answered_with_connack_0x84() {
    let v311 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
    let v31 = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01c";
    for connect in [&v311[..], &v31[..]] {
        let mut script = Script::server(ServerConfig::default());
        script.session.handle_malformed(START, malformed(connect));
        assert_eq!(script.violated(), ["CONNACK 0x84"]);
    }
    let mut script = Script::accepted();
    script.session.handle_malformed(START, malformed(v311));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"], "not the first");
    let mut script = Script::connected();
    script.session.handle_malformed(START, malformed(v311));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"], "from a server");
}

/// [MQTT-3.14.2-1] A client says only what a client may, also of a packet that only clients send.
#[test]
fn a_malformed_packet_of_the_wrong_direction_is_a_protocol_error() {
    let subscribe = b"\x82\x08\x00\x01\x00\x00\x02a#\x00";
    let error = malformed(subscribe);
    assert_eq!(error.reason(), ReasonCode::TopicFilterInvalid);
    let mut client = Script::connected();
    client.session.handle_malformed(START, error);
    assert_eq!(client.violated(), ["DISCONNECT 0x82"]);
    let mut server = Script::accepted();
    server.session.handle_malformed(START, error);
    assert_eq!(server.violated(), ["DISCONNECT 0x8F"]);
}

#[test]
fn a_packet_over_our_limit_is_answered_with_0x95() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        let mut bytes = bytes::BytesMut::from(&b"\x30\xff\x7f"[..]);
        let error = decode(&mut bytes, &Limits::new(1000)).unwrap_err();
        script.session.handle_malformed(script.now, error);
        assert_eq!(script.violated(), ["DISCONNECT 0x95"]);
    }
    both_roles!(check);
}

/// What a peer can cause to be queued is bounded: the stream has to wait.
#[test]
fn a_peer_that_sends_and_does_not_read_is_not_listened_to_any_more() {
    let mut config = ServerConfig::default();
    config.receive_maximum = core::num::NonZeroU16::new(10).unwrap();
    let floods: [fn() -> Packet; 4] = [
        || Packet::PingReq,
        || pubrel(1),
        || pubrec(1),
        || again(publish(QOS2, 1, "a")),
    ];
    for flood in floods {
        let mut script = Script::server_with(config.clone(), connect(), Accept::default());
        script.receive(publish(QOS2, 1, "a"));
        script.events();
        script.answer(0);
        let mut taken = 0;
        while script.session.is_ready() && taken < 100_000 {
            script.receive(flood());
            taken += 1;
        }
        assert!(taken < 1000, "{taken}");
        script.packets();
        assert!(script.session.is_ready());
    }
}

#[test]
fn a_peer_whose_messages_nobody_takes_is_not_listened_to_any_more() {
    fn check<S: Side>() {
        let mut script = S::open(10);
        let mut taken = 0;
        while script.session.is_ready() && taken < 100_000 {
            script.receive(publish(QOS0, 0, "a"));
            taken += 1;
        }
        assert!(taken <= 1024, "{taken}");
        script.events();
        assert!(script.session.is_ready());
    }
    both_roles!(check);
}
