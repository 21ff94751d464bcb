//! What a certificate says of its owner and issuer. Whether any of it is true is rustls's to say.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// The names in a verified certificate: the common name, then the alternative ones, none twice.
pub(crate) fn of(certificate: &CertificateDer<'_>) -> Vec<String> {
    match Certificate::from_der(certificate) {
        Ok(certificate) => names(&certificate),
        Err(error) => {
            tracing::debug!(%error, "names of a client certificate not read");
            Vec::new()
        }
    }
}

fn names(certificate: &Certificate) -> Vec<String> {
    let owner = certificate.tbs_certificate();
    let common = owner.subject().common_name().ok().flatten();
    let alternative = owner.get_extension::<SubjectAltName>().ok().flatten();
    let alternative = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let mut names: Vec<_> = common
        .map(|name| name.value().into_owned())
        .into_iter()
        .collect();
    for name in alternative.iter().filter_map(text) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Whether the certificate names itself as its issuer.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    Certificate::from_der(certificate).is_ok_and(|certificate| {
        let owner = certificate.tbs_certificate();
        owner.issuer() == owner.subject()
    })
}

/// From when until when the certificate is valid, in seconds since 1970; `None` if it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: Time| time.to_unix_duration().as_secs();
    Some((seconds(validity.not_before), seconds(validity.not_after)))
}
