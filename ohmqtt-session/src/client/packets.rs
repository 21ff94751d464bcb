//! What a client session makes of each packet.

use core::time::Duration;
use ohmqtt_codec::{ConnAck, MqttString, Packet, PacketType, SubAck};

use super::{ClientEvent, ClientSession, Phase};
use crate::Instant;
use crate::connection::{PeerLimits, unexpected};
use crate::direction::{self, Role};
use crate::error::{DisconnectCause, ProtocolError};
use crate::exchange::Exchange;
use crate::flows::RequestKind;

impl ClientSession {
    /// What a server says before it has accepted the connection.
    pub(super) fn handle_first_packet(
        &mut self,
        now: Instant,
        packet: Packet,
    ) -> Result<(), ProtocolError> {
        match packet {
            other if self.connect_due => Err(unexpected(other.packet_type(), "before CONNECT")),
            Packet::ConnAck(connack) => self.handle_connack(now, *connack),
            Packet::Auth(auth) => self.handle_auth(&auth),
            other => Err(unexpected(other.packet_type(), "before CONNACK")),
        }
    }

    pub(super) fn handle_connack(
        &mut self,
        now: Instant,
        connack: ConnAck,
    ) -> Result<(), ProtocolError> {
        if connack.reason.is_error() {
            self.abort(None, DisconnectCause::Refused(connack.into()));
            return Ok(());
        }
        self.handle_connack_method(now, connack)
    }

    /// The server has accepted the connection, and is who it should be.
    pub(super) fn handle_accepted(
        &mut self,
        now: Instant,
        connack: ConnAck,
    ) -> Result<(), ProtocolError> {
        if connack.session_present && !self.has_session {
            // [MQTT-3.2.2-4] The server resumes what this side does not have.
            return Err(ProtocolError::SessionPresent);
        }
        let Exchange {
            connection, events, ..
        } = &mut self.exchange;
        connection.settle();
        connection.met(limits(&connack));
        // [MQTT-3.2.2-21] [MQTT-3.1.2-21] The server's Keep Alive stands in place of ours.
        let keep_alive = connack
            .properties
            .server_keep_alive()
            .unwrap_or(self.config.connect.keep_alive);
        connection.keep_alive = Duration::from_secs(keep_alive.into());
        if let Some(id) = connack
            .properties
            .assigned_client_identifier()
            .and_then(|id| MqttString::try_from(id).ok())
        {
            self.client_id = id;
        }
        self.phase = Phase::Connected { ping: None };
        connection.last_received = now;
        let lost = self.has_session && !connack.session_present;
        self.has_session = true;
        self.session_present = Some(connack.session_present);
        let asked = self.config.connect.properties.session_expiry_interval();
        let expiry = connack.properties.session_expiry_interval().or(asked);
        let kept = core::mem::replace(&mut self.keeps_session, expiry.unwrap_or(0) > 0);
        events.push_back(ClientEvent::Connected(connack.into()));
        if lost {
            // [MQTT-3.2.2-5] What this side holds of the old session means nothing to the server.
            self.lose_session(kept);
        }
        self.exchange.resume();
        Ok(())
    }

    pub(super) fn handle_connected_packet(&mut self, packet: Packet) -> Result<(), ProtocolError> {
        match packet {
            Packet::Publish(publish) => {
                self.exchange
                    .handle_publish(publish, |message, receipt| ClientEvent::Message {
                        message,
                        receipt,
                    })
            }
            Packet::PubAck(ack) => self.exchange.handle_puback(ack),
            Packet::PubRec(ack) => self.exchange.handle_pubrec(ack),
            Packet::PubRel(ack) => {
                self.exchange.handle_pubrel(&ack);
                Ok(())
            }
            Packet::PubComp(ack) => self.exchange.handle_pubcomp(ack),
            Packet::SubAck(suback) => {
                self.handle_suback(suback, RequestKind::Subscribe, PacketType::SubAck)
            }
            Packet::UnsubAck(unsuback) => {
                self.handle_suback(unsuback, RequestKind::Unsubscribe, PacketType::UnsubAck)
            }
            Packet::PingResp => {
                self.phase = Phase::Connected { ping: None };
                Ok(())
            }
            Packet::Disconnect(disconnect) => {
                direction::check(Role::Server, &disconnect)?;
                self.abort(None, DisconnectCause::ByPeer(disconnect.into()));
                Ok(())
            }
            Packet::Auth(auth) => self.handle_auth(&auth),
            other => Err(unexpected(
                other.packet_type(),
                "from a server, after CONNACK",
            )),
        }
    }

    fn handle_suback(
        &mut self,
        answer: SubAck,
        kind: RequestKind,
        packet: PacketType,
    ) -> Result<(), ProtocolError> {
        let Exchange { flows, events, .. } = &mut self.exchange;
        let Some(request) = flows.sender.end_request(answer.packet_id, kind) else {
            return Err(unexpected(
                packet,
                "without a request of this packet identifier",
            ));
        };
        let (got, want) = (answer.codes.len(), request.filters);
        if got != want {
            let ticket = request.ticket;
            events.push_back(ClientEvent::RequestLost { ticket });
            return Err(ProtocolError::CodesMismatch { packet, got, want });
        }
        events.push_back(match kind {
            RequestKind::Subscribe => ClientEvent::Subscribed {
                ticket: request.ticket,
                suback: answer,
            },
            RequestKind::Unsubscribe => ClientEvent::Unsubscribed {
                ticket: request.ticket,
                unsuback: answer,
            },
        });
        Ok(())
    }
}

fn limits(connack: &ConnAck) -> PeerLimits {
    let said = &connack.properties;
    let default = PeerLimits::default();
    PeerLimits {
        // [MQTT-4.9.0-1] The send quota begins at the server's Receive Maximum.
        receive_maximum: said.receive_maximum().unwrap_or(default.receive_maximum),
        maximum_packet_size: said
            .maximum_packet_size()
            .map_or(default.maximum_packet_size, core::num::NonZeroU32::get),
        maximum_qos: said.maximum_qos().unwrap_or(default.maximum_qos),
        retain_available: said.retain_available().unwrap_or(default.retain_available),
        topic_alias_maximum: said
            .topic_alias_maximum()
            .unwrap_or(default.topic_alias_maximum),
        wildcard_subscription_available: said
            .wildcard_subscription_available()
            .unwrap_or(default.wildcard_subscription_available),
        subscription_identifiers_available: said
            .subscription_identifier_available()
            .unwrap_or(default.subscription_identifiers_available),
        shared_subscription_available: said
            .shared_subscription_available()
            .unwrap_or(default.shared_subscription_available),
    }
}
