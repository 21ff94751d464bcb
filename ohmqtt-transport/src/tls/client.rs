//! What a client trusts and shows: the options, and what rustls makes of them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::certificates::bad;
use super::verify::{Exact, Nobody};
use super::{Certificates, Identity, RustlsClientConfig, ciphers, crypto};
use crate::{ConfigError, Connector, Endpoint};

/// How a client does TLS, for `mqtts`, `wss` and `quic` alike.
///
/// By default: TLS 1.2 or 1.3 (QUIC: 1.3), the server's certificate verified against what the platform trusts and the host
/// of the URL, no certificate of one's own.
///
/// ```
/// use ohmqtt_transport::{Connector, TlsOptions};
///
/// let tls = TlsOptions::new().server_name("broker.example");
/// let connector = Connector::new().tls(tls);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    trust: Trust,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
    only_tls_1_3: bool,
    ciphers: Vec<String>,
    ready: Option<RustlsClientConfig>,
}

#[derive(Debug, Clone, Default)]
enum Trust {
    #[default]
    Platform,
    Only(Certificates),
    Anyone,
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities and no others, whatever the platform trusts. The certificate of a server itself may stand
    /// among them, such as a self-signed one; its name and dates still count.
    #[must_use]
    pub fn authorities(mut self, authorities: Certificates) -> Self {
        self.trust = Trust::Only(authorities);
        self
    }

    /// Shows this certificate to a server that asks for one.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Offers these application protocols (ALPN), the favourite first, instead of none, or of `mqtt` over QUIC. Some
    /// servers tell MQTT from HTTP on one port by it.
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Expects this name in the certificate, and asks the server for it (SNI), instead of the host of the URL. A name, or
    /// an IP address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Speaks TLS 1.3 alone, not 1.2.
    #[must_use]
    pub fn only_tls_1_3(mut self) -> Self {
        self.only_tls_1_3 = true;
        self
    }

    /// Offers these cipher suites, the favourite first, by their names in the registry of IANA or in OpenSSL. Suites of TLS 1.2 are
    /// chosen among those of TLS 1.2, and so are those of TLS 1.3: of a version that none of them is of, all are offered, as with OpenSSL.
    /// QUIC needs `TLS_AES_128_GCM_SHA256`.
    ///
    /// ```
    /// use ohmqtt_transport::TlsOptions;
    ///
    /// let tls = TlsOptions::new().ciphers(["TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
    /// ```
    #[must_use]
    pub fn ciphers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.ciphers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Takes this configuration of rustls as it is: of what else is set here only the server name still counts. Over QUIC
    /// it is offered with the protocol `mqtt` if it names none. Its own verifier decides what an error says of a
    /// certificate.
    #[must_use]
    pub fn rustls(mut self, config: RustlsClientConfig) -> Self {
        self.ready = Some(config);
        self
    }

    /// Verifies nothing: whoever answers is taken for the server, and can read and change everything. Each connection is a
    /// warning in the log. For a test against a server whose certificate is not to be had, and nothing else; where it is,
    /// [`authorities`](Self::authorities) costs one line too.
    #[must_use]
    pub fn dangerously_disable_verification(mut self) -> Self {
        self.trust = Trust::Anyone;
        self
    }
}

impl Connector {
    /// Does TLS by these options, for `mqtts`, `wss` and `quic`.
    ///
    /// They are checked when they are first needed: what cannot be used is an error of kind
    /// [`Misconfigured`](crate::TransportErrorKind::Misconfigured) then. Sessions are resumed among connections of this
    /// connector and its clones, though not over QUIC.
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Arc::new(ClientTls::new(options));
        self
    }
}

/// The options and what was built from them, once: loading what a platform trusts takes time, and sessions can be resumed
/// only within one configuration.
#[derive(Default)]
pub(crate) struct ClientTls {
    options: TlsOptions,
    settings: OnceLock<Settings>,
}

/// What a handshake needs.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Arc<ClientConfig>,
    /// The verifier inside, where it is ours: rustls does not give it back.
    #[cfg_attr(not(feature = "quic"), expect(dead_code, reason = "QUIC wraps it"))]
    pub(crate) verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl ClientTls {
    fn new(options: TlsOptions) -> Self {
        Self {
            options,
            settings: OnceLock::new(),
        }
    }

    /// Builds the settings, or gives those built before. A failure is not kept: the platform's certificates may come.
    pub(crate) fn settings(&self) -> Result<Settings, ConfigError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings.clone());
        }
        let settings = self.options.build()?;
        Ok(self.settings.get_or_init(|| settings).clone())
    }

    /// The name that the server's certificate must have.
    pub(crate) fn server_name(&self, to: &Endpoint) -> Result<ServerName<'static>, ConfigError> {
        let given = self.options.server_name.as_deref().or(to.host());
        let given = given.unwrap_or_default();
        // The dot that ends a fully qualified name is never in certificates.
        let name = given.strip_suffix('.').unwrap_or(given).to_owned();
        ServerName::try_from(name).map_err(|_| ConfigError::BadServerName { name: given.into() })
    }

    pub(crate) fn warn_if_unverified(&self, to: &Endpoint) {
        if self.options.ready.is_none() && matches!(self.options.trust, Trust::Anyone) {
            tracing::warn!(%to, "TLS verification is disabled: anyone can be this server");
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl TlsOptions {
    fn build(&self) -> Result<Settings, ConfigError> {
        if let Some(RustlsClientConfig(config)) = &self.ready {
            return Ok(Settings {
                config: config.clone(),
                verifier: None,
            });
        }
        let mut provider = crypto::provider()?;
        if !self.ciphers.is_empty() {
            provider = ciphers::only(&self.ciphers, provider)?;
        }
        let provider = Arc::new(provider);
        let newest = [&TLS13];
        let versions = if self.only_tls_1_3 {
            &newest[..]
        } else {
            DEFAULT_VERSIONS
        };
        let verifier = Arc::new(Exact {
            verifier: self.trust.verifier(&provider)?,
            trusted: self.trust.named(),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(bad_tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.key())
                .map_err(bad_identity)?,
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Settings {
            config: Arc::new(config),
            verifier: Some(verifier),
        })
    }
}

impl Trust {
    fn named(&self) -> Vec<CertificateDer<'static>> {
        match self {
            Self::Only(authorities) => authorities.der().to_vec(),
            Self::Platform | Self::Anyone => Vec::new(),
        }
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
        match self {
            Self::Platform => match Verifier::new(provider.clone()) {
                Ok(verifier) => Ok(Arc::new(verifier)),
                Err(error) => {
                    tracing::debug!(%error, "platform verifier");
                    Err(ConfigError::EmptyTrustStore)
                }
            },
            Self::Only(authorities) => {
                let roots = Arc::new(roots(authorities)?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                    .build()
                    .map_err(bad_tls)?;
                Ok(verifier)
            }
            Self::Anyone => Ok(Arc::new(Nobody(provider.clone()))),
        }
    }
}

/// Authorities as rustls trusts them.
pub(super) fn roots(authorities: &Certificates) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities.der() {
        roots
            .add(authority.clone())
            .map_err(|error| bad("certificate of an authority", error))?;
    }
    Ok(roots)
}

pub(super) fn bad_identity(error: rustls::Error) -> ConfigError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            bad("private key", "it does not belong to the certificate")
        }
        error => bad("certificate or private key", error),
    }
}

pub(super) fn bad_tls(error: impl fmt::Display) -> ConfigError {
    ConfigError::BadTls {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that certificates must have for `url`.
    fn check(url: &str, options: TlsOptions, want: &str) {
        let name = ClientTls::new(options).server_name(&url.parse().unwrap());
        assert_eq!(name, Ok(ServerName::try_from(want.to_owned()).unwrap()));
    }

    #[test]
    fn server_name_is_the_host_unless_another_is_set() {
        check(
            "mqtts://broker.example",
            TlsOptions::new(),
            "broker.example",
        );
        check(
            "mqtts://broker.example.:1",
            TlsOptions::new(),
            "broker.example",
        );
        check("mqtts://a_b", TlsOptions::new(), "a_b");
        check("wss://10.0.0.1/mqtt", TlsOptions::new(), "10.0.0.1");
        check("quic://[2001:db8::1]", TlsOptions::new(), "2001:db8::1");
        check("mqtts://h", TlsOptions::new().server_name("other"), "other");
        check("mqtts://h", TlsOptions::new().server_name("::1"), "::1");
    }

    #[test]
    fn options_show_no_key_and_no_inside_of_rustls() {
        let text = format!("{:?}", Connector::new());
        assert!(
            text.contains("Platform") && !text.contains("ClientConfig"),
            "{text}"
        );
    }
}
