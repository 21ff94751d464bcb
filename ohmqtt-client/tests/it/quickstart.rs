//! The example `quickstart`, the first program newcomers run.

#[expect(dead_code, reason = "its main is not called")]
#[path = "../../examples/quickstart/main.rs"]
mod example;

use crate::support::soon;

/// Runs it with these arguments.
async fn run(arguments: &[&str]) -> Result<(), String> {
    let arguments: Vec<_> = arguments.iter().copied().map(String::from).collect();
    let done = soon(example::run(&arguments)).await;
    done.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_quickstart_runs_through_the_embedded_broker() {
    run(&[]).await.unwrap();
    run(&["--via", "tcp"]).await.unwrap();
}

#[cfg(all(unix, feature = "unix"))]
#[tokio::test]
async fn the_quickstart_runs_through_a_unix_socket() {
    run(&["--via", "unix"]).await.unwrap();
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn the_quickstart_runs_through_websocket() {
    run(&["--via", "ws"]).await.unwrap();
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_quickstart_runs_through_tls() {
    run(&["--via", "tls"]).await.unwrap();
}

#[cfg(all(feature = "ws", feature = "tls"))]
#[tokio::test]
async fn the_quickstart_runs_through_websocket_over_tls() {
    run(&["--via", "wss"]).await.unwrap();
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn the_quickstart_runs_through_quic() {
    run(&["--via", "quic"]).await.unwrap();
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn the_quickstart_names_the_feature_it_lacks() {
    let message = run(&["--via", "tls"]).await.unwrap_err();
    assert!(message.contains("cargo feature `tls`"), "{message}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_quickstart_runs_through_a_broker_at_an_address() {
    let broker = crate::support::mosquitto::Mosquitto::start();
    run(&[&broker.url()]).await.unwrap();
}

#[tokio::test]
async fn the_quickstart_says_where_nobody_answers() {
    let message = run(&["mqtt://127.0.0.1:1"]).await.unwrap_err();
    assert!(message.contains("mqtt://127.0.0.1:1"), "{message}");
    assert!(
        message.contains("is a broker listening there?"),
        "{message}"
    );
}

#[tokio::test]
async fn the_quickstart_says_what_it_can_be_given() {
    for arguments in [&["--via"][..], &["--via", "pigeon"], &["--help"]] {
        let message = run(arguments).await.unwrap_err();
        assert!(message.contains("via"), "{message}");
    }
}
