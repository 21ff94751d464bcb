//! Programs that speak to a broker, run against this one.

use crate::client::broker;

#[allow(dead_code, reason = "the example's own main")]
#[path = "../../../ohmqtt-session/examples/sans_io.rs"]
mod sans_io;

#[tokio::test]
async fn a_session_on_a_plain_stream_publishes_and_receives_at_every_qos() {
    let broker = broker().await;
    let address = broker.url().trim_start_matches("mqtt://").to_owned();
    let talked = tokio::task::spawn_blocking(move || {
        sans_io::talk(&address).map_err(|error| error.to_string())
    });
    assert_eq!(talked.await.unwrap(), Ok(()));
}
