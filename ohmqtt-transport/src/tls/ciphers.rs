//! The cipher suites that a client offers, by their names.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedCipherSuite};

use crate::ConfigError;

/// OpenSSL's names for those of TLS 1.2; those of TLS 1.3 have one name.
const OPENSSL: &[(CipherSuite, &str)] = &[
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];

/// The provider with no other suites than these, in their order; of a version of TLS that none of them is of, with all.
pub(super) fn only(
    names: &[String],
    mut provider: CryptoProvider,
) -> Result<CryptoProvider, ConfigError> {
    let mut wanted: Vec<SupportedCipherSuite> = Vec::new();
    for name in names {
        let mut suites = provider.cipher_suites.iter();
        let suite = suites.find(|suite| is_called(suite, name)).copied();
        wanted.push(suite.ok_or_else(|| unknown(name, &provider))?);
    }
    let is_left = |suite: &SupportedCipherSuite| {
        let mut wanted = wanted.iter();
        wanted.all(|wanted| wanted.version().version != suite.version().version)
    };
    provider.cipher_suites.retain(is_left);
    provider.cipher_suites.append(&mut wanted);
    Ok(provider)
}

/// Whether this is the suite's name in the registry of IANA, or in OpenSSL.
fn is_called(suite: &SupportedCipherSuite, name: &str) -> bool {
    let is_openssl = |row: &&(CipherSuite, &str)| row.0 == suite.suite();
    let openssl = OPENSSL.iter().find(is_openssl).map(|(_, name)| *name);
    openssl == Some(name) || registered(suite) == name
}

/// rustls says `TLS13_` where the registry says `TLS_`.
fn registered(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

fn unknown(name: &str, provider: &CryptoProvider) -> ConfigError {
    let known: Vec<_> = provider.cipher_suites.iter().map(registered).collect();
    ConfigError::UnknownCipher {
        name: name.to_owned(),
        known: known.join(", "),
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;

    fn check(names: &[&str], want: &[&str]) {
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let provider = only(&names, rustls::crypto::ring::default_provider()).unwrap();
        let left: Vec<_> = provider.cipher_suites.iter().map(registered).collect();
        assert_eq!(left, want, "{names:?}");
    }

    const ALL_OF_1_3: [&str; 3] = [
        "TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];

    #[test]
    fn names_choose_within_their_version_of_tls() {
        let one = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        for name in [one, "ECDHE-RSA-AES128-GCM-SHA256"] {
            check(&[name], &[&ALL_OF_1_3[..], &[one]].concat());
        }
        let both = ["TLS_AES_128_GCM_SHA256", one];
        check(&both, &both);
    }

    #[test]
    fn every_suite_has_both_names() {
        for suite in rustls::crypto::ring::default_provider().cipher_suites {
            assert!(is_called(&suite, &registered(&suite)));
            let is_old = suite.version().version == rustls::ProtocolVersion::TLSv1_2;
            let known = OPENSSL.iter().any(|(row, _)| *row == suite.suite());
            assert_eq!(known, is_old, "{suite:?}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_those_that_are_known() {
        let names = ["HIGH".to_owned()];
        let error = only(&names, rustls::crypto::ring::default_provider()).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("`HIGH`"), "{told}");
        assert!(ALL_OF_1_3.iter().all(|name| told.contains(name)), "{told}");
    }
}
