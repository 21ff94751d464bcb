//! What can go wrong between an address and a stream: one error that says where, in which phase and what to do.

mod kind;
mod words;

use std::error::Error;
use std::fmt;
use std::io;

#[cfg(any(feature = "tls-no-provider", feature = "ws"))]
pub(crate) use kind::Cause;
pub use kind::{CertificateFault, ProxyFault, TransportErrorKind};
use words::words;

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

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the addresses of the host name.
    Resolve,
    /// Connecting.
    Connect,
    /// Reaching the proxy, and what it says of itself.
    Proxy,
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

    /// An error from what the system or a stream of this crate reported, its kind told from `source`
    /// ([`TransportErrorKind::of`]). `address` is shown as it is.
    pub fn from_io(phase: Phase, address: impl fmt::Display, source: io::Error) -> Self {
        let kind = match phase {
            Phase::Resolve => TransportErrorKind::NameNotFound,
            _ => TransportErrorKind::of(&source),
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

    /// Whether the same attempt may succeed later: see [`TransportErrorKind::is_retryable`].
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.phase, self.address)?;
        match (self.kind, &self.source) {
            (TransportErrorKind::NotCompiledIn { features }, _) => write!(
                f,
                "not supported by this build; enable the cargo feature `{features}`"
            ),
            (TransportErrorKind::Misconfigured | TransportErrorKind::Other, Some(source)) => {
                source.fmt(f)
            }
            (kind, source) => {
                let (what, advice) = words(kind, self.phase);
                f.write_str(what)?;
                if let (true, Some(source)) = (kind.has_details(), source) {
                    write!(f, " ({source})")?;
                }
                write!(f, "; {advice}")
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
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
