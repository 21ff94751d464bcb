//! Mosquitto over its other transports: TLS with client certificates, WebSocket, plain and over TLS, its Unix socket.

use std::time::Duration;

use ohmqtt_client::{
    Client, ClientBuilder, ConnectErrorKind, ConnectFailed, Qos, TlsOptions, TransportErrorKind,
    WsOptions,
};

use super::{ALL_QOS, next, publish, subscribe, text};
use crate::support::certs::Authority;
use crate::support::mosquitto::Mosquitto;
use crate::support::{free_port, soon};

/// A client sends and receives at each QoS, a large message among them, and comes back to its session.
async fn check(client: impl Fn() -> ClientBuilder) {
    let reader = || client().client_id("reader");
    let first = soon(reader().connect()).await.unwrap();
    let mut inbox = subscribe(&first, "t/#").await;
    let writer = soon(client().client_id("writer").connect()).await.unwrap();
    for qos in ALL_QOS {
        publish(&writer, "t/small", "hello", qos).await;
        assert_eq!(text(&next(&mut inbox).await), "hello");
        let large = vec![7; LARGE];
        publish(&writer, "t/large", large.clone(), qos).await;
        assert!(next(&mut inbox).await.payload == large, "{qos:?}");
    }
    soon(first.close(Duration::from_secs(30))).await;
    publish(&writer, "t/kept", "kept", Qos::ExactlyOnce).await;
    let second = soon(reader().clean_start(false).connect()).await.unwrap();
    let mut inbox = subscribe(&second, "t/#").await;
    assert_eq!(text(&next(&mut inbox).await), "kept");
}

/// More than a TLS record holds, in bytes. Of what the system does not take at once Mosquitto's WebSocket sends 4 KiB each tenth of a second, so
/// it is not more.
const LARGE: usize = 30_000;

/// The files of a server that takes clients of this authority, and the lines that name them.
fn certificates(authority: &Authority) -> ([(&'static str, String); 3], String) {
    let server = authority.issue("mosquitto", &["127.0.0.1"]);
    let files = [
        ("ca.pem", authority.pem.clone()),
        ("server.pem", server.certificate),
        ("server.key", server.key),
    ];
    let lines = "cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n\
                 require_certificate true\nuse_identity_as_username true";
    (files, lines.to_owned())
}

fn start(files: &[(&str, String)], settings: &str) -> Mosquitto {
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (*name, content.as_str()))
        .collect();
    Mosquitto::with_files(&files, &[settings])
}

fn known(authority: &Authority) -> TlsOptions {
    let client = authority.issue("client", &[]);
    authority.trusted().identity(client.identity())
}

#[tokio::test]
async fn mosquitto_is_reached_over_tls_with_a_client_certificate() {
    let authority = Authority::new();
    let (files, lines) = certificates(&authority);
    let port = free_port();
    let _mosquitto = start(&files, &format!("listener {port} 127.0.0.1\n{lines}"));
    let client = || Client::builder(format!("mqtts://127.0.0.1:{port}"));
    check(|| client().tls(known(&authority))).await;

    let without = soon(client().tls(authority.trusted()).connect()).await;
    let Err(ConnectFailed::Connect(error)) = without else {
        panic!("let in without a certificate");
    };
    assert!(!error.is_retryable(), "{error}");
    let ConnectErrorKind::Transport(transport) = &error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(transport.kind(), TransportErrorKind::CertificateRequired);
}

#[tokio::test]
async fn mosquitto_is_reached_over_websocket() {
    let port = free_port();
    let lines = format!("listener {port} 127.0.0.1\nprotocol websockets");
    let _mosquitto = start(&[], &lines);
    let options = WsOptions::new().header("X-From", "a test").unwrap();
    check(|| {
        let client = Client::builder(format!("ws://127.0.0.1:{port}/mqtt"));
        client.websocket(options.clone())
    })
    .await;
}

#[tokio::test]
async fn mosquitto_is_reached_over_websocket_and_tls() {
    let authority = Authority::new();
    let (files, lines) = certificates(&authority);
    let port = free_port();
    let lines = format!("listener {port} 127.0.0.1\nprotocol websockets\n{lines}");
    let _mosquitto = start(&files, &lines);
    check(|| {
        let client = Client::builder(format!("wss://127.0.0.1:{port}"));
        client.tls(known(&authority))
    })
    .await;
}

#[tokio::test]
async fn mosquitto_is_reached_over_its_unix_socket() {
    let mosquitto = start(&[], "listener 0 {folder}/mosquitto.sock");
    let socket = mosquitto.file("mosquitto.sock");
    let url = format!("unix:{}", socket.display());
    check(|| Client::builder(&url)).await;
}
