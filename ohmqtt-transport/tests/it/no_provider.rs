//! TLS compiled in without cryptography.

use ohmqtt_transport::{ConfigError, Connect, Connector, TransportErrorKind};

#[tokio::test]
async fn tls_without_cryptography_names_the_features_that_have_it() {
    let to = "mqtts://localhost".parse().unwrap();
    let error = Connector::new().connect(&to).await.err().unwrap();
    assert_eq!(error.kind(), TransportErrorKind::Misconfigured);
    assert!(!error.is_retryable());
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref(), Some(&ConfigError::NoCryptoProvider));
    assert!(
        error.to_string().contains("`ring` or `aws-lc-rs`"),
        "{error}"
    );
}
