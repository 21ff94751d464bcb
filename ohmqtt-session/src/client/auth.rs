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
