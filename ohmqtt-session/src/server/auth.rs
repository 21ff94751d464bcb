//! Enhanced authentication as a server (section 4.12): a method in CONNECT, then AUTH to and fro, before CONNACK and later.

use ohmqtt_codec::{
    Auth, AuthProperties, Binary, ConnAckProperties, MqttString, Packet, PacketType, ReasonCode,
};

use super::{Phase, ServerEvent, ServerSession};
use crate::connection::unexpected;
use crate::error::ProtocolError;

impl ServerSession {
    /// The Authentication Method that CONNECT named.
    pub fn authentication_method(&self) -> Option<&MqttString> {
        self.client.method.as_ref()
    }

    /// Asks the client for more: AUTH with Continue authentication. Its answer is [`ServerEvent::Authenticate`].
    ///
    /// In place of `accept` or `refuse` while a client asks to connect, or as an answer to [`ServerEvent::Authenticate`]. Does nothing
    /// when neither waits, or CONNECT named no method.
    pub fn authenticate(&mut self, data: Option<&Binary>) {
        match self.phase {
            Phase::AwaitAccept if self.client.method.is_some() => {
                let deadline = self.connect_deadline;
                self.phase = Phase::AwaitAuth { deadline };
            }
            Phase::Connected if self.client.reauthenticating => {}
            _ => return,
        }
        // [MQTT-4.12.0-2] A further AUTH of the server's carries 0x18.
        self.send_auth(ReasonCode::ContinueAuthentication, data);
    }

    /// The client has authenticated itself again: AUTH with Success. Where it has not, end the connection by
    /// [`disconnect`](Self::disconnect) with [`ReasonCode::NotAuthorized`].
    ///
    // [MQTT-4.12.1-2] A failed re-authentication ends the connection with a DISCONNECT.
    pub fn authenticated(&mut self, data: Option<&Binary>) {
        if self.is_connected() && self.client.reauthenticating {
            self.client.reauthenticating = false;
            self.send_auth(ReasonCode::Success, data);
        }
    }

    fn send_auth(&mut self, reason: ReasonCode, data: Option<&Binary>) {
        // [MQTT-4.12.0-6] Without a method in CONNECT there is no AUTH; [MQTT-4.12.0-5] with one, every AUTH repeats it.
        let Some(method) = &self.client.method else {
            return;
        };
        let mut properties = AuthProperties::default();
        properties.set_authentication(method, data);
        let auth = Packet::Auth(Auth { reason, properties });
        self.exchange.connection.control.push_back(auth);
    }

    pub(super) fn handle_auth(&mut self, auth: &Auth) -> Result<(), ProtocolError> {
        let method = self.client.method.as_ref().map(MqttString::as_bytes);
        let theirs = auth.properties.authentication_method().map(str::as_bytes);
        // [MQTT-4.12.0-7] No AUTH where CONNECT named no method, and [MQTT-4.12.0-5] [MQTT-4.12.1-1] the same method where it did.
        if method.is_none() || theirs != method {
            return Err(unexpected(
                PacketType::Auth,
                "of another method than CONNECT named",
            ));
        }
        match (auth.reason, self.phase) {
            (ReasonCode::ContinueAuthentication, Phase::AwaitAuth { .. }) => {
                self.phase = Phase::AwaitAccept;
            }
            (ReasonCode::ReAuthenticate, Phase::Connected) if !self.client.reauthenticating => {
                self.client.reauthenticating = true;
            }
            (ReasonCode::ContinueAuthentication, Phase::Connected)
                if self.client.reauthenticating => {}
            _ => {
                return Err(unexpected(
                    PacketType::Auth,
                    "that no exchange of ours waits for",
                ));
            }
        }
        let data = auth.properties.authentication_data();
        let data = data.and_then(|data| Binary::try_from(data).ok());
        self.exchange
            .events
            .push_back(ServerEvent::Authenticate { data });
        Ok(())
    }

    /// CONNACK repeats the method that CONNECT named, with what the broker adds.
    pub(super) fn announce_method(&self, properties: &mut ConnAckProperties) {
        let data = properties.authentication_data();
        let data = data.and_then(|data| Binary::try_from(data).ok());
        match &self.client.method {
            Some(method) => properties.set_authentication(method, data.as_ref()),
            None => {
                properties.remove_authentication();
            }
        }
    }
}
