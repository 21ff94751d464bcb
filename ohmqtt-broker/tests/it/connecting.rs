//! CONNECT, its refusals, and how connections end.

use ohmqtt_codec::ReasonCode;

use crate::client::{Client, broker, connect};

/// [MQTT-3.2.0-1] [MQTT-3.1.4-5] CONNECT is answered by CONNACK with Success.
#[tokio::test]
async fn connect_is_answered_with_the_limits_of_the_broker() {
    let broker = broker().await;
    let (_client, connack) = Client::connect_with(&broker, connect("c")).await;
    assert_eq!(connack.reason, ReasonCode::Success);
    assert!(!connack.session_present);
    let properties = connack.properties;
    assert_eq!(properties.maximum_packet_size().unwrap().get(), 2 << 20);
    assert_eq!(properties.receive_maximum().unwrap().get(), 1024);
    assert_eq!(properties.topic_alias_maximum(), Some(16));
    assert_eq!(properties.assigned_client_identifier(), None);
}
