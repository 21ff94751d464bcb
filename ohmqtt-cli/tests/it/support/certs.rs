//! An authority of the test's own, and what it issues, in files of PEM.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Writes its certificate into the folder, as `NAME.pem`.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.join(format!("{name}.pem")), pem).unwrap();
        Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this host.
    pub(crate) fn issue(&self, name: &str, host: &str) -> Issued {
        self.issue_until(name, host, 2999)
    }

    /// A certificate for this host, until a year begins.
    pub(crate) fn issue_until(&self, name: &str, host: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        write(&self.folder, name, &pem, &key)
    }
}

/// A certificate for this host that nobody issued.
pub(crate) fn self_signed(folder: &Path, name: &str, host: &str) -> Issued {
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    write(folder, name, &pem, &key)
}

fn write(folder: &Path, name: &str, pem: &str, key: &KeyPair) -> Issued {
    let issued = Issued {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    std::fs::write(&issued.certificate, pem).unwrap();
    std::fs::write(&issued.key, key.serialize_pem()).unwrap();
    issued
}
