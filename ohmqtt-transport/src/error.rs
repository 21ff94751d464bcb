//! What can go wrong between an address and a stream: one error that says where, in which phase and what to do.

use std::error::Error;
use std::fmt;
use std::io;

use crate::{ConfigError, Endpoint};

/// Connecting, listening or carrying bytes failed.
///
/// The message names phase, address (without secrets), reason and what to do next:
/// `connect mqtt://127.0.0.1:1: connection refused; is a broker listening there?`. What the system said is the
/// [`source`](Error::source), an [`io::Error`] if it came from there.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    phase: Phase,
    address: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// Nobody listens at the address.
    Refused,
    /// There is no way to the host or its network.
    Unreachable,
    /// The host name has no address, or no name server answered.
    NameNotFound,
    /// The peer did not answer in time.
    TimedOut,
    /// The peer ended the stream, or the network did, without warning.
    Reset,
    /// Another process listens at the address.
    AddressInUse,
    /// The address to listen at is not one of this machine.
    AddressNotAvailable,
    /// The system does not allow it.
    PermissionDenied,
    /// This build has no backend for the scheme; the cargo features that add it.
    NotCompiledIn {
        /// Names of cargo features, separated by commas.
        features: &'static str,
    },
    /// The settings cannot be used; the source is a [`ConfigError`] that says which.
    Misconfigured,
    /// Anything else; the source says what.
    Other,
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the addresses of the host name.
    Resolve,
    /// Connecting.
    Connect,
    /// Starting to listen.
    Listen,
    /// Waiting for connections.
    Accept,
    /// Whatever comes between the raw connection and the stream: TLS, WebSocket.
    Handshake,
    /// Carrying bytes.
    Stream,
}

impl TransportError {
    /// An error from its parts. `address` is shown as it is: it must hold no secret.
    pub fn new(
        kind: TransportErrorKind,
        phase: Phase,
        address: impl fmt::Display,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            phase,
            address: address.to_string(),
            source: Some(source.into()),
        }
    }

    /// An error from what the system reported, its kind told from `source`. `address` is shown as it is.
    pub fn from_io(phase: Phase, address: impl fmt::Display, source: io::Error) -> Self {
        let kind = match phase {
            Phase::Resolve => TransportErrorKind::NameNotFound,
            _ => kind_of(source.kind()),
        };
        Self::new(kind, phase, address, source)
    }

    /// An error from settings that cannot be used. `address` is shown as it is.
    pub fn misconfigured(phase: Phase, address: impl fmt::Display, source: ConfigError) -> Self {
        Self::new(TransportErrorKind::Misconfigured, phase, address, source)
    }

    pub(crate) fn not_compiled_in(phase: Phase, endpoint: &Endpoint) -> Self {
        let kind = TransportErrorKind::NotCompiledIn {
            features: endpoint.scheme().features(),
        };
        Self {
            kind,
            phase,
            address: endpoint.to_string(),
            source: None,
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The address it was done with, as a URL where there is one, without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the same attempt may succeed later: true for the weather of networks, names among it; false for what
    /// someone has to change first.
    pub fn is_retryable(&self) -> bool {
        !matches!(
            self.kind,
            TransportErrorKind::PermissionDenied
                | TransportErrorKind::NotCompiledIn { .. }
                | TransportErrorKind::Misconfigured
        )
    }
}

pub(crate) fn kind_of(kind: io::ErrorKind) -> TransportErrorKind {
    use io::ErrorKind;
    match kind {
        ErrorKind::ConnectionRefused => TransportErrorKind::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            TransportErrorKind::Unreachable
        }
        ErrorKind::TimedOut => TransportErrorKind::TimedOut,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => TransportErrorKind::Reset,
        ErrorKind::AddrInUse => TransportErrorKind::AddressInUse,
        ErrorKind::AddrNotAvailable => TransportErrorKind::AddressNotAvailable,
        ErrorKind::PermissionDenied => TransportErrorKind::PermissionDenied,
        _ => TransportErrorKind::Other,
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.phase, self.address)?;
        let (what, advice) = match (self.kind, self.phase) {
            (TransportErrorKind::Refused, _) => {
                ("connection refused", "is a broker listening there?")
            }
            (TransportErrorKind::Unreachable, _) => {
                ("host unreachable", "check the network and the address")
            }
            (TransportErrorKind::NameNotFound, _) => {
                ("name not found", "check the host name and the name servers")
            }
            (TransportErrorKind::TimedOut, _) => (
                "timed out",
                "check the address, the network and its firewalls",
            ),
            (TransportErrorKind::Reset, _) => (
                "connection lost",
                "the peer or the network ended it; connect again",
            ),
            (TransportErrorKind::AddressInUse, Phase::Listen) => (
                "address in use",
                "stop the process that listens there or choose another address (port 0: any free one)",
            ),
            (TransportErrorKind::AddressInUse, _) => (
                "address in use",
                "too many connections from this host? try later",
            ),
            (TransportErrorKind::AddressNotAvailable, Phase::Listen) => (
                "not an address of this machine",
                "listen on one that is, or on 0.0.0.0 or [::] for all",
            ),
            (TransportErrorKind::AddressNotAvailable, _) => (
                "no local address or port left",
                "too many connections from this host? try later",
            ),
            (TransportErrorKind::PermissionDenied, Phase::Listen) => (
                "permission denied",
                "ports below 1024 need privileges, a socket file a directory that can be written; choose another",
            ),
            (TransportErrorKind::PermissionDenied, _) => (
                "permission denied",
                "check the permissions of the socket and local firewall rules",
            ),
            (TransportErrorKind::NotCompiledIn { features }, _) => {
                return write!(
                    f,
                    "not supported by this build; enable the cargo feature `{features}`"
                );
            }
            (TransportErrorKind::Misconfigured | TransportErrorKind::Other, _) => {
                return match &self.source {
                    Some(source) => write!(f, "{source}"),
                    None => f.write_str("failed"),
                };
            }
        };
        write!(f, "{what}; {advice}")
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Listen => "listen",
            Phase::Accept => "accept",
            Phase::Handshake => "handshake",
            Phase::Stream => "stream",
        })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_backend_is_named_by_its_features() {
        let endpoint: Endpoint = "wss://user:secret@h/mqtt?key=1".parse().unwrap();
        let error = TransportError::not_compiled_in(Phase::Connect, &endpoint);
        assert!(!error.is_retryable());
        assert_eq!(
            error.to_string(),
            "connect wss://h:443/mqtt: not supported by this build; enable the cargo feature `ws,tls`"
        );
    }
}
