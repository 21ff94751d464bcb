//! What the platform trusts is trusted by default, and nothing else. On Linux an environment variable says what that is,
//! so the connection is made by a child process.

use std::process::{Command, Output};

use ohmqtt_transport::{Connect, Connector, Endpoint, listen_with};
use tempfile::TempDir;

use crate::certs::{AUTHORITY, STRANGER, server_identity};
use crate::contract::in_time;

/// Where the child finds the address to connect to.
const ADDRESS: &str = "OHMQTT_TEST_CONNECT_TO";

/// Connects by the platform's trust in a child process whose platform trusts `pem`; gives what the child says.
async fn connect_where_trusted_is(pem: &str) -> String {
    let at: Endpoint = "mqtts://127.0.0.1:0".parse().unwrap();
    let mut listener = listen_with(&at, server_identity()).await.unwrap();
    let local = listener.local().to_string();
    let server = tokio::spawn(async move {
        let handshake = listener.accept().await.unwrap().handshake;
        let _ = handshake.await;
    });
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("trusted.pem");
    std::fs::write(&file, pem).unwrap();
    let child = tokio::task::spawn_blocking(move || -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["platform_trust::child_connects", "--exact", "--nocapture"])
            .env("SSL_CERT_FILE", &file)
            .env("SSL_CERT_DIR", file.with_file_name("none"))
            .env(ADDRESS, local)
            .output()
            .unwrap()
    });
    let output = in_time(child).await.unwrap();
    server.abort();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Run by the other tests, in a process of its own. Run among them it has no server.
#[tokio::test]
async fn child_connects() {
    let server = std::env::var(ADDRESS).ok();
    let to = server.as_deref().unwrap_or("mqtts://127.0.0.1:1");
    match in_time(Connector::new().connect(&to.parse().unwrap())).await {
        Ok(_) if server.is_none() => panic!("connected to nobody"),
        Ok(_) => println!("child: connected"),
        Err(error) => println!("child: {error}"),
    }
}

#[tokio::test]
async fn what_the_platform_trusts_is_trusted_by_default() {
    let said = connect_where_trusted_is(&AUTHORITY.pem).await;
    assert!(said.contains("child: connected"), "{said}");
}

#[tokio::test]
async fn what_the_platform_does_not_trust_is_refused() {
    let said = connect_where_trusted_is(&STRANGER.pem).await;
    assert!(said.contains("an authority that is not trusted"), "{said}");
}

#[tokio::test]
async fn platform_that_trusts_nobody_is_an_error_that_says_so() {
    let said = connect_where_trusted_is("").await;
    assert!(
        said.contains("no certificate authority is trusted by this system"),
        "{said}"
    );
}
