//! Enhanced authentication as a client (section 4.12): a method in CONNECT, then AUTH to and fro, before CONNACK and later.

use alloc::boxed::Box;
use ohmqtt_codec::{
    Auth, AuthProperties, Binary, ConnAck, Disconnect, MqttString, Packet, PacketType, ReasonCode,
};

use super::{ClientEvent, ClientSession, Phase};
use crate::Instant;
use crate::connection::unexpected;
use crate::error::{DisconnectCause, ProtocolError};

/// How an exchange of AUTH packets stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Exchanging {
    /// None is under way.
    #[default]
    No,
    /// The server's word is awaited.
    AwaitServer,
    /// The caller's word is awaited.
    AwaitCaller,
    /// The server has accepted the connection; the caller's verdict on the server is awaited.
    AwaitVerdict(Box<ConnAck>),
}

impl ClientSession {
    /// What the next CONNECT says of the user, in place of what the configuration says (sections 3.1.3.5 and 3.1.3.6). A connection that
    /// stands goes on.
    pub fn set_credentials(&mut self, user_name: Option<MqttString>, password: Option<Binary>) {
        let connect = &mut self.config.connect;
        (connect.user_name, connect.password) = (user_name, password);
    }

    /// The method that the next CONNECT names and what it has to say first, in place of what the configuration says (section 4.12). A
    /// connection that stands goes on.
    pub fn set_authentication(&mut self, method: &MqttString, data: Option<&Binary>) {
        let properties = &mut self.config.connect.properties;
        properties.set_authentication(method, data);
    }

    /// Remembers for the connection what its CONNECT says.
    pub(super) fn begin_exchange(&mut self) {
        let method = self.config.connect.properties.authentication_method();
        self.method = method.and_then(|method| MqttString::try_from(method).ok());
        // A CONNECT that names a method begins an exchange.
        self.authenticating = match self.method {
            Some(_) => Exchanging::AwaitServer,
            None => Exchanging::No,
        };
    }

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
        let may =
            self.is_connected() && self.authenticating == Exchanging::No && self.method.is_some();
        if may {
            self.send_auth(ReasonCode::ReAuthenticate, data);
        }
        may
    }

    fn send_auth(&mut self, reason: ReasonCode, data: Option<&Binary>) {
        // [MQTT-4.12.0-7] Without a method in CONNECT there is no AUTH.
        let Some(method) = &self.method else {
            return;
        };
        // [MQTT-4.12.0-5] [MQTT-4.12.1-1] Every AUTH repeats the method of CONNECT.
        let mut properties = AuthProperties::default();
        properties.set_authentication(method, data);
        self.authenticating = Exchanging::AwaitServer;
        let auth = Packet::Auth(Auth { reason, properties });
        self.exchange.connection.control.push_back(auth);
    }

    /// Answers [`ClientEvent::Verify`]: the server is who it should be, and the connection begins. Else say
    /// [`fail_authentication`](Self::fail_authentication). Does nothing when the server did not ask.
    pub fn verified(&mut self, now: Instant) {
        if !self.awaits_verdict() {
            return;
        }
        if let Exchanging::AwaitVerdict(connack) = core::mem::take(&mut self.authenticating)
            && let Err(error) = self.handle_accepted(now, *connack)
        {
            self.violate(error);
        }
    }

    /// The exchange has come to nothing on this side: ends the connection at once. Until the server was
    /// [verified](Self::verified) nothing was sent to it but AUTH, nothing of it was told, and what it said of the session is forgotten.
    ///
    // [MQTT-4.12.1-2] A failed re-authentication ends the connection with a DISCONNECT.
    pub fn fail_authentication(&mut self) {
        if self.phase == Phase::Offline {
            return;
        }
        // Not authorized is for servers to say.
        let reason = ReasonCode::UnspecifiedError;
        let disconnect = Packet::Disconnect(Disconnect::new(reason));
        self.abort(Some(disconnect), DisconnectCause::ByUs(reason));
    }

    /// Whether nothing is to be read until the caller has said what it thinks of the server.
    pub(super) fn awaits_verdict(&self) -> bool {
        matches!(self.authenticating, Exchanging::AwaitVerdict(_))
            && self.phase != Phase::Offline
            && self.exchange.connection.is_open()
    }

    fn names_our_method(&self, theirs: Option<&str>) -> bool {
        self.method.as_ref().map(MqttString::as_str) == theirs
    }

    pub(super) fn handle_auth(&mut self, auth: &Auth) -> Result<(), ProtocolError> {
        let theirs = auth.properties.authentication_method();
        // [MQTT-4.12.0-6] A server sends no AUTH where CONNECT named no method, and [MQTT-4.12.0-5] that method where it did.
        if theirs.is_none() || !self.names_our_method(theirs) {
            return Err(unexpected(
                PacketType::Auth,
                "of another method than CONNECT named",
            ));
        }
        let data = auth.properties.authentication_data();
        let data = data.and_then(|data| Binary::try_from(data).ok());
        let is_connected = matches!(self.phase, Phase::Connected { .. });
        match (auth.reason, &self.authenticating) {
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

    /// The server accepts the connection: where CONNECT named a method, the caller says first whether it is who it should be.
    pub(super) fn handle_connack_method(
        &mut self,
        now: Instant,
        connack: ConnAck,
    ) -> Result<(), ProtocolError> {
        let method = connack.properties.authentication_method();
        // [MQTT-4.12.0-5] The CONNACK repeats the method; [MQTT-4.12.0-6] without one in CONNECT it has none.
        if !self.names_our_method(method) {
            return Err(unexpected(
                PacketType::ConnAck,
                "of another authentication method than CONNECT named",
            ));
        }
        match self.authenticating {
            Exchanging::No => return self.handle_accepted(now, connack),
            Exchanging::AwaitVerdict(_) => {
                return Err(unexpected(PacketType::ConnAck, "after CONNACK"));
            }
            Exchanging::AwaitServer | Exchanging::AwaitCaller => {}
        }
        let data = connack.properties.authentication_data();
        let data = data.and_then(|data| Binary::try_from(data).ok());
        self.authenticating = Exchanging::AwaitVerdict(connack.into());
        let event = ClientEvent::Verify { data };
        self.exchange.events.push_back(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
