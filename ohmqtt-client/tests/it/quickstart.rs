//! The example `quickstart`, the first program newcomers run.

#[expect(dead_code, reason = "its main is not called")]
#[path = "../../examples/quickstart.rs"]
mod example;

use crate::support::soon;

#[tokio::test]
async fn the_quickstart_runs_through_the_embedded_broker() {
    soon(example::quickstart(None)).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_quickstart_runs_through_a_broker_at_an_address() {
    let broker = crate::support::mosquitto::Mosquitto::start();
    soon(example::quickstart(Some(broker.url()))).await.unwrap();
}

#[tokio::test]
async fn the_quickstart_says_where_nobody_answers() {
    let failed = soon(example::quickstart(Some("mqtt://127.0.0.1:1".into()))).await;
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("mqtt://127.0.0.1:1"), "{message}");
    assert!(
        message.contains("is a broker listening there?"),
        "{message}"
    );
}
