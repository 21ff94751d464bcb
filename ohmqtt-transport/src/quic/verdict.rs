//! Why a certificate was refused: QUIC's own errors have only the number of an alert, which several faults share.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::CertificateFault;
use crate::tls::fault::fault_of;

/// What the verifier of one connection found.
#[derive(Debug, Default)]
pub(super) struct Verdict(Arc<OnceLock<CertificateFault>>);

impl Verdict {
    /// Makes `config` verify by `verifier` and tell it here. The verifier is another for each connection, so sessions are
    /// not resumed.
    pub(super) fn of(config: &mut ClientConfig, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let verdict = Arc::new(OnceLock::new());
        let told = verdict.clone();
        let verifier = Arc::new(Telling { verifier, told });
        config.dangerous().set_certificate_verifier(verifier);
        Self(verdict)
    }

    pub(super) fn fault(&self) -> Option<CertificateFault> {
        self.0.get().copied()
    }
}

#[derive(Debug)]
struct Telling {
    verifier: Arc<dyn ServerCertVerifier>,
    told: Arc<OnceLock<CertificateFault>>,
}

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if let Err(Error::InvalidCertificate(error)) = &verdict {
            self.told.get_or_init(|| fault_of(error));
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
