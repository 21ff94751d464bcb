//! Connections that end, and packets that are late.

use std::time::{Duration, Instant};

use ohmqtt_broker::faults::{After, Direction, Packet};
use ohmqtt_client::{Event, Qos};

use super::{builder, client, connected, disconnected, event, faulty, payloads, publish, soon};

#[tokio::test]
async fn a_client_that_is_cut_comes_back_and_no_other_notices() {
    let (broker, faults) = faulty().await;
    let (one, other) = (client(&broker, "one").await, client(&broker, "other").await);
    let (mut events, mut others) = (one.events(), other.events());
    faults.client("one").cut();
    disconnected(&mut events).await;
    connected(&one).await;
    soon(publish(&other, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    assert!(others.try_recv().is_none());
    faults.all().cut();
    disconnected(&mut events).await;
    disconnected(&mut others).await;
}

#[tokio::test]
async fn a_cut_behind_so_many_packets_of_a_client_loses_the_answer_to_the_last() {
    let (broker, faults) = faulty().await;
    let mut inbox = client(&broker, "reader")
        .await
        .subscribe("t")
        .await
        .unwrap();
    let writer = client(&broker, "writer").await;
    let mut events = writer.events();
    faults
        .client("writer")
        .cut_after(Direction::FromClient, After::Packets(2));
    for payload in ["a", "b"] {
        let publication = publish(&writer, payload, Qos::AtLeastOnce).await;
        soon(publication.acked()).await.unwrap();
    }
    disconnected(&mut events).await;
    assert_eq!(payloads(&faults.sent_by("writer")), ["a", "b", "b"]);
    // The broker has had the last one twice.
    for payload in ["a", "b", "b"] {
        let message = soon(inbox.recv()).await.unwrap();
        assert_eq!(message.payload, payload);
    }
}

#[tokio::test]
async fn a_cut_within_a_packet_loses_the_packet() {
    let (broker, faults) = faulty().await;
    let mut inbox = client(&broker, "reader")
        .await
        .subscribe("t")
        .await
        .unwrap();
    let writer = client(&broker, "writer").await;
    let mut events = writer.events();
    faults
        .client("writer")
        .cut_after(Direction::FromClient, After::Bytes(5));
    soon(publish(&writer, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    disconnected(&mut events).await;
    assert_eq!(payloads(&faults.sent_by("writer")), ["x", "x"]);
    soon(publish(&writer, "end", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    for payload in ["x", "end"] {
        assert_eq!(soon(inbox.recv()).await.unwrap().payload, payload);
    }
}

#[tokio::test]
async fn a_cut_behind_so_many_packets_to_a_client_lets_it_have_these() {
    let (broker, faults) = faulty().await;
    // CONNACK and one PUBACK.
    faults
        .client("writer")
        .cut_after(Direction::ToClient, After::Packets(2));
    let writer = client(&broker, "writer").await;
    let mut events = writer.events();
    soon(publish(&writer, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    disconnected(&mut events).await;
    connected(&writer).await;
    assert_eq!(payloads(&faults.sent_by("writer")), ["x"]);
}

#[tokio::test]
async fn a_cut_of_the_next_connection_leaves_the_one_behind_it() {
    let (broker, faults) = faulty().await;
    faults.next().cut();
    let client = builder(&broker, "c").start().unwrap();
    let mut events = client.events();
    let is_failure = |event| matches!(event, Event::ConnectFailed { .. }).then_some(());
    event(&mut events, is_failure).await;
    connected(&client).await;
}

#[tokio::test]
async fn packets_are_late_by_what_was_asked_for_either_way() {
    let (broker, faults) = faulty().await;
    let writer = client(&broker, "writer").await;
    let late = Duration::from_millis(60);
    for direction in [Direction::FromClient, Direction::ToClient] {
        let before = Instant::now();
        faults.client("writer").delay(direction, late);
        let publications = [
            publish(&writer, "x", Qos::AtLeastOnce).await,
            publish(&writer, "y", Qos::AtLeastOnce).await,
        ];
        for publication in publications {
            soon(publication.acked()).await.unwrap();
        }
        assert!(before.elapsed() >= late, "{direction:?}");
        faults.client("writer").delay(direction, Duration::ZERO);
    }
    let is_publish = |packet: &Packet| matches!(packet, Packet::Publish(_));
    soon(faults.wait_for("writer", is_publish)).await;
}
