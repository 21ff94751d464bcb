//! A client and a server that authenticate each other, packet by packet.

use super::*;
use crate::{
    Accept, ClientConfig, DisconnectCause, Instant, ServerConfig, ServerEvent, ServerSession,
    Session,
};
use ohmqtt_codec::{ConnAckProperties, Disconnect, Publish, TopicName};

const NOW: Instant = Instant::from_unix_micros(1_000_000);

/// A client that names this method, and a server that got its CONNECT.
fn pair(method: Option<&str>) -> (ClientSession, ServerSession) {
    let mut config = ClientConfig::new(text("client"));
    if let Some(method) = method {
        config
            .connect
            .properties
            .set_authentication(&text(method), None);
    }
    let mut client = ClientSession::new(config);
    let mut server = ServerSession::new(NOW, ServerConfig::default());
    client.handle_connected(NOW);
    server.handle_connected(NOW);
    carry(&mut client, &mut server);
    assert!(matches!(server.poll_event(), Some(ServerEvent::Connect(_))));
    (client, server)
}

/// The pair, connected.
fn connected(method: &str) -> (ClientSession, ServerSession) {
    let (mut client, mut server) = pair(Some(method));
    server.accept(NOW, Accept::default());
    carry(&mut server, &mut client);
    let verify = ClientEvent::Verify { data: None };
    assert_eq!(client.poll_event(), Some(verify));
    client.verified(NOW);
    assert!(matches!(
        client.poll_event(),
        Some(ClientEvent::Connected(_))
    ));
    (client, server)
}

fn carry(from: &mut impl Session, to: &mut impl Session) -> usize {
    core::iter::from_fn(|| from.poll_packet(NOW))
        .map(|packet| to.handle_packet(NOW, packet))
        .count()
}

fn text(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

fn data(bytes: &[u8]) -> Binary {
    Binary::try_from(bytes).unwrap()
}

fn auth(reason: ReasonCode, method: &str) -> Packet {
    let mut properties = AuthProperties::default();
    properties.set_authentication(&text(method), None);
    Packet::Auth(Auth { reason, properties })
}

/// The DISCONNECT that a session ends with, if it does.
fn last_word(session: &mut impl Session) -> Option<ReasonCode> {
    let last = core::iter::from_fn(|| session.poll_packet(NOW)).last();
    assert!(session.poll_close());
    match last {
        Some(Packet::Disconnect(disconnect)) => Some(disconnect.reason),
        _ => None,
    }
}

/// [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] Each AUTH says Continue and repeats the method, and so does CONNACK.
#[test]
fn an_exchange_goes_to_and_fro_before_connack() {
    let (mut client, mut server) = pair(Some("SCRAM"));
    assert_eq!(server.authentication_method(), Some(&text("SCRAM")));
    for round in 0..3 {
        server.authenticate(Some(&data(&[round])));
        assert!(server.is_ready());
        let Some(Packet::Auth(sent)) = server.poll_packet(NOW) else {
            panic!()
        };
        assert_eq!(sent.reason, ReasonCode::ContinueAuthentication);
        assert_eq!(sent.properties.authentication_method(), Some("SCRAM"));
        client.handle_packet(NOW, Packet::Auth(sent));
        assert_eq!(
            client.poll_event(),
            Some(ClientEvent::Authenticate {
                data: Some(data(&[round]))
            })
        );
        client.authenticate(Some(&data(&[round, 1])));
        let Some(Packet::Auth(sent)) = client.poll_packet(NOW) else {
            panic!()
        };
        assert_eq!(sent.reason, ReasonCode::ContinueAuthentication);
        assert_eq!(sent.properties.authentication_method(), Some("SCRAM"));
        server.handle_packet(NOW, Packet::Auth(sent));
        assert_eq!(
            server.poll_event(),
            Some(ServerEvent::Authenticate {
                data: Some(data(&[round, 1]))
            })
        );
    }
    let mut accept = Accept::default();
    accept
        .properties
        .set_authentication(&text("forged"), Some(&data(b"end")));
    server.accept(NOW, accept);
    carry(&mut server, &mut client);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Verify {
            data: Some(data(b"end"))
        })
    );
    client.verified(NOW);
    let Some(ClientEvent::Connected(connack)) = client.poll_event() else {
        panic!()
    };
    assert_eq!(connack.properties.authentication_method(), Some("SCRAM"));
    assert_eq!(connack.properties.authentication_data(), Some(&b"end"[..]));
}

/// A client that was connected before, with an unacknowledged message, and the verdict on the next server asked of it.
fn before_the_verdict() -> (ClientSession, ServerSession) {
    let (mut client, _) = connected("SCRAM");
    let mut message = crate::Message::new(TopicName::new("t").unwrap(), "");
    message.qos = ohmqtt_codec::Qos::AtLeastOnce;
    client
        .publish(NOW, message, crate::PublishOptions::default())
        .unwrap();
    while client.poll_packet(NOW).is_some() {}
    let mut server = ServerSession::new(NOW, ServerConfig::default());
    client.handle_connected(NOW);
    server.handle_connected(NOW);
    carry(&mut client, &mut server);
    server.accept(NOW, Accept::default());
    carry(&mut server, &mut client);
    let verdict = core::iter::from_fn(|| client.poll_event()).last();
    assert_eq!(verdict, Some(ClientEvent::Verify { data: None }));
    (client, server)
}

#[test]
fn nothing_happens_before_the_verdict_on_the_server() {
    let (mut client, _) = before_the_verdict();
    assert!(!client.is_ready() && !client.is_connected());
    assert_eq!(client.poll_packet(NOW), None);
    assert_eq!(client.poll_event(), None);
    client.verified(NOW);
    assert!(client.is_ready() && client.is_connected());
    let events: alloc::vec::Vec<_> = core::iter::from_fn(|| client.poll_event()).collect();
    // The server had no session: what was sent under the old one is lost.
    assert!(matches!(events[0], ClientEvent::Connected(_)));
    assert!(
        events[1..]
            .iter()
            .any(|event| matches!(event, ClientEvent::Lost { .. }))
    );
    client.verified(NOW);
    assert_eq!(client.poll_event(), None);
}

#[test]
fn an_impostor_is_left_and_its_word_on_the_session_forgotten() {
    let (mut client, mut server) = before_the_verdict();
    client.fail_authentication();
    assert!(client.is_ready());
    client.verified(NOW);
    assert_eq!(last_word(&mut client), Some(ReasonCode::UnspecifiedError));
    client.handle_disconnected(NOW);
    let ended = DisconnectCause::ByUs(ReasonCode::UnspecifiedError);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Disconnected(ended.clone()))
    );
    assert_eq!(client.poll_event(), None);
    assert_eq!(client.queued().0, 1);
    client.handle_connected(NOW);
    let Some(Packet::Connect(connect)) = client.poll_packet(NOW) else {
        panic!()
    };
    assert!(!connect.clean_start);
    let packet = Packet::Disconnect(Disconnect::new(ReasonCode::UnspecifiedError));
    server.handle_packet(NOW, packet);
    assert!(server.poll_close());
}

#[test]
fn a_second_connack_before_the_verdict_is_an_error() {
    let (mut client, _) = before_the_verdict();
    let mut properties = ConnAckProperties::default();
    properties.set_authentication(&text("SCRAM"), None);
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties,
    };
    client.handle_packet(NOW, Packet::ConnAck(connack.into()));
    assert_eq!(last_word(&mut client), Some(ReasonCode::ProtocolError));
}

#[test]
fn a_caller_without_a_verdict_is_out_of_time_as_a_server_would_be() {
    let (mut client, _) = before_the_verdict();
    let deadline = client.poll_timeout().unwrap();
    client.handle_timeout(deadline);
    assert_eq!(last_word(&mut client), None);
    client.handle_disconnected(deadline);
    let cause = DisconnectCause::ConnectTimeout;
    assert_eq!(client.poll_event(), Some(ClientEvent::Disconnected(cause)));
}

#[test]
fn each_connect_says_what_was_set_last() {
    let (mut client, mut server) = connected("SCRAM");
    let (user, password) = (text("user"), data(b"secret"));
    client.set_credentials(Some(user.clone()), Some(password.clone()));
    client.set_authentication(&text("OTHER"), Some(&data(b"first")));
    assert!(!alloc::format!("{client:?}").contains("secret"));
    // The connection that stands keeps its method.
    client.reauthenticate(None);
    carry(&mut client, &mut server);
    assert!(server.is_connected());
    client.handle_connected(NOW);
    let Some(Packet::Connect(connect)) = client.poll_packet(NOW) else {
        panic!()
    };
    assert_eq!(connect.user_name, Some(user));
    assert_eq!(connect.password, Some(password));
    let properties = &connect.properties;
    assert_eq!(properties.authentication_method(), Some("OTHER"));
    assert_eq!(properties.authentication_data(), Some(&b"first"[..]));
}

/// [MQTT-4.12.0-4] A refusal in the middle is a CONNACK with an error, and the end.
#[test]
fn a_refused_exchange_ends_with_connack() {
    let (mut client, mut server) = pair(Some("SCRAM"));
    server.authenticate(None);
    carry(&mut server, &mut client);
    client.authenticate(None);
    carry(&mut client, &mut server);
    server.refuse(ReasonCode::NotAuthorized, ConnAckProperties::default());
    carry(&mut server, &mut client);
    assert!(server.poll_close() && client.poll_close());
    client.handle_disconnected(NOW);
    let events: alloc::vec::Vec<_> = core::iter::from_fn(|| client.poll_event()).collect();
    let Some(ClientEvent::Disconnected(DisconnectCause::Refused(connack))) = events.last() else {
        panic!()
    };
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
}

/// [MQTT-3.1.2-30] Before CONNACK a client that authenticates sends AUTH or DISCONNECT; the server takes nothing else.
#[test]
fn nothing_but_auth_or_disconnect_comes_before_connack() {
    let publish = Publish::new(TopicName::new("t").unwrap(), "");
    let (mut client, mut server) = pair(Some("SCRAM"));
    client
        .publish(
            NOW,
            crate::Message::new(TopicName::new("t").unwrap(), ""),
            crate::PublishOptions {
                keep_offline: true,
                ..Default::default()
            },
        )
        .unwrap();
    server.authenticate(None);
    carry(&mut server, &mut client);
    assert_eq!(client.poll_packet(NOW), None);
    server.handle_packet(NOW, Packet::Publish(publish));
    assert_eq!(last_word(&mut server), None);
    let (_, mut server) = pair(Some("SCRAM"));
    server.authenticate(None);
    server.handle_packet(
        NOW,
        Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)),
    );
    server.handle_disconnected(NOW);
    let Some(ServerEvent::Disconnected { cause, .. }) = server.poll_event() else {
        panic!()
    };
    assert!(matches!(cause, DisconnectCause::ByPeer(_)));
}

/// [MQTT-4.12.1-1] AUTH 0x19 with the method of CONNECT, and messages go on meanwhile.
#[test]
fn a_client_authenticates_again_on_the_same_connection() {
    let (mut client, mut server) = connected("SCRAM");
    assert!(client.reauthenticate(Some(&data(b"again"))));
    assert!(!client.reauthenticate(None));
    let Some(Packet::Auth(sent)) = client.poll_packet(NOW) else {
        panic!()
    };
    assert_eq!(sent.reason, ReasonCode::ReAuthenticate);
    assert_eq!(sent.properties.authentication_method(), Some("SCRAM"));
    server.handle_packet(NOW, Packet::Auth(sent));
    assert_eq!(
        server.poll_event(),
        Some(ServerEvent::Authenticate {
            data: Some(data(b"again"))
        })
    );
    server.authenticate(Some(&data(b"more")));
    carry(&mut server, &mut client);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Authenticate {
            data: Some(data(b"more"))
        })
    );
    client.authenticate(None);
    carry(&mut client, &mut server);
    assert_eq!(
        server.poll_event(),
        Some(ServerEvent::Authenticate { data: None })
    );
    server.authenticated(Some(&data(b"done")));
    carry(&mut server, &mut client);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Authenticated {
            data: Some(data(b"done"))
        })
    );
    assert!(client.is_connected() && server.is_connected());
    assert!(client.reauthenticate(None));
}

/// [MQTT-4.12.1-2] A re-authentication that failed ends with a DISCONNECT.
#[test]
fn a_failed_re_authentication_ends_the_connection() {
    let (mut client, mut server) = connected("SCRAM");
    client.reauthenticate(None);
    carry(&mut client, &mut server);
    server.disconnect(Disconnect::new(ReasonCode::NotAuthorized));
    assert_eq!(last_word(&mut server), Some(ReasonCode::NotAuthorized));
}

/// [MQTT-4.12.0-6] [MQTT-4.12.0-7] Without a method in CONNECT no side sends AUTH, and one that comes is an error.
#[test]
fn without_a_method_there_is_no_auth() {
    let (mut client, mut server) = pair(None);
    server.authenticate(None);
    assert_eq!(server.poll_packet(NOW), None);
    let mut accept = Accept::default();
    accept.properties.set_authentication(&text("SCRAM"), None);
    server.accept(NOW, accept);
    carry(&mut server, &mut client);
    let Some(ClientEvent::Connected(connack)) = client.poll_event() else {
        panic!()
    };
    assert_eq!(connack.properties.authentication_method(), None);
    assert!(!client.reauthenticate(None));
    assert_eq!(client.poll_packet(NOW), None);
    client.handle_packet(NOW, auth(ReasonCode::ContinueAuthentication, "SCRAM"));
    assert_eq!(last_word(&mut client), Some(ReasonCode::ProtocolError));
    server.handle_packet(NOW, auth(ReasonCode::ReAuthenticate, "SCRAM"));
    assert_eq!(last_word(&mut server), Some(ReasonCode::ProtocolError));
}

/// [MQTT-4.12.0-5] [MQTT-4.12.1-1] Another method than CONNECT's is an error on both sides.
#[test]
fn another_method_is_an_error() {
    let (mut client, mut server) = connected("SCRAM");
    client.reauthenticate(None);
    carry(&mut client, &mut server);
    client.handle_packet(NOW, auth(ReasonCode::ContinueAuthentication, "OTHER"));
    assert_eq!(last_word(&mut client), Some(ReasonCode::ProtocolError));
    server.handle_packet(NOW, auth(ReasonCode::ContinueAuthentication, "OTHER"));
    assert_eq!(last_word(&mut server), Some(ReasonCode::ProtocolError));
}

/// An AUTH that no exchange waits for is an error in every state.
#[test]
fn an_auth_out_of_turn_is_an_error() {
    for reason in [
        ReasonCode::Success,
        ReasonCode::ContinueAuthentication,
        ReasonCode::ReAuthenticate,
    ] {
        let (mut client, _) = connected("SCRAM");
        client.handle_packet(NOW, auth(reason, "SCRAM"));
        assert_eq!(
            last_word(&mut client),
            Some(ReasonCode::ProtocolError),
            "{reason} to a client"
        );
    }
    for reason in [ReasonCode::Success, ReasonCode::ContinueAuthentication] {
        let (_, mut server) = connected("SCRAM");
        server.handle_packet(NOW, auth(reason, "SCRAM"));
        assert_eq!(
            last_word(&mut server),
            Some(ReasonCode::ProtocolError),
            "{reason} to a server"
        );
    }
}
