//! The connecting end: the trait a client is given, and the one that knows every scheme.

use crate::{BoxFuture, Endpoint, Phase, Transport, TransportError, backend};

/// Makes streams to an address. Implement it to carry MQTT over a stream of your own.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `to` and returns the stream once it carries bytes, all handshakes below MQTT done.
    ///
    /// It sets no limit of time of its own (QUIC alone gives up after 30 s of silence): put it under a deadline. Cancel safe: dropping the future abandons the
    /// attempt and closes what was open.
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>>;
}

/// Connects by the endpoint's scheme with whatever was compiled in.
///
/// Names are looked up at each attempt. All addresses of a name are tried, IPv6 and IPv4 in turn, IPv6 first, the next
/// one 250 ms after the last or as soon as that has failed, and the first to connect wins (RFC 8305).
///
/// Runs inside a tokio runtime with I/O and time enabled.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Connector {
    #[cfg(feature = "tcp")]
    pub(crate) from: Option<std::net::IpAddr>,
    #[cfg(feature = "tcp")]
    pub(crate) proxy: Option<crate::proxy::Proxy>,
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: std::sync::Arc<crate::tls::ClientTls>,
    #[cfg(feature = "ws")]
    pub(crate) ws: crate::ws::WsOptions,
}

impl Connector {
    /// A connector with the default settings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Connect for Connector {
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        match backend::of(to.scheme()) {
            Some(backend) => backend.connect(self, to),
            None => {
                Box::pin(async move { Err(TransportError::not_compiled_in(Phase::Connect, to)) })
            }
        }
    }
}
