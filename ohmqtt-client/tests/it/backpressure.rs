//! Readers that are slow, servers that are slow: what is bounded, what is dropped, and what is not.

use ohmqtt_client::{Client, PublishError, Qos};
use ohmqtt_codec::Packet;

use crate::support::script::Script;
use crate::support::{accepted, broker, client, eventually, next, soon, text};

#[tokio::test]
async fn a_slow_reader_loses_the_newest_of_qos_0_and_they_are_counted() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").capacity(10).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for n in 0..25 {
        conn.deliver("t", &n.to_string(), Qos::AtMostOnce, 0).await;
    }
    conn.before_echo().await;
    assert_eq!(inbox.dropped(), 15);
    assert_eq!(client.metrics().dropped, 15);
    assert_eq!(client.metrics().received, 25);
    for n in 0..10 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    // There is room again.
    conn.deliver("t", "new", Qos::AtMostOnce, 0).await;
    assert_eq!(text(&next(&mut inbox).await), "new");
}

#[tokio::test]
async fn large_qos_0_messages_are_bounded_by_their_bytes() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let payload = "x".repeat(8 * 1024 * 1024);
    for _ in 0..10 {
        conn.deliver("t", &payload, Qos::AtMostOnce, 0).await;
    }
    conn.before_echo().await;
    // 64 MiB is the bound, and the topics take some of it.
    assert_eq!(inbox.dropped(), 3);
    for _ in 0..7 {
        assert_eq!(next(&mut inbox).await.payload.len(), payload.len());
    }
    assert!(inbox.try_recv().is_none());
}

#[tokio::test]
async fn a_slow_reader_holds_the_acknowledgements_of_qos_1_and_loses_nothing() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().receive_maximum(3)).await;
    let mut inbox = client.subscribe("t").capacity(1).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for id in 1..=3 {
        conn.deliver("t", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
    }
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().unacknowledged, 3);
    for id in 1..=3 {
        assert_eq!(text(&next(&mut inbox).await), id.to_string());
        conn.puback(id).await;
    }
    assert_eq!(client.metrics().dropped, 0);
}

#[tokio::test]
async fn a_slow_reader_has_everything_in_the_end() {
    let broker = broker().await;
    let slow = Client::builder(broker.url()).receive_maximum(5).connect();
    let slow = soon(slow).await.unwrap();
    let mut inbox = soon(slow.subscribe("t")).await.unwrap();
    let writer = client(&broker).await;
    for n in 0..500 {
        let qos = if n % 2 == 0 {
            Qos::AtLeastOnce
        } else {
            Qos::ExactlyOnce
        };
        let publish = writer.publish("t", n.to_string()).qos(qos);
        soon(soon(publish).await.unwrap().acked()).await.unwrap();
    }
    assert!(slow.metrics().unacknowledged <= 5);
    for n in 0..500 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    eventually(|| slow.metrics().unacknowledged == 0).await;
}

#[tokio::test]
async fn one_slow_reader_does_not_hold_up_qos_0_of_another() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let slow = client.subscribe("slow").send().unwrap();
    let mut quick = client.subscribe("quick").send().unwrap();
    for _ in 0..2 {
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
    }
    for id in 1..=100 {
        conn.deliver("slow", "x", Qos::AtLeastOnce, id).await;
        conn.deliver("quick", &id.to_string(), Qos::AtMostOnce, 0)
            .await;
        assert_eq!(text(&next(&mut quick).await), id.to_string());
    }
    assert_eq!(client.metrics().unacknowledged, 100);
    drop(slow);
}

#[tokio::test]
async fn a_server_that_does_not_read_fills_the_outbox_and_publishers_wait() {
    let script = Script::start().await;
    let (client, mut conn) = script
        .pair_of(script.client().outbox(100_000, 4 << 20))
        .await;
    let payload = bytes::Bytes::from(vec![0; 64 * 1024]);
    let mut taken = 0;
    // The outbox, the driver's buffer and the system's: then it is full.
    let error = loop {
        match client.publish("t", payload.clone()).send() {
            Ok(_) => taken += 1,
            Err(error) => {
                let before = client.metrics().queued_messages;
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                if client.metrics().queued_messages == before {
                    break error;
                }
            }
        }
    };
    assert!(matches!(error, PublishError::Full(_)), "{error:?}");
    assert!(client.metrics().queued_bytes <= 4 << 20);
    assert!(taken < 1000, "{taken}");
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.publish("t", "last").await.map(drop) }
    });
    for _ in 0..taken {
        assert_eq!(conn.publish().await.payload.len(), payload.len());
    }
    soon(waits).await.unwrap().unwrap();
    assert_eq!(conn.publish().await.payload, "last");
}

#[tokio::test]
async fn a_client_that_sends_to_itself_faster_than_it_reads_goes_on() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = soon(client.subscribe("t").capacity(1_000_000))
        .await
        .unwrap();
    let payload = bytes::Bytes::from(vec![0; 16 * 1024]);
    // More than all buffers between the two hold.
    for _ in 0..2000 {
        soon(client.publish("t", payload.clone())).await.unwrap();
    }
    let last = client.publish("t", "last").qos(Qos::ExactlyOnce);
    let last = soon(last).await.unwrap();
    soon(last.acked()).await.unwrap();
    while next(&mut inbox).await.payload != "last" {}
}

/// All Packet Identifiers are in use: a subscription waits for one, and gets it.
#[tokio::test]
async fn a_subscription_waits_for_a_packet_identifier() {
    let script = Script::start().await;
    let (client, mut conn) = script
        .pair_of(script.client().outbox(70_000, 64 << 20))
        .await;
    for _ in 0..=u16::MAX {
        accepted(&client, "t", "", Qos::AtLeastOnce);
    }
    let mut under_way = Vec::new();
    for _ in 0..u16::MAX {
        under_way.push(conn.publish().await);
    }
    let inbox = client.subscribe("t").send().unwrap();
    assert_eq!(conn.before_echo().await, []);
    for publish in under_way.drain(..2) {
        conn.ack(&publish).await;
    }
    let mut subscribed = false;
    for _ in 0..2 {
        match conn.recv().await {
            Packet::Subscribe(subscribe) => {
                conn.grant(&subscribe).await;
                subscribed = true;
            }
            Packet::Publish(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(subscribed);
    soon(inbox.granted()).await.unwrap();
}
