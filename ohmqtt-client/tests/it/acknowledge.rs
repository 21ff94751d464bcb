//! Who acknowledges a message and when, and which stream has those that came for nobody.

use std::time::Duration;

use ohmqtt_client::{Client, Qos, ReasonCode};
use ohmqtt_codec::{Ack, Packet, PacketId};
use tokio::time::Instant;

use crate::support::script::{Conn, Script, Wire};
use crate::support::{next, soon, text};

#[tokio::test]
async fn a_message_is_acknowledged_when_the_last_stream_has_handed_it_over() {
    let script = Script::start().await;
    let (client, mut conn, mut first) = script.subscribed("a/#").await;
    let mut second = client.subscribe("a/b").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    soon(second.granted()).await.unwrap();
    conn.deliver("a/b", "x", Qos::AtLeastOnce, 1).await;
    next(&mut first).await;
    assert_eq!(conn.before_echo().await, []);
    next(&mut second).await;
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
}

#[tokio::test]
async fn unclaimed_messages_wait_for_a_subscription_that_claims_them() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().clean_start(false)).await;
    for (id, topic) in [(1, "a"), (2, "b"), (3, "a")] {
        conn.deliver(topic, &id.to_string(), Qos::AtLeastOnce, id)
            .await;
    }
    assert_eq!(conn.before_echo().await, []);
    let mut inbox = client.subscribe("a").send().unwrap();
    assert_eq!(text(&next(&mut inbox).await), "1");
    assert_eq!(text(&next(&mut inbox).await), "3");
    // What is left is in the catch-all stream.
    let message = soon(client.unclaimed().recv()).await.unwrap();
    assert_eq!(text(&message), "2");
    let mut packets = conn.before_echo().await;
    packets.retain(|packet| !matches!(packet, Packet::Subscribe(_)));
    let acks = [1, 2, 3].map(|id| Packet::PubAck(Ack::new(PacketId::new(id).unwrap())));
    assert_eq!(packets, acks);
}

/// Acknowledgements leave in order: that of a message nobody claims stands before all others, and holds up everything once as many
/// wait as the client accepts.
#[tokio::test(start_paused = true)]
async fn messages_that_nobody_claims_do_not_hold_up_the_others_for_ever() {
    let (client, mut conn) = in_memory(4).await;
    let mut inbox = client.subscribe("mine").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("nobody's", "0", Qos::AtLeastOnce, 1).await;
    for id in 2..=4 {
        conn.deliver("mine", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
        assert_eq!(text(&next(&mut inbox).await), id.to_string());
    }
    assert_eq!(conn.before_echo().await, []);
    let began = Instant::now();
    for id in 1..=4 {
        conn.puback(id).await;
    }
    let took = began.elapsed().as_secs();
    assert!((9..=11).contains(&took), "{took}");
    // From now on such messages hold up nobody.
    conn.deliver("nobody's", "1", Qos::AtLeastOnce, 1).await;
    conn.puback(1).await;
    // They are still there for who wants them.
    let mut late = client.subscribe("nobody's").send().unwrap();
    assert_eq!(text(&next(&mut late).await), "0");
    assert_eq!(text(&next(&mut late).await), "1");
    assert_eq!(client.metrics().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn unread_messages_of_a_dropped_subscription_do_not_hold_up_the_others_for_ever() {
    let (client, mut conn) = in_memory(2).await;
    let unread = client.subscribe("unread").send().unwrap();
    let mut inbox = client.subscribe("mine").send().unwrap();
    for _ in 0..2 {
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
    }
    conn.deliver("unread", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("unread", "2", Qos::AtLeastOnce, 2).await;
    assert_eq!(conn.before_echo().await, []);
    drop(unread);
    let unsubscribe = conn.unsubscribe().await;
    conn.unsuback(&unsubscribe).await;
    conn.puback(1).await;
    conn.puback(2).await;
    conn.deliver("mine", "x", Qos::AtLeastOnce, 1).await;
    assert_eq!(text(&next(&mut inbox).await), "x");
}

/// A backlog that comes before the subscription it is for is held back by the server, not dropped here.
#[tokio::test(start_paused = true)]
async fn without_any_subscription_the_server_keeps_what_it_has() {
    let (client, mut conn) = in_memory(4).await;
    for id in 1..=4 {
        conn.deliver("t", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
    }
    assert_eq!(conn.before_echo().await, []);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(conn.before_echo().await, []);
    let mut inbox = client.subscribe("t").send().unwrap();
    for id in 1..=4 {
        assert_eq!(text(&next(&mut inbox).await), id.to_string());
    }
    let acks = conn.before_echo().await;
    assert_eq!(acks.len(), 5, "four acknowledgements and the SUBSCRIBE");
}

/// A client with this Receive Maximum, over a stream in memory, so that the clock is the test's own.
async fn in_memory(receive_maximum: u16) -> (Client, Conn) {
    let (wire, mut ends) = Wire::new();
    let builder = Client::builder("server").receive_maximum(receive_maximum);
    let connect = tokio::spawn(builder.connector(wire).connect());
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    conn.connack(false).await;
    (connect.await.unwrap().unwrap(), conn)
}

#[tokio::test]
async fn unread_messages_go_to_a_later_subscription_in_their_order() {
    let script = Script::start().await;
    let (client, mut conn, old) = script.subscribed("t").await;
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "2", Qos::AtLeastOnce, 2).await;
    conn.before_echo().await;
    let mut new = client.subscribe("t").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "3", Qos::AtLeastOnce, 3).await;
    conn.before_echo().await;
    // The third went to both; it is not to come twice.
    drop(old);
    for n in ["1", "2", "3"] {
        assert_eq!(text(&next(&mut new).await), n);
    }
    for id in 1..=3 {
        conn.puback(id).await;
    }
    assert!(new.try_recv().is_none());
}

#[tokio::test]
async fn manual_acknowledgements_leave_in_the_order_of_the_messages() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let mut messages = Vec::new();
    for id in 1..=3 {
        conn.deliver("t", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
        messages.push(next(&mut inbox).await);
    }
    assert_eq!(client.metrics().unacknowledged, 3);
    messages[2].ack();
    messages[1].reject(ReasonCode::QuotaExceeded);
    assert_eq!(conn.before_echo().await, []);
    messages[0].ack();
    // The first word counts.
    messages[0].reject(ReasonCode::UnspecifiedError);
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
    assert_eq!(conn.puback(2).await, ReasonCode::QuotaExceeded);
    assert_eq!(conn.puback(3).await, ReasonCode::Success);
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn a_message_dropped_without_a_word_is_not_acknowledged() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "x", Qos::AtLeastOnce, 1).await;
    drop(next(&mut inbox).await);
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().unacknowledged, 1);
    // It comes again with the next connection, and is another message then.
    drop(conn);
    let mut conn = script.resume().await;
    conn.deliver("t", "x", Qos::AtLeastOnce, 1).await;
    next(&mut inbox).await.ack();
    conn.puback(1).await;
}

#[tokio::test]
async fn a_rejected_qos_2_message_ends_with_its_pubrec() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "x", Qos::ExactlyOnce, 1).await;
    next(&mut inbox).await.reject(ReasonCode::NotAuthorized);
    let Packet::PubRec(ack) = conn.recv().await else {
        panic!("not PUBREC");
    };
    assert_eq!(ack.reason, ReasonCode::NotAuthorized);
    assert_eq!(client.metrics().unacknowledged, 0);
}

#[tokio::test]
async fn an_acknowledgement_of_an_earlier_connection_harms_nothing() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "2", Qos::ExactlyOnce, 2).await;
    let (first, second) = (next(&mut inbox).await, next(&mut inbox).await);
    drop(conn);
    let mut conn = script.resume().await;
    first.ack();
    second.ack();
    assert_eq!(conn.before_echo().await, []);
    // Of QoS 2 the word is remembered: the message does not come a second time.
    conn.deliver("t", "2", Qos::ExactlyOnce, 2).await;
    let id = PacketId::new(2).unwrap();
    assert_eq!(conn.recv().await, Packet::PubRec(Ack::new(id)));
    conn.send(Packet::PubRel(Ack::new(id))).await;
    assert_eq!(conn.recv().await, Packet::PubComp(Ack::new(id)));
    assert!(inbox.try_recv().is_none());
}
