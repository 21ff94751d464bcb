//! Certificates of every kind, made for a test.

use std::sync::LazyLock;

use ohmqtt_transport::{Certificates, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// The authority that tests trust.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test CA"));

/// An authority that nobody trusts.
pub(crate) static STRANGER: LazyLock<Authority> = LazyLock::new(|| Authority::new("Stranger CA"));

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// A certificate for `names`, to be changed before it is issued.
pub(crate) fn certificate(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().copied().map(String::from).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::CommonName, "test subject");
    params
}

/// A certificate whose dates are past.
pub(crate) fn expired(names: &[&str]) -> CertificateParams {
    let mut params = certificate(names);
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    params
}

/// A certificate whose dates are to come.
pub(crate) fn not_yet_valid(names: &[&str]) -> CertificateParams {
    let mut params = certificate(names);
    params.not_before = date_time_ymd(2999, 1, 1);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = certificate(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// The authority's own certificate, to be trusted.
    pub(crate) fn certificates(&self) -> Certificates {
        Certificates::parse(&self.pem).unwrap()
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate that is signed by its own key.
pub(crate) fn self_signed(params: &CertificateParams) -> Issued {
    let key = KeyPair::generate().unwrap();
    Issued {
        chain: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

impl Issued {
    pub(crate) fn identity(&self) -> Identity {
        Identity::pem(&self.chain, &self.key).unwrap()
    }
}

/// What a faultless server of these tests shows.
pub(crate) fn server_identity() -> Identity {
    static ISSUED: LazyLock<Issued> =
        LazyLock::new(|| AUTHORITY.issue(&certificate(&["localhost", "127.0.0.1"])));
    ISSUED.identity()
}
