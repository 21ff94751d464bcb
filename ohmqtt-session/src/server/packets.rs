//! What a server session makes of each packet.

use alloc::boxed::Box;
use ohmqtt_codec::{
    Connect, Disconnect, MqttString, Packet, PacketType, Publish, ReasonCode, Subscribe,
};

use super::{Client, Phase, ServerEvent, ServerSession};
use crate::connection::{PeerLimits, unexpected};
use crate::direction::{self, Role};
use crate::error::{DisconnectCause, ProtocolError};

impl ServerSession {
    pub(super) fn handle_connect(&mut self, connect: Box<Connect>) {
        let said = &connect.properties;
        let session_expiry_interval = said.session_expiry_interval().unwrap_or(0);
        self.client = Client {
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
            session_expiry_interval,
            may_prolong: session_expiry_interval > 0,
            // [MQTT-3.1.2-7] The will is stored with the session.
            will: connect.will.clone().map(Box::new),
            method: said
                .authentication_method()
                .and_then(|method| MqttString::try_from(method).ok()),
            response_information: said.request_response_information().unwrap_or(false),
            problem_information: said.request_problem_information().unwrap_or(true),
            ..Client::default()
        };
        let default = PeerLimits::default();
        self.exchange.connection.met(PeerLimits {
            // [MQTT-4.9.0-1] The send quota begins at the client's Receive Maximum.
            receive_maximum: said.receive_maximum().unwrap_or(default.receive_maximum),
            maximum_packet_size: said
                .maximum_packet_size()
                .map_or(default.maximum_packet_size, core::num::NonZeroU32::get),
            topic_alias_maximum: said.topic_alias_maximum().unwrap_or(0),
            ..default
        });
        self.exchange.problem_information = self.client.problem_information;
        self.phase = Phase::AwaitAccept;
        self.exchange
            .events
            .push_back(ServerEvent::Connect(connect));
    }

    pub(super) fn handle_connected_packet(&mut self, packet: Packet) -> Result<(), ProtocolError> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => self.exchange.handle_puback(ack),
            Packet::PubRec(ack) => self.exchange.handle_pubrec(ack),
            Packet::PubRel(ack) => {
                self.exchange.handle_pubrel(&ack);
                Ok(())
            }
            Packet::PubComp(ack) => self.exchange.handle_pubcomp(ack),
            Packet::Subscribe(subscribe) => self.handle_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                self.exchange
                    .events
                    .push_back(ServerEvent::Unsubscribe(unsubscribe));
                Ok(())
            }
            // [MQTT-3.12.4-1] PINGREQ is answered by PINGRESP.
            Packet::PingReq => {
                self.exchange.connection.control.push_back(Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.handle_disconnect(disconnect),
            Packet::Auth(auth) => self.handle_auth(&auth),
            // [MQTT-3.1.0-2] A second CONNECT is a protocol error, like all that only a server sends.
            other => Err(unexpected(
                other.packet_type(),
                "from a client, after CONNECT",
            )),
        }
    }

    fn handle_publish(&mut self, publish: Publish) -> Result<(), ProtocolError> {
        // [MQTT-3.3.4-6] A client sends no Subscription Identifier.
        if publish
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            return Err(ProtocolError::WrongDirection {
                packet: PacketType::Publish,
                field: "Subscription Identifier",
            });
        }
        let maximum = self.client.offered.maximum_qos;
        if publish.delivery.qos() > maximum {
            return Err(ProtocolError::QosNotSupported { maximum });
        }
        if publish.retain && !self.client.offered.retain {
            return Err(ProtocolError::RetainNotSupported);
        }
        self.exchange
            .handle_publish(publish, |message, receipt| ServerEvent::Message {
                message,
                receipt,
            })
    }

    /// What CONNACK says there is none of is a protocol error (sections 3.2.2.3.11 to 13). A QoS above the maximum is none: less is granted.
    fn handle_subscribe(&mut self, subscribe: Subscribe) -> Result<(), ProtocolError> {
        let offered = &self.client.offered;
        let identifier = subscribe.properties.subscription_identifier();
        if identifier.is_some() && !offered.identifiers {
            return Err(ProtocolError::IdentifiersNotSupported);
        }
        if !(offered.shared && offered.wildcards) {
            for (filter, _) in subscribe.filters.iter() {
                if filter.is_shared() && !offered.shared {
                    return Err(ProtocolError::SharedNotSupported);
                }
                if filter.has_wildcards() && !offered.wildcards {
                    return Err(ProtocolError::WildcardsNotSupported);
                }
            }
        }
        self.exchange
            .events
            .push_back(ServerEvent::Subscribe(subscribe));
        Ok(())
    }

    pub(super) fn handle_disconnect(
        &mut self,
        disconnect: Disconnect,
    ) -> Result<(), ProtocolError> {
        direction::check(Role::Client, &disconnect)?;
        if let Some(interval) = disconnect.properties.session_expiry_interval() {
            // 3.14.2.2.2: a session that was to end with the connection cannot be prolonged at its end.
            if !self.client.may_prolong && interval != 0 {
                return Err(unexpected(
                    PacketType::Disconnect,
                    "with a Session Expiry Interval after CONNECT had none",
                ));
            }
            self.client.session_expiry_interval = interval;
        }
        // [MQTT-3.14.4-3] [MQTT-3.1.2-10] A normal disconnection takes the will with it.
        if disconnect.reason == ReasonCode::NORMAL_DISCONNECTION {
            self.client.will = None;
        }
        self.exchange
            .connection
            .abort(None, DisconnectCause::ByPeer(disconnect.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use ohmqtt_codec::{
        Ack, AckProperties, Auth, AuthProperties, ConnAck, ConnAckProperties, ConnectProperties,
        DisconnectProperties, PacketId, PublishProperties, ReasonCodes, SubAck, SubAckProperties,
        TopicName,
    };

    use super::*;
    use crate::{Accept, Instant, ServerConfig, Session};

    fn text(text: &str) -> MqttString {
        MqttString::try_from(text).unwrap()
    }

    macro_rules! told {
        ($properties:ty, $tells:expr) => {{
            let mut properties = <$properties>::default();
            if $tells {
                properties.set_reason_string(&text("because"));
                properties.add_user_property(&text("name"), &text("value"));
            }
            properties
        }};
    }

    /// Every packet of a server that may tell more than a code, telling it or not.
    fn packets(acks_tell: bool, others_tell: bool) -> Vec<Packet> {
        let packet_id = PacketId::new(1).unwrap();
        let ack = || {
            let mut ack = Ack::with_reason(packet_id, ReasonCode::UnspecifiedError);
            ack.properties = told!(AckProperties, acks_tell);
            ack
        };
        let suback = || SubAck {
            packet_id,
            properties: told!(SubAckProperties, acks_tell),
            codes: ReasonCodes::new(ReasonCode::UnspecifiedError),
        };
        let mut publish = Publish::new(TopicName::new("t").unwrap(), "x");
        publish.properties = PublishProperties::default();
        if others_tell {
            let properties = &mut publish.properties;
            properties.add_user_property(&text("name"), &text("value"));
        }
        let mut disconnect = Disconnect::new(ReasonCode::ServerBusy);
        disconnect.properties = told!(DisconnectProperties, others_tell);
        let connack = ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: told!(ConnAckProperties, others_tell),
        };
        vec![
            Packet::ConnAck(connack.into()),
            Packet::Publish(publish),
            Packet::PubAck(ack()),
            Packet::PubRec(ack()),
            Packet::PubRel(ack()),
            Packet::PubComp(ack()),
            Packet::SubAck(suback()),
            Packet::UnsubAck(suback()),
            Packet::Auth(Auth {
                reason: ReasonCode::ContinueAuthentication,
                properties: told!(AuthProperties, acks_tell),
            }),
            Packet::Disconnect(disconnect),
        ]
    }

    fn connect(properties: ConnectProperties) -> Packet {
        let connect = Connect {
            client_id: text("c"),
            clean_start: true,
            keep_alive: 0,
            properties,
            will: None,
            user_name: None,
            password: None,
        };
        Packet::Connect(connect.into())
    }

    /// [MQTT-3.14.0-1] [MQTT-3.1.2-24] No DISCONNECT comes before a CONNACK.
    #[test]
    fn an_auth_that_is_too_large_before_connack_ends_the_connection_without_a_word() {
        let now = Instant::default();
        for (size, want) in [(13, true), (12, false)] {
            let mut session = ServerSession::new(now, ServerConfig::default());
            session.handle_connected(now);
            let mut properties = ConnectProperties::default();
            properties.set_authentication(&text("method"), None);
            properties.set_maximum_packet_size(core::num::NonZeroU32::new(size).unwrap());
            session.handle_packet(now, connect(properties));
            let mut properties = AuthProperties::default();
            properties.set_authentication(&text("method"), None);
            session
                .exchange
                .connection
                .control
                .push_back(Packet::Auth(Auth {
                    reason: ReasonCode::ContinueAuthentication,
                    properties,
                }));
            let sent = session.poll_packet(now);
            assert_eq!(matches!(sent, Some(Packet::Auth(_))), want, "{sent:?}");
            assert_eq!(sent.is_some(), want);
            assert_eq!(session.poll_close(), !want);
        }
    }

    /// [MQTT-3.1.2-29] Who wants none gets Reason String and User Properties with PUBLISH, CONNACK and DISCONNECT alone; who wants it, or
    /// does not say, with every packet.
    #[test]
    fn problem_information_stands_where_the_client_wants_it() {
        for (said, wants) in [(None, true), (Some(true), true), (Some(false), false)] {
            let now = Instant::default();
            let mut session = ServerSession::new(now, ServerConfig::default());
            session.handle_connected(now);
            let mut properties = ConnectProperties::default();
            if let Some(said) = said {
                properties.set_request_problem_information(said);
            }
            session.handle_packet(now, connect(properties));
            session.accept(now, Accept::default());
            assert!(matches!(session.poll_packet(now), Some(Packet::ConnAck(_))));
            for (packet, want) in packets(true, true).into_iter().zip(packets(wants, true)) {
                session.exchange.connection.control.push_back(packet);
                assert_eq!(session.poll_packet(now), Some(want), "{said:?}");
            }
        }
    }
}
