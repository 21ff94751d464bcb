//! Unix sockets: the contract, and what only they do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use ohmqtt_transport::{
    BoxFuture, Connect, Connector, Endpoint, Listen, ListenOptions, PeerAddress, Phase,
    TransportErrorKind, listen, listen_with,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::contract::{Subject, contract, in_time};

struct Unix;

impl Subject for Unix {
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ohmqtt-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        Box::pin(async move { listen_at(&path).await })
    }

    fn connector(&self) -> Box<dyn Connect> {
        Box::new(Connector::new())
    }

    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
        let path = at.path().unwrap();
        Box::pin(async move { Box::new(UnixStream::connect(path).await.unwrap()) as Box<dyn Send> })
    }
}

contract!(keeps_the_contract, Unix);

fn url(path: &Path) -> Endpoint {
    format!("unix:{}", path.display()).parse().unwrap()
}

async fn listen_at(path: &Path) -> Box<dyn Listen> {
    listen(&url(path)).await.unwrap()
}

/// One byte from a new client to `listener`.
async fn check_serves(listener: &mut dyn Listen) {
    let (connector, local) = (Connector::new(), listener.local());
    let (client, accepted) =
        in_time(async { tokio::join!(connector.connect(&local), listener.accept()) }).await;
    let (mut server, peer) = accepted.unwrap().handshake.await.unwrap();
    assert_eq!(peer.address, PeerAddress::Local);
    assert!(peer.address.is_loopback());
    let mut client = client.unwrap();
    client.write_u8(7).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), 7);
}

#[tokio::test]
async fn socket_file_goes_with_its_listener() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s p%ce");
    let listener = listen(
        &format!("unix:{}/s%20p%25ce", dir.path().display())
            .parse()
            .unwrap(),
    )
    .await
    .unwrap();
    assert!(path.exists());
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn permissions_are_the_chosen_ones() {
    let dir = TempDir::new().unwrap();
    for mode in [0o600, 0o660, 0o777] {
        let path = dir.path().join("s");
        let mut listener = listen_with(&url(&path), ListenOptions::new().socket_mode(mode))
            .await
            .unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            mode
        );
        check_serves(&mut *listener).await;
    }
}

#[tokio::test]
async fn socket_of_a_dead_process_is_replaced() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    // What a killed process leaves: a file nobody listens at.
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    check_serves(&mut *listen_at(&path).await).await;
}

#[tokio::test]
async fn socket_of_a_live_process_is_left_to_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    let mut first = listen_at(&path).await;
    let error = listen(&url(&path)).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::AddressInUse, Phase::Listen)
    );
    // The question whether it lives was a connection, gone by now.
    drop(first.accept().await.unwrap());
    check_serves(&mut *first).await;
}

#[tokio::test]
async fn of_many_that_start_at_once_on_a_stale_socket_one_wins() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    drop(StdListener::bind(&path).unwrap());
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let url = url(&path);
            tokio::spawn(async move { listen(&url).await })
        })
        .collect();
    let mut winners = Vec::new();
    for start in starting {
        match in_time(start).await.unwrap() {
            Ok(listener) => winners.push(listener),
            Err(error) => assert_eq!(error.kind(), TransportErrorKind::AddressInUse),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(path.exists());
}

#[tokio::test]
async fn file_that_is_no_socket_is_never_removed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = listen(&url(&path)).await.err().unwrap();
    assert!(error.to_string().contains("not a socket"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"data");
}

#[tokio::test]
async fn listener_leaves_a_file_that_has_taken_the_place_of_its_own() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    let first = listen_at(&path).await;
    fs::rename(&path, dir.path().join("moved")).unwrap();
    let mut second = listen_at(&path).await;
    drop(first);
    check_serves(&mut *second).await;
}

#[tokio::test]
async fn absent_socket_is_a_refused_connection() {
    let dir = TempDir::new().unwrap();
    let to = url(&dir.path().join("nobody"));
    let error = Connector::new().connect(&to).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::Refused, Phase::Connect)
    );
    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!("connect {to}: connection refused; is a broker listening there?")
    );
}

#[cfg(target_os = "linux")]
mod abstract_names {
    use super::*;

    fn name() -> Endpoint {
        format!("unix:@ohmqtt-test-{}", std::process::id())
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn abstract_name_serves_without_a_file_and_is_free_after() {
        let mut listener = listen(&name()).await.unwrap();
        assert_eq!(listener.local(), name());
        check_serves(&mut *listener).await;
        let error = listen(&name()).await.err().unwrap();
        assert_eq!(error.kind(), TransportErrorKind::AddressInUse);
        drop(listener);
        check_serves(&mut *listen(&name()).await.unwrap()).await;
    }
}
