//! TLS: the contract, and what only TLS does. What it must refuse is in `refusals`.

use std::sync::Arc;

use ohmqtt_transport::{
    BoxFuture, CertificateFault, Certificates, ConfigError, Connect, Connector, Endpoint, Identity,
    Listen, ListenOptions, Peer, Phase, RustlsClientConfig, RustlsServerConfig, TlsOptions,
    Transport, TransportError, TransportErrorKind, listen, listen_with,
};
use rcgen::{BasicConstraints, IsCa};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::certs::{AUTHORITY, certificate, expired, not_yet_valid, self_signed, server_identity};
use crate::contract::{Subject, contract, in_time};

struct Tls;

impl Subject for Tls {
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
        Box::pin(async { listen_as(server_identity()).await })
    }

    fn connector(&self) -> Box<dyn Connect> {
        Box::new(Connector::new().tls(trusting()))
    }

    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
        let address = (at.host().unwrap(), at.port().unwrap());
        Box::pin(
            async move { Box::new(TcpStream::connect(address).await.unwrap()) as Box<dyn Send> },
        )
    }
}

contract!(keeps_the_contract, Tls);

fn trusting() -> TlsOptions {
    TlsOptions::new().authorities(AUTHORITY.certificates())
}

async fn listen_as(options: impl Into<ListenOptions>) -> Box<dyn Listen> {
    let at = "mqtts://127.0.0.1:0".parse().unwrap();
    listen_with(&at, options).await.unwrap()
}

pub(crate) type Joined = (Box<dyn Transport>, Box<dyn Transport>, Peer);

/// Both ends of a connection, after a byte each way.
pub(crate) async fn join(server: impl Into<ListenOptions>, client: TlsOptions) -> Joined {
    let mut listener = listen_as(server).await;
    let (local, connector) = (listener.local(), Connector::new().tls(client));
    let accept = async { listener.accept().await?.handshake.await };
    let (client, server) = in_time(async { tokio::join!(connector.connect(&local), accept) }).await;
    let (mut client, (mut server, peer)) = (client.unwrap(), server.unwrap());
    client.write_u8(7).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), 7);
    server.write_u8(8).await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 8);
    (client, server, peer)
}

#[tokio::test]
async fn client_certificate_lets_in_and_gives_its_names() {
    let mut params = certificate(&["client.example", "10.0.0.1"]);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "sensor 7");
    let issued = AUTHORITY.issue(&params);
    let required = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let (.., peer) = join(required, trusting().identity(issued.identity())).await;
    assert_eq!(
        peer.certificate_names,
        ["sensor 7", "client.example", "10.0.0.1"]
    );
}

#[tokio::test]
async fn client_certificate_is_optional_where_it_is_only_asked_for() {
    let asked = ListenOptions::from(server_identity())
        .ask_for_client_certificates(AUTHORITY.certificates());
    let (.., peer) = join(asked.clone(), trusting()).await;
    assert!(peer.certificate_names.is_empty());
    let issued = AUTHORITY.issue(&certificate(&["client"]));
    let (.., peer) = join(asked, trusting().identity(issued.identity())).await;
    assert_eq!(peer.certificate_names, ["test subject", "client"]);
}

#[tokio::test]
async fn der_and_files_do_as_well_as_pem() {
    let issued = AUTHORITY.issue(&certificate(&["127.0.0.1"]));
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name);
    std::fs::write(path("both.pem"), issued.chain.clone() + &issued.key).unwrap();
    let chain = CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let authority = CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap();
    std::fs::write(path("ca.der"), &authority).unwrap();
    let identities = [
        Identity::from_files(path("both.pem"), path("both.pem")).unwrap(),
        Identity::pem(&chain, key.secret_der()).unwrap(),
    ];
    for identity in identities {
        let authorities = Certificates::from_file(path("ca.der")).unwrap();
        join(identity, TlsOptions::new().authorities(authorities)).await;
    }
}

/// One for itself alone, and one that might sign others, as those of `openssl req -x509`.
#[tokio::test]
async fn self_signed_certificate_that_is_trusted_is_taken() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = certificate(&["127.0.0.1"]);
        params.is_ca = is_ca;
        let issued = self_signed(&params);
        let trusted = Certificates::parse(&issued.chain).unwrap();
        join(issued.identity(), TlsOptions::new().authorities(trusted)).await;
    }
}

/// To trust a certificate is not to take it for every server, nor for ever.
#[tokio::test]
async fn trusted_certificate_is_refused_for_another_name_or_time() {
    let table = [
        (certificate(&["other.example"]), CertificateFault::WrongName),
        (certificate(&[]), CertificateFault::NoName),
        (expired(&["127.0.0.1"]), CertificateFault::Expired),
        (not_yet_valid(&["127.0.0.1"]), CertificateFault::NotYetValid),
    ];
    for (mut params, fault) in table {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issued = self_signed(&params);
        let trusted = Certificates::parse(&issued.chain).unwrap();
        let mut listener = listen_as(issued.identity()).await;
        let connector = Connector::new().tls(TlsOptions::new().authorities(trusted));
        let local = listener.local();
        let accept = async { listener.accept().await?.handshake.await };
        let (client, server) =
            in_time(async { tokio::join!(connector.connect(&local), accept) }).await;
        let kind = TransportErrorKind::Certificate(fault);
        assert_eq!(client.err().unwrap().kind(), kind);
        let kind = TransportErrorKind::CertificateRefused;
        assert_eq!(server.err().unwrap().kind(), kind);
    }
}

#[tokio::test]
async fn server_name_is_verified_instead_of_the_host() {
    let issued = AUTHORITY.issue(&certificate(&["broker.example"]));
    join(issued.identity(), trusting().server_name("broker.example")).await;
}

/// The protocol that both ends agreed on is what a server can be told apart by.
#[tokio::test]
async fn alpn_is_agreed_on_or_refused() {
    let mqtt_only = || ListenOptions::from(server_identity()).alpn(["mqtt"]);
    join(mqtt_only(), trusting().alpn(["x-amzn-mqtt-ca", "mqtt"])).await;
    join(mqtt_only(), trusting()).await;
    join(server_identity(), trusting().alpn(["mqtt"])).await;

    let mut listener = listen_as(mqtt_only()).await;
    let (local, connector) = (
        listener.local(),
        Connector::new().tls(trusting().alpn(["http/1.1"])),
    );
    let accept = async { listener.accept().await?.handshake.await };
    let (client, server) = in_time(async { tokio::join!(connector.connect(&local), accept) }).await;
    for error in [client.err().unwrap(), server.err().unwrap()] {
        assert_eq!(error.kind(), TransportErrorKind::TlsMismatch, "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn ready_configurations_of_rustls_are_taken() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap())
        .unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let client = TlsOptions::new().rustls(RustlsClientConfig::new(client));
        join(server_identity(), client).await;
    }
    let issued = AUTHORITY.issue(&certificate(&["127.0.0.1"]));
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let server = ListenOptions::new().rustls(RustlsServerConfig::new(server));
    join(server, trusting()).await;
}

/// A server of TLS 1.2 says it during the handshake, one of TLS 1.3 after: `refusals` has that one.
#[tokio::test]
async fn missing_client_certificate_is_said_in_tls_1_2_too() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let required = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let mut listener = listen_as(required).await;
    let client = TlsOptions::new().rustls(RustlsClientConfig::new(config));
    let (local, connector) = (listener.local(), Connector::new().tls(client));
    let accept = async { listener.accept().await?.handshake.await };
    let (client, server) = in_time(async { tokio::join!(connector.connect(&local), accept) }).await;
    for error in [client.err().unwrap(), server.err().unwrap()] {
        assert_eq!(
            error.kind(),
            TransportErrorKind::CertificateRequired,
            "{error}"
        );
        assert_eq!(error.phase(), Phase::Handshake);
    }
}

/// A client that only writes learns why it is refused, too.
#[tokio::test]
async fn failed_write_says_that_the_client_certificate_is_missing() {
    let required = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let mut listener = listen_as(required).await;
    let local = listener.local();
    let server = tokio::spawn(async move { listener.accept().await?.handshake.await.map(drop) });
    let connector = Connector::new().tls(trusting());
    let mut client = in_time(connector.connect(&local)).await.unwrap();
    let error = in_time(async {
        loop {
            if let Err(error) = client.write_all(&[0; 16_384]).await {
                break error;
            }
        }
    })
    .await;
    let kind = TransportErrorKind::CertificateRequired;
    assert_eq!(TransportErrorKind::of(&error), kind, "{error}");
    assert_eq!(server.await.unwrap().unwrap_err().kind(), kind);
}

#[tokio::test]
async fn peer_that_does_not_speak_tls_is_told_from_the_weather() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtts://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    let connector = Connector::new().tls(trusting());
    let error = in_time(connector.connect(&url.parse().unwrap()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::TlsMismatch, Phase::Handshake)
    );
    assert!(!error.is_retryable());
    drop(server.await.unwrap());

    let mut listener = listen_as(server_identity()).await;
    let address = format!("127.0.0.1:{}", listener.local().port().unwrap());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"\x10\x0f\0\x04MQTT\x05").await.unwrap();
    let error = in_time(listener.accept().await.unwrap().handshake)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), TransportErrorKind::TlsMismatch, "{error}");
    assert!(
        error.to_string().starts_with("handshake 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn end_during_the_handshake_is_weather() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtts://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { listener.accept().await.map(drop) });
    let connector = Connector::new().tls(trusting());
    let error = in_time(connector.connect(&url.parse().unwrap()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::Reset, Phase::Handshake)
    );
    assert!(error.is_retryable());
    server.await.unwrap().unwrap();
}

fn config_error(error: &TransportError) -> &ConfigError {
    assert_eq!(error.kind(), TransportErrorKind::Misconfigured, "{error}");
    assert!(!error.is_retryable());
    std::error::Error::source(error)
        .unwrap()
        .downcast_ref()
        .unwrap()
}

#[tokio::test]
async fn listener_without_identity_is_a_config_error() {
    let at: Endpoint = "mqtts://127.0.0.1:0".parse().unwrap();
    let error = listen(&at).await.err().unwrap();
    let scheme = at.scheme();
    assert_eq!(
        config_error(&error),
        &ConfigError::MissingIdentity { scheme }
    );
    assert_eq!(
        error.to_string(),
        "listen mqtts://127.0.0.1:0: no certificate for a mqtts listener; give one to listen_with, as Identity::pem"
    );
}

#[tokio::test]
async fn key_of_another_certificate_is_a_config_error() {
    let [one, other] = [(); 2].map(|()| AUTHORITY.issue(&certificate(&["h"])));
    let identity = Identity::pem(&one.chain, &other.key).unwrap();
    let at = "mqtts://127.0.0.1:0".parse().unwrap();
    let listen = listen_with(&at, identity.clone()).await.err().unwrap();
    let connector = Connector::new().tls(trusting().identity(identity));
    let connect = connector.connect(&at).await.err().unwrap();
    for error in [listen, connect] {
        assert_eq!(
            config_error(&error).to_string(),
            "bad private key: it does not belong to the certificate"
        );
    }
}

#[tokio::test]
async fn bad_server_name_is_a_config_error() {
    let connector = Connector::new().tls(trusting().server_name("no name"));
    let to = "mqtts://localhost".parse().unwrap();
    let error = connector.connect(&to).await.err().unwrap();
    let name = "no name".into();
    assert_eq!(config_error(&error), &ConfigError::BadServerName { name });
}

#[test]
fn what_is_no_certificate_or_key_says_so_and_shows_nothing_of_it() {
    let issued = AUTHORITY.issue(&certificate(&["h"]));
    let encrypted = issued.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let secret = issued.key.lines().nth(1).unwrap().to_owned();
    let check = |result: Result<Identity, ConfigError>, want: &str| {
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with(want), "{error}");
        assert!(!format!("{error:?}").contains(&secret));
    };
    check(
        Identity::pem("", &issued.key),
        "bad certificate: neither PEM nor DER",
    );
    check(
        Identity::pem(&issued.key, &issued.key),
        "bad certificate: there is no certificate in it",
    );
    let broken = issued.chain.replace('M', "?");
    check(Identity::pem(broken, &issued.key), "bad certificate: ");
    check(
        Identity::pem(&issued.chain, &issued.chain),
        "bad private key: there is no private key in it",
    );
    check(Identity::pem(&issued.chain, "x"), "bad private key: ");
    check(
        Identity::pem(&issued.chain, encrypted),
        "bad private key: it is encrypted; decrypt it",
    );
    check(
        Identity::from_files("/no/such/cert.pem", "/no/such/key.pem"),
        "bad certificate file `/no/such/cert.pem`: ",
    );
    let identity = format!("{:?}", issued.identity());
    assert_eq!(identity, "Identity { chain: Certificates(1), .. }");
}
