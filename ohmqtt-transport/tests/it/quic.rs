//! QUIC: the contract, and what only QUIC does. What it must refuse is in `refusals`.

mod relay;

use std::net::SocketAddr;
use std::sync::Arc;

use ohmqtt_transport::{
    BoxFuture, ConfigError, Connect, Connector, Endpoint, Listen, ListenOptions, Peer, Phase,
    TlsOptions, Transport, TransportErrorKind, listen, listen_with,
};
use relay::Relay;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::certs::{AUTHORITY, certificate, server_identity};
use crate::contract::{Subject, contract, in_time};

struct Quic;

impl Subject for Quic {
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
        Box::pin(async { listen_as(server_identity()).await })
    }

    fn connector(&self) -> Box<dyn Connect> {
        Box::new(Connector::new().tls(trusting()))
    }

    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
        // It connects and opens no stream.
        let address = SocketAddr::from(([127, 0, 0, 1], at.port().unwrap()));
        Box::pin(async move { Box::new(raw_connection(address, &[b"mqtt"])) as Box<dyn Send> })
    }
}

contract!(keeps_the_contract, Quic);

fn trusting() -> TlsOptions {
    TlsOptions::new().authorities(AUTHORITY.certificates())
}

async fn listen_as(options: impl Into<ListenOptions>) -> Box<dyn Listen> {
    let at = "quic://127.0.0.1:0".parse().unwrap();
    listen_with(&at, options).await.unwrap()
}

/// quinn's own client on the way to `address`.
fn raw_connection(address: SocketAddr, alpn: &[&[u8]]) -> (quinn::Endpoint, quinn::Connecting) {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = socket.connect_with(config, address, "localhost").unwrap();
    (socket, connecting)
}

/// Both ends of a connection to `to`, where `listener` is reached; the client has said a byte.
async fn join(
    listener: &mut dyn Listen,
    to: &Endpoint,
    tls: TlsOptions,
) -> (Box<dyn Transport>, Box<dyn Transport>, Peer) {
    let connector = Connector::new().tls(tls);
    let client = async {
        let mut client = connector.connect(to).await.unwrap();
        client.write_u8(1).await.unwrap();
        client
    };
    let accept = async { listener.accept().await.unwrap().handshake.await.unwrap() };
    let (client, (mut server, peer)) = in_time(async { tokio::join!(client, accept) }).await;
    assert_eq!(server.read_u8().await.unwrap(), 1);
    (client, server, peer)
}

#[tokio::test]
async fn client_certificate_lets_in_and_gives_its_names() {
    let issued = AUTHORITY.issue(&certificate(&["client.example"]));
    let required = ListenOptions::from(server_identity())
        .require_client_certificates(AUTHORITY.certificates());
    let mut listener = listen_as(required).await;
    let (to, tls) = (listener.local(), trusting().identity(issued.identity()));
    let (_client, _server, peer) = join(&mut *listener, &to, tls).await;
    assert_eq!(peer.certificate_names, ["test subject", "client.example"]);
    assert!(peer.address.is_loopback());
}

/// The convention of other brokers and clients: ALPN `mqtt`, one bidirectional stream.
#[tokio::test]
async fn plain_quic_client_is_served_by_the_convention() {
    let mut listener = listen_as(server_identity()).await;
    let address = ([127, 0, 0, 1], listener.local().port().unwrap()).into();
    let (_socket, connecting) = raw_connection(address, &[b"mqtt"]);
    let client = async {
        let connection = connecting.await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(b"CONNECT").await.unwrap();
        (connection, send, receive)
    };
    let accept = async { listener.accept().await.unwrap().handshake.await.unwrap() };
    let ((connection, mut send, mut receive), (mut server, _)) =
        in_time(async { tokio::join!(client, accept) }).await;
    let mut bytes = [0; 7];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"CONNECT");
    // There is no second stream to be had.
    tokio::select! {
        biased;
        _ = connection.open_bi() => panic!("a second stream"),
        () = tokio::task::yield_now() => {}
    }
    server.write_all(b"CONNACK").await.unwrap();
    send.finish().unwrap();
    assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
    in_time(server.shutdown()).await.unwrap();
    assert_eq!(receive.read_to_end(100).await.unwrap(), b"CONNACK");
}

#[tokio::test]
async fn peer_without_a_protocol_in_common_is_refused() {
    let mut listener = listen_as(server_identity()).await;
    let address = ([127, 0, 0, 1], listener.local().port().unwrap()).into();
    for offer in [&[&b"h3"[..]][..], &[]] {
        let (_socket, connecting) = raw_connection(address, offer);
        let accept = async { listener.accept().await.unwrap().handshake.await };
        let (client, server) = in_time(async { tokio::join!(connecting, accept) }).await;
        client.unwrap_err();
        let error = server.err().unwrap();
        assert_eq!(error.kind(), TransportErrorKind::TlsMismatch, "{error}");
        assert!(!error.is_retryable());
    }
    let mut listener = listen_as(ListenOptions::from(server_identity()).alpn(["other"])).await;
    let (connector, to) = (Connector::new().tls(trusting()), listener.local());
    let accept = async { listener.accept().await.unwrap().handshake.await };
    let (client, _) = in_time(async { tokio::join!(connector.connect(&to), accept) }).await;
    assert_eq!(
        client.err().unwrap().kind(),
        TransportErrorKind::TlsMismatch
    );
    let tls = trusting().alpn(["other"]);
    join(&mut *listener, &to, tls).await;
}

#[tokio::test]
async fn listener_without_identity_is_a_config_error() {
    let at: Endpoint = "quic://127.0.0.1:0".parse().unwrap();
    let error = listen(&at).await.err().unwrap();
    assert_eq!(error.kind(), TransportErrorKind::Misconfigured);
    let source = std::error::Error::source(&error).unwrap();
    let scheme = at.scheme();
    assert_eq!(
        source.downcast_ref(),
        Some(&ConfigError::MissingIdentity { scheme })
    );
}

#[tokio::test]
async fn address_in_use_is_told() {
    let held = listen_as(server_identity()).await;
    let error = listen_with(&held.local(), server_identity())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), TransportErrorKind::AddressInUse, "{error}");
}

/// A peer that vanishes is given up.
#[tokio::test(start_paused = true)]
async fn silent_network_is_a_time_out() {
    let mut listener = listen_as(server_identity()).await;
    let relay = Relay::start(listener.local().port().unwrap(), 0).await;
    let (mut client, mut server, _) = join(&mut *listener, &relay.url(), trusting()).await;
    relay.cut();
    for stream in [&mut client, &mut server] {
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(
            TransportErrorKind::of(&error),
            TransportErrorKind::TimedOut,
            "{error}"
        );
        assert!(TransportErrorKind::of(&error).is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_answer_is_a_time_out() {
    let mute = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = format!("quic://{}", mute.local_addr().unwrap())
        .parse()
        .unwrap();
    let connector = Connector::new().tls(trusting());
    let error = connector.connect(&to).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::TimedOut, Phase::Connect)
    );
    assert!(error.is_retryable());
}

/// What a change of a client's address looks like to the server: the packets come from elsewhere. That the client may be
/// the one that moves is tested where its socket can be reached.
#[tokio::test]
async fn stream_goes_on_when_the_address_of_the_client_changes() {
    let mut listener = listen_as(server_identity()).await;
    let relay = Relay::start(listener.local().port().unwrap(), 0).await;
    let (mut client, mut server, _) = join(&mut *listener, &relay.url(), trusting()).await;
    for number in 0..5 {
        client.write_u32(number).await.unwrap();
        assert_eq!(in_time(server.read_u32()).await.unwrap(), number);
        relay.move_away().await;
        server.write_u32(number).await.unwrap();
        client.write_u32(number).await.unwrap();
        assert_eq!(in_time(client.read_u32()).await.unwrap(), number);
        assert_eq!(in_time(server.read_u32()).await.unwrap(), number);
    }
}

/// One packet of twenty is lost, either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_delivered_over_a_lossy_path() {
    const TOTAL: usize = 1 << 20;
    let pattern: Arc<Vec<u8>> = Arc::new((0..=250).cycle().take(TOTAL).collect());
    let mut listener = listen_as(server_identity()).await;
    let relay = Relay::start(listener.local().port().unwrap(), 20).await;
    let (client, server, _) = join(&mut *listener, &relay.url(), trusting()).await;
    let ends = [client, server].map(|stream| {
        let pattern = pattern.clone();
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let send = async {
                writer.write_all(&pattern).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut bytes = Vec::new();
            let ((), read) = tokio::join!(send, reader.read_to_end(&mut bytes));
            read.unwrap();
            assert!(bytes == *pattern, "{} bytes came", bytes.len());
        })
    });
    for end in ends {
        in_time(end).await.unwrap();
    }
    assert!(relay.lost() > 20, "{} packets lost", relay.lost());
}
