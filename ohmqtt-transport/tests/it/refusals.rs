//! Certificates that must be refused, on every transport that has certificates: eight faults on each, the error says
//! which it was, at the end that refuses and at the end that is refused, and that trying again will not help.

use ohmqtt_transport::{
    CertificateFault, Connect, Connector, Endpoint, Identity, ListenOptions, Phase, TlsOptions,
    Transport, TransportError, TransportErrorKind, listen_with,
};
use tokio::io::AsyncReadExt;

use crate::certs::{
    AUTHORITY, STRANGER, certificate, expired, not_yet_valid, self_signed, server_identity,
};
use crate::contract::in_time;

/// Stamps the eight cases for a scheme.
macro_rules! refusals {
    ($module:ident, $scheme:expr) => {
        mod $module {
            use super::*;

            refusals!(@tests $scheme;
                wrong_name_is_refused
                unknown_authority_is_refused
                expired_certificate_is_refused
                certificate_of_the_future_is_refused
                self_signed_certificate_is_refused
                certificate_without_alternative_name_is_refused
                client_without_certificate_is_refused
                client_of_an_unknown_authority_is_refused
            );
        }
    };
    (@tests $scheme:expr; $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                in_time(super::$name($scheme)).await;
            }
        )*
    };
}

refusals!(tls, "mqtts");
#[cfg(feature = "ws")]
refusals!(wss, "wss");
#[cfg(feature = "quic")]
refusals!(quic, "quic");

fn trusting() -> TlsOptions {
    TlsOptions::new().authorities(AUTHORITY.certificates())
}

/// What both ends say when they connect: the first error of connecting or, once connected, of reading.
async fn both(
    scheme: &str,
    server: ListenOptions,
    client: TlsOptions,
) -> (Option<TransportError>, Option<TransportError>) {
    let at: Endpoint = format!("{scheme}://localhost:0").parse().unwrap();
    let mut listener = listen_with(&at, server).await.unwrap();
    let local = listener.local();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?.handshake.await?;
        read(&mut *stream, "server").await
    });
    let connector = Connector::new().tls(client);
    let client = async {
        let mut stream = connector.connect(&local).await?;
        read(&mut *stream, "client").await
    };
    let client = client.await.err();
    (client, server.await.unwrap().err())
}

/// Reads until the stream ends, which is fine, or fails.
async fn read(stream: &mut dyn Transport, name: &str) -> Result<(), TransportError> {
    let read = stream.read(&mut [0]).await;
    read.map(drop)
        .map_err(|error| TransportError::from_io(Phase::Stream, name, error))
}

/// A client that refuses the server for `fault`, and both say it.
async fn check_server_refused(
    scheme: &str,
    identity: Identity,
    client: TlsOptions,
    fault: CertificateFault,
    words: &str,
) {
    let (client, server) = both(scheme, identity.into(), client).await;
    let client = client.expect("the client takes the certificate");
    assert_eq!(
        (client.kind(), client.phase()),
        (TransportErrorKind::Certificate(fault), Phase::Handshake),
        "{client}"
    );
    assert!(!client.is_retryable());
    assert!(client.to_string().contains(words), "{client}");
    assert!(client.address().starts_with(scheme), "{client}");
    let server = server.expect("the server does not see that it was refused");
    assert_eq!(
        server.kind(),
        TransportErrorKind::CertificateRefused,
        "{server}"
    );
}

async fn wrong_name_is_refused(scheme: &str) {
    let issued = AUTHORITY.issue(&certificate(&["other.example"]));
    let words = "the certificate is for another name (";
    let fault = CertificateFault::WrongName;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn unknown_authority_is_refused(scheme: &str) {
    let issued = STRANGER.issue(&certificate(&["localhost"]));
    let words = "from an authority that is not trusted";
    let fault = CertificateFault::UnknownIssuer;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn expired_certificate_is_refused(scheme: &str) {
    let issued = AUTHORITY.issue(&expired(&["localhost"]));
    let words = "the certificate has expired (";
    let fault = CertificateFault::Expired;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn certificate_of_the_future_is_refused(scheme: &str) {
    let issued = AUTHORITY.issue(&not_yet_valid(&["localhost"]));
    let words = "the certificate is not valid yet (";
    let fault = CertificateFault::NotYetValid;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn self_signed_certificate_is_refused(scheme: &str) {
    let issued = self_signed(&certificate(&["localhost"]));
    let words = "the certificate is self-signed and not trusted";
    let fault = CertificateFault::SelfSigned;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn certificate_without_alternative_name_is_refused(scheme: &str) {
    // A common name, as certificates of old have it, is none.
    let mut params = certificate(&[]);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    let issued = AUTHORITY.issue(&params);
    let words = "no subject alternative name";
    let fault = CertificateFault::NoName;
    check_server_refused(scheme, issued.identity(), trusting(), fault, words).await;
}

async fn client_without_certificate_is_refused(scheme: &str) {
    let server = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let (client, server) = both(scheme, server, trusting()).await;
    for error in [client, server] {
        let error = error.expect("one end takes it for a connection");
        let kind = TransportErrorKind::CertificateRequired;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.is_retryable());
        assert!(
            error.to_string().contains("no client certificate"),
            "{error}"
        );
    }
}

async fn client_of_an_unknown_authority_is_refused(scheme: &str) {
    let server = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let issued = STRANGER.issue(&certificate(&["client"]));
    let (client, server) = both(scheme, server, trusting().identity(issued.identity())).await;
    let client = client.expect("the client takes it for a connection");
    let kind = TransportErrorKind::CertificateRefused;
    assert_eq!(client.kind(), kind, "{client}");
    assert!(!client.is_retryable());
    assert!(
        client.to_string().contains("refused the certificate"),
        "{client}"
    );
    let server = server.expect("the server takes it for a connection");
    let kind = TransportErrorKind::Certificate(CertificateFault::UnknownIssuer);
    assert_eq!(server.kind(), kind, "{server}");
}
