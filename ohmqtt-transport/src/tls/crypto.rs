//! The cryptography that was compiled in. rustls's notion of a process-wide default is not used, so that programs with
//! several providers among their dependencies work.

use rustls::crypto::CryptoProvider;

use crate::ConfigError;

/// The first that is there is used; adding another changes nothing.
const PROVIDERS: &[fn() -> CryptoProvider] = &[
    #[cfg(feature = "ring")]
    rustls::crypto::ring::default_provider,
    #[cfg(feature = "aws-lc-rs")]
    rustls::crypto::aws_lc_rs::default_provider,
];

pub(super) fn provider() -> Result<CryptoProvider, ConfigError> {
    match PROVIDERS.first() {
        Some(provider) => Ok(provider()),
        None => Err(ConfigError::NoCryptoProvider),
    }
}
