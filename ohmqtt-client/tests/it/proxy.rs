//! Through proxies: both kinds, what they are told, and what becomes of a client whose proxy does not help.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_client::{
    Client, ClientBuilder, ConnectError, ConnectErrorKind, ConnectFailed, ConnectionState, Phase,
    Proxy, ProxyFault, Qos, TransportErrorKind,
};

use crate::support::log::Log;
use crate::support::proxy::{Does, http, socks5};
use crate::support::{broker, next, soon, text};

/// A broker that only the proxies of these tests know the way to.
const BROKER: &str = "mqtt://broker.invalid:1884";

/// Leads to this broker.
fn to(broker: &Broker) -> Does {
    let (_, address) = broker.url().split_once("//").unwrap();
    Does::LeadsTo(address.trim_end_matches("/mqtt").to_owned())
}

fn through(kind: &str, proxy: &str) -> ClientBuilder {
    Client::builder(BROKER).proxy(format!("{kind}://{proxy}").parse().unwrap())
}

/// A message goes there and back.
async fn check_works(client: ClientBuilder) {
    let client = soon(client.connect()).await.unwrap();
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    let sent = soon(client.publish("t", "x").qos(Qos::AtLeastOnce)).await;
    soon(sent.unwrap().acked()).await.unwrap();
    assert_eq!(text(&next(&mut inbox).await), "x");
}

async fn fails(client: ClientBuilder) -> ConnectError {
    match soon(client.connect()).await {
        Err(ConnectFailed::Connect(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn transport(error: &ConnectError) -> (TransportErrorKind, Phase) {
    match &error.kind {
        ConnectErrorKind::Transport(error) => (error.kind(), error.phase()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_http_proxy_is_asked_by_name_for_a_way_to_the_broker() {
    let broker = broker().await;
    let (proxy, heard) = http(to(&broker)).await;
    check_works(through("http", &proxy)).await;
    let heard = String::from_utf8(heard.lock().unwrap()[0].clone()).unwrap();
    let want = "CONNECT broker.invalid:1884 HTTP/1.1\r\nHost: broker.invalid:1884\r\n\r\n";
    assert_eq!(heard, want);
}

#[tokio::test]
async fn an_http_proxy_is_told_user_name_and_password_when_there_are_any() {
    let broker = broker().await;
    let (proxy, heard) = http(to(&broker)).await;
    check_works(through("http", &format!("alice:s%20cret@{proxy}"))).await;
    let heard = String::from_utf8(heard.lock().unwrap()[0].clone()).unwrap();
    // alice:s cret
    let want = "\r\nProxy-Authorization: Basic YWxpY2U6cyBjcmV0\r\n";
    assert!(heard.contains(want), "{heard}");
}

#[tokio::test]
async fn a_socks5_proxy_is_asked_by_name_for_a_way_to_the_broker() {
    let broker = broker().await;
    let (proxy, heard) = socks5(None, to(&broker)).await;
    check_works(through("socks5", &proxy)).await;
    let mut want = vec![5, 1, 0, 3, 14];
    want.extend_from_slice(b"broker.invalid");
    want.extend_from_slice(&1884_u16.to_be_bytes());
    assert_eq!(heard.lock().unwrap()[0], want);
}

#[tokio::test]
async fn a_socks5_proxy_is_told_user_name_and_password_when_it_asks() {
    let broker = broker().await;
    let (proxy, _) = socks5(Some(("alice", "s cret")), to(&broker)).await;
    check_works(through("socks5", &format!("alice:s%20cret@{proxy}"))).await;
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn websocket_passes_a_proxy() {
    let broker = Broker::builder().listen("ws://127.0.0.1:0/mqtt");
    let broker = broker.start().await.unwrap();
    for (kind, proxy) in [
        ("http", http(to(&broker)).await.0),
        ("socks5", socks5(None, to(&broker)).await.0),
    ] {
        let proxy: Proxy = format!("{kind}://{proxy}").parse().unwrap();
        check_works(Client::builder("ws://broker.invalid").proxy(proxy)).await;
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_through_a_proxy_is_with_the_broker_and_not_with_the_proxy() {
    let authority = crate::support::certs::Authority::new();
    let issued = authority.issue("broker", &["broker.invalid"]);
    let broker = Broker::builder().listen_with("mqtts://127.0.0.1:0", issued.identity());
    let broker = broker.start().await.unwrap();
    let (proxy, _) = http(to(&broker)).await;
    let client = |url| {
        let proxy: Proxy = format!("http://{proxy}").parse().unwrap();
        Client::builder(url).tls(authority.trusted()).proxy(proxy)
    };
    check_works(client("mqtts://broker.invalid")).await;
    let error = fails(client("mqtts://another.invalid")).await;
    let (kind, phase) = transport(&error);
    assert!(
        matches!(kind, TransportErrorKind::Certificate(_)),
        "{error}"
    );
    assert_eq!(phase, Phase::Handshake);
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn quic_is_refused_rather_than_sent_past_the_proxy() {
    let (proxy, heard) = http(Does::Says(Vec::new())).await;
    let client =
        Client::builder("quic://127.0.0.1").proxy(format!("http://{proxy}").parse().unwrap());
    let error = fails(client).await;
    assert_eq!(transport(&error).0, TransportErrorKind::Misconfigured);
    assert!(!error.is_retryable());
    assert!(
        error.to_string().contains("no proxy carries quic"),
        "{error}"
    );
    assert!(heard.lock().unwrap().is_empty());
}

/// A proxy that says this makes for such an error, which shows no secret.
async fn check_refused(kind: &str, says: &[u8], want: TransportErrorKind, retryable: bool) {
    let says = Does::Says(says.to_vec());
    let (proxy, _) = match kind {
        "http" => http(says).await,
        _ => socks5(Some(("alice", "hunter2")), says).await,
    };
    let error = fails(through(kind, &format!("alice:hunter2@{proxy}"))).await;
    assert_eq!(transport(&error).0, want, "{error}");
    assert_eq!(error.is_retryable(), retryable, "{error}");
    let message = error.to_string();
    assert!(message.contains(&format!("{kind}://{proxy}")), "{message}");
    assert!(message.contains("; "), "no advice: {message}");
    for text in [message, format!("{error:?}")] {
        assert!(
            !text.contains("hunter2") && !text.contains("alice"),
            "{text}"
        );
        // alice:hunter2
        assert!(!text.contains("YWxpY2U6aHVudGVyMg"), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_of_an_http_proxy_is_told_and_tried_again_only_where_that_may_help() {
    let status = |status: u16| format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
    for (code, fault, retryable) in [
        (407, ProxyFault::Credentials, false),
        (403, ProxyFault::Forbidden, false),
        (502, ProxyFault::Failed, true),
        (503, ProxyFault::Failed, true),
        (504, ProxyFault::Failed, true),
        (404, ProxyFault::NotAProxy, false),
        (405, ProxyFault::NotAProxy, false),
        (101, ProxyFault::NotAProxy, false),
    ] {
        let want = TransportErrorKind::Proxy(fault);
        check_refused("http", status(code).as_bytes(), want, retryable).await;
    }
    let none = TransportErrorKind::Proxy(ProxyFault::NotAProxy);
    check_refused("http", b"SSH-2.0-OpenSSH_9.2p1\r\n", none, false).await;
    check_refused("http", &vec![b'x'; 20_000], none, false).await;
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    check_refused("http", endless.as_bytes(), none, false).await;
    check_refused("http", b"HTTP/1.1 200 OK\r\n\r\nmore", none, false).await;
}

#[tokio::test]
async fn a_refusal_of_a_socks5_proxy_is_told_and_tried_again_only_where_that_may_help() {
    let fault = TransportErrorKind::Proxy;
    for (reply, want, retryable) in [
        (1, fault(ProxyFault::Failed), true),
        (2, fault(ProxyFault::Forbidden), false),
        (3, TransportErrorKind::Unreachable, true),
        (4, TransportErrorKind::Unreachable, true),
        (5, TransportErrorKind::Refused, true),
        (6, TransportErrorKind::Unreachable, true),
        (7, fault(ProxyFault::NotAProxy), false),
    ] {
        check_refused(
            "socks5",
            &[5, reply, 0, 1, 0, 0, 0, 0, 0, 0],
            want,
            retryable,
        )
        .await;
    }
    let none = fault(ProxyFault::NotAProxy);
    check_refused("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", none, false).await;
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_ends_the_attempts_and_nothing_shows_them() {
    let (log, _guard) = Log::start();
    let (proxy, _) = socks5(Some(("alice", "right")), Does::Says(Vec::new())).await;
    let mut shown = String::new();
    for given in ["alice:hunter2@", ""] {
        let client = through("socks5", &format!("{given}{proxy}"));
        write!(shown, "{client:?}").unwrap();
        let client = client.start().unwrap();
        let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
        let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
            panic!("not closed");
        };
        let want = TransportErrorKind::Proxy(ProxyFault::Credentials);
        assert_eq!(transport(&error), (want, Phase::Proxy));
        write!(shown, "{error} {error:?}").unwrap();
    }
    shown += &log.text();
    assert!(shown.contains(&format!("socks5://{proxy}")), "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("alice"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_a_broker_that_is_not() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nowhere = listener.local_addr().unwrap().to_string();
    drop(listener);
    for kind in ["http", "socks5"] {
        let error = fails(through(kind, &nowhere)).await;
        assert_eq!(
            transport(&error),
            (TransportErrorKind::Refused, Phase::Proxy)
        );
        let want =
            format!("proxy {kind}://{nowhere}: connection refused; is a proxy listening there?");
        assert_eq!(error.to_string(), want);
    }
    let (proxy, _) = socks5(None, Does::Says(vec![5, 5, 0, 1, 0, 0, 0, 0, 0, 0])).await;
    let error = fails(through("socks5", &proxy)).await;
    let want = format!(
        "connect {BROKER} through socks5://{proxy}: connection refused; is a broker listening there?"
    );
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_proxy_that_stalls_or_hangs_up_costs_no_more_than_the_time_to_connect() {
    for kind in ["http", "socks5"] {
        let (proxy, _) = match kind {
            "http" => http(Does::Says(b"HTTP/1.1 200 O".to_vec())).await,
            _ => socks5(None, Does::Says(vec![5, 0])).await,
        };
        let client = through(kind, &proxy).connect_timeout(Duration::from_millis(50));
        let error = fails(client).await;
        assert!(matches!(error.kind, ConnectErrorKind::TimedOut), "{error}");

        let nobody = Does::LeadsTo("127.0.0.1:0".to_owned());
        let (proxy, _) = match kind {
            "http" => http(nobody).await,
            _ => socks5(None, nobody).await,
        };
        let error = fails(through(kind, &proxy)).await;
        assert_eq!(transport(&error), (TransportErrorKind::Reset, Phase::Proxy));
        assert!(error.is_retryable());
    }
}
