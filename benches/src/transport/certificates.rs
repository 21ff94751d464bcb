//! A certificate for this machine, and who trusts it.

use std::sync::{Arc, LazyLock};

use ohmqtt_transport::{Certificates, Identity};
use rcgen::CertifiedKey;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::Result;

/// What the certificate is for.
pub(super) const NAME: &str = "127.0.0.1";

static ISSUED: LazyLock<std::result::Result<CertifiedKey<rcgen::KeyPair>, rcgen::Error>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed([NAME.to_owned()]));

fn issued() -> Result<&'static CertifiedKey<rcgen::KeyPair>> {
    ISSUED.as_ref().map_err(|error| error.to_string().into())
}

pub(super) fn authority() -> Result<Certificates> {
    Ok(Certificates::parse(issued()?.cert.pem())?)
}

pub(super) fn identity() -> Result<Identity> {
    let issued = issued()?;
    Ok(Identity::pem(
        issued.cert.pem(),
        issued.signing_key.serialize_pem(),
    )?)
}

/// rustls's own choice of version and suite, which is ours as well.
pub(super) fn client() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(issued()?.cert.der().clone())?;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

pub(super) fn server() -> Result<ServerConfig> {
    let issued = issued()?;
    let chain: Vec<CertificateDer<'static>> = vec![issued.cert.der().clone()];
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der())?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}
