//! Certificates and private keys as users have them: PEM or DER, bytes or files.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::ConfigError;

/// Certificates: a chain to show, or authorities to trust.
#[derive(Clone)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl Certificates {
    /// Reads certificates from bytes: PEM with one or more of them, whatever else stands in between, or DER with one.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadCertificate`] when there is none, or one that is not a certificate.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::parse_as("certificate", bytes.as_ref())
    }

    /// Reads them from a file, at once.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), and when the file cannot be read; they name the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let what = format!("certificate file `{}`", path.display());
        let bytes = fs::read(path).map_err(|error| bad(&what, error))?;
        Self::parse_as(&what, &bytes)
    }

    /// These and `more`, in this order: a chain from files of one certificate each, or several authorities.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    fn parse_as(what: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let certificates = if is_pem(bytes) {
            CertificateDer::pem_slice_iter(bytes)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| bad(what, error))?
        } else {
            vec![CertificateDer::from(bytes.to_vec())]
        };
        if certificates.is_empty() {
            return Err(bad(what, "there is no certificate in it"));
        }
        for certificate in &certificates {
            Certificate::from_der(certificate).map_err(|error| {
                bad(
                    what,
                    format!("neither PEM nor DER of a certificate: {error}"),
                )
            })?;
        }
        Ok(Self(certificates))
    }

    pub(super) fn der(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.0.len())
    }
}

/// A certificate to show and its private key: who one is, as a server or as a client.
///
/// `Debug` does not show the key.
///
/// ```
/// use ohmqtt_transport::{Certificates, Connect, Connector, Identity, TlsOptions, listen_with};
/// # use rcgen::generate_simple_self_signed;
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let authority = chain.clone();
/// // What the server shows, and what the client trusts, both in PEM.
/// let identity = Identity::pem(&chain, &key)?;
/// let mut listener = listen_with(&"mqtts://localhost:0".parse()?, identity).await?;
///
/// let tls = TlsOptions::new().authorities(Certificates::parse(&authority)?);
/// let connector = Connector::new().tls(tls);
///
/// let server = listener.local();
/// let accept = async { listener.accept().await?.handshake.await };
/// let (client, accepted) = tokio::join!(connector.connect(&server), accept);
/// let (mut client, (mut stream, _peer)) = (client?, accepted?);
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut text = String::new();
/// stream.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Identity {
    chain: Certificates,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// Reads an identity from PEM: the certificate, then those that lead to its authority, if there are any; and the
    /// private key (PKCS #8, PKCS #1 or SEC 1, not encrypted). Either may be DER as well.
    ///
    /// Whether the key belongs to the certificate shows when the identity is used.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadCertificate`] says which of the two cannot be used, and why.
    pub fn pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Ok(Self {
            chain: Certificates::parse(chain)?,
            key: parse_key("private key", key.as_ref())?,
        })
    }

    /// Reads an identity from two files, at once; they may be one and the same.
    ///
    /// # Errors
    ///
    /// Those of [`pem`](Self::pem), and when a file cannot be read; they name the file.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let what = format!("private key file `{}`", key.as_ref().display());
        let chain = Certificates::from_file(chain)?;
        let key = fs::read(key).map_err(|error| bad(&what, error))?;
        Ok(Self {
            chain,
            key: parse_key(&what, &key)?,
        })
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.0.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// No message shows anything of the bytes.
fn parse_key(what: &str, bytes: &[u8]) -> Result<Arc<PrivateKeyDer<'static>>, ConfigError> {
    const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY";
    if contains(bytes, ENCRYPTED) {
        let reason = "it is encrypted; decrypt it, as by `openssl pkey -in key.pem -out plain.pem`";
        return Err(bad(what, reason));
    }
    let key = if is_pem(bytes) {
        PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            PemError::NoItemsFound => bad(what, "there is no private key in it"),
            error => bad(what, error),
        })?
    } else {
        PrivateKeyDer::try_from(bytes.to_vec()).map_err(|reason| bad(what, reason))?
    };
    Ok(Arc::new(key))
}

fn is_pem(bytes: &[u8]) -> bool {
    contains(bytes, b"-----BEGIN ")
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

pub(super) fn bad(what: &str, reason: impl fmt::Display) -> ConfigError {
    ConfigError::BadCertificate {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}
