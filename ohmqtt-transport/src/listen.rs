//! The listening end: the trait a broker is given, what it accepts, and listening by scheme.

use std::fmt;
use std::net::SocketAddr;

use crate::{BoxFuture, Endpoint, Phase, Transport, TransportError, backend};

/// Accepts connections at an address. Dropping it stops listening; what was accepted lives on.
pub trait Listen: Send + 'static {
    /// Where it listens, with the port that was chosen if the URL said 0, and without credentials.
    fn local(&self) -> Endpoint;

    /// Waits for the next raw connection. Its handshake is still to be done, in a task of its own: see [`Accepted`].
    ///
    /// What passes, such as too many open files or a connection gone before it was taken, ends nothing: it is logged
    /// and tried again, after a short pause where the system has run out of something. An error means that this
    /// listener is at its end. Cancel safe: dropping the future loses no connection.
    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>>;
}

/// The rest of the way from a raw connection to a stream.
pub type Handshake = BoxFuture<'static, Result<(Box<dyn Transport>, Peer), TransportError>>;

/// A raw connection, accepted but not yet a stream.
#[non_exhaustive]
pub struct Accepted {
    /// Where it comes from.
    pub address: PeerAddress,
    /// The handshakes below MQTT (TLS, WebSocket; nothing for TCP). Await it in the connection's own task and under a
    /// deadline, so that a slow peer delays no other; dropping it closes the connection.
    pub handshake: Handshake,
}

impl Accepted {
    /// What a [`Listen`] of your own returns.
    pub fn new(address: PeerAddress, handshake: Handshake) -> Self {
        Self { address, handshake }
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What is known of the other end of an accepted stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Where it connected from.
    pub address: PeerAddress,
    /// The names in the client certificate that was verified, its common name first; empty without one.
    pub certificate_names: Vec<String>,
    /// The path a WebSocket client asked for.
    pub path: Option<String>,
}

impl Peer {
    /// A peer of which only the address is known; the other fields can be set.
    pub fn new(address: PeerAddress) -> Self {
        Self {
            address,
            certificate_names: Vec::new(),
            path: None,
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// The same machine, over something without addresses: a Unix socket, memory.
    Local,
}

impl PeerAddress {
    /// Whether the peer is on the same machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().to_canonical().is_loopback(),
            Self::Local => true,
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

/// Listens at `at` with the default [`ListenOptions`]: see [`listen_with`].
pub async fn listen(at: &Endpoint) -> Result<Box<dyn Listen>, TransportError> {
    listen_with(at, ListenOptions::default()).await
}

/// Listens at `at`, by its scheme, with whatever was compiled in. Port 0 takes a free one: ask [`Listen::local`].
///
/// A host name is looked up and the first of its addresses that can be used is; `0.0.0.0` and `[::]` mean every
/// interface. User name and password mean nothing here. The path of a WebSocket URL is the only one that is served; a
/// URL without one serves all, and [`Peer::path`] tells which was asked for. A socket file that a dead process left
/// behind is replaced; the listener removes its own when it is dropped.
///
/// `mqtts`, `wss` and `quic` need a certificate to show, which can stand in the place of the options:
/// `listen_with(&url, Identity::pem(chain, key)?)`.
///
/// Runs inside a tokio runtime with I/O and time enabled.
///
/// # Errors
///
/// Each names the address: it is in use, not of this machine, not allowed, its name is not found, the scheme's backend
/// was not compiled in; or the options cannot be used
/// ([`TransportErrorKind::Misconfigured`](crate::TransportErrorKind::Misconfigured)).
pub async fn listen_with(
    at: &Endpoint,
    options: impl Into<ListenOptions>,
) -> Result<Box<dyn Listen>, TransportError> {
    let options = options.into();
    match backend::of(at.scheme()) {
        Some(backend) => backend.listen(at, &options).await,
        None => Err(TransportError::not_compiled_in(Phase::Listen, at)),
    }
}

/// How to listen. What a scheme has no use for is left alone, so one value does for listeners of several schemes.
#[derive(Debug, Clone, Default)]
pub struct ListenOptions {
    pub(crate) socket_mode: Option<u32>,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: crate::tls::ServerTls,
    #[cfg(feature = "ws")]
    pub(crate) ws: crate::ws::WsOptions,
}

impl ListenOptions {
    /// The defaults: no certificate, whatever permissions the process's umask leaves to a socket file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The permissions of a socket file, such as `0o660`; whoever may write to it may connect. They stand before the
    /// first connection can come. Means nothing for other transports and for abstract names.
    #[must_use]
    pub fn socket_mode(mut self, mode: u32) -> Self {
        self.socket_mode = Some(mode & 0o777);
        self
    }
}
