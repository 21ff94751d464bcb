//! Publishing: what a message's handle says and when, the order, the bounds of the outbox.

use std::sync::Arc;
use std::time::Duration;

use ohmqtt_client::{ConnectionState, LostMessage, PublishError, Qos, ReasonCode, WaitError};
use ohmqtt_codec::{Ack, ConnAckProperties, Delivery, Packet};

use crate::support::script::{Conn, Script};
use crate::support::{accepted, broker, client, eventually, next, soon, text};

const ALL_QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

#[tokio::test]
async fn a_message_is_accepted_sent_and_acked_at_each_qos() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    for qos in ALL_QOS {
        let publication = soon(client.publish("t", "x").qos(qos)).await.unwrap();
        soon(publication.accepted()).await.unwrap();
        soon(publication.sent()).await.unwrap();
        let ack = soon(publication.acked()).await.unwrap();
        assert_eq!(ack.reason, ReasonCode::Success);
        assert_eq!(next(&mut inbox).await.qos, qos);
        // What has happened can be asked again.
        soon(publication.accepted()).await.unwrap();
        assert_eq!(soon(publication.acked()).await.unwrap(), ack);
    }
    assert_eq!(client.metrics().queued_messages, 0);
}

#[tokio::test]
async fn acked_is_when_puback_comes() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = soon(client.publish("t", "x").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    soon(publication.sent()).await.unwrap();
    let publish = conn.publish().await;
    conn.before_echo().await;
    assert_eq!(pending(&publication), Err(WaitError::TimedOut));
    assert_eq!(client.metrics().in_flight, 1);
    conn.ack(&publish).await;
    soon(publication.acked()).await.unwrap();
    assert_eq!(client.metrics().in_flight, 0);
}

#[tokio::test]
async fn acked_is_when_pubcomp_comes() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = accepted(&client, "t", "x", Qos::ExactlyOnce);
    let id = conn.publish().await.delivery.packet_id().unwrap();
    conn.send(Packet::PubRec(Ack::new(id))).await;
    assert_eq!(conn.recv().await, Packet::PubRel(Ack::new(id)));
    assert_eq!(pending(&publication), Err(WaitError::TimedOut));
    conn.send(Packet::PubComp(Ack::new(id))).await;
    soon(publication.acked()).await.unwrap();
}

/// Whether it is acked now.
fn pending(publication: &ohmqtt_client::Publication) -> Result<ReasonCode, WaitError> {
    let ack = publication.wait_acked(Duration::ZERO)?;
    Ok(ack.reason)
}

#[tokio::test]
async fn an_error_of_the_server_is_in_the_acknowledgement() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let refused = accepted(&client, "t", "1", Qos::AtLeastOnce);
    let id = conn.publish().await.delivery.packet_id().unwrap();
    let mut ack = Ack::with_reason(id, ReasonCode::QuotaExceeded);
    ack.properties
        .set_reason_string(&"come back later".try_into().unwrap());
    conn.send(Packet::PubAck(ack)).await;
    let told = soon(refused.acked()).await.unwrap();
    assert_eq!(told.reason, ReasonCode::QuotaExceeded);
    assert_eq!(told.properties.reason_string(), Some("come back later"));

    let refused = accepted(&client, "t", "2", Qos::ExactlyOnce);
    let id = conn.publish().await.delivery.packet_id().unwrap();
    let ack = Ack::with_reason(id, ReasonCode::NotAuthorized);
    conn.send(Packet::PubRec(ack)).await;
    let told = soon(refused.acked()).await.unwrap();
    assert_eq!(told.reason, ReasonCode::NotAuthorized);
    assert_eq!(client.metrics().queued_messages, 0);
    assert_eq!(client.metrics().lost, 0);
}

#[tokio::test]
async fn nobody_listening_is_told_by_the_broker_and_is_no_error() {
    let broker = broker().await;
    let client = client(&broker).await;
    let publication = soon(client.publish("nobody", "x").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    let ack = soon(publication.acked()).await.unwrap();
    assert!(!ack.reason.is_error());
}

#[tokio::test]
async fn messages_arrive_in_the_order_they_were_published() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    let mut last = None;
    for n in 0..3000 {
        let qos = if n % 3 == 0 {
            Qos::ExactlyOnce
        } else {
            Qos::AtLeastOnce
        };
        last = Some(client.publish("t", n.to_string()).qos(qos).send().unwrap());
    }
    for n in 0..3000 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    soon(last.unwrap().acked()).await.unwrap();
}

#[tokio::test]
async fn without_a_connection_messages_are_accepted_and_sent_in_order_later() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut conn, _) = script.connect().await;
    let first = soon(client.publish("t", "1").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    let second = accepted(&client, "t", "2", Qos::ExactlyOnce);
    assert_eq!(client.metrics().queued_messages, 2);
    conn.connack(false).await;
    for (publication, payload) in [(first, "1"), (second, "2")] {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, payload);
        assert!(!publish.delivery.dup());
        conn.ack(&publish).await;
        soon(publication.acked()).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_outbox_gives_the_message_back() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
    let first = accepted(&client, "t", "1", Qos::AtLeastOnce);
    let error = client
        .publish("t", "2")
        .qos(Qos::AtLeastOnce)
        .send()
        .unwrap_err();
    assert!(matches!(error, PublishError::Full(_)), "{error}");
    assert!(error.to_string().contains("'t'"), "{error}");
    assert_eq!(error.into_message().unwrap().payload, "2");
    // What can never fit is no matter of waiting.
    let error = soon(client.publish("t", vec![0; 1001])).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused(_)), "{error}");
    assert!(error.to_string().contains("1000"), "{error}");
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    soon(first.acked()).await.unwrap();
    accepted(&client, "t", "3", Qos::AtLeastOnce);
    assert_eq!(conn.publish().await.payload, "3");
}

#[tokio::test]
async fn who_waits_for_room_is_served_in_order() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
    accepted(&client, "t", "0", Qos::AtLeastOnce);
    let mut waiters = Vec::new();
    for n in 1..=10 {
        let client = client.clone();
        let mut publish = Box::pin(async move {
            client
                .publish("t", n.to_string())
                .qos(Qos::AtLeastOnce)
                .await
                .unwrap();
        });
        // Each stands in line before the next one comes.
        assert!(futures_poll(&mut publish).is_pending());
        waiters.push(tokio::spawn(publish));
    }
    for n in 0..=10 {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
    }
    for waiter in waiters {
        soon(waiter).await.unwrap();
    }
}

fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    future.as_mut().poll(&mut cx)
}

#[tokio::test]
async fn who_gives_up_waiting_for_room_has_published_nothing() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
    accepted(&client, "t", "0", Qos::AtLeastOnce);
    let mut given_up = Box::pin(
        client
            .publish("t", "given up")
            .qos(Qos::AtLeastOnce)
            .into_future(),
    );
    assert!(futures_poll(&mut given_up).is_pending());
    let mut waits = Box::pin(
        client
            .publish("t", "waits")
            .qos(Qos::AtLeastOnce)
            .into_future(),
    );
    assert!(futures_poll(&mut waits).is_pending());
    drop(given_up);
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    soon(waits).await.unwrap();
    assert_eq!(conn.publish().await.payload, "waits");
    assert_eq!(client.metrics().queued_messages, 1);
}

#[tokio::test]
async fn a_message_past_its_deadline_is_not_sent_and_its_handle_says_so() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut conn, _) = script.connect().await;
    let late = client
        .publish("t", "late")
        .qos(Qos::AtLeastOnce)
        .deadline(Duration::ZERO)
        .send()
        .unwrap();
    let timely = client
        .publish("t", "timely")
        .qos(Qos::AtLeastOnce)
        .deadline(Duration::from_secs(3600))
        .send()
        .unwrap();
    conn.connack(false).await;
    let publish = conn.publish().await;
    assert_eq!(publish.payload, "timely");
    conn.ack(&publish).await;
    soon(timely.acked()).await.unwrap();
    assert_eq!(soon(late.sent()).await, Err(LostMessage::DeadlinePassed));
    assert_eq!(soon(late.acked()).await, Err(LostMessage::DeadlinePassed));
    // It was accepted: that it was dropped later changes nothing about that.
    soon(late.accepted()).await.unwrap();
    assert_eq!(client.metrics().lost, 1);
}

#[tokio::test]
async fn a_qos_0_message_without_a_connection_is_dropped_and_counted_unless_it_is_to_be_kept() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut conn, _) = script.connect().await;
    let dropped = soon(client.publish("t", "dropped")).await.unwrap();
    let kept = soon(client.publish("t", "kept").keep_offline(true))
        .await
        .unwrap();
    assert_eq!(soon(dropped.acked()).await, Err(LostMessage::Offline));
    assert_eq!(client.metrics().lost, 1);
    conn.connack(false).await;
    assert_eq!(conn.publish().await.payload, "kept");
    soon(kept.acked()).await.unwrap();
}

#[tokio::test]
async fn threads_wait_on_a_handle_as_tasks_do() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let publication = publication.clone();
            std::thread::spawn(move || {
                publication.wait_accepted(Duration::from_secs(60))?;
                publication.wait_sent(Duration::from_secs(60))?;
                publication.wait_acked(Duration::from_secs(60))
            })
        })
        .collect();
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    soon(publication.acked()).await.unwrap();
    for thread in threads {
        let ack = tokio::task::spawn_blocking(move || thread.join().unwrap());
        assert_eq!(
            soon(ack).await.unwrap().unwrap().reason,
            ReasonCode::Success
        );
    }
}

#[tokio::test]
async fn what_the_server_is_known_to_refuse_is_refused_before_it_is_sent() {
    let script = Script::start().await;
    let mut properties = ConnAckProperties::default();
    properties.set_maximum_qos(Qos::AtLeastOnce);
    properties.set_retain_available(false);
    properties.set_maximum_packet_size(100.try_into().unwrap());
    let connect = tokio::spawn(script.client().connect());
    let (mut conn, _) = script.connect().await;
    conn.answer(false, ReasonCode::Success, properties).await;
    let client = soon(connect).await.unwrap().unwrap();
    for (publish, told) in [
        (
            client.publish("t", "x").qos(Qos::ExactlyOnce),
            "Maximum QoS is 1",
        ),
        (client.publish("t", "x").retain(true), "retained"),
        (client.publish("t", vec![0; 100]), "accepts 100"),
    ] {
        let error = soon(publish).await.unwrap_err();
        assert!(matches!(error, PublishError::Refused(_)), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn no_more_is_under_way_than_the_server_takes() {
    let script = Script::start().await;
    let mut properties = ConnAckProperties::default();
    properties.set_receive_maximum(3.try_into().unwrap());
    let connect = tokio::spawn(script.client().connect());
    let (mut conn, _) = script.connect().await;
    conn.answer(false, ReasonCode::Success, properties).await;
    let client = soon(connect).await.unwrap().unwrap();
    for n in 0..10 {
        accepted(&client, "t", n.to_string(), Qos::AtLeastOnce);
    }
    let mut under_way = Vec::new();
    for _ in 0..3 {
        under_way.push(conn.publish().await);
    }
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().in_flight, 3);
    for n in 0..10 {
        let publish = under_way.remove(0);
        assert_eq!(publish.payload, n.to_string());
        conn.ack(&publish).await;
        if n < 7 {
            under_way.push(conn.publish().await);
        }
    }
    eventually(|| client.metrics().queued_messages == 0).await;
}

#[tokio::test]
async fn a_message_goes_again_as_a_duplicate_after_a_cut_and_its_handle_waits_on() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    let first = conn.publish().await;
    drop(conn);
    let mut conn = script.resume().await;
    let again = conn.publish().await;
    assert_eq!(again.delivery.packet_id(), first.delivery.packet_id());
    assert!(again.delivery.dup());
    conn.ack(&again).await;
    soon(publication.acked()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_publish_at_once() {
    let broker = broker().await;
    let publisher = client(&broker).await;
    let reader = client(&broker).await;
    let mut inbox = soon(reader.subscribe("t/+")).await.unwrap();
    let publisher = Arc::new(publisher);
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let publisher = Arc::clone(&publisher);
            tokio::spawn(async move {
                for n in 0..50 {
                    let topic = format!("t/{task}");
                    let publish = publisher.publish(topic.as_str(), n.to_string());
                    let publication = publish.qos(Qos::AtLeastOnce).await.unwrap();
                    publication.acked().await.unwrap();
                }
            })
        })
        .collect();
    let mut seen = [0; 20];
    for _ in 0..20 * 50 {
        let message = next(&mut inbox).await;
        let task: usize = message.topic.as_str()[2..].parse().unwrap();
        assert_eq!(text(&message), seen[task].to_string());
        seen[task] += 1;
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn qos_0_is_sent_when_it_is_acked() {
    let script = Script::start().await;
    let (client, mut conn): (_, Conn) = script.pair().await;
    let publication = soon(client.publish("t", "x")).await.unwrap();
    soon(publication.acked()).await.unwrap();
    assert_eq!(conn.publish().await.delivery, Delivery::AtMostOnce);
    assert!(matches!(client.state(), ConnectionState::Connected { .. }));
}
