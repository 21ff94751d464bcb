//! What a server session makes of each packet.

use alloc::boxed::Box;
use ohmqtt_codec::{
    Connect, Disconnect, MqttString, Packet, PacketType, Publish, ReasonCode, Subscribe,
};

use super::{Client, Phase, ServerEvent, ServerSession};
use crate::connection::{PeerLimits, unexpected};
use crate::direction::{self, Role};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::Incoming;

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
        if let Some(Incoming { message, receipt }) = self.exchange.handle_publish(publish)? {
            self.exchange
                .events
                .push_back(ServerEvent::Message { message, receipt });
        }
        Ok(())
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
