//! The other provider of cryptography, beside ring in one process.

use std::sync::Arc;

use ohmqtt_transport::{RustlsClientConfig, TlsOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certs::{AUTHORITY, server_identity};
use crate::tls::join;

#[tokio::test]
async fn client_of_aws_lc_rs_speaks_to_a_server_of_ring() {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = TlsOptions::new().rustls(RustlsClientConfig::new(config));
    join(server_identity(), client).await;
}
