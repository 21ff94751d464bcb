//! TLS and WebSocket as the client's builder takes them, and what of their failures is worth another attempt.

use ohmqtt_broker::{Broker, ListenOptions};
use ohmqtt_client::{
    CertificateFault, Client, ClientBuilder, ConnectError, ConnectErrorKind, ConnectionState, Qos,
    TlsOptions, TransportErrorKind,
};

use crate::support::certs::Authority;
use crate::support::soon;

/// A broker that lets in only clients of the same authority.
async fn strict(scheme: &str, authority: &Authority) -> Broker {
    let identity = authority.issue("broker", &["127.0.0.1"]).identity();
    let options =
        ListenOptions::from(identity).require_client_certificates(authority.certificates());
    let broker = Broker::builder().listen_with(format!("{scheme}://127.0.0.1:0"), options);
    broker.start().await.unwrap()
}

/// Why the client gives up, for good.
async fn gives_up(client: ClientBuilder) -> (ConnectError, TransportErrorKind) {
    let client = client.start().unwrap();
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
        panic!("not closed");
    };
    let ConnectErrorKind::Transport(transport) = &error.kind else {
        panic!("{error:?}");
    };
    let kind = transport.kind();
    (error, kind)
}

/// Over `scheme`: who shows a certificate is let in, and whoever does not, or asks for another, gives up with the reason.
async fn check(scheme: &str) {
    let authority = Authority::new();
    let broker = strict(scheme, &authority).await;
    let url = broker.url();
    let identity = || authority.issue("client", &[]).identity();
    let good = Client::builder(url).tls(authority.trusted().identity(identity()));
    let client = soon(good.connect()).await.unwrap();
    let sent = soon(client.publish("t", "x").qos(Qos::ExactlyOnce)).await;
    soon(sent.unwrap().acked()).await.unwrap();

    let (error, kind) = gives_up(Client::builder(url).tls(authority.trusted())).await;
    assert_eq!(kind, TransportErrorKind::CertificateRequired, "{error}");
    assert!(error.to_string().contains(url), "{error}");

    let stranger = Authority::new();
    let foreign = stranger.issue("client", &[]).identity();
    let refused = Client::builder(url).tls(authority.trusted().identity(foreign));
    let (error, kind) = gives_up(refused).await;
    assert_eq!(kind, TransportErrorKind::CertificateRefused, "{error}");

    let (error, kind) = gives_up(Client::builder(url).tls(stranger.trusted())).await;
    let want = TransportErrorKind::Certificate(CertificateFault::UnknownIssuer);
    assert_eq!(kind, want, "{error}");

    let elsewhere = authority.trusted().server_name("another.example");
    let (error, kind) = gives_up(Client::builder(url).tls(elsewhere)).await;
    let want = TransportErrorKind::Certificate(CertificateFault::WrongName);
    assert_eq!(kind, want, "{error}");
}

#[tokio::test]
async fn certificates_decide_over_tls_and_a_wrong_one_is_not_tried_again() {
    check("mqtts").await;
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn certificates_decide_over_secure_websocket_and_a_wrong_one_is_not_tried_again() {
    check("wss").await;
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn certificates_decide_over_quic_and_a_wrong_one_is_not_tried_again() {
    check("quic").await;
}

#[tokio::test]
async fn a_server_with_a_bad_certificate_is_passed_over_for_the_next() {
    let authority = Authority::new();
    let identity = || Authority::new().issue("broker", &["127.0.0.1"]).identity();
    let untrusted = Broker::builder().listen_with("mqtts://127.0.0.1:0", identity());
    let untrusted = untrusted.start().await.unwrap();
    let good = authority.issue("broker", &["127.0.0.1"]).identity();
    let good = Broker::builder().listen_with("mqtts://127.0.0.1:0", good);
    let good = good.start().await.unwrap();
    let client = Client::builder(untrusted.url()).or(good.url());
    soon(client.tls(authority.trusted()).connect())
        .await
        .unwrap();
}

#[tokio::test]
async fn verification_can_be_switched_off_by_its_long_name() {
    let identity = Authority::new().issue("broker", &[]).identity();
    let broker = Broker::builder().listen_with("mqtts://127.0.0.1:0", identity);
    let broker = broker.start().await.unwrap();
    let anyone = TlsOptions::new().dangerously_disable_verification();
    soon(Client::builder(broker.url()).tls(anyone).connect())
        .await
        .unwrap();
}
