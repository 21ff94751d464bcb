//! The one door for types of rustls: ready configurations, each in a newtype, so that no other signature names its
//! version.

use std::fmt;
use std::sync::Arc;

/// A client configuration of rustls 0.23, for what [`TlsOptions`](crate::TlsOptions) has no word for: another provider of
/// cryptography, certificates from hardware, session storage of one's own.
#[derive(Clone)]
pub struct RustlsClientConfig(pub(super) Arc<rustls::ClientConfig>);

impl RustlsClientConfig {
    /// Takes the configuration as it is.
    pub fn new(config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        Self(config.into())
    }
}

impl fmt::Debug for RustlsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustlsClientConfig")
    }
}

/// A server configuration of rustls 0.23, for what [`ListenOptions`](crate::ListenOptions) has no word for: certificates
/// chosen by the name a client asks for, or exchanged while the listener runs.
#[derive(Clone)]
pub struct RustlsServerConfig(pub(super) Arc<rustls::ServerConfig>);

impl RustlsServerConfig {
    /// Takes the configuration as it is.
    pub fn new(config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        Self(config.into())
    }
}

impl fmt::Debug for RustlsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustlsServerConfig")
    }
}
