//! What can go wrong, how it is told from what the system reports, and whether trying again can help.

use std::error::Error;
use std::fmt;
use std::io;

use super::TransportError;

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
    /// The system does not allow it: a port to listen at, a socket file.
    PermissionDenied,
    /// A rule of this machine, of its routing or its firewall, does not let a connection out. Such rules come and go.
    Prohibited,
    /// The peer's certificate does not hold.
    Certificate(CertificateFault),
    /// The server wants a client certificate and was given none; both ends see it so.
    CertificateRequired,
    /// The peer refused the certificate it was given; the source has what it said of the reason.
    CertificateRefused,
    /// The two ends have no TLS in common: one does not speak it at all, or no version, cipher or protocol is spoken by
    /// both.
    TlsMismatch,
    /// TLS failed for another reason; the source says which.
    Tls,
    /// The server answered a WebSocket handshake with another HTTP status than 101.
    HttpStatus(u16),
    /// The peer does not keep to WebSocket as MQTT uses it: no subprotocol `mqtt`, a text frame, a broken frame.
    WebSocket,
    /// The proxy is none, or refuses to be the way to the broker.
    Proxy(ProxyFault),
    /// This build has no backend for the scheme; the cargo features that add it.
    NotCompiledIn {
        /// Names of cargo features, separated by commas.
        features: &'static str,
    },
    /// The settings cannot be used; the source is a [`ConfigError`](crate::ConfigError) that says which.
    Misconfigured,
    /// Anything else; the source says what.
    Other,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is for other names than the one that was connected to.
    WrongName,
    /// It is for no name: its common name does not count, it needs subject alternative names.
    NoName,
    /// It was issued by an authority that is not trusted.
    UnknownIssuer,
    /// It was issued by itself, and is not trusted.
    SelfSigned,
    /// It, or one on the way to its authority, is not valid any more.
    Expired,
    /// It, or one on the way to its authority, is not valid yet.
    NotYetValid,
    /// Its authority has revoked it.
    Revoked,
    /// Anything else: it is malformed, wrongly signed, or for another purpose. The source says which.
    Invalid,
}

/// What is wrong with a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyFault {
    /// It wants a user name and a password, or others.
    Credentials,
    /// It is not allowed to connect to the broker.
    Forbidden,
    /// It could not connect to the broker; the source has what it said of the reason.
    Failed,
    /// What answers does not speak as such a proxy does.
    NotAProxy,
}

impl TransportErrorKind {
    /// Tells the kind of an error that a [`Transport`](crate::Transport) of this crate, or the system, gave. A stream of
    /// your own says it with a [`TransportError`] inside the [`io::Error`].
    ///
    /// What a peer refuses may be known only after the connection stands: in TLS 1.3 the word that a client certificate is
    /// missing comes with the first read.
    pub fn of(error: &io::Error) -> Self {
        let Some(inner) = error.get_ref() else {
            return kind_of(error.kind());
        };
        let of_ours = inner.downcast_ref().map(|Cause { kind, .. }| *kind);
        let of_users = || inner.downcast_ref().map(TransportError::kind);
        of_ours
            .or_else(of_users)
            .unwrap_or_else(|| kind_of(error.kind()))
    }

    /// Whether the same attempt may succeed later: true for the weather of networks, names and overload among it; false
    /// for what someone has to change first, such as a certificate or a setting.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Refused
            | Self::Unreachable
            | Self::NameNotFound
            | Self::TimedOut
            | Self::Reset
            | Self::AddressInUse
            | Self::AddressNotAvailable
            | Self::Prohibited
            | Self::Proxy(ProxyFault::Failed)
            | Self::Tls
            | Self::Other => true,
            Self::PermissionDenied
            | Self::Certificate(_)
            | Self::CertificateRequired
            | Self::CertificateRefused
            | Self::TlsMismatch
            | Self::WebSocket
            | Self::Proxy(_)
            | Self::NotCompiledIn { .. }
            | Self::Misconfigured => false,
            // Too slow, too many, and whatever is the server's own trouble.
            Self::HttpStatus(status) => matches!(status, 408 | 425 | 429 | 500..),
        }
    }

    /// Whether the source says more than the kind does, in words for the user.
    pub(super) fn has_details(self) -> bool {
        matches!(
            self,
            Self::Certificate(_)
                | Self::CertificateRefused
                | Self::TlsMismatch
                | Self::Tls
                | Self::HttpStatus(_)
                | Self::Proxy(_)
                | Self::WebSocket
        )
    }
}

fn kind_of(kind: io::ErrorKind) -> TransportErrorKind {
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

/// The inside of an [`io::Error`] that knows its kind: how a stream says what no `io::ErrorKind` does.
#[derive(Debug)]
pub(crate) struct Cause {
    kind: TransportErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

impl Cause {
    /// An error for the holder of a stream.
    #[cfg(any(feature = "tls-no-provider", feature = "ws"))]
    pub(crate) fn into_io(
        io: io::ErrorKind,
        kind: TransportErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> io::Error {
        io::Error::new(
            io,
            Self {
                kind,
                source: source.into(),
            },
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
