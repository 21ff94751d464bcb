//! What the server allows: obeyed, and what it forbids is a typed error before anything is sent.

use ohmqtt_client::{Client, LostMessage, Publish, PublishError, Qos, ReasonCode};

use super::{ALL_QOS, connect, next, publish, quiet, subscribe, text};
use crate::support::mosquitto::Mosquitto;
use crate::support::{accepted, soon};

/// Refused before it is sent, with a message that says this; the message is given back.
fn refused(message: Publish<'_>, parts: [&str; 2]) {
    let error = message.send().unwrap_err();
    assert!(matches!(error, PublishError::Refused(_)), "{error:?}");
    let told = error.to_string();
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    assert!(error.into_message().is_some());
}

/// Nothing of what was refused has reached the server, and the connection has not suffered.
async fn went_on(client: &Client) {
    publish(client, "went/on", "", Qos::AtLeastOnce).await;
    assert_eq!(client.metrics().connections, 1);
}

/// [MQTT-3.2.2-15] At every QoS, to the byte; SUBSCRIBE too.
#[tokio::test]
async fn a_packet_over_the_servers_limit_is_refused_with_both_sizes() {
    let broker = Mosquitto::with(&["max_packet_size 1000"]);
    let client = connect(&broker, "client").await;
    let mut inbox = subscribe(&client, "t").await;
    // Fixed header 3, topic 3, Packet Identifier 2 but not at QoS 0, property length 1.
    for (qos, largest) in ALL_QOS.into_iter().zip([993, 991, 991]) {
        let message = |size: usize| client.publish("t", vec![b'x'; size]).qos(qos);
        refused(message(largest + 1), ["1001 bytes", "accepts 1000"]);
        let fits = soon(message(largest)).await.unwrap();
        assert_eq!(
            soon(fits.acked()).await.unwrap().reason,
            ReasonCode::Success
        );
        assert_eq!(next(&mut inbox).await.payload.len(), largest);
    }
    refused(
        client.publish("t", vec![0; 1 << 20]),
        ["to 't'", "accepts 1000"],
    );
    // Properties count too.
    let property = "x".repeat(1000);
    refused(
        client.publish("t", "").content_type(&property),
        ["to 't'", "accepts 1000"],
    );
    let topic = "t".repeat(2000);
    let error = soon(client.subscribe(&topic)).await.unwrap_err();
    assert!(error.to_string().contains("accepts 1000"), "{error}");
    went_on(&client).await;
}

#[tokio::test]
async fn what_was_taken_before_the_limit_was_known_fails_with_it() {
    let broker = Mosquitto::with(&[
        "max_packet_size 1000",
        "retain_available false",
        "max_qos 1",
    ]);
    let client = broker.client("client").start().unwrap();
    let message = || client.publish("t", vec![0; 2000]).qos(Qos::AtLeastOnce);
    let large = message().send().unwrap();
    let kept = client
        .publish("t", "")
        .qos(Qos::AtLeastOnce)
        .retain(true)
        .send()
        .unwrap();
    let twice = accepted(&client, "t", "", Qos::ExactlyOnce);
    let good = accepted(&client, "t", "", Qos::AtLeastOnce);
    let lost = soon(large.acked()).await.unwrap_err();
    assert!(
        matches!(lost, LostMessage::TooLarge { limit: 1000, .. }),
        "{lost:?}"
    );
    assert_eq!(
        soon(kept.acked()).await.unwrap_err(),
        LostMessage::RetainNotSupported
    );
    let maximum = Qos::AtLeastOnce;
    let lost = soon(twice.acked()).await.unwrap_err();
    assert_eq!(lost, LostMessage::QosNotSupported { maximum });
    assert!(!soon(good.acked()).await.unwrap().reason.is_error());
    assert_eq!(client.metrics().lost, 3);
    went_on(&client).await;
}

/// [MQTT-3.2.2-11] Where it is 0 and where it is 1.
#[tokio::test]
async fn a_qos_above_the_servers_is_refused() {
    for (setting, maximum) in [("max_qos 0", 0), ("max_qos 1", 1)] {
        let broker = Mosquitto::with(&[setting]);
        let client = connect(&broker, "client").await;
        for qos in ALL_QOS {
            let message = client.publish("t", "").qos(qos);
            if u8::from(qos) > maximum {
                let told = format!("Maximum QoS is {maximum}");
                refused(message, ["to 't'", &told]);
            } else {
                soon(soon(message).await.unwrap().acked()).await.unwrap();
            }
        }
        assert_eq!(client.metrics().connections, 1);
    }
}

/// [MQTT-3.2.2-14] At every QoS.
#[tokio::test]
async fn a_retained_message_is_refused_where_none_are_kept() {
    let broker = Mosquitto::with(&["retain_available false"]);
    let client = connect(&broker, "client").await;
    for qos in ALL_QOS {
        let message = client.publish("t", "").qos(qos).retain(true);
        refused(message, ["to 't'", "does not support retained messages"]);
    }
    went_on(&client).await;
}

/// [MQTT-3.3.4-7] [MQTT-4.9.0-2] Of either QoS.
#[tokio::test]
async fn the_servers_receive_maximum_is_never_exceeded() {
    const MESSAGES: usize = 300;
    let broker = Mosquitto::with(&["max_inflight_messages 3"]);
    let client = connect(&broker, "client").await;
    let mut inbox = subscribe(&client, "t").await;
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let mut sent = Vec::new();
        for n in 0..MESSAGES {
            sent.push(client.publish("t", n.to_string()).qos(qos).send().unwrap());
        }
        for n in 0..MESSAGES {
            assert!(client.metrics().in_flight <= 3);
            assert_eq!(text(&next(&mut inbox).await), n.to_string());
        }
        for publication in sent {
            assert_eq!(
                soon(publication.acked()).await.unwrap().reason,
                ReasonCode::Success
            );
        }
    }
    // Mosquitto ends the connection of a client that exceeds it.
    went_on(&client).await;
}

/// Mosquitto 2.0.11 sends all it has once the first message of a full window is acknowledged. A client with a slow reader bears that.
#[tokio::test]
async fn our_receive_maximum_is_exceeded_and_nothing_comes_of_it() {
    const MESSAGES: usize = 300;
    let broker = Mosquitto::with(&["max_queued_messages 0"]);
    let publisher = connect(&broker, "publisher").await;
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let client = broker
            .client(&format!("slow at {qos:?}"))
            .receive_maximum(3);
        let client = soon(client.connect()).await.unwrap();
        let mut inbox = soon(client.subscribe("t").capacity(1)).await.unwrap();
        for n in 0..MESSAGES {
            publish(&publisher, "t", n.to_string(), qos).await;
        }
        for n in 0..MESSAGES {
            assert_eq!(text(&next(&mut inbox).await), n.to_string());
            if n % 100 == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        quiet(&client, &mut inbox).await;
        assert_eq!(client.metrics().connections, 1);
    }
}

#[tokio::test]
async fn a_packet_over_our_own_limit_is_left_out_by_the_server() {
    let broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    let client = broker.client("small").max_packet_size(1000);
    let client = soon(client.connect()).await.unwrap();
    let mut inbox = subscribe(&client, "t").await;
    for qos in ALL_QOS {
        publish(&publisher, "t", vec![b'x'; 2000], qos).await;
        publish(&publisher, "t", "small", qos).await;
        assert_eq!(text(&next(&mut inbox).await), "small");
    }
    assert_eq!(client.metrics().connections, 1);
}

#[tokio::test]
async fn an_error_code_of_the_servers_is_in_the_acknowledgement() {
    let broker = Mosquitto::with_files(
        &[("acl", "topic readwrite open/#\n")],
        &["acl_file {folder}/acl"],
    );
    let client = connect(&broker, "client").await;
    let _inbox = subscribe(&client, "open/#").await;
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let reason = publish(&client, "secret", "x", qos).await;
        assert_eq!(reason, ReasonCode::NotAuthorized);
        let reason = publish(&client, "open/to/all", "x", qos).await;
        assert_eq!(reason, ReasonCode::Success);
    }
}

#[tokio::test]
async fn a_message_nobody_wants_is_acknowledged_with_the_code_for_it() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "client").await;
    let reason = publish(&client, "nobody", "x", Qos::AtLeastOnce).await;
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
}
