//! Wills: when they are published, when not, and as what.

use std::time::{Duration, Instant};

use ohmqtt_broker::Broker;
use ohmqtt_codec::{
    Binary, Connect, MqttString, Packet, Qos, ReasonCode, SubscriptionOptions, TopicName,
};

use crate::client::{Client, broker, connect, resuming, topic, will};

async fn watcher(broker: &Broker) -> Client {
    let mut watcher = Client::connect(broker, "watcher").await;
    watcher.subscribe("will/#", Qos::ExactlyOnce).await;
    watcher
}

/// A CONNECT whose session is kept, with a will that waits for so many seconds.
fn delayed(id: &str, delay: u32) -> Connect {
    let mut connect = resuming(id, 100);
    let mut will = will(&format!("will/{id}"), "gone");
    will.properties.set_will_delay_interval(delay);
    connect.will = Some(will);
    connect
}

/// [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14] The will is published when the stream ends without a DISCONNECT.
#[tokio::test]
async fn a_connection_that_breaks_leaves_its_will() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut connect = connect("c");
    connect.will = Some(will("will/c", "gone"));
    let (client, _) = Client::connect_with(&broker, connect).await;
    watcher.expect_nothing().await;
    drop(client);
    let message = watcher.receive_message().await;
    assert_eq!(
        (topic(&message), &message.payload[..]),
        ("will/c", &b"gone"[..])
    );
    assert_eq!(message.delivery.qos(), Qos::AtLeastOnce);
    assert!(!message.retain);
    // [MQTT-3.1.2-10] Once.
    watcher.expect_nothing().await;
}

/// [MQTT-3.14.4-3] [MQTT-3.1.2-10] After a normal disconnection there is no will; 0x04 asks for it.
#[tokio::test]
async fn disconnect_takes_the_will_back_unless_it_asks_for_it() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for (id, reason) in [
        ("normal", ReasonCode::NORMAL_DISCONNECTION),
        ("with-will", ReasonCode::DisconnectWithWillMessage),
        ("error", ReasonCode::UnspecifiedError),
    ] {
        let mut connect = connect(id);
        connect.will = Some(will(&format!("will/{id}"), "gone"));
        let (client, _) = Client::connect_with(&broker, connect).await;
        client.disconnect(reason).await;
        if id != "normal" {
            assert_eq!(
                topic(&watcher.receive_message().await),
                format!("will/{id}")
            );
        }
    }
    watcher.expect_nothing().await;
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_leaves_its_will() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut connect = connect("c");
    connect.will = Some(will("will/c", "gone"));
    let (mut client, _) = Client::connect_with(&broker, connect).await;
    client.send_bytes(&[0x00, 0x00]).await;
    client.expect_disconnect(ReasonCode::MalformedPacket).await;
    drop(client);
    assert_eq!(watcher.receive_message().await.payload, "gone");
}

#[tokio::test]
async fn a_will_waits_for_its_delay() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let (client, _) = Client::connect_with(&broker, delayed("c", 1)).await;
    let start = Instant::now();
    drop(client);
    assert_eq!(watcher.receive_message().await.payload, "gone");
    assert!(start.elapsed() >= Duration::from_secs(1));
    let (_client, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
}

/// [MQTT-3.1.3-9] A client that is back in time, by taking over or after a break, leaves no will.
#[tokio::test]
async fn a_client_that_comes_back_before_the_delay_leaves_no_will() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    drop(Client::connect_with(&broker, delayed("broken", 100)).await);
    let (mut replaced, _) = Client::connect_with(&broker, delayed("replaced", 100)).await;
    let _back = Client::resume(&broker, "broken", 100).await;
    let _instead = Client::resume(&broker, "replaced", 100).await;
    replaced
        .expect_disconnect(ReasonCode::SessionTakenOver)
        .await;
    drop(replaced);
    // Their sessions end before the delay: a will that still waited for it would be published here.
    for id in ["broken", "replaced"] {
        Client::connect(&broker, id).await;
    }
    // One that does not come back leaves its own, behind what they would have left.
    let (last, _) = Client::connect_with(&broker, delayed("last", 1)).await;
    drop(last);
    assert_eq!(topic(&watcher.receive_message().await), "will/last");
    watcher.expect_nothing().await;
}

/// [MQTT-3.1.3-9] The same when its session ends before the broker has heard of the end of its first connection.
#[tokio::test]
async fn a_client_that_was_back_leaves_no_will_to_who_starts_anew_behind_it() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let (mut first, _) = Client::connect_with(&broker, delayed("c", 100)).await;
    let mut back = Client::open(&broker).await;
    let mut anew = Client::open(&broker).await;
    // Both lie there before the broker, which runs on this thread, reads the one.
    back.send(Packet::Connect(resuming("c", 100).into())).await;
    anew.send(Packet::Connect(connect("c").into())).await;
    first.expect_disconnect(ReasonCode::SessionTakenOver).await;
    assert!(matches!(back.receive().await, Packet::ConnAck(_)));
    back.expect_disconnect(ReasonCode::SessionTakenOver).await;
    watcher.expect_nothing().await;
}

/// [MQTT-3.1.2-8] The end of the session comes before the delay: by its interval, by a clean start, by both at once.
#[tokio::test]
async fn the_end_of_the_session_publishes_a_delayed_will() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let mut ends_at_once = delayed("interval", 100);
    ends_at_once.properties.set_session_expiry_interval(0);
    let (client, _) = Client::connect_with(&broker, ends_at_once).await;
    drop(client);
    assert_eq!(topic(&watcher.receive_message().await), "will/interval");

    let (client, _) = Client::connect_with(&broker, delayed("broken", 100)).await;
    drop(client);
    // Whether the broker has seen the break or not, the session ends here.
    let _anew = Client::connect(&broker, "broken").await;
    assert_eq!(topic(&watcher.receive_message().await), "will/broken");

    let (mut client, _) = Client::connect_with(&broker, delayed("replaced", 100)).await;
    let _anew = Client::connect(&broker, "replaced").await;
    client.expect_disconnect(ReasonCode::SessionTakenOver).await;
    drop(client);
    assert_eq!(topic(&watcher.receive_message().await), "will/replaced");
}

#[tokio::test]
async fn a_take_over_publishes_a_will_without_delay() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let (mut old, _) = Client::connect_with(&broker, delayed("c", 0)).await;
    let (_new, present) = Client::resume(&broker, "c", 100).await;
    assert!(present);
    old.expect_disconnect(ReasonCode::SessionTakenOver).await;
    drop(old);
    assert_eq!(topic(&watcher.receive_message().await), "will/c");
}

/// [MQTT-3.1.2-15] Will Retain: later subscribers find it.
#[tokio::test]
async fn a_retained_will_is_retained() {
    let broker = broker().await;
    let mut watcher = Client::connect(&broker, "watcher").await;
    let mut options = SubscriptionOptions::new(Qos::AtMostOnce);
    options.retain_as_published = true;
    watcher.subscribe_with("will/c", options, None).await;
    let mut connect = connect("c");
    let mut retained = will("will/c", "gone");
    retained.retain = true;
    connect.will = Some(retained);
    let (client, _) = Client::connect_with(&broker, connect).await;
    drop(client);
    assert!(watcher.receive_message().await.retain);
    let mut later = Client::connect(&broker, "later").await;
    later.subscribe("will/+", Qos::AtMostOnce).await;
    let message = later.receive_message().await;
    assert!(message.retain);
    assert_eq!(message.payload, "gone");
}

/// [MQTT-3.1.3-10] The properties of a will are those of its message, user properties in their order.
#[tokio::test]
async fn the_properties_of_a_will_arrive() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let text = |text: &str| MqttString::try_from(text).unwrap();
    let mut connect = connect("c");
    let mut will = will("will/c", "gone");
    will.properties.set_payload_format_indicator(true);
    will.properties.set_message_expiry_interval(1000);
    will.properties.set_content_type(&text("text/plain"));
    will.properties
        .set_response_topic(&TopicName::new("answers").unwrap());
    will.properties
        .set_correlation_data(&Binary::try_from(&b"\x00\xFF"[..]).unwrap());
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "0")] {
        will.properties.add_user_property(&text(name), &text(value));
    }
    connect.will = Some(will);
    let (client, _) = Client::connect_with(&broker, connect).await;
    drop(client);
    let properties = watcher.receive_message().await.properties;
    assert_eq!(properties.payload_format_indicator(), Some(true));
    assert_eq!(properties.message_expiry_interval(), Some(1000));
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("answers"));
    assert_eq!(properties.correlation_data(), Some(&b"\x00\xFF"[..]));
    let user: Vec<_> = properties.user_properties().collect();
    assert_eq!(user, [("b", "1"), ("a", "2"), ("b", "0")]);
}
