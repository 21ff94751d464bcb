//! What a listener shows and asks for: its part of the options, and what rustls makes of it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::client::{bad_identity, bad_tls, roots};
use super::{Certificates, Identity, RustlsServerConfig, crypto};
use crate::{ConfigError, ListenOptions, Scheme};

/// The part of the options that is about TLS.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerTls {
    identity: Option<Identity>,
    clients: Clients,
    alpn: Vec<Vec<u8>>,
    ready: Option<RustlsServerConfig>,
}

/// Which clients are let in.
#[derive(Debug, Clone, Default)]
enum Clients {
    #[default]
    Anyone,
    Asked(Certificates),
    Required(Certificates),
}

impl ListenOptions {
    /// The certificate to show: `mqtts`, `wss` and `quic` need one.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.tls.identity = Some(identity);
        self
    }

    /// Lets in only clients with a certificate from one of these authorities; the names in it are in
    /// [`Peer::certificate_names`](crate::Peer::certificate_names).
    #[must_use]
    pub fn require_client_certificates(mut self, authorities: Certificates) -> Self {
        self.tls.clients = Clients::Required(authorities);
        self
    }

    /// Asks clients for a certificate from one of these authorities, and lets in those without any as well; a wrong one is
    /// refused.
    #[must_use]
    pub fn ask_for_client_certificates(mut self, authorities: Certificates) -> Self {
        self.tls.clients = Clients::Asked(authorities);
        self
    }

    /// Takes only clients that offer one of these application protocols (ALPN), or none at all. By default every offer is
    /// ignored; over QUIC, where it must be agreed on, `mqtt` is taken.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.tls.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Takes this configuration of rustls as it is, in the place of everything else about TLS here. Over QUIC it takes the
    /// protocol `mqtt` if it names none.
    #[must_use]
    pub fn rustls(mut self, config: RustlsServerConfig) -> Self {
        self.tls.ready = Some(config);
        self
    }
}

impl From<Identity> for ListenOptions {
    fn from(identity: Identity) -> Self {
        Self::new().identity(identity)
    }
}

impl ServerTls {
    /// `scheme` is for the error.
    pub(crate) fn config(&self, scheme: Scheme) -> Result<Arc<ServerConfig>, ConfigError> {
        if let Some(RustlsServerConfig(config)) = &self.ready {
            return Ok(config.clone());
        }
        let Some(identity) = &self.identity else {
            return Err(ConfigError::MissingIdentity { scheme });
        };
        let provider = Arc::new(crypto::provider()?);
        let verifier = |authorities| -> Result<_, ConfigError> {
            let roots = Arc::new(roots(authorities)?);
            let provider = provider.clone();
            Ok(WebPkiClientVerifier::builder_with_provider(roots, provider))
        };
        let clients: Arc<dyn ClientCertVerifier> = match &self.clients {
            Clients::Anyone => WebPkiClientVerifier::no_client_auth(),
            Clients::Asked(authorities) => verifier(authorities)?
                .allow_unauthenticated()
                .build()
                .map_err(bad_tls)?,
            Clients::Required(authorities) => verifier(authorities)?.build().map_err(bad_tls)?,
        };
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(bad_tls)?
            .with_client_cert_verifier(clients)
            .with_single_cert(identity.chain(), identity.key())
            .map_err(bad_identity)?;
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Arc::new(config))
    }
}
