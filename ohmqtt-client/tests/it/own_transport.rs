//! The example `own_transport`, which carries MQTT over a stream of its own.

#[expect(dead_code, reason = "its main is not called")]
#[path = "../../examples/own_transport.rs"]
mod example;

use crate::support::soon;

#[tokio::test]
async fn two_clients_meet_over_a_transport_of_their_own() {
    soon(example::run()).await.unwrap();
}
