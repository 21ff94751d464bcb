//! TCP: the contract, and what only TCP does.

use std::io;

use ohmqtt_transport::{
    BoxFuture, Connect, Connector, Endpoint, Listen, PeerAddress, Phase, TransportErrorKind, listen,
};
use tokio::io::AsyncWrite;
use tokio::net::{TcpSocket, TcpStream};

use crate::contract::{Subject, contract, hundred_megabytes_both_ways_arrive_intact, in_time};

struct Tcp;

impl Subject for Tcp {
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
        Box::pin(async { listen_at("mqtt://127.0.0.1:0").await })
    }

    fn connector(&self) -> Box<dyn Connect> {
        Box::new(Connector::new())
    }

    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
        let address = (at.host().unwrap(), at.port().unwrap());
        Box::pin(
            async move { Box::new(TcpStream::connect(address).await.unwrap()) as Box<dyn Send> },
        )
    }
}

contract!(keeps_the_contract, Tcp);

async fn listen_at(url: &str) -> Box<dyn Listen> {
    listen(&url.parse().unwrap()).await.unwrap()
}

/// [MQTT-4.2.0-1] What goes in comes out, all of it and in order, both ways.
#[tokio::test]
async fn bytes_arrive_in_order_and_none_is_lost() {
    in_time(hundred_megabytes_both_ways_arrive_intact(&Tcp)).await;
}

#[tokio::test]
async fn listener_tells_its_port_and_no_credentials() {
    let local = listen_at("mqtt://user:secret@localhost:0").await.local();
    assert_eq!(local.host(), Some("localhost"));
    assert_ne!(local.port(), Some(0));
    assert_eq!((local.user_name(), local.password()), (None, None));
    assert_eq!(local.to_string().parse::<Endpoint>().unwrap(), local);
}

#[tokio::test]
async fn peer_is_known_by_its_address_before_and_after_the_handshake() {
    let mut listener = listen_at("127.0.0.1:0").await;
    let stream = TcpStream::connect(("127.0.0.1", listener.local().port().unwrap()))
        .await
        .unwrap();
    let accepted = listener.accept().await.unwrap();
    let want = PeerAddress::Ip(stream.local_addr().unwrap());
    assert_eq!(accepted.address, want);
    let (_, peer) = accepted.handshake.await.unwrap();
    assert_eq!(peer.address, want);
    assert!(peer.address.is_loopback());
    assert!(peer.certificate_names.is_empty() && peer.path.is_none());
}

#[tokio::test]
async fn streams_write_many_pieces_at_once() {
    let mut listener = listen_at("127.0.0.1:0").await;
    let (connector, local) = (Connector::new(), listener.local());
    let (client, server) = tokio::join!(connector.connect(&local), listener.accept());
    let (server, _) = server.unwrap().handshake.await.unwrap();
    assert!(client.unwrap().is_write_vectored() && server.is_write_vectored());
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // localhost is ::1 and 127.0.0.1 on most systems; the listener has one of them.
    let mut listener = listen_at("127.0.0.1:0").await;
    let url = format!("mqtt://localhost:{}", listener.local().port().unwrap());
    let (connector, to) = (Connector::new(), url.parse().unwrap());
    let (client, server) =
        in_time(async { tokio::join!(connector.connect(&to), listener.accept()) }).await;
    client.unwrap();
    server.unwrap();
}

#[tokio::test]
async fn refused_connection_says_where_and_asks_for_the_broker() {
    // Bound, so that nobody else gets the port, but not listening.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("mqtt://user:secret@{}", held.local_addr().unwrap());
    let error = Connector::new()
        .connect(&url.parse().unwrap())
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::Refused, Phase::Connect)
    );
    assert!(error.is_retryable());
    let address = url.replace("user:secret@", "");
    assert_eq!(error.address(), address);
    assert_eq!(
        error.to_string(),
        format!("connect {address}: connection refused; is a broker listening there?")
    );
    assert!(std::error::Error::source(&error).unwrap().is::<io::Error>());
}

#[tokio::test]
async fn unknown_name_is_an_error_of_the_resolve_phase() {
    // Its first sign says that it is none: nobody is asked for it.
    let to = "mqtt://-no-such-host.invalid".parse().unwrap();
    let error = in_time(Connector::new().connect(&to)).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::NameNotFound, Phase::Resolve)
    );
    assert!(error.is_retryable());
    assert!(
        error
            .to_string()
            .starts_with("resolve mqtt://-no-such-host.invalid:1883: name not found; "),
        "{error}"
    );
}

#[tokio::test]
async fn address_in_use_names_it_and_says_what_to_do() {
    let held = listen_at("127.0.0.1:0").await;
    let error = listen(&held.local()).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::AddressInUse, Phase::Listen)
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("listen {}: address in use; ", held.local())),
        "{error}"
    );
}

#[tokio::test]
async fn address_of_another_machine_cannot_be_listened_at() {
    // 192.0.2.0/24 is for documentation: no machine has it.
    let error = listen(&"192.0.2.1:0".parse().unwrap()).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::AddressNotAvailable, Phase::Listen)
    );
}
