//! A server that sends its client to another one (section 4.11): which words mean that, and what they mean. Whether and how to
//! follow is the holder's business.

use ohmqtt_codec::ReasonCode;

use crate::error::DisconnectCause;

/// What a server asked for instead of a connection: see [`DisconnectCause::redirect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The other server is to be used from now on (0x9D), not only for the time being (0x9C).
    pub permanent: bool,
    references: &'a str,
}

impl<'a> Redirect<'a> {
    /// The servers it names, any of which may be chosen; none when they are those the client knows already.
    ///
    /// The format is not specified; `name`, `name:port` and `[name]:port` are recommended.
    pub fn references(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.references.split(' ').filter(|name| !name.is_empty())
    }
}

impl DisconnectCause {
    /// Whether the server sends the client to another one, in its CONNACK or in a DISCONNECT (section 4.11).
    pub fn redirect(&self) -> Option<Redirect<'_>> {
        let (reason, references) = match self {
            Self::Refused(connack) => (connack.reason, connack.properties.server_reference()),
            Self::ByPeer(disconnect) => {
                (disconnect.reason, disconnect.properties.server_reference())
            }
            _ => return None,
        };
        let permanent = match reason {
            ReasonCode::UseAnotherServer => false,
            ReasonCode::ServerMoved => true,
            _ => return None,
        };
        Some(Redirect {
            permanent,
            references: references.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use ohmqtt_codec::{ConnAck, ConnAckProperties, Disconnect};

    use super::*;

    fn refused(reason: ReasonCode, references: Option<&str>) -> DisconnectCause {
        let mut properties = ConnAckProperties::default();
        if let Some(references) = references {
            properties.set_server_reference(&references.try_into().unwrap());
        }
        DisconnectCause::Refused(Box::new(ConnAck {
            session_present: false,
            reason,
            properties,
        }))
    }

    #[test]
    fn references_are_separated_by_spaces() {
        let cause = refused(
            ReasonCode::UseAnotherServer,
            Some("10.10.151.22:8883  [fe80::9610:3eff:fe1c]:1883"),
        );
        let redirect = cause.redirect().unwrap();
        assert!(!redirect.permanent);
        let references: Vec<_> = redirect.references().collect();
        assert_eq!(
            references,
            ["10.10.151.22:8883", "[fe80::9610:3eff:fe1c]:1883"]
        );
    }

    #[test]
    fn a_server_that_moved_may_name_nobody() {
        let cause = refused(ReasonCode::ServerMoved, None);
        let redirect = cause.redirect().unwrap();
        assert!(redirect.permanent);
        assert_eq!(redirect.references().count(), 0);
    }

    #[test]
    fn disconnect_redirects_as_connack_does() {
        let moved = Disconnect::new(ReasonCode::ServerMoved);
        let cause = DisconnectCause::ByPeer(Box::new(moved));
        assert!(cause.redirect().unwrap().permanent);
    }

    #[test]
    fn a_reference_with_another_reason_is_no_redirect() {
        assert_eq!(refused(ReasonCode::ServerBusy, Some("b")).redirect(), None);
        assert_eq!(DisconnectCause::StreamEnded.redirect(), None);
    }
}
