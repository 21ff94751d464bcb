//! What of a DISCONNECT depends on who sends it (sections 3.14.2.1 and 3.14.2.2).

use ohmqtt_codec::{Disconnect, PacketType, ReasonCode};

use crate::error::ProtocolError;

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// Whether this side may give this reason.
fn may_say(role: Role, reason: ReasonCode) -> bool {
    let only = match reason {
        ReasonCode::DisconnectWithWillMessage => Role::Client,
        ReasonCode::NotAuthorized
        | ReasonCode::ServerBusy
        | ReasonCode::ServerShuttingDown
        | ReasonCode::BadAuthenticationMethod
        | ReasonCode::KeepAliveTimeout
        | ReasonCode::SessionTakenOver
        | ReasonCode::TopicFilterInvalid
        | ReasonCode::RetainNotSupported
        | ReasonCode::QosNotSupported
        | ReasonCode::UseAnotherServer
        | ReasonCode::ServerMoved
        | ReasonCode::SharedSubscriptionsNotSupported
        | ReasonCode::ConnectionRateExceeded
        | ReasonCode::MaximumConnectTime
        | ReasonCode::SubscriptionIdentifiersNotSupported
        | ReasonCode::WildcardSubscriptionsNotSupported => Role::Server,
        _ => return reason.allowed_in(PacketType::Disconnect),
    };
    role == only
}

/// Refuses a DISCONNECT that this side may not send so.
pub(crate) fn check(from: Role, disconnect: &Disconnect) -> Result<(), ProtocolError> {
    let properties = &disconnect.properties;
    let field = match from {
        _ if !may_say(from, disconnect.reason) => "a reason code",
        Role::Client if properties.server_reference().is_some() => "Server Reference",
        // [MQTT-3.14.2-2] Session Expiry Interval is for the client to say.
        Role::Server if properties.session_expiry_interval().is_some() => "Session Expiry Interval",
        _ => return Ok(()),
    };
    let packet = PacketType::Disconnect;
    Err(ProtocolError::WrongDirection { packet, field })
}

/// The DISCONNECT as this side may send it: what it may not say is left out, and a reason of the other's becomes a general one.
pub(crate) fn lawful(from: Role, mut disconnect: Disconnect) -> Disconnect {
    if !may_say(from, disconnect.reason) {
        disconnect.reason = ReasonCode::UnspecifiedError;
    }
    match from {
        Role::Client => disconnect.properties.remove_server_reference(),
        // [MQTT-3.14.2-2] A server's DISCONNECT has no Session Expiry Interval.
        Role::Server => disconnect.properties.remove_session_expiry_interval(),
    };
    disconnect
}

/// The DISCONNECT that tells the other side what it did wrong. Where the reason is not this side's to give, as of a malformed packet
/// that the other side may not send at all, it is a Protocol Error.
pub(crate) fn of_violation(from: Role, reason: ReasonCode) -> Disconnect {
    Disconnect::new(if may_say(from, reason) {
        reason
    } else {
        ReasonCode::ProtocolError
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ohmqtt_codec::MqttString;

    fn all() -> impl Iterator<Item = ReasonCode> {
        (0..=u8::MAX).filter_map(|code| ReasonCode::try_from(code).ok())
    }

    #[test]
    fn what_is_lawful_passes_the_check_of_the_other_side() {
        for role in [Role::Client, Role::Server] {
            for reason in all() {
                let mut disconnect = Disconnect::new(reason);
                disconnect.properties.set_session_expiry_interval(1);
                let reference = MqttString::try_from("elsewhere").unwrap();
                disconnect.properties.set_server_reference(&reference);
                assert!(check(role, &disconnect).is_err());
                let lawful = lawful(role, disconnect);
                assert_eq!(check(role, &lawful), Ok(()), "{role:?} {reason}");
            }
        }
    }

    /// [MQTT-3.14.2-2] A server's DISCONNECT with a Session Expiry Interval is refused, and none is sent.
    #[test]
    fn only_a_client_says_how_long_its_session_is_kept() {
        let mut disconnect = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        disconnect.properties.set_session_expiry_interval(1);
        assert_eq!(check(Role::Client, &disconnect), Ok(()));
        assert!(check(Role::Server, &disconnect).is_err());
        let sent = lawful(Role::Server, disconnect.clone());
        assert_eq!(sent.properties.session_expiry_interval(), None);
        let sent = lawful(Role::Client, disconnect);
        assert_eq!(sent.properties.session_expiry_interval(), Some(1));
    }

    #[test]
    fn each_side_has_reasons_of_its_own() {
        let says = |role, reason| may_say(role, reason);
        assert!(says(Role::Client, ReasonCode::DisconnectWithWillMessage));
        assert!(!says(Role::Server, ReasonCode::DisconnectWithWillMessage));
        assert!(says(Role::Server, ReasonCode::KeepAliveTimeout));
        assert!(!says(Role::Client, ReasonCode::KeepAliveTimeout));
        assert!(!says(Role::Server, ReasonCode::PacketIdentifierNotFound));
    }
}
