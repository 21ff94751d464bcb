//! An authority of the test's own, and what it issues, in PEM.

use std::sync::atomic::{AtomicUsize, Ordering};

use ohmqtt_client::{Certificates, Identity, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        // Two of one name would be taken for each other until a signature shows that they are not.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mut params = params(&format!("Authority {number} of a test"), &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate with this common name, for these hosts.
    pub(crate) fn issue(&self, name: &str, hosts: &[&str]) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name, hosts).signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Trusts this authority alone.
    pub(crate) fn trusted(&self) -> TlsOptions {
        TlsOptions::new().authorities(self.certificates())
    }

    pub(crate) fn certificates(&self) -> Certificates {
        Certificates::parse(&self.pem).unwrap()
    }
}

impl Issued {
    pub(crate) fn identity(&self) -> Identity {
        Identity::pem(&self.certificate, &self.key).unwrap()
    }
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().copied().map(String::from).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
