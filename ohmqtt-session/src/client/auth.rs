//! Enhanced authentication as a client (section 4.12): a method in CONNECT, then AUTH to and fro, before CONNACK and later.

use ohmqtt_codec::{
    Auth, AuthProperties, Binary, ConnAck, MqttString, Packet, PacketType, ReasonCode,
};

use super::{ClientEvent, ClientSession, Phase};
use crate::connection::unexpected;
use crate::error::ProtocolError;

/// How an exchange of AUTH packets stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Exchanging {
    /// None is under way.
    #[default]
    No,
    /// The server's word is awaited.
    AwaitServer,
    /// The caller's word is awaited.
    AwaitCaller,
}

impl ClientSession {
    /// Answers [`ClientEvent::Authenticate`]. Does nothing when the server did not ask.
    pub fn authenticate(&mut self, data: Option<&Binary>) {
        if self.authenticating == Exchanging::AwaitCaller {
            // [MQTT-4.12.0-3] The client's answer carries 0x18.
            self.send_auth(ReasonCode::ContinueAuthentication, data);
        }
    }

    /// Begins to authenticate again on the connection that stands (section 4.12.1); false when there is none, when CONNECT named no
    /// method, or while an exchange is under way.
    pub fn reauthenticate(&mut self, data: Option<&Binary>) -> bool {
        let may = self.is_connected()
            && self.authenticating == Exchanging::No
            && self.authentication_method().is_some();
        if may {
            self.send_auth(ReasonCode::ReAuthenticate, data);
        }
        may
    }

    fn send_auth(&mut self, reason: ReasonCode, data: Option<&Binary>) {
        // [MQTT-4.12.0-7] Without a method in CONNECT there is no AUTH.
        let Some(method) = self.authentication_method() else {
            return;
        };
        // [MQTT-4.12.0-5] [MQTT-4.12.1-1] Every AUTH repeats the method of CONNECT.
        let mut properties = AuthProperties::default();
        properties.set_authentication(&method, data);
        self.authenticating = Exchanging::AwaitServer;
        let auth = Packet::Auth(Auth { reason, properties });
        self.exchange.connection.control.push_back(auth);
    }

    fn authentication_method(&self) -> Option<MqttString> {
        let method = self.config.connect.properties.authentication_method()?;
        MqttString::try_from(method).ok()
    }

    pub(super) fn handle_auth(&mut self, auth: &Auth) -> Result<(), ProtocolError> {
        let ours = self.config.connect.properties.authentication_method();
        // [MQTT-4.12.0-6] A server sends no AUTH where CONNECT named no method, and [MQTT-4.12.0-5] that method where it did.
        if ours.is_none() || auth.properties.authentication_method() != ours {
            return Err(unexpected(
                PacketType::Auth,
                "of another method than CONNECT named",
            ));
        }
        let data = auth.properties.authentication_data();
        let data = data.and_then(|data| Binary::try_from(data).ok());
        let is_connected = matches!(self.phase, Phase::Connected { .. });
        match (auth.reason, self.authenticating) {
            (ReasonCode::ContinueAuthentication, Exchanging::AwaitServer) => {
                self.authenticating = Exchanging::AwaitCaller;
                let event = ClientEvent::Authenticate { data };
                self.exchange.events.push_back(event);
                Ok(())
            }
            (ReasonCode::Success, Exchanging::AwaitServer) if is_connected => {
                self.authenticating = Exchanging::No;
                let event = ClientEvent::Authenticated { data };
                self.exchange.events.push_back(event);
                Ok(())
            }
            _ => Err(unexpected(
                PacketType::Auth,
                "that no exchange of ours waits for",
            )),
        }
    }

    /// Whether a CONNACK ends the exchange as it must.
    pub(super) fn check_method(&self, connack: &ConnAck) -> Result<(), ProtocolError> {
        let ours = self.config.connect.properties.authentication_method();
        // [MQTT-4.12.0-5] The CONNACK repeats the method; [MQTT-4.12.0-6] without one in CONNECT it has none.
        if connack.properties.authentication_method() == ours {
            Ok(())
        } else {
            Err(unexpected(
                PacketType::ConnAck,
                "of another authentication method than CONNECT named",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
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
        let Some(ClientEvent::Connected(connack)) = client.poll_event() else {
            panic!()
        };
        assert_eq!(connack.properties.authentication_method(), Some("SCRAM"));
        assert_eq!(connack.properties.authentication_data(), Some(&b"end"[..]));
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
        let Some(ClientEvent::Disconnected(DisconnectCause::Refused(connack))) = events.last()
        else {
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
}
